"""`script`: a shell command as a lazy call, with Files before and after it.

script(...)     commands and outputs take the form in which they count
a task          one call: staged, run to its end, outputs collected
script tasks    what their function returns is the text of such a call, below theirs
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

from taskgraph.expression import Expression, SimpleExpression, find_expressions
from taskgraph.fingerprint.parts import PartKind
from taskgraph.hashing import is_builtin
from taskgraph.scripting.outputs import STDOUT, as_outputs, outputs_in
from taskgraph.scripting.running import ScriptRun
from taskgraph.scripting.staging import collect_outputs, make_parents, stage_inputs
from taskgraph.scripting.text import as_given
from taskgraph.tasks.decorator import task
from taskgraph.tasks.notes import note
from taskgraph.tasks.task import Task
from taskgraph.values.directories import Dir
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File
from taskgraph.values.staging import Staging

#: What a script makes, for type checkers: `File("-")` alone, which is bytes, they cannot tell.
Made = TypeVar("Made", bound=File | FileGroup)
Kept = TypeVar("Kept", File, Dir)


@overload
def script(
    command: Any,
    inputs: Any = ...,
    *,
    outputs: Made,
    tempdir: bool = ...,
    as_mount: bool = ...,
    **options: Any,
) -> Made: ...


@overload
def script(
    command: Any,
    inputs: Any = ...,
    *,
    outputs: Staging[Kept],
    tempdir: bool = ...,
    as_mount: bool = ...,
    **options: Any,
) -> Kept: ...


@overload
def script(
    command: Any,
    inputs: Any = ...,
    *,
    outputs: Any,
    tempdir: bool = ...,
    as_mount: bool = ...,
    **options: Any,
) -> Any: ...


@overload
def script(
    command: Any,
    inputs: Any,
    outputs: Any,
    tempdir: bool = ...,
    as_mount: bool = ...,
    **options: Any,
) -> Any: ...


@overload
def script(
    command: Any,
    inputs: Any = ...,
    *,
    tempdir: bool = ...,
    as_mount: bool = ...,
    **options: Any,
) -> bytes: ...


def script(
    command: Any,
    inputs: Any = (),
    outputs: Any = STDOUT,
    tempdir: bool = False,
    as_mount: bool = False,
    **options: Any,
) -> Any:
    """Write down that a script is to be run; the value is what it makes.

    It runs again when its text, an input or a tool that counts has changed, and when an output was
    changed or is gone. What is a lazy call, in any of the arguments, is evaluated before.

    Args:
        command: The text of a script, for Bash or what its ``#!`` line names; or a list of words,
            which run without a shell. Files in it are inputs.
        inputs: The Files that it reads, in any nested value. Staged ones are copied to their local
            paths before.
        outputs: The Files that it writes, in any nested value, which is what the result looks
            like; ``File("-")`` is its standard output, as bytes. Staged ones are copied from their
            local paths, and are the remote ones in the result.
        tempdir: Whether it runs in a folder of its own, which is gone afterwards; it is kept if
            the script fails. Relative paths of inputs and outputs are found in there.
        as_mount: Whether staged inputs that are local are linked instead of copied.
        options: Those of the call, as for any task.

    Raises:
        TypeError: The command is neither text nor words.
        ValueError: There is nothing in it.
        TaskOptionError: An option is unknown, or has a value that it cannot have.
    """
    return _call(_task_with(options), command, inputs, outputs, tempdir, as_mount)


# The task with options, by these: a task has its hash looked up once, and tools are read for it.
_with_options: dict[str, Task[..., Any]] = {}
_MOST_KEPT = 200


def _task_with(options: Mapping[str, Any]) -> Task[..., Any]:
    if not options:
        return run_script
    if not is_builtin(options):
        return run_script.options(**options)
    key = repr(sorted(options.items()))
    known = _with_options.get(key)
    if known is None:
        if len(_with_options) >= _MOST_KEPT:
            _with_options.clear()
        known = _with_options[key] = run_script.options(**options)
    return known


def _call(
    task: Task[..., Any],
    command: Any,
    inputs: Any,
    outputs: Any = STDOUT,
    tempdir: bool = False,
    as_mount: bool = False,
    because: Sequence[str] = (),
) -> Any:
    given = {
        "inputs": inputs,
        "outputs": _once_known(as_outputs, outputs),
        "tempdir": tempdir,
        "as_mount": as_mount,
        "because": tuple(because),
        "where": Path.cwd(),
    }
    return task(_once_known(as_given, command), **given)


def _once_known(change: Callable[[Any], Any], value: Any) -> Any:
    return SimpleExpression("call", (change, value)) if find_expressions(value) else change(value)


# Relative paths mean the same in whatever process it runs, and that is no other call then.
@task(name="script", namespace="taskgraph", version="1", config_args=["where"])
def run_script(
    command: Any,
    inputs: Any = (),
    outputs: Any = STDOUT,
    tempdir: bool = False,
    as_mount: bool = False,
    because: tuple[str, ...] = (),
    where: Path | None = None,
) -> Any:
    """Run a script and return its outputs; what it says is kept as tags of its job.

    Args:
        command: Its whole text, or its words.
        inputs: As for `script`.
        outputs: As for `script`, with an `Output` in place of each file and folder.
        tempdir: As for `script`.
        as_mount: As for `script`.
        because: What else counts: hashes of it.
        where: The working directory, without a temporary one; where there is no such folder, it is
            that of this process.
    """
    here = str(where) if where is not None and where.is_dir() else os.getcwd()
    with ScriptRun(command, here, is_apart=tempdir) as run:
        words = command if isinstance(command, list) else []
        stage_inputs([words, inputs], run, as_mount)
        make_parents(outputs, run)
        run.to_end()
        made = collect_outputs(outputs, run)
        is_stdout_kept = any(each.value is None for each in outputs_in(outputs))
        for stream in ("stderr",) if is_stdout_kept else ("stdout", "stderr"):
            if said := run.said(stream):
                note(f"taskgraph.{stream}", said)
    return made


# What counts of a script task besides the text that it returns: the code that made it does not.
_COUNTED = frozenset({PartKind.VERSION, PartKind.INCLUDE, PartKind.PACKAGE, PartKind.TOOL})


def call_of_text(task: Task[..., Any], text: Any, inputs: Any, parts: Iterable[Any]) -> Expression:
    """Return the call that runs what the function of a script task returned.

    Args:
        task: The script task.
        text: The text; a lazy call will do.
        inputs: What its function was called with.
        parts: All that counted in its hash.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(text, str | Expression):
        raise TypeError(
            f"{task.fullname} is a script task: it returns the text of a script, not a "
            f"{type(text).__name__}: {text!r}"
        )
    because = [each.part_hash for each in parts if each.kind in _COUNTED]
    call: Expression = _call(run_script, text, inputs, because=because)
    return call
