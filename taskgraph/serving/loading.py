"""Scripts and modules of users in a slot: each loaded once, and anew in another process if edited.

A process cannot forget code that it has imported: whatever was made of it would stay. So a slot
whose files were edited ends before it takes anything more, and another one begins with these.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from taskgraph.config import Settings

_Stamp = tuple[int, int]  # of a file: when it was changed, and its size


class Loader:
    """Loads what tasks are defined in.

    Args:
        settings: Those of the project.
        load: Loads a script by its path, or a module by its dotted name.
    """

    def __init__(self, settings: Settings, load: Callable[[str], object]) -> None:
        self._project = settings.project_dir
        self._load = load
        self._folders = {str(settings.project_dir)}
        self._loaded: set[str] = set()
        self._stamps: dict[str, _Stamp] = {}
        self._seen: dict[str, object] = {}  # modules by name: there are hundreds, and few are new

    def __call__(self, script: str) -> None:
        """Load a script or a module, once; a path is that of the project, unless it is there.

        Raises:
            ScriptNotFoundError: There is neither.
            ScriptLoadError: It raised an exception, or its name is that of another module.
        """
        wanted = script
        if script.endswith(".py"):
            here, there = Path(script).absolute(), self._project / script
            path = here if here.is_file() or not there.is_file() else there
            wanted = str(path)
            self._look_below(str(path.parent))
        if wanted not in self._loaded:
            self._load(wanted)
            self._loaded.add(wanted)
        self.note()

    def _look_below(self, folder: str) -> None:
        if folder not in self._folders:
            self._folders.add(folder)
            self._seen.clear()

    def note(self) -> None:
        """Take note of files that were imported since."""
        for file in self._files():
            if file not in self._stamps:
                stamp = _stamp(file)
                if stamp is not None:
                    self._stamps[file] = stamp

    def find_edited(self) -> str | None:
        """Return a file that was edited since it was imported, if any was."""
        self.note()
        for file, stamp in self._stamps.items():
            if _stamp(file) not in (stamp, None):
                return file
        return None

    def _files(self) -> Iterator[str]:
        """Yield the files that modules of the project came from which are new."""
        seen = self._seen
        for name, module in list(sys.modules.items()):
            if seen.get(name) is module:
                continue
            seen[name] = module
            file = getattr(module, "__dict__", {}).get("__file__")  # some make what is asked for
            if isinstance(file, str) and self._is_own(file):
                yield file

    def _is_own(self, file: str) -> bool:
        is_below = any(file.startswith(f"{each}{os.sep}") for each in self._folders)
        return is_below and "site-packages" not in file


def _stamp(file: str) -> _Stamp | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


__all__ = ["Loader"]
