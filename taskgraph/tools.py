"""Tasks for common steps: copying files and folders, as calls that are recorded and remembered."""

from __future__ import annotations

from taskgraph.tasks.decorator import task
from taskgraph.values.directories import Dir
from taskgraph.values.files import File


@task(namespace="taskgraph.tools", version="1")
def copy_file(src_file: File, dest_path: str, skip_if_exists: bool = False) -> File:
    """Copy a file to a path or URL, and give the copy.

    Args:
        src_file: What to copy.
        dest_path: Where to; folders on the way are made.
        skip_if_exists: Whether a file that is there already is left, and given, as it is.
    """
    return src_file.copy_to(dest_path, skip_if_exists)


@task(namespace="taskgraph.tools", version="1")
def copy_dir(src_dir: Dir, dest_path: str, skip_if_exists: bool = False) -> Dir:
    """Copy all files of a folder to a path or URL, and give the folder that is there then.

    Args:
        src_dir: What to copy.
        dest_path: Where to; a folder that is there is filled, and keeps what else is in it.
        skip_if_exists: Whether a folder that is there already is left, and given, as it is.
    """
    return src_dir.copy_to(dest_path, skip_if_exists)


__all__ = ["copy_dir", "copy_file"]
