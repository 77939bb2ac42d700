"""How a task on one of Dask's workers talks to the process that submitted it.

The worker raises an event with a ticket in it. The other process runs a function here that answers
the ticket, or takes what lies under it. Results pass by the scheduler on their way; it keeps none.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from distributed import Status, get_worker, rejoin, secede

from taskgraph.errors import ExecutorError, RemoteTaskError
from taskgraph.ports import Outcome, Raised, Returned
from taskgraph.values import codec
from taskgraph.values.preview import preview
from taskgraph.values.registry import kind_of
from taskgraph.values.stored import PackedValue
from taskgraph.worker import describe_error

_PATIENCE: Final = 1.0  # seconds between two looks at whether anybody wants the result
_RUNS: Final = frozenset({"executing", "long-running"})
_ALIVE: Final = frozenset({Status.running, Status.paused, Status.closing_gracefully})


class Message(NamedTuple):
    """What a worker says: plain data.

    Attributes:
        key: Of the task.
        ticket: What the answer is for.
        worker: Its address.
        ask: The hashes of the values that are only there, if it asks whether to run; None if there
            is an outcome to be taken.
    """

    key: str
    ticket: str
    worker: str
    ask: Sequence[str] | None


class Answer(NamedTuple):
    """What the other process says: ``run``, ``wait``, ``value``, ``error`` or ``kept``."""

    word: str
    content: bytes = b""


class Told(NamedTuple):
    """What came of a call.

    Attributes:
        outcome: Without the value, which is in there as it is stored.
        type_name: The value's.
        preview: The value's, where that is not in there.
        inputs: Those whose hashes were asked about, as they are stored.
    """

    outcome: Outcome
    type_name: str = ""
    preview: str = ""
    inputs: Sequence[PackedValue] = ()


class _Ticket(NamedTuple):
    outcome: Outcome | None
    inputs: Sequence[PackedValue]
    answers: SimpleQueue[Answer]


_tickets: dict[str, _Ticket] = {}


class Talk:
    """Says things to the process that submitted the task that runs in this thread.

    Args:
        topic: Where that listens.
        fullname: What is run.
    """

    def __init__(self, topic: str, fullname: str) -> None:
        self.worker = get_worker()
        self._topic = topic
        self._fullname = fullname
        self._key = str(self.worker.get_current_task())

    def ask(self, hashes: Sequence[str]) -> Answer:
        """Ask whether to run, now that all arguments are here."""
        return self._say(_Ticket(None, (), SimpleQueue()), hashes)

    def tell(self, outcome: Outcome, inputs: Sequence[PackedValue]) -> None:
        """Have an outcome be recorded, and wait until it is."""
        self._say(_Ticket(outcome, inputs, SimpleQueue()), None)

    def _say(self, ticket: _Ticket, hashes: Sequence[str] | None) -> Answer:
        name = uuid.uuid4().hex
        _tickets[name] = ticket
        message = Message(self._key, name, self.worker.address, hashes)
        try:
            self.worker.log_event(self._topic, message._asdict())
            answer = self._wait(ticket)
            if answer.word == "wait":  # an equal call is under way: it may need this thread
                secede()
                while answer.word == "wait":  # again: another that waited was the first to ask
                    answer = self._wait(ticket)
                rejoin()
        finally:
            del _tickets[name]
        if answer.word == "error":
            raise codec.loads(answer.content)
        return answer

    def _wait(self, ticket: _Ticket) -> Answer:
        while True:
            try:
                return ticket.answers.get(timeout=_PATIENCE)
            except Empty:
                task = self.worker.state.tasks.get(self._key)
                is_closing = self.worker.status not in _ALIVE
                if is_closing or task is None or task.state not in _RUNS:
                    raise ExecutorError(f"Nobody waits for {self._fullname} any more.") from None


def answer_ticket(name: str, answer: Answer) -> None:
    """Answer what a task said; run by the other process."""
    if name in _tickets:
        _tickets[name].answers.put(answer)


def take_outcome(name: str) -> Told:
    """Return an outcome to be recorded; run by the other process."""
    outcome, inputs, _ = _tickets[name]
    if isinstance(outcome, Raised):
        return Told(_sendable(outcome), inputs=inputs)
    assert isinstance(outcome, Returned)
    shown = "" if outcome.packed else preview(outcome.value)
    type_name = kind_of(outcome.value).type_name(outcome.value)
    return Told(replace(outcome, value=None), type_name, shown, inputs)


def _sendable(outcome: Raised) -> Raised:
    try:
        codec.loads(codec.dumps(outcome.error))
    except Exception:
        # Many exceptions cannot be pickled, or not be made again from what was.
        return replace(outcome, error=RemoteTaskError(describe_error(outcome.error)))
    return outcome


def error_answer(error: BaseException) -> Answer:
    """Return the answer that something went wrong where the call is recorded."""
    try:
        return Answer("error", codec.dumps(error))
    except Exception:
        return Answer("error", codec.dumps(RemoteTaskError(describe_error(error))))
