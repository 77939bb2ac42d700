"""The functions that use the scheduler of a project: run, plan, explain and their like."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taskgraph.app.current import chosen_scheduler, current_scheduler
from taskgraph.app.scheduler import Scheduler
from taskgraph.assembly.reading import find_record, name_of_record, open_reader, release_files
from taskgraph.assembly.surroundings import in_force, places_of
from taskgraph.config import find_config_dir, load_settings, write_default_config
from taskgraph.errors import NoCurrentSchedulerError
from taskgraph.hashing import ArgsHash, EvalHash
from taskgraph.tasks.hashes import Hasher, hashes_of_call
from taskgraph.tasks.task import Task
from taskgraph.values.handles import Handle, judge_by
from taskgraph.worker import running_task

if TYPE_CHECKING:
    from taskgraph.engine.releasing import Release
    from taskgraph.plans import Plan
    from taskgraph.provenance.explain import AnyExplanation
    from taskgraph.provenance.reading import Lineage

T = TypeVar("T")

_schedulers: dict[str, Scheduler] = {}
_schedulers_lock = threading.Lock()


def scheduler_for(config_dir: str | Path | None = None) -> Scheduler:
    """Return the scheduler of a config directory: made on demand and kept.

    Where none is named it is the one that was set, if one was.
    """
    chosen = chosen_scheduler.get()
    if config_dir is None and chosen is not None and not chosen._is_closed:
        return chosen
    folder = find_config_dir(given=config_dir)
    key = f"{os.getpid()}:{folder}"
    with _schedulers_lock:
        found = _schedulers.get(key)
        if found is None or found._is_closed:
            write_default_config(folder)
            found = _schedulers[key] = Scheduler(load_settings(folder))
    return found


def run(
    expr: T,
    config_dir: str | Path | None = None,
    *,
    exec_argv: Sequence[str] | None = None,
    dryrun: bool = False,
    cache: bool = True,
    execution_id: str | None = None,
    max_rerun: int | timedelta | None = None,
    options: Mapping[str, Any] | None = None,
    tags: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
    context: Mapping[str, Any] | None = None,
    fail_fast: bool = True,
    name: str | None = None,
    study: str | None = None,
    workspace: str | Path | None = None,
    idempotency_key: str | None = None,
    queue: str | None = None,
) -> T:
    """Evaluate an expression with the scheduler of a config directory, or the one that was set.

    Args:
        expr: What to evaluate: a lazy call, or any nested value of them.
        config_dir: The folder of settings and database; by default that of the scheduler that was
            set with `set_current_scheduler`, else the nearest ``.taskgraph`` upward, or a new one
            in the working directory.
        exec_argv: The command line to record; by default that of this process.
        dryrun: Stop before the first call would run.
        cache: Whether results of earlier executions may be used.
        execution_id: 32 hex digits; by default a new one.
        max_rerun: How many calls that were made before may be made again, or how long these may
            have taken the last time.
        options: Options of all tasks in this run, whatever is said elsewhere.
        tags: Tags of the execution: keys with JSON values.
        context: What calls read with `get_context`: nested dicts, on top of what the settings say.
        fail_fast: Whether nothing new is started once something has failed.
        name: What people call this execution.
        study: The name of the body of work that it is part of.
        workspace: Its folder, which no other execution has.
        idempotency_key: Under one key a task is run once: where it was, nothing runs.
        queue: The queue of calls for which no other one is named.

    Raises:
        Exception: As `Scheduler.run`.
    """
    return scheduler_for(config_dir).run(
        expr,
        exec_argv=exec_argv,
        dryrun=dryrun,
        cache=cache,
        execution_id=execution_id,
        max_rerun=max_rerun,
        options=options,
        tags=tags,
        context=context,
        fail_fast=fail_fast,
        name=name,
        study=study,
        workspace=workspace,
        idempotency_key=idempotency_key,
        queue=queue,
    )


def explain(what: Any, config_dir: str | Path | None = None) -> AnyExplanation:
    """Explain why something ran, or did not, or what would become of a call now.

    Args:
        what: A lazy call with values as arguments, the key of a call, a task or cached function,
            an id, a path; see `Scheduler.explain`.
        config_dir: The folder of settings and database; by default as for `run`.

    Returns:
        An `Explanation` of one call, or an `ExecutionExplanation` of a whole run.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        AmbiguousIdError: More than one record starts so.
        ExplanationError: The arguments of a call are calls themselves.
    """
    return scheduler_for(config_dir).explain(what)


def lineage(
    what: Any,
    config_dir: str | Path | None = None,
    *,
    down: bool = False,
    all: bool = False,
    depth: int | None = None,
    types: Sequence[str] | None = None,
) -> Lineage:
    """Return how a file or a value came to be: the calls that led to it, each once.

    Args:
        what: The path of a file, a `File`, the hash of a value, or a record that was read.
        config_dir: The folder of settings and database; by default as for `run`.
        down: Whether the chart is of what was made of it.
        all: Whether the chart follows files from one execution to another.
        depth: The chart goes no further than so many calls.
        types: The chart has only values of these types, such as ``File``.

    Returns:
        What `print` shows as a page, and ``story.steps`` has as data: each step a call, with its
        arguments, the job that made it, and how far from the value it was. ``chart`` is the graph
        of calls and values, ``text`` the same as a tree; ``to_json()``, ``to_dot()`` and
        ``to_mermaid()`` are for other programs.

    Raises:
        UnknownRecordError: Nothing is recorded under it.
        LineageError: It has no value.
        AmbiguousIdError: More than one record starts so.
    """
    from taskgraph.provenance.reading import lineage_of

    settings = load_settings(find_config_dir(given=config_dir))
    with closing(open_reader(settings)) as reader:
        text = what.path if hasattr(what, "path") else name_of_record(what)
        found = find_record(reader, settings, text)
        return lineage_of(reader, found, text, down=down, all=all, depth=depth, types=types)


def hash_args_eval(
    type_registry: Hasher | None,
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> tuple[EvalHash, ArgsHash]:
    """Return the ``eval_hash`` and the ``args_hash`` of a call, as a run would record them now.

    Parameters that are named in ``config_args`` and those that are told of the job (`JobInfo`) do
    not count; items of ``*args`` and ``**kwargs`` do. The settings are those of the scheduler that
    runs here or was set, else of the nearest config directory.

    Args:
        type_registry: What hashes values, by its ``get_hash``; None for the library itself.
        task: The task.
        args: Positional arguments: values, and no lazy calls.
        kwargs: Arguments by name.

    Raises:
        TypeError: The arguments do not fit the signature, or one is a lazy call.
        UnhashableValueError: An argument has no stable hash.
    """
    scheduler = current_scheduler.get()
    settings = load_settings(find_config_dir()) if scheduler is None else scheduler.settings
    with in_force(settings, places_of(settings)):
        return hashes_of_call(type_registry, task, args, kwargs)


def release(
    *paths: str | os.PathLike[str],
    dry_run: bool = False,
    force: bool = False,
    config_dir: str | Path | None = None,
) -> list[Release]:
    """Delete temporary files, those that tasks gave as ``File(path, temp=True)``.

    No call is made again because of that, until one must run that reads such a file; then the call
    that gave it is made again first. How the file came to be can still be asked.

    Args:
        paths: Paths or URLs of files, and of folders in which all temporary files are meant.
        dry_run: Whether nothing is deleted.
        force: Whether files that are named are deleted whatever is known of them; what lies in a
            folder is not meant by that.
        config_dir: The folder of settings and database; by default as for `run`.

    Returns:
        What became of each file, or would.

    Raises:
        UnknownRecordError: Nothing is recorded of a path.
        ReleaseRefusedError: A file that is named is no temporary one, was changed, or was given by
            no call; or an execution is running. Nothing was deleted.
    """
    settings = load_settings(find_config_dir(given=config_dir))
    return release_files(settings, [os.fspath(p) for p in paths], dry_run=dry_run, force=force)


def plan(expr: Any, config_dir: str | Path | None = None, *, cache: bool = True) -> Plan:
    """Return what a run would do now, with the scheduler of a config directory. Nothing runs.

    Args:
        expr: What would be evaluated.
        config_dir: As for `run`.
        cache: Whether results of earlier executions might be used.
    """
    return scheduler_for(config_dir).plan(expr, cache=cache)


def _is_valid_handle(handle: Handle) -> bool:
    scheduler = current_scheduler.get()
    if scheduler is None:
        if running_task() is not None:  # in a worker process, where no records are
            raise NoCurrentSchedulerError()
        scheduler = scheduler_for()
    state = handle.__handle__
    return state.is_initial or bool(scheduler.backend.find_valid_handles([state.hash]))


judge_by(_is_valid_handle)
