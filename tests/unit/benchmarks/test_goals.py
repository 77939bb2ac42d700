"""Goals are judged by figures alone."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.goals import GOALS, Goal, Judged, judged, table_of


def _report(**seconds: float) -> dict[str, Any]:
    return {
        "medians": {
            key.replace("__", "/").replace("_", " "): {"seconds": each, "count": 1, "cpu": each}
            for key, each in seconds.items()
        }
    }


def _verdict(report: dict[str, Any], area: str, text: str) -> str:
    (found,) = (each for each in judged(report) if (each.goal.area, each.goal.text) == (area, text))
    return found.verdict


def test_without_figures_nothing_is_said() -> None:
    assert {each.verdict for each in judged({"medians": {}})} == {"not measured"}


def test_a_ratio_that_must_be_large() -> None:
    met = _report(fanout__fresh__0__taskgraph=1.0, fanout__fresh__0__redun=200.0)
    missed = _report(fanout__fresh__0__taskgraph=1.0, fanout__fresh__0__redun=100.0)

    assert _verdict(met, "W1", "fresh, beside redun") == "met"
    assert _verdict(missed, "W1", "fresh, beside redun") == "missed by 2.00 x"


def test_a_ratio_that_must_be_small() -> None:
    met = _report(fanout__fresh__0__taskgraph=2.0, fanout__fresh__0__floor=1.0)
    missed = _report(fanout__fresh__0__taskgraph=3.0, fanout__fresh__0__floor=1.0)

    assert _verdict(met, "W1", "fresh, beside the floor") == "met"
    assert _verdict(missed, "W1", "fresh, beside the floor") == "missed by 1.50 x"


def test_figures_are_for_each_task() -> None:
    report = _report(fanout__fresh__0__taskgraph=1.0, fanout__fresh__0__redun=100.0)
    report["medians"]["fanout/fresh/0/taskgraph"]["count"] = 2

    assert _verdict(report, "W1", "fresh, beside redun") == "met"


def test_growth_is_of_the_largest_by_the_smallest() -> None:
    medians = {
        f"flat chain/fresh/{count}/taskgraph": {"seconds": 9.0, "cpu": cpu, "count": count}
        for count, cpu in ((1_000, 1.0), (10_000, 99.0), (100_000, 200.0))
    }
    text = "chain: CPU a task of the largest by that of the smallest, fresh"

    assert _verdict({"medians": medians}, "W7", text) == "missed by 1.54 x"


def test_python_itself_is_no_part_of_the_import() -> None:
    report = _report(start__import__0__taskgraph=0.070, start__python__0__taskgraph=0.020)

    assert _verdict(report, "start", "import taskgraph") == "met"


@pytest.mark.parametrize(
    ("figure", "verdict"), [(1.0, "met"), (0.9, "met"), (None, "not measured")]
)
def test_the_limit_itself_is_met(figure: float | None, verdict: str) -> None:
    assert Judged(Goal("W", "x", 1.0, False, lambda _: figure), figure).verdict == verdict


def test_the_table_counts_what_is_met() -> None:
    table = table_of(judged(_report(fanout__fresh__0__taskgraph=1, fanout__fresh__0__redun=500)))

    assert table.title == "Goals: 1 of 1 measured are met"
    assert len(table.rows) == len(GOALS)
