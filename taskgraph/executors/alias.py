"""`AliasExecutor`: an executor that is made when it is first needed, or that has a second name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from taskgraph.errors import LaunchError
from taskgraph.ports import Call, Command, Executor, Inbox, Launcher
from taskgraph.records import JobId


class AliasExecutor:
    """Gives its calls to another executor, which is made when it is first needed.

    Under another name than the other's both share its workers. Under the same one nobody knows the
    other besides: what is dear to make, or a stranger's, is late in that way.

    Args:
        name: What tasks choose it by.
        target: The other executor, or what returns it when it is first needed.
    """

    def __init__(self, name: str, target: Executor | Callable[[], Executor]) -> None:
        self.name = name
        self._made: Executor | None = None
        self._making = threading.Lock()
        self._make = target if callable(target) else lambda: target

    @property
    def target(self) -> Executor:
        """The other executor."""
        if self._made is None:
            with self._making:
                if self._made is None:  # it may have been made while this thread waited
                    self._made = self._make()
        return self._made

    @property
    def has_timeouts(self) -> bool:
        """Whether calls that take too long are ended."""
        return getattr(self.target, "has_timeouts", True)

    @property
    def gives_coroutines_to(self) -> str:
        """The executor that gets the coroutines which are not said to run here."""
        return getattr(self.target, "gives_coroutines_to", self.name)

    @property
    def resumes(self) -> bool:
        """Whether calls that an earlier process has begun are found again."""
        return getattr(self.target, "resumes", False)

    @property
    def routes(self) -> bool:
        """Whether calls are sent to the workers of their queues."""
        return getattr(self.target, "routes", False)

    def start(self, inbox: Inbox) -> None:
        """Start the other one."""
        self.target.start(inbox)

    def submit(self, calls: Sequence[Call]) -> None:
        """Give the calls to the other one."""
        self.target.submit(calls)

    def cancel(self, job_ids: Sequence[JobId]) -> list[JobId]:
        """Have the other one drop calls."""
        return self.target.cancel(job_ids)

    def queued(self, job_ids: Sequence[JobId]) -> set[JobId]:
        """Return which of the calls no worker has begun, as far as the other one knows."""
        ask = getattr(self.target, "queued", None)
        return set() if ask is None else set(ask(job_ids))

    def stop(self, is_now: bool = False) -> None:
        """Stop the other one, if there is one."""
        if self._made is not None:
            self._made.stop(is_now)

    def launch(self, command: Command) -> str:
        """Have the other one launch a command.

        Raises:
            LaunchError: It launches nothing.
        """
        return launch(self.target, command)


def launch(executor: Executor, command: Command) -> str:
    """Have an executor launch a command.

    Raises:
        LaunchError: It lives in this process alone, and would end with it.
    """
    wanted: Launcher | None = executor if hasattr(executor, "launch") else None  # type: ignore[assignment]
    if wanted is None:
        raise LaunchError(executor.name)
    return wanted.launch(command)
