"""Files count by their content: what reads a changed one runs again."""

from __future__ import annotations

import os
from typing import Any


def test_a_changed_input_runs_what_reads_it(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    flow.write("in1.txt", "three\n")
    flow("run", "flow.py", "main")

    assert flow.ran() == ["clean in1.txt", "join"]
    assert (flow.folder / "results/all.txt").read_text() == "ONE\nTHREE\n"


def test_a_touched_input_runs_nothing(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    os.utime(flow.folder / "in1.txt", (1, 1))
    flow("run", "flow.py", "main")

    assert flow.ran() == []


def test_a_deleted_output_is_made_again(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    (flow.folder / "results/all.txt").unlink()
    flow("run", "flow.py", "main")

    assert flow.ran() == ["join"]
    assert (flow.folder / "results/all.txt").exists()


def test_an_output_that_was_written_over_is_made_again(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    flow.write("results/all.txt", "mine\n")
    flow("run", "flow.py", "main")

    assert flow.ran() == ["join"]
    assert (flow.folder / "results/all.txt").read_text() == "ONE\nTWO\n"
