"""The profile by opcodes is the same each time, and names what takes most."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[3] / "benchmarks" / "profile_w1.py"


def opcodes() -> list[float]:
    """Return how many opcodes a fresh task takes, and one that is found."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--how", "opcodes", "--size", "100", "--top", "3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "weigh" in done.stdout
    return [float(each) for each in re.findall(r"(\d+) opcodes,", done.stdout)]


def test_opcodes_are_counted_and_a_cached_call_takes_fewer() -> None:
    fresh, again = opcodes()

    assert 100 < again < fresh
