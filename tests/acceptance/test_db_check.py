"""``taskgraph db check`` and ``--repair``, and a store that is trusted with data only."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

_FLOW = """
import os
from dataclasses import dataclass

from taskgraph import task

taskgraph_namespace = "flow"


@dataclass
class Sample:
    name: str


class Bomb:
    def __reduce__(self):
        return os.system, ("echo ran >> canary",)


@task(version="1")
def plain(n: int) -> list[int]:
    print("plain")
    return [n, 2 * n]


@task(version="1")
def sample(n: int) -> Sample:
    print("sample")
    return Sample("x" * n)


@task(version="1")
def bomb(n: int) -> str:
    print("bomb")
    return "a plain text"


@task(version="1")
def main() -> list:
    return [plain(2), sample(3), bomb(1)]
"""


def _execute(space: Any, sql: str, *given: Any) -> None:
    with closing(sqlite3.connect(space.folder / ".taskgraph" / "taskgraph.db")) as connection:
        connection.execute(sql, given)
        connection.commit()


@pytest.fixture
def project(space: Any) -> Any:
    space.write("flow.py", _FLOW)
    assert space("init", ".").code == 0
    assert space("run", "flow.py", "main").code == 0
    return space


def _plant(project: Any, module: str = "os") -> None:
    """Put a pickle that runs a command in the place of a stored text, digest, seal and all."""
    from taskgraph.hashing import digest_bytes
    from taskgraph_backend.seals import seal_value

    payload = f"c{module}\nsystem\n(S'echo ran >> canary'\ntR.".encode()
    digest = digest_bytes(payload)
    with closing(sqlite3.connect(project.folder / ".taskgraph" / "taskgraph.db")) as connection:
        (key, name) = connection.execute(
            "SELECT value_hash, type FROM value WHERE preview LIKE '%a plain text%'"
            " AND type = 'builtins.str'"
        ).fetchone()
        seal = seal_value(key, bytes.fromhex(digest), name, "pickle", has_bytes=True)
        connection.execute(
            "UPDATE value SET value = ?, size = ?, content_digest = ?, seal = ?"
            " WHERE value_hash = ?",
            (payload, len(payload), bytes.fromhex(digest), seal, key),
        )
        connection.commit()


def test_sound_records_are_said_to_be_sound(project: Any) -> None:
    done = project("db", "check")

    assert (done.code, done.out) == (0, "Nothing is wrong.\n")
    assert project.json("db", "check") == {
        "sound": True,
        "repaired": False,
        "found": [],
        "left": [],
    }


def test_damage_is_found_mended_and_made_again(project: Any) -> None:
    _execute(project, "UPDATE value SET value = x'80' WHERE type = 'builtins.list'")

    found = project("db", "check", "--json")
    mended = project("db", "check", "--repair")
    clean = project("db", "check")
    run = project("run", "flow.py", "main")

    report = json.loads(found.out)
    assert found.code == 4 and report["sound"] is False
    assert {each["table"] for each in report["found"]} >= {"value"}
    assert mended.code == 0 and "found and mended" in mended.out
    assert (clean.code, clean.out) == (0, "Nothing is wrong.\n")
    assert "plain" in run.out and "[[2, 4], Sample(name='xxx'), 'a plain text']" in run.out


def test_what_was_taken_away_is_kept_aside(project: Any) -> None:
    _execute(project, "UPDATE evaluation SET timestamp = timestamp + 1")

    project("db", "check", "--repair")

    with closing(sqlite3.connect(project.folder / ".taskgraph" / "taskgraph.db")) as connection:
        rows = connection.execute("SELECT table_name, reason, content FROM quarantine").fetchall()
    assert {table for table, _, _ in rows} == {"evaluation"}
    assert all("seal is broken" in reason and json.loads(content) for _, reason, content in rows)


def test_quick_and_repair_exclude_each_other(project: Any) -> None:
    assert project("db", "check", "--repair", "--quick").code == 2
    assert project("db", "check", "--quick").code == 0


def test_there_is_nothing_to_check_without_a_database(space: Any) -> None:
    done = space("db", "check")

    assert done.code == 1 and "there is none" in done.err and "Traceback" not in done.err


def test_a_planted_pickle_runs_where_everything_is_trusted(project: Any) -> None:
    _plant(project)

    project("run", "flow.py", "main")

    assert (project.folder / "canary").exists()


def test_a_planted_pickle_is_not_read_where_data_is_trusted(project: Any) -> None:
    _plant(project)
    _set_trust(project, 'trust = "data"\ntrust_classes = ["flow.*"]')

    done = project("run", "flow.py", "main")
    why = project("explain", "flow.bomb")
    shown = project("log", "flow.bomb")
    checked = project("db", "check")

    assert not (project.folder / "canary").exists()
    # It runs again; what is data, and what is named as such, is read.
    assert "a plain text" in done.out and "Sample(name='xxx')" in done.out
    assert "bomb" in done.out and "sample" not in done.out.splitlines()
    assert "more than the data" in why.out or "not data" in why.out, why.out
    assert shown.code == 0 and checked.code == 0
    # What was refused is still there, for who trusts it.
    _set_trust(project, 'trust = "all"')
    project("run", "flow.py", "main")
    assert (project.folder / "canary").exists()


def test_a_class_that_is_not_named_runs_again(project: Any) -> None:
    _set_trust(project, 'trust = "data"')

    done = project("run", "flow.py", "main")

    assert "sample" in done.out.splitlines() and "plain" not in done.out.splitlines()
    assert "flow.Sample" in project("explain", "flow.sample").out


def test_records_from_elsewhere_run_no_code_when_they_are_trusted(
    project: Any, tmp_path: Path
) -> None:
    _plant(project)
    assert project("export", "-o", str(tmp_path / "all.jsonl")).code == 0
    other = type(project)(tmp_path / "other")
    other.folder.mkdir()
    other.write("flow.py", _FLOW)
    other("init", ".")
    _set_trust(other, 'trust = "data"\ntrust_classes = ["flow.*"]')

    imported = other("import", str(tmp_path / "all.jsonl"))
    trusted = other("trust", "--all")
    done = other("run", "flow.py", "main")

    assert (imported.code, trusted.code, done.code) == (0, 0, 0)
    assert "a plain text" in done.out
    assert not (other.folder / "canary").exists()


def _set_trust(project: Any, lines: str) -> None:
    (project.folder / ".taskgraph" / "config.toml").write_text(f"[backend]\n{lines}\n")
