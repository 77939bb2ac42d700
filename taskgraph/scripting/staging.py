"""What lies where a script runs: inputs are put there before, outputs are taken from there after.

In the working directory, plain Files are used where they are, and only staged ones are copied. In
a temporary folder, plain Files below the working directory are there under the same paths.
"""

from __future__ import annotations

import os
from typing import Any

from taskgraph.errors import ScriptOutputError
from taskgraph.scripting.outputs import Output, map_nested, outputs_in
from taskgraph.scripting.running import ScriptRun
from taskgraph.scripting.text import path_of, shown
from taskgraph.values.directories import Dir
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File
from taskgraph.values.filesets import FileSet
from taskgraph.values.places import is_url
from taskgraph.values.staging import Staging


def stage_inputs(inputs: Any, run: ScriptRun, as_links: bool) -> None:
    """Put inputs where a script finds them under the paths that it knows them by.

    Args:
        inputs: A nested value; what is no file and no folder is left alone.
        run: The script.
        as_links: Whether staged inputs that are local are linked instead of copied.

    Raises:
        ValueError: A plain input would lie outside of the temporary folder that the script runs in.
        OSError: An input is not there, or cannot be copied.
    """

    def stage(value: Any) -> Any:
        if isinstance(value, Staging):
            _stage(value, run.within(value.local.path), as_links)
        elif run.is_apart and isinstance(value, FileSet):
            for each in value:
                _link_plain(each, run)
        elif run.is_apart and isinstance(value, File | FileGroup):
            _link_plain(value, run)
        return value

    map_nested(inputs, stage)


def _stage(staged: Staging[Any], local: str, as_link: bool) -> None:
    remote = staged.remote
    if as_link and not is_url(remote.location):
        _link(remote.location, local)
    elif local != remote.location:
        remote.copy_to(type(staged.local)(local))


def _link_plain(value: Any, run: ScriptRun) -> None:
    """Link an input below the working directory to the same path in the temporary folder."""
    if is_url(value.location):
        return
    path = os.path.relpath(value.location, run.here)
    if path.split(os.sep)[0] != os.pardir:
        _link(value.location, run.within(path))
    elif not os.path.isabs(path_of(value)):
        given = path_of(value)
        raise ValueError(
            f"the input {given!r} would lie outside of the temporary folder that the script runs "
            f"in. Say where it is to be: File({given!r}).stage({os.path.basename(given)!r})"
        )


def _link(source: str, link: str) -> None:
    if link == source or (os.path.islink(link) and os.readlink(link) == source):
        return
    if not os.path.exists(source):
        raise FileNotFoundError(f"[Errno 2] No such file or directory. {source}")
    os.makedirs(os.path.dirname(link), exist_ok=True)
    os.symlink(source, link)


def make_parents(outputs: Any, run: ScriptRun) -> None:
    """Make the folders that outputs are to lie in, where the script writes them."""
    for each in outputs_in(outputs):
        local = _local_path(each, run)
        if local is not None:
            os.makedirs(os.path.dirname(local), exist_ok=True)


def collect_outputs(outputs: Any, run: ScriptRun) -> Any:
    """Return outputs as they are after the script, each where it is to be.

    Raises:
        ScriptOutputError: The script did not make one of them.
    """
    missing = [_name_of(each) for each in outputs_in(outputs) if not _is_there(each, run)]
    if missing:
        raise ScriptOutputError(shown(run.command), missing, run.said("stderr"), run.to_keep)
    return map_nested(
        outputs, lambda value: _collect(value, run) if isinstance(value, Output) else value
    )


def _collect(output: Output, run: ScriptRun) -> Any:
    if output.value is None:
        return run.stdout()
    final = _final(output.value)
    local = _local_path(output, run)
    if local is None or local == final.location:
        return final
    if isinstance(final, FileSet):
        # The path of each file below the folder that the pattern was given in.
        above = final.location[: -len(str(output.spelled))]
        for each in FileSet(local):
            each.copy_to(os.path.join(above, os.path.relpath(each.location, run.folder)))
    elif isinstance(final, Dir):
        Dir(local).copy_to(final)
    else:
        File(local).copy_to(final)
    return final


def _is_there(output: Output, run: ScriptRun) -> bool:
    if output.value is None or isinstance(output.value, FileSet):
        return True  # a pattern that nothing matches is an answer, too
    local = _local_path(output, run)
    final = _final(output.value)
    if local is None:
        return bool(final.exists())
    return os.path.isdir(local) if isinstance(final, Dir) else os.path.exists(local)


def _final(value: Any) -> Any:
    return value.remote if isinstance(value, Staging) else value


def _local_path(output: Output, run: ScriptRun) -> str | None:
    """Return where the script writes an output; None if that is no local path, or stdout."""
    value = output.value
    if value is None:
        return None
    if isinstance(value, Staging):
        path = value.local.path
    else:
        path = value.location if output.spelled is None else output.spelled
    return None if is_url(path) else run.within(path)


def _name_of(output: Output) -> str:
    value = output.value
    path = value.local.path if isinstance(value, Staging) else output.spelled or value.location
    return repr(path)
