"""Who trusts a record trusts those who brought it, and nobody else who had a hand in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

_FLOW = """
from taskgraph import task

taskgraph_namespace = "flow"


@task(version="1")
def double(x: int) -> int:
    print("double", x)
    return 2 * x


@task(version="1")
def main(n: int = 2) -> list[int]:
    return [double(x) for x in range(n)]
"""


def _project(space: Any, name: str) -> Any:
    folder = space.folder / name
    folder.mkdir()
    made = type(space)(folder)
    made.write("flow.py", _FLOW)
    assert made("init", ".").code == 0
    return made


@pytest.fixture
def lab(space: Any) -> Any:
    made = _project(space, "lab")
    assert made("run", "flow.py", "main").code == 0
    made("export", "-o", "../lab.jsonl")
    return made


@pytest.fixture
def mallory(space: Any, lab: Any) -> Any:
    """Somebody who brought one value of the lab's first: a file of that value alone."""
    lines = (space.folder / "lab.jsonl").read_text().splitlines()
    values = [line for line in lines if '"preview":"[0, 2]"' in line]
    end = json.dumps({"_type": "End", "_version": 1, "records": len(values)})
    text = "\n".join([lines[0], *values, end]) + "\n"
    (space.folder / "mallory.jsonl").write_text(text)
    return json.loads(values[0])["value_hash"]


@pytest.fixture
def here(space: Any, mallory: str) -> Any:
    made = _project(space, "here")
    assert made("import", "../mallory.jsonl", "../lab.jsonl").code == 0
    return made


def _root(project: Any) -> str:
    return str(project.json("log")[0]["id"])


def test_a_value_that_somebody_else_brought_first_is_left_and_named(here: Any) -> None:
    done = here("trust", _root(here))

    assert done.code == 0
    assert "Not trusted: 1 record in it came from ../mallory.jsonl first." in done.out
    assert "taskgraph trust RECORD --from ORIGIN" in done.out
    assert [each["origin"] for each in here.json("trust", "--list")] == ["../mallory.jsonl"]


def test_its_result_is_made_here_instead(here: Any) -> None:
    here("trust", _root(here))

    assert here("run", "flow.py", "main").out == "[0, 2]\n"
    assert here.json("trust", "--list") == []


def test_what_others_brought_is_trusted_if_they_are_named(here: Any) -> None:
    root = _root(here)

    both = here("trust", root, "--from", "../lab.jsonl", "--from", "../mallory.jsonl", "--json")

    assert json.loads(both.out)["left"] == {}
    assert here.json("trust", "--list") == []


def test_of_a_record_only_what_one_origin_brought_is_trusted(here: Any) -> None:
    done = here("trust", _root(here), "--from", "../mallory.jsonl", "--json")

    counted = json.loads(done.out)
    assert (counted["values"], counted["executions"]) == (1, 0)
    assert list(counted["left"]) == ["../lab.jsonl"]


def test_several_origins_are_trusted_at_once(here: Any) -> None:
    done = here("trust", "--from", "../lab.jsonl", "--from", "../mallory.jsonl")

    assert done.code == 0, done.err
    assert here.json("trust", "--list") == []


def test_an_origin_that_brought_nothing_is_not_found(here: Any) -> None:
    done = here("trust", "--from", "nobody")

    assert done.code == 3
    assert "Nothing that is not trusted came from 'nobody'." in done.err
    assert "../lab.jsonl, ../mallory.jsonl" in done.err


def test_where_all_is_trusted_nobody_brought_anything(here: Any) -> None:
    here("trust", "--all")

    done = here("trust", "--from", "nobody")

    assert done.code == 3
    assert "all that is recorded here is trusted" in done.err


def test_a_job_is_trusted_as_of_those_who_brought_its_execution(here: Any) -> None:
    jobs = here.json("log", _root(here))["jobs"]
    job = next(each["id"] for each in jobs if each["task"] == "flow.double")

    done = here("trust", job, "--json")

    assert json.loads(done.out)["calls"] == 1


def test_a_strangers_version_is_not_blessed_by_its_name(here: Any) -> None:
    here.write("flow.py", _FLOW.replace('"1"', '"2"'))

    done = here("bless", "flow.double", "--script", "flow.py")

    assert done.code == 5
    assert "came from ../lab.jsonl and is not trusted" in done.err
    assert "its results count for nothing" in done.err
    here("trust", "--all")
    assert here("bless", "flow.double", "--script", "flow.py").code == 0


def test_of_a_name_our_own_version_is_blessed_whoever_ran_another_later(
    space: Any, lab: Any
) -> None:
    here = _project(space, "here")
    here.write("flow.py", _FLOW.replace('"1"', '"ours"'))
    assert here("run", "flow.py", "main").code == 0
    ours = here.json("log", "flow.double")["hash"]
    lab("run", "flow.py", "main", "--n", "3")
    lab("export", "-o", "../later.jsonl")
    here("import", "../later.jsonl")
    here.write("flow.py", _FLOW.replace('"1"', '"3"'))

    done = here("bless", "flow.double", "--script", "flow.py", "--json")

    assert json.loads(done.out)[0]["old_hash"] == ours
