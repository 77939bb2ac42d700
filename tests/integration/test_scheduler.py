"""The scheduler on a real database: laziness, caching, errors and what is recorded of them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import (
    File,
    Scheduler,
    catch,
    cond,
    get_current_scheduler,
    scheduler_task,
    seq,
    task,
)
from taskgraph.config import BackendSettings, Settings
from taskgraph.errors import (
    CircularCallError,
    DryRunResult,
    ExecutorError,
    NoCurrentSchedulerError,
    SchedulerError,
    UnhashableValueError,
    UnknownTaskError,
)
from taskgraph.events import (
    CacheEntryRefused,
    JobCached,
    JobDone,
    JobFailed,
    ResultUnstored,
    Warned,
)
from taskgraph.tasks.registry import get_task_registry
from taskgraph.testing import RecordingObserver
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.integrity import check

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> None:
    ran.clear()


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    (tmp_path / ".taskgraph").mkdir()
    uri = f"sqlite:///{tmp_path / '.taskgraph' / 'taskgraph.db'}"
    return Settings(tmp_path / ".taskgraph", backend=BackendSettings(db_uri=uri))


@pytest.fixture(params=["inline", "threads", "inline on postgres"])
def scheduler(request: pytest.FixtureRequest, project: Settings) -> Iterator[Scheduler]:
    observer = RecordingObserver()
    executor, _, database = request.param.partition(" on ")
    if database:
        uri = request.getfixturevalue("postgres_uri")
        project = dataclasses.replace(project, backend=BackendSettings(db_uri=uri))
    with Scheduler(project, executor=executor, observers=[observer]) as scheduler:
        scheduler.seen = observer  # type: ignore[attr-defined]
        yield scheduler
    assert project.backend.db_uri is not None
    with SqlBackend(project.backend.db_uri) as backend:
        assert check(backend) == []


def events(scheduler: Scheduler, kind: type) -> list[Any]:
    return [each for each in scheduler.seen.events if isinstance(each, kind)]  # type: ignore[attr-defined]


@task(namespace="sched")
def inc(x: int) -> int:
    ran.append(f"inc {x}")
    return x + 1


@task(namespace="sched")
def add(x: int, y: int = 1) -> int:
    ran.append(f"add {x} {y}")
    return x + y


@task(namespace="sched")
def fail(message: str) -> int:
    ran.append(f"fail {message}")
    raise ValueError(message)


@task(namespace="sched")
def recover(error: Exception) -> str:
    return f"recovered from {error}"


@task(namespace="sched")
def fan(n: int) -> list[int]:
    ran.append(f"fan {n}")
    return [inc(each) for each in range(n)]


# What is evaluated


def test_operators_indexes_attributes_and_calls_are_lazy(scheduler: Scheduler) -> None:
    assert scheduler.run(inc(1) + inc(2) * 10) == 32
    assert scheduler.run(3 - inc(1)) == 1
    assert scheduler.run(fan(3)[1]) == 2
    assert scheduler.run(inc(1).bit_length()) == 2  # type: ignore[attr-defined]
    assert scheduler.run([inc(0) == 1, inc(0) & 0, inc(0) | 5]) == [True, 0, 1]


def test_expressions_inside_of_any_container_are_evaluated(scheduler: Scheduler) -> None:
    value = {"a": [inc(1)], "b": (inc(2), {inc(3)})}

    assert scheduler.run(value) == {"a": [2], "b": (3, {4})}


def test_a_default_that_is_an_expression_is_evaluated(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def with_lazy_default(x: int, y: int = inc(10)) -> int:
        return x + y

    assert scheduler.run(with_lazy_default(1)) == 12
    assert scheduler.run(with_lazy_default(1, 2)) == 3
    assert scheduler.run(with_lazy_default(1, y=inc(2))) == 4


def test_a_tuple_result_can_be_unpacked_lazily(scheduler: Scheduler) -> None:
    @task(namespace="sched", nout=2)
    def both(x: int) -> Any:
        return inc(x), inc(x + 1)

    first, second = both(1)

    assert scheduler.run(add(first, second)) == 5


def test_tasks_travel_as_arguments_and_results(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def apply(function: Any, x: int) -> Any:
        return function(x)

    @task(namespace="sched")
    def choose() -> Any:
        return inc

    assert scheduler.run(apply(inc, 1)) == 2
    assert scheduler.run(choose()(5)) == 6
    assert scheduler.run(apply(add.partial(y=5), 1)) == 6


def test_cond_evaluates_one_branch_only(scheduler: Scheduler) -> None:
    value = scheduler.run(cond(inc(0) == 2, fail("a"), inc(0) == 1, inc(10), fail("b")))

    assert value == 11
    assert not [each for each in ran if each.startswith("fail")]


def test_seq_evaluates_one_after_the_other(scheduler: Scheduler) -> None:
    assert scheduler.run(seq([inc(3), inc(1), inc(2)])) == [4, 2, 3]
    assert ran == ["inc 3", "inc 1", "inc 2"]


def test_catch_recovers_from_the_first_class_that_fits(scheduler: Scheduler) -> None:
    expr = catch(add(fail("x"), 1), KeyError, inc(0), (ValueError, OSError), recover)

    assert scheduler.run(expr) == "recovered from x"
    assert scheduler.run(catch(inc(1), ValueError, recover)) == 2


def test_catch_lets_other_errors_pass(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match="x"):
        scheduler.run(catch(fail("x"), KeyError, recover))


def test_a_scheduler_task_of_the_user_is_a_plain_generator(scheduler: Scheduler) -> None:
    @scheduler_task(namespace="sched")
    def first_above(limit: int, exprs: list[Any]) -> Any:
        for expr in exprs:
            value = yield expr
            if value > limit:
                return inc(value)
        return None

    assert scheduler.run(first_above(2, [inc(0), inc(5), fail("never")])) == 7


# What is cached


def test_the_second_run_runs_nothing(scheduler: Scheduler) -> None:
    scheduler.run(fan(3))
    ran.clear()

    with Scheduler(scheduler.settings) as other:
        assert other.run(fan(3)) == [1, 2, 3]
    assert scheduler.run(fan(3)) == [1, 2, 3]

    assert ran == []


def test_positions_names_and_defaults_are_one_call(scheduler: Scheduler) -> None:
    values = scheduler.run([add(1), add(1, 1), add(x=1), add(y=1, x=1)])

    assert values == [2, 2, 2, 2]
    assert ran == ["add 1 1"]


def test_equal_calls_in_flight_run_once() -> None:
    count = []

    @task(namespace="sched")
    def slow(x: int) -> int:
        count.append(x)
        time.sleep(0.02)
        return x

    with Scheduler(backend="sqlite:///:memory:") as scheduler:
        assert scheduler.run([slow(1), slow(1), [slow(1)]]) == [1, 1, [1]]

    assert count == [1]


def test_with_scope_none_each_expression_object_runs_by_itself(scheduler: Scheduler) -> None:
    count = []

    @task(namespace="sched", cache_scope="NONE")
    def roll() -> int:
        count.append(1)
        return len(count)

    once = roll()

    values = scheduler.run([once, once, roll()])

    assert values[0] == values[1]
    assert sorted({values[0], values[2]}) == [1, 2]
    assert len(count) == 2


def test_cache_false_runs_again_in_the_next_run_but_once_in_each(scheduler: Scheduler) -> None:
    @task(namespace="sched", cache=False)
    def fresh(x: int) -> int:
        ran.append("fresh")
        return x

    scheduler.run([fresh(1), fresh(1)])
    scheduler.run(fresh(1))

    assert ran == ["fresh", "fresh"]


def test_a_run_without_cache_reads_nothing_and_writes_all_the_same(scheduler: Scheduler) -> None:
    scheduler.run(inc(1))
    scheduler.run(inc(1), cache=False)
    scheduler.run(inc(1))

    assert ran == ["inc 1", "inc 1"]


def test_an_edited_task_runs_again_and_what_gets_an_equal_value_does_not(
    scheduler: Scheduler,
) -> None:
    def define(source: str, function: Callable[[int], int]) -> Any:
        return task(name="edited", namespace="sched", source=source)(function)

    scheduler.run(add(define("one", lambda x: x * 2)(2), 1))
    ran.clear()

    scheduler.run(add(define("two", lambda x: x + x)(2), 1))

    assert ran == [], "its value is as it was, so what uses it is still cached"
    scheduler.run(add(define("three", lambda x: x * 3)(2), 1))
    assert ran == ["add 6 1"]


def test_an_edited_child_is_seen_below_a_cached_parent(scheduler: Scheduler) -> None:
    def define(factor: int) -> None:
        @task(name="child", namespace="sched", source=f"{factor}")
        def child(x: int) -> int:
            return x * factor

    @task(namespace="sched", source="parent")
    def parent(x: int) -> Any:
        ran.append("parent")
        return get_task_registry().get("sched.child")(x)

    define(2)
    assert scheduler.run(parent(5)) == 10
    define(3)
    assert scheduler.run(parent(5)) == 15
    assert ran == ["parent"]


def test_shallow_jumps_to_the_final_value_while_the_subtree_is_as_it_was(
    scheduler: Scheduler,
) -> None:
    shallow = fan.options(check_valid="shallow")
    scheduler.run(shallow(50))
    jobs_before = len(events(scheduler, JobCached))

    assert scheduler.run(shallow(50)) == list(range(1, 51))

    assert len(events(scheduler, JobCached)) - jobs_before == 1


def test_shallow_falls_back_when_a_task_below_was_edited(scheduler: Scheduler) -> None:
    def define(factor: int) -> Any:
        @task(name="leaf", namespace="sched", source=f"{factor}")
        def leaf(x: int) -> int:
            return x * factor

        return leaf

    @task(namespace="sched", source="top", check_valid="shallow")
    def top(x: int) -> Any:
        ran.append("top")
        return get_task_registry().get("sched.leaf")(x)

    define(2)
    assert scheduler.run(top(5)) == 10
    define(3)
    assert scheduler.run(top(5)) == 15
    assert ran == ["top"]


def test_a_cached_result_that_calls_a_task_that_is_gone_is_not_used(scheduler: Scheduler) -> None:
    @task(name="soon_gone", namespace="sched")
    def soon_gone() -> int:
        return 1

    @task(namespace="sched", source="maker")
    def maker() -> Any:
        found = get_task_registry().find("sched.soon_gone")
        return found() if found is not None else "without"

    assert scheduler.run(maker()) == 1
    del get_task_registry()._tasks["sched.soon_gone"]
    assert scheduler.run(maker()) == "without"
    assert events(scheduler, CacheEntryRefused)


def test_a_damaged_value_is_refused_and_made_again(project: Settings) -> None:
    observer = RecordingObserver()
    with Scheduler(project) as scheduler:
        scheduler.run(add(20, 22))
    import sqlite3

    with sqlite3.connect(project.config_dir / "taskgraph.db") as database:
        database.execute("UPDATE value SET value = x'00' WHERE preview = '42'")
    database.close()
    ran.clear()

    with Scheduler(project, observers=[observer]) as scheduler:
        assert scheduler.run(add(20, 22)) == 42

    assert ran == ["add 20 22"]
    assert any(isinstance(each, CacheEntryRefused) for each in observer.events)


# Files


def test_a_changed_input_file_runs_its_readers_again(scheduler: Scheduler, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"

    @task(namespace="sched")
    def read(file: File) -> str:
        ran.append("read")
        return str(file.read())

    path.write_text("one")
    kept = File(str(path))
    assert scheduler.run(read(kept)) == "one"
    assert scheduler.run(read(kept)) == "one"
    path.write_text("two and more")

    assert scheduler.run(read(kept)) == "two and more"
    assert ran == ["read", "read"]


def test_a_deleted_or_altered_output_file_is_written_again(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "out.txt"

    @task(namespace="sched")
    def write(text: str) -> File:
        ran.append("write")
        file = File(str(path))
        file.write(text)
        return file

    @task(namespace="sched")
    def use(file: File) -> int:
        ran.append("use")
        return len(file.read())

    for alter in (lambda: None, path.unlink, lambda: path.write_text("changed")):
        alter() if path.exists() else None
        assert scheduler.run(use(write("hello"))) == 5

    assert path.read_text() == "hello"
    assert ran == ["write", "use", "write", "write"]


def test_a_missing_input_is_the_task_s_own_error(scheduler: Scheduler, tmp_path: Path) -> None:
    @task(namespace="sched")
    def read(file: File) -> str:
        return str(file.read())

    with pytest.raises(FileNotFoundError, match="No such file"):
        scheduler.run(read(File(str(tmp_path / "absent"))))


# Errors


def test_the_task_s_own_exception_is_raised_with_a_trace_of_tasks(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def outer(word: str) -> Any:
        return add(inc(1), fail(word))

    with pytest.raises(ValueError, match="boom") as caught:
        scheduler.run(outer("boom"))

    trace = caught.value.__taskgraph_trace__  # type: ignore[attr-defined]
    shown = trace.format()
    assert [each.task for each in trace.tasks] == ["sched.outer", "sched.fail"]
    assert "word = 'boom'" in shown
    assert "message = 'boom'" in shown
    assert "raise ValueError(message)" in shown
    assert shown.endswith("ValueError: boom")


def test_errors_are_recorded_and_never_replayed(scheduler: Scheduler) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="again"):
            scheduler.run(fail("again"))

    assert ran == ["fail again", "fail again"]
    with SqlBackend(scheduler.settings.backend.db_uri) as backend:
        from taskgraph_backend.reader import Reader

        with Reader(backend) as reader:
            nodes = reader.query(models.CallNode).filter_by(task_name="sched.fail").all()
            assert [each.value.type for each in nodes] == ["taskgraph.ErrorValue"]


def test_running_siblings_of_a_failed_job_are_finished_and_recorded(project: Settings) -> None:
    started = threading.Event()

    @task(namespace="sched")
    def slow() -> int:
        started.set()
        time.sleep(0.1)
        ran.append("slow")
        return 7

    @task(namespace="sched")
    def fails_meanwhile() -> int:
        started.wait(5)
        raise ValueError("meanwhile")

    with Scheduler(project, executor="threads") as scheduler:
        with pytest.raises(ValueError, match="meanwhile"):
            scheduler.run([slow(), fails_meanwhile()])
        assert scheduler.run(slow()) == 7

    assert ran == ["slow"]


def test_an_error_in_an_operator_is_that_of_the_call_that_wrote_it(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def divide(x: int) -> Any:
        return inc(x) / 0

    with pytest.raises(ZeroDivisionError) as caught:
        scheduler.run(divide(1))

    trace = caught.value.__taskgraph_trace__  # type: ignore[attr-defined]
    assert trace.tasks[-1].task == "sched.divide"


def test_a_call_that_needs_its_own_result_is_named(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def endless(x: int) -> Any:
        return endless(x)

    with pytest.raises(CircularCallError, match=r"sched\.endless"):
        scheduler.run(endless(1))


def test_an_argument_without_a_hash_names_the_path_to_it(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def configured(config: Any) -> int:
        return 1

    with pytest.raises(UnhashableValueError, match=r'args\.config\["model"\]\.lock') as caught:
        scheduler.run(configured({"model": _Model()}))

    assert "config_args" in str(caught.value)


class _Model:
    def __init__(self) -> None:
        self.lock = threading.Lock()


def test_config_args_do_not_count(scheduler: Scheduler) -> None:
    @task(namespace="sched", config_args=["verbose"])
    def configured(x: int, verbose: Any) -> int:
        ran.append("configured")
        return x

    scheduler.run(configured(1, False))
    scheduler.run(configured(1, threading.Lock()))

    assert ran == ["configured"]


def test_a_result_that_cannot_be_stored_is_returned_and_uncached(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def make_lock() -> Any:
        ran.append("make")
        return threading.Lock()

    @task(namespace="sched")
    def use(lock: Any, n: int) -> str:
        ran.append("use")
        return type(lock).__name__

    @task(namespace="sched")
    def use_nested(locks: list[Any]) -> int:
        ran.append("nested")
        return len(locks)

    for _ in range(2):
        lock = make_lock()
        assert scheduler.run([use(lock, 1), use_nested([lock, inc(1)])]) == ["lock", 2]

    assert sorted(ran) == ["inc 1", *["make"] * 2, *["nested"] * 2, *["use"] * 2]
    assert events(scheduler, ResultUnstored)


def test_an_unknown_executor_is_an_error_that_lists_them(scheduler: Scheduler) -> None:
    with pytest.raises(ExecutorError, match="inline"):
        scheduler.run(inc.options(executor="nowhere")(1))
    with pytest.raises(ExecutorError, match="inline"):
        Scheduler(executor="nowhere")


def test_an_unknown_task_in_an_expression_is_an_error(scheduler: Scheduler) -> None:
    from taskgraph.expression import TaskExpression

    with pytest.raises(UnknownTaskError, match=r"sched\.inc"):
        scheduler.run([TaskExpression("sched.incc", (1,), {})])


def test_sys_exit_in_a_task_is_a_failed_task(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        scheduler.run(leave())

    assert events(scheduler, JobFailed)


def test_a_scheduler_cannot_run_inside_of_its_own_task(project: Settings) -> None:
    with Scheduler(project, executor="inline") as scheduler:

        @task(namespace="sched", cache=False)
        def nested() -> Any:
            return scheduler.run(inc(1))

        with pytest.raises(SchedulerError, match="child call"):
            scheduler.run(nested())


def test_the_scheduler_that_runs_is_the_current_one_inside_of_inline_tasks(
    project: Settings,
) -> None:
    seen = []

    @task(namespace="sched", cache=False)
    def look() -> None:
        seen.append(get_current_scheduler())

    with Scheduler(project, executor="inline") as scheduler:
        scheduler.run(look())
        assert seen == [scheduler]

    assert get_current_scheduler(required=False) is None
    with pytest.raises(NoCurrentSchedulerError, match="No scheduler is running"):
        get_current_scheduler()


def test_a_closed_scheduler_says_so(project: Settings) -> None:
    scheduler = Scheduler(project)
    scheduler.close()
    scheduler.close()

    with pytest.raises(SchedulerError, match="closed"):
        scheduler.run(inc(1))


def test_a_dry_run_names_what_would_run(scheduler: Scheduler) -> None:
    with pytest.raises(DryRunResult, match=r"sched\.fan\(3\)"):
        scheduler.run(fan(3), dryrun=True)
    scheduler.run(fan(3))
    ran.clear()

    assert scheduler.run(fan(3), dryrun=True) == [1, 2, 3]
    assert ran == []


def test_a_scheduler_without_a_database_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    observer = RecordingObserver()

    with Scheduler(observers=[observer]) as scheduler:
        scheduler.run(inc(1))
        scheduler.run(inc(1))

    assert len([each for each in observer.events if isinstance(each, Warned)]) == 1
    assert list(tmp_path.iterdir()) == []


def test_counts_of_a_cached_run_are_all_cached(scheduler: Scheduler) -> None:
    scheduler.run([fan(3), cond(inc(1) > 0, inc(7), 0)])
    done = len(events(scheduler, JobDone))

    scheduler.run([fan(3), cond(inc(1) > 0, inc(7), 0)])

    assert len(events(scheduler, JobDone)) == done


class Abort(BaseException):
    """Derives from BaseException, as asyncio's cancellation does."""


def test_an_error_outside_of_exception_fails_the_task_and_hangs_nothing(
    scheduler: Scheduler,
) -> None:
    @task(namespace="sched")
    def abort() -> None:
        raise Abort("out")

    with pytest.raises(Abort, match="out"):
        scheduler.run([abort(), inc(1)])


def test_an_async_task_is_awaited_and_cached(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    async def later(x: int) -> int:
        ran.append("later")
        return x + 1

    for _ in range(2):
        assert scheduler.run(later(1)) == 2

    assert ran == ["later"]


def test_a_run_inside_of_a_task_on_another_thread_is_refused_and_does_not_hang(
    project: Settings,
) -> None:
    with Scheduler(project, executor="threads") as scheduler:

        @task(namespace="sched", cache=False)
        def nested() -> Any:
            return scheduler.run(inc(1))

        with pytest.raises(SchedulerError, match=r"sched\.nested"):
            scheduler.run(nested())


def test_a_result_that_is_too_large_is_returned_and_not_stored(tmp_path: Path) -> None:
    from taskgraph.config import BackendSettings

    (tmp_path / ".taskgraph").mkdir()
    small = Settings(tmp_path / ".taskgraph", backend=BackendSettings(max_value_size=1000))
    observer = RecordingObserver()

    @task(namespace="sched")
    def large() -> bytes:
        return b"x" * 2000

    with Scheduler(small, observers=[observer]) as scheduler:
        assert len(scheduler.run(large())) == 2000

    (unstored,) = [each for each in observer.events if isinstance(each, ResultUnstored)]
    assert "max_value_size" in unstored.reason


def test_a_task_without_a_hash_fails_the_call_that_wrote_it_down_and_no_other(
    scheduler: Scheduler,
) -> None:
    @task(name="unhashable", namespace="sched", hash_includes=[threading.Lock()])
    def unhashable() -> int:
        return 1

    with pytest.raises(UnhashableValueError, match="hash_includes"):
        scheduler.run([unhashable(), inc(1)])
    assert scheduler.run(catch(unhashable(), UnhashableValueError, recover)).startswith("recovered")
    shallow = fan.options(check_valid="shallow")
    assert scheduler.run(shallow(2)) == [1, 2]
    assert scheduler.run(shallow(2)) == [1, 2]
    del get_task_registry()._tasks["sched.unhashable"]


def test_children_that_outlive_a_caught_error_are_recorded(project: Settings) -> None:
    @task(namespace="sched")
    def fail_soon() -> int:
        time.sleep(0.05)
        raise ValueError("soon")

    @task(namespace="sched")
    def outlive(x: int) -> int:
        time.sleep(0.15)
        ran.append("outlive")
        return x

    @task(namespace="sched")
    def never(x: int) -> int:
        ran.append("never")
        return x

    expr = catch([fail_soon(), never(outlive(inc(1)))], ValueError, recover)
    with Scheduler(project, executor="threads") as scheduler:
        assert scheduler.run([expr, outlive(add(5, 5))]) == ["recovered from soon", 10]

    assert "never" not in ran
    with SqlBackend(f"sqlite:///{project.config_dir / 'taskgraph.db'}") as backend:
        assert check(backend) == []


def test_ctrl_c_while_rows_are_added_does_not_leave_half_of_a_call(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    from taskgraph.engine import recorder

    original = recorder.hash_argument
    # Whoever runs the tests in the background may have switched it off.
    monkeypatch.setattr(signal, "getsignal", lambda signum: signal.default_int_handler)

    def interrupted(*args: Any) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)  # the signal is here before the row is
        return original(*args)

    with Scheduler(project, executor="inline") as scheduler:
        monkeypatch.setattr(recorder, "hash_argument", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scheduler.run([inc(inc(1))])
        monkeypatch.undo()
        assert scheduler.run([inc(inc(1))]) == [3]

    with SqlBackend(f"sqlite:///{project.config_dir / 'taskgraph.db'}") as backend:
        assert check(backend) == []


def test_config_args_do_not_count_below_a_scheduler_task_either(scheduler: Scheduler) -> None:
    @task(namespace="sched", config_args=["lock"])
    def locked(x: int, lock: Any) -> int:
        ran.append("locked")
        return x

    for _ in range(2):
        lock = threading.Lock()
        assert scheduler.run([locked(1, lock), cond(True, locked(1, lock))]) == [1, 1]

    assert ran == ["locked"]


def test_catch_recovers_from_an_argument_without_a_hash(scheduler: Scheduler) -> None:
    expr = catch(inc(threading.Lock()), UnhashableValueError, recover)  # type: ignore[arg-type]

    assert scheduler.run(expr).startswith("recovered from args.x")


def test_a_run_from_the_scheduler_s_own_thread_is_refused(scheduler: Scheduler) -> None:
    @scheduler_task(namespace="sched")
    def nest(expr: Any) -> Any:
        scheduler.run(inc(3))
        yield expr

    with pytest.raises(SchedulerError, match="child call"):
        scheduler.run(nest(inc(1)))


class Stubborn:
    """Has a hash, and ends whoever pickles it."""

    def __taskgraph_hash__(self) -> str:
        return "stubborn"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise SystemExit(1)


def test_a_result_whose_hooks_raise_anything_is_used_and_unstored(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def make() -> Any:
        return Stubborn()

    assert isinstance(scheduler.run(make()), Stubborn)
    assert events(scheduler, ResultUnstored)


def test_a_value_that_its_container_refuses_is_an_error_of_the_call(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def make_list() -> list[int]:
        return [1]

    @task(namespace="sched")
    def put_into_a_set() -> Any:
        return {make_list()}  # type: ignore[arg-type]  # not hashable: that is the point

    @task(namespace="sched")
    def size(values: Any) -> int:
        return len(values)

    assert scheduler.run(catch(put_into_a_set(), TypeError, recover)).startswith("recovered")
    assert scheduler.run(catch(size({make_list()}), TypeError, recover)).startswith("recovered")  # type: ignore[arg-type]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_an_exception_that_cannot_be_shown_is_raised_all_the_same(scheduler: Scheduler) -> None:
    @task(namespace="sched")
    def unprintable() -> None:
        raise Unprintable

    with pytest.raises(Unprintable):
        scheduler.run(unprintable())


def test_an_error_outside_of_exception_is_recorded_with_its_siblings(project: Settings) -> None:
    @task(namespace="sched")
    def abort() -> None:
        time.sleep(0.02)
        raise Abort("out")

    @task(namespace="sched")
    def slow() -> int:
        time.sleep(0.1)
        ran.append("slow")
        return 7

    with Scheduler(project, executor="threads") as scheduler:
        with pytest.raises(Abort):
            scheduler.run([slow(), abort()])
        assert scheduler.run(slow()) == 7

    assert ran == ["slow"]


def test_no_job_is_left_running_after_a_run(project: Settings) -> None:
    @task(namespace="sched")
    def interrupt() -> None:
        time.sleep(0.25)
        raise KeyboardInterrupt

    with Scheduler(project, executor="inline") as scheduler, pytest.raises(KeyboardInterrupt):
        scheduler.run([inc(1), interrupt(), inc(2)])

    with SqlBackend(f"sqlite:///{project.config_dir / 'taskgraph.db'}") as backend:
        from taskgraph_backend.reader import Reader

        with Reader(backend) as reader:
            states = {each.state_type for each in reader.query(models.Job).all()}
        assert check(backend) == []
    assert "RUNNING" not in states
