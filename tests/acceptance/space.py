"""A folder of its own with a workflow in it, and the command line as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> str:
        """The last line of the progress."""
        return self.err.splitlines()[-1]


class Space:
    """A project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        """Write a file; what indents all of its lines is left out."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def __call__(self, *words: str | Path, **environment: str) -> Done:
        """Run ``taskgraph`` with these words."""
        return self.typing("", *words, **environment)

    def typing(self, typed: str, *words: str | Path, **environment: str) -> Done:
        """Run ``taskgraph`` with these words, and type something into it."""
        return self._ended(["-m", "taskgraph.cli.main", *map(str, words)], typed, environment)

    def python(self, program: str, *words: str | Path, **environment: str) -> Done:
        """Run a program of Python with these words."""
        return self._ended(["-c", program, *map(str, words)], "", environment)

    def _ended(self, words: list[str], typed: str, environment: dict[str, str]) -> Done:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("TASKGRAPH_")
        }
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={
                **inherited,
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
                "XDG_CACHE_HOME": str(self.folder / ".cache"),
                **environment,
            },
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str | Path) -> Any:
        """Run a reading command and return what it wrote as JSON."""
        done = self(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)
