"""What commands that manage share: the archive of the project, and filters as options."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from taskgraph.cli.options import load_settings

if TYPE_CHECKING:
    from taskgraph.archive import Archive
    from taskgraph.catalog.criteria import Criteria

Command = TypeVar("Command", bound=Callable[..., Any])

_FILTERS: Final = (
    ("--state", "states", "STATE", "In this state: RUNNING, Late; may be repeated.", True),
    ("--status", "statuses", "STATUS", "Of this status: DONE, FAILED; may be repeated.", True),
    ("--study", "studies", "NAME", "Of this study; may be repeated.", True),
    ("--task", "tasks", "NAME", "That run this task, by full or bare name.", True),
    ("--name", "name", "PART", "With this in their name, whatever the case.", False),
    ("--tag", "tags", "KEY[=VALUE]", "With this tag; all of them, if repeated.", True),
    ("--since", "since", "TIME", "Created then or later: 2026-01-31, today, 7d.", False),
    ("--until", "until", "TIME", "Created earlier; of a date, until its end.", False),
    ("--filter", "where", "JSON", "What is meant, as JSON; beside the other filters.", False),
)


def filter_options(command: Command) -> Command:
    """Give a command the filters of executions, as one argument: ``filters``."""
    for flag, name, metavar, text, is_repeated in reversed(_FILTERS):
        option = click.option(flag, name, metavar=metavar, help=text, multiple=is_repeated)
        command = option(command)
    return command


def filters_of(given: Mapping[str, Any]) -> tuple[Criteria, list[str]]:
    """Return what the options for filters mean, and how they were written.

    Raises:
        ValidationError: One of them cannot be understood.
        FilterError: A time or a status cannot be understood.
    """
    from taskgraph.catalog.criteria import Criteria
    from taskgraph.catalog.reading import leaf, parse
    from taskgraph.catalog.states import State
    from taskgraph.catalog.writing import F
    from taskgraph.filters import read_since, read_until

    meant = Criteria()
    if given["states"]:
        states = [State.parse(each) for each in given["states"]]
        kinds = {each.type for each in states if each.name == each.type.value.capitalize()}
        names = [each.name for each in states if each.type not in kinds]
        either = [F.state(*sorted(kinds))] if kinds else []
        either += [leaf("state.name", "any_", names)] if names else []
        meant &= either[0] if len(either) == 1 else either[0] | either[1]
    for key, name in (("status", "statuses"), ("study", "studies"), ("task", "tasks")):
        if given[name]:
            meant &= leaf(key, "any_", given[name])
    if given["name"] is not None:
        meant &= F.name(like=given["name"])
    if given["tags"]:
        meant &= F.tags(all=given["tags"])
    if given["since"] is not None:
        meant &= F.created(after=read_since(given["since"]))
    if given["until"] is not None:
        meant &= ~F.created(after=read_until(given["until"]))
    if given["where"] is not None:
        meant &= parse(read_json(given["where"]))
    return meant, list(_written(given))


def read_json(text: str) -> Any:
    """Return what ``--filter`` says. Any: JSON.

    Raises:
        ValidationError: It is none.
    """
    from taskgraph.errors import ValidationError

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError("--filter", f"this is no JSON: {error}.") from error


def _written(given: Mapping[str, Any]) -> Iterator[str]:
    for flag, name, _, _, is_repeated in _FILTERS:
        values = given[name] if is_repeated else filter(None, [given[name]])
        for each in values:
            yield f"{flag} {each}"


@contextmanager
def opened_archive(ctx: click.Context) -> Iterator[Archive | None]:
    """Give the records of the project; None where nothing was run yet."""
    from taskgraph.archive import Archive
    from taskgraph.assembly.databases import has_database, open_existing

    settings = load_settings(ctx)
    if not has_database(settings):
        yield None
        return
    with Archive(settings, open_existing(settings)) as archive:
        yield archive


@contextmanager
def made_archive(ctx: click.Context) -> Iterator[Archive]:
    """Give the records of the project, which are made where nothing was run yet."""
    from taskgraph.archive import Archive
    from taskgraph.assembly.databases import has_database, open_existing
    from taskgraph.config import write_default_config

    settings = load_settings(ctx)
    write_default_config(settings.config_dir)
    # What others rely on is made on command.
    migrate = None if has_database(settings) else True
    with Archive(settings, open_existing(settings, migrate=migrate)) as archive:
        yield archive


def actor_of(archive: Archive, named: str | None, *, is_forced: bool) -> str | None:
    """Return who acts: who is named, or the settings say, or else the user of this machine.

    The last one is no user that is registered: where there are such, nobody in particular forces.

    Args:
        archive: The records.
        named: Who was named.
        is_forced: Whether something is forced.
    """
    if named is not None:
        return named
    said = archive.settings.user.email.strip()
    if said or (is_forced and archive.users.count()):
        return said or None
    from taskgraph.assembly.surroundings import author

    return author()


__all__ = [
    "actor_of",
    "filter_options",
    "filters_of",
    "made_archive",
    "opened_archive",
    "read_json",
]
