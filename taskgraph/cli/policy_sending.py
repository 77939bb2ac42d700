"""``taskgraph policy test | deliver | notifications``: what is sent, and what became of it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.managed import opened_archive
from taskgraph.cli.options import COUNT, ExitCode, load_settings

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.policy_rows import Attempt
    from taskgraph.config import Settings

_STATUSES = ("waiting", "delivered", "given_up")


@click.command("test", help="Send a notification that says that it is a test.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("policy", metavar="POLICY")
@click.pass_context
def test(ctx: click.Context, as_json: bool, policy: str) -> int:
    """Try whether notifications arrive."""
    from taskgraph.errors import PolicyNotFoundError

    find_callbacks(load_settings(ctx))
    with opened_archive(ctx) as archive, printed_aside() as out:
        if archive is None:
            raise PolicyNotFoundError(policy)
        tried = archive.policies.test(policy)
        if as_json:
            click.echo(json.dumps(tried.to_json(), indent=2), file=out)
        else:
            _show_attempt(tried, out)
    return ExitCode.OK if tried.status == "delivered" else ExitCode.RUN_FAILED


@click.command("deliver", help="Find of what somebody is to be told, and send what is due.")
@click.option("--watch", is_flag=True, help="Go on until SIGTERM or Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch, look again after so many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON; with --watch a line for each.")
@click.pass_context
def deliver(ctx: click.Context, watch: bool, interval: float, as_json: bool) -> int:
    """Deliver once, or again and again."""
    from taskgraph.catalog.policy_rows import Delivered
    from taskgraph.provenance.page import clean_text, print_page
    from taskgraph.provenance.policy_page import delivered_line

    find_callbacks(load_settings(ctx))
    with opened_archive(ctx) as archive, printed_aside() as out:
        if watch:
            if archive is None:
                raise click.UsageError("There are no records yet: taskgraph init", ctx)
            _watch(archive, interval, as_json, out)
            return ExitCode.OK
        done = Delivered()
        if archive is not None:
            tell: Callable[[Attempt], object] = partial(_show_attempt, out=out)
            done = archive.policies.deliver(tell=_say_nothing if as_json else tell)
        for each in done.unreadable:
            click.echo(clean_text(each), err=True)
        if as_json:
            click.echo(json.dumps(done.to_json(), indent=2), file=out)
        else:
            print_page(delivered_line(done), out)
    return ExitCode.OK


@click.command("notifications", help="List notifications, those that were found last first.")
@click.option("--policy", metavar="POLICY", help="Only those of this policy.")
@click.option("--execution", metavar="REF", help="Only those about this execution.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(_STATUSES),
    multiple=True,
    help="Only those of this status; may be repeated.",
)
@click.option("-n", "--limit", type=COUNT, default=50, show_default=True, help="At most so many.")
@click.option("--count", "only_count", is_flag=True, help="Only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def notifications(
    ctx: click.Context,
    policy: str | None,
    execution: str | None,
    statuses: tuple[str, ...],
    limit: int,
    only_count: bool,
    as_json: bool,
) -> int:
    """Show notifications."""
    from taskgraph.errors import PolicyNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.policy_page import no_notifications, notifications_page

    meant: dict[str, Any] = {"policy": policy, "execution": execution, "status": statuses}
    with opened_archive(ctx) as archive:
        if archive is None and policy is not None:
            raise PolicyNotFoundError(policy)
        found, number, total = [], 0, 0
        if archive is not None and only_count:
            number = archive.policies.count_notifications(**meant)
        elif archive is not None:
            found = archive.policies.notifications(**meant, limit=limit)
            total = 0 if found else archive.policies.count_notifications()
    if only_count:
        click.echo(json.dumps({"count": number}) if as_json else f"{number}")
    elif as_json:
        click.echo(json.dumps({"notifications": [each.to_json() for each in found]}, indent=2))
    elif found:
        print_page(notifications_page(found), sys.stdout)
    else:
        asked = [f"--status {each}" for each in statuses]
        asked += [f"--policy {policy}"] if policy is not None else []
        asked += [f"--execution {execution}"] if execution is not None else []
        print_page(no_notifications(total, asked), sys.stdout)
    return ExitCode.OK


def find_callbacks(settings: Settings) -> None:
    """Have modules beside the project be found, as those are that scripts import."""
    folder = str(settings.project_dir)
    if folder not in sys.path:
        sys.path.append(folder)


def _show_attempt(attempt: Attempt, out: TextIO) -> None:
    """Write a line on what became of an attempt."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.policy_page import attempt_line

    print_page(attempt_line(attempt), out)
    out.flush()


def _say_nothing(attempt: Attempt) -> None:
    """Leave it to the end."""


def _show_json(attempt: Attempt, out: TextIO) -> None:
    click.echo(json.dumps(attempt.to_json()), file=out)
    out.flush()


def _watch(archive: Archive, interval: float, as_json: bool, out: TextIO) -> None:
    """Deliver again and again, until somebody wants an end; what is being sent is sent.

    A database that is away, full or locked is waited for, and that is said once.
    """
    from taskgraph.errors import DatabaseError, DatabaseGoneError, DatabaseVersionError

    tell = partial(_show_json if as_json else _show_attempt, out=out)
    said: tuple[str, ...] = ()
    with _End() as end:
        while not end.is_wanted:
            try:
                done = archive.policies.deliver(tell=tell, go_on=lambda: not end.is_wanted)
                wrong = (*done.unreadable, *(f"{each.pause}." for each in done.held))
            except (DatabaseGoneError, DatabaseVersionError):
                raise  # it does not come back
            except DatabaseError as error:
                wrong = (f"{error} Nothing is delivered until it can be asked again.",)
            _say_once(said, wrong)
            said = wrong
            end.wait(interval)


def _say_once(before: tuple[str, ...], now: tuple[str, ...]) -> None:
    from taskgraph.provenance.page import clean_text

    for each in now:
        if each not in before:
            click.echo(clean_text(each), err=True)


class _End:
    """Whether SIGTERM or Ctrl-C came while this lasts; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.is_wanted = False

    def __enter__(self) -> _End:
        # A pipe, for an event of threads must not be set where it is waited for.
        self._reader, self._writer = os.pipe()
        wanted = (signal.SIGTERM, signal.SIGINT)
        self._before = {each: signal.signal(each, self._hear) for each in wanted}
        return self

    def _hear(self, number: int, frame: object) -> None:
        if self.is_wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.is_wanted = True
        os.write(self._writer, b".")

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is wanted."""
        select.select([self._reader], [], [], seconds)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)


__all__ = ["deliver", "find_callbacks", "notifications", "test"]
