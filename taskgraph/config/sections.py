"""The sections of the settings, with what each key may be and what it is by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from taskgraph.config.kinds import (
    ANY,
    BOOL,
    CLASS,
    PAUSE,
    POLICY,
    POSITIVE,
    SECONDS,
    SIZE,
    TEXT,
    TEXTS,
    TEXTS_OR_TEXT,
    WARNINGS,
    Kind,
    one_of,
    setting,
    table,
)
from taskgraph.records import MAX_LOSSES
from taskgraph.tasks.options import QUEUES

#: Executors whose settings are known; all others have arguments of their own.
CLOSED_EXECUTORS: Final = ("threads", "processes", "async", "inline")
BUILT_IN_EXECUTORS: Final = (*CLOSED_EXECUTORS, "dask", "submitit", QUEUES)
ALIAS_EXECUTOR: Final = "alias"

_MIB: Final = 1024**2


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
    db_uri: str = setting(TEXT, "", is_shown=False)
    automigrate: bool | None = setting(BOOL, None)
    synchronous: str = setting(one_of("normal", "full"), "normal")
    max_value_size: int = setting(SIZE, 256 * _MIB)
    value_store: str = setting(TEXT, "")
    value_store_min_size: int = setting(SIZE, _MIB)
    value_store_compression: str = setting(one_of("none", "zstd"), "none")
    trust: str = setting(one_of("all", "data"), "all")
    trust_classes: tuple[str, ...] = setting(TEXTS, ())


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
        default_factory=dict, metadata={"values": POLICY, "key": "glob"}
    )
    ask_above: int = setting(SIZE, 100 * 1000**3)


@dataclass(frozen=True, slots=True)
class CodeSettings:
    """``[code]``: which code counts in the hash of a task that reaches it.

    Attributes:
        project: Folders, relative to the project folder, whose code is followed. By default all
            code is that is not installed: no part of Python and in no ``site-packages``.
        strict: Whether what cannot be followed is an error, for tasks that do not say it.
    """

    project: tuple[str, ...] = setting(TEXTS, ())
    strict: bool = setting(BOOL, False)


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

    executor: str = setting(TEXT, "threads")
    ignore_warnings: tuple[str, ...] = setting(WARNINGS, ())
    single_flight: bool = setting(BOOL, True)
    job_status_interval: float = setting(SECONDS, 10.0)
    context: Mapping[str, Any] = table(ANY, "path")
    context_file: str = setting(TEXT, "")


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

    folder: str = setting(TEXT, "")
    max_size: int = setting(SIZE, 10 * _MIB)
    keep_days: int = setting(POSITIVE, 30)
    echo: bool = setting(BOOL, True)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """``[workers]``: who takes what was submitted to queues.

    Attributes:
        max_losses: After so many workers that were lost with it, an execution is CRASHED, and given
            to no other one.
        poll: Seconds between two looks whether anything waits.
    """

    max_losses: int = setting(POSITIVE, MAX_LOSSES)
    poll: float = setting(SECONDS, 1.0)


@dataclass(frozen=True, slots=True)
class ObserverSettings:
    """``[observers]``: who is told what happens in runs.

    Attributes:
        python: Functions that are called with each event, or what makes an observer, each as
            ``module:name``.
        jsonl: A file to which each event is added as a line of JSON.
        opentelemetry: Whether executions and jobs are spans of OpenTelemetry.
    """

    python: tuple[str, ...] = setting(TEXTS_OR_TEXT, ())
    jsonl: str = setting(TEXT, "")
    opentelemetry: bool = setting(BOOL, False)


@dataclass(frozen=True, slots=True)
class SubmissionSettings:
    """``[submissions]``: what is asked of who applies stored workflows.

    Attributes:
        min_interval: Seconds between two of one workflow on one output; 0 for any.
    """

    min_interval: float = setting(PAUSE, 0.0)


@dataclass(frozen=True, slots=True)
class UserSettings:
    """``[user]``: who works with the records.

    Attributes:
        email: The address, name or id of a user: who submits what is run, and who forces a state.
            It is no proof; ``TASKGRAPH_USER`` says the same.
    """

    email: str = setting(TEXT, "")


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

    type: str = setting(TEXT, "")
    class_name: str = setting(CLASS, "")
    max_workers: int | None = setting(POSITIVE, None)
    start_method: str | None = setting(one_of("spawn", "forkserver", "loky"), None)
    options: Mapping[str, Any] = table(ANY, "option")
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


def built_in_executors() -> dict[str, ExecutorSettings]:
    """Return the executors that there are where nothing is said of any."""
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
    executors: Mapping[str, ExecutorSettings] = field(default_factory=built_in_executors)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def project_dir(self) -> Path:
        """The project folder: the one that the config directory lies in."""
        return self.config_dir.parent


#: Sections whose keys are known.
SECTIONS: Final[Mapping[str, type]] = {
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
#: Sections whose keys are the user's own, and what their values are.
OPEN_SECTIONS: Final[Mapping[str, Kind]] = {"roots": TEXT, "limits": POSITIVE}
SECTION_NAMES: Final = (*SECTIONS, *OPEN_SECTIONS, "executors")
#: The keys of an executor, as they are written.
EXECUTOR_KEYS: Final = {
    "class" if each.name == "class_name" else each.name: each
    for each in fields(ExecutorSettings)
    if each.name != "arguments"
}


def setting_names() -> Iterator[str]:
    """Yield the name of every setting, with ``NAME`` or ``GLOB`` where the user chooses one."""
    for section, kind in SECTIONS.items():
        for each in fields(kind):
            yield f"{section}.{each.name}{_key_of(each)}"
    for section in OPEN_SECTIONS:
        yield f"{section}.NAME"
    for name, each in EXECUTOR_KEYS.items():
        yield f"executors.NAME.{name}{_key_of(each)}"
    yield "executors.NAME.ARGUMENT"


def _key_of(setting: Field[Any]) -> str:
    """Return what stands behind the name of a setting that is a table."""
    return f".{setting.metadata['key'].upper()}" if "key" in setting.metadata else ""
