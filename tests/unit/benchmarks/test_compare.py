"""Two results are compared: what is news, and what is noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare import Change, compare, differences, main

_times = st.floats(min_value=1e-6, max_value=1e3, allow_nan=False)


def _report(**rounds: list[float]) -> dict[str, Any]:
    names = {key.replace("__", "/"): each for key, each in rounds.items()}
    return {"when": "today", "machine": "one", "rounds_seconds": names}


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ([10, 11, 12], [7, 8, 9], "faster"),
        ([7, 8, 9], [10, 11, 12], "slower"),
        ([7, 8, 9], [8.5, 9.5, 12], "noise"),
        ([10, 10, 10], [10.1, 10.2, 10.3], "same"),
        ([10], [20], "once"),
    ],
)
def test_news_is_what_ranges_do_not_explain(old: list[float], new: list[float], word: str) -> None:
    assert Change("fanout/fresh", old, new).word == word


@given(st.lists(_times, min_size=2, max_size=7), st.lists(_times, min_size=2, max_size=7))
def test_who_is_faster_one_way_is_slower_the_other(old: list[float], new: list[float]) -> None:
    there, back = Change("x", old, new).word, Change("x", new, old).word

    other = {"faster": "slower", "slower": "faster"}
    assert other.get(there, there) == back or {there, back} <= {"same", "noise", *other}
    assert (there == "faster") <= (max(new) < min(old))


@given(st.lists(_times, min_size=1, max_size=7))
def test_a_result_is_the_same_as_itself(samples: list[float]) -> None:
    assert Change("x", samples, samples).word == "same"


def test_another_contestant_takes_the_machine_out_of_it() -> None:
    old = _report(a__fresh__0__taskgraph=[2.0, 2.1], a__fresh__0__floor=[1.0, 1.0])
    new = _report(a__fresh__0__taskgraph=[4.0, 4.2], a__fresh__0__floor=[2.0, 2.0])

    assert [each.word for each in compare(old, new)] == ["slower"]
    assert [each.word for each in compare(old, new, by="floor")] == ["same"]


def test_only_what_was_measured_in_both_is_compared() -> None:
    old = _report(a__fresh__0__taskgraph=[1.0], b__fresh__0__taskgraph=[1.0])
    new = _report(b__fresh__0__taskgraph=[1.0], c__fresh__0__taskgraph=[1.0])

    assert [each.name for each in compare(old, new)] == ["b/fresh"]


def test_another_machine_is_told() -> None:
    assert differences({"machine": "one"}, {"machine": "two"}) == ["machine: one -> two"]


def test_slower_figures_are_an_error_if_one_asks_for_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(tmp_path / name) for name in ("old.json", "new.json")]
    for path, samples in zip(paths, ([1.0, 1.1], [2.0, 2.1]), strict=True):
        Path(path).write_text(json.dumps(_report(a__fresh__0__taskgraph=samples)))

    assert main(paths) == 0
    assert main([*paths, "--strict"]) == 1
    assert "slower       1.95" in capsys.readouterr().out


def test_a_file_that_is_no_result_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[")

    assert main([str(wrong), str(wrong)]) == 2
    assert "no result" in capsys.readouterr().err
