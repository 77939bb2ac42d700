"""Which records are asked for, as plain data: what options and arguments become before any SQL.

Each filter is described here once: the command line makes flags of `FILTER_OPTIONS`, tools make
arguments of `argparse`, Python's front door fills `RecordFilters` by name, and the archive turns
it into a query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from taskgraph.errors import FilterError
from taskgraph.jsontext import storable, to_json
from taskgraph.tags import parse_tag_key_value

#: The kinds of records, in the order in which they are listed, by what they are called outside.
RECORD_TYPES: Final[Mapping[str, str]] = {
    "execution": "Execution",
    "job": "Job",
    "call": "CallNode",
    "task": "Task",
    "value": "Value",
}
#: What a status can be.
STATUSES: Final = ("RUNNING", "DONE", "CACHED", "FAILED", "PENDING", "CANCELLED")

_ALL: Final = "all"
_AGO: Final = re.compile(r"(\d+)\s*(m|h|d|w)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class AnyValue:
    """Stands for whatever value a tag has."""

    def __repr__(self) -> str:
        return "ANY_VALUE"


#: In a filter for tags: whatever the value is.
ANY_VALUE: Final = AnyValue()

# Any: the value of a tag is JSON.
TagFilter = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class RecordFilters:
    """What records must be like. Of the values of one field any will do, of tags all must be there.

    Attributes:
        types: The kinds that are listed; without any, those that the other fields speak of.
        ids: Ids or starts of ids, and names of tasks.
        executions: Executions that records belong to: ids or starts of them, ``-``, ``~2``.
        statuses: Statuses of executions, where these are listed; else those of jobs.
        execution_statuses: Statuses of the executions that records belong to.
        job_statuses: Statuses of jobs.
        tags: Tags of the records themselves.
        execution_tags: Tags of the executions that records belong to.
        tasks: Tasks by full or bare name.
        task_hashes: Versions of tasks, by hash or the start of one.
        value_types: Types of values.
        files: Paths, in which ``*`` stands for any text; or pairs of root and path.
        arguments: Values that calls were given, by hash or the start of one.
        results: Values that calls gave, by hash or the start of one.
        since: Not earlier than this.
        until: Earlier than this.
    """

    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    executions: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    execution_statuses: tuple[str, ...] = ()
    job_statuses: tuple[str, ...] = ()
    tags: tuple[TagFilter, ...] = ()
    execution_tags: tuple[TagFilter, ...] = ()
    tasks: tuple[str, ...] = ()
    task_hashes: tuple[str, ...] = ()
    value_types: tuple[str, ...] = ()
    files: tuple[str | tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is asked for."""
        return any(getattr(self, each.name) for each in fields(self))

    @property
    def listed_types(self) -> tuple[str, ...]:
        """The classes of records to list: those that were asked for, else those that fit.

        Ids may be of any kind; what is said of calls (tasks, files, arguments, results) is asked
        of jobs, what is said of values of values, and all else of executions.
        """
        if self.types:
            return tuple(name for name in RECORD_TYPES.values() if name in self.types)
        if self.ids:
            return tuple(RECORD_TYPES.values())
        if self.value_types:
            return ("Value",)
        of_calls = (self.tasks, self.task_hashes, self.files, self.arguments, self.results)
        if any(of_calls) or self.job_statuses or self.executions:
            return ("Job",)
        return ("Execution",)


@dataclass(frozen=True, slots=True)
class FilterOption:
    """A filter as an option: its flag, the field that it fills, and how its text is read.

    Attributes:
        flag: As ``--task-hash``.
        field: The field of `RecordFilters`.
        metavar: What stands for its value in a help text.
        help: What it does.
        read: Makes the value of a text.
        is_repeated: Whether it may be given several times.
    """

    flag: str
    field: str
    metavar: str
    help: str
    read: Callable[[str], Any]
    is_repeated: bool = True


def read_type(text: str) -> str:
    """Return the class of records that is meant by a text: ``job``, ``Job``, ``call``, ``all``.

    Raises:
        FilterError: There is none of that name.
    """
    wanted = text.strip().lower()
    if wanted == _ALL:
        return _ALL
    for name, kind in RECORD_TYPES.items():
        if wanted in (name, kind.lower()):
            return kind
    raise FilterError("type", text, _known(wanted, [*RECORD_TYPES, _ALL]))


def read_status(text: str) -> str:
    """Return a status as it is written, whatever its case.

    Raises:
        FilterError: There is none of that name.
    """
    wanted = text.strip().upper()
    if wanted not in STATUSES:
        raise FilterError("status", text, _known(wanted, STATUSES))
    return wanted


def read_tag(text: str) -> TagFilter:
    """Return key and value of ``KEY=VALUE``, the value as JSON if it is some; of ``KEY`` any value.

    Raises:
        FilterError: There is no key.
    """
    try:
        key, value = parse_tag_key_value(text.strip(), value_required=False)
        to_json([key, value])
    except ValueError as error:
        reason = "expected KEY=VALUE, or KEY for whatever value."
        raise FilterError("tag", text, reason) from error
    return key, value if "=" in text else ANY_VALUE


def read_since(text: str) -> datetime:
    """Return the time of a text: a date, a time of ISO 8601, ``today``, or ``7d`` for a week ago.

    Without a time zone it is that of this machine. Units are ``m``, ``h``, ``d`` and ``w``.

    Raises:
        FilterError: It is none of these.
    """
    return _read_time(text, days=0)


def read_until(text: str) -> datetime:
    """Return the same as `read_since`, but of a date the end of that day.

    Raises:
        FilterError: It is no time.
    """
    return _read_time(text, days=1)


def _read_time(text: str, days: int) -> datetime:
    try:
        return _time_of(text.strip().lower(), days)
    except (ValueError, OverflowError) as error:
        reason = (
            "expected a date as 2026-01-31, a time as 2026-01-31T18:00, today, or 7d, 12h, 30m."
        )
        raise FilterError("time", text, reason) from error


def _time_of(wanted: str, days: int) -> datetime:
    ago = _AGO.fullmatch(wanted)
    if ago:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if wanted in ("today", "yesterday"):
        day = datetime.now().astimezone().date() - timedelta(days=wanted == "yesterday")
        return _start_of(day + timedelta(days=days))
    try:
        day = date.fromisoformat(wanted)
    except ValueError:
        return datetime.fromisoformat(wanted.upper()).astimezone(UTC)
    return _start_of(day + timedelta(days=days))


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time()).astimezone(UTC)


def _as_it_is(text: str) -> str:
    # Bytes that are no text come from a shell as half surrogates, and are not kept as such.
    return storable(text)


#: Each filter that can be typed.
FILTER_OPTIONS: Final = (
    FilterOption(
        "--type",
        "types",
        "TYPE",
        "List records of this type: execution, job, call, task, value or all. Default: executions, "
        "or jobs where a filter speaks of calls.",
        read_type,
    ),
    FilterOption(
        "--id",
        "ids",
        "ID",
        "Records whose id starts so; or tasks of this name.",
        _as_it_is,
    ),
    FilterOption(
        "--execution",
        "executions",
        "ID",
        "Records of this execution: an id or its first digits, - or ~2.",
        _as_it_is,
    ),
    FilterOption(
        "--status",
        "statuses",
        "STATUS",
        "Executions of this status, where executions are listed; else what jobs of it belong to.",
        read_status,
    ),
    FilterOption(
        "--execution-status",
        "execution_statuses",
        "STATUS",
        "Records of executions of this status.",
        read_status,
    ),
    FilterOption(
        "--job-status",
        "job_statuses",
        "STATUS",
        "Jobs of this status, and what belongs to them.",
        read_status,
    ),
    FilterOption(
        "--tag",
        "tags",
        "KEY[=VALUE]",
        "Records with this tag.",
        read_tag,
    ),
    FilterOption(
        "--execution-tag",
        "execution_tags",
        "KEY[=VALUE]",
        "Records of executions with this tag.",
        read_tag,
    ),
    FilterOption(
        "--task",
        "tasks",
        "NAME",
        "Calls of this task, by its full or its bare name.",
        _as_it_is,
    ),
    FilterOption(
        "--task-hash",
        "task_hashes",
        "HASH",
        "Calls of this version of a task: its hash or the first digits.",
        _as_it_is,
    ),
    FilterOption(
        "--value-type",
        "value_types",
        "NAME",
        "Values of this type, as builtins.dict or taskgraph.File.",
        _as_it_is,
    ),
    FilterOption(
        "--file",
        "files",
        "PATH",
        "What made or used files of this path; * stands for any text.",
        _as_it_is,
    ),
    FilterOption(
        "--argument",
        "arguments",
        "HASH",
        "Calls that were given this value.",
        _as_it_is,
    ),
    FilterOption(
        "--result",
        "results",
        "HASH",
        "Calls that gave this value.",
        _as_it_is,
    ),
    FilterOption(
        "--since",
        "since",
        "TIME",
        "Not earlier than this: 2026-01-31, 2026-01-31T18:00, today, or 7d for a week ago.",
        read_since,
        is_repeated=False,
    ),
    FilterOption(
        "--until",
        "until",
        "TIME",
        "Not later than this; of a date, the end of that day.",
        read_until,
        is_repeated=False,
    ),
)


def read_filters(given: Mapping[str, Any]) -> RecordFilters:
    """Return the filters of what was given for options, by field; None and nothing are left out.

    Args:
        given: Texts, or sequences of texts for what may be repeated. Any: as parsers give them.

    Raises:
        FilterError: A text cannot be read.
    """
    found: dict[str, Any] = {}
    for option in FILTER_OPTIONS:
        value = given.get(option.field)
        if not value:
            continue
        if option.is_repeated:
            texts = [value] if isinstance(value, str) else value
            found[option.field] = tuple(map(option.read, texts))
        else:
            found[option.field] = option.read(value)
    if _ALL in found.get("types", ()):
        found["types"] = tuple(RECORD_TYPES.values())
    return RecordFilters(**found)


def make_filters(
    *,
    types: Iterable[str] = (),
    task: str | Iterable[str] = (),
    status: str | Iterable[str] = (),
    tags: Mapping[str, Any] | Iterable[TagFilter | str] = (),
    since: datetime | str | None = None,
    until: datetime | str | None = None,
) -> RecordFilters:
    """Return the filters of arguments as people write them in Python.

    Args:
        types: Kinds of records.
        task: A name of a task, or several.
        status: A status, or several.
        tags: Keys with values; or pairs, or texts as ``key=value`` and ``key``.
        since: A time, or a text that `read_since` understands.
        until: A time, or a text that `read_until` understands.

    Raises:
        FilterError: One of them cannot be understood.
    """
    pairs = tags.items() if isinstance(tags, Mapping) else [tags] if isinstance(tags, str) else tags
    return RecordFilters(
        types=tuple(map(read_type, types)),
        tasks=_texts(task),
        statuses=tuple(map(read_status, _texts(status))),
        tags=tuple(read_tag(each) if isinstance(each, str) else tuple(each) for each in pairs),
        since=_moment("since", since, read_since),
        until=_moment("until", until, read_until),
    )


def _moment(
    name: str, given: datetime | str | None, read: Callable[[str], datetime]
) -> datetime | None:
    if given is None or isinstance(given, datetime):
        if given is not None and given.tzinfo is None:
            raise FilterError(name, str(given), "it has no time zone: use datetime.now(UTC).")
        return given
    return read(given)


def _texts(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _known(wanted: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    listed = list(names)
    near = get_close_matches(wanted, listed, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}There are: {', '.join(listed)}."


__all__ = [
    "ANY_VALUE",
    "FILTER_OPTIONS",
    "RECORD_TYPES",
    "STATUSES",
    "AnyValue",
    "FilterOption",
    "RecordFilters",
    "TagFilter",
    "make_filters",
    "read_filters",
    "read_since",
    "read_status",
    "read_tag",
    "read_type",
    "read_until",
]
