"""``taskgraph policy``: who is told when executions come to states."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from taskgraph.cli.managed import made_archive, opened_archive
from taskgraph.cli.options import ExitCode
from taskgraph.cli.policy_sending import deliver, notifications, test

if TYPE_CHECKING:
    from taskgraph.catalog.targets import Target

_Command = TypeVar("_Command", bound=Callable[..., Any])

_HELP = """Have somebody be told when executions come to states.

POLICY is a name, or an id or its first digits. What a policy is about is found and
sent by `policy deliver`, at the end of `taskgraph run`, and by workers. Secrets are
named, as env:NAME, file:/path or keyring:SERVICE/USER, and never kept.

\b
taskgraph policy create failures --state FAILED --state CRASHED --tag team=ml
    --webhook https://example.org/hook --secret env:HOOK_SECRET
taskgraph policy test failures
taskgraph policy deliver --watch
"""

_TARGETS: Final = ("webhook", "command_line", "callback")


@click.group("policy", help=_HELP, short_help="Have somebody be told of states of executions.")
def command() -> None:
    """Hold the commands below ``policy`` together."""


def _target_options(command: _Command) -> _Command:
    """Give a command the options that say where notifications go, and how they are put."""
    options = (
        click.option("--webhook", metavar="URL", help="Send JSON there; or env:NAME of the URL."),
        click.option("--secret", metavar="REF", help="Sign it: env:NAME, file:/path, keyring:S/U."),
        click.option(
            "--command", "command_line", metavar="WORDS", help="Run this, with JSON on stdin."
        ),
        click.option("--callback", metavar="MODULE:FUNCTION", help="Call this function."),
        click.option(
            "--timeout", type=click.FloatRange(0.1, 3600), metavar="SECONDS", help="Time for each."
        ),
        click.option(
            "--attempts", type=click.IntRange(1, 100), metavar="N", help="Tries before giving up."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@command.command("create", help="Make a policy NAME.")
@click.option(
    "--state", "states", metavar="STATE", multiple=True, help="FAILED, Late; repeatable. Any."
)
@click.option(
    "--tag", "tags", metavar="KEY[=VALUE]", multiple=True, help="One of these tags; repeatable."
)
@_target_options
@click.option("--template", metavar="TEXT", help="The text: '{name} is {state_name}'.")
@click.option("--inactive", is_flag=True, help="Nothing is told before it is made active.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("name")
@click.pass_context
def create(
    ctx: click.Context,
    /,
    states: tuple[str, ...],
    tags: tuple[str, ...],
    template: str | None,
    inactive: bool,
    as_json: bool,
    name: str,
    attempts: int | None,
    **given: Any,
) -> int:
    """Make a policy."""
    from taskgraph.catalog.policy_rows import ATTEMPTS

    target = _target_of(ctx, given)
    if target is None:
        raise click.UsageError("Say where to: --webhook, --command or --callback.", ctx)
    with made_archive(ctx) as archive:
        made = archive.policies.create(
            name,
            states=states,
            tags=tags,
            target=target,
            template=template,
            active=not inactive,
            attempts=attempts or ATTEMPTS,
        )
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
        return ExitCode.OK
    about = ", ".join(made.states) or "any state"
    click.echo(f"{made.id[:8]} is {made.name}: {about} is told to {made.target.shown}.")
    if made.active:
        click.echo("Sent by: taskgraph policy deliver --watch")
    else:
        click.echo(f"It is inactive: taskgraph policy update {made.name} --active")
    return ExitCode.OK


@command.command("list", help="List policies by name.")
@click.option("--active/--inactive", "active", default=None, help="Only those that are (not).")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, active: bool | None, as_json: bool) -> int:
    """Show policies."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.policy_page import no_policies, policies_page

    total = 0
    with opened_archive(ctx) as archive:
        found = [] if archive is None else archive.policies.list(active=active)
        if archive is not None and not found and active is not None:
            total = len(archive.policies.list())
    if as_json:
        click.echo(json.dumps({"policies": [each.to_json() for each in found]}, indent=2))
    elif found:
        print_page(policies_page(found), sys.stdout)
    else:
        asked = "--active" if active else "--inactive"
        print_page(no_policies(total, [asked]), sys.stdout)
    return ExitCode.OK


@command.command("show", help="Show a policy.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("policy", metavar="POLICY")
@click.pass_context
def show(ctx: click.Context, as_json: bool, policy: str) -> int:
    """Show one policy."""
    from taskgraph.errors import PolicyNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.policy_page import policy_detail

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PolicyNotFoundError(policy)
        found = archive.policies.get(policy)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_page(policy_detail(found), sys.stdout)
    return ExitCode.OK


@command.command("update", help="Change what is given of a policy.")
@click.option("--name", metavar="NAME", help="What it is called from now on.")
@click.option("--state", "states", metavar="STATE", multiple=True, help="In place of its states.")
@click.option("--any-state", is_flag=True, help="Any state.")
@click.option("--tag", "tags", metavar="KEY[=VALUE]", multiple=True, help="In place of its tags.")
@click.option("--any-tag", is_flag=True, help="Whatever the tags.")
@_target_options
@click.option("--template", metavar="TEXT", help="Its text.")
@click.option("--default-template", is_flag=True, help="The text that there is by default.")
@click.option("--active/--inactive", "active", default=None, help="Whether it counts.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("policy", metavar="POLICY")
@click.pass_context
def update(
    ctx: click.Context,
    /,
    any_state: bool,
    any_tag: bool,
    default_template: bool,
    as_json: bool,
    policy: str,
    **given: Any,
) -> int:
    """Change a policy."""
    from taskgraph.errors import PolicyNotFoundError

    changes: dict[str, Any] = {
        name: given[name]
        for name in ("name", "template", "active", "attempts")
        if given[name] is not None
    }
    for name, is_any in (("states", any_state), ("tags", any_tag)):
        if given[name] and is_any:
            raise click.UsageError(f"Say which {name}, or any: not both.", ctx)
        if given[name] or is_any:
            changes[name] = given[name]
    if default_template:
        if "template" in changes:
            raise click.UsageError("Give --template or --default-template: not both.", ctx)
        changes["template"] = None
    target = _target_of(ctx, given)
    if target is not None:
        changes["target"] = target
    elif given["timeout"] is not None:
        raise click.UsageError("--timeout goes with --webhook, --command or --callback.", ctx)
    if not changes:
        raise click.UsageError("Say what is to change.", ctx)
    with opened_archive(ctx) as archive:
        if archive is None:
            raise PolicyNotFoundError(policy)
        made = archive.policies.update(policy, **changes)
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        click.echo(f"{made.name} is changed.")
    return ExitCode.OK


@command.command("delete", help="Delete policies with their notifications.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("policies", metavar="POLICY...", nargs=-1, required=True)
@click.pass_context
def delete(
    ctx: click.Context, dry_run: bool, yes: bool, as_json: bool, policies: tuple[str, ...]
) -> int:
    """Delete some policies."""
    from taskgraph.errors import PolicyNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PolicyNotFoundError(policies[0])
        known = {each.id: each for each in map(archive.policies.get, policies)}
        if not (dry_run or yes or as_json):
            for each in known.values():
                click.echo(_told(each.name, each.waiting, is_done=False))
            number = "this policy" if len(known) == 1 else f"these {len(known)} policies"
            if not click.confirm(f"Delete {number}?"):
                return ExitCode.OK
        if not dry_run:
            for each in known.values():
                archive.policies.delete(each, missing_ok=True)
    if as_json:
        shown = [each.to_json() for each in known.values()]
        click.echo(json.dumps({"policies": shown, "dry_run": dry_run}, indent=2))
    else:
        for each in known.values():
            click.echo(_told(each.name, each.waiting, is_done=not dry_run))
    return ExitCode.OK


def _told(name: str, waiting: int, *, is_done: bool) -> str:
    also = f", with {waiting:,} that wait" if waiting else ""
    return f"Policy {name} {'is' if is_done else 'would be'} deleted{also}."


def _target_of(ctx: click.Context, given: dict[str, Any]) -> Target | None:
    """Return the target that options say; None if they say none."""
    from taskgraph.catalog.targets import Callback, Command, Webhook

    chosen = [name for name in _TARGETS if given[name] is not None]
    if len(chosen) > 1:
        raise click.UsageError("Say one of --webhook, --command and --callback.", ctx)
    if given["secret"] is not None and chosen != ["webhook"]:
        raise click.UsageError("--secret goes with --webhook: it is what signs it.", ctx)
    if not chosen:
        return None
    timeout = {} if given["timeout"] is None else {"timeout": given["timeout"]}
    text = given[chosen[0]]
    match chosen[0]:
        case "webhook":
            return Webhook(text, given["secret"], **timeout)
        case "callback":
            return Callback(text, **timeout)
        case _:
            try:
                return Command(tuple(shlex.split(text)), **timeout)
            except ValueError as error:
                if type(error) is not ValueError:
                    raise
                raise click.UsageError(f"--command: {error}.", ctx) from None


command.add_command(test)
command.add_command(deliver)
command.add_command(notifications)
