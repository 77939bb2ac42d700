"""What a run ran on: Python, machine, distributions, and the state of the code's repository."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

_INSTALLED = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(dist|egg)-info$")
_GIT_SECONDS = 5
_MOST_DIFF = 1_000_000  # characters of the diff of a dirty tree that are kept


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
        "distributions": distributions(),
        "git": describe_git(folder),
    }


def platform_name() -> str:
    """Return what `platform.platform` says; on Linux that starts a program for nothing."""
    if sys.platform != "linux":
        return platform.platform()
    said = os.uname()
    words = (said.sysname, said.release, said.machine, "with", "".join(platform.libc_ver()))
    return "-".join(filter(None, words)).replace(" ", "_").replace("/", "-")


def distributions() -> dict[str, str]:
    """Return the versions of all installed distributions by name.

    Read from the names of their metadata folders: opening each would take as long as a small run.
    The first on the path counts, as it does for imports.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            match = _INSTALLED.fullmatch(name)
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
