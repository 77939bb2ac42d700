"""Records are tagged, tags are edited and taken away, and what they were stays to be read."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def ran(flow: Any) -> Any:
    flow("run", "--tag", "why=first try", "flow.py", "main")
    return flow


def own(tags: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the tags that are not the library's."""
    return {key: values for key, values in tags.items() if not key.startswith("taskgraph.")}


def listed(space: Any, record: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in space.json("tag", "list", record)["tags"]:
        found.setdefault(each["key"], []).append(each["value"])
    return own(found)


def test_before_any_run_there_are_no_tags_and_nothing_is_made(space: Any) -> None:
    done = space("tag", "list")

    assert (done.code, done.out) == (0, "There are no tags yet: taskgraph tag add ID KEY=VALUE\n")
    assert space.json("tag", "list") == []
    assert space("tag", "list", "-").code == 3
    assert space("tag", "add", "-", "a=1").code == 3
    assert list(space.folder.iterdir()) == []


def test_a_run_has_tags_of_its_own(ran: Any) -> None:
    ran("run", "--project", "poems", "--user", "ada", "--doc", "again", "flow.py", "main")

    first, second = (ran.json("log", each)["tags"] for each in ("~2", "-"))

    assert first["why"] == ["first try"]
    assert first["taskgraph.project"] == [ran.folder.name]
    assert {"taskgraph.version", "taskgraph.user"} < first.keys()
    assert second["taskgraph.project"] == ["poems"]
    assert (second["taskgraph.user"], second["taskgraph.doc"]) == (["ada"], ["again"])


def test_tags_are_added_updated_and_taken_away(ran: Any) -> None:
    assert ran("tag", "add", "-", "quality=good", "quality=checked", 'n={"a": 1}').code == 0
    assert listed(ran, "-") == {
        "n": [{"a": 1}],
        "quality": ["checked", "good"],
        "why": ["first try"],
    }

    assert ran("tag", "update", "-", "quality=bad", "n=2").code == 0
    assert listed(ran, "-") == {"n": [2], "quality": ["bad"], "why": ["first try"]}

    assert ran("tag", "rm", "-", "quality=bad", "n", "why").code == 0
    assert listed(ran, "-") == {}


def test_the_history_of_tags_can_be_read(ran: Any) -> None:
    ran("tag", "add", "-", "n=1")
    ran("tag", "update", "-", "n=2")
    ran("tag", "rm", "-", "n")

    history = ran.json("tag", "list", "--history", "-")["history"]
    steps = [
        (each["what"], each["value"], each["before"], each["is_current"])
        for each in history
        if each["key"] == "n"
    ]

    assert steps == [
        ("added", 1, [], False),
        ("changed", 2, [["n", 1]], False),
        ("deleted", None, [["n", 2]], False),
    ]
    lines = [each.split() for each in ran("tag", "list", "--history", "-").out.splitlines()]
    assert ["deleted", "n", "2"] in [each[:3] for each in lines]


def test_every_kind_of_record_is_tagged_and_shows_it(ran: Any) -> None:
    execution = ran.json("log", "-")
    job = next(each for each in execution["jobs"] if each["task"] == "flow.clean")
    value = ran.json("log", "work/in0.txt")["value"]["value_hash"]
    records = [execution["execution"]["id"], job["id"], job["call_hash"], "flow.clean"]

    for number, record in enumerate([*records, "work/in0.txt"]):
        assert ran("tag", "add", record, f"n={number}").code == 0

    for number, record in enumerate([*records, value]):
        assert ran.json("log", record)["tags"]["n"] == [number]
        lines = ran("log", record).out.splitlines()
        assert ["n", str(number)] in [each.split() for each in lines]


def test_all_keys_are_listed_with_their_numbers(ran: Any) -> None:
    ran("run", "--tag", "why=again", "flow.py", "main")
    ran("tag", "add", "-", "a=1", "a=2")
    ran("tag", "add", "~2", "b=1")
    ran("tag", "rm", "~2", "b")

    keys = [each for each in ran.json("tag", "list") if not each["key"].startswith("taskgraph.")]

    assert keys == [
        {"key": "a", "records": 1, "values": 2},
        {"key": "why", "records": 2, "values": 2},
    ]
    assert ran("tag", "list").out.splitlines()[:2] == [
        f"{'key':<17}  records  values",
        f"{'a':<17}        1       2",
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", "-", "taskgraph.user=eve"], 2, "taskgraph's own"),
        (["update", "-", "taskgraph.user=eve"], 2, "taskgraph's own"),
        (["rm", "-", "taskgraph.user"], 2, "taskgraph's own"),
        (["add", "-", "user"], 2, "expected NAME=VALUE"),
        (["add", "-", "a b=1"], 2, "no blanks"),
        (["add", "-"], 2, "Missing argument"),
        (["add", "404404", "a=1"], 3, "Nothing is recorded"),
        (["update", "-", "gone=1"], 3, "has no tag gone"),
        (["rm", "-", "why=other"], 3, "has no tag why=other"),
        (["list", "--history"], 2, "name it"),
        (["list", "gone.txt"], 3, "Nothing is recorded"),
    ],
)
def test_what_cannot_be_done_is_said(ran: Any, words: list[str], code: int, said: str) -> None:
    before = listed(ran, "-")

    done = ran("tag", *words)

    assert done.code == code
    assert said in done.err and "Traceback" not in done.err
    assert listed(ran, "-") == before


def test_a_run_refuses_keys_of_the_library(flow: Any) -> None:
    done = flow("run", "--tag", "taskgraph.user=eve", "flow.py", "main")

    assert done.code == 2
    assert "taskgraph's own" in done.err
    assert not (flow.folder / "ran.txt").exists()
