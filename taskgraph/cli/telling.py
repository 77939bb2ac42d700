"""The end of ``taskgraph run``: whoever is to be told of it is told, once and without much waiting.

Whatever comes of that, the run has ended as it ended, and its output is written.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from taskgraph.config import Settings
    from taskgraph.ports import Backend

_SECONDS: Final = 5.0
_MOST: Final = 20


class AfterRun:
    """Tells of a run that has ended, if a policy is about anything at all.

    Args:
        is_wanted: Whether there will be anything to tell of.
        is_quiet: Whether nothing is said of what did not arrive.
    """

    def __init__(self, *, is_wanted: bool, is_quiet: bool) -> None:
        self._is_wanted = is_wanted
        self._is_quiet = is_quiet
        self._settings: Settings | None = None

    def look(self, settings: Settings, backend: Backend) -> None:
        """Ask, by one statement, whether there is anything to be done when the run is over.

        A run that ends because its database is lost has waited for that long enough.
        """
        from taskgraph.assembly.notifying import has_policies
        from taskgraph.errors import DatabaseError

        is_lost = isinstance(sys.exc_info()[1], DatabaseError)
        if self._is_wanted and not is_lost and has_policies(backend):
            self._settings = settings

    def tell(self) -> None:
        """Deliver what is due, as far as that takes no time; never raises."""
        if self._settings is None:
            return
        try:
            with suppress(OSError):
                sys.stdout.flush()
            self._deliver(self._settings)
        except KeyboardInterrupt:
            # Somebody wants to go on: the next one who delivers sends it.
            return
        except Exception as error:
            # A database that is gone, a callback that breaks: none of it is of the run.
            self._say(f"Notifications were not sent: {error}")

    def _deliver(self, settings: Settings) -> None:
        from taskgraph.assembly.databases import open_existing
        from taskgraph.assembly.notifying import policies_of
        from taskgraph.cli.aside import printed_aside
        from taskgraph.cli.policy_sending import find_callbacks

        find_callbacks(settings)
        # The output of a run is what the run says, whatever functions print that are told of it.
        with open_existing(settings) as backend, printed_aside():
            done = policies_of(backend).deliver(most=_MOST, seconds=_SECONDS)
        for said in done.unreadable:
            self._say(said)
        for each in done.attempts:
            if each.status != "delivered":
                self._say(f"A notification of {each.notification.policy} failed: {each.error}")
        for pause in done.held:
            self._say(f"{pause}")
        others = done.waiting - sum(pause.waiting for pause in done.held)
        if others > 0:
            self._say(f"{others:,} wait; they are sent by: taskgraph policy deliver")

    def _say(self, text: str) -> None:
        from taskgraph.provenance.page import clean_text

        if not self._is_quiet:
            click.echo(clean_text(text), err=True)


__all__ = ["AfterRun"]
