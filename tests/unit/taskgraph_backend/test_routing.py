"""Calls of queues as rows: who may have one, and what becomes of those that nobody has any more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taskgraph.catalog.worker_rows import NewWorker
from taskgraph.records import (
    ExecutionId,
    JobId,
    LeaseRecord,
    Micros,
    RoutedCall,
    execution_lease,
)
from taskgraph.silence import Silence
from taskgraph_backend import SqlBackend, claims
from taskgraph_backend.dialects import Driver
from taskgraph_backend.holders import this_process
from taskgraph_backend.routing import workers
from taskgraph_backend.routing.calls import RoutedCalls
from taskgraph_backend.routing.lost_calls import MOST_LOSSES
from taskgraph_backend.routing.served import ServedCalls
from tests.rows import an_execution, key

RUN = ExecutionId(key(0xE1))
OTHER = ExecutionId(key(0xE2))
_FAR = 3_600_000_000


def hold(backend: SqlBackend, run: ExecutionId, seconds: float = 3_600.0) -> None:
    """Have a run go on, for so long."""
    expires = Micros(backend.clock() + int(seconds * 1_000_000))
    assert backend.take([LeaseRecord(execution_lease(run), run, *this_process(), expires)]) == [
        None
    ]


def a_call(number: int, queue: str = "gpu", run: ExecutionId = RUN) -> RoutedCall:
    return RoutedCall(key(number), run, JobId(key(number)), queue, "ns.f", b"%d" % number)


@pytest.fixture(autouse=True)
def _runs_for_long(sql_backend: SqlBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have silence tell, although the server was started a moment ago."""
    monkeypatch.setattr(type(sql_backend.database), "awake", lambda self, driver: math.inf)


@pytest.fixture
def calls(sql_backend: SqlBackend) -> Iterator[RoutedCalls]:
    hold(sql_backend, RUN)
    made = RoutedCalls(sql_backend)
    yield made
    made.close()


@contextmanager
def server(
    backend: SqlBackend, name: str, *queues: str, seconds: float = 3_600.0
) -> Iterator[ServedCalls]:
    made = ServedCalls(backend, name, queues or ("gpu",), None, seconds)
    made.beat()
    yield made
    made.close()


def assign(backend: SqlBackend, run: ExecutionId) -> str:
    """Have a worker be there that has taken a run; returns its id."""
    backend.record(an_execution(int(run, 16)))
    worker, pool = key(0xA1), key(0xB1)
    host, pid, _ = this_process()

    def work(driver: Driver) -> None:
        workers.make_pool(driver, pool, "p", ("gpu",))
        workers.register(driver, NewWorker(worker, "w", pool, host, pid, None, {}))
        sql = (
            "INSERT INTO assignment (execution_id, worker_id, queue, taken_at, losses, ended_at)"
            " VALUES (?, ?, 'gpu', ?, 0, NULL)"
        )
        given = bytearray.fromhex(run), bytearray.fromhex(worker), claims.clock(driver)
        driver.execute(sql, given)

    backend._transact(work)
    return worker


def taken_by(served: ServedCalls, most: int = 100) -> list[str]:
    return [each.id for each in served.take(most)]


def test_calls_are_taken_in_their_order_by_those_who_serve_their_queue(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(3), a_call(1), a_call(2, "cpu"), a_call(4, "tpu")])

    with server(sql_backend, "a", "gpu", "cpu") as one:
        first = one.take(2)
        rest = one.take(9)

    assert [each.id for each in first] == [key(3), key(1)]
    assert [each.id for each in rest] == [key(2)]
    assert (first[0].parcel, first[0].queue, first[0].task_name) == (b"3", "gpu", "ns.f")
    assert calls.look([RUN]) == {key(1): True, key(2): True, key(3): True, key(4): False}


def test_a_call_is_taken_by_one_server(sql_backend: SqlBackend, calls: RoutedCalls) -> None:
    calls.put([a_call(n) for n in range(10)])

    with server(sql_backend, "a") as one, server(sql_backend, "b") as two:
        taken = [taken_by(one, 4), taken_by(two, 4), taken_by(one, 4), taken_by(two, 4)]

    assert [len(each) for each in taken] == [4, 4, 2, 0]
    assert len({each for several in taken for each in several}) == 10


def test_what_is_put_twice_is_there_once(sql_backend: SqlBackend, calls: RoutedCalls) -> None:
    calls.put([a_call(1)])
    with server(sql_backend, "a") as one:
        taken_by(one)
        calls.put([a_call(1), a_call(2)])

        assert taken_by(one) == [key(2)]


def test_an_answer_is_that_of_who_has_the_call(sql_backend: SqlBackend, calls: RoutedCalls) -> None:
    calls.put([a_call(1), a_call(2)])

    with server(sql_backend, "a") as one, server(sql_backend, "b") as two:
        taken_by(one)
        two.answer([(key(1), b"of another")])
        assert calls.answers([RUN]) == []
        one.answer([(key(1), b"one"), (key(2), b"two")])
        one.answer([(key(1), b"once more")])
        assert one.find_held() == set()

    found = {each.id: (each.answer, each.losses) for each in calls.answers([RUN, OTHER])}
    assert found == {key(1): (b"one", 0), key(2): (b"two", 0)}
    assert calls.answers([OTHER]) == []


def test_what_nobody_has_taken_can_be_withdrawn_and_the_rest_only_if_wanted(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(n) for n in range(4)])
    with server(sql_backend, "a") as one:
        taken_by(one, 2)

        assert calls.withdraw([key(n) for n in range(4)], also_taken=False) == {key(2), key(3)}
        assert calls.withdraw([], also_taken=True) == set()
        assert one.find_held() == {key(0), key(1)}
        assert calls.withdraw([key(0)], also_taken=True) == {key(0)}
        assert one.find_held() == {key(1)}
        one.answer([(key(0), b"late")])

    assert calls.look([RUN]) == {key(1): True}


def test_what_is_given_back_has_cost_nobody_and_what_died_is_counted(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1), a_call(2)])

    with server(sql_backend, "a") as one:
        taken_by(one)
        one.release([key(1)])
        one.lose(key(2))
        again = {each.id: each.losses for each in one.take(9)}

    assert again == {key(1): 0, key(2): 1}


def test_a_call_that_costs_too_many_servers_has_ended_without_an_answer(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1)])

    with server(sql_backend, "a") as one:
        for number in range(MOST_LOSSES):
            assert [each.losses for each in one.take(9)] == [number]
            assert calls.answers([RUN]) == []
            one.lose(key(1))
        assert one.take(9) == []

    (found,) = calls.answers([RUN])
    assert found == (key(1), None, MOST_LOSSES)


def test_what_a_server_had_whose_lease_is_over_waits_again(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1), a_call(2)])

    with server(sql_backend, "a", seconds=-1) as gone, server(sql_backend, "b") as other:
        taken_by(gone, 1)
        other.tend()
        assert {each.id: each.losses for each in other.take(9)} == {key(1): 1, key(2): 0}
        gone.answer([(key(1), b"too late")])
        assert gone.find_held() == set()
        other.tend()
        assert other.find_held() == {key(1), key(2)}

    assert calls.answers([RUN]) == []


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_who_could_not_reach_the_database_takes_no_server_for_dead_at_once(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1)])
    clock = Clock()

    with server(sql_backend, "a", seconds=-1) as silent, server(sql_backend, "b") as other:
        taken_by(silent)
        for each in (other._backend, calls._backend):
            each.silence = Silence(30.0, gap=15.0, clock=clock)
            each.silence.missed()
        for seconds in (0, 10, 10, 9):
            clock.now += seconds
            other.beat()
            other.tend()
            calls.look([RUN])
            calls.give_back_lost([RUN])
        assert silent.find_held() == {key(1)}
        clock.now += 1
        other.tend()
        assert {each.id: each.losses for each in other.take(9)} == {key(1): 1}


def test_a_server_that_slept_takes_no_other_one_for_dead_at_once(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1)])
    clock = Clock()

    with server(sql_backend, "a", seconds=-1) as silent, server(sql_backend, "b") as other:
        taken_by(silent)
        other._backend.silence = Silence(30.0, gap=15.0, clock=clock)
        clock.now += 1_000
        other.tend()
        assert silent.find_held() == {key(1)}


def test_who_could_not_reach_the_database_takes_no_run_for_dead_at_once(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    hold(sql_backend, OTHER, seconds=-1)
    calls.put([a_call(1, run=OTHER), a_call(2, run=OTHER)])
    clock = Clock()

    with server(sql_backend, "a") as one:
        one._backend.silence = Silence(30.0, gap=15.0, clock=clock)
        one._backend.silence.missed()
        one.tend()
        assert taken_by(one, 1) == [key(1)]
        one.tend()
        assert one.find_held() == {key(1)}
        for _ in range(3):
            clock.now += 10
            one.beat()
        assert taken_by(one, 1) == []
    assert calls.look([OTHER]) == {}


def test_a_server_that_has_given_its_lease_back_is_gone_whatever_silence_says(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    calls.put([a_call(1)])

    with server(sql_backend, "a") as gone, server(sql_backend, "b") as other:
        taken_by(gone)
        sql_backend.release("a", ["server:a", "serving:a:gpu"])
        other._backend.silence.missed()
        other.tend()
        assert {each.id: each.losses for each in other.take(9)} == {key(1): 1}


def test_a_run_gives_back_what_servers_had_of_it_that_are_gone(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    hold(sql_backend, OTHER)
    calls.put([a_call(1), a_call(2, run=OTHER)])

    with (
        server(sql_backend, "a", seconds=-1) as gone,
        server(sql_backend, "b", "cpu", seconds=-1) as of_other,
    ):
        calls.put([a_call(3, "cpu", run=OTHER)])
        taken_by(gone, 1)
        taken_by(of_other)
        calls.give_back_lost([RUN])
        calls.give_back_lost([])

        assert calls.look([RUN, OTHER]) == {key(1): False, key(2): False, key(3): True}
        calls.give_back_lost([RUN, OTHER])
        assert calls.look([OTHER]) == {key(2): False, key(3): False}


def test_a_server_that_retires_takes_the_calls_of_its_worker_s_runs_and_no_others(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    hold(sql_backend, OTHER)
    worker = assign(sql_backend, OTHER)
    made = ServedCalls(sql_backend, "a", ["gpu"], worker)
    made.beat()
    calls.put([a_call(1), a_call(2, run=OTHER)])
    assert calls.served() == {"gpu"}
    made.retire()

    assert calls.served() == set()
    made.beat()
    assert calls.served() == set()
    assert [each.id for each in made.take(9, own=True)] == [key(2)]
    assert made.find_held() == {key(2)}
    made.close()
    with server(sql_backend, "b") as other:
        assert taken_by(other) == [key(1)]


def test_a_server_whose_leases_were_removed_takes_them_anew(sql_backend: SqlBackend) -> None:
    with server(sql_backend, "a", "gpu") as one, server(sql_backend, "b", "cpu"):
        calls = RoutedCalls(sql_backend)
        assert calls.served() == {"gpu", "cpu"}
        sql_backend.release("a", ["server:a", "serving:a:gpu"])
        assert calls.served() == {"cpu"}

        one.beat()

        assert calls.served() == {"gpu", "cpu"}
    assert calls.served() == set()
    calls.close()


def test_names_of_queues_may_have_anything_in_them(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    names = ["a:b", "a", ":", "serving:", "Ä €", "%_'\""]
    calls.put([a_call(number, name) for number, name in enumerate(names)])

    with server(sql_backend, "x", *names) as one:
        assert calls.served() == set(names)
        assert [each.queue for each in one.take(9)] == names


def test_calls_of_runs_that_are_gone_are_taken_away_by_who_would_take_them(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    hold(sql_backend, OTHER)
    calls.put([a_call(1), a_call(2, run=OTHER), a_call(3, "cpu", run=OTHER), a_call(4)])
    sql_backend.release(OTHER, [execution_lease(OTHER)])

    with server(sql_backend, "a", "gpu") as one:
        assert taken_by(one) == [key(1), key(4)]
    assert calls.look([OTHER]) == {}


def test_calls_of_runs_that_are_gone_are_taken_away_whatever_their_queue(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    hold(sql_backend, OTHER)
    calls.put([a_call(1), a_call(2, run=OTHER), a_call(3, run=OTHER)])

    with server(sql_backend, "a") as one, server(sql_backend, "b", "other") as two:
        assert len(taken_by(one, 2)) == 2
        two.tend()
        assert len(calls.look([RUN, OTHER])) == 3
        sql_backend.release(OTHER, [execution_lease(OTHER)])
        two.tend()
        assert one.find_held() == {key(1)}

    assert calls.look([RUN, OTHER]) == {key(1): True}


def test_large_calls_are_put_in_pieces_and_arrive_whole(
    sql_backend: SqlBackend, calls: RoutedCalls
) -> None:
    parcels = [bytes([n]) * 7_000_000 for n in range(5)]
    calls.put([a_call(n)._replace(parcel=each) for n, each in enumerate(parcels)])

    with server(sql_backend, "a") as one:
        taken = one.take(9)
        one.answer([(each.id, each.parcel) for each in taken])

    assert sorted(each.parcel for each in taken) == parcels
    assert sorted(each.answer or b"" for each in calls.answers([RUN])) == parcels
