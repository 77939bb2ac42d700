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
from taskgraph.executors.raised import sent_error
from taskgraph.expression import find_expressions
from taskgraph.hashing import ValueHash
from taskgraph.ports import Outcome, Raised
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
    ask: Sequence[ValueHash] | None


class Answer(NamedTuple):
    """What the other process says: ``run``, ``wait``, ``value``, ``error`` or ``kept``."""

    word: str
    content: bytes = b""


class Told(NamedTuple):
    """What came of a call.

    Attributes:
        outcome: Without the value, which stays on the worker, unless that holds lazy calls.
        type_name: The value's.
        preview: The value's.
        inputs: Those whose hashes were asked about, as they are stored.
    """

    outcome: Outcome
    type_name: str
    preview: str
    inputs: Sequence[PackedValue]


class _Ticket(NamedTuple):
    told: Told | None
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

    def ask(self, hashes: Sequence[ValueHash]) -> Answer:
        """Ask whether to run, now that all arguments are here."""
        return self._say(None, hashes)

    def tell(self, outcome: Outcome, inputs: Sequence[PackedValue]) -> None:
        """Say what came of the call, and wait until that is taken note of."""
        if isinstance(outcome, Raised):
            told = Told(replace(outcome, error=_sendable(outcome.error)), "", "", inputs)
        else:
            value = outcome.value
            sent = replace(outcome, value=value if find_expressions(value) else None)
            told = Told(sent, kind_of(value).type_name(value), preview(value), inputs)
        self._say(told, None)

    def _say(self, told: Told | None, hashes: Sequence[ValueHash] | None) -> Answer:
        name = uuid.uuid4().hex
        ticket = _tickets[name] = _Ticket(told, SimpleQueue())
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


def take_told(name: str) -> Told:
    """Return what came of a call; run by the other process."""
    told = _tickets[name].told
    assert told is not None
    return told


def error_answer(error: BaseException) -> Answer:
    """Return the answer that something went wrong in the process that submitted the call."""
    return Answer("error", sent_error(error))


def _sendable(error: BaseException) -> BaseException:
    try:
        codec.loads(codec.dumps(error))
    except Exception:
        # Many exceptions cannot be pickled, or not be made again from what was.
        return RemoteTaskError(describe_error(error))
    return error
