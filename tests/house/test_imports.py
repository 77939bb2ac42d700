"""`import taskgraph` is quick: it loads neither the archive nor anything optional."""

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


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    """The modules that a new process has after `import taskgraph` and a look at what it exports."""
    code = (
        "import sys, taskgraph\n"
        "from taskgraph import task\n"
        "@task\n"
        "def double(x): return 2 * x\n"
        "double(21)\n"
        "print(*sys.modules, sep='\\n')"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("module", HEAVY)
def test_importing_taskgraph_does_not_load(module: str, loaded: frozenset[str]) -> None:
    assert module not in loaded
