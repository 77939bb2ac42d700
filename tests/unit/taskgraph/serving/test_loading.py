"""What a slot loads, it loads once; files that were edited since are found."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from taskgraph.cli.scripts import load_script
from taskgraph.config import Settings
from taskgraph.errors import ScriptNotFoundError
from taskgraph.serving.loading import Loader


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a script that imports a module beside it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "loaded_here.py").write_text("import loaded_beside\ncount = 1\n")
    (tmp_path / "loaded_beside.py").write_text("x = 1\n")
    return tmp_path


def test_a_script_is_loaded_once_however_it_is_named(folder: Path) -> None:
    given: list[str] = []
    loader = Loader(Settings(folder / ".taskgraph"), given.append)
    for script in ("loaded_here.py", str(folder / "loaded_here.py"), "a.module", "a.module"):
        loader(script)
    assert given == [str(folder / "loaded_here.py"), "a.module"]


def test_a_file_that_was_edited_since_is_found(folder: Path) -> None:
    loader = Loader(Settings(folder / ".taskgraph"), load_script)
    loader("loaded_here.py")
    assert loader.find_edited() is None

    beside = folder / "loaded_beside.py"
    beside.write_text("x = 10\n")
    assert loader.find_edited() == str(beside)


def test_a_file_that_was_touched_counts_as_edited_and_one_that_is_gone_does_not(
    folder: Path,
) -> None:
    loader = Loader(Settings(folder / ".taskgraph"), load_script)
    loader("loaded_here.py")
    (folder / "loaded_beside.py").unlink()
    assert loader.find_edited() is None
    os.utime(folder / "loaded_here.py", (1, 1))
    assert loader.find_edited() == str(folder / "loaded_here.py")


def test_what_is_not_there_says_so(folder: Path) -> None:
    loader = Loader(Settings(folder / ".taskgraph"), load_script)
    with pytest.raises(ScriptNotFoundError):
        loader("nowhere.py")


def test_what_is_imported_later_counts_and_so_does_what_takes_the_place_of_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = Loader(Settings(folder / ".taskgraph"), load_script)
    loader("loaded_here.py")
    assert loader.find_edited() is None

    later = folder / "loaded_later.py"
    later.write_text("x = 1\n")
    importlib.import_module("loaded_later")
    assert loader.find_edited() is None
    later.write_text("x = 10\n")
    assert loader.find_edited() == str(later)
    later.unlink()

    other = folder / "below" / "loaded_later.py"
    other.parent.mkdir()
    other.write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(other.parent))
    del sys.modules["loaded_later"]
    importlib.import_module("loaded_later")
    assert loader.find_edited() is None
    other.write_text("x = 10\n")
    assert loader.find_edited() == str(other)


def test_what_was_imported_before_counts_once_a_script_of_its_folder_is_loaded(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.syspath_prepend(str(elsewhere))
    early = elsewhere / "loaded_early.py"
    early.write_text("x = 1\n")
    (elsewhere / "loaded_there.py").write_text("y = 1\n")
    loader = Loader(Settings(folder / ".taskgraph"), load_script)
    importlib.import_module("loaded_early")
    loader("loaded_here.py")
    loader(str(elsewhere / "loaded_there.py"))

    early.write_text("x = 10\n")
    assert loader.find_edited() == str(early)
