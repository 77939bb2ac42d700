"""Datasets, artifacts and the vocabulary from a shell, on both databases; stories end to end."""

from __future__ import annotations

import json
from typing import Any

import pytest

import taskgraph
from taskgraph import F
from taskgraph.errors import OutputDatasetInUseError


@pytest.fixture
def place(flow: Any, database_uri: str) -> Any:
    """A project whose records are in an empty database, with three files."""
    flow.write(".taskgraph/config.toml", f'[backend]\ndb_uri = "{database_uri}"\n')
    taskgraph.open(database_uri, migrate=True).close()
    for name in "abc":
        flow.write(f"data/{name}.csv", f"{name}\n")
    return flow


def test_before_anything_there_is_nothing_and_nothing_is_made(space: Any) -> None:
    assert "taskgraph dataset register NAME FILE" in space("dataset", "list").out
    assert space.json("dataset", "list") == {"datasets": []}
    assert space("dataset", "list", "--count").out == "0\n"
    assert space.json("artifact", "list") == {"artifacts": []}
    assert "taskgraph artifact add" in space("artifact", "list").out
    assert "taskgraph vocabulary define" in space("vocabulary", "list").out
    assert space.json("execution", "sweep") == {
        "late": [],
        "crashed": [],
        "returned": [],
    }
    for words in (
        ("dataset", "show", "x"),
        ("dataset", "history", "x"),
        ("dataset", "delete", "x"),
        ("dataset", "retract", "x", "--reason", "y"),
        ("artifact", "list", "--execution", "-"),
        ("artifact", "add", "-", "plot", "x", "x.png"),
        ("study", "delete", "x"),
    ):
        done = space(*words)
        assert (done.code, "Traceback" in done.err) == (3, False), words
    assert space("vocabulary", "remove", "x").code == 2
    assert list(space.folder.iterdir()) == []


def test_the_first_dataset_makes_the_records(space: Any) -> None:
    space.write("a.csv", "a\n")

    made = space("dataset", "register", "tas", "a.csv")

    assert made.code == 0, made.err
    assert made.out.endswith("is tas: 1 file, content " + made.out.split()[-1] + "\n")
    assert space.json("dataset", "show", "tas")["files"] == ["a.csv"]


def test_a_dataset_is_retracted_by_its_name_whatever_else_is_called_so(place: Any) -> None:
    place("dataset", "register", "data/a.csv", "data/b.csv")
    place("dataset", "register", "data/a.csv", "data/c.csv", "--study", "s")
    said = ("dataset", "retract", "data/a.csv", "--reason", "broken")

    planned = place.json(*said, "--dry-run")
    made = place.json(*said, "--by", "ada", "--study", "s")

    found = {
        each["study"]: each
        for each in place.json("dataset", "list", "--include-retracted")["datasets"]
    }
    assert (planned["entity_type"], planned["entity_id"]) == ("Dataset", found[None]["id"])
    assert (made["entity_id"], made["by"]) == (found["s"]["id"], "ada")
    assert (found[None]["retracted"], found["s"]["retracted"]) == (False, True)
    assert place("dataset", "retract", "b.csv", "--reason", "x").code == 3
    assert "Retracted" in place(*said).out


def test_files_are_registered_under_a_name_and_found_by_facets(place: Any) -> None:
    register = ("dataset", "register", "--type", "cmip6")
    place(*register, "--facet", "model=A", "tas", "data/a.csv", "data/b.csv")
    made = place.json(*register, "--facet", "model=B", "--read-only", "pr", "data/c.csv")

    def names(*words: str) -> list[str]:
        return [each["name"] for each in place.json("dataset", "list", *words)["datasets"]]

    assert (made["name"], made["facets"], made["read_only"]) == ("pr", {"model": ["B"]}, True)
    assert names() == ["pr", "tas"]
    assert names("--facet", "model=A") == ["tas"]
    assert names("--facet", "cmip6.model=A", "--facet", "cmip6.model=B") == ["pr", "tas"]
    assert names("--filter", '{"type": {"any_": ["obs"]}}') == []
    assert names("--type", "cmip6", "--name", "A", "-n", "1") == ["tas"]
    assert place("dataset", "list", "--facet", "model=C").out == (
        "None of 2 datasets is meant by --facet model=C.\n"
    )
    assert place("dataset", "list", "--count", "--facet", "model=A").out == "1\n"
    assert "model=A" in place("dataset", "list").out
    shown = place("dataset", "show", "tas").out
    assert "cmip6" in shown and "data/a.csv" in shown
    refused = place("dataset", "register", "pr", "data/a.csv")
    assert (refused.code, "read-only" in refused.err) == (4, True)
    assert place("dataset", "register", "pr", "nowhere.csv").code == 2
    assert place("dataset", "list", "--filter", '{"jobs": {}}').code == 2


def test_new_content_is_another_hash_and_who_was_submitted_keeps_the_old_one(
    place: Any, database_uri: str
) -> None:
    """Story: rerun only what changed. The dataset changes, the old execution does not."""
    place("dataset", "register", "tas", "data/a.csv")
    with taskgraph.open(database_uri) as tg:
        old = tg.executions.create("flow.main", inputs=["tas"]).execution
    place.write("data/a.csv", "changed\n")

    place("dataset", "register", "tas", "data/a.csv")

    with taskgraph.open(database_uri) as tg:
        new = tg.executions.create("flow.main", inputs=["tas"]).execution
    before = place.json("execution", "show", old.id, "--snapshot")
    after = place.json("execution", "show", new.id, "--snapshot")
    assert [each["name"] for each in before["datasets"]] == ["tas"]
    assert "input  tas" in place("execution", "show", old.id).out
    assert before["dataset_hash"] == old.dataset_hash != after["dataset_hash"]
    (was,), (now,) = before["submitted"]["inputs"], after["submitted"]["inputs"]
    assert (was["name"], now["name"]) == ("tas", "tas")
    assert was["value"] != now["value"] == place.json("dataset", "show", "tas")["value"]


def test_one_execution_at_a_time_writes_a_dataset(place: Any, database_uri: str) -> None:
    """Story: apply to a dataset; who was first writes it, and its history tells who did."""
    place("dataset", "register", "out")
    with taskgraph.open(database_uri) as tg:
        first = tg.executions.create("flow.main", output="out").execution
        with pytest.raises(OutputDatasetInUseError):
            tg.executions.create("flow.main", output="out")

    busy = place("dataset", "delete", "out", "--yes")
    assert (busy.code, "taskgraph execution cancel" in busy.err) == (4, True)
    other = place("dataset", "register", "out", "data/a.csv")
    assert (other.code, "is being written by execution" in other.err) == (4, True)
    place("execution", "cancel", first.id)

    with taskgraph.open(database_uri) as tg:
        second = tg.executions.create("flow.main", output="out").execution
        tg.executions.set_state(second, "COMPLETED")
        assert tg.executions.count(F.dataset("out", role="output")) == 2
    history = place.json("dataset", "history", "out")["executions"]
    assert [each["id"] for each in history] == [second.id, first.id]
    assert second.id[:8] in place("dataset", "history", "out", "-n", "1").out


def test_a_dataset_is_deleted_after_a_question(place: Any, database_uri: str) -> None:
    place("dataset", "register", "tas", "data/a.csv", "--facet", "model=A")
    place("dataset", "register", "pr", "data/b.csv")
    assert "No execution has written tas." in place("dataset", "history", "tas").out

    dry = place("dataset", "delete", "tas", "pr", "--dry-run")
    kept = place.typing("n\n", "dataset", "delete", "tas", "pr")
    missing = place("dataset", "delete", "tas", "other", "--yes")

    assert (dry.code, kept.code, missing.code) == (0, 0, 3)
    assert "Delete these 2 datasets?" in kept.out + kept.err
    assert place.json("dataset", "list", "--count") == {"count": 2}
    assert "2 deleted." in place.typing("y\n", "dataset", "delete", "tas", "pr").out
    assert place.json("dataset", "list") == {"datasets": []}


def test_artifacts_are_registered_in_the_workspace_with_dimensions(
    place: Any, database_uri: str
) -> None:
    """Story: who looks at results finds plots by region and model, whoever made them."""
    assert place("run", "--workspace", "work", "flow.py", "main").code == 0
    add = ("artifact", "add", "work")
    unknown = place(*add, "plot", "tas", "tas.png", "--dimension", "region=eu")
    assert (unknown.code, "taskgraph vocabulary define region" in unknown.err) == (2, True)
    place("vocabulary", "define", "region", "--allowed", "eu", "--allowed", "us")

    added = place(
        *(*add, "plot", "tas", "plots/tas.png", "--dimension", "region=eu"),
        *("--title", "Temperature"),
    )
    log = place.json(*add, "log", "log", "run.log")
    wrong = place(*add, "plot", "pr", "pr.png", "--dimension", "region=asia")
    twice = place(*add, "plot", "tas", "other.png")
    outside = place(*add, "data", "x", "../flow.py")

    assert added.code == 0, added.err
    assert "plots/tas.png is plot tas of" in added.out
    assert (wrong.code, twice.code, outside.code) == (2, 4, 2)
    assert "It may be:" in wrong.err and "stay inside it" in outside.err
    found = place.json("artifact", "list", "--dimension", "region=eu")["artifacts"]
    assert [(each["key"], each["dimensions"]) for each in found] == [("tas", {"region": ["eu"]})]
    logs = place.json("artifact", "list", "--kind", "log", "--execution", "-")["artifacts"]
    assert logs[0] == log and [each["key"] for each in logs] == ["log", "run"]  # that of the run
    assert "Temperature" in place("artifact", "list").out
    assert place.json("vocabulary", "list")["keys"][0]["allowed"] == ["eu", "us"]
    assert "eu, us" in place("vocabulary", "list").out
    used = place("vocabulary", "remove", "region")
    assert (used.code, "in use" in used.err) == (4, True)
    place("vocabulary", "define", "year", "--description", "when")
    assert "was removed" in place("vocabulary", "remove", "year").out


def test_a_study_is_deleted_and_its_executions_are_kept(place: Any) -> None:
    place("run", "--study", "nightly", "flow.py", "main")
    place("dataset", "register", "tas", "data/a.csv", "--study", "nightly")

    refused = place("study", "delete", "nightly", "--executions", "refuse")
    dry = place("study", "delete", "nightly", "--dry-run")
    kept = place.typing("n\n", "study", "delete", "nightly")
    done = place("study", "delete", "nightly", "--yes")

    assert (refused.code, "has 1 execution." in refused.err) == (4, True)
    said = "Study nightly would be deleted, with 1 dataset; 1 execution kept, without a study.\n"
    assert dry.out == said
    assert kept.out.startswith(said)
    assert done.out == said.replace("would be", "is")
    assert place.json("study", "list") == {"studies": []}
    assert place.json("dataset", "list") == {"datasets": []}
    (left,) = place.json("execution", "list")["executions"]
    assert left["study"] is None


def test_what_is_late_is_swept_up(place: Any, database_uri: str) -> None:
    from datetime import UTC, datetime, timedelta

    from taskgraph.catalog.states import State

    with taskgraph.open(database_uri) as tg:
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        late = tg.executions.create("e", state=State.scheduled(hour_ago)).execution
        stuck = tg.executions.create("e").execution
        tg.executions.set_state(stuck, "RUNNING")

    assert place("execution", "sweep", "--late-after", "2h").out == ("0 are Late, 0 are CRASHED.\n")
    assert place.json("execution", "sweep", "--dry-run")["late"][0]["id"] == late.id
    assert "1 would be Late" in place("execution", "sweep", "--dry-run").out
    assert place("execution", "sweep").out == "1 are Late, 0 are CRASHED.\n"
    asked = place.typing("n\n", "execution", "sweep", "--stale-after", "0.000001s")
    assert "0 are CRASHED" in asked.out
    swept = place("execution", "sweep", "--stale-after", "0.000001s", "--yes")
    assert swept.out == "0 are Late, 1 are CRASHED.\n"
    assert place("execution", "sweep", "--stale-after", "soon").code == 2
    found = place.json("execution", "list", "--state", "Late")["executions"]
    assert [each["id"] for each in found] == [late.id]


def test_json_of_each_list_is_json(place: Any) -> None:
    place("vocabulary", "define", "region", "--json")
    for words in (("dataset", "list"), ("artifact", "list"), ("vocabulary", "list")):
        assert json.loads(place(*words, "--json").out)


def test_records_that_move_leave_datasets_and_their_tags_where_they_are(
    place: Any, database_uri: str
) -> None:
    place("dataset", "register", "tas", "data/a.csv", "--facet", "model=A")
    place("dataset", "register", "tas", "data/a.csv", "--facet", "model=B")
    place("vocabulary", "define", "region")
    with taskgraph.open(database_uri) as tg:
        made = tg.executions.create("e", inputs=["tas"], tags={"team": "ml"}).execution
        tg.artifacts.add(made, "data", "x", value=3, dimensions={"region": "eu"})
        tg.executions.set_state(made, "COMPLETED")

    assert place("export", "--all", "-o", "all.jsonl").code == 0
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    config = ("-c", str(elsewhere))
    place.write("elsewhere/config.toml", '[backend]\ndb_uri = "sqlite:///other.db"\n')
    imported = place(*config, "import", "all.jsonl")

    assert imported.code == 0, imported.err
    assert place(*config, "db", "check").out == "Nothing is wrong.\n"
    assert place("db", "check").out == "Nothing is wrong.\n"
    (moved,) = place.json(*config, "execution", "list")["executions"]
    assert moved["tags"] == {"team": ["ml"]}
    place.write(
        "wrong.jsonl",
        (place.folder / "all.jsonl")
        .read_text()
        .replace('"entity_type":"Execution"', '"entity_type":"Dataset"'),
    )
    refused = place(*config, "import", "wrong.jsonl")
    assert (refused.code, "Traceback" in refused.err) == (5, False)
