"""A program that copies a file or folder between any two paths or URLs, for use in shell commands.

``python -m taskgraph.values.copying [-r] [--] SOURCE TARGET``; ``-`` stands for the standard input
or output. It ends with 0, or with 1 and one line that says what went wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from taskgraph.values.filesystems import copy_file, errors_naming, get_filesystem
from taskgraph.values.places import locate

_STREAM = "-"


def copy(source: str, target: str, recursive: bool = False) -> None:
    """Copy what is at a path or URL, or comes through a pipe.

    Args:
        source: Where it is; ``-`` is the standard input.
        target: Where it goes to, with its parents; ``-`` is the standard output.
        recursive: Whether it is a folder.

    Raises:
        ValueError: A folder is to go through a pipe.
        OSError: It cannot be read, or written.
    """
    if recursive and _STREAM in (source, target):
        raise ValueError("a folder cannot be copied through a pipe")
    if source == target == _STREAM:
        shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)
    elif source == _STREAM:
        place = locate(target)
        with errors_naming(target), get_filesystem(url=place).open(place, "wb") as writer:
            shutil.copyfileobj(sys.stdin.buffer, writer)
    elif target == _STREAM:
        place = locate(source)
        with errors_naming(source), get_filesystem(url=place).open(place, "rb") as reader:
            shutil.copyfileobj(reader, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        copy_file(source, target, recursive)


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m taskgraph.values.copying",
        description="Copy a file or folder between any two paths or URLs.",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="copy a folder")
    parser.add_argument("source", help="a path or URL; - is the standard input")
    parser.add_argument("target", help="a path or URL; - is the standard output")
    given = parser.parse_args(arguments)
    try:
        copy(given.source, given.target, given.recursive)
    except (OSError, ValueError, ImportError) as error:
        # ImportError: fsspec says which package a protocol needs.
        sys.stderr.write(f"cannot copy {given.source} to {given.target}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
