"""Nothing is loaded before it is needed: by `import taskgraph`, and by a run that is all cached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "alembic",
    "asyncio",
    "click",
    "cloudpickle",
    "concurrent.futures.process",
    "fsspec",
    "multiprocessing",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "s3fs",
    "sqlalchemy",
    "sqlite3",
    "taskgraph_backend",
)
# Each takes a millisecond or more, and a cached run of a small workflow a hundred in all.
NO_PART_OF_A_CACHED_RUN = (
    "alembic",
    "asyncio",
    "cloudpickle",
    "concurrent.futures.process",
    "difflib",
    "email",
    "fsspec",
    "glob",
    "hashlib",
    "importlib.metadata",
    "multiprocessing",
    "numpy",
    "pandas",
    "platformdirs",
    "polars",
    "psycopg",
    "pyarrow",
    "rich",
    "secrets",
    "shutil",
    "socket",
    "sqlalchemy",
    "ssl",
    "subprocess",
    "taskgraph.engine.planner",
    "taskgraph.engine.releasing",
    "taskgraph.executors.border",
    "taskgraph.executors.processes",
    "taskgraph.filters",
    "taskgraph.plans",
    "taskgraph_backend.dialects.postgres.database",
    "taskgraph_backend.models",
    "tempfile",
)
STARTED = "started: "
FLOW = """
from taskgraph import task

@task
def double(x: int) -> int:
    return 2 * x

@task
def main(n: int = 3) -> list[int]:
    return [double(i) for i in range(n)]
"""
CACHED_RUN = f"""
import sys

programs = []
sys.addaudithook(
    lambda event, given: programs.append(event)
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
    else None
)

from taskgraph.cli.main import main

sys.argv = ["taskgraph", "run", "flow.py", "main"]
code = main()
print(*sys.modules, sep="\\n")
print("{STARTED}", *programs)
sys.exit(code)
"""


def loaded_by(code: str, folder: Path) -> list[str]:
    """Return the lines that a new Python prints."""
    env = {key: each for key, each in os.environ.items() if not key.startswith("GIT_")}
    env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}", "HOME": str(folder)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules that a new process has after `import taskgraph` and a look at what it exports."""
    code = (
        "import sys, taskgraph\n"
        "from taskgraph import task\n"
        "@task\n"
        "def double(x): return 2 * x\n"
        "double(21)\n"
        "print(*sys.modules, sep='\\n')"
    )
    return frozenset(loaded_by(code, tmp_path_factory.mktemp("import")))


@pytest.fixture(scope="module")
def cached_run(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run prints whose calls are all cached, with its modules and the programs it began."""
    folder = tmp_path_factory.mktemp("cached")
    (folder / "flow.py").write_text(FLOW)
    loaded_by(CACHED_RUN, folder)

    return loaded_by(CACHED_RUN, folder)


@pytest.mark.parametrize("module", HEAVY)
def test_importing_taskgraph_does_not_load(module: str, loaded: frozenset[str]) -> None:
    assert module not in loaded


@pytest.mark.parametrize("module", NO_PART_OF_A_CACHED_RUN)
def test_a_cached_run_does_not_load(module: str, cached_run: list[str]) -> None:
    assert cached_run[0] == "[0, 2, 4]"
    assert module not in cached_run


def test_a_cached_run_outside_of_a_repository_starts_no_program(cached_run: list[str]) -> None:
    assert cached_run[-1].strip() == STARTED.strip()
