"""Settings: defaults, then the project's files, then the environment, then the command line.

Whatever is later in that order wins, key by key. A key that is not known and a value of the wrong
type are errors that name the place they stand in: no setting is ever silently without effect.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from taskgraph.errors import ConfigError, UnknownSettingError
from taskgraph.records import MAX_LOSSES
from taskgraph.sizes import read_size
from taskgraph.tasks.context import context_of_paths, merge_context
from taskgraph.tasks.options import POOLS, QUEUES
from taskgraph.urls import sqlite_file, sqlite_url

CONFIG_DIR_NAME: Final = ".taskgraph"
CONFIG_FILE_NAME: Final = "config.toml"
IGNORE_FILE_NAME: Final = ".gitignore"
DATABASE_NAME: Final = "taskgraph.db"
ENVIRONMENT_PREFIX: Final = "TASKGRAPH_"
CONFIG_VARIABLE: Final = "TASKGRAPH_CONFIG"
#: Says who works with the records, in short.
USER_VARIABLE: Final = "TASKGRAPH_USER"
PROJECT_ROOT: Final = "project"
# Settings that an executor of a type has no use for.
_WITHOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "inline": ("max_workers", "start_method"),
    "async": ("max_workers", "start_method"),
    "threads": ("start_method",),
}
#: Executors whose settings are known; all others have arguments of their own.
CLOSED_EXECUTORS: Final = ("threads", "processes", "async", "inline")
BUILT_IN_EXECUTORS: Final = (*CLOSED_EXECUTORS, "dask", "submitit", QUEUES)
ALIAS_EXECUTOR: Final = "alias"

_MIB: Final = 1024**2
_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")


# What a value may be: each kind says what it expects, for the error, and reads it.


class _Kind(NamedTuple):
    """A kind of setting; ``read`` raises ValueError for what it cannot read."""

    expected: str
    read: Callable[[Any], Any]  # what stands in a TOML file may be anything
    # Text of an environment variable is read as this first, where the kind is not text itself.
    from_text: Callable[[str], Any]


def _exactly(*types: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # bool is an int to Python, but `max_workers = true` is a mistake.
        if type(value) not in types:
            raise ValueError
        return value

    return read


def _bool_from_text(text: str) -> bool:
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise ValueError


def _read_positive(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError
    return value


def _read_seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise ValueError
    return float(value)


def _read_pause(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError
    return float(value)


def checked_seconds(name: str, value: Any) -> float:
    """Return a number of seconds that was given in code.

    Raises:
        ValueError: It is none above 0.
    """
    try:
        return _read_seconds(value)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}.") from None


def _read_size(value: Any) -> int:
    if type(value) is int and value > 0:
        return value
    if not isinstance(value, str):
        raise ValueError
    return read_size(value)


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError
    return tuple(value)


def _read_text_or_texts(value: Any) -> tuple[str, ...]:
    return _read_texts([value] if isinstance(value, str) else value)


def _read_class(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError
    return value


def _read_warnings(value: Any) -> tuple[str, ...]:
    names = _read_texts([value] if isinstance(value, str) else value)
    if not set(names) <= {"namespace"}:
        raise ValueError
    return names


def _texts_from_text(text: str) -> list[str]:
    return [each for each in text.split(os.pathsep) if each]


def _value_from_text(text: str) -> Any:
    """Read a number, true, false and the like; all else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _one_of(*choices: str) -> _Kind:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return _Kind("one of " + ", ".join(f'"{each}"' for each in choices), read, str)


_TEXT = _Kind("text", _exactly(str), str)
_CLASS = _Kind('a class, as "package.module:Class"', _read_class, str)
_TEXTS = _Kind("a list of texts", _read_texts, _texts_from_text)
_TEXTS_OR_TEXT = _Kind(
    "text or a list of texts", _read_text_or_texts, lambda text: text.split(",") if text else []
)
_BOOL = _Kind("true or false", _exactly(bool), _bool_from_text)
_POSITIVE = _Kind("a whole number, 1 or more", _read_positive, int)
_SECONDS = _Kind("a number of seconds above 0", _read_seconds, float)
_PAUSE = _Kind("a number of seconds, 0 or more", _read_pause, float)
_SIZE_KIND = _Kind('a size, as 1000000 or "256 MiB"', _read_size, str)
_ANY = _Kind("a value", lambda value: value, _value_from_text)
_WARNINGS = _Kind('"namespace", or a list of such names', _read_warnings, _texts_from_text)
_POLICY = _one_of("content", "stat", "immutable")


def _setting(kind: _Kind, default: Any, *, is_shown: bool = True) -> Any:  # the field's own type
    return field(default=default, metadata={"kind": kind}, repr=is_shown)


def _table(kind: _Kind, key: str) -> Any:  # the type of the field it stands for
    return field(default_factory=dict, metadata={"values": kind, "key": key})


# The sections


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """``[backend]``: where calls are remembered.

    Attributes:
        db_uri: URL of the database; a SQLite file in the config directory by default.
        automigrate: Whether to make or upgrade a database when it is opened. None: SQLite yes,
            PostgreSQL no.
        synchronous: How hard SQLite makes sure of the disk: ``normal`` survives a killed process,
            ``full`` a power cut as well.
        max_value_size: Values whose bytes are more than this are not stored.
        value_store: Where the bytes of large values are kept: a folder, or a URL that fsspec
            knows, as ``s3://bucket/values``. By default a folder beside a SQLite file, and nothing
            else; ``none`` keeps all in the database.
        value_store_min_size: From how many bytes on values are kept there.
        value_store_compression: ``zstd``, or ``none``.
        trust: What stored values may be when they are read: ``all``, which runs code of theirs, or
            ``data``: builtins and what is known to be data. Others are made again.
        trust_classes: With ``trust = "data"``, patterns of dotted names of classes that are data
            too, as ``mypkg.models.*``.
    """

    # There may be a password in it.
    db_uri: str = _setting(_TEXT, "", is_shown=False)
    automigrate: bool | None = _setting(_BOOL, None)
    synchronous: str = _setting(_one_of("normal", "full"), "normal")
    max_value_size: int = _setting(_SIZE_KIND, 256 * _MIB)
    value_store: str = _setting(_TEXT, "")
    value_store_min_size: int = _setting(_SIZE_KIND, _MIB)
    value_store_compression: str = _setting(_one_of("none", "zstd"), "none")
    trust: str = _setting(_one_of("all", "data"), "all")
    trust_classes: tuple[str, ...] = _setting(_TEXTS, ())


@dataclass(frozen=True, slots=True)
class FileSettings:
    """``[files]``: how the content of files is known.

    Attributes:
        policies: Globs and what tells whether a file that matches has changed: its ``content``,
            its ``stat`` (size and time), or nothing once it exists (``immutable``). The last glob
            that matches counts.
        ask_above: A file larger than this is announced before it is read for its hash.
    """

    policies: Mapping[str, str] = field(
        default_factory=dict, metadata={"values": _POLICY, "key": "glob"}
    )
    ask_above: int = _setting(_SIZE_KIND, 100 * 1000**3)


@dataclass(frozen=True, slots=True)
class CodeSettings:
    """``[code]``: which code counts in the hash of a task that reaches it.

    Attributes:
        project: Folders, relative to the project folder, whose code is followed. By default all
            code is that is not installed: no part of Python and in no ``site-packages``.
        strict: Whether what cannot be followed is an error, for tasks that do not say it.
    """

    project: tuple[str, ...] = _setting(_TEXTS, ())
    strict: bool = _setting(_BOOL, False)


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """``[scheduler]``: how a run is carried out.

    Attributes:
        executor: Name of the executor of tasks that name none.
        ignore_warnings: What is not warned of: ``namespace``, of tasks without one.
        single_flight: Whether a call that runs in another process is waited for, and not run too.
        job_status_interval: Seconds between two lines of progress where there is no terminal.
        context: Values that calls read with `get_context`, by dotted paths.
        context_file: A TOML or JSON file with more of them, relative to the config directory.
    """

    executor: str = _setting(_TEXT, "threads")
    ignore_warnings: tuple[str, ...] = _setting(_WARNINGS, ())
    single_flight: bool = _setting(_BOOL, True)
    job_status_interval: float = _setting(_SECONDS, 10.0)
    context: Mapping[str, Any] = _table(_ANY, "path")
    context_file: str = _setting(_TEXT, "")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``[logs]``: what calls print.

    Attributes:
        folder: Where it is kept, a file for each job that printed something. By default a folder
            ``logs`` beside a SQLite file, or in the config directory; ``none`` keeps nothing.
        max_size: So much is kept of a job: its beginning and its end.
        keep_days: What was printed in executions that ended longer ago is deleted.
        echo: Whether what is printed is shown as well.
    """

    folder: str = _setting(_TEXT, "")
    max_size: int = _setting(_SIZE_KIND, 10 * _MIB)
    keep_days: int = _setting(_POSITIVE, 30)
    echo: bool = _setting(_BOOL, True)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """``[workers]``: who takes what was submitted to queues.

    Attributes:
        max_losses: After so many workers that were lost with it, an execution is CRASHED, and given
            to no other one.
        poll: Seconds between two looks whether anything waits.
    """

    max_losses: int = _setting(_POSITIVE, MAX_LOSSES)
    poll: float = _setting(_SECONDS, 1.0)


@dataclass(frozen=True, slots=True)
class ObserverSettings:
    """``[observers]``: who is told what happens in runs.

    Attributes:
        python: Functions that are called with each event, or what makes an observer, each as
            ``module:name``.
        jsonl: A file to which each event is added as a line of JSON.
        opentelemetry: Whether executions and jobs are spans of OpenTelemetry.
    """

    python: tuple[str, ...] = _setting(_TEXTS_OR_TEXT, ())
    jsonl: str = _setting(_TEXT, "")
    opentelemetry: bool = _setting(_BOOL, False)


@dataclass(frozen=True, slots=True)
class SubmissionSettings:
    """``[submissions]``: what is asked of who applies stored workflows.

    Attributes:
        min_interval: Seconds between two of one workflow on one output; 0 for any.
    """

    min_interval: float = _setting(_PAUSE, 0.0)


@dataclass(frozen=True, slots=True)
class UserSettings:
    """``[user]``: who works with the records.

    Attributes:
        email: The address, name or id of a user: who submits what is run, and who forces a state.
            It is no proof; ``TASKGRAPH_USER`` says the same.
    """

    email: str = _setting(_TEXT, "")


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """``[executors.NAME]``: an executor that tasks can name.

    Attributes:
        type: What it is: ``threads``, ``processes``, ``async``, ``inline``, ``dask``, ``submitit``,
            ``queues``, ``alias``, or what another package or ``register_executor`` has added.
        class_name: The setting ``class``: its class in place of a type, as ``package:Class``; with
            ``type = "dask"`` that of the cluster.
        max_workers: How many calls run at once; None for the cores of this machine.
        start_method: How processes are made: ``spawn``, ``forkserver`` or ``loky``; None for the
            executor's own choice.
        options: Options of the tasks that it runs, where nothing else is said of them.
        arguments: All other settings of executors that are not of the first four types.
    """

    type: str = _setting(_TEXT, "")
    class_name: str = _setting(_CLASS, "")
    max_workers: int | None = _setting(_POSITIVE, None)
    start_method: str | None = _setting(_one_of("spawn", "forkserver", "loky"), None)
    options: Mapping[str, Any] = _table(_ANY, "option")
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


def _built_in_executors() -> dict[str, ExecutorSettings]:
    return {name: ExecutorSettings(type=name) for name in BUILT_IN_EXECUTORS}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a project, checked and complete.

    Attributes:
        config_dir: The folder that they come from, absolute; it need not exist.
        backend: Where calls are remembered.
        roots: Folders by name; a path inside of one is hashed relative to it. The project folder
            is always the root ``project``.
        files: How the content of files is known.
        code: Which code counts.
        scheduler: How a run is carried out.
        logs: Where what calls print is kept.
        observers: Who is told what happens.
        workers: How submitted executions are taken.
        submissions: What is asked of who applies stored workflows.
        user: Who works with the records.
        executors: Executors by name, the built-in ones among them.
        limits: How many calls may use something at once, by the names that tasks want it by.
    """

    config_dir: Path
    backend: BackendSettings = field(default_factory=BackendSettings)
    roots: Mapping[str, Path] = field(default_factory=dict)
    files: FileSettings = field(default_factory=FileSettings)
    code: CodeSettings = field(default_factory=CodeSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    observers: ObserverSettings = field(default_factory=ObserverSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    submissions: SubmissionSettings = field(default_factory=SubmissionSettings)
    user: UserSettings = field(default_factory=UserSettings)
    executors: Mapping[str, ExecutorSettings] = field(default_factory=_built_in_executors)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def project_dir(self) -> Path:
        """The project folder: the one that the config directory lies in."""
        return self.config_dir.parent


_SECTIONS: Final[Mapping[str, type]] = {
    "backend": BackendSettings,
    "files": FileSettings,
    "code": CodeSettings,
    "scheduler": SchedulerSettings,
    "logs": LogSettings,
    "observers": ObserverSettings,
    "workers": WorkerSettings,
    "submissions": SubmissionSettings,
    "user": UserSettings,
}
# Sections whose keys are the user's own, and what their values are.
_OPEN_SECTIONS: Final[Mapping[str, _Kind]] = {"roots": _TEXT, "limits": _POSITIVE}
_SECTION_NAMES: Final = (*_SECTIONS, *_OPEN_SECTIONS, "executors")


_EXECUTOR_KEYS: Final = {
    "class" if each.name == "class_name" else each.name: each
    for each in fields(ExecutorSettings)
    if each.name != "arguments"
}


def setting_names() -> Iterator[str]:
    """Yield the name of every setting, with ``NAME`` or ``GLOB`` where the user chooses one."""
    for section, kind in _SECTIONS.items():
        for each in fields(kind):
            yield f"{section}.{each.name}{_key_of(each)}"
    for section in _OPEN_SECTIONS:
        yield f"{section}.NAME"
    for name, each in _EXECUTOR_KEYS.items():
        yield f"executors.NAME.{name}{_key_of(each)}"
    yield "executors.NAME.ARGUMENT"


def _key_of(setting: Field[Any]) -> str:
    """Return what stands behind the name of a setting that is a table."""
    return f".{setting.metadata['key'].upper()}" if "key" in setting.metadata else ""


# Finding and loading


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
    found = _Found()
    for place, table in _tables_of_files(folder):
        found.add(place, table)
    found.add_environment(os.environ)
    found.add("an override", _nested(overrides or {}))
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
    found = _Found()
    found.add("the settings", _nested(tables))
    return _settings(find_config_dir(given=config_dir), found)


def _tables_of_files(config_dir: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what the files say, expanded; the later ones win."""
    pyproject = config_dir.parent / "pyproject.toml"
    tool = _load_toml(pyproject).get("tool", {})
    table = tool.get("taskgraph", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(str(pyproject), "tool.taskgraph: expected a table")
    yield f"{pyproject} [tool.taskgraph]", _expanded(table, str(pyproject), "")
    own = config_dir / CONFIG_FILE_NAME
    yield str(own), _expanded(_load_toml(own), str(own), "")


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"this is not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error


def _expanded(value: Any, place: str, key: str) -> Any:
    """Return a value with ``${VAR}`` filled in from the environment; ``$${`` stands for ``${``."""
    if isinstance(value, dict):
        return {
            name: _expanded(inner, place, f"{key}.{name}" if key else name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_expanded(inner, place, key) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        filled = os.environ.get(match[1])
        if filled is None:
            raise ConfigError(
                place,
                f"{key}: the environment variable {match[1]!r} is not set. "
                "Set it, or write $${ for a literal ${.",
            )
        return filled

    return _VARIABLE.sub(fill, value)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with dotted keys as nested tables."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        table = nested
        for step in path:
            table = table.setdefault(step, {})
        if isinstance(value, Mapping):
            table.setdefault(last, {}).update(value)
        else:
            table[last] = value
    return nested


class _Found:
    """Settings as they were found: for each path of keys, the value that wins and its place."""

    def __init__(self) -> None:
        self.leaves: dict[tuple[str, ...], tuple[str, Any]] = {}

    def add(self, place: str, table: Mapping[str, Any], path: tuple[str, ...] = ()) -> None:
        """Add a table; its values win over those that are there."""
        for name, value in table.items():
            here = (*path, name)
            if not path and name not in _SECTION_NAMES:
                raise _unknown(place, name, _SECTION_NAMES)
            if isinstance(value, dict) and (value or len(here) == 1):
                self.add(place, value, here)
            elif not path:
                raise ConfigError(place, f"{name}: expected a table [{name}]")
            else:
                self.leaves[here] = (place, value)

    def add_environment(self, variables: Mapping[str, str]) -> None:
        """Add the variables that stand for settings, as ``TASKGRAPH_BACKEND__DB_URI``."""
        for variable, text in variables.items():
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
                continue
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            path = tuple(name.split("__"))
            if variable == USER_VARIABLE:
                path = ("user", "email")
            if len(path) > 1:
                self._add_text(f"environment variable {variable}", path, text)
            elif name.partition("_")[0] in _SECTION_NAMES:
                # One underscore where two are meant; all other variables are somebody else's.
                names = [each.replace(".", "__") for each in setting_names()]
                raise _unknown(
                    "the environment",
                    variable,
                    [ENVIRONMENT_PREFIX + each.upper() for each in names],
                )

    def _add_text(self, place: str, path: tuple[str, ...], text: str) -> None:
        if path[0] not in _SECTION_NAMES:
            raise _unknown(place, path[0], _SECTION_NAMES)
        self.leaves[path] = (place, _Text(text))

    def below(self, *path: str) -> dict[tuple[str, ...], tuple[str, Any]]:
        """Return what was found below a path, by the rest of each path."""
        depth = len(path)
        return {
            keys[depth:]: found
            for keys, found in self.leaves.items()
            if keys[:depth] == path and len(keys) > depth
        }


class _Text(str):
    """A value from the environment, where everything is text."""

    __slots__ = ()


def _unknown(place: str, key: str, known: Any) -> UnknownSettingError:
    import difflib  # only here, for it takes its time

    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return UnknownSettingError(place, key, nearest[0] if nearest else None)


def _read(kind: _Kind, place: str, key: str, value: Any) -> Any:
    try:
        return kind.read(kind.from_text(value) if isinstance(value, _Text) else value)
    except ValueError:
        shown = repr(str(value)) if isinstance(value, str) else repr(value)
        raise ConfigError(place, f"{key}: expected {kind.expected}, not {shown}") from None


def _section_values(found: _Found, section: str, kind: type) -> dict[str, Any]:
    """Return the checked values of a section whose keys are known."""
    known = {each.name: each for each in fields(kind)}
    values: dict[str, Any] = {}
    for path, (place, value) in found.below(section).items():
        name, *rest = path
        dotted = ".".join((section, *path))
        if name not in known:
            raise _unknown(place, f"{section}.{name}", [f"{section}.{each}" for each in known])
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
        inner[".".join(rest)] = _read(wanted.metadata["values"], place, dotted, value)
    elif rest:
        kind = wanted.metadata["kind"]
        key = dotted.removesuffix("." + ".".join(rest))
        raise ConfigError(place, f"{key}: expected {kind.expected}, not a table")
    else:
        values[wanted.name] = _read(wanted.metadata["kind"], place, dotted, value)


def _code(found: _Found, project: Path) -> CodeSettings:
    given = CodeSettings(**_section_values(found, "code", CodeSettings))
    folders = [Path(os.path.abspath(project / Path(each).expanduser())) for each in given.project]
    return CodeSettings(tuple(map(str, folders)), given.strict)


def _logs(found: _Found, project: Path) -> LogSettings:
    values = _section_values(found, "logs", LogSettings)
    folder = values.get("folder", "")
    if folder not in {"", "none"}:
        values["folder"] = str(_folder(folder, project))
    return LogSettings(**values)


def _observers(found: _Found, project: Path) -> ObserverSettings:
    values = _section_values(found, "observers", ObserverSettings)
    if values.get("jsonl"):
        values["jsonl"] = str(_folder(values["jsonl"], project))
    return ObserverSettings(**values)


def _settings(config_dir: Path, found: _Found) -> Settings:
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
        return _load_toml(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), f"this cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(str(path), f"expected an object of names, not {found!r}")
    return found


def _open_section(found: _Found, section: str) -> dict[str, Any]:
    values = {}
    for path, (place, value) in found.below(section).items():
        name = ".".join(path)
        values[name] = _read(_OPEN_SECTIONS[section], place, f"{section}.{name}", value)
    return values


def _executors(found: _Found) -> dict[str, ExecutorSettings]:
    executors = _built_in_executors()
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
            _read(_TEXT, type_found[0], f"{section}.type", type_found[1]) if type_found else name
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
            _put_argument(arguments, path, _read(_ANY, place, dotted, value))
            continue
        if name not in _EXECUTOR_KEYS:
            raise _unknown(
                place, f"{section}.{name}", [f"{section}.{each}" for each in _EXECUTOR_KEYS]
            )
        if name in _WITHOUT.get(type_name, ()) or (name == "class" and not is_open):
            raise ConfigError(place, f'{section}.{name}: has no meaning for "{type_name}"')
        _put(values, _EXECUTOR_KEYS[name], rest, (place, dotted, value))
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


# A first configuration

DEFAULT_CONFIG: Final = """\
# Settings of this project. What is commented out shows the default.
# An environment variable TASKGRAPH_SECTION__KEY wins over this file, and ${VAR} is filled in from
# the environment. Relative paths start from the folder that .taskgraph lies in.

[backend]
# db_uri = "sqlite:///.taskgraph/taskgraph.db"
# automigrate = true            # upgrade an old database when it is opened
# synchronous = "normal"        # "full" survives a power cut as well, and is slower
# max_value_size = "256 MiB"    # larger results are used, but not stored
# value_store = ""              # of large values: a folder, "s3://bucket/v"; "none": nowhere
# value_store_min_size = "1 MiB"
# value_store_compression = "none"  # or "zstd"
# trust = "all"                 # "data": stored values that are more than data are made again
# trust_classes = []            # classes that are data too, as "pkg.models.*"

[scheduler]
# executor = "threads"          # of tasks that name none
# ignore_warnings = "namespace" # do not warn of tasks without a namespace
# single_flight = true          # wait for calls that run in other processes, and run none twice
# job_status_interval = 10      # seconds between two lines of progress in a log
# context = { genome = "hg38" } # values that calls read with get_context
# context_file = "context.toml" # a file with such values, beside this one

[logs]
# folder = "logs"               # what calls print; by default beside the database; "none": nowhere
# max_size = "10 MiB"           # of each job, its beginning and its end
# keep_days = 30
# echo = true                   # show it as well

[observers]
# python = ["mypkg.watch:on_event"]  # functions that are called with each event
# jsonl = "events.jsonl"        # a file to which each event is added as a line of JSON
# opentelemetry = false         # executions and jobs as spans

[workers]
# max_losses = 3                # after so many workers died with an execution it is given to none
# poll = 1.0                    # seconds between two looks whether anything waits

[submissions]
# min_interval = 0              # seconds between two of one workflow on one output

[user]
# email = "ada@example.org"     # who submits what is run; TASKGRAPH_USER says the same

[files]
# ask_above = "100 GB"          # say so before a larger file is read for its hash

[files.policies]
# "*.bam" = "stat"              # "content" (default), "stat" (size and time), "immutable"

[code]
# project = ["src"]             # folders whose code is followed; all that is not installed
# strict = true                 # what cannot be followed is an error

[roots]
# reference = "/data/reference" # paths below are the same for everyone, wherever it lies

[limits]
# api = 4                       # calls of tasks with limits=["api"] that run at once; else 1

# [executors.big]
# type = "processes"            # "threads", "processes", "async", "inline", "alias"
# max_workers = 8
# start_method = "spawn"        # or "forkserver", "loky"
# options = { memory = 8 }      # of the tasks that it runs, where nothing else is said of them

# [executors.farm]
# type = "dask"                 # or "submitit", or what another package has added; or else
# class = "package.module:Class"
# address = "tcp://host:8786"   # and its arguments
"""

# The settings are shared with the project; the database beside them is not.
_IGNORED: Final = f"*\n!{IGNORE_FILE_NAME}\n!{CONFIG_FILE_NAME}\n"


def write_default_config(config_dir: Path) -> bool:
    """Write a commented ``config.toml`` into a folder, which is made if need be.

    A folder that is made here also gets a ``.gitignore``, so that ``config.toml`` is committed and
    the database is not. Each file appears whole or not at all, and one that is there is never
    touched.

    Returns:
        Whether ``config.toml`` was written.

    Raises:
        ConfigError: The folder or a file cannot be written.
    """
    wanted = config_dir / CONFIG_FILE_NAME
    try:
        if _make_folder(config_dir):
            _write_new(config_dir / IGNORE_FILE_NAME, _IGNORED)
        return _write_new(wanted, DEFAULT_CONFIG)
    except OSError as error:
        raise ConfigError(str(wanted), f"cannot be written: {error.strerror}") from error


def _make_folder(folder: Path) -> bool:
    """Make a folder; return whether it was made by this call.

    A folder that was there may hold other things, as with ``-c .``, which must not be ignored.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless it is there already; return whether it was written."""
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        # A link is refused where a rename would overwrite: two that start at once are safe.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True
