"""What a run ran on: Python, machine, distributions, and the state of the code's repository."""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from taskgraph.records import PackedValue
from taskgraph.values.pack import pack

_INSTALLED = r"(?P<name>.+?)-(?P<version>[^-]+)\.(dist|egg)-info$"
_GIT_SECONDS = 5
_MOST_DIFF = 1_000_000  # characters of the diff of a dirty tree that are kept

#: Where modules are found, and when each of these folders was last changed.
_State = tuple[tuple[str, int | None], ...]

# What was found last: most runs of a process find the same again.
_installed: tuple[_State, Mapping[str, str]] | None = None
_packed: tuple[dict[str, Any], PackedValue] | None = None


class Environment:
    """Describes the machine while a run goes on: on a thread of its own, if it takes long.

    Args:
        folder: A folder of the project.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._described: PackedValue | None = None
        self._thread: threading.Thread | None = None
        if not _is_at_hand(folder):
            self._thread = threading.Thread(target=self._describe, daemon=True)
            self._thread.start()

    def _describe(self) -> None:
        # What can go wrong here (names that no text can hold) is no reason for a run to fail.
        with suppress(Exception):
            self._described = pack_environment(self._folder)

    def packed(self) -> PackedValue | None:
        """Return the description as a value; None if it could not be made."""
        if self._thread is None:
            self._describe()
        else:
            self._thread.join()
        return self._described


def _is_at_hand(folder: Path) -> bool:
    """Tell whether nothing must be read for a description, and git need not be asked."""
    known = _installed
    is_known = known is not None and known[0] == _state_of_path()
    return is_known and not _may_be_repository(folder)


def pack_environment(folder: Path) -> PackedValue:
    """Return the description as a value: the last one, if nothing has changed since.

    Args:
        folder: A folder of the project.
    """
    global _packed  # noqa: PLW0603 - one process has one
    described = describe_environment(folder)
    known = _packed
    if known is None or known[0] != described:
        known = _packed = (described, pack(described))
    return known[1]


def describe_environment(folder: Path) -> dict[str, Any]:
    """Return a plain description of where and with what code runs.

    Args:
        folder: A folder of the project; its git commit and uncommitted changes are included.
    """
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "platform": platform_name(),
        "host": platform.node(),
        "distributions": dict(distributions()),
        "git": describe_git(folder),
    }


@cache
def platform_name() -> str:
    """Return what `platform.platform` says; on Linux that starts a program for nothing."""
    if sys.platform != "linux":
        return platform.platform()
    said = os.uname()
    words = (said.sysname, said.release, said.machine, "with", "".join(platform.libc_ver()))
    return "-".join(filter(None, words)).replace(" ", "_").replace("/", "-")


def distributions() -> Mapping[str, str]:
    """Return the versions of all installed distributions by name.

    Read from the names of their metadata folders: opening each would take as long as a small run.
    The first on the path counts, as it does for imports.
    """
    global _installed  # noqa: PLW0603 - one process has one
    state, known = _state_of_path(), _installed
    if known is None or known[0] != state:
        known = _installed = (state, _find_installed())
    return known[1]


def _state_of_path() -> _State:
    return tuple([(each, _time_of_change(each or ".")) for each in sys.path])


def _time_of_change(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


def _find_installed() -> dict[str, str]:
    found: dict[str, str] = {}
    matches = re.compile(_INSTALLED).fullmatch
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            match = matches(name)
            if match:
                found.setdefault(match["name"].lower().replace("_", "-"), match["version"])
    if not found:  # installed in some other way: ask the slow but general door
        from importlib import metadata

        found = {each.name.lower(): each.version for each in metadata.distributions()}
    return dict(sorted(found.items()))


def describe_git(folder: Path) -> dict[str, str] | None:
    """Return commit, branch and the diff of a dirty tree, or None outside of a repository."""
    commit = ask_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = ask_git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff") or ""
    return {
        "commit": commit,
        "branch": ask_git(folder, "rev-parse", "--abbrev-ref", "HEAD") or "",
        "diff": diff[:_MOST_DIFF],
    }


def ask_git(folder: Path, *words: str) -> str | None:
    """Return what git says of a folder; None where there is no git, no repository or no answer."""
    if not _may_be_repository(folder):
        return None
    import subprocess  # only here: it takes its time to load, as git takes to start

    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _may_be_repository(folder: Path) -> bool:
    """Tell whether git would look any further: a repository is here or above, or is named."""
    if "GIT_DIR" in os.environ:
        return True
    here = os.path.realpath(folder)
    while True:
        # A folder without a `.git` may be a bare repository itself.
        if any(os.path.exists(os.path.join(here, name)) for name in (".git", "objects")):
            return True
        above = os.path.dirname(here)
        if above == here:
            return False
        here = above
