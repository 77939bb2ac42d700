"""A supervisor with slots that are any program: when they are started, ended and started again."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskgraph.catalog.worker_rows import GivenBack, Wish, Worker, WorkerPool, WorkerStatus
from taskgraph.errors import DatabaseError
from taskgraph.serving.orders import DONE, EDITED, FAILED, SlotOrder
from taskgraph.serving.supervisor import Supervisor
from taskgraph.silence import Silence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POOL = WorkerPool("p" * 32, "p", ("a",), NOW)
WORKER = Worker("w" * 32, "w", POOL, "host", 7, WorkerStatus.RUNNING, NOW, NOW)

SLOT = """
    import json, os, sys, time
    orders, reports = (int(each) for each in sys.argv[-2:])
    stream = os.fdopen(orders, "rb", buffering=0)
    order = json.loads(stream.readline())

    def say(kind, **more):
        os.write(reports, json.dumps({"kind": kind, **more}).encode() + b"\\n")

    number = len(os.listdir("."))
    open(str(os.getpid()), "w").write(json.dumps(order))
"""


class Recorded:
    """What a supervisor asks, and what it is told."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.wishes: list[Wish | None] = []
        self.is_own = True
        self.waiting: list[bool | DatabaseError] = []
        self.error: DatabaseError | None = None

    def beat(self, worker_id: str, pid: int | None) -> bool:
        self.asked.append(("beat", pid))
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return self.is_own

    def wish_of(self, worker_id: str) -> Wish | None:
        return self.wishes.pop(0) if self.wishes else None

    def end_worker(self, worker_id: str, pid: int) -> None:
        self.asked.append("end")

    def is_waiting(self, queues: Sequence[str]) -> bool:
        said = self.waiting.pop(0) if self.waiting else False
        if isinstance(said, DatabaseError):
            raise said
        return said

    def give_back(
        self, worker_id: str | None = None, why: str | None = None, *, is_loss: bool = True
    ) -> GivenBack:
        if worker_id is not None:
            self.asked.append(("gave back", why, is_loss))
        return GivenBack()


def supervised(
    folder: Path, body: str, routed: Recorded, said: list[str], **how: Any
) -> Supervisor:
    program = f"{textwrap.dedent(SLOT)}{textwrap.dedent(body)}\nsys.exit({DONE})"
    asked = {name: how.pop(name) for name in ("quota", "is_burst") if name in how}
    order = SlotOrder("c", WORKER.id, "w", POOL.id, ("a",), **asked)
    command = [sys.executable, "-c", f"import os\nos.chdir({str(folder)!r})\n{program}"]
    return Supervisor(routed, WORKER, order, command, say=said.append, **how)


def test_a_slot_that_is_done_is_not_started_again(tmp_path: Path) -> None:
    routed, said = Recorded(), list[str]()
    body = """
        say("ready"); say("took", execution_id="5" * 32, text="f", queue="a")
        say("ended", execution_id="5" * 32, text="COMPLETED", seconds=1.5)
    """
    assert supervised(tmp_path, body, routed, said).run()
    assert len(list(tmp_path.iterdir())) == 1
    assert said == ["55555555 f was taken from a", "55555555 f is COMPLETED after 1.5 s"]
    assert routed.asked[-1] == "end"


def test_one_that_dies_gives_back_and_is_started_again(tmp_path: Path) -> None:
    routed, said = Recorded(), list[str]()
    body = """
        say("ready"); say("took", execution_id="5" * 32, text="f", queue="a")
        if number == 0:
            os.kill(os.getpid(), 9)
        say("ended", execution_id="5" * 32, text="COMPLETED", seconds=1.5)
    """
    assert supervised(tmp_path, body, routed, said).run()
    assert len(list(tmp_path.iterdir())) == 2
    (gave,) = [each for each in routed.asked if each[0] == "gave back"]
    assert "signal 9" in gave[1] and gave[2] is True
    assert "slot 0 ended by signal 9, with 1 running" in said


@pytest.mark.parametrize("code", [0, EDITED, DONE])
def test_a_body_that_ends_its_slot_is_a_loss_whatever_the_code(tmp_path: Path, code: int) -> None:
    routed, said = Recorded(), list[str]()
    body = f"""
        say("ready"); say("took", execution_id="5" * 32, text="f", queue="a")
        if number == 0:
            os._exit({code})
        say("ended", execution_id="5" * 32, text="COMPLETED", seconds=1.5)
    """
    assert supervised(tmp_path, body, routed, said).run()
    assert len(list(tmp_path.iterdir())) == 2
    (gave,) = [each for each in routed.asked if each[0] == "gave back"]
    assert f"code {code}" in gave[1] and gave[2] is True


def test_what_a_body_has_left_ends_no_worker_by_ending_its_slot(tmp_path: Path) -> None:
    body = 'say("ready"); os._exit(0) if number == 0 else None'
    assert supervised(tmp_path, body, Recorded(), []).run()
    assert len(list(tmp_path.iterdir())) == 2


def test_one_whose_code_was_edited_is_started_again_and_nothing_was_lost(tmp_path: Path) -> None:
    routed = Recorded()
    body = f'say("ready"); sys.exit({EDITED} if number < 2 else {DONE})'
    assert supervised(tmp_path, body, routed, []).run()
    assert len(list(tmp_path.iterdir())) == 3
    assert not [each for each in routed.asked if each[0] == "gave back"]


def test_one_that_cannot_begin_ends_the_worker_with_its_reason(tmp_path: Path) -> None:
    body = f'say("failed", text="no such script"); sys.exit({FAILED})'
    supervisor = supervised(tmp_path, body, Recorded(), [], concurrency=2)
    assert not supervisor.run()
    assert supervisor.reason == "no such script"


def test_what_is_taken_at_most_is_parted_among_slots(tmp_path: Path) -> None:
    import json

    body = 'say("ready")'
    assert supervised(tmp_path, body, Recorded(), [], concurrency=3, quota=5).run()
    quotas = sorted(json.loads(each.read_text())["quota"] for each in tmp_path.iterdir())
    assert sum(quotas) == 5 and len(quotas) <= 3


def test_what_waits_once_all_have_ended_is_seen_to(tmp_path: Path) -> None:
    routed = Recorded()
    routed.waiting = [True, False]
    assert supervised(tmp_path, 'say("ready")', routed, []).run()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_slots_have_not_taken_is_left_to_those_that_begin_again(tmp_path: Path) -> None:
    import json

    routed = Recorded()
    routed.waiting = [True, True, False]
    body = """
        say("ready"); say("took", execution_id="5" * 32, text="f", queue="a")
        say("ended", execution_id="5" * 32, text="COMPLETED", seconds=1.5)
    """
    assert supervised(tmp_path, body, routed, [], concurrency=2, quota=5).run()

    # Each takes one: three and two at most, then two and one, and one in the end.
    quotas = [json.loads(each.read_text())["quota"] for each in tmp_path.iterdir()]
    assert sorted(quotas) == [1, 1, 2, 2, 3]
    assert routed.waiting == [False]


def test_a_database_that_is_away_at_the_end_does_not_say_that_nothing_waits(tmp_path: Path) -> None:
    routed, said = Recorded(), list[str]()
    routed.waiting = [DatabaseError("sqlite:///x", "it is away"), True, False]
    how = {"silence": Silence(0.0)}
    assert supervised(tmp_path, 'say("ready")', routed, said, **how).run()
    assert len(list(tmp_path.iterdir())) == 2
    assert any("it is away" in each for each in said)


def test_a_slot_does_not_begin_before_it_may_judge_who_is_silent(tmp_path: Path) -> None:
    now = [1_000.0]
    silence = Silence(30.0, clock=lambda: now[0])
    supervisor = supervised(tmp_path, "", Recorded(), [], silence=silence)
    assert supervisor._may_start(0.0)
    silence.missed()
    assert not supervisor._may_start(0.0)
    silence.heard()
    assert not supervisor._may_start(0.0)
    now[0] += 30
    assert supervisor._may_start(0.0)
    assert supervisor._seconds_left() == 0.5


@pytest.mark.parametrize("wish", [Wish.STOP, None])
def test_a_worker_stops_if_it_is_asked_to_or_its_name_is_anothers(
    tmp_path: Path, wish: Wish | None
) -> None:
    routed, said = Recorded(), list[str]()
    routed.wishes, routed.is_own = [wish], wish is not None
    body = """
        say("ready")
        assert stream.readline() == b"drain\\n"
    """
    assert supervised(tmp_path, body, routed, said).run()
    assert any("takes no more" in each for each in said)


def test_what_runs_is_ended_and_given_back_if_it_is_to_stop_now(tmp_path: Path) -> None:
    routed, said = Recorded(), list[str]()
    routed.wishes = [None, Wish.STOP_NOW]
    body = 'say("ready"); say("took", execution_id="5" * 32, text="f", queue="a"); time.sleep(600)'
    assert supervised(tmp_path, body, routed, said).run()
    (gave,) = [each for each in routed.asked if each[0] == "gave back"]
    assert gave == ("gave back", "worker w was stopped", False)


def test_duties_are_done_and_one_that_fails_is_told_of(tmp_path: Path) -> None:
    done: list[str] = []
    said: list[str] = []

    def fails() -> None:
        raise ValueError("no")

    duties = [fails, lambda: done.append("done")]
    body = 'say("ready"); time.sleep(0.3)'
    assert supervised(tmp_path, body, Recorded(), said, duties=duties).run()
    assert done and "ValueError: no" in said


def test_a_database_that_is_away_does_not_end_a_worker(tmp_path: Path) -> None:
    routed, said = Recorded(), list[str]()
    routed.error = DatabaseError("sqlite:///x", "it is away")
    silence = Silence(30.0)
    how = {"silence": silence}
    assert supervised(tmp_path, 'say("ready"); time.sleep(0.3)', routed, said, **how).run()
    assert any("it is away" in each for each in said)
    assert not silence.tells and silence.gap == 15.0


class Beside:
    """A companion that notes what it is told, and is never idle."""

    is_idle = False

    def __init__(self) -> None:
        self.is_alive = False
        self.told: list[str] = []

    def start(self) -> None:
        self.is_alive = True

    def retire(self) -> None:
        self.told.append("retire")

    def drain(self, timeout: float | None = None) -> bool:
        self.told.append("drain")
        self.is_alive = False
        return True

    def stop(self) -> None:
        self.told.append("stop")


def test_what_is_beside_its_slots_retires_with_them_and_ends_after_them(tmp_path: Path) -> None:
    routed, said, beside = Recorded(), list[str](), Beside()
    routed.wishes = [None, Wish.STOP]
    body = """
        say("ready")
        assert stream.readline() == b"drain\\n"
        say("said", text="drained")
    """
    assert supervised(tmp_path, body, routed, said, companions=[beside], is_burst=True).run()
    assert beside.told == ["retire", "drain", "stop"]
