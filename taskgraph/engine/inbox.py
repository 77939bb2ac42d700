"""Where everything that happens outside of the scheduler's thread comes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from taskgraph.errors import SchedulerError
from taskgraph.ports import Outcome
from taskgraph.records import JobId

Message = Outcome | Callable[[], None]
Asked = Callable[[JobId, Any, Callable[[Any, BaseException | None], None]], None]


class QueueInbox:
    """Outcomes from executors, and what pools want done on the scheduler's thread.

    Attributes:
        on_asked: Does what bodies that run ask for; None where no run goes on.
    """

    def __init__(self) -> None:
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._steps: list[Callable[[], bool]] = []
        self.on_asked: Asked | None = None

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        """Hand over outcomes; from any thread."""
        for each in outcomes:
            self._messages.put(each)

    def ask(
        self, job_id: JobId, asked: Any, answer: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Have expressions evaluated for a call that runs; from any thread."""
        on_asked = self.on_asked
        if on_asked is None:
            answer(None, SchedulerError("The run that this call was part of has ended."))
            return
        self._messages.put(partial(on_asked, job_id, asked, answer))

    def call_soon(self, action: Callable[[], None]) -> None:
        """Have something done on the scheduler's thread; from any thread."""
        self._messages.put(action)

    def when_idle(self, step: Callable[[], bool]) -> None:
        """Have ``step`` called whenever the scheduler would otherwise wait."""
        if step not in self._steps:
            self._steps.append(step)

    def close(self) -> None:
        """Let go of the run, which has ended: executors know this until they are given another."""
        self.on_asked = None
        self._steps = []
        self.take(0)

    @property
    def has_steps(self) -> bool:
        """Whether anybody works on the scheduler's thread."""
        return bool(self._steps)

    def step(self) -> bool:
        """Do a step of those that work on this thread; False if they have nothing to do."""
        return any(step() for step in self._steps)

    def take(self, timeout: float) -> list[Message]:
        """Return all that came in, waiting for the first up to ``timeout`` seconds."""
        messages: list[Message] = []
        try:
            if timeout > 0:
                messages.append(self._messages.get(timeout=timeout))
            while True:
                messages.append(self._messages.get_nowait())
        except Empty:
            return messages
