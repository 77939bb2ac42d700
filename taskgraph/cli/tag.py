"""``taskgraph tag``: what records are to be found by."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from taskgraph.cli.log import has_database
from taskgraph.cli.options import ExitCode, load_settings
from taskgraph.cli.pairs import TagChoice, TagPair
from taskgraph.errors import UnknownRecordError

if TYPE_CHECKING:
    from taskgraph.config import Settings
    from taskgraph.provenance.tagged import TagsOfRecord

_HELP = """Tag executions, jobs, calls, tasks and values: keys with JSON values.

RECORD is what `taskgraph log` takes: an id or its first digits, - for the newest execution, a
task's name, the path of a file.

\b
taskgraph tag add - quality=checked       tag the newest execution
taskgraph tag update - quality=draft      another value in place of all
taskgraph tag rm - quality                take a tag away
taskgraph tag list - --history            what there was, and is
taskgraph tag list                        which keys there are
"""


@click.group(
    "tag", help=_HELP, short_help="Tag executions, jobs, calls, tasks and values, and show tags."
)
def command() -> None:
    """Hold the commands below ``tag`` together."""


@command.command("list", help="Show the tags of RECORD; without one, all keys with their numbers.")
@click.option("--history", is_flag=True, help="Show also what was changed and deleted.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.argument("record", required=False)
@click.pass_context
def list_tags(ctx: click.Context, history: bool, as_json: bool, record: str | None) -> int:
    """Show tags."""
    from taskgraph.assembly import reading
    from taskgraph.provenance.page import print_page
    from taskgraph.provenance.tag_page import keys_page, tags_page
    from taskgraph.provenance.tagged import list_keys, tags_of

    settings = load_settings(ctx)
    if record is None and history:
        raise click.UsageError("--history is that of one record: name it.", ctx)
    if record is not None:
        with closing(_reader(settings, record)) as reader:
            kind, entity_id = reading.find_tagged(reader, settings, record)
            tagged = tags_of(reader, kind, entity_id, with_history=history)
        if as_json:
            click.echo(_json_of(tagged))
        else:
            print_page(tags_page(tagged), sys.stdout)
        return ExitCode.OK
    keys = []
    if has_database(settings):
        with closing(reading.open_reader(settings)) as reader:
            keys = list_keys(reader)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in keys], indent=2))
    else:
        print_page(keys_page(keys), sys.stdout)
    return ExitCode.OK


@command.command("add", help="Add tags to RECORD; a key may have many values.")
@click.argument("record")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1, required=True, type=TagPair())
@click.pass_context
def add(ctx: click.Context, record: str, tags: tuple[tuple[str, Any], ...]) -> int:
    """Add tags."""
    from taskgraph.assembly import databases

    settings = load_settings(ctx)
    kind, entity_id = _find(settings, record)
    with databases.opened(settings) as backend:
        backend.record_tags(kind, entity_id, tags, new=True)
    return ExitCode.OK


@command.command("update", help="Give tags of RECORD other values, in place of all they have.")
@click.argument("record")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1, required=True, type=TagPair())
@click.pass_context
def update(ctx: click.Context, record: str, tags: tuple[tuple[str, Any], ...]) -> int:
    """Put tags in the place of those of the same keys."""
    from taskgraph.assembly import databases

    settings = load_settings(ctx)
    kind, entity_id = _find(settings, record)
    with databases.opened(settings) as backend:
        backend.replace_tags(kind, entity_id, tags)
    return ExitCode.OK


@command.command("rm", help="Take tags of RECORD away: all values of a KEY, or one of them.")
@click.argument("record")
@click.argument("tags", metavar="KEY|KEY=VALUE...", nargs=-1, required=True, type=TagChoice())
@click.pass_context
def remove(ctx: click.Context, record: str, tags: tuple[tuple[str, bool, Any], ...]) -> int:
    """Delete tags; what they were stays in the history."""
    from taskgraph.assembly import databases

    settings = load_settings(ctx)
    _, entity_id = _find(settings, record)
    with databases.opened(settings) as backend:
        backend.delete_tags(
            entity_id,
            [(key, value) for key, has_value, value in tags if has_value],
            [key for key, has_value, _ in tags if not has_value],
        )
    return ExitCode.OK


def _reader(settings: Settings, record: str) -> Any:
    from taskgraph.assembly import reading

    if not has_database(settings):
        raise UnknownRecordError(record)
    return reading.open_reader(settings)


def _find(settings: Settings, record: str) -> tuple[str, str]:
    from taskgraph.assembly import reading

    with closing(_reader(settings, record)) as reader:
        return reading.find_tagged(reader, settings, record)


def _json_of(tagged: TagsOfRecord) -> str:
    record = asdict(tagged)
    if tagged.history is None:
        del record["history"]
    return json.dumps(record, indent=2)
