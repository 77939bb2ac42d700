"""``taskgraph user``: people, and groups of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli.managed import made_archive, opened_archive, read_json
from taskgraph.cli.options import COUNT, ExitCode

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.people_rows import UserGroup

_HELP = """Manage users: people by their e-mail addresses, and groups of them.

USER is an address, a name, or an id or its first digits. Where there are users, not everybody may
force a state. That keeps people from accidents; who can write to the database can do anything.

\b
taskgraph user create ada@example.org --username ada --superuser
taskgraph user add climate ada
taskgraph user list --group climate
"""
_ADVICE: Final = "taskgraph user create EMAIL"


@click.group("user", help=_HELP, short_help="Manage users: people, and groups of them.")
def command() -> None:
    """Hold the commands below ``user`` together."""


@command.command("create", help="Create a user with an e-mail address.")
@click.option("--username", metavar="NAME", help="A short name.")
@click.option("--superuser", is_flag=True, help="Who may force any state.")
@click.option("--verified", is_flag=True, help="Whose address somebody made sure of.")
@click.option("--inactive", is_flag=True, help="Who may do nothing yet.")
@click.option("--default-account", metavar="NAME", help="What work is charged to.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("email")
@click.pass_context
def create(
    ctx: click.Context,
    username: str | None,
    superuser: bool,
    verified: bool,
    inactive: bool,
    default_account: str | None,
    as_json: bool,
    email: str,
) -> int:
    """Create a user."""
    settings = {} if default_account is None else {"default_account": default_account}
    with made_archive(ctx) as archive:
        made = archive.users.create(
            email,
            username=username,
            superuser=superuser,
            verified=verified,
            active=not inactive,
            settings=settings,
        )
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        click.echo(f"{made.id[:8]} is {made.email}.")
    return ExitCode.OK


@command.command("list", help="List users by e-mail address.")
@click.option("--name", metavar="PART", help="With this in their address or name.")
@click.option(
    "--group", "groups", metavar="GROUP", multiple=True, help="Of this group; repeatable."
)
@click.option("--superuser", is_flag=True, help="Only superusers.")
@click.option("--active/--inactive", "active", default=None, help="Only those; only others.")
@click.option("--filter", "where", metavar="JSON", help="What is meant, as JSON; beside the rest.")
@click.option("-n", "--limit", type=COUNT, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, /, limit: int | None, as_json: bool, **filters: Any) -> int:
    """Show users."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import none_meant, users_page

    found, total = [], 0
    where = _where(filters)
    with opened_archive(ctx) as archive:
        if archive is not None:
            found = archive.users.list(where, limit=limit)
            total = 0 if found else archive.users.count()
    if as_json:
        click.echo(json.dumps({"users": [each.to_json() for each in found]}, indent=2))
    elif found:
        print_page(users_page(found), sys.stdout)
    else:
        print_page(none_meant("user", total, list(_written(filters)), _ADVICE), sys.stdout)
    return ExitCode.OK


def _where(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the options for filters mean, as JSON."""
    parts: list[Any] = []
    if given["name"] is not None:
        parts.append({"name": {"like_": given["name"]}})
    if given["groups"]:
        parts.append({"group": {"any_": list(given["groups"])}})
    if given["superuser"]:
        parts.append({"superuser": {"is_": True}})
    if given["active"] is not None:
        parts.append({"active": {"is_": given["active"]}})
    if given["where"] is not None:
        parts.append(read_json(given["where"]))
    return {"and_": parts} if parts else {}


def _written(given: Mapping[str, Any]) -> Iterator[str]:
    if given["name"] is not None:
        yield f"--name {given['name']}"
    yield from (f"--group {each}" for each in given["groups"])
    if given["superuser"]:
        yield "--superuser"
    if given["active"] is not None:
        yield "--active" if given["active"] else "--inactive"
    if given["where"] is not None:
        yield f"--filter {given['where']}"


@command.command("show", help="Show a user.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("user", metavar="USER")
@click.pass_context
def show(ctx: click.Context, as_json: bool, user: str) -> int:
    """Show one user."""
    from taskgraph.errors import UserNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import user_detail

    with opened_archive(ctx) as archive:
        if archive is None:
            raise UserNotFoundError(user)
        found = archive.users.get(user)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        print_page(user_detail(found), sys.stdout)
    return ExitCode.OK


@command.command("update", help="Change what is given of a user.")
@click.option("--email", metavar="EMAIL", help="Another address.")
@click.option("--username", metavar="NAME", help="Another short name.")
@click.option("--superuser/--no-superuser", default=None, help="Who may force any state.")
@click.option("--verified/--no-verified", default=None, help="Whose address was made sure of.")
@click.option("--active/--inactive", default=None, help="Who may do something; nothing.")
@click.option("--default-account", metavar="NAME", help="What work is charged to.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("user", metavar="USER")
@click.pass_context
def update(ctx: click.Context, /, as_json: bool, user: str, **changes: Any) -> int:
    """Change a user."""
    from taskgraph.errors import UserNotFoundError

    given = {name: value for name, value in changes.items() if value is not None}
    with opened_archive(ctx) as archive:
        if archive is None:
            raise UserNotFoundError(user)
        found = archive.users.update(user, **given)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.email} is changed.")
    return ExitCode.OK


@command.command("delete", help="Delete a user that no package and no study belongs to.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("user", metavar="USER")
@click.pass_context
def delete(ctx: click.Context, yes: bool, as_json: bool, user: str) -> int:
    """Delete one user."""
    from taskgraph.errors import UserNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise UserNotFoundError(user)
        known = archive.users.get(user)
        if not (yes or as_json or click.confirm(f"Delete user {known.email}?")):
            return ExitCode.OK
        archive.users.delete(known)
    if as_json:
        click.echo(json.dumps(known.to_json(), indent=2))
    else:
        click.echo(f"User {known.email} is deleted.")
    return ExitCode.OK


# Groups of users


@command.command("groups", help="List groups of users by name, or delete one.")
@click.option("--user", metavar="USER", help="Only those that this one is in.")
@click.option("--delete", "gone", metavar="GROUP", help="Delete this one; its members stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.pass_context
def groups(ctx: click.Context, user: str | None, gone: str | None, yes: bool, as_json: bool) -> int:
    """Show groups of users."""
    from taskgraph.errors import UserGroupNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import groups_of_users_page

    found = []
    with opened_archive(ctx) as archive:
        if archive is None and gone is not None:
            raise UserGroupNotFoundError(gone)
        if archive is not None and gone is not None:
            known = archive.user_groups.get(gone)
            if not (yes or as_json or click.confirm(f"Delete group {known.name}?")):
                return ExitCode.OK
            archive.user_groups.delete(known)
        if archive is not None:
            found = archive.user_groups.list(user=user)
    if as_json:
        click.echo(json.dumps({"groups": [each.to_json() for each in found]}, indent=2))
    else:
        print_page(groups_of_users_page(found), sys.stdout)
    return ExitCode.OK


@command.command("add", help="Have users be in a group, which is made if it is missing.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("group", metavar="GROUP")
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.pass_context
def add(ctx: click.Context, as_json: bool, group: str, users: tuple[str, ...]) -> int:
    """Add users to a group."""
    with made_archive(ctx) as archive:
        # All of them are there before anything is written.
        known = [archive.users.get(each) for each in users]
        found = archive.user_groups.find(group) or _made(archive, group)
        for each in known:
            archive.user_groups.add(found, each)
        found = archive.user_groups.get(found)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.name} has {_people(found.members)}.")
    return ExitCode.OK


@command.command("remove", help="Have users not be in a group any more.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("group", metavar="GROUP")
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.pass_context
def remove(ctx: click.Context, as_json: bool, group: str, users: tuple[str, ...]) -> int:
    """Remove users from a group."""
    from taskgraph.errors import UserGroupNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise UserGroupNotFoundError(group)
        found = archive.user_groups.get(group)
        known = [archive.users.get(each) for each in users]
        for each in known:
            archive.user_groups.remove(found, each)
        found = archive.user_groups.get(found)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.name} has {_people(found.members)}.")
    return ExitCode.OK


def _made(archive: Archive, group: str) -> UserGroup:
    """Make a group, if nobody else has made it in between."""
    from taskgraph.errors import UserExistsError

    try:
        return archive.user_groups.create(group)
    except UserExistsError:
        return archive.user_groups.get(group)


def _people(count: int) -> str:
    return "1 member" if count == 1 else f"{count:,} members"
