"""What every backend does, whatever it keeps its rows in."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.errors import DatabaseError
from taskgraph.ports import Backend
from taskgraph.records import (
    ALL_CALLS,
    CALLS_WANTED,
    CacheAnswer,
    CacheQuery,
    ExecutionId,
    HandleEdgeRecord,
    HandleReachedRecord,
    HandleRecord,
    HandleRollbackRecord,
    HandleSweepRecord,
    LeaseEndRecord,
    Micros,
    RecordBatch,
    State,
    call_lease,
)
from taskgraph.testing import MemoryBackend
from taskgraph.values.stored import UNSTORED
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import host_name, process_started, this_process
from tests.rows import (
    NOW,
    TASK,
    a_call,
    a_handle,
    a_job,
    a_lease,
    a_subtree,
    a_task,
    a_value,
    an_alias,
    an_argument,
    an_edge,
    an_evaluation,
    an_execution,
    key,
    together,
)


def test_unknown_key_has_no_evaluation_and_no_calls(backend: Backend) -> None:
    (answer,) = backend.check_cache([CacheQuery(key(1), True)])

    assert answer == CacheAnswer(None)


def test_no_questions_have_no_answers(backend: Backend) -> None:
    assert backend.check_cache([]) == []


def test_recorded_evaluation_is_found_with_its_value(backend: Backend) -> None:
    backend.record(together(a_task(), an_evaluation(1, 2)))

    (answer,) = backend.check_cache([CacheQuery(key(1))])

    assert answer.evaluation is not None
    expected = a_value(2)
    assert answer.evaluation.result == (
        expected.value_hash,
        expected.type,
        expected.format,
        expected.value,
        expected.content_digest,
    )
    assert answer.evaluation.timestamp == NOW
    assert answer.evaluation.call_hash is None


def test_answers_come_in_the_order_of_the_questions(backend: Backend) -> None:
    numbers = range(1, 1300)
    backend.record(together(a_task(), *(an_evaluation(n, 5000 + n) for n in numbers if n % 3)))

    asked = [*reversed(numbers), 1, 1]
    answers = backend.check_cache([CacheQuery(key(n)) for n in asked])

    found = [a.evaluation and a.evaluation.result.value_hash for a in answers]
    assert found == [key(5000 + n) if n % 3 else None for n in asked]


def test_evaluation_names_the_newest_call_of_its_key(backend: Backend) -> None:
    newest = a_call(3, 1, 9)
    newest.call_nodes[0] = newest.call_nodes[0]._replace(timestamp=Micros(NOW + 5))
    backend.record(together(a_task(), an_evaluation(1, 2), a_call(4, 1, 8), newest))

    (answer,) = backend.check_cache([CacheQuery(key(1))])

    assert answer.evaluation is not None
    assert answer.evaluation.call_hash == key(3)


def test_evaluation_names_a_call_that_gave_its_value_before_newer_ones(backend: Backend) -> None:
    newest = a_call(3, 1, 9)
    newest.call_nodes[0] = newest.call_nodes[0]._replace(timestamp=Micros(NOW + 5))
    backend.record(together(a_task(), an_evaluation(1, 2), a_call(4, 1, 2), newest))

    (answer,) = backend.check_cache([CacheQuery(key(1))])

    assert answer.evaluation is not None
    assert answer.evaluation.call_hash == key(4)


def test_what_a_batch_would_leave_alone_is_known(backend: Backend) -> None:
    unstored = a_value(3)._replace(format=UNSTORED, value=b"")
    foreign = a_value(4)._replace(trusted=False)
    rows = together(a_task(), a_call(7, 8, 9))
    rows.values += [a_value(2), unstored, foreign, a_value(5)]
    backend.record(rows)
    backend.discard_values([key(5)])

    found = backend.find_recorded([key(each) for each in range(2, 7)], [key(7), key(8)])

    assert found == {key(2), key(7)}
    assert backend.find_recorded([], []) == set()


def test_calls_are_only_looked_up_for_shallow_questions(backend: Backend) -> None:
    backend.record(together(a_task(), a_call(3, 1, 2)))

    answers = backend.check_cache([CacheQuery(key(1)), CacheQuery(key(1), True)])

    assert [len(answer.calls) for answer in answers] == [0, 1]


def test_calls_are_newest_first_with_the_tasks_below_them(backend: Backend) -> None:
    backend.record(
        together(
            a_task(),
            a_task(0x7A52, "g"),
            a_call(3, 1, 2, NOW),
            a_call(4, 1, 5, NOW + 9),
            a_subtree(3, TASK, 0x7A52),
        )
    )

    (answer,) = backend.check_cache([CacheQuery(key(1), True)])

    assert [(call.call_hash, call.timestamp) for call in answer.calls] == [
        (key(4), NOW + 9),
        (key(3), NOW),
    ]
    assert answer.calls[0].subtree_tasks == {key(TASK)}
    assert answer.calls[1].subtree_tasks == {key(TASK), key(0x7A52)}
    assert answer.calls[1].result.value_hash == key(2)


def test_later_evaluation_replaces_the_earlier_one(backend: Backend) -> None:
    backend.record(together(a_task(), an_evaluation(1, 2)))

    backend.record(an_evaluation(1, 3, NOW + 1))

    (answer,) = backend.check_cache([CacheQuery(key(1))])
    assert answer.evaluation is not None
    assert (answer.evaluation.result.value_hash, answer.evaluation.timestamp) == (key(3), NOW + 1)


def test_value_that_exists_is_left_alone(backend: Backend) -> None:
    backend.record(RecordBatch(values=[a_value(1, b"first")]))

    backend.record(RecordBatch(values=[a_value(1, b"second")]))

    assert backend.load_values([key(1)])[key(1)].value == b"first"


def test_value_made_here_replaces_one_from_elsewhere(backend: Backend) -> None:
    backend.record(RecordBatch(values=[a_value(1, b"imported", trusted=False)]))

    backend.record(RecordBatch(values=[a_value(1, b"made here")]))

    assert backend.load_values([key(1)])[key(1)].value == b"made here"


def test_discarded_value_is_found_no_more_until_it_is_made_again(backend: Backend) -> None:
    backend.record(together(a_task(), an_evaluation(1, 2), a_call(3, 1, 2)))

    backend.discard_values([key(2)])
    while_gone = backend.check_cache([CacheQuery(key(1), True)])
    backend.record(RecordBatch(values=[a_value(2, b"again")]))

    assert while_gone == [CacheAnswer(None)]
    assert backend.load_values([key(2)])[key(2)].value == b"again"


def test_only_values_that_exist_are_loaded(backend: Backend) -> None:
    backend.record(RecordBatch(values=[a_value(n) for n in range(1, 700)]))

    found = backend.load_values([key(n) for n in (1, 1, 650, 9999)])

    assert set(found) == {key(1), key(650)}


def test_batch_with_a_dangling_reference_leaves_nothing(backend: Backend) -> None:
    whole = together(a_task(), an_evaluation(1, 2), an_edge(77, 78))

    with pytest.raises(DatabaseError, match="refers to one that does not exist"):
        backend.record(whole)

    assert backend.check_cache([CacheQuery(key(1))]) == [CacheAnswer(None)]
    assert backend.load_values([key(2)]) == {}


@pytest.mark.parametrize(
    "batch",
    [
        an_evaluation(1, 2),
        a_call(1, 2, 3),
        an_argument(1, 2, 3),
        a_subtree(1, TASK),
        a_job(1),
        an_edge(1, 2),
    ],
    ids=["evaluation", "call", "argument", "subtree", "job", "edge"],
)
def test_row_without_what_it_refers_to_is_refused(backend: Backend, batch: RecordBatch) -> None:
    with pytest.raises(DatabaseError):
        backend.record(batch)


def test_order_within_a_batch_is_nothing(backend: Backend) -> None:
    child_first = together(
        a_job(2, parent=1, call=5), a_job(1, call=4), an_execution(), a_task(),
        an_edge(4, 5), a_call(4, 8, 9), a_call(5, 6, 7),
    )  # fmt: skip

    backend.record(child_first)

    assert len(backend.load_values([key(7), key(9)])) == 2


def test_recording_twice_changes_nothing(backend: Backend) -> None:
    whole = together(
        a_task(), an_execution(), a_job(1, call=4), a_call(4, 8, 9), an_evaluation(8, 9),
        an_argument(5, 4, 6, upstream=(4,)), an_edge(4, 4),
    )  # fmt: skip
    backend.record(whole)
    before = backend.check_cache([CacheQuery(key(8), True)])

    backend.record(whole)

    assert backend.check_cache([CacheQuery(key(8), True)]) == before


def test_empty_batch_is_no_work(backend: Backend) -> None:
    backend.record(RecordBatch())


def test_job_may_be_written_while_it_runs_and_again_when_it_is_done(backend: Backend) -> None:
    backend.record(together(a_task(), an_execution(), a_job(1, end=None, state=State.RUNNING)))

    backend.record(together(a_call(4, 8, 9), a_job(1, call=4)))

    backend.record(an_execution(state=State.COMPLETED))


def test_text_that_is_not_utf8_is_kept_somehow(backend: Backend) -> None:
    odd = a_value(1)._replace(preview="caf\udce9")

    backend.record(RecordBatch(values=[a_value(2), odd, a_value(3)]))

    assert len(backend.load_values([key(1), key(2), key(3)])) == 3


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(payload=st.binary(max_size=5000), number=st.integers(1, 2**128 - 1))
def test_bytes_come_back_as_they_were_written(
    backend: Backend, payload: bytes, number: int
) -> None:
    value = a_value(number, payload)
    known = backend.load_values([value.value_hash])

    backend.record(RecordBatch(values=[value]))

    stored = backend.load_values([value.value_hash])[value.value_hash]
    assert stored.value == (known[value.value_hash].value if known else payload)


# Aliases of tasks


def test_aliases_are_found_oldest_first_with_all_that_is_said_of_them(backend: Backend) -> None:
    backend.record(together(a_task(1), a_task(2), a_task(3), an_alias(2, 3, NOW + 1)))
    backend.record(an_alias(1, 2, NOW))

    assert backend.load_aliases() == [
        *an_alias(1, 2, NOW).task_aliases,
        *an_alias(2, 3, NOW + 1).task_aliases,
    ]


def test_an_alias_that_ends_is_kept_and_may_begin_again(backend: Backend) -> None:
    backend.record(together(a_task(1), a_task(2), an_alias(1, 2)))

    backend.record(an_alias(1, 2, NOW, end=NOW + 5))
    backend.record(an_alias(1, 2, NOW + 9))

    assert backend.load_aliases() == [
        *an_alias(1, 2, NOW, end=NOW + 5).task_aliases,
        *an_alias(1, 2, NOW + 9).task_aliases,
    ]


def test_an_alias_of_a_task_that_is_not_recorded_is_refused(backend: Backend) -> None:
    backend.record(a_task(1))

    with pytest.raises(DatabaseError):
        backend.record(an_alias(1, 2))


# The past


SECOND = 1_000_000


def test_versions_of_a_task_are_found_by_name_and_by_digits(backend: Backend) -> None:
    backend.record(together(a_task(0xA1 << 112), a_task(0xA2 << 112), a_task(0xB << 112, "g")))

    found = backend.find_versions(["ns.f", "00a2", "ns.unknown", "00", "f"])

    versions = {wanted: {each.hash for each in found[wanted]} for wanted in found}
    assert versions == {
        "ns.f": {key(0xA1 << 112), key(0xA2 << 112)},
        "00a2": {key(0xA2 << 112)},
        "ns.unknown": set(),
        "00": set(),
        "f": set(),
    }
    assert found["00a2"][0].fullname == "ns.f"


def test_the_version_that_was_asked_for_last_comes_first(backend: Backend) -> None:
    first, second = a_call(3, 1, 2), a_call(4, 5, 2)
    second.call_nodes[0] = second.call_nodes[0]._replace(task_hash=key(8))
    backend.record(
        together(
            a_task(), a_task(8), a_task(9), first, second, an_execution(),
            a_job(1, call=3), a_job(2, call=4, start=NOW + 1),
            a_job(3, call=3, start=NOW + 2, cached=True),
        )
    )  # fmt: skip

    versions = backend.find_versions(["ns.f"])["ns.f"]

    assert [(each.hash, each.last_time) for each in versions] == [
        (key(TASK), NOW + 2),
        (key(8), NOW + 1),
        (key(9), None),
    ]


def test_a_version_knows_the_usual_time_of_its_calls_and_whether_they_call(
    backend: Backend,
) -> None:
    backend.record(
        together(
            a_task(), a_call(3, 1, 2), a_call(4, 5, 2), an_edge(3, 4), an_execution(),
            a_job(1, call=3, end=NOW + SECOND), a_job(2, call=4, end=NOW + 3 * SECOND),
            a_job(3, call=4, start=NOW + 9, end=NOW + 10, cached=True),
        )
    )  # fmt: skip

    (version,) = backend.find_versions(["ns.f"])["ns.f"]

    assert version == (key(TASK), "ns.f", NOW + 9, 2.0, True, None)


def test_the_past_of_a_key_is_its_newest_call_with_all_below_it(backend: Backend) -> None:
    backend.record(
        together(
            a_task(), an_execution(), a_call(3, 1, 2), a_call(4, 1, 5, NOW + 9),
            a_call(6, 11, 2), a_call(7, 12, 2), an_edge(4, 6), an_edge(4, 7, 1), an_edge(6, 7),
            a_job(1, call=4, end=NOW + 2 * SECOND), a_job(2, call=6, end=NOW + SECOND),
            a_job(3, call=7, end=NOW + SECOND), a_job(4, call=7, end=NOW + 9, cached=True),
        )
    )  # fmt: skip

    past = backend.find_past([key(1), key(11), key(12), key(99)])

    assert set(past) == {key(1), key(11), key(12)}
    assert past[key(1)] == (key(4), key(TASK), NOW + 9, 2.0, 1, (("ns.f", 2, 2.0),))
    assert past[key(11)].below == (("ns.f", 1, 1.0),)
    assert past[key(12)].below == ()


def test_what_calls_of_a_version_made_is_found_newest_first(backend: Backend) -> None:
    # Two keys, one of them called twice: 4 is the newer; 6 made nothing; 7 is a child of a child.
    other = a_call(8, 14, 2)
    other.call_nodes[0] = other.call_nodes[0]._replace(task_hash=key(8), task_name="ns.g")
    calls = [a_call(3, 1, 2), a_call(4, 1, 5, NOW + 9), a_call(5, 11, 2), a_call(6, 12, 2)]
    backend.record(
        together(
            a_task(), a_task(8, "g"), an_execution(), *calls, other, an_edge(3, 6),
            an_edge(4, 5), an_edge(5, 8), an_edge(4, 8, 1),
            a_job(1, call=5, end=NOW + SECOND), a_job(2, call=8, end=NOW + 2 * SECOND),
        )
    )  # fmt: skip

    both, none = [("ns.f", key(TASK), 1, 1.0), ("ns.g", key(8), 1, 2.0)], key(99)
    assert backend.find_below(key(TASK), 9) == [tuple(both), (both[1],)]
    assert backend.find_below(key(TASK), 1) == [tuple(both)]
    assert (backend.find_below(key(8), 9), backend.find_below(none, 9)) == ([], [])


def test_a_call_that_never_ran_here_has_no_time(backend: Backend) -> None:
    backend.record(together(a_task(), a_call(3, 1, 2)))

    assert backend.find_past([key(1)])[key(1)].seconds is None


def test_many_keys_are_asked_for_at_once(backend: Backend) -> None:
    numbers = range(1, 1200)
    backend.record(together(a_task(), *(a_call(5000 + n, n, 1) for n in numbers)))

    past = backend.find_past([key(n) for n in numbers])

    assert [past[key(n)].call_hash for n in numbers] == [key(5000 + n) for n in numbers]


def test_a_sample_is_the_same_each_time_and_has_what_is_needed_to_call_again(
    backend: Backend,
) -> None:
    calls = [together(a_call(50 + n, n, 7), an_evaluation(n, 8)) for n in range(1, 9)]
    backend.record(
        together(a_task(), *calls, an_argument(90, 51, 6), an_argument(91, 51, 7, name="y"))
    )

    sample = backend.sample_calls(key(TASK), 3)

    assert [each.eval_hash for each in sample] == [key(1), key(2), key(3)]
    assert sample == backend.sample_calls(key(TASK), 3)
    assert sample[0].result.value_hash == key(8)
    given = [(each.arg_key, each.value_hash) for each in sample[0].arguments]
    assert given == [("x", key(6)), ("y", key(7))]


def test_a_sample_leaves_out_errors_damaged_results_and_other_tasks(backend: Backend) -> None:
    failed = together(a_call(51, 1, 7), an_evaluation(1, 8))
    failed.values[0] = failed.values[0]._replace(type="taskgraph.ErrorValue")
    backend.record(
        together(
            a_task(), failed, a_call(52, 2, 4), an_evaluation(2, 5), a_call(53, 3, 4),
            a_call(54, 4, 4), an_evaluation(4, 4),
        )
    )  # fmt: skip
    backend.discard_values([key(5)])

    assert [each.call_hash for each in backend.sample_calls(key(TASK), 9)] == [key(54)]
    assert backend.sample_calls(key(0x999), 9) == []


def test_jobs_that_nobody_ends_are_closed(backend: Backend) -> None:
    running = a_job(11, state=State.RUNNING)
    backend.record(together(a_task(), an_execution(), running, a_job(12)))
    execution = running.jobs[0].execution_id

    assert backend.close_jobs(ExecutionId(key(1)), Micros(NOW)) == 0
    assert backend.close_jobs(execution, Micros(NOW)) == 1
    assert backend.close_jobs(execution, Micros(NOW)) == 0


# Leases


def test_free_lease_is_taken(backend: Backend) -> None:
    assert backend.take([a_lease("a"), a_lease("b")]) == [None, None]


def test_lease_of_another_holder_is_in_the_way(backend: Backend) -> None:
    theirs = a_lease("a", "they")
    backend.take([theirs])

    assert backend.take([a_lease("a"), a_lease("b")]) == [theirs, None]


def test_holder_takes_its_own_lease_again(backend: Backend) -> None:
    backend.take([a_lease("a")])

    assert backend.take([a_lease("a"), a_lease("a")]) == [None, None]


def test_expired_lease_is_taken_over(backend: Backend) -> None:
    backend.take([a_lease("a", "they", expires=NOW)])

    assert backend.take([a_lease("a")]) == [None]
    assert backend.heartbeat("they", NOW + 5) == 0


def test_lease_of_a_process_that_ended_is_taken_over_at_once(backend: Backend) -> None:
    # It waits for its input to close, so it is there to be asked about.
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as other:
        started = process_started(other.pid)
        assert started is not None
        theirs = a_lease("a", "they", host=host_name(), pid=other.pid, started=started)
        backend.take([theirs])
        while_it_lives = backend.take([a_lease("a")])
        other.kill()

    assert while_it_lives == [theirs]
    assert backend.take([a_lease("a")]) == [None]


def test_pid_that_was_given_out_again_does_not_hold_the_lease(backend: Backend) -> None:
    here = this_process()
    backend.take([a_lease("a", "they", host=here.host, pid=here.pid, started=here.started - 1)])

    assert backend.take([a_lease("a")]) == [None]


def test_lease_of_a_living_process_of_this_host_is_kept(backend: Backend) -> None:
    here = this_process()
    theirs = a_lease("a", "they", host=here.host, pid=here.pid, started=here.started)
    backend.take([theirs])

    assert backend.take([a_lease("a")]) == [theirs]


def test_released_lease_is_free(backend: Backend) -> None:
    backend.take([a_lease("a", "they")])

    backend.release("they", ["a", "never had"])

    assert backend.take([a_lease("a")]) == [None]


def test_only_the_holder_can_release(backend: Backend) -> None:
    theirs = a_lease("a", "they")
    backend.take([theirs])

    backend.release("me", ["a"])

    assert backend.take([a_lease("a")]) == [theirs]


def test_heartbeat_prolongs_all_leases_of_a_holder(backend: Backend) -> None:
    backend.take([a_lease("a", expires=NOW), a_lease("b", expires=NOW), a_lease("c", "they")])

    count = backend.heartbeat("me", a_lease("a").expires)

    assert count == 2
    assert backend.take([a_lease("a", "they")]) == [a_lease("a")]


def test_heartbeat_comes_from_another_thread_while_rows_are_written(backend: Backend) -> None:
    backend.take([a_lease("a")])
    counts: list[int] = []
    beats = threading.Thread(
        target=lambda: counts.extend(backend.heartbeat("me", NOW + n) for n in range(50))
    )

    beats.start()
    for number in range(50):
        backend.record(RecordBatch(values=[a_value(number)]))
    beats.join()

    assert counts == [1] * 50
    assert len(backend.load_values([key(number) for number in range(50)])) == 50


def test_leases_are_found_whose_holders_live(backend: Backend) -> None:
    here = this_process()
    gone = a_lease("b", "they", host=here.host, pid=here.pid, started=here.started - 1)
    backend.take([a_lease("a"), gone, a_lease("c", expires=NOW), a_lease("d", "they")])

    assert backend.find_leases(["a", "b", "c", "d", "e"]) == {
        "a": a_lease("a"),
        "d": a_lease("d", "they"),
    }
    assert backend.find_leases([]) == {}


def test_who_leads_all_calls_is_in_the_way_of_each_and_is_asked_to_say_which(
    backend: Backend,
) -> None:
    everything = a_lease(ALL_CALLS, "they")
    one, two = a_lease(call_lease(key(1))), a_lease(call_lease(key(2)))
    backend.take([everything])

    assert backend.take([one, two]) == [everything, everything]
    assert list(backend.find_leases([one.key, two.key, CALLS_WANTED])) == [CALLS_WANTED]
    assert backend.take([a_lease(one.key, "they")]) == [None]
    backend.release("they", [ALL_CALLS])
    assert backend.take([one, two]) == [a_lease(one.key, "they"), None]


def test_a_wish_that_a_dead_process_left_is_taken_over(backend: Backend) -> None:
    here = this_process()
    dead = {"host": here.host, "pid": here.pid, "started": here.started - 1}
    backend.take([a_lease(ALL_CALLS, "they")])
    backend.take([a_lease(call_lease(key(1)), "dead", **dead)])  # type: ignore[arg-type]
    unheard = backend.find_leases([CALLS_WANTED])

    backend.take([a_lease(call_lease(key(1)))])
    heard = backend.find_leases([CALLS_WANTED])
    backend.take([a_lease(call_lease(key(1)), "late")])

    assert unheard == {}
    assert heard == {CALLS_WANTED: a_lease(CALLS_WANTED)}
    assert backend.find_leases([CALLS_WANTED]) == heard


def test_who_leads_a_call_is_in_the_way_of_who_would_lead_all(backend: Backend) -> None:
    backend.take([a_lease(call_lease(key(1)), "they")])

    (refused,) = backend.take([a_lease(ALL_CALLS)])
    mine = backend.take([a_lease(ALL_CALLS, "they")])

    assert refused is not None and refused.holder == "they"
    assert mine == [None]


def test_who_led_calls_and_ended_is_in_nobodys_way(backend: Backend) -> None:
    here = this_process()
    dead = {"host": here.host, "pid": here.pid, "started": here.started - 1}
    backend.take([a_lease(ALL_CALLS, "they", **dead)])  # type: ignore[arg-type]

    assert backend.take([a_lease(call_lease(key(1)), "dead", **dead)]) == [None]  # type: ignore[arg-type]
    assert backend.take([a_lease(ALL_CALLS, "late", expires=NOW)]) == [None]
    assert backend.take([a_lease(call_lease(key(1))), a_lease(ALL_CALLS)]) == [None, None]


def test_a_lease_is_given_back_with_what_is_recorded(backend: Backend) -> None:
    mine, theirs = a_lease(call_lease(key(1))), a_lease(call_lease(key(2)), "they")
    backend.take([mine, theirs])
    ended = [LeaseEndRecord(mine.key, "me"), LeaseEndRecord(theirs.key, "me")]

    with pytest.raises(DatabaseError):
        backend.record(together(an_evaluation(1, 5), RecordBatch(released=ended)))
    before = backend.find_leases([mine.key, theirs.key])
    backend.record(together(a_task(), an_evaluation(1, 5), RecordBatch(released=ended)))

    assert len(before) == 2
    assert backend.find_leases([mine.key, theirs.key]) == {theirs.key: theirs}


def test_leases_are_taken_by_the_clock_of_the_store(backend: Backend) -> None:
    soon = Micros(backend.clock() + 3_600_000_000)

    backend.take([a_lease("a", expires=soon), a_lease("b", expires=backend.clock() - 1_000_000)])

    assert list(backend.find_leases(["a", "b"])) == ["a"]


def test_the_version_is_another_one_once_others_have_written(sql_backend: SqlBackend) -> None:
    before = sql_backend.version()
    sql_backend.record(a_task())
    own = sql_backend.version()
    with sql_backend.clone() as other:
        other.record(RecordBatch(values=[a_value(7)]))

    assert before == own
    assert own is None or sql_backend.version() != own


def test_of_many_who_take_calls_at_once_each_call_has_one_holder(sql_backend: SqlBackend) -> None:
    keys = [call_lease(key(number)) for number in range(40)]
    taken: list[str] = []

    def take(number: int) -> None:
        mine = [a_lease(each, f"holder{number}") for each in keys[number * 6 :] + keys]
        with sql_backend.clone() as own:
            answers = own.take(list(dict.fromkeys(mine)))
        pairs = zip(dict.fromkeys(mine), answers, strict=True)
        taken.extend(each.key for each, in_the_way in pairs if in_the_way is None)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(taken) == sorted(keys)


def test_closing_twice_is_once(backend: Backend) -> None:
    backend.close()
    backend.close()

    with pytest.raises(DatabaseError, match="closed"):
        backend.check_cache([CacheQuery(key(1))])


def test_memory_backend_has_the_port_and_nothing_else() -> None:
    verbs = {name for name in vars(MemoryBackend) if not name.startswith("_")}

    assert verbs == {name for name in vars(Backend) if not name.startswith("_")}


# Handles


def a_family() -> RecordBatch:
    """Return states: 1 with branches 2 and 5 of calls and 7 of a user's, and what came of these."""
    return together(
        a_handle(1),
        a_handle(2, 1, branch="#0"),
        a_handle(3, 2),
        a_handle(4, 3, branch="#0"),
        a_handle(5, 1, branch="#1"),
        a_handle(6, 5),
        a_handle(7, 1, branch="mine"),
        a_handle(8, 7),
    )


EVERY = [key(number) for number in range(1, 9)]


def valid(backend: Backend) -> set[int]:
    return {int(each, 16) for each in backend.find_valid_handles(EVERY)}


def test_states_of_handles_are_valid_when_they_are_recorded(backend: Backend) -> None:
    assert valid(backend) == set()

    backend.record(a_family())

    assert valid(backend) == set(range(1, 9))
    assert backend.find_valid_handles([key(3), key(99)]) == {key(3)}
    assert backend.find_valid_handles([]) == set()


def test_states_below_others_are_found_at_any_depth(backend: Backend) -> None:
    backend.record(a_family())

    assert backend.find_handles_below([key(2), key(7)]) == {key(3), key(4), key(8)}
    assert backend.find_handles_below([]) == backend.find_handles_below([key(4), key(9)]) == set()


def test_states_above_others_are_found_back_to_branches_of_users(backend: Backend) -> None:
    backend.record(a_family())

    assert backend.find_handles_above([key(4)]) == {key(1), key(2), key(3)}
    assert backend.find_handles_above([key(8)]) == {key(7)}
    assert backend.find_handles_above([]) == set()


def test_rolling_back_leaves_all_that_came_from_a_state(backend: Backend) -> None:
    backend.record(a_family())

    backend.record(RecordBatch(handles=[HandleRollbackRecord(key(2))]))

    assert valid(backend) == {1, 2, 5, 6, 7, 8}


def test_sweeping_leaves_the_branches_of_calls(backend: Backend) -> None:
    backend.record(a_family())

    backend.record(RecordBatch(handles=[HandleSweepRecord(key(1))]))

    assert valid(backend) == {1, 7, 8}


def test_steps_of_handles_are_taken_in_their_order(backend: Backend) -> None:
    backend.record(a_family())
    steps = [HandleReachedRecord(key(3)), HandleRollbackRecord(key(1))]

    backend.record(RecordBatch(handles=steps))
    assert valid(backend) == {1}

    backend.record(RecordBatch(handles=steps[::-1]))
    assert valid(backend) == {1, 3}


def test_a_state_that_is_recorded_again_stays_as_it_is(backend: Backend) -> None:
    backend.record(a_family())
    backend.record(RecordBatch(handles=[HandleRollbackRecord(key(1))]))

    backend.record(a_family())

    assert valid(backend) == {1}


def test_merged_branches_are_below_both(backend: Backend) -> None:
    backend.record(together(a_family(), a_handle(9, 3, 6)))

    assert key(9) in backend.find_handles_below([key(2)])
    assert key(9) in backend.find_handles_below([key(5)])


@pytest.mark.parametrize(
    "steps",
    [
        [HandleRecord(key(1), "ns.db", "", key(1))],
        [HandleEdgeRecord(key(1), key(2))],
    ],
    ids=["value", "edge"],
)
def test_states_of_handles_refer_to_what_is_there(
    backend: Backend, steps: list[HandleRecord | HandleEdgeRecord]
) -> None:
    with pytest.raises(DatabaseError, match="does not exist"):
        backend.record(RecordBatch(handles=[*steps]))

    assert valid(backend) == set()
