"""What is built is what works: the wheel, installed on its own, outside of the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = """\
from taskgraph import task

taskgraph_namespace = "shipped"

@task
def double(x: int) -> int:
    return 2 * x

@task
def main(x: int = 21) -> int:
    return double(x)
"""


# Where packages come from, and how to get there, is the machine's business.
_KEPT = re.compile(r"PATH|TMPDIR|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(https?|no)_proxy", re.I)


def run(*command: str | Path, cwd: Path, home: Path) -> str:
    """Run a command that sees nothing of the checkout or of the user, and must succeed."""
    env = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    env |= {"HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel, its dependencies, and nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", place, ROOT,
        cwd=place, home=place,
    )  # fmt: skip
    (wheel,) = place.glob("taskgraph-*.whl")
    venv.create(place / "env", with_pip=True, symlinks=True)
    bin_folder = place / "env" / "bin"
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", wheel, cwd=place, home=place)
    return bin_folder


def test_the_wheel_holds_the_two_packages_and_nothing_else(installed: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.metadata import files;"
        "print(*sorted({path.parts[0] for path in files('taskgraph')}))"
    )

    tops = run(installed / "python", "-c", code, cwd=tmp_path, home=tmp_path).split()

    assert [top for top in tops if top != ".." and not top.endswith(".dist-info")] == [
        "taskgraph",
        "taskgraph_backend",
    ]


def test_the_wheel_has_what_new_databases_are_made_of(installed: Path, tmp_path: Path) -> None:
    code = (
        "from taskgraph_backend.schema import migrations_folder as folder;"
        "print(folder().parent.name, *sorted(each.name for each in folder().glob('*.*')))"
    )

    names = run(installed / "python", "-c", code, cwd=tmp_path, home=tmp_path).split()

    assert names[0] == "taskgraph_backend"
    assert {"env.py", "sqlite.sql"} <= set(names)


def test_an_installed_taskgraph_runs_and_remembers(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "workflow.py").write_text(SCRIPT)
    command = (installed / "taskgraph", "run", "workflow.py", "main", "--x", "4")

    first = run(*command, cwd=tmp_path, home=tmp_path)
    second = run(*command, cwd=tmp_path, home=tmp_path)

    assert (first.split()[-1], second.split()[-1]) == ("8", "8")
    assert (tmp_path / ".taskgraph" / "taskgraph.db").exists()
