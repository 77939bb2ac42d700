"""Prints the code hash of each project of the corpus, before and after its edit, as JSON.

    python -m tests.fingerprint_corpus.fingerprints FOLDER

The projects are written into the folder, which is made. Run with several interpreters, and in
several folders: what is printed is the same.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from taskgraph.assembly.surroundings import places_of
from taskgraph.cli.scripts import find_task, load_script
from taskgraph.config import load_settings
from taskgraph.values.places import use_places
from tests.fingerprint_corpus.cases import (
    Case,
    edit_project,
    edited_cells,
    read_cases,
    write_project,
)
from tests.fingerprint_corpus.loading import Kernel
from tests.fingerprint_corpus.running import fresh_project


def fingerprints(folder: Path) -> dict[str, str]:
    """Return the code hash of each case's main, before and after the edit."""
    return {name: found for case in read_cases() for name, found in _of_case(case, folder)}


def _of_case(case: Case, folder: Path) -> Iterator[tuple[str, str]]:
    place = folder / case.name / "project"
    write_project(case, place)
    if case.cells:
        cells = {name: case.before[name] for name in case.cells}
        yield case.name, _of_cells(cells, place)
        yield f"{case.name} (edited)", _of_cells(cells | edited_cells(case), place)
    else:
        yield case.name, _of_script(place)
        yield f"{case.name} (edited)", _of_script(edit_project(case, place))


@contextlib.contextmanager
def _project(place: Path) -> Iterator[None]:
    before = use_places(places_of(load_settings(place / ".taskgraph")))
    try:
        with fresh_project(place):
            yield
    finally:
        use_places(before)


def _of_script(place: Path) -> str:
    with _project(place):
        task = find_task(load_script(str(place / "flow.py")), "main")
        return task.fingerprint.code_hash


def _of_cells(cells: dict[str, str], place: Path) -> str:
    with _project(place):
        kernel = Kernel()
        kernel.run(cells)
        code_hash: str = kernel.module.__dict__["main"].fingerprint.code_hash
        return code_hash


if __name__ == "__main__":
    json.dump(fingerprints(Path(sys.argv[1]).resolve()), sys.stdout, indent=1)
