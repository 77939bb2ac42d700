"""Settings are loaded: from a folder that is looked for, or from what is given in code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Final

from taskgraph.config.found import (
    CONFIG_VARIABLE,
    Found,
    load_toml,
    nested,
    read,
    tables_of_files,
    unknown,
)
from taskgraph.config.kinds import ANY, TEXT
from taskgraph.config.sections import (
    ALIAS_EXECUTOR,
    BUILT_IN_EXECUTORS,
    CLOSED_EXECUTORS,
    EXECUTOR_KEYS,
    OPEN_SECTIONS,
    BackendSettings,
    CodeSettings,
    ExecutorSettings,
    FileSettings,
    LogSettings,
    ObserverSettings,
    SchedulerSettings,
    Settings,
    SubmissionSettings,
    UserSettings,
    WorkerSettings,
    built_in_executors,
)
from taskgraph.errors import ConfigError
from taskgraph.tasks.context import context_of_paths, merge_context
from taskgraph.tasks.options import POOLS
from taskgraph.urls import sqlite_file, sqlite_url

CONFIG_DIR_NAME: Final = ".taskgraph"
DATABASE_NAME: Final = "taskgraph.db"
PROJECT_ROOT: Final = "project"
# Settings that an executor of a type has no use for.
_WITHOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "inline": ("max_workers", "start_method"),
    "async": ("max_workers", "start_method"),
    "threads": ("start_method",),
}


def find_config_dir(
    start: Path | None = None,
    given: str | Path | None = None,
    otherwise: Path | None = None,
) -> Path:
    """Return the config directory: an absolute path that need not exist yet.

    Args:
        start: Where to look from; the working directory by default.
        given: What the user asked for, as by ``-c``; it is taken as it is.
        otherwise: Where to look from if there is none, in place of having a new one in ``start``.

    Returns:
        ``given``, else what ``TASKGRAPH_CONFIG`` says, else the nearest ``.taskgraph`` in
        ``start`` or a folder above it, else ``.taskgraph`` in ``start``.
    """
    wanted = given or os.environ.get(CONFIG_VARIABLE)
    if wanted:
        return Path(wanted).expanduser().absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / CONFIG_DIR_NAME).is_dir():
            return folder / CONFIG_DIR_NAME
    return here / CONFIG_DIR_NAME if otherwise is None else find_config_dir(otherwise)


def load_settings(
    config_dir: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Load the settings of a config directory.

    Args:
        config_dir: The folder, as for `find_config_dir`.
        overrides: Settings that win over all others: nested, as ``{"backend": {"db_uri": u}}``,
            or with dots, as ``{"backend.db_uri": u}``.

    Raises:
        UnknownSettingError: A key is not known.
        ConfigError: A file cannot be read, or a value is not what it should be.
    """
    folder = find_config_dir(given=config_dir)
    found = Found()
    for place, table in tables_of_files(folder):
        found.add(place, table)
    found.add_environment(os.environ)
    found.add("an override", nested(overrides or {}))
    return _settings(folder, found)


def settings_of(tables: Mapping[str, Any], config_dir: str | Path | None = None) -> Settings:
    """Return settings as they are given, and nothing else: no file is read, and no environment.

    Args:
        tables: Nested, as ``{"backend": {"db_uri": u}}``, or with dots, as ``{"limits.api": 2}``.
        config_dir: The folder that paths in them start beside, as for `find_config_dir`.

    Raises:
        UnknownSettingError: A key is not known.
        ConfigError: A value is not what it should be.
    """
    if not isinstance(tables, Mapping) or not all(isinstance(each, str) for each in tables):
        raise ConfigError(
            "the settings",
            f"expected Settings, or a dict of them by name, not {tables!r}. Those of a folder are "
            "taskgraph.config.load_settings(FOLDER); a database is backend='sqlite:///PATH'.",
        )
    found = Found()
    found.add("the settings", nested(tables))
    return _settings(find_config_dir(given=config_dir), found)


def _section_values(found: Found, section: str, kind: type) -> dict[str, Any]:
    """Return the checked values of a section whose keys are known."""
    known = {each.name: each for each in fields(kind)}
    values: dict[str, Any] = {}
    for path, (place, value) in found.below(section).items():
        name, *rest = path
        dotted = ".".join((section, *path))
        if name not in known:
            raise unknown(place, f"{section}.{name}", [f"{section}.{each}" for each in known])
        _put(values, known[name], rest, (place, dotted, value))
    return values


def _put(
    values: dict[str, Any], wanted: Field[Any], rest: list[str], found: tuple[str, str, Any]
) -> None:
    place, dotted, value = found
    if "values" in wanted.metadata:
        if not rest:
            if value == {}:
                return
            raise ConfigError(place, f"{dotted}: expected a table of {wanted.metadata['key']}s")
        inner = values.setdefault(wanted.name, {})
        inner[".".join(rest)] = read(wanted.metadata["values"], place, dotted, value)
    elif rest:
        kind = wanted.metadata["kind"]
        key = dotted.removesuffix("." + ".".join(rest))
        raise ConfigError(place, f"{key}: expected {kind.expected}, not a table")
    else:
        values[wanted.name] = read(wanted.metadata["kind"], place, dotted, value)


def _code(found: Found, project: Path) -> CodeSettings:
    given = CodeSettings(**_section_values(found, "code", CodeSettings))
    folders = [Path(os.path.abspath(project / Path(each).expanduser())) for each in given.project]
    return CodeSettings(tuple(map(str, folders)), given.strict)


def _logs(found: Found, project: Path) -> LogSettings:
    values = _section_values(found, "logs", LogSettings)
    folder = values.get("folder", "")
    if folder not in {"", "none"}:
        values["folder"] = str(_folder(folder, project))
    return LogSettings(**values)


def _observers(found: Found, project: Path) -> ObserverSettings:
    values = _section_values(found, "observers", ObserverSettings)
    if values.get("jsonl"):
        values["jsonl"] = str(_folder(values["jsonl"], project))
    return ObserverSettings(**values)


def _settings(config_dir: Path, found: Found) -> Settings:
    project = config_dir.parent
    backend = _section_values(found, "backend", BackendSettings)
    backend["db_uri"] = _database(backend.get("db_uri", ""), config_dir)
    backend["value_store"] = _value_store(backend.get("value_store", ""), project)
    executors = _executors(found)
    scheduler = SchedulerSettings(**_section_values(found, "scheduler", SchedulerSettings))
    if scheduler.executor not in executors and scheduler.executor not in {"default", *POOLS}:
        place = found.leaves[("scheduler", "executor")][0]
        names = ", ".join(sorted(executors))
        raise ConfigError(
            place,
            f"scheduler.executor: there is no executor {scheduler.executor!r} (there are {names}). "
            f"Add a table [executors.{scheduler.executor}].",
        )
    roots = {name: _folder(path, project) for name, path in _open_section(found, "roots").items()}
    if roots.get(PROJECT_ROOT, project) != project:
        place = found.leaves[("roots", PROJECT_ROOT)][0]
        raise ConfigError(
            place, f"roots.{PROJECT_ROOT}: this name is kept for the project folder, {project}"
        )
    return Settings(
        config_dir=config_dir,
        backend=BackendSettings(**backend),
        roots={PROJECT_ROOT: project, **roots},
        files=FileSettings(**_section_values(found, "files", FileSettings)),
        code=_code(found, project),
        scheduler=scheduler,
        logs=_logs(found, project),
        observers=_observers(found, project),
        workers=WorkerSettings(**_section_values(found, "workers", WorkerSettings)),
        submissions=SubmissionSettings(**_section_values(found, "submissions", SubmissionSettings)),
        user=UserSettings(**_section_values(found, "user", UserSettings)),
        executors=executors,
        limits=_open_section(found, "limits"),
    )


def context_of(settings: Settings) -> dict[str, Any]:
    """Return the context that the settings give: that of the file, and that of the section on top.

    Raises:
        ConfigError: The file cannot be read, or has no table in it.
    """
    own = settings.scheduler
    found = context_of_paths(own.context)
    if not own.context_file:
        return found
    path = settings.config_dir / Path(own.context_file).expanduser()
    return merge_context(read_context_file(path), found)


def read_context_file(path: Path) -> dict[str, Any]:
    """Return the context in a TOML or JSON file.

    Raises:
        ConfigError: It cannot be read, or has no table in it.
    """
    if path.suffix != ".json":
        if not path.exists():
            raise ConfigError(str(path), "there is no such file")
        return load_toml(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), f"this cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(str(path), f"expected an object of names, not {found!r}")
    return found


def _open_section(found: Found, section: str) -> dict[str, Any]:
    values = {}
    for path, (place, value) in found.below(section).items():
        name = ".".join(path)
        values[name] = read(OPEN_SECTIONS[section], place, f"{section}.{name}", value)
    return values


def _executors(found: Found) -> dict[str, ExecutorSettings]:
    executors = built_in_executors()
    names: dict[str, str] = {}
    for path, (place, value) in found.below("executors").items():
        if len(path) == 1 and value != {}:
            raise ConfigError(place, f"executors.{path[0]}: expected a table")
        names.setdefault(path[0], place)
    for name, place in names.items():
        section = f"executors.{name}"
        leaves = found.below("executors", name)
        type_found = leaves.get(("type",))
        type_name = (
            read(TEXT, type_found[0], f"{section}.type", type_found[1]) if type_found else name
        )
        if not type_found and ("class",) in leaves and name not in BUILT_IN_EXECUTORS:
            type_name = ""
        elif not type_found and name not in BUILT_IN_EXECUTORS:
            choices = ", ".join(f'"{each}"' for each in (*BUILT_IN_EXECUTORS, ALIAS_EXECUTOR))
            raise ConfigError(
                place, f'{section}: needs a type, as {choices}, or a class = "module:Class"'
            )
        executors[name] = _executor(section, type_name, leaves)
    return executors


def _executor(
    section: str, type_name: str, leaves: Mapping[tuple[str, ...], tuple[str, Any]]
) -> ExecutorSettings:
    is_open = type_name not in CLOSED_EXECUTORS
    values: dict[str, Any] = {"type": type_name}
    arguments: dict[str, Any] = {}
    for path, (place, value) in leaves.items():
        name, *rest = path
        dotted = ".".join((section, *path))
        if is_open and name not in {"type", "class", "options"}:
            _put_argument(arguments, path, read(ANY, place, dotted, value))
            continue
        if name not in EXECUTOR_KEYS:
            raise unknown(
                place, f"{section}.{name}", [f"{section}.{each}" for each in EXECUTOR_KEYS]
            )
        if name in _WITHOUT.get(type_name, ()) or (name == "class" and not is_open):
            raise ConfigError(place, f'{section}.{name}: has no meaning for "{type_name}"')
        _put(values, EXECUTOR_KEYS[name], rest, (place, dotted, value))
    return ExecutorSettings(**values, arguments=arguments)


def _put_argument(arguments: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *tables, last = path
    for each in tables:
        arguments = arguments.setdefault(each, {})
    arguments[last] = value


def _folder(text: str, project: Path) -> Path:
    return Path(os.path.abspath(project / Path(text).expanduser()))


def _database(uri: str, config_dir: Path) -> str:
    """Return the URL of the database, with the path of a SQLite file made absolute."""
    if not uri:
        return sqlite_url(config_dir / DATABASE_NAME)
    file = sqlite_file(uri)
    if file is None:
        return uri
    return sqlite_url(_folder(str(file), config_dir.parent), uri.partition("?")[2])


def _value_store(place: str, project: Path) -> str:
    """Return where large values are kept, with the path of a folder made absolute."""
    if place in {"", "none"} or "://" in place:
        return place
    return str(_folder(place, project))
