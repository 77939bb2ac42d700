"""What leaves no rows: `prov=False`, and `no_prov` around an expression."""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgraph import (
    File,
    Scheduler,
    apply_tags,
    catch,
    get_context,
    get_task_registry,
    scheduler_task,
    task,
)
from taskgraph.assembly.reading import find_record
from taskgraph.errors import DryRunResult, ExplanationError, TaskOptionError
from taskgraph.functools import no_prov
from taskgraph.provenance.reading import lineage_of
from taskgraph.records import State
from taskgraph.tasks.task import Task
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.language.tasks import (
    call_with,
    describe,
    fail,
    fail_later,
    fail_until,
    inc,
    number,
    sum_of_fan,
    total,
    twice_later,
    unrecorded,
)

EXAMPLES = 600 if os.environ.get("TASKGRAPH_TORTURE") else 15

ran: list[str] = []


def names(backend: MemoryBackend) -> list[str]:
    """Return the tasks of the jobs that are written down."""
    return sorted(backend.tasks[each.task_hash].name for each in backend.jobs.values())


def memory(scheduler: Scheduler) -> MemoryBackend:
    assert isinstance(scheduler.backend, MemoryBackend)
    return scheduler.backend


def define(name: str, version: str, body: Any, **options: Any) -> Task[..., Any]:
    made: Task[..., Any] = task(name=name, namespace="unrecorded", version=version, **options)(body)
    return made


# A call and all below it


def test_a_call_and_all_below_leave_no_rows(scheduler: Scheduler, backend: MemoryBackend) -> None:
    assert scheduler.run(inc(sum_of_fan.options(prov=False)(4))) == 11

    assert names(backend) == ["inc", "root_task"]
    assert {each.task_name for each in backend.call_nodes.values()} == {
        "taskgraph.root_task",
        "language.inc",
    }
    assert len(backend.evaluations) == 1
    previews = {each.preview for each in backend.values.values()}
    assert "10" in previews, "the argument of a call that is recorded is"
    assert "6" not in previews, "a value on the way is not"


def test_it_cannot_be_recorded_again_below(scheduler: Scheduler, backend: MemoryBackend) -> None:
    @task(namespace="unrecorded", version="1")
    def caller(func: Any) -> Any:
        return func.options(prov=True).export_options(prov=True)(1)

    scheduler.run([caller.options(prov=False)(twice_later), inc(1)])

    assert names(backend) == ["inc", "root_task"]


def test_whatever_hands_it_on(scheduler: Scheduler, backend: MemoryBackend) -> None:
    for call in (
        twice_later.export_options(prov=False)(1),
        twice_later.options(prov=number(False))(1),
        unrecorded(1),
    ):
        scheduler.run([call])

    assert names(backend) == ["number", "root_task", "root_task", "root_task"]


@pytest.mark.parametrize("value", [None, 0, "no"])
def test_it_is_true_or_false(value: Any) -> None:
    with pytest.raises(TaskOptionError, match="must be True or False"):
        inc.options(prov=value)


def test_a_run_without_provenance_leaves_nothing(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    assert scheduler.run(sum_of_fan(3), options={"prov": False}, tags={"a": 1}) == 6
    with pytest.raises(ValueError, match="broken"):
        scheduler.run(fail_later("broken"), options={"prov": False})

    assert not backend.jobs
    assert not backend.executions
    assert not backend.values
    assert not backend.tasks
    assert not backend.tags


def test_nothing_is_looked_up_or_shared(inline: Scheduler) -> None:
    body = define("noted", "1", lambda x: ran.append("noted") or x)

    inline.run([body(1), body.options(prov=False)(1), body.options(prov=False)(1), body(1)])
    inline.run([body(1), body.options(prov=False)(1)])

    assert ran == ["noted"] * 4


def test_an_expression_that_is_there_twice_is_evaluated_once(inline: Scheduler) -> None:
    call = define("noted", "1", lambda x: ran.append("noted") or x).options(prov=False)(1)

    assert inline.run([call, call]) == [1, 1]
    assert ran == ["noted"]


def test_arguments_and_results_need_no_hash(inline: Scheduler) -> None:
    lock = threading.Lock()
    same = define("same", "1", lambda x: x)
    is_lock = define("is_lock", "1", lambda x: x is lock)

    @task(namespace="unrecorded", version="1")
    def holds() -> Any:
        return is_lock.options(prov=False)(same.options(prov=False)(lock))

    assert inline.run(holds()) is True
    assert names(memory(inline)) == ["holds"]
    assert memory(inline).call_nodes, "of what is recorded there is a call all the same"


def test_what_has_no_hash_is_refused_by_a_recorded_call(inline: Scheduler) -> None:
    same = define("same", "1", lambda x: x)

    with pytest.raises(Exception, match="lock"):
        inline.run(same(same.options(prov=False)(threading.Lock())))


def test_a_wrong_call_is_wrong_all_the_same(scheduler: Scheduler, backend: MemoryBackend) -> None:
    @task(namespace="unrecorded", version="1")
    def caller(func: Any) -> Any:
        return func(1)

    with pytest.raises(TypeError, match="missing"):
        scheduler.run(caller.options(prov=False)(call_with))

    assert names(backend) == []


def test_failures_are_told_with_all_calls_on_the_way(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    with pytest.raises(ValueError, match="broken") as caught:
        scheduler.run([inc(1), call_with(fail_later.options(prov=False), "broken")])

    trace = caught.value.__taskgraph_trace__  # type: ignore[attr-defined]  # put there by the engine
    assert [each.task.split(".")[1] for each in trace.tasks] == [
        *("root_task", "call_with", "fail_later", "fail")
    ]
    assert trace.tasks[-1].arguments == (("message", "'broken'"),)
    assert trace.frames[-1].name == "fail"
    assert not trace.is_body, "it has no record to run it again from"
    states = {backend.tasks[j.task_hash].name: j.state_type for j in backend.jobs.values()}
    assert states["call_with"] is states["root_task"] is State.FAILED
    assert "fail" not in states


def test_failures_are_recovered_from(scheduler: Scheduler, backend: MemoryBackend) -> None:
    call = catch(fail.options(prov=False)("a"), ValueError, describe)

    assert scheduler.run(call) == "ValueError a"
    assert names(backend) == ["catch", "describe"]


def test_it_is_tried_again_and_limited(
    scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path
) -> None:
    call = fail_until.options(prov=False, retries=2, limits=["one"])

    assert scheduler.run([call(str(tmp_path / "a"), 2), call(str(tmp_path / "b"), 1)]) == [3, 2]
    assert names(backend) == ["root_task"]
    assert not backend.tags


def test_an_attempt_that_changed_its_argument_is_the_last(inline: Scheduler) -> None:
    def spoil(items: list[int]) -> None:
        ran.append("spoil")
        items.append(1)
        raise ValueError(items)

    with pytest.raises(ValueError, match="1") as caught:
        inline.run([define("spoil", "1", spoil).options(prov=False, retries=5)([])])

    assert ran == ["spoil"]
    assert "in place" in "".join(caught.value.__notes__)


def test_no_tags_either(scheduler: Scheduler, backend: MemoryBackend) -> None:
    @task(namespace="unrecorded", version="1", tags={"own": 1})
    def tagging() -> Any:
        return apply_tags(inc(1), {"a": 1}, {"b": 2}, {"c": 3})

    assert scheduler.run([tagging.options(prov=False)()]) == [2]
    assert not backend.tags


def test_files_go_through(scheduler: Scheduler, backend: MemoryBackend, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one")

    for text in ("one", "two", "two"):
        path.write_text(text)
        assert scheduler.run(read(number.options(prov=False)(File(str(path))))) == text

    assert [job.cached for job in backend.jobs.values()].count(True) == 1


@task(namespace="unrecorded", version="1")
def read(file: File) -> Any:
    return file.read()


# What is around it answers for it


@scheduler_task(namespace="unrecorded", version="1")
def stepped(expr: Any) -> Any:
    return (yield expr)


def outer_of(inner: Task[..., Any], **options: Any) -> Task[..., Any]:
    return define("outer", "1", lambda: inner.options(prov=False)(), **options)


def test_a_whole_call_answers_for_code_that_ran_unrecorded(inline: Scheduler) -> None:
    def leaf(version: str, result: int) -> Task[..., Any]:
        return define("leaf", version, lambda: ran.append(version) or result)

    def between(version: str) -> Any:
        return define("between", "1", lambda: get_task_registry().get("unrecorded.leaf")())

    leaf("1", 1)
    outer = outer_of(between("1"), check_valid="shallow")
    assert [inline.run(outer()) for _ in range(2)] == [1, 1]
    assert ran == ["1"], "it was used as a whole"

    leaf("2", 1)  # an equal result of other code is another call
    assert [inline.run(outer()) for _ in range(2)] == [1, 1]
    assert ran == ["1", "2"]
    assert len({each.value_hash for each in memory(inline).call_nodes.values()}) == 1
    assert len(memory(inline).call_nodes) == 2

    leaf("1", 1)
    assert inline.run(outer()) == 1
    assert ran == ["1", "2"], "what was recorded for the first code is found again"


def test_a_reduction_that_is_replayed_runs_it_again(inline: Scheduler) -> None:
    leaf = define("leaf", "1", lambda: ran.append("leaf") or 1)
    outer = outer_of(leaf)

    assert [inline.run(outer()) for _ in range(2)] == [1, 1]

    assert ran == ["leaf", "leaf"]
    assert [each.cached for each in memory(inline).jobs.values()] == [False, True]


def test_a_whole_call_answers_for_the_context_and_defaults_below(inline: Scheduler) -> None:
    leaf = define("leaf", "1", lambda a=get_context("x"), b=5: [a, b])
    outer = outer_of(leaf, check_valid="shallow")

    assert inline.run(outer(), context={"x": 1}) == [1, 5]
    assert inline.run(outer(), context={"x": 2}) == [2, 5]
    jobs = len(memory(inline).jobs)
    assert inline.run(outer(), context={"x": 1}) == [1, 5]
    (job,) = list(memory(inline).jobs.values())[jobs:]
    assert job.cached

    define("leaf", "1", lambda a=get_context("x"), b=6: [a, b])
    outer = outer_of(get_task_registry().get("unrecorded.leaf"), check_valid="shallow")
    assert inline.run(outer(), context={"x": 1}) == [1, 6]


def test_a_recovery_below_is_not_used_as_a_whole(inline: Scheduler) -> None:
    @task(namespace="unrecorded", version="1")
    def recovering() -> Any:
        return catch(fail_noted(), ValueError, describe)

    @task(namespace="unrecorded", version="1")
    def fail_noted() -> Any:
        ran.append("fail")
        raise ValueError("a")

    outer = outer_of(recovering, check_valid="shallow")
    for _ in range(2):
        assert inline.run(outer()) == "ValueError a"
    assert ran == ["fail", "fail"]


# no_prov


def test_only_the_outer_call_is_recorded_and_cached(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    for _ in range(2):
        assert scheduler.run(total([no_prov(sum_of_fan(4)), inc(inc(1))])) == 13

    assert names(backend) == sorted([*("root_task", "total", "no_prov", "inc", "inc")] * 2)
    cached = [
        j.cached for j in backend.jobs.values() if backend.tasks[j.task_hash].name == "no_prov"
    ]
    assert cached == [False, True]


@pytest.mark.parametrize("check_valid", ["full", "shallow"])
def test_code_below_it_that_changes_makes_it_run_again(inline: Scheduler, check_valid: str) -> None:
    def run() -> Any:
        options = {"check_valid": check_valid}
        return inline.run(no_prov(get_task_registry().get("unrecorded.top")()), options=options)

    define("leaf", "1", lambda: ran.append("leaf 1") or 1)
    define("top", "1", lambda: get_task_registry().get("unrecorded.leaf")())
    assert [run(), run()] == [1, 1]
    define("leaf", "2", lambda: ran.append("leaf 2") or 2)
    assert [run(), run()] == [2, 2]
    define("top", "2", lambda: 7)
    assert [run(), run()] == [7, 7]

    assert ran == ["leaf 1", "leaf 2"]


def test_what_is_written_down_in_it_counts(inline: Scheduler, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    reading = define("reading", "1", lambda file, x: ran.append("read") or (file.read(), x))

    for text, x in (("one", 1), ("one", 1), ("two", 1), ("two", 2)):
        path.write_text(text)
        assert inline.run(no_prov(reading(File(str(path)), x))) == (text, x)

    assert ran == ["read"] * 3


def test_a_file_that_it_gave_and_that_changed_makes_it_run_again(
    inline: Scheduler, tmp_path: Path
) -> None:
    path = tmp_path / "out.txt"

    def write() -> Any:
        ran.append("write")
        path.write_text("made")
        return File(str(path))

    writing = define("writing", "1", write)
    for _ in range(2):
        assert inline.run(no_prov(writing())).read() == "made"
    path.write_text("spoilt")
    assert inline.run(no_prov(writing())).read() == "made"

    assert ran == ["write"] * 2


def test_the_context_counts_in_it(inline: Scheduler) -> None:
    reading = define("reading", "1", lambda x=get_context("a.b"): ran.append("read") or x)

    for value in (1, 1, 2, 1):
        assert inline.run(no_prov(reading()), context={"a": {"b": value}, "c": len(ran)}) == value

    assert ran == ["read"] * 2


def test_it_fails_and_recovers_as_without_it(scheduler: Scheduler, backend: MemoryBackend) -> None:
    for _ in range(2):  # errors are never taken from the records
        with pytest.raises(ValueError, match="broken") as caught:
            scheduler.run(no_prov(fail_later("broken")))
        trace = caught.value.__taskgraph_trace__  # type: ignore[attr-defined]  # put by the engine
        assert trace.tasks[-1].task == "language.fail"
        assert scheduler.run(catch(no_prov(fail("a")), ValueError, describe)) == "ValueError a"

    states = [j.state_type for j in backend.jobs.values()]
    assert names(backend).count("no_prov") == 4
    assert states.count(State.FAILED) == 4


def test_without_the_cache_it_runs(inline: Scheduler) -> None:
    body = define("noted", "1", lambda: ran.append("noted") or 1)

    for _ in range(2):
        inline.run(no_prov(body()), cache=False)
    inline.run(no_prov(body()))

    assert ran == ["noted"] * 2


def test_equal_ones_of_a_run_are_evaluated_once(inline: Scheduler) -> None:
    body = define("noted", "1", lambda: ran.append("noted") or 1)

    assert inline.run([no_prov(body()), no_prov(body()), no_prov([body()])]) == [1, 1, [1]]
    assert ran == ["noted"] * 2


def test_a_scheduler_task_may_be_looked_up_as_a_whole(inline: Scheduler) -> None:
    body = define("noted", "1", lambda x: ran.append("noted") or x, cache=False)

    for _ in range(2):
        assert inline.run(stepped.options(check_valid="shallow")(body(1))) == 1
    assert ran == ["noted"]
    assert inline.run(stepped(body(1)), options={"check_valid": "shallow"}) == 1
    assert ran == ["noted"] * 2, "said of all of a run it is said of none in particular"


# Whatever is called in whatever way, an edit is never missed

SIZE = 5
WAYS = st.sampled_from(["plain", "shallow", "unrecorded", "no_prov", "handed on", "caught"])
# For each task its number, and the later tasks that it calls, each in some way.
CODE = st.tuples(
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(1, SIZE - 1), WAYS), max_size=3),
)


def written(way: str, called: Task[..., Any]) -> Any:
    match way:
        case "plain":
            return called()
        case "shallow":
            return called.options(check_valid="shallow")()
        case "unrecorded":
            return called.options(prov=False)()
        case "no_prov":
            return no_prov(called())
        case "handed on":
            return called.export_options(check_valid="shallow")()
        case _:
            return catch(no_prov(called()), ValueError, describe)


def define_all(codes: list[Any]) -> Task[..., Any]:
    """Define a task for each code; its version is its code."""

    def body(own: int, calls: list[tuple[int, str]]) -> Any:
        find = get_task_registry().get
        return total([own, *(written(way, find(f"unrecorded.t{n}")) for n, way in calls)])

    for index, (own, calls) in enumerate(codes):
        later = [(index + step, way) for step, way in calls if index + step < SIZE]
        define(f"t{index}", f"{own} {later}", functools.partial(body, own, later))
    return get_task_registry().get("unrecorded.t0")


def value_of(codes: list[Any], index: int = 0) -> int:
    own, calls = codes[index]
    later = [index + step for step, _ in calls if index + step < SIZE]
    return int(own + sum(value_of(codes, each) for each in later))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(CODE, min_size=SIZE, max_size=SIZE),
    st.lists(st.tuples(st.integers(0, SIZE - 1), CODE, WAYS), min_size=1, max_size=4),
)
def test_an_edit_is_never_missed(codes: list[Any], edits: list[Any]) -> None:
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        assert scheduler.run([written("shallow", define_all(codes))]) == [value_of(codes)]
        for index, code, way in edits:
            codes[index] = code
            for _ in range(2):
                assert scheduler.run([written(way, define_all(codes))]) == [value_of(codes)]


# Plans


def test_a_plan_knows_that_it_will_run(inline: Scheduler) -> None:
    leaf = define("leaf", "1", lambda x: ran.append("leaf") or x)

    expr = [inc(leaf.options(prov=False)(1)), no_prov(leaf(leaf(2)))]
    first = inline.plan(expr)
    assert [each.task for each in first.calls] == [
        *("unrecorded.leaf", "language.inc", "unrecorded.leaf", "unrecorded.leaf")
    ]
    inline.run(expr)
    second = inline.plan(expr)

    first_call = second.calls[0]
    assert (first_call.task, first_call.why) == (
        "unrecorded.leaf",
        "the cache was not asked: prov=False",
    )
    assert [each.task for each in second.calls] == ["unrecorded.leaf", "language.inc"]
    assert ran == ["leaf"] * 3
    inline.run(expr, max_rerun=0)


def test_a_dry_run_stops_before_it(inline: Scheduler) -> None:
    with pytest.raises(DryRunResult) as caught:
        inline.run(no_prov(inc(1)), dryrun=True)

    assert caught.value.calls == ("language.inc(1)",)


# In a database: explanations, lineage, and the records as a whole


def test_records_around_it_are_sound_and_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"

    def write(text: str) -> Any:
        path.write_text(text)
        return File(str(path))

    writing = define("writing", "1", write)
    told: list[Any] = []
    with Scheduler(backend=f"sqlite:///{tmp_path}/taskgraph.db", executor="inline") as scheduler:
        for _ in range(2):
            scheduler.run(read(no_prov(writing("a"))), explain=told.append)
            scheduler.run(read(writing.options(prov=False)("b")), explain=told.append)
        pages = [lineage_page(scheduler, path)]
        scheduler.run(no_prov(writing("b")))
        pages.append(lineage_page(scheduler, path))
        assert isinstance(scheduler.backend, SqlBackend)
        assert check(scheduler.backend) == []

    assert [each.task for each in told] == ["unrecorded.read"] * 2
    assert "taskgraph.no_prov(expr=unrecorded.writing('a'))" in pages[0]
    assert "taskgraph.no_prov(expr=unrecorded.writing('b'))" in pages[1]


def lineage_page(scheduler: Scheduler, path: Path) -> str:
    with scheduler.reading() as reader:
        return str(lineage_of(reader, find_record(reader, scheduler.settings, str(path)), "out"))


def test_a_call_that_leaves_no_records_has_no_explanation(tmp_path: Path) -> None:
    with (
        Scheduler(backend=f"sqlite:///{tmp_path}/taskgraph.db") as scheduler,
        pytest.raises(ExplanationError, match="leaves no records"),
    ):
        scheduler.explain(inc.options(prov=False)(1))
