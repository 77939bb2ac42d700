"""Four nights of a small archive: what the demo says is what happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_four_nights_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}", "COLUMNS": "200"}
    demo = ROOT / "examples" / "nightly" / "demo.py"

    done = subprocess.run(
        [sys.executable, demo, "--work", tmp_path / "work"],
        env=env,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All of it is as it was said to be.\n")
    assert done.stdout.count("checked: ") == 21
    table = tmp_path / "work" / "means" / "alps.csv"
    assert table.read_text() == "alps rain,7.88\nalps wind,18.88\n"
