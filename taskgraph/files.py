"""Functions over paths and URLs: file systems, patterns, copies, at once and without a record.

What is to be recorded and remembered is a call of a task: `taskgraph.tools` has some for files.
"""

from __future__ import annotations

from taskgraph.values.filesystems import Filesystem, copy_file, get_filesystem, glob_file

__all__ = ["Filesystem", "copy_file", "get_filesystem", "glob_file"]
