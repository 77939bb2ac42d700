"""The same project in another folder, for another user, has the same keys: all of it is a hit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def project(space: Any, tmp_path: Path) -> Any:
    space.folder.joinpath("one").mkdir()
    home = type(space)(tmp_path / "one")
    home.write("data.txt", "hello\n")
    home.write(
        "helpers.py",
        """
        import os
        from pathlib import Path

        HERE = Path(__file__).parent
        NAME = os.path.join(os.path.dirname(__file__), "data.txt")
        PATHS = {"raw": NAME, "all": [HERE / "data.txt"]}


        def read():
            return PATHS["all"][0].read_text() + PATHS["raw"][-3:]
        """,
    )
    home.write(
        "flow.py",
        """
        from pathlib import Path

        from helpers import read
        from taskgraph import File, task


        @task
        def load(where: Path):
            return where.read_text()


        @task
        def copy(source: File) -> File:
            copied = File("copied.txt")
            copied.write(source.read())
            return copied


        @task
        def where() -> Path:
            return Path(__file__).parent / "data.txt"


        @task
        def main():
            data = Path(__file__).parent / "data.txt"
            return [read(), load(data), copy(File("data.txt")), where()]
        """,
    )
    return home


def test_all_of_it_is_a_hit(project: Any, tmp_path: Path) -> None:
    first = project("run", "flow.py", "main")
    there = tmp_path / "for" / "somebody else" / "copied"
    shutil.copytree(project.folder, there)

    second = type(project)(there)("run", "flow.py", "main", HOME=str(tmp_path), USER="other")

    assert first.summary.startswith("4 jobs: 4 done, 0 cached")
    assert second.summary.startswith("4 jobs: 0 done, 4 cached")
    assert str(there / "data.txt") in second.out
    assert second.out == first.out.replace(str(project.folder), str(there))


def test_a_script_that_is_run_as_main_has_the_keys_of_one_that_is_loaded(project: Any) -> None:
    path = project.folder / "flow.py"
    project("run", "flow.py", "main")
    path.write_text(
        path.read_text() + '\n\nif __name__ == "__main__":\n    import taskgraph\n\n'
        '    taskgraph.run(main(), config_dir=".taskgraph")\n'
    )

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "flow.py"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'backend'}"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert project.json("log")[0]["counts"] == {"CACHED": 4}
