"""The demo, on a few packages of the library: what it says is what happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_runs_again_just_what_it_must(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}", "COLUMNS": "200"}
    demo = ROOT / "examples" / "census" / "demo.py"

    done = subprocess.run(
        [sys.executable, demo, "--work", tmp_path / "work", "--only", "json,html,lib2to3"],
        env=env,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "write_table" in done.stdout
    reports = tmp_path / "work" / "reports"
    assert {path.name for path in reports.iterdir()} == {
        "imports.dot",
        "report.csv",
        "report.html",
    }
