"""``taskgraph dataset``: names for files, with their content."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.managed import made_archive, opened_archive, read_json
from taskgraph.cli.options import COUNT, ExitCode
from taskgraph.cli.pairs import TagPair

if TYPE_CHECKING:
    from taskgraph.catalog.criteria import Criteria

_HELP = """Manage datasets: names for files, registered with their content.

DATASET is a name, an id or its first digits.

\b
taskgraph dataset register tas data/*.nc --type cmip6 --facet model=A
taskgraph dataset list --facet model=A --facet model=B
taskgraph dataset history tas
"""


@click.group("dataset", help=_HELP, short_help="Manage datasets: names for files.")
def command() -> None:
    """Hold the commands below ``dataset`` together."""


@command.command("register", help="Make a dataset NAME of FILES, or have it point at others.")
@click.option("--type", metavar="TYPE", help="What it is, as cmip6.")
@click.option("--study", metavar="STUDY", help="Its study: a name is one of a study.")
@click.option(
    "--facet",
    "facets",
    type=TagPair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A facet, in place of those that it had; may be repeated.",
)
@click.option(
    "--read-only/--writable",
    default=None,
    help="Whether its content is to stay as it is from now on.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("name")
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.pass_context
def register(
    ctx: click.Context,
    type: str | None,
    study: str | None,
    facets: tuple[tuple[str, Any], ...],
    read_only: bool | None,
    as_json: bool,
    name: str,
    files: tuple[str, ...],
) -> int:
    """Register files under a name."""
    with made_archive(ctx) as archive:
        made = archive.datasets.register(
            name, files, type=type, study=study, facets=facets or None, read_only=read_only
        )
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
        return ExitCode.OK
    number = "1 file" if len(set(files)) == 1 else f"{len(set(files)):,} files"
    click.echo(f"{made.id[:8]} is {made.name}: {number}, content {made.value_hash[:8]}.")
    return ExitCode.OK


@command.command("list", help="List datasets by name.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Of this type; repeatable.")
@click.option("--study", "studies", metavar="NAME", multiple=True, help="Of this study.")
@click.option("--name", metavar="PART", help="With this in their name, whatever the case.")
@click.option(
    "--facet",
    "facets",
    type=TagPair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="With this facet: of one key any of the values, and that for each key.",
)
@click.option("--filter", "where", metavar="JSON", help="What is meant, as JSON; beside the rest.")
@click.option(
    "--include-retracted", "--retracted", is_flag=True, help="Those too that are not to be used."
)
@click.option("-n", "--limit", type=COUNT, help="At most so many.")
@click.option("--count", "is_count", is_flag=True, help="Only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    include_retracted: bool,
    limit: int | None,
    is_count: bool,
    as_json: bool,
    **filters: Any,
) -> int:
    """Show datasets."""
    from taskgraph.provenance.data_page import datasets_page, no_datasets
    from taskgraph.provenance.page import print_page

    where, written = _filters_of(filters)
    found, total = [], 0
    with opened_archive(ctx) as archive:
        if archive is not None and is_count:
            total = archive.datasets.count(where, include_retracted=include_retracted)
        elif archive is not None:
            found = archive.datasets.list(where, include_retracted=include_retracted, limit=limit)
            total = 0 if found else archive.datasets.count(include_retracted=True)
    if is_count:
        click.echo(json.dumps({"count": total}) if as_json else str(total))
    elif as_json:
        click.echo(json.dumps({"datasets": [each.to_json() for each in found]}, indent=2))
    else:
        page = datasets_page(found) if found else no_datasets(total, written)
        print_page(page, sys.stdout)
    return ExitCode.OK


def _filters_of(given: Mapping[str, Any]) -> tuple[Criteria, list[str]]:
    from taskgraph.catalog.criteria import DATASET_FIELDS, Criteria
    from taskgraph.catalog.reading import leaf, parse
    from taskgraph.catalog.writing import F
    from taskgraph.tags import format_tag_key_value

    meant = Criteria()
    if given["types"]:
        meant &= F.type(*given["types"])
    if given["studies"]:
        meant &= F.study(*given["studies"])
    if given["name"] is not None:
        meant &= F.name(like=given["name"])
    if given["facets"]:
        meant &= leaf("facet", "any_", [list(each) for each in given["facets"]])
    if given["where"] is not None:
        meant &= parse(read_json(given["where"]), DATASET_FIELDS)
    written = [f"--type {each}" for each in given["types"]]
    written += [f"--study {each}" for each in given["studies"]]
    written += [f"--name {given['name']}"] if given["name"] is not None else []
    written += [f"--facet {format_tag_key_value(*each)}" for each in given["facets"]]
    written += [f"--filter {given['where']}"] if given["where"] is not None else []
    return meant, written


@command.command("show", help="Show a dataset: its facets and its files.")
@click.option("--study", metavar="STUDY", help="Where to look for the name first.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("dataset")
@click.pass_context
def show(ctx: click.Context, study: str | None, as_json: bool, dataset: str) -> int:
    """Show one dataset."""
    from taskgraph.errors import DatasetNotFoundError
    from taskgraph.provenance.data_page import dataset_detail
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None:
            raise DatasetNotFoundError(dataset)
        found = archive.datasets.get(dataset, study=study)
        paths = archive.datasets.paths(found)
    if as_json:
        click.echo(json.dumps({**found.to_json(), "files": paths}, indent=2))
    else:
        print_page(dataset_detail(found, paths), sys.stdout)
    return ExitCode.OK


@command.command("history", help="List the executions that wrote a dataset, the newest first.")
@click.option("--study", metavar="STUDY", help="Where to look for the name first.")
@click.option("-n", "--limit", type=COUNT, default=20, show_default=True, help="At most so many.")
@click.option("--after", metavar="CURSOR", help="What follows the page that ended with this.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("dataset")
@click.pass_context
def history(
    ctx: click.Context,
    study: str | None,
    limit: int,
    after: str | None,
    as_json: bool,
    dataset: str,
) -> int:
    """Show who wrote a dataset."""
    from taskgraph.errors import DatasetNotFoundError
    from taskgraph.provenance.managed_page import executions_list
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None:
            raise DatasetNotFoundError(dataset)
        found = archive.datasets.get(dataset, study=study)
        page = archive.datasets.history(found, limit=limit, after=after)
    if as_json:
        shown = {"executions": [each.to_json() for each in page], "next": page.next}
        click.echo(json.dumps(shown, indent=2))
    elif page:
        print_page(executions_list(page, page.next), sys.stdout)
    else:
        click.echo(f"No execution has written {found.name}.")
    return ExitCode.OK


@command.command("retract", help="Have a dataset, and what came of it, not be used any more.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who ask later.")
@click.option("--by", metavar="NAME", help="Who says so. Default: the user of the settings.")
@click.option("--study", metavar="STUDY", help="Where to look for the name first.")
@click.option("--no-cascade", is_flag=True, help="Only itself, and not what came from it.")
@click.option("--dry-run", is_flag=True, help="Only show what would be marked.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("dataset")
@click.pass_context
def retract(
    ctx: click.Context,
    reason: str,
    by: str | None,
    study: str | None,
    no_cascade: bool,
    dry_run: bool,
    as_json: bool,
    dataset: str,
) -> int:
    """Retract one dataset."""
    from taskgraph.errors import DatasetNotFoundError
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.retraction_page import retraction_blocks

    with opened_archive(ctx) as archive:
        if archive is None:
            raise DatasetNotFoundError(dataset)
        found = archive.datasets.get(dataset, study=study)
        made = archive.retract(found, reason=reason, by=by, cascade=not no_cascade, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=2))
    else:
        print_page(retraction_blocks(made), sys.stdout)
    return ExitCode.OK


@command.command("delete", help="Delete datasets; executions keep their content.")
@click.option("--study", metavar="STUDY", help="Where to look for the names first.")
@click.option("--dry-run", is_flag=True, help="Only say which would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON; does not ask.")
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True)
@click.pass_context
def delete(
    ctx: click.Context,
    study: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    datasets: tuple[str, ...],
) -> int:
    """Delete datasets."""
    from taskgraph.errors import DatasetNotFoundError
    from taskgraph.provenance.data_page import datasets_page
    from taskgraph.provenance.page import print_page

    with opened_archive(ctx) as archive:
        if archive is None:
            raise DatasetNotFoundError(datasets[0])
        every = [archive.datasets.get(each, study=study) for each in datasets]
        found = list({each.id: each for each in every}.values())
        for each in found:  # none goes unless all can
            archive.datasets.delete(each, dry_run=True)
        if not as_json:
            print_page(datasets_page(found), sys.stdout)
        if not (dry_run or yes or as_json):
            number = "this dataset" if len(found) == 1 else f"these {len(found)} datasets"
            if not click.confirm(f"Delete {number}?"):
                return ExitCode.OK
        if not dry_run:
            for each in found:
                archive.datasets.delete(each, missing_ok=True)
    if as_json:
        gone = [each.to_json() for each in found]
        click.echo(json.dumps({"datasets": gone, "dry_run": dry_run}, indent=2))
    elif not dry_run:
        click.echo(f"{len(found)} deleted.")
    return ExitCode.OK
