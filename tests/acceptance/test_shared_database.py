"""A team's records lie in PostgreSQL: whoever runs a call finds what others have made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import LOCKED, PASSWORD, Server

FILES = {"in0.txt": "one\n", "in1.txt": "two\n"}


def _settings(uri: str) -> str:
    return f'[backend]\ndb_uri = "{uri}"\n'


@pytest.fixture
def team(flow: Any, postgres_uri: str) -> Any:
    """A project whose records are in an empty database that others write to as well."""
    flow.write(".taskgraph/config.toml", _settings(postgres_uri))
    return flow


def test_its_schema_is_made_on_command(flow: Any, empty_postgres_uri: str) -> None:
    flow.write(".taskgraph/config.toml", _settings(empty_postgres_uri))

    refused = flow("run", "flow.py", "main")
    before = flow.json("db", "info")
    upgraded = flow("db", "upgrade")
    ran = flow("run", "flow.py", "main")

    assert (refused.code, before["compatible"]) == (4, False)
    assert "it is empty" in refused.err and "`taskgraph db upgrade`" in refused.err
    assert (upgraded.code, ran.code) == (0, 0), ran.err
    assert flow.json("db", "info")["compatible"]


def test_a_second_run_finds_what_the_first_one_made(team: Any) -> None:
    first = team("run", "flow.py", "main")
    ran = (team.folder / "ran.txt").read_text()

    second = team("run", "flow.py", "main")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert (team.folder / "ran.txt").read_text() == ran
    assert [each["status"] for each in team.json("log")] == ["DONE", "DONE"]


def test_records_are_looked_at_in_every_way(team: Any) -> None:
    team("run", "--tag", "why=first", "flow.py", "main")
    (team.folder / "in0.txt").write_text("three\n")
    team("run", "flow.py", "main")

    looks = [
        ("log", "-"),
        ("log", "--status", "done"),
        ("log", "--file", "in*.txt"),
        ("log", "in0.txt"),
        ("graph", "in0.txt"),
        ("report", "-"),
        ("explain", "-"),
        ("diff", "~2", "-"),
        ("tag", "list", "~2"),
        ("db", "info"),
    ]
    done = {words: team(*words) for words in looks}

    assert {words: each.err for words, each in done.items() if each.code} == {}
    assert "in0.txt" in done["explain", "-"].out
    assert "why" in done["tag", "list", "~2"].out


def test_records_move_to_a_team_and_back(flow: Any, postgres_uri: str) -> None:
    flow("run", "flow.py", "main")
    flow("repo", "add", "team", postgres_uri)

    pushed = flow("push", "team")
    exported = flow("export", "-")
    again = flow("push", "team")
    flow.write("other/.taskgraph/config.toml", _settings(postgres_uri))
    there = flow("--config", "other/.taskgraph", "export", "-")

    assert (pushed.code, again.code) == (0, 0), pushed.err
    assert there.code == 0, there.err
    assert exported.out == there.out != ""


def test_no_command_shows_a_password(flow: Any, postgres_server: Server, postgres_uri: str) -> None:
    name = postgres_uri.partition("?")[0].rpartition("/")[2]
    uri = postgres_server.uri(name, LOCKED, f"not-{PASSWORD}")
    flow.write(".taskgraph/config.toml", _settings(uri))
    flow("repo", "add", "team", uri)

    commands = [
        ("db", "info"),
        ("run", "flow.py", "main"),
        ("--traceback", "run", "flow.py", "main"),
        ("log",),
        ("repo", "list"),
        ("push", "team"),
        ("explain", "-"),
    ]
    told = {words: flow(*words) for words in commands}

    assert not [words for words, each in told.items() if PASSWORD in each.out + each.err]
    assert "the password for its user is missing or wrong" in told["run", "flow.py", "main"].err
    assert f"{LOCKED}:***@" in told["run", "flow.py", "main"].err
    assert told["run", "flow.py", "main"].code == 1


def test_a_password_may_be_in_the_environment(
    flow: Any, postgres_server: Server, own_postgres_uri: str
) -> None:
    name = own_postgres_uri.partition("?")[0].rpartition("/")[2]
    grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {LOCKED}"
    postgres_server.execute(grant, database=name)
    flow.write(".taskgraph/config.toml", _settings(postgres_server.uri(name, LOCKED)))

    done = flow("run", "flow.py", "main", PGPASSWORD=PASSWORD)

    assert done.code == 0, done.err
    assert PASSWORD not in _everything_in(flow.folder)


def _everything_in(folder: Path) -> str:
    files = (each for each in folder.rglob("*") if each.is_file())
    return json.dumps([each.read_bytes().decode("latin-1") for each in files])
