"""Handles: what their service goes through is what a fresh run would have taken it through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, catch, cond, merge_handles, seq
from taskgraph.errors import HandleError
from taskgraph.events import CacheEntryRefused
from taskgraph.functools import map_
from taskgraph.testing import MemoryBackend, RecordingObserver
from tests.language.handle_tasks import (
    Box,
    Db,
    boxed,
    count,
    fail_after,
    inside,
    ladder,
    nothing,
    opened,
    process_of,
    put,
    put_both,
    slow_name,
    split,
    steps_itself,
    third_time,
    unbox,
)

Run = Callable[[Any], list[str]]


@pytest.fixture
def db(tmp_path: Path) -> Db:
    return Db("main", str(tmp_path / "service.db"))


@pytest.fixture
def run(scheduler: Scheduler, db: Db) -> Run:
    """Run something, and give the names of what was done to the service, sorted."""

    def run_it(expr: Any, **how: Any) -> list[str]:
        scheduler.run(expr, **how)
        return sorted(db.take_log())

    return run_it


def test_nothing_is_done_twice(run: Run, db: Db) -> None:
    assert run(put(put(db, "a", "1"), "b", "2")) == ["a", "b"]

    assert run(put(put(db, "a", "1"), "b", "2")) == []


def test_reverting_does_again_what_came_after(run: Run, db: Db) -> None:
    first = put(put(db, "a", "1"), "b", "", "a")
    other = put(put(db, "a", "2"), "b", "", "a")

    assert [run(first), run(other), run(first), run(first)] == [["a", "b"]] * 3 + [[]]
    assert db.cell("b") == "1"


def test_a_change_further_on_leaves_what_is_before_alone(run: Run, db: Db) -> None:
    run(put(put(put(db, "a", "1"), "b", "1"), "c", "1"))

    assert run(put(put(put(db, "a", "1"), "b", "2"), "c", "1")) == ["b", "c"]
    assert run(put(put(put(db, "a", "1"), "b", "1"), "c", "1")) == ["b", "c"]


def test_a_result_that_is_no_handle_is_not_taken_from_another_state(run: Run, db: Db) -> None:
    assert run(count(put(db, "a", "1"), "a")) == ["a", "count of a"]
    assert run(count(put(db, "a", "22"), "a")) == ["a", "count of a"]

    assert run(count(put(db, "a", "1"), "a")) == ["a", "count of a"]


def test_branches_are_left_alone_by_each_other(run: Run, db: Db) -> None:
    run([put(db, "a", "1"), put(put(db, "b", "1"), "c", "1")])

    assert run([put(db, "a", "2"), put(put(db, "b", "1"), "c", "1")]) == ["a"]
    assert run([put(db, "a", "1"), put(put(db, "b", "1"), "c", "1")]) == ["a"]


def test_a_branch_that_comes_later_is_left_alone_too(run: Run, db: Db) -> None:
    run([put(db, "a", "1"), put(db, slow_name("b"), "1"), put(db, slow_name(slow_name("c")), "1")])

    assert run(
        [put(db, "a", "2"), put(db, slow_name("b"), "1"), put(db, slow_name(slow_name("c")), "1")]
    ) == ["a"]


def test_what_a_run_has_begun_is_not_left_by_what_it_begins_later(run: Run, db: Db) -> None:
    def program(text: str) -> Any:
        late = slow_name(slow_name(slow_name(slow_name(f"b{text}"))))
        return [inside(put(db, "a", "1"), text), put(db, late, text)]

    run(program("1"))

    assert run(program("2")) == ["b2", "inside", "outside"]
    assert run(program("2")) == []


def test_what_moves_to_the_place_of_another_takes_it_back(run: Run, db: Db) -> None:
    run([put(db, "a", "1"), put(db, "b", "1")])
    run([put(db, "b", "2")])

    assert run([put(db, "a", "1"), put(db, "b", "1")]) == ["a", "b"]
    assert db.cell("b") == "1"


def test_a_call_that_moves_to_another_branch_and_back_is_noticed(run: Run, db: Db) -> None:
    first = put(db, "a", "1")
    beside = [put(first, "b", "1"), put(first, "c", "1", "a")]
    run(beside)
    assert run(put(put(first, "b", "1"), "c", "1", "b")) == ["c"]

    assert run(beside) == ["c"]
    assert db.cell("c") == "11"


def test_wrapping_a_call_and_back_is_noticed(run: Run, db: Db) -> None:
    run(seq([put(db, "a", "1")]))
    run(catch(put(db, "a", "2"), ValueError, nothing))

    assert run(seq([put(db, "a", "1")])) == ["a"]


def test_a_call_that_is_added_elsewhere_changes_no_branch(run: Run, db: Db) -> None:
    run([put(db, "a", "1"), put(db, "b", "1")])

    assert run([slow_name("x"), put(db, "a", "1"), count(put(db, "b", "1"), "b")]) == ["count of b"]


def test_merged_branches_are_left_if_one_of_them_is(run: Run, db: Db) -> None:
    def program(left: str) -> Any:
        both = merge_handles([put(db, "a", left), put(db, "b", "1")])
        return put(both, "c", "", "a")

    assert run(program("1")) == ["a", "b", "c"]
    assert run(program("2")) == ["a", "c"]
    assert run(program("1")) == ["a", "c"]
    assert run(program("1")) == []
    assert db.cell("c") == "1"


def test_handles_are_followed_into_containers(run: Run, db: Db) -> None:
    assert run(put(put_both(split(db)), "c", "1")) == ["c", "l", "r", "split"]
    assert run(put(put_both(split(db)), "c", "1")) == []
    assert run(put(put_both(split(db)), "c", "2")) == ["c"]


def test_calls_in_a_body_go_on_from_there(run: Run, db: Db) -> None:
    assert run(put(inside(db, "1"), "b", "1")) == ["b", "inside", "outside"]
    assert run(put(inside(db, "1"), "b", "1")) == []
    assert run(put(inside(db, "2"), "b", "1")) == ["b", "inside", "outside"]


def test_a_whole_call_is_used_if_no_state_in_it_was_left(run: Run, db: Db) -> None:
    whole = inside.options(check_valid="shallow")
    run(whole(db, "1"))

    assert run(whole(db, "1")) == []
    run(whole(db, "2"))
    assert run(whole(db, "1")) == ["inside", "outside"]


def test_a_failure_leaves_what_came_from_its_branch(run: Run, db: Db) -> None:
    run([put(put(db, "a", "1"), "b", "1"), put(db, "c", "1")])

    with pytest.raises(ValueError, match="has failed"):
        run([put(fail_after(db, "a", "2"), "b", "1"), put(db, "c", "1")])

    db.take_log()
    assert run([put(put(db, "a", "1"), "b", "1"), put(db, "c", "1")]) == ["a", "b"]


def test_others_go_on_after_a_failure_if_asked_to(run: Run, db: Db) -> None:
    program = [put(fail_after(db, "a", "2"), "b", "1"), put(put(db, "c", "1"), "d", "1")]
    with pytest.raises(ValueError, match="has failed"):
        run(program, fail_fast=False)
    assert sorted(db.take_log()) == ["a", "c", "d"]

    with pytest.raises(ValueError, match="has failed"):
        run(program, fail_fast=False)
    assert sorted(db.take_log()) == ["a"]


def test_each_attempt_has_a_connection_of_its_own(run: Run, db: Db, tmp_path: Path) -> None:
    assert run(third_time(db, str(tmp_path / "marks"))) == ["third"]
    assert run(third_time(db, str(tmp_path / "marks"))) == []


def test_equal_calls_are_one_call(run: Run, db: Db) -> None:
    assert run([put(db, "a", "1"), put(db, "a", "1")]) == ["a"]
    assert run([put(db, "a", "1"), put(db, "a", "1")]) == []


def test_equal_calls_in_other_contexts_are_one_too(run: Run, db: Db) -> None:
    program = [put(db, "a", "1"), put.update_context(x=1)(db, "a", "1")]

    assert run(program) == ["a"]
    assert run(program) == []


def test_one_handle_for_many_calls(run: Run, db: Db) -> None:
    def program(names: str) -> Any:
        return map_(put.partial(db, text="1"), list(names))

    assert run(program("abc")) == ["a", "b", "c"]
    assert run(program("abc")) == []
    assert run(program("abd")) == ["d"]


def test_conditions_choose_a_branch(run: Run, db: Db) -> None:
    def program(text: str) -> Any:
        return cond(count(put(db, "a", text), "a") == 1, put(db, "b", "1"), put(db, "c", "1"))

    assert run(program("1")) == ["a", "b", "count of a"]
    assert run(program("22")) == ["a", "c", "count of a"]
    # The service is not as `b` left it: `a` was done anew, and nobody asked for `b` then.
    assert run(program("1")) == ["a", "b", "count of a"]


def test_a_handle_that_a_body_makes_is_followed_from_there(run: Run, db: Db) -> None:
    assert run(put(opened(db.path, "1"), "a", "1")) == ["a", "opened"]
    assert run(put(opened(db.path, "1"), "a", "1")) == []
    assert run(put(opened(db.path, "2"), "a", "1")) == ["a", "opened"]
    assert run(put(opened(db.path, "1"), "a", "1")) == ["a", "opened"]


def test_the_connection_is_made_where_the_call_runs(scheduler: Scheduler, db: Db) -> None:
    made_in, ran_in = scheduler.run(process_of(db))

    assert made_in == ran_in


def test_the_result_knows_the_call_and_has_no_connection_yet(scheduler: Scheduler, db: Db) -> None:
    made = scheduler.run(put(db, "a", "1"))

    assert "instance" not in vars(made)
    assert made.__handle__.call_hash
    assert made.cell("a") == "1"


def test_a_handle_where_it_cannot_be_followed_is_refused(scheduler: Scheduler, db: Db) -> None:
    with pytest.raises(HandleError, match=r"lies inside of a tests\.language\.handle_tasks\.Box"):
        scheduler.run(unbox(Box(db)))
    with pytest.raises(HandleError, match="Give it by itself, or in a list"):
        scheduler.run(boxed(db))


def test_what_was_left_is_said_to_be_the_reason(
    scheduler: Scheduler, db: Db, seen: RecordingObserver
) -> None:
    for text in "121":
        scheduler.run(put(db, "a", text))

    (refused,) = [each for each in seen.events if isinstance(each, CacheEntryRefused)]
    assert (
        "the service of handle 'handles.main' is not, or no more, as this call left it"
        in refused.reason
    )


def test_no_cache_does_all_again_and_leaves_it_done(run: Run, db: Db) -> None:
    run(put(put(db, "a", "1"), "b", "1"))

    assert run(put(put(db, "a", "1"), "b", "1"), cache=False) == ["a", "b"]
    assert run(put(put(db, "a", "1"), "b", "1")) == []


def test_a_plan_says_what_a_run_does(scheduler: Scheduler, run: Run, db: Db) -> None:
    run(put(put(db, "a", "1"), "b", "1"))
    run(put(put(db, "a", "2"), "b", "1"))

    assert scheduler.plan(put(put(db, "a", "2"), "b", "1")).is_nothing
    assert len(scheduler.plan(put(put(db, "a", "1"), "b", "1")).bodies) == 2


def test_runs_without_handles_never_ask_for_any(
    scheduler: Scheduler, backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(hashes: Any) -> Any:
        raise AssertionError("nobody needs to know")

    monkeypatch.setattr(backend, "find_valid_handles", refuse)
    monkeypatch.setattr(backend, "find_handles_below", refuse)

    for _ in range(2):
        assert scheduler.run([slow_name("a"), slow_name.options(check_valid="shallow")("b")])


def test_a_handle_goes_through_calls_that_a_body_awaits(run: Run, db: Db) -> None:
    done = ["count of x", "x", "y", "z"]
    assert run(ladder(db, "1")) == done
    assert run(ladder(db, "1")) == []
    assert run(ladder(db, "22")) == done
    assert run(ladder(db, "1")) == done
    assert (db.cell("y"), db.cell("z")) == ("11", "11")
    assert run(ladder(db, "1")) == []


def test_a_body_that_uses_a_handle_and_awaits_is_one_step(run: Run, db: Db) -> None:
    assert run(steps_itself(db, "1")) == ["after", "by itself"]
    assert run(steps_itself(db, "1")) == []
    assert run(steps_itself(db, "2")) == ["after", "by itself"]
    assert run(steps_itself(db, "1")) == ["after", "by itself"]
    assert db.cell("after") == "1"
