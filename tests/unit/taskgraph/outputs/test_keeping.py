"""Old output is deleted, and nothing else is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from taskgraph.outputs.keeping import sweep_if_due

OLD, NEW, OTHER = "0" * 32, "1" * 32, "2" * 32
DAY = 24 * 3600


def execution(root: Path, name: str, days: float, file: str = "a.log") -> Path:
    folder = root / name
    folder.mkdir()
    path = folder / file
    path.write_text("x")
    os.utime(path, (time.time() - days * DAY,) * 2)
    return folder


def sweep(root: Path) -> bool:
    thread = sweep_if_due(str(root), 30)
    if thread is not None:
        thread.join()
    return thread is not None


def test_what_is_old_is_deleted(tmp_path: Path) -> None:
    old, new = execution(tmp_path, OLD, 31), execution(tmp_path, NEW, 29)

    assert sweep(tmp_path)

    assert not old.exists()
    assert new.exists()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    folder = execution(tmp_path, "mine", 99)
    inside = execution(tmp_path, OTHER, 99, "notes.txt")
    (tmp_path / OLD).symlink_to(folder)

    sweep(tmp_path)

    assert (folder / "a.log").exists()
    assert (inside / "notes.txt").exists()


def test_it_is_looked_once_a_day(tmp_path: Path) -> None:
    assert sweep(tmp_path)
    old = execution(tmp_path, OLD, 31)

    assert not sweep(tmp_path)

    assert old.exists()
    os.utime(tmp_path / ".swept", (time.time() - 2 * DAY,) * 2)
    assert sweep(tmp_path)
    assert not old.exists()


def test_where_nothing_was_printed_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert not sweep(tmp_path / "none")
