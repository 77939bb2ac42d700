"""What is measured, by the options: all of it, or a part."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


def loaded(*names: str) -> list[Any]:
    """Return modules of the benchmarks, which are programs: others have modules named alike."""
    path, known = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(FOLDER), str(FOLDER / "workloads")]
    try:
        return [importlib.import_module(each) for each in names]
    finally:
        sys.path[:] = path
        for each in sys.modules.keys() - known:
            if str(getattr(sys.modules[each], "__file__", "")).startswith(str(FOLDER)):
                del sys.modules[each]


run, rounds = loaded("run", "rounds")
WORKLOADS: tuple[str, ...] = rounds.WORKLOADS


def plan(*words: str) -> Any:
    return run.plan_of(run._options(words))


def test_all_shapes_grow_up_to_a_hundred_thousand_tasks() -> None:
    assert plan().flat == dict.fromkeys(rounds.GRAPHS, (1_000, 10_000, 100_000))


def test_a_part_of_the_growth_is_one_shape_to_a_size() -> None:
    found = plan("--workloads", "flat", "--shapes", "tree", "--growth", "10000")

    assert found.workloads == ("flat",)
    assert found.flat == {"tree": (1_000, 10_000)}


def test_a_smoke_test_has_the_shapes_that_were_asked_for() -> None:
    assert plan("--quick", "--shapes", "chain,grid").flat == {"chain": (20,), "grid": (16,)}


@pytest.mark.parametrize("option", ["--shapes", "--workloads", "--only"])
def test_what_is_not_known_is_refused_with_what_there_is(option: str) -> None:
    with pytest.raises(SystemExit, match="unknown: star; there are"):
        plan(option, "star")


class Noting(rounds.Bench):  # type: ignore[misc,name-defined]  # it is loaded by its path
    """Notes which scripts would be run, and runs none."""

    def _collect(self, number: int, command: object) -> list[dict[str, object]]:
        self.measurements.append({"command": command, "round": number})
        return []


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_is_a_part_by_itself(workload: str, tmp_path: Path) -> None:
    asked = plan("--workloads", workload, "--only", "ours", "--rounds", "1")
    bench = Noting(asked, Path(sys.executable), tmp_path)

    bench.run(lambda: None)

    is_left_out = workload == "far" and not asked.with_postgres
    assert is_left_out or bench.measurements


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_is_described(workload: str) -> None:
    assert f"`{workload}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_whole_process_does_its_work_once(tmp_path: Path) -> None:
    asked = plan("--workloads", "whole", "--only", "ours", "--rounds", "1")
    bench = Noting(asked, Path(sys.executable), tmp_path)

    bench.run(lambda: None)

    assert len(bench.measurements) == 2
    assert all("--once" in each["command"] for each in bench.measurements)
