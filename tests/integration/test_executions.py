"""Executions are managed: created once, listed in pages, brought from state to state."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import F
from taskgraph.archive import Archive
from taskgraph.catalog.reading import any_of
from taskgraph.catalog.states import Outcome, State, StateType, Subject, decide
from taskgraph.errors import (
    AmbiguousIdError,
    ClosedArchiveError,
    ConflictError,
    ExecutionNotFoundError,
    IdempotencyConflictError,
    NotFoundError,
    StudyNotFoundError,
    TagKeyError,
    UnknownFilterError,
    UnknownRecordError,
    ValidationError,
    WorkspaceInUseError,
)
from taskgraph_backend.integrity import check


def _at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do work on many threads that begin together."""
    gate = threading.Barrier(count)
    found: list[Any] = [None] * count
    errors: list[BaseException] = []

    def run(number: int) -> None:
        gate.wait()
        try:
            found[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    return found


# Creating


def test_what_was_asked_for_is_what_is_found(tg: Archive, tmp_path: Path) -> None:
    made = tg.executions.create(
        "flows.main",
        {"n": 3, "paths": ["a", "b"]},
        study="nightly",
        workspace=tmp_path / "work",
        queues=["gpu", "cpu", "gpu"],
        tags={"team": "ml"},
        options={"retries": 2},
        submitted_by="ada",
        code_version="1.2",
        color="red",
    )

    found = tg.executions.get(made.execution.id[:10])
    assert made.is_new
    assert found == made.execution
    assert (found.name, found.entrypoint) == ("main", "flows.main")
    assert found.parameters == {"n": 3, "paths": ["a", "b"]}
    assert (found.study, found.submitted_by, found.code_version) == ("nightly", "ada", "1.2")
    assert found.tags == {
        "team": ["ml"],
        "color": ["red"],
        "taskgraph.queue": found.tags["taskgraph.queue"],
    }
    assert sorted(found.tags["taskgraph.queue"]) == ["cpu", "gpu"]
    assert (found.state.type, found.state.name) == (StateType.PENDING, "Pending")
    assert (found.status, found.is_active, found.successful) == ("PENDING", True, None)
    assert found.workspace == str((tmp_path / "work").resolve())
    assert tg.executions.get(tmp_path / "work") == found
    assert tg.executions.get("-") == found


def test_what_was_submitted_is_frozen(tg: Archive) -> None:
    made = tg.executions.create("f", {"n": 3}, study="s", tags={"k": [1, {"a": None}]}).execution

    tg.executions.update(made, name="another", tags={})

    frozen = tg.executions.snapshot(made)
    assert frozen["parameters"] == {"n": 3}
    assert (frozen["name"], frozen["study"]) == ("f", "s")
    assert frozen["tags"] == [["k", [1, {"a": None}]]]


def test_under_one_key_there_is_one_execution(tg: Archive) -> None:
    first = tg.executions.create("f", {"n": 1}, idempotency_key="k", state="SCHEDULED")
    again = tg.executions.create("f", {"n": 1}, idempotency_key="k", strict=True)
    other = tg.executions.create("g", {"n": 1}, idempotency_key="k")
    free = [tg.executions.create("f", {"n": 1}) for _ in range(2)]

    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert again.execution == first.execution
    assert again.execution.state.type is StateType.SCHEDULED  # the first state was kept
    assert all(each.is_new for each in free)


def test_another_request_under_a_key_is_refused_if_that_is_asked_for(tg: Archive) -> None:
    first = tg.executions.create("f", {"n": 1}, idempotency_key="k")

    lax = tg.executions.create("f", {"n": 2}, idempotency_key="k")
    with pytest.raises(IdempotencyConflictError, match="was used for another request") as caught:
        tg.executions.create("f", {"n": 2}, idempotency_key="k", strict=True)

    assert lax.execution == first.execution
    assert isinstance(caught.value, ConflictError)
    assert caught.value.execution_id == first.execution.id


def test_a_float_is_another_argument_than_the_same_as_a_whole_number(tg: Archive) -> None:
    first = tg.executions.create("f", {"n": [1]}, idempotency_key="k")

    with pytest.raises(IdempotencyConflictError):
        tg.executions.create("f", {"n": [1.0]}, idempotency_key="k", strict=True)
    again = tg.executions.create("f", {"n": [1]}, idempotency_key="k", strict=True)
    assert again.execution == first.execution


def test_thirty_at_once_with_one_key_make_one_row(tg: Archive) -> None:
    made = _at_once(
        30, lambda n: tg.executions.create("f", {"n": n}, idempotency_key="k", study="s")
    )

    assert sum(each.is_new for each in made) == 1
    assert len({each.execution.id for each in made}) == 1
    assert tg.executions.count() == 1
    assert [each.executions for each in tg.studies.list()] == [1]


def test_clients_of_their_own_make_one_row_too(database_uri: str, tg: Archive) -> None:
    def create(number: int) -> bool:
        with taskgraph.open(database_uri) as mine:
            return mine.executions.create("f", idempotency_key="k").is_new

    assert sorted(_at_once(6, create)) == [False] * 5 + [True]
    assert tg.executions.count() == 1


def test_a_workspace_is_that_of_one_execution(tg: Archive, tmp_path: Path) -> None:
    first = tg.executions.create("f", workspace=tmp_path).execution

    with pytest.raises(WorkspaceInUseError, match="Name another folder") as caught:
        tg.executions.create("g", workspace=f"{tmp_path}/../{tmp_path.name}")

    assert caught.value.execution_id == first.id
    assert tg.executions.count() == 1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"entrypoint": " "}, ValidationError),
        ({"parameters": {"x": object()}}, ValidationError),
        ({"parameters": [1]}, ValidationError),
        ({"study": ""}, ValidationError),
        ({"idempotency_key": "  "}, ValidationError),
        ({"state": "DONE"}, ValidationError),
        ({"tags": {"taskgraph.queue": 1}}, TagKeyError),
        ({"tags": {"a": float("nan")}}, ValidationError),
        ({"tags": "team=ml"}, ValidationError),
        ({"tags": ["team"]}, ValidationError),
        ({"queues": "gpu"}, ValidationError),
        ({"submitted_by": "\udcff"}, ValidationError),
        ({"submitted_by": 5}, ValidationError),
        ({"code_version": "1\0"}, ValidationError),
        ({"parent_job": 5}, ValidationError),
        ({"workspace": "a\0b"}, ValidationError),
        ({"workspace": "a/" * 1_300}, ValidationError),
        ({"idempotency_key": "k" * 1_001}, ValidationError),
        ({"study": "\N{SNOWMAN}" * 334}, ValidationError),
        ({"parent_job": "no id"}, UnknownRecordError),
        ({"parent_job": "ab" * 16}, UnknownRecordError),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(
    tg: Archive, given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        tg.executions.create(**{"entrypoint": "f", **given})

    assert tg.executions.count() == 0
    assert tg.studies.list() == []


def test_the_longest_names_are_kept(tg: Archive) -> None:
    def text(seed: int, length: int) -> str:  # that does not get shorter if it is compressed
        return random.Random(seed).randbytes(length // 2).hex()

    made = tg.executions.create(
        text(1, 1000), idempotency_key=text(2, 1000), study=text(3, 1000), workspace=text(4, 200)
    ).execution
    tg.datasets.register(text(5, 1000), [], study=text(6, 1000))
    tg.workflows.create(text(7, 1000), namespace=text(8, 1000))
    tg.artifacts.add(made, text(9, 1000), text(10, 1000), value=1)

    assert tg.executions.get(made) == made
    assert check(tg.backend) == []


def test_who_is_not_there_is_none_for_find_and_an_error_for_get(
    tg: Archive, tmp_path: Path
) -> None:
    assert tg.executions.find("ab" * 16) is None
    assert tg.executions.find(tmp_path) is None
    assert tg.executions.find("-") is None
    assert tg.executions.states("ab" * 16) == []
    assert tg.executions.update("ab" * 16, name="x") is False
    for ask in (tg.executions.get, tg.executions.dependencies, tg.executions.snapshot):
        with pytest.raises(ExecutionNotFoundError, match="taskgraph execution list") as caught:
            ask("ab" * 16)
        assert isinstance(caught.value, NotFoundError)
    with pytest.raises(ExecutionNotFoundError):
        tg.executions.set_state("ab" * 16, "RUNNING")


def test_a_workspace_that_is_called_like_the_start_of_an_id_is_found(
    tg: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tg.executions.create("f").execution
    made = tg.executions.create("f", workspace="c0ffee").execution
    like_the_other = tg.executions.create("f", workspace=other.id[:8]).execution

    assert tg.executions.get("c0ffee") == made
    assert tg.executions.get(f"./{other.id[:8]}") == like_the_other
    with pytest.raises(AmbiguousIdError):
        tg.executions.get(other.id[:8])
    assert tg.executions.get(other.id) == other


def test_the_start_of_several_ids_is_no_answer(tg: Archive) -> None:
    for _ in range(17):
        tg.executions.create("f")
    ids = [each.id[0] for each in tg.executions.list()]
    twice = next(each for each in ids if ids.count(each) > 1)

    with pytest.raises(AmbiguousIdError):
        tg.executions.find(twice)


def test_a_closed_archive_manages_nothing(database_uri: str) -> None:
    with taskgraph.open(database_uri, migrate=True) as archive:
        pass

    with pytest.raises(ClosedArchiveError):
        archive.executions.create("f")
    with pytest.raises(ClosedArchiveError):
        archive.studies.list()


# Changing


def test_what_is_not_given_stays(tg: Archive) -> None:
    made = tg.executions.create("f", {"n": 1}, tags={"a": 1, "b": 2}, state="SCHEDULED").execution

    tg.executions.update(made, tags={"b": 2, "c": 3})
    tg.executions.update(made, name="better", options={"retries": 1})

    found = tg.executions.get(made)
    assert found.tags == {"b": [2], "c": [3]}
    assert (found.name, found.parameters, found.options) == ("better", {"n": 1}, {"retries": 1})
    assert tg.executions.snapshot(made)["options"] == {"retries": 1}
    # A tag that comes back is one more step of its history.
    tg.executions.update(made, tags={"a": 1})
    assert tg.executions.get(made).tags == {"a": [1]}


def test_parameters_of_what_was_submitted_are_frozen(tg: Archive) -> None:
    made = tg.executions.create("f", {"n": 1}).execution

    with pytest.raises(ValidationError, match="frozen when execution"):
        tg.executions.update(made, parameters={"n": 2})

    assert tg.executions.get(made).parameters == {"n": 1}


# States


def test_states_are_a_history_with_books(tg: Archive) -> None:
    made = tg.executions.create("f").execution

    running = tg.executions.set_state(made, "RUNNING", actor="ada")
    done = tg.executions.set_state(made, State(StateType.COMPLETED, message="all well"))
    late = tg.executions.set_state(made, "FAILED")

    found = tg.executions.get(made)
    assert (running.outcome, done.outcome) == (Outcome.ACCEPT, Outcome.ACCEPT)
    assert (late.outcome, late.state.type) == (Outcome.ABORT, StateType.COMPLETED)
    assert late.reason == "it is COMPLETED, and has ended"
    assert not late.is_written
    history = tg.executions.states(made)
    assert [each.name for each in history] == ["Pending", "Running", "Completed"]
    assert history[1].details == {"actor": "ada"}
    assert history[2].message == "all well"
    times = [each.timestamp for each in history]
    assert times == sorted(times)  # type: ignore[type-var]
    assert (found.start_time, found.end_time) == (times[1], times[2])
    assert found.run_count == 1
    assert found.end_time is not None and found.start_time is not None
    assert found.total_run_time == found.end_time - found.start_time
    assert (found.status, found.successful) == ("DONE", True)


def test_force_skips_the_rules_and_is_written_down(tg: Archive) -> None:
    made = tg.executions.create("f", state="COMPLETED").execution

    forced = tg.executions.set_state(made, "RUNNING", force=True, actor="ada")

    found = tg.executions.get(made)
    assert forced.outcome is Outcome.ACCEPT
    assert (found.state.type, found.end_time, found.run_count) == (StateType.RUNNING, None, 1)
    assert tg.executions.states(made)[-1].details == {"forced": True, "actor": "ada"}


def test_what_fails_is_tried_again_as_often_as_was_said(tg: Archive) -> None:
    made = tg.executions.create("f", options={"retries": 1, "retry_delay": 60}).execution
    outcomes = []
    for _ in range(2):
        tg.executions.set_state(made, "RUNNING", force=True)
        outcomes.append(tg.executions.set_state(made, "FAILED"))

    assert [each.outcome for each in outcomes] == [Outcome.REJECT, Outcome.ACCEPT]
    assert outcomes[0].state.name == "AwaitingRetry"
    found = tg.executions.get(made)
    assert (found.state.type, found.run_count) == (StateType.FAILED, 2)
    assert [each.name for each in tg.executions.states(made)] == [
        *("Pending", "Running", "AwaitingRetry", "Running", "Failed"),
    ]


@pytest.mark.parametrize(
    ("said", "least"), [(0.5, 0.5), (1e12, 3e9), (1e300, 3e9), ("soon", 0)], ids=str
)
def test_a_delay_is_what_was_said_or_the_longest_that_there_is(
    tg: Archive, said: Any, least: float
) -> None:
    made = tg.executions.create("f", options={"retries": 1}).execution
    # As others may have written it.
    options = json.dumps({"retries": 1, "retry_delay": said})
    key = bytearray.fromhex(made.id)
    tg.backend._transact(
        lambda driver: (
            driver.execute("UPDATE execution SET options = ? WHERE id = ?", (options, key)).rowcount
        )
    )
    tg.executions.set_state(made, "RUNNING")

    again = tg.executions.set_state(made, "FAILED").state

    assert again.name == "AwaitingRetry"
    assert again.scheduled_time is not None and again.timestamp is not None
    delay = (again.scheduled_time - again.timestamp).total_seconds()
    assert least <= delay <= least * 1.1


@pytest.mark.parametrize(
    ("state", "given", "error"),
    [
        (None, {}, "no state"),
        (5, {}, "no state"),
        ("RUNNING", {"message": "\udcff"}, "message"),
        ("RUNNING", {"message": 5}, "expected text"),
        ("RUNNING", {"actor": "\udcff"}, "actor"),
        (State(StateType.RUNNING, "\udcff"), {}, "name of a state"),
        (State(StateType.RUNNING, details={"a": object()}), {}, "details of a state"),
        (State(StateType.SCHEDULED, details={"scheduled_time": "soon"}), {}, "expected a time"),
        (State(StateType.SCHEDULED, details={"scheduled_time": 3}), {}, "expected a time"),
    ],
    ids=[
        "nothing",
        "a number",
        "bytes in a message",
        "no text",
        "bytes in an actor",
        "bytes in a name",
        "an object in details",
        "no time",
        "a number as a time",
    ],
)
def test_what_cannot_be_a_state_is_refused_and_nothing_is_written(
    tg: Archive, state: Any, given: dict[str, Any], error: str
) -> None:
    made = tg.executions.create("f").execution

    with pytest.raises(ValidationError, match=error):
        tg.executions.set_state(made, state, **given, force=True)

    assert len(tg.executions.states(made)) == 1
    assert tg.executions.get(made) == made


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (datetime(2030, 1, 1), "expected a time with its time zone, not 2030-01-01T00:00:00"),
        ("2030-01-01", "expected a time with its time zone"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "of the years 2 to 9998"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5))), "of the years 2 to"),
        (datetime(9999, 12, 31, tzinfo=UTC), "of the years 2 to 9998, not 9999"),
    ],
)
def test_what_is_scheduled_is_so_for_a_time_that_all_agree_upon(
    tg: Archive, when: Any, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        State.scheduled(when)
    text = when if isinstance(when, str) else when.isoformat()
    with pytest.raises(ValidationError, match="scheduled_time"):
        tg.executions.create("f", state=State("SCHEDULED", details={"scheduled_time": text}))
    made = tg.executions.create("f", state=State.scheduled(datetime(9998, 12, 31, tzinfo=UTC)))
    assert tg.executions.get(made.execution).next_scheduled_start_time is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retries": "x"}, "retries"),
        ({"retry_delay": "soon"}, "retry_delay"),
        ({"bogus": 1}, "there is no 'bogus'"),
        ({"retrys": 1}, "Did you mean 'retries'"),
        ({"nout": 2}, "nout"),
        ({"script": 5}, "script"),
        ({"account": 5}, "account"),
        ({"no_cache": "yes"}, "no_cache"),
        ({"priority": "first"}, "priority"),
    ],
)
def test_options_that_nobody_can_follow_are_refused(
    tg: Archive, options: dict[str, Any], said: str
) -> None:
    scheduled = State.scheduled(datetime(2030, 1, 1, tzinfo=UTC))
    later = tg.executions.create("f", state=scheduled).execution
    for queues in ([], ["q"]):
        with pytest.raises(ValidationError, match=said):
            tg.executions.create("f", options=options, queues=queues)
    with pytest.raises(ValidationError, match=said):
        tg.executions.update(later, options=options)
    assert tg.executions.count() == 1

    kept = {"retries": 2, "retry_delay": [1, 2], "timeout": 60, "script": "flow.py", "priority": 1}
    made = tg.executions.create("f", options={**kept, "account": "a", "no_cache": True}).execution
    assert made.options == {**kept, "account": "a", "no_cache": True}


def test_what_is_late_by_more_than_all_time_is_nothing(tg: Archive) -> None:
    tg.executions.create("f", state=State.scheduled(datetime(1999, 1, 1, tzinfo=UTC)))

    assert tg.executions.sweep(late_after=timedelta.max).late == ()


def test_what_is_scheduled_for_later_waits(tg: Archive) -> None:
    when = datetime.now(UTC) + timedelta(hours=1)
    made = tg.executions.create("f", state=State.scheduled(when)).execution

    early = tg.executions.set_state(made, "RUNNING")

    assert early.outcome is Outcome.WAIT
    assert early.delay_seconds is not None and 3500 < early.delay_seconds <= 3600
    assert made.next_scheduled_start_time == made.expected_start_time == when
    assert len(tg.executions.states(made)) == 1
    assert tg.executions.set_state(made, "CANCELLED").outcome is Outcome.ACCEPT
    assert tg.executions.get(made).next_scheduled_start_time is None


def test_only_the_rules_count_that_are_asked_for(tg: Archive) -> None:
    made = tg.executions.create("f", state="COMPLETED").execution

    assert tg.executions.set_state(made, "RUNNING", policy=["retry"]).is_written
    with pytest.raises(ValidationError, match="rule 'none'"):
        tg.executions.set_state(made, "RUNNING", policy=["none"])


def test_proposals_from_twenty_threads_leave_a_legal_history(tg: Archive) -> None:
    made = tg.executions.create("f").execution
    wanted = ["RUNNING", "COMPLETED", "FAILED", "CANCELLED", "PENDING"] * 4

    answers = _at_once(20, lambda n: tg.executions.set_state(made, wanted[n]))

    history = tg.executions.states(made)
    current: State | None = None
    runs = 0
    for each in history:
        subject = Subject(current, run_count=runs)
        decision = decide(subject, each, each.timestamp)  # type: ignore[arg-type]
        assert decision.outcome is Outcome.ACCEPT
        current, runs = each, runs + (each.type is StateType.RUNNING)
    assert sum(each.is_written for each in answers) == len(history) - 1
    found = tg.executions.get(made)
    assert found.state.type is history[-1].type
    assert found.run_count == sum(each.type is StateType.RUNNING for each in history)


# Listing


def test_pages_lose_and_double_none_while_others_are_created(tg: Archive) -> None:
    count = 25
    for number in range(count):
        tg.executions.create("f", name=f"n{number % 3}")
    _make_all_as_old(tg)
    wanted = {each.id for each in tg.executions.list(limit=1000)}

    for sort in ("created", "name", "id", "end"):
        for descending in (True, False):
            seen: list[str] = []
            after: str | None = None
            while True:
                page = tg.executions.list(sort=sort, descending=descending, limit=4, after=after)
                seen += [each.id for each in page]
                tg.executions.create("new")
                after = page.next
                if after is None or len(seen) > 1000:
                    break
            ours = [each for each in seen if each in wanted]
            assert len(seen) == len(set(seen)), sort
            assert set(ours) == wanted, sort
            tg.backend._transact(_delete_new)


def test_ten_thousand_of_one_moment_are_paged_while_new_ones_come(tg: Archive) -> None:
    count, moment = 10_000, 1_700_000_000_000_000
    rows = [
        (number.to_bytes(16, "big"), "[]", "COMPLETED", moment, moment) for number in range(count)
    ]
    insert = (
        "INSERT INTO execution (id, args, state_type, state_time, created_at)"
        " VALUES (?, ?, ?, ?, ?)"
    )
    tg.backend._transact(lambda driver: driver.executemany(insert, rows))

    for descending in (True, False):
        seen: list[str] = []
        after: str | None = None
        while len(seen) < 2 * count:
            page = tg.executions.list(descending=descending, limit=900, after=after)
            seen += [each.id for each in page]
            tg.executions.create("new")
            after = page.next
            if after is None:
                break
        old = [each for each in seen if int(each, 16) < count]
        assert len(seen) == len(set(seen))
        assert sorted(old) == [key.hex() for key, *_ in rows]
    assert tg.executions.count(F.state("COMPLETED")) == count


def test_more_are_swept_and_listed_at_once_than_a_filter_takes(tg: Archive) -> None:
    count, moment = 10_001, 1_700_000_000_000_000
    rows = [
        (number.to_bytes(16, "big"), "[]", "SCHEDULED", moment, moment + number, moment)
        for number in range(count)
    ]
    insert = (
        "INSERT INTO execution (id, args, state_type, state_time, created_at, expected_start_time)"
        " VALUES (?, ?, ?, ?, ?, ?)"
    )
    tg.backend._transact(lambda driver: driver.executemany(insert, rows))

    late = tg.executions.mark_late(dry_run=True)
    page = tg.executions.list(limit=2 * count)

    newest_first = [key.hex() for key, *_ in reversed(rows)]
    assert [each.id for each in late] == [each.id for each in page] == newest_first
    assert tg.executions.count(any_of("id", newest_first)) == count


def _delete_new(driver: Any) -> None:
    new = "SELECT id FROM execution WHERE entrypoint = 'new'"
    driver.execute(f"DELETE FROM state WHERE execution_id IN ({new})")
    driver.execute("DELETE FROM execution WHERE entrypoint = 'new'")


def _make_all_as_old(tg: Archive) -> None:
    tg.backend._transact(
        lambda driver: driver.execute(
            "UPDATE execution SET created_at = ?", (1_700_000_000_000_000,)
        )
    )


def test_a_cursor_of_another_list_is_refused(tg: Archive) -> None:
    for _ in range(3):
        tg.executions.create("f")
    page = tg.executions.list(limit=1)
    assert page.next is not None

    assert tg.executions.list(limit=1, after=page.next)[0] != page[0]
    for sort, after in (("name", page.next), ("created", "x"), ("created", "é"), ("id", "e30")):
        with pytest.raises(ValidationError, match="no place in this list"):
            tg.executions.list(sort=sort, after=after)
    with pytest.raises(ValidationError, match="sort 'time'"):
        tg.executions.list(sort="time")
    cuts: list[dict[str, Any]] = [{"limit": 2**63}, {"limit": None}, {"offset": 2**63}]
    for cut in cuts:
        with pytest.raises(ValidationError, match=r"limit|offset"):
            tg.executions.list(**cut)
    with pytest.raises(ValidationError, match=r"limit|offset"):
        tg.executions.list(limit=0)


def test_an_offset_skips(tg: Archive) -> None:
    for number in range(5):
        tg.executions.create("f", name=str(number))

    names = [each.name for each in tg.executions.list(sort="name", descending=False, offset=3)]

    assert names == ["3", "4"]


def test_filters_are_values_and_json(tg: Archive, tmp_path: Path) -> None:
    one = tg.executions.create("flows.a", name="Smoke test", tags={"team": "ml"}, study="s")
    two = tg.executions.create("flows.b", queues=["gpu"], workspace=tmp_path)
    tg.executions.set_state(two.execution, "RUNNING")

    def listed(where: Any) -> list[str]:
        found = tg.executions.list(where, sort="name", descending=False)
        assert tg.executions.count(where) == len(found)
        return [each.name for each in found]

    assert listed(F.state("RUNNING")) == ["b"]
    assert listed({"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}) == ["Smoke test", "b"]
    assert listed(~F.name(like="SMOKE")) == ["b"]
    assert listed(F.tags(all={"team": "ml"}) | F.queues(any=["gpu"])) == ["Smoke test", "b"]
    assert listed(F.study("s") & F.task("a")) == ["Smoke test"]
    assert listed(F.started(is_null=True)) == ["Smoke test"]
    assert listed(~F.started(after=one.execution.created_at)) == ["Smoke test"]
    assert listed(F.workspace(str(tmp_path.resolve()))) == ["b"]
    assert listed({"name": {"like_": "x"}, "study": {"any_": ["s"]}, "operator": "or_"}) == [
        "Smoke test"
    ]
    assert listed(F.id(one.execution.id, "no id")) == ["Smoke test"]
    assert listed({}) == listed(None) == listed(F.all()) == ["Smoke test", "b"]
    assert listed({"or_": []}) == []


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"nam": {}}, UnknownFilterError, "There are: id, name"),
        ({"name": {"all_": ["x"]}}, UnknownFilterError, r"name\.all_.*name\.like_"),
        ({"state": {"kind": {"any_": []}}}, UnknownFilterError, r"state\.kind"),
        ({"jobs": {"exists_": {"study": {"any_": []}}}}, UnknownFilterError, "study"),
        ({"name": 3}, ValidationError, "expected an object"),
        ({"name": {"any_": 3}}, ValidationError, "a list of texts"),
        ({"created": {"after_": "2026-01-01"}}, ValidationError, "time zone"),
        ({"created": {"after_": "soon"}}, ValidationError, "expected a time"),
        ({"state": {"type": {"any_": ["GONE"]}}}, ValidationError, "no state"),
        ({"state": {"type": {"any_": ["Late"]}}}, ValidationError, r"a name of SCHEDULED.*name"),
        ({"operator": "xor_"}, ValidationError, "and_ or or_"),
        ({"and_": {}}, ValidationError, "a list of filters"),
        ({"study": {"is_null_": 1}}, ValidationError, "true or false"),
        ({"tags": {"all_": [3]}}, ValidationError, "a tag"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_an_error(
    tg: Archive, given: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        tg.executions.count(given)


def test_a_filter_may_be_as_wide_as_it_is_allowed_to_be(tg: Archive) -> None:
    tg.executions.create("flows.a1099", name="n1099", tags={"n": 1099})
    numbers = range(1_100)
    texts = [f"a{each}" for each in numbers]

    assert tg.executions.count(F.task(*texts)) == 1
    assert tg.executions.count(F.tags(any=[("n", each) for each in numbers])) == 1
    assert tg.executions.count({"and_": [{"name": {"not_any_": [each]}} for each in texts]}) == 1
    assert tg.groups.list({"facet": {"any_": [f"n={each}" for each in numbers]}}) == []


def test_a_filter_is_not_nested_for_ever(tg: Archive) -> None:
    where: dict[str, Any] = {}
    for _ in range(100):
        where = {"not_": where}

    with pytest.raises(ValidationError, match="nested deeper"):
        tg.executions.list(where)


def test_what_an_older_library_wrote_is_completed(tg: Archive) -> None:
    tg.executions.create("new")

    def write(driver: Any) -> None:
        driver.executemany(
            "INSERT INTO execution (id, args, state_type, state_time) VALUES (?, ?, ?, ?)",
            [(bytes(16), "[]", "COMPLETED", 1_700_000_000_000_000)],
        )

    tg.backend._transact(write)

    old = tg.executions.list()[1]
    when = datetime.fromtimestamp(1_700_000_000, UTC)
    assert (old.created_at, old.end_time, old.run_count) == (when, when, 1)
    assert [each.type for each in tg.executions.states(old)] == [StateType.COMPLETED]


# What is stuck


def test_what_nobody_runs_is_failed(tg: Archive) -> None:
    stuck = tg.executions.create("f").execution
    tg.executions.set_state(stuck, "RUNNING")
    tg.executions.create("g")

    assert tg.executions.fail_running(older_than=timedelta(hours=1)) == []
    assert [each.id for each in tg.executions.fail_running(dry_run=True)] == [stuck.id]
    assert tg.executions.get(stuck).state.type is StateType.RUNNING
    (failed,) = tg.executions.fail_running(F.task("f"))

    assert (failed.id, failed.state.type) == (stuck.id, StateType.CRASHED)
    assert tg.executions.states(stuck)[-1].message == "it was not heard of any more"
    assert tg.executions.fail_running() == []


def test_what_others_run_is_not_swept_away(database_uri: str, tg: Archive) -> None:
    made = tg.executions.create("f").execution
    tg.executions.set_state(made, "RUNNING")

    with taskgraph.open(database_uri) as other:
        assert other.backend.sweep() == []

    assert tg.executions.get(made).state.type is StateType.RUNNING


# Studies


def test_a_study_is_there_once(tg: Archive) -> None:
    made = _at_once(8, lambda n: tg.studies.get_or_create(" nightly "))
    tg.executions.create("f", study="nightly")

    assert len({each.id for each in made}) == 1
    found = tg.studies.get("nightly")
    assert (found.name, found.executions) == ("nightly", 1)
    assert tg.studies.get(found.id[:8]) == found
    assert tg.studies.list() == [found]


def test_a_study_that_is_not_there_is_an_error_for_get(tg: Archive) -> None:
    assert tg.studies.find("absent") is None
    with pytest.raises(StudyNotFoundError, match="taskgraph study list"):
        tg.studies.get("absent")
    with pytest.raises(ValidationError, match="study"):
        tg.studies.get_or_create("  ")


def test_a_query_over_all_records_takes_the_same_filters(tg: Archive) -> None:
    one = tg.executions.create("f", study="s").execution
    tg.executions.create("g")

    with tg.query() as query:
        found = query.filter_types(["Execution", "Job"]).filter_where(F.study("s")).all()
        jobs = query.filter_types(["Job"]).filter_where({"study": {"any_": ["s"]}}).count()
        ids = [each.id for each in found]

    assert ids == [one.id]
    assert dict(jobs) == {"Job": 0}


def test_what_an_execution_names_is_there_or_is_forgotten(tg: Archive) -> None:
    made = tg.executions.create("f", study="s").execution
    assert check(tg.backend) == []

    def lose(driver: Any) -> None:
        driver.execute("DELETE FROM study")
        driver.execute("UPDATE execution SET snapshot_hash = ?", (bytes(16),))

    tg.backend._transact(lose)

    said = sorted(each.rule for each in check(tg.backend))
    assert said == [
        "the study of an execution is there",
        "what an execution was submitted with is there",
    ]
    assert tg.executions.get(made).study is None
    assert tg.executions.snapshot(made) is None
