"""What a call costs in instructions: more than its budget is refused, whatever else runs.

The budget is in `benchmarks/results/budget.json`, `make budget` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import instructions
from benchmarks.instructions import (
    SLACK,
    CountingError,
    Verdict,
    budgets,
    build,
    count_and_judge,
    judge,
    write,
)

IN_CI = os.environ.get("CI", "").lower() == "true"


@pytest.mark.slow
def test_calls_and_imports_keep_within_their_budget() -> None:
    if build() not in budgets():
        pytest.skip(f"there is no budget for {build()}: `make budget` adds one")
    try:
        verdicts = count_and_judge()
    except CountingError as error:
        if IN_CI:
            raise
        pytest.skip(str(error))

    print(*verdicts, sep="\n")
    assert not [str(each) for each in verdicts if each.is_over]


def test_a_budget_has_three_percent_of_slack() -> None:
    assert SLACK == 0.03
    assert not Verdict("a call", 1_030, 1_000).is_over
    assert Verdict("a call", 1_031, 1_000).is_over
    assert "OVER" in str(Verdict("a call", 1_031, 1_000))
    assert "make budget" in str(Verdict("a call", 960, 1_000))


def test_an_import_may_change_with_the_versions_of_others() -> None:
    assert not Verdict("an import", 1_240, 1_000).is_over
    assert Verdict("an import", 1_260, 1_000).is_over


def test_another_build_of_python_is_told_to_write_a_budget(tmp_path: Path) -> None:
    with pytest.raises(CountingError, match="make budget"):
        judge({"a fresh call": 1}, tmp_path / "budget.json")


def test_what_is_over_is_counted_again_and_the_least_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "budget.json"
    write({"a call": 1_000, "another": 1_000}, path)
    counts = [{"a call": 2_000, "another": 1_010}, {"a call": 1_020, "another": 5_000}]
    monkeypatch.setattr(instructions, "count", lambda: counts.pop(0))

    found = count_and_judge(path=path)

    assert [(each.counted, each.is_over) for each in found] == [(1_020, False), (1_010, False)]
    counts += [{"a call": n, "another": 1} for n in (1_050, 1_040, 1_060)]
    assert [each.counted for each in count_and_judge(path=path) if each.is_over] == [1_040]
    assert not counts


def test_budgets_of_other_builds_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    path.write_text('{"another": {"a fresh call": 1}}')

    write({"a fresh call": 2}, path)

    assert budgets(path) == {"another": {"a fresh call": 1}, build(): {"a fresh call": 2}}


def test_who_has_no_valgrind_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(CountingError, match="install it"):
        instructions.count()
