"""The benchmarks run: tiny ones, of ours only, and no figure is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import page

CHECKOUT = Path(__file__).parents[2]


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / "run.py"), "--quick", *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize(
    ("workloads", "measured"),
    [
        ("start,tree_shallow,row,files", {"start", "tree_shallow", "row", "files"}),
        ("hashing,lookup,fingerprint", {"hashing", "lookup", "fingerprint"}),
        ("provenance,census", {"provenance", "flow", "census"}),
        ("durable", {"fanout normal", "fanout full", "chain normal", "chain full"}),
    ],
)
def test_a_quick_run_measures_every_workload(
    tmp_path: Path, workloads: str, measured: set[str]
) -> None:
    done = _run("--workloads", workloads, "--results", str(tmp_path / "results"), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results" / "latest.json").read_text())
    assert {key.split("/")[0] for key in report["medians"]} == measured


def test_the_page_is_made_of_the_figures_of_a_run(tmp_path: Path) -> None:
    workloads = "fanout,chain,tree,grid,whole,flat"
    done = _run("--workloads", workloads, "--results", str(tmp_path / "results"), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results" / "latest.json").read_text())
    assert report["commit"]
    assert report["machine"]
    assert report["versions"]["python"]
    measured = {key.split("/")[0] for key in report["medians"]}
    grown = {"flat fanout", "flat chain", "flat tree", "flat grid"}
    assert measured == {"fanout", "chain", "tree", "grid", "whole"} | grown
    docs = tmp_path / "docs"
    docs.mkdir()
    marks = "<!-- results: begin -->\nold\n<!-- results: end -->"
    (docs / "benchmarks.md").write_text(f"before\n{marks}\nafter\n")
    page.write(report, docs)
    text = (docs / "benchmarks.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text.split("before")[1].split("Measured")[0]
    assert "| W1 | fresh, beside redun | >= 200 x | - | not measured |" in text
    assert "W1 fan-out, fresh" in text
    for picture in (docs / "benchmarks").glob("*.svg"):
        ElementTree.parse(picture)
        assert f"benchmarks/{picture.name})" in text


def test_figures_are_added_to_those_that_are_kept(tmp_path: Path) -> None:
    for more in ([], ["--add"]):
        workloads = "chain" if more else "fanout"
        done = _run(*more, "--workloads", workloads, "--results", str(tmp_path), cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    report = json.loads((tmp_path / "latest.json").read_text())
    measured = {key.split("/")[0] for key in report["medians"]}
    assert measured == {"fanout", "chain"}


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
