"""No code of a stored value runs where the store is trusted with data only; with all, it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import corpus

ROOT = Path(__file__).resolve().parents[2]


def _probe(folder: Path, trust: str, *kinds: str) -> dict[str, dict[str, Any]]:
    """Return what came of each pickle; of one that took the process down, nothing did."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.probe", trust, *kinds],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"{found[-1:]} {done.stderr}"
    return {each["case"]: each for each in found if "end" in each}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What comes of all pickles where only data is trusted."""
    return _probe(tmp_path_factory.mktemp("data"), "data", "RUNNING", "BOUNDED", "WILD")


@pytest.fixture(scope="module")
def open_doors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What comes of those that run code where everything is trusted."""
    return _probe(tmp_path_factory.mktemp("all"), "all", "RUNNING")


@pytest.mark.parametrize("case", corpus.RUNNING)
def test_code_runs_where_everything_is_trusted(
    case: str, open_doors: dict[str, dict[str, Any]]
) -> None:
    assert open_doors[case]["ran"]


@pytest.mark.parametrize("case", corpus.RUNNING)
def test_no_code_runs_where_data_is_trusted(case: str, guarded: dict[str, dict[str, Any]]) -> None:
    found = guarded[case]

    assert not found["ran"]
    assert found["heard"] == []
    assert found["end"] == "RefusedValueError"
    assert "it holds " in found["said"] and "trusted with data only" in found["said"]


@pytest.mark.parametrize("case", corpus.BOUNDED)
def test_a_pickle_without_bounds_is_an_error(case: str, guarded: dict[str, dict[str, Any]]) -> None:
    found = guarded[case]

    wanted = "value" if case == "a memo of gigabytes" else "ValueError"
    assert found["end"].endswith(wanted), found
    assert found["heard"] == []


@pytest.mark.parametrize("case", corpus.WILD)
def test_nothing_is_read_from_elsewhere_in_memory(
    case: str, guarded: dict[str, dict[str, Any]]
) -> None:
    found = guarded[case]

    assert found["end"] == "RefusedValueError", found
    assert found["heard"] == []


def test_a_pattern_opens_the_door_for_classes_only(tmp_path: Path) -> None:
    found = _probe(tmp_path, "*", "RUNNING")

    # What a class that is named does with its state is its own affair: that was said of it.
    ran = {case for case, each in found.items() if each["ran"]}
    assert ran == {"by the __setstate__ of a class"}


def test_a_class_that_is_not_named_stays_outside(tmp_path: Path) -> None:
    found = _probe(tmp_path, "tests.hostile.victims.Sample", "RUNNING")

    assert [case for case, each in found.items() if each["ran"]] == []
