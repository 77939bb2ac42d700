"""A schema goes back to an earlier version on command, and nothing is lost unasked."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph import errors

REASON = "reasons why jobs were run"


@pytest.fixture(params=["sqlite", "postgres"])
def project(request: pytest.FixtureRequest, flow: Any) -> Any:
    """A project in which something was run, on each database."""
    if request.param == "postgres":
        uri = request.getfixturevalue("own_postgres_uri")
        flow.write(".taskgraph/config.toml", f'[backend]\ndb_uri = "{uri}"\n')
    assert flow("run", "flow.py", "main").code == 0
    # What has run before has a reason to run again.
    flow.write("in0.txt", "three\n")
    assert flow("run", "flow.py", "main").code == 0
    return flow


def test_what_would_be_lost_is_told_and_nothing_is_done(project: Any) -> None:
    before = project("export", "-").out

    refused = project("db", "downgrade", "1.0")

    assert refused.code == 5, refused.err
    assert REASON in refused.err and "--yes" in refused.err
    assert project("export", "-").out == before


def test_who_says_yes_goes_back_and_comes_again(project: Any) -> None:
    back = project("db", "downgrade", "1.0", "--yes")
    again = project("db", "upgrade")
    ran = project("run", "flow.py", "main")

    assert (back.code, again.code, ran.code) == (0, 0, 0), back.err + again.err + ran.err
    assert "-> 1.0" in back.out and "1.0 ->" in again.out
    assert [each["status"] for each in project.json("log")] == ["DONE"] * 3


def test_a_step_that_loses_nothing_is_not_asked_about(project: Any) -> None:
    # Each run has states, which 1.7 has no room for.
    assert project("db", "downgrade", "1.7", "--yes").code == 0

    assert project("db", "downgrade", "1.4").code == 0


@pytest.mark.parametrize(
    ("version", "words"),
    [("9.9", "no schema version 9.9"), ("soon", "not a schema version"), ("latest", "nothing")],
)
def test_what_is_no_way_back_is_told(flow: Any, version: str, words: str) -> None:
    flow("run", "flow.py", "main")

    done = flow("db", "downgrade", version)

    assert done.code in {2, 4}, done.err
    assert words in done.err


def test_the_error_says_what_there_is() -> None:
    error = errors.DowngradeRefusedError("sqlite:///x", "1.0", ["3 tags"])

    assert (error.version, error.losses) == ("1.0", ("3 tags",))
    assert "no place for 3 tags" in str(error)
