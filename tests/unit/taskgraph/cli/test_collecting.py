from __future__ import annotations

import os
from pathlib import Path

from tests.forked import run_python

PROGRAM = """
import gc
from taskgraph.cli.collecting import keep_loaded

gc.unfreeze()
keep_loaded("taskgraph.app")
first = gc.get_freeze_count()
more = [[] for _ in range(10_000)]
keep_loaded("taskgraph.app")

class Circle:
    def __del__(self):
        print("collected")

circle = Circle()
circle.itself = circle
del circle
gc.collect()
print(first > 10_000, gc.get_freeze_count() - first < 1_000)
"""


def test_what_is_loaded_is_kept_once_and_what_comes_later_is_collected(tmp_path: Path) -> None:
    done = run_python(["-c", PROGRAM], tmp_path, dict(os.environ))

    assert done.out.split() == ["collected", "True", "True"]
