"""What workers share with their sender of how far they have come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from taskgraph.executors.begun import Begun

_WORKER = """
import sys
from taskgraph.executors.begun import mark, share

share(sys.argv[1])
mark(int(sys.argv[2]), 3)
print("goes on")
"""


def _worker(path: str, place: int) -> str:
    words = [sys.executable, "-c", _WORKER, path, str(place)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_what_a_worker_has_begun_is_seen_by_its_sender() -> None:
    begun = Begun()
    place = begun.take()

    _worker(begun.path, place)

    assert begun.look(place) == 3
    begun.close()


def test_a_worker_that_starts_when_its_sender_has_ended_is_not_stopped_by_that() -> None:
    begun = Begun()
    begun.close()
    assert not Path(begun.path).exists()

    said = _worker(begun.path, 0)

    assert said == "goes on\n"
