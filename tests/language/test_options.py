"""Options: where they come from, which of them wins, and what they do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, apply_tags, cond, exponential, get_task_registry, task
from taskgraph.config import ExecutorSettings, Settings
from taskgraph.errors import TaskOptionError, TaskTimeoutError
from taskgraph.events import JobDone, JobRetried, JobsSubmitted, Warned
from taskgraph.executors.inline import InlineExecutor
from taskgraph.ports import Call, Resources
from taskgraph.records import JobRecord, State
from taskgraph.tasks.options import KNOWN_OPTIONS, OWN_OPTIONS
from taskgraph.tasks.retrying import ExponentialDelay, ListedDelay, read_delay, read_retry_on
from taskgraph.tasks.task import Task
from taskgraph.testing import MemoryBackend, RecordingObserver
from tests.language import tasks
from tests.language.tasks import (
    exporting,
    fail_until,
    inc,
    number,
    sleep,
    tagged,
    tags_below,
    total,
)


def of(seen: RecordingObserver, kind: type) -> list[Any]:
    return [each for each in seen.events if isinstance(each, kind)]


def jobs_of(backend: MemoryBackend, name: str) -> list[JobRecord]:
    return [each for each in backend.jobs.values() if backend.tasks[each.task_hash].name == name]


def tags_of(backend: MemoryBackend, name: str) -> dict[str, Any]:
    """Return the tags of the jobs of a task."""
    ids = {each.id for each in jobs_of(backend, name)}
    return {t.key: json.loads(t.value) for t in backend.tags.values() if t.entity_id in ids}


# Which of them wins


class Where:
    """Runs a task, and says which executor its body ran on."""

    def __init__(self, **settings: ExecutorSettings) -> None:
        threads = {name: ExecutorSettings(type="threads") for name in "abcdef"}
        self.scheduler = Scheduler(
            Settings(Path("unused"), executors={**threads, **settings}),
            backend=MemoryBackend(),
            executor="a",
        )

    def __call__(self, expr: Any, **options: Any) -> str:
        found: str = self.scheduler.run(expr, options=options)
        return found.split("-")[1]


@pytest.fixture
def where() -> Iterator[Where]:
    made = Where()
    yield made
    made.scheduler.close()


def body() -> str:
    return threading.current_thread().name


def define(**options: Any) -> Task[[], str]:
    return task(name="body", namespace="where", version="1", cache_scope="NONE", **options)(body)


def test_later_layers_win(where: Where) -> None:
    plain, decorated = define(), define(executor="b")

    @task(namespace="where", version="1", cache_scope="NONE", export_options={"executor": "c"})
    def outer(call: Any) -> Any:
        return call()

    assert where(plain()) == "a"
    assert where(decorated()) == "b"
    assert where(outer(decorated)) == "c"
    assert where(outer(decorated.options(executor="d"))) == "d"
    assert where(outer(decorated.export_options(executor="e"))) == "e"
    assert where(outer(decorated.options(executor="d")), executor="f") == "f"


def test_the_nearest_caller_that_hands_on_wins(where: Where) -> None:
    plain = define()

    @task(namespace="where", version="1", cache_scope="NONE")
    def outer(inner: Any) -> Any:
        return inner(plain)

    @task(namespace="where", version="1", cache_scope="NONE")
    def inner(call: Any) -> Any:
        return call()

    handing_on = inner.export_options(executor="c")

    assert where(outer.export_options(executor="b")(inner)) == "b"
    assert where(outer.export_options(executor="b")(handing_on)) == "c"


def test_options_of_an_executor_give_way_to_all_others() -> None:
    where = Where(a=ExecutorSettings(type="threads", options={"tags": {"from": "executor"}}))
    backend = where.scheduler.backend
    assert isinstance(backend, MemoryBackend)
    with where.scheduler:
        where(define()())
        assert tags_of(backend, "body") == {"from": "executor"}
        backend.tags.clear()
        where(define(tags={"own": 1})())
        where(define(tags={"own": 1}, executor="b")())

    assert tags_of(backend, "body") == {"own": 1}


def test_an_option_of_an_executor_that_speaks_of_one_task_is_refused() -> None:
    with pytest.raises(TaskOptionError, match="All tasks of executor a: option 'nout'"):
        Where(a=ExecutorSettings(type="threads", options={"nout": 2}))


@pytest.mark.parametrize("name", sorted(OWN_OPTIONS))
def test_what_speaks_of_one_task_is_not_handed_on(where: Where, name: str) -> None:
    with pytest.raises(TaskOptionError, match="cannot be handed on"):
        inc.export_options(**{name: None})
    with pytest.raises(TaskOptionError, match="All tasks of this run"):
        where.scheduler.run(inc(1), options={name: None})
    with pytest.raises(TaskOptionError, match="lazy call"):
        inc.options(**{name: inc(1)})


def test_an_unknown_option_names_the_nearest(where: Where) -> None:
    for say in (inc.options, inc.export_options):
        with pytest.raises(TaskOptionError, match="Did you mean 'retries'"):
            say(retrys=3)
    with pytest.raises(TaskOptionError, match="Did you mean 'memory'"):
        where.scheduler.run(inc(1), options={"memry": 3})


def test_a_stored_call_keeps_its_options(where: Where) -> None:
    plain = define()

    @task(namespace="where", version="1")
    def outer() -> Any:
        return [plain.options(executor="c")(), plain.export_options(executor="d")()]

    first = where.scheduler.run(outer())
    second = where.scheduler.run(outer())  # outer is not asked again

    assert [each.split("-")[1] for each in [*first, *second]] == ["c", "d", "c", "d"]


def test_options_handed_on_are_no_part_of_the_key(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(tags_below(1))
    before = set(backend.jobs)

    scheduler.run(tags_below.export_options(tags={"new": 1})(1))

    new = [job for job in backend.jobs.values() if job.id not in before]
    assert [job.cached for job in new] == [True, True]
    assert tags_of(backend, "inc") == {"new": 1}, "a job that is found has its tags, too"


# Options that are calls


def test_an_option_may_be_a_call(scheduler: Scheduler, backend: MemoryBackend) -> None:
    lazy = number.options(tags=[("size", inc(1))], retries=inc(0))

    assert scheduler.run(total([lazy(1), lazy(2)])) == 3
    assert tags_of(backend, "number") == {"size": 2}
    assert len(jobs_of(backend, "inc")) == 2
    assert [edge.child_id for edge in backend.call_edges], "its calls are calls like others"


def test_what_an_option_comes_to_is_checked(scheduler: Scheduler) -> None:
    with pytest.raises(TaskOptionError, match="option 'retries': must be a whole number"):
        scheduler.run(number.options(retries=number("many"))(1))
    with pytest.raises(TaskOptionError, match="must be True or False"):
        scheduler.run(number.options(cache=number("no"))(1))


def test_an_option_that_fails_fails_its_call(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match="no option"):
        scheduler.run(number.options(executor=tasks.fail("no option"))(1))


def test_whether_to_use_the_cache_may_be_a_call(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    call = number.options(cache=number(False))

    for _ in range(2):
        scheduler.run([call(5), number.options(cache=cond(True, number(True)))(6)])

    assert sorted(each.cached for each in jobs_of(backend, "number")) == [
        *[False] * 5,  # 5 twice, 6 once, and both answers once
        *[True] * 3,
    ]


def test_an_option_that_is_handed_on_may_be_a_call(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(tags_below.export_options(tags=[("n", number(7))])(1))

    assert tags_of(backend, "inc") == tags_of(backend, "tags_below") == {"n": 7}


# Tags


def test_jobs_are_tagged(scheduler: Scheduler, backend: MemoryBackend) -> None:
    scheduler.run([tagged(1), tagged.options(tags=[("k", [1, {"a": None}])])(2), exporting(1)])

    assert tags_of(backend, "tagged") == {"own": 1, "k": [1, {"a": None}]}
    assert tags_of(backend, "inc") == {"from": "decorator"}


@pytest.mark.parametrize("tags", [3, [1], [(1, 2)], {"a": object()}, {"a": float("nan")}, "ab"])
def test_what_is_no_tag_is_refused(tags: Any) -> None:
    with pytest.raises(TaskOptionError, match="tags"):
        inc.options(tags=tags)


def test_apply_tags_on_value_job_and_execution(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    tagged_value = apply_tags(inc(1), {"quality": "good"}, [("step", 1)], {"run": inc(5)})

    assert scheduler.run([tagged_value]) == [2]

    found = {(each.entity_type, each.key, each.value) for each in backend.tags.values()}
    assert found == {
        ("Value", "quality", '"good"'),
        ("Job", "step", "1"),
        ("Execution", "run", "6"),
    }
    (value_tag,) = [each for each in backend.tags.values() if each.entity_type == "Value"]
    assert backend.values[value_tag.entity_id].preview == "2"  # type: ignore[index]


def test_apply_tags_refuses_what_is_no_tag(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match="must be pairs"):
        scheduler.run(apply_tags(inc(1), number(5)))


# Trying again


def test_a_call_is_tried_again_until_it_succeeds(
    scheduler: Scheduler, backend: MemoryBackend, seen: RecordingObserver, tmp_path: Path
) -> None:
    call = fail_until.options(retries=3, retry_delay=[0, 0.01])(str(tmp_path / "n"), 2)

    assert scheduler.run(inc(call)) == 4

    retried = of(seen, JobRetried)
    assert [(each.attempt, each.seconds) for each in retried] == [(1, 0.0), (2, 0.01)]
    assert "attempt 1" in retried[0].error
    (job,) = jobs_of(backend, "fail_until")
    assert tags_of(backend, "fail_until") == {"taskgraph.attempts": 3}
    assert job.state_type is State.COMPLETED
    assert sum(each.tasks.count("language.fail_until") for each in of(seen, JobsSubmitted)) == 1
    assert len(of(seen, JobDone)) == 3


def test_a_call_fails_for_good_after_its_last_attempt(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    with pytest.raises(tasks.Flaky, match="attempt 3"):
        scheduler.run(fail_until.options(retries=2)(str(tmp_path / "n"), 9))

    (job,) = jobs_of(backend, "fail_until")
    assert job.state_type is State.FAILED
    assert tags_of(backend, "fail_until") == {"taskgraph.attempts": 3}


def _is_first(error: BaseException) -> bool:
    return "attempt 1" in str(error)


def _broken(error: BaseException) -> bool:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("retry_on", "attempts"),
    [
        (tasks.Flaky, 4),
        ([KeyError, tasks.Flaky], 4),
        (KeyError, 1),
        (_is_first, 2),
        (_broken, 1),
        (BaseException, 4),
    ],
)
def test_only_errors_that_are_worth_it_are_tried_again(
    scheduler: Scheduler, seen: RecordingObserver, tmp_path: Path, retry_on: Any, attempts: int
) -> None:
    path = tmp_path / "n"

    with pytest.raises(tasks.Flaky):
        scheduler.run(fail_until.options(retries=3, retry_on=retry_on)(str(path), 9))

    assert path.read_text() == "." * attempts
    if retry_on is _broken:
        (warned,) = of(seen, Warned)
        assert "retry_on raised ZeroDivisionError" in warned.message


def test_others_go_on_while_a_call_waits_for_its_retry(
    scheduler: Scheduler, seen: RecordingObserver, tmp_path: Path
) -> None:
    slow = fail_until.options(retries=1, retry_delay=0.3)(str(tmp_path / "n"), 1)

    assert scheduler.run([slow, inc(1), inc(inc(5))]) == [2, 2, 7]

    done = [each.task for each in of(seen, JobDone)]
    assert done.index("language.fail_until") == len(done) - 2, "only the root ended later"


def test_a_failure_ends_the_wait_for_retries(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    path = str(tmp_path / "n")
    waiting = fail_until.options(retries=1, retry_delay=timedelta(hours=1))(path, 1)

    with pytest.raises(ValueError, match="meanwhile"):
        scheduler.run([waiting, tasks.fail(after(path, "meanwhile"))])

    states = {backend.tasks[j.task_hash].name: j.state_type for j in backend.jobs.values()}
    assert states["fail_until"] is State.CANCELLED


@task(namespace="language", version="1")
def after(path: str, message: str) -> str:
    """Wait until another call has begun, and a moment longer, for it to fail."""
    while not Path(path).exists():
        time.sleep(0.01)
    time.sleep(0.2)
    return message


def test_a_retry_that_caught_errors_need_not_run(scheduler: Scheduler, tmp_path: Path) -> None:
    """An error is what the last attempt raised: until then nobody recovers."""
    from taskgraph import catch

    call = fail_until.options(retries=1)(str(tmp_path / "n"), 1)

    assert scheduler.run(catch(call, tasks.Flaky, tasks.describe)) == 2


DELAYS = [
    (1, ListedDelay((1.0,))),
    (0, ListedDelay((0.0,))),
    (timedelta(minutes=1), ListedDelay((60.0,))),
    ([1, timedelta(seconds=2)], ListedDelay((1.0, 2.0))),
    (exponential(2), ExponentialDelay(2, 2.0, 300.0, 0.5)),
]


@pytest.mark.parametrize(("given", "read"), DELAYS, ids=repr)
def test_a_delay_is_read(given: Any, read: Any) -> None:
    assert read_delay(given) == read


@pytest.mark.parametrize("wrong", ["soon", -1, [], [1, "x"], True, None, float("inf"), [-1]])
def test_what_is_no_delay_is_refused(wrong: Any) -> None:
    with pytest.raises(TaskOptionError, match="retry_delay"):
        inc.options(retry_delay=wrong)


@pytest.mark.parametrize("wrong", ["ValueError", int, 3, [ValueError, 3], ()])
def test_what_is_no_kind_of_error_is_refused(wrong: Any) -> None:
    with pytest.raises(TaskOptionError, match="retry_on"):
        inc.options(retry_on=wrong)


def test_listed_delays_end_with_their_last() -> None:
    assert [ListedDelay((1.0, 5.0)).seconds(n) for n in (1, 2, 3, 9)] == [1.0, 5.0, 5.0, 5.0]


def test_exponential_delays_grow_up_to_a_limit() -> None:
    exact = exponential(1, factor=3, most=20, jitter=0)

    assert [exact.seconds(n) for n in (1, 2, 3, 4, 5000)] == [1, 3, 9, 20, 20]


def test_chance_shortens_delays_and_never_lengthens_them() -> None:
    found = {exponential(8, jitter=0.25).seconds(1) for _ in range(200)}

    assert len(found) > 100
    assert 6 <= min(found) <= max(found) <= 8


@pytest.mark.parametrize("wrong", [{"factor": 0.5}, {"jitter": 2}, {"most": -1}, {"first": -1}])
def test_delays_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        exponential(**{"first": 1.0, **wrong})


def test_one_class_of_errors_is_read_like_many() -> None:
    assert read_retry_on(KeyError) == read_retry_on([KeyError]) == (KeyError,)


# Time limits


def test_a_call_in_time_is_none_the_worse_for_its_limit(scheduler: Scheduler) -> None:
    assert scheduler.run([sleep.options(timeout=60)(0.0), inc(1)]) == [0.0, 2]


def test_a_call_that_takes_too_long_fails(
    scheduler: Scheduler, backend: MemoryBackend, seen: RecordingObserver, executor: str
) -> None:
    if executor == "inline":
        assert scheduler.run(sleep.options(timeout=0.001)(0.01)) == 0.01
        assert "cannot stop a call" in of(seen, Warned)[0].message
        return

    with pytest.raises(TaskTimeoutError, match=r"language.sleep ran for more than 0.2 s"):
        scheduler.run(sleep.options(timeout=timedelta(seconds=0.2))(30.0))

    (job,) = jobs_of(backend, "sleep")
    assert job.state_type is State.FAILED
    warnings = [each.message for each in of(seen, Warned)]
    assert len(warnings) == (1 if executor == "threads" else 0)
    assert scheduler.run([inc(each) for each in range(30, 50)]) == list(range(31, 51))


def test_a_call_that_takes_too_long_is_tried_again(scheduler: Scheduler, tmp_path: Path) -> None:
    for name in ("threads", "processes"):
        limited = slow_once.options(timeout=1.5, retries=1, executor=name)

        assert scheduler.run(limited(str(tmp_path / name))) == "quick"


@task(namespace="language")
def slow_once(path: str) -> str:
    try:
        with open(path, "x"):
            time.sleep(20)
        return "slow"
    except FileExistsError:
        return "quick"


def test_many_calls_with_limits_share_the_workers(scheduler: Scheduler) -> None:
    call = number.options(timeout=60)

    assert scheduler.run([call(each) for each in range(20)]) == list(range(20))


def test_all_options_are_told() -> None:
    assert set(KNOWN_OPTIONS) >= {"retries", "retry_delay", "retry_on", "timeout", "tags"}
    assert all(KNOWN_OPTIONS.values())
    assert get_task_registry().find("language.inc") is inc


# Hints


class Noting:
    """An executor that notes what calls say that they need, and runs them elsewhere."""

    def __init__(self) -> None:
        self.name = "noting"
        self.inner = InlineExecutor()
        self.seen: dict[str, Resources] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def submit(self, calls: Sequence[Call]) -> None:
        self.seen.update({each.fullname: each.resources for each in calls})
        self.inner.submit(calls)


def test_hints_reach_the_executor() -> None:
    noting = Noting()
    with Scheduler(backend=MemoryBackend()) as scheduler:
        scheduler.add_executor(noting)
        expr = [
            inc.options(cpus=4, memory="4GB")(1),
            number.options(gpus=tasks.double(1), memory=2.5)(1),
            total.options(memory="512 MiB", cpus=0.5)([1]),
            tagged(1),
        ]
        scheduler.run(expr, options={"executor": "noting"})

    assert noting.seen == {
        "language.inc": Resources(cpus=4, memory=4 * 10**9),
        "language.number": Resources(gpus=2, memory=5 * 2**29),
        "language.double": Resources(),
        "language.total": Resources(cpus=0.5, memory=2**29),
        "language.tagged": Resources(),
    }


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"memory": "much"}, "must be a number of GiB or a size as \"4GB\"; not 'much'"),
        ({"memory": "4XB"}, "a size as"),
        ({"memory": -1}, "must be a number, 0 or more"),
        ({"memory": [1]}, "must be a number"),
        ({"cpus": "4"}, "must be a number, 0 or more"),
        ({"cpus": True}, "must be a number"),
        ({"gpus": float("inf")}, "must be a number"),
    ],
)
def test_hints_that_are_none_are_refused(options: Any, match: str) -> None:
    with pytest.raises(TaskOptionError, match=match):
        inc.options(**options)


def test_what_keeps_more_cores_busy_than_there_are_runs(scheduler: Scheduler) -> None:
    calls = [inc.options(cpus=1 + n % 64)(n) for n in range(20)]

    assert scheduler.run(total(calls)) == sum(range(1, 21))
