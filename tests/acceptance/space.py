"""A folder of its own with a workflow in it, and the command line as a user runs it.

Each command is a process of its own. Most are forked by a Python that has imported already
(`tests.forked`), which takes a tenth of the time; with ``TASKGRAPH_TORTURE=1`` each is a fresh one.
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

from tests.forked import Done, run_fresh, run_python

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ["-m", "taskgraph.cli.main"]


class Space:
    """A project in a folder of its own.

    Args:
        folder: It.
    """

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
        started = [*_COMMAND, *words]
        return run_python(started, self.folder, self._environment(environment), typed)

    def fresh(self, *words: str | Path) -> Done:
        """Do as a call, in a Python that starts from nothing."""
        return run_fresh([*_COMMAND, *map(str, words)], "", self.folder, self._environment({}))

    def python(self, program: str, *words: str | Path, **environment: str) -> Done:
        """Run a program of Python with these words."""
        return run_python(["-c", program, *words], self.folder, self._environment(environment))

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("TASKGRAPH_")
        }
        return {
            **inherited,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
            **more,
        }

    def json(self, *words: str | Path) -> Any:
        """Run a reading command and return what it wrote as JSON."""
        done = self(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)
