"""Edited code runs again, and only what it concerns."""

from __future__ import annotations

from typing import Any


def edit(flow: Any, old: str, new: str) -> None:
    path = flow.folder / "flow.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_edited_task_runs_again(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    edit(flow, '"".join(part', '"-".join(part')
    flow("run", "flow.py", "main")

    assert flow.ran() == ["join"]
    assert (flow.folder / "results/all.txt").read_text() == "ONE\n-TWO\n"


def test_an_edit_outside_of_tasks_runs_nothing_again(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    edit(flow, "Cleans files and joins them.", "Cleans files, then joins them.")
    flow("run", "flow.py", "main")

    assert flow.ran() == []


def test_an_edit_taken_back_runs_nothing_again(flow: Any) -> None:
    flow("run", "flow.py", "halves", "2", "4")
    edit(flow, "return x / 2", "return x / 2.5")
    flow("run", "flow.py", "halves", "2", "4")

    edit(flow, "return x / 2.5", "return x / 2")
    done = flow("run", "flow.py", "halves", "2", "4")

    assert done.out == "[1.0, 2.0]\n"
    assert done.summary.startswith("3 jobs: 0 done, 3 cached")
