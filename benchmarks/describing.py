"""Says where and of what something was measured: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def machine() -> str:
    """Describe the machine in a few words."""
    model = platform.processor() or platform.machine()
    with_name = Path("/proc/cpuinfo")
    if with_name.exists():
        for line in with_name.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def commit() -> str:
    """Return the commit of this checkout, with a plus if files have changed since."""
    try:
        found = _git("rev-parse", "--short=10", "HEAD")
        changed = _git(
            "status", "--porcelain", "--untracked-files=no", "--", "taskgraph", "backend"
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found + ("+" if changed else "")


def versions(python: Path | None, requirements: Path) -> dict[str, str]:
    """Return what was measured: versions here, and those of the peers as they are pinned."""
    import sqlite3

    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in ("sqlalchemy", "psycopg", "xxhash", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if python is not None:
        pinned = (line.partition("==") for line in requirements.read_text().splitlines())
        found |= {name: version for name, _, version in pinned if version and name not in found}
    return found


def stamp() -> str:
    """Return the time of day."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
