"""A result is bad: one command, and nothing uses it any more, nor what was made of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

FLOW = """
    from taskgraph import File, task

    taskgraph_namespace = "lab"

    def note(what):
        with open("ran.txt", "a") as file:
            file.write(what + "\\n")

    @task(version="1")
    def clean(sample: File) -> File:
        note(f"clean {sample.path}")
        made = File(f"clean-{sample.path}")
        made.write(sample.read().upper())
        return made

    @task(version="1")
    def has_signal(sample: File) -> bool:
        note(f"has_signal {sample.path}")
        return len(sample.read()) > 1

    @task(version="1")
    def plot(name: str, signal: bool) -> str:
        note(f"plot {name}")
        return f"{name}: {signal}"

    @task(version="1")
    def main() -> list:
        left, right = clean(File("left.txt")), clean(File("right.txt"))
        return [plot("left", has_signal(left)), plot("right", has_signal(right))]

    @task(version="1")
    def archive(path: str) -> str:
        return store(File(path))

    @task(version="1")
    def store(sample: File) -> str:
        note(f"store {sample.path}")
        return sample.read()
"""


@pytest.fixture(params=["sqlite", "postgres"])
def lab(space: Any, request: pytest.FixtureRequest) -> Any:
    """A project of two samples, both of which were cleaned, plotted and archived."""
    if request.param == "postgres":
        uri = request.getfixturevalue("postgres_uri")
        space.write(".taskgraph/config.toml", f'[backend]\ndb_uri = "{uri}"\n')
    space.write("flow.py", FLOW)
    space.write("left.txt", "abc")
    space.write("right.txt", "def")
    for words in (
        ["main"],
        ["archive", "--path", "clean-left.txt"],
        ["archive", "--path", "clean-right.txt"],
    ):
        done = space("run", "flow.py", *words)
        assert done.code == 0, done.err
    _ran(space)
    return space


def _ran(space: Any) -> list[str]:
    """Return what ran since this was asked last."""
    path = space.folder / "ran.txt"
    found = sorted(path.read_text().splitlines()) if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_a_bad_result_is_retracted_with_all_that_came_from_it(lab: Any) -> None:
    would = lab("retract", "clean-left.txt", "--reason", "the probe was broken", "--dry-run")
    assert would.code == 0, would.err
    assert "Would retract clean-left.txt" in would.out
    assert lab.json("retractions") == {"retractions": []}

    made = lab("retract", "clean-left.txt", "--reason", "the probe was broken", "--by", "ada")
    assert made.code == 0, made.err
    (known,) = lab.json("retractions")["retractions"]
    assert (known["target"], known["reason"], known["by"]) == (
        "clean-left.txt",
        "the probe was broken",
        "ada",
    )
    assert f"taskgraph unretract {known['id'][:8]}" in made.out
    # The run of the left sample, its archive, and the workflow; not the archive of the right one.
    assert len(lab.json("execution", "list")["executions"]) == 1
    assert len(lab.json("execution", "list", "--include-retracted")["executions"]) == 3

    # The probe is mended: the sample has another content, and all that needs it runs again.
    lab.write("left.txt", "abcd")
    again = lab("run", "flow.py", "main")
    assert again.code == 0, again.err
    assert _ran(lab) == ["clean left.txt", "has_signal clean-left.txt", "plot left"]
    assert lab("run", "flow.py", "archive", "--path", "clean-right.txt").code == 0
    assert _ran(lab) == []


def test_what_gave_the_same_is_explained_warned_of_and_taken_back(lab: Any) -> None:
    made = lab("retract", "clean-left.txt", "--reason", "was it the probe?", "--json")
    retraction = json.loads(made.out)["id"]

    again = lab("run", "flow.py", "main")
    # What only equals it, True, is used: the right sample had a signal as well.
    assert _ran(lab) == ["clean left.txt", "has_signal clean-left.txt", "plot left"]
    assert "gave the same result again" in again.err
    explained = lab("explain", "-")
    assert "its result was retracted by" in explained.out
    assert "was it the probe?" in explained.out
    assert "retracted" in lab("log", "clean-left.txt").out
    assert "retracted" in lab("execution", "list", "--include-retracted").out

    undone = lab("unretract", retraction[:8])
    assert undone.code == 0, undone.err
    assert lab("retractions").out.startswith("Nothing is retracted")
    assert "taken back" in lab("retractions", "--all").out
    assert lab("run", "flow.py", "main").code == 0
    assert _ran(lab) == []
    assert len(lab.json("execution", "list")["executions"]) == 5
    assert "retracted" not in lab("log", "clean-left.txt").out


def test_where_all_is_retracted_the_empty_list_says_so(lab: Any) -> None:
    for each in lab.json("execution", "list")["executions"]:
        assert lab("retract", each["id"], "--reason", "all of it").code == 0

    listed = lab("execution", "list")

    assert listed.out.rstrip().endswith("3 were retracted: add --include-retracted")


def test_what_cannot_be_done_says_what_can(space: Any) -> None:
    assert space("retract", "x", "--reason", "y").code == 3
    assert space("unretract", "x").code == 3
    assert space("retractions").out.startswith("Nothing is retracted")
    assert list(space.folder.iterdir()) == []
    space.write("flow.py", FLOW)
    space.write("left.txt", "abc")
    space.write("right.txt", "def")
    space("run", "flow.py", "main")

    unknown = space("retract", "nothing.txt", "--reason", "y")
    a_task = space("retract", "lab.main", "--reason", "y")
    no_reason = space("retract", "-")
    none = space("unretract", "abc")

    codes = [each.code for each in (unknown, a_task, no_reason, none)]
    assert codes == [3, 2, 2, 3]
    assert "it is a task" in a_task.err
    assert "--reason" in no_reason.err
    assert "taskgraph retractions --all" in none.err
    assert not any("Traceback" in each.err for each in (unknown, a_task, no_reason, none))


def test_retractions_are_exported_and_imported(space: Any, tmp_path: Any) -> None:
    space.write("flow.py", FLOW)
    space.write("left.txt", "abc")
    space.write("right.txt", "def")
    space("run", "flow.py", "main")
    space("retract", "clean-left.txt", "--reason", "the probe was broken", "--by", "ada")
    assert space("export", "-o", "all.jsonl").code == 0

    there = type(space)(space.folder / "there")
    there.folder.mkdir()
    there("init")
    imported = there("import", "../all.jsonl")

    assert imported.code == 0, imported.err
    (known,) = there.json("retractions")["retractions"]
    (ours,) = space.json("retractions")["retractions"]
    same = ("id", "reason", "by", "at", "calls", "executions", "target")
    assert [known[each] for each in same] == [ours[each] for each in same]
    assert there.json("execution", "list")["executions"] == []
    assert there("unretract", known["id"]).code == 0
    assert len(there.json("execution", "list")["executions"]) == 1


def test_a_dataset_is_retracted_by_its_name(space: Any) -> None:
    space.write("rain.csv", "1\n")
    assert space("dataset", "register", "rain", "rain.csv").code == 0

    made = space.json("dataset", "retract", "rain", "--reason", "a wrong delivery")

    assert (made["entity_type"], made["target"]) == ("Dataset", "rain")
    assert space.json("dataset", "list")["datasets"] == []
    unknown = space("dataset", "retract", "wind", "--reason", "a wrong delivery")
    assert (unknown.code, "Traceback" in unknown.err) == (3, False)


def test_a_dataset_that_is_called_like_the_start_of_ids_is_named(lab: Any) -> None:
    rows = lab.json("log", "--type", "job", "--type", "call", "-n", "100")
    ids = [each.get("id") or each["call_hash"] for each in rows]
    assert len(ids) > 16  # so that two of them start in the same way
    name = Counter(each[0] for each in ids).most_common(1)[0][0].upper()
    assert lab("dataset", "register", name, "left.txt").code == 0

    done = lab("retract", name, "--reason", "a bad disk")

    assert done.code == 2 and "stands for several records (Dataset " in done.err
    assert f"taskgraph dataset retract {name}" in done.err
    assert lab("dataset", "retract", name, "--reason", "a bad disk").code == 0
