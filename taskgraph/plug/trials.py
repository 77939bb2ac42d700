"""Pytest's fixture ``taskgraph``: workflows under test, with a store that each test has for itself.

Every session on a machine with taskgraph loads this module: what is heavy is loaded by the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from taskgraph.app import Scheduler
    from taskgraph.config import Settings
    from taskgraph.events import Event

T = TypeVar("T")


class Trial:
    """Runs workflows, and tells which tasks ran.

    Tasks run in the thread of the test, one after another, so that breakpoints and ``monkeypatch``
    do what they say. Nothing is read from the project's database, and nothing is left.

    Args:
        settings: Those of the project; its database, and the executor, are others.
        executor: Where tasks run that name no executor.

    Attributes:
        scheduler: What runs them; ``taskgraph.run`` in the test, and in what it calls, uses it too.
        ran: The full names of the tasks whose bodies ran to their end in the last run, in the
            order in which they ended.
        cached: Of those whose results were there already.
        failed: Of those that failed, with those that failed because others did.
    """

    def __init__(self, settings: Settings | None = None, executor: str = "inline") -> None:
        self._settings = settings
        self._executor = executor
        self.ran: list[str] = []
        self.cached: list[str] = []
        self.failed: list[str] = []
        self.scheduler = self._made()

    def _made(self) -> Scheduler:
        from taskgraph.app import Scheduler, set_current_scheduler

        uri = "sqlite:///:memory:"
        made = Scheduler(
            self._settings, backend=uri, executor=self._executor, observers=[_Observer(self)]
        )
        set_current_scheduler(made)
        return made

    def run(self, expr: T, **how: Any) -> T:
        """Return the value of an expression.

        Args:
            expr: What to evaluate.
            how: As of `taskgraph.Scheduler.run`.
        """
        return self.scheduler.run(expr, **how)

    def forget(self) -> None:
        """Forget all results: what is run next runs as for the first time."""
        self.scheduler.close()
        self.scheduler = self._made()


class _Observer:
    """Keeps in a trial what became of each call."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def notify(self, event: Event) -> None:
        """Take note of an event."""
        from taskgraph.events import ExecutionStarted, JobCached, JobDone, JobFailed
        from taskgraph.tasks.names import BUILT_IN

        trial = self._trial
        if isinstance(event, ExecutionStarted):
            for names in (trial.ran, trial.cached, trial.failed):
                names.clear()
        lists = {JobDone: trial.ran, JobCached: trial.cached, JobFailed: trial.failed}
        names_of_kind = lists.get(type(event))
        if names_of_kind is None:
            return
        name: str = event.task  # type: ignore[union-attr]  # all of these have one
        if name.rpartition(".")[0] != BUILT_IN:
            names_of_kind.append(name)


@pytest.fixture
def taskgraph(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Run workflows in a store in memory: ``taskgraph.run(expr)``, ``taskgraph.ran``."""
    from taskgraph.app import get_current_scheduler, set_current_scheduler
    from taskgraph.config import find_config_dir, load_settings

    root = request.config.rootpath
    before = get_current_scheduler(required=False)
    trial = Trial(load_settings(find_config_dir(start=root)))
    try:
        yield trial
    finally:
        trial.scheduler.close()
        set_current_scheduler(before)
