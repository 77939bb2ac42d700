"""Shell commands that copy files: what is local goes by ``cp`` and ``cat``, all else by Python.

The words of a command are quoted; it can be put into any script.
"""

from __future__ import annotations

import os
import shlex
import sys

from taskgraph.values.places import is_url, locate

#: Runs as a program; see there.
_COPYING = "taskgraph.values.copying"


def shell_copy(
    source: str | None,
    target: str | None,
    *,
    recursive: bool = False,
    make_folders: bool = False,
) -> str:
    """Return the command that copies a file, or a folder.

    Remote paths are copied by the Python of this process, for the tools of a store need not be
    installed where taskgraph is, and fsspec knows more stores than have tools.

    Args:
        source: A path or URL; None is the standard input.
        target: A path or URL; None is the standard output.
        recursive: Whether it is a folder that is copied.
        make_folders: Whether folders that are missing on the way to the target are made, and a
            folder that is there already is filled. ``cp`` makes no folders, and copies a folder
            *into* one that is there. Folders of remote targets are always made and filled.

    Raises:
        ValueError: A folder is to be copied from the standard input, or to the standard output.
    """
    if recursive and (source is None or target is None):
        raise ValueError("a folder cannot be copied through a pipe: give a path to copy it to")
    source, target = _local(source), _local(target)
    if (source and is_url(source)) or (target and is_url(target)):
        options = ["-r"] if recursive else []
        # -P: what lies in the folder where the command runs is not to be taken for a module.
        python = [sys.executable or "python3", "-P", "-m", _COPYING, *options]
        # The program takes "-" for a stream, and no word with a dash for an option.
        return shlex.join([*python, "--", _word(source) or "-", _word(target) or "-"])
    command = _copy_locally(source, target, recursive, make_folders)
    folder = target and (target if recursive else os.path.dirname(target))
    if not (make_folders and folder and folder.strip("/")):
        return command
    return f"mkdir -p {_quote(folder)} && {command}"


def _copy_locally(
    source: str | None, target: str | None, recursive: bool, make_folders: bool
) -> str:
    if target is None:
        return "cat" if source is None else f"cat {_quote(source)}"
    if source is None:
        return f"cat > {_quote(target)}"
    if not recursive:
        return f"cp {_quote(source)} {_quote(target)}"
    # The dot stands for what is in the folder.
    inside = os.path.join(source, ".") if make_folders else source
    return f"cp -r {_quote(inside)} {_quote(target)}"


def _local(path: str | None) -> str | None:
    """Return a path that any program understands, if it is spelled as a URL and is none."""
    return locate(path) if path is not None and is_url(path) else path


def _word(path: str | None) -> str | None:
    """Return a path that no program takes for an option, or for a stream."""
    return f"./{path}" if path is not None and path.startswith("-") else path


def _quote(path: str) -> str:
    return shlex.quote(_word(path) or "")
