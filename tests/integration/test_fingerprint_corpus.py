"""Edits of small projects: each runs again what it concerns, and nothing else.

The cases are files in tests/fingerprint_corpus; their format is described there.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from taskgraph.cli.scripts import find_task, load_script
from taskgraph_backend import SqlBackend
from tests.fingerprint_corpus.cases import Case, edit_project, read_cases, write_project
from tests.fingerprint_corpus.running import (
    Ran,
    fresh_project,
    run_new_kernel,
    run_notebook,
    run_script,
)
from tests.forked import run_python

ROOT = Path(__file__).resolve().parents[2]
FOLLOWED = read_cases("semantic", "cosmetic")
UNFOLLOWED = read_cases("unfollowed")
LOADED = [case for case in FOLLOWED if case.how == "module"]
NOTEBOOKS = [case for case in FOLLOWED if case.how == "notebook"]
SCRIPTS = [case for case in FOLLOWED if case.how == "script"]
# New processes take a while: every tenth case stands for the others.
IN_PROCESSES = LOADED[::10]


class Outcome(NamedTuple):
    """The three runs of a case, and what they recorded.

    Attributes:
        first: Before the edit.
        second: After it, with what the first one left in the database.
        fresh: After it, with nothing remembered: what is true.
        listed: What the database says that could not be followed.
    """

    first: Ran
    second: Ran
    fresh: Ran
    listed: list[str]


def named(case: Case) -> str:
    return case.name


@pytest.fixture(scope="module")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Makes an empty database at a path, as a copy of one that was made once."""
    template = tmp_path_factory.mktemp("template") / "taskgraph.db"
    backend = SqlBackend(f"sqlite:///{template}")
    backend.load()
    backend.close()

    def make(path: Path) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(scope="module", params=LOADED + NOTEBOOKS, ids=named)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def outcome(
    case: Case,
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[Path], str],
) -> Outcome:
    """A case that was run before its edit and after it, in this process."""
    place = tmp_path_factory.mktemp("corpus")
    folder = place / "project"
    database = new_database(place / "taskgraph.db")
    if case.how == "notebook":
        first, second = run_notebook(case, folder, database)
        fresh = run_new_kernel(case, folder, None)
    else:
        write_project(case, folder)
        first = run_script(folder, database)
        folder = edit_project(case, folder)
        second, fresh = run_script(folder, database), run_script(folder, None)
    return Outcome(first, second, fresh, unfollowed_in(place / "taskgraph.db"))


def unfollowed_in(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        rows = connection.execute("select name, source from part where kind = 'unfollowed'")
        return [f"{name}: {why}" for name, why in rows]
    finally:
        connection.close()


def test_the_edit_changes_the_result_if_its_case_says_so(case: Case, outcome: Outcome) -> None:
    assert (outcome.first.result != outcome.fresh.result) == (case.kind == "semantic")


def test_no_result_is_stale(case: Case, outcome: Outcome) -> None:
    assert outcome.second.result == outcome.fresh.result, case.says


def test_the_tasks_that_run_again_are_those_that_the_edit_concerns(
    case: Case, outcome: Outcome
) -> None:
    assert outcome.second.tasks == case.runs, case.says


def test_nothing_is_listed_that_was_followed(case: Case, outcome: Outcome) -> None:
    assert (outcome.listed != []) == (case.construct == "what cannot be followed"), outcome.listed


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_a_new_kernel_uses_what_the_old_one_left(
    notebook: Case, tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    database = new_database(tmp_path / "taskgraph.db")
    _, second = run_notebook(notebook, tmp_path / "project", database)

    again = run_new_kernel(notebook, tmp_path / "project", database)

    assert again == Ran(second.result, ())


# New processes


class Process:
    """Runs a project as a user does, and tells what it printed and which tasks ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str) -> Ran:
        kept = {name: text for name, text in os.environ.items() if "TASKGRAPH" not in name}
        environment = {
            **kept,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
        }
        done = run_python(words, self.folder, environment)
        assert done.code == 0, done.err
        return Ran(done.out.removesuffix("\n"), self._tasks())

    def _tasks(self) -> tuple[str, ...]:
        connection = sqlite3.connect(self.folder / ".taskgraph" / "taskgraph.db")
        try:
            rows = connection.execute(
                "select distinct task.name from job join task on task.hash = job.task_hash"
                " where not job.cached and job.execution_id ="
                " (select execution_id from job order by start_time desc limit 1) order by 1"
            )
            return tuple(name for (name,) in rows)
        finally:
            connection.close()


def printed(result: str) -> str:
    """Return what is printed of a result: text is shown as it is."""
    try:
        value = ast.literal_eval(result)
    except ValueError:  # a call, as most objects show themselves
        return result
    return value if isinstance(value, str) else result


@pytest.mark.parametrize("case", IN_PROCESSES, ids=named)
def test_a_new_process_runs_the_same(
    case: Case, tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    folder = tmp_path / "project"
    write_project(case, folder)
    new_database(folder / ".taskgraph" / "taskgraph.db")
    command = ("-m", "taskgraph.cli.main", "run", "-q", "flow.py", "main")
    Process(folder)(*command)

    folder = edit_project(case, folder)
    second = Process(folder)(*command)

    assert second == Ran(printed(run_script(folder, None).result), case.runs), case.says


@pytest.mark.parametrize("case", SCRIPTS, ids=named)
def test_a_script_that_is_run_by_its_name_runs_the_same(
    case: Case, tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    folder = tmp_path / "project"
    write_project(case, folder)
    new_database(folder / ".taskgraph" / "taskgraph.db")
    first = Process(folder)("flow.py")

    edit_project(case, folder)
    second = Process(folder)("flow.py")

    assert (first.result != second.result) == (case.kind == "semantic")
    assert second == Ran(printed(run_script(folder, None).result), case.runs), case.says


# What cannot be followed


@pytest.mark.parametrize("case", UNFOLLOWED, ids=named)
def test_what_cannot_be_followed_is_listed(case: Case, tmp_path: Path) -> None:
    where, word = case.lists
    write_project(case, tmp_path)

    with fresh_project(tmp_path):
        main = find_task(load_script(str(tmp_path / "flow.py")), "main")
        listed = [part for part in main.fingerprint.parts if part.kind == "unfollowed"]

    said = [f"{part.name}: {part.source}" for part in listed]
    assert any(where in each and word in each for each in said), said


@pytest.mark.parametrize("case", UNFOLLOWED, ids=named)
def test_the_edit_of_what_cannot_be_followed_is_a_real_one(case: Case, tmp_path: Path) -> None:
    write_project(case, tmp_path)
    before = run_script(tmp_path, None)

    edit_project(case, tmp_path)

    assert run_script(tmp_path, None).result != before.result


@pytest.mark.parametrize("case", UNFOLLOWED, ids=named)
def test_a_strict_task_refuses_what_cannot_be_followed(case: Case, tmp_path: Path) -> None:
    from taskgraph.errors import UnfollowedCodeError

    write_project(case, tmp_path)
    path = tmp_path / "flow.py"
    path.write_text(path.read_text().replace("@task\ndef main", "@task(strict=True)\ndef main"))

    with pytest.raises(UnfollowedCodeError, match=case.lists[0]):
        run_script(tmp_path, None)


@pytest.mark.parametrize("case", UNFOLLOWED, ids=named)
def test_a_strict_project_refuses_what_cannot_be_followed(case: Case, tmp_path: Path) -> None:
    from taskgraph.errors import UnfollowedCodeError

    write_project(case, tmp_path)
    config = tmp_path / ".taskgraph" / "config.toml"
    config.parent.mkdir()
    config.write_text("[code]\nstrict = true\n")

    with pytest.raises(UnfollowedCodeError, match=case.lists[0]):
        run_script(tmp_path, None)


def test_a_strict_project_runs_what_can_be_followed(tmp_path: Path) -> None:
    (case,) = (case for case in LOADED if case.name == "semantic/helper_three_deep")
    write_project(case, tmp_path)
    config = tmp_path / ".taskgraph" / "config.toml"
    config.parent.mkdir()
    config.write_text("[code]\nstrict = true\n")

    assert run_script(tmp_path, None) == Ran("44", ("main",))


# Other interpreters and other places


def fingerprints(python: str, folder: Path, seed: str) -> dict[str, str]:
    done = subprocess.run(
        [python, "-m", "tests.fingerprint_corpus.fingerprints", str(folder)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "PYTHONHASHSEED": seed,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def differing(left: dict[str, str], right: dict[str, str]) -> list[str]:
    return [name for name in left if left[name] != right[name]]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The code hashes of the corpus, from a process of this interpreter."""
    return fingerprints(sys.executable, tmp_path_factory.mktemp("here"), "1")


def test_fingerprints_are_the_same_in_another_process_and_place(
    here: dict[str, str], tmp_path: Path
) -> None:
    there = fingerprints(sys.executable, tmp_path / "an" / "other" / "place", "2")

    assert differing(here, there) == []


def test_a_fingerprint_differs_if_and_only_if_its_task_runs_again(here: dict[str, str]) -> None:
    # Arguments and what the decorator is told count beside the fingerprint, not in it.
    counted = [case for case in FOLLOWED if case.construct not in ("options", "task default")]

    wrong = [
        case.name
        for case in counted
        if (here[case.name] != here[f"{case.name} (edited)"]) != ("main" in case.runs)
    ]

    assert wrong == []


@pytest.mark.skipif(
    "TASKGRAPH_PYTHONS" not in os.environ,
    reason="TASKGRAPH_PYTHONS names no other interpreters (with xxhash and numpy)",
)
def test_fingerprints_are_the_same_on_other_pythons(here: dict[str, str], tmp_path: Path) -> None:
    # Without a source, compiled code counts, and each version of Python compiles in its own way.
    compiled = {case.name for case in FOLLOWED if case.construct == "compiled code"}
    ours = {name: found for name, found in here.items() if name.split(" ")[0] not in compiled}

    wrong = {}
    for number, python in enumerate(os.environ["TASKGRAPH_PYTHONS"].split(os.pathsep)):
        wrong[python] = differing(ours, fingerprints(python, tmp_path / str(number), "0"))

    assert not any(wrong.values()), wrong
