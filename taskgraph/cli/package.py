"""``taskgraph package``: tasks that are collected from code, in versions."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.cli.aside import printed_aside
from taskgraph.cli.managed import made_archive, opened_archive
from taskgraph.cli.options import COUNT, ExitCode

if TYPE_CHECKING:
    from taskgraph.catalog.operations import Operation

_HELP = """Manage packages of tasks: collected from code, in versions.

PACKAGE is a name, NAME@VERSION, or an id or its first digits. A name alone is the active version,
or else the one that was collected last.

\b
taskgraph package collect my.flows --owner ada@example.org
taskgraph package collect flow.py --version 1.2
taskgraph package list --visible-to ada@example.org
taskgraph package deactivate my.flows@1.0
"""
_ADVICE: Final = "taskgraph package collect MODULE"
_FLAGS: Final = {"name": "--name", "owner": "--owner", "group": "--group", "reader": "--visible-to"}


@click.group(
    "package", help=_HELP, short_help="Manage packages of tasks: collected from code, in versions."
)
def command() -> None:
    """Hold the commands below ``package`` together."""


@command.command(
    "collect", help="Import a module, a Python file or an installed distribution; keep its tasks."
)
@click.option("--owner", metavar="USER", help="Whose it is.")
@click.option("--group", metavar="GROUP", help="The group of users that it is of.")
@click.option("--version", metavar="VERSION", help="Default: what the code says of itself.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("module", metavar="MODULE")
@click.pass_context
def collect(
    ctx: click.Context,
    owner: str | None,
    group: str | None,
    version: str | None,
    as_json: bool,
    module: str,
) -> int:
    """Collect tasks."""
    with made_archive(ctx) as archive, printed_aside():
        done = archive.packages.collect(module, owner=owner, group=group, version=version)
    is_ok = done.error is None
    if as_json:
        click.echo(json.dumps(done.to_json(), indent=2))
    elif is_ok:
        number = "1 task" if done.data["tasks"] == 1 else f"{done.data['tasks']:,} tasks"
        click.echo(f"{done.data['package'][:8]} is {done.data['label']}, of {number}.{_news(done)}")
    else:
        from taskgraph.provenance.page import clean_text

        click.echo(clean_text(f"Error: {done.error}"), err=True)
        click.echo(f"`taskgraph operation show {done.id[:8]}` shows its log.", err=True)
    if is_ok:
        return ExitCode.OK
    return ExitCode.NOT_FOUND if done.data.get("not_found") else ExitCode.RUN_FAILED


def _news(done: Operation) -> str:
    """Return what else there is to say of a package that was collected."""
    if not done.data["is_new"]:
        return " It was there already."
    aside = done.data.get("put_aside")
    return f" It takes the place of {', '.join(aside)}." if aside else ""


@command.command("list", help="List packages by name.")
@click.option("--name", metavar="PART", help="With this in their name, whatever the case.")
@click.option("--owner", metavar="USER", help="Of this user.")
@click.option("--group", metavar="GROUP", help="Of this group of users.")
@click.option("--active/--inactive", "active", default=None, help="Only those; only others.")
@click.option(
    "--visible-to", "reader", metavar="USER", help="Of nobody, the user, or a group of it."
)
@click.option("-n", "--limit", type=COUNT, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(ctx: click.Context, /, limit: int | None, as_json: bool, **filters: Any) -> int:
    """Show packages."""
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import none_meant, packages_page

    found, total = [], 0
    with opened_archive(ctx) as archive:
        if archive is not None:
            found = archive.packages.list(
                name=filters["name"],
                owner=filters["owner"],
                group=filters["group"],
                active=filters["active"],
                visible_to=filters["reader"],
                limit=limit,
            )
            total = 0 if found else archive.packages.count()
    if as_json:
        click.echo(json.dumps({"packages": [each.to_json() for each in found]}, indent=2))
    elif found:
        print_page(packages_page(found), sys.stdout)
    else:
        written = list(_written(filters))
        print_page(none_meant("package", total, written, _ADVICE), sys.stdout)
    return ExitCode.OK


def _written(given: Mapping[str, Any]) -> Iterator[str]:
    for name, flag in _FLAGS.items():
        if given[name] is not None:
            yield f"{flag} {given[name]}"
    if given["active"] is not None:
        yield "--active" if given["active"] else "--inactive"


@command.command("show", help="Show a package with its tasks.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("package", metavar="PACKAGE")
@click.pass_context
def show(ctx: click.Context, as_json: bool, package: str) -> int:
    """Show one package."""
    from taskgraph.errors import PackageNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.people_page import package_detail

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PackageNotFoundError(package)
        found = archive.packages.get(package)
    if as_json:
        click.echo(json.dumps({**found.to_json(), "frozen": found.frozen}, indent=2))
    else:
        print_page(package_detail(found), sys.stdout)
    return ExitCode.OK


@command.command("activate", help="Have this version of a package be the one that is usable.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("package", metavar="PACKAGE")
@click.pass_context
def activate(ctx: click.Context, as_json: bool, package: str) -> int:
    """Activate a package."""
    return _switch(ctx, package, as_json, is_active=True)


@command.command("deactivate", help="Have the tasks of a package not be usable any more.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("package", metavar="PACKAGE")
@click.pass_context
def deactivate(ctx: click.Context, as_json: bool, package: str) -> int:
    """Put a package aside."""
    return _switch(ctx, package, as_json, is_active=False)


def _switch(ctx: click.Context, package: str, as_json: bool, *, is_active: bool) -> int:
    from taskgraph.errors import PackageNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PackageNotFoundError(package)
        turn = archive.packages.activate if is_active else archive.packages.deactivate
        found = turn(package)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo(f"{found.label} is {'active' if found.active else 'not active any more'}.")
    return ExitCode.OK


@command.command("delete", help="Delete a package; the code of what has run stays.")
@click.option("--dry-run", is_flag=True, help="Only say whether it would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("package", metavar="PACKAGE")
@click.pass_context
def delete(ctx: click.Context, dry_run: bool, yes: bool, as_json: bool, package: str) -> int:
    """Delete one package."""
    from taskgraph.errors import PackageNotFoundError

    with opened_archive(ctx) as archive:
        if archive is None:
            raise PackageNotFoundError(package)
        known = archive.packages.get(package)
        archive.packages.delete(known, dry_run=True)
        if not (dry_run or yes or as_json or click.confirm(f"Delete package {known.label}?")):
            return ExitCode.OK
        if not dry_run:
            archive.packages.delete(known)
    if as_json:
        click.echo(json.dumps({**known.to_json(), "dry_run": dry_run}, indent=2))
    else:
        click.echo(f"Package {known.label} {'would be' if dry_run else 'is'} deleted.")
    return ExitCode.OK
