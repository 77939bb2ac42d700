"""The benchmarks run: tiny ones, of ours only, and no figure is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / "run.py"), "--quick", *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_quick_run_measures_every_workload(tmp_path: Path) -> None:
    done = _run("--results", str(tmp_path / "results"), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results" / "latest.json").read_text())
    measured = {key.split("/")[0] for key in report["medians"]}
    graphs = {"fanout", "chain", "tree", "tree_shallow", "tree_shallow_large", "flat"}
    assert measured == graphs | {"hashing", "lookup", "fingerprint", "provenance", "flow"}


def test_the_tables_are_written_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n")

    done = _run(
        "--workloads", "fanout", "--results", str(tmp_path), "--readme", str(page), cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "W1 fan-out, fresh" in text
    assert "old" not in text


def test_the_comparison_of_fingerprints_counts_what_went_wrong(tmp_path: Path) -> None:
    results = tmp_path / "fingerprints.json"
    script = CHECKOUT / "benchmarks" / "compare_fingerprints.py"

    done = subprocess.run(
        [
            sys.executable,
            script,
            "--only",
            "taskgraph",
            "--cases",
            "task_body",
            "--results",
            results,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    verdicts = json.loads(results.read_text())["tools"]["taskgraph"]
    assert {each["case"]: each["word"] for each in verdicts} == {
        "semantic/child_task_body": "right",
        "semantic/task_body": "right",
    }
    assert "| 0 of 2 |" in done.stdout


def test_the_rooms_of_a_profile_add_up_to_the_whole(tmp_path: Path) -> None:
    script = CHECKOUT / "benchmarks" / "profile_w1.py"

    done = subprocess.run(
        [sys.executable, script, "--size", "300", "--rounds", "2"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:4] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    *rooms, whole = [
        (float(fresh.strip(" *")), float(again.strip(" *"))) for _, fresh, again in rows
    ]
    assert len(rooms) >= 5
    for column in (0, 1):
        shown = sum(each[column] for each in rooms)
        assert whole[column] > 0
        assert abs(shown - whole[column]) <= 0.06 * len(rooms)  # each is rounded
