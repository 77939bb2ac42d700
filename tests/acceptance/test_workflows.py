"""Stored workflows are edited and applied from a shell, on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import File

_FLOW = '''
    """Means of data."""
    from pathlib import Path

    from taskgraph import File, task

    taskgraph_namespace = "climate"


    @task(input_type="cmip6")
    def read(files: list[File], unit: str = "K") -> list[float]:
        with Path("ran.txt").open("a") as log:
            print("read", unit, file=log)
        return [float(each.read()) for each in files]


    @task
    def mean(numbers: list[float], digits: int = 1) -> float:
        return round(sum(numbers) / len(numbers), digits)


    @task(output_type="text")
    def write(number: float, name: str = "mean.txt") -> File:
        made = File(name)
        made.write(str(number))
        return made
'''


def _climate(space: Any, uri: str) -> Any:
    """Make a project with two datasets to read, one to write, and a workflow."""
    space.write("flow.py", _FLOW)
    space.write(".taskgraph/config.toml", f"""
        [backend]
        db_uri = {json.dumps(uri)}
        automigrate = true
    """)  # fmt: skip
    for name, content in (("tas", "1"), ("pr", "4")):
        space.write(f"{name}.txt", content)
    # As `taskgraph dataset register` does it.
    with taskgraph.open(space.folder, migrate=True) as tg:
        for name in ("tas", "pr"):
            tg.datasets.register(name, File(str(space.folder / f"{name}.txt")), type="cmip6")
        tg.datasets.register("means", [], type="text")
    made = space("workflow", "create", "climate.mean", "flow.py", "read", "mean", "write")
    assert made.code == 0, made.err
    return space


@pytest.fixture
def climate(space: Any) -> Any:
    """A project with a database in a file."""
    return _climate(space, f"sqlite:///{space.folder / 'records.db'}")


@pytest.fixture
def shared(space: Any, database_uri: str) -> Any:
    """The same with a database of each kind."""
    return _climate(space, database_uri)


def shown(space: Any, name: str = "climate.mean") -> list[str]:
    steps = space.json("workflow", "show", name)["steps"]
    assert [each["position"] for each in steps] == list(range(len(steps)))
    return [each["task"].rpartition(".")[2] for each in steps]


def ran(space: Any) -> list[str]:
    path: Path = space.folder / "ran.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_a_stored_workflow_is_applied_with_a_frozen_copy_of_what_was_submitted(
    shared: Any,
) -> None:
    inputs = ("--input", "tas", "--input", "pr")
    done = shared("workflow", "apply", "climate.mean", *inputs, "--output", "means", "--here")
    assert (done.code, ran(shared)) == (0, ["read K"]), done.err
    assert (shared.folder / "mean.txt").read_text() == "2.5"
    assert shared.json("dataset", "show", "means")["files"] == ["mean.txt"]
    (first,) = shared.json("dataset", "history", "means")["executions"]

    said = ("--key", "k", "--queue", "gpu", "--priority", "2", "--tag", "team=ml")
    waiting = shared("workflow", "apply", "climate.mean", *inputs, "--output", "means", *said)
    assert waiting.code == 0, waiting.err
    assert "it waits in queue gpu for a worker" in waiting.out
    once = ("--output", "means", "--key", "k")
    again = shared.json("workflow", "apply", "climate.mean", *inputs, *once)
    assert again["id"].startswith(waiting.out[:8])
    frozen = shared.json("execution", "show", again["id"], "--snapshot")["snapshot"]
    taken = shared("workflow", "apply", "climate.mean", *inputs, "--output", "means")
    assert (taken.code, again["id"][:8] in taken.err) == (4, True)

    # All of it is changed afterwards, and deleted as far as can be.
    assert shared("workflow", "update-step", "climate.mean:0", "unit=C").code == 0
    assert shared("workflow", "reorder", "climate.mean", "2", "0", "1").code == 0
    assert shared("workflow", "remove-step", "climate.mean:1").code == 0
    assert shown(shared) == ["write", "mean"]
    assert shared("workflow", "delete", "climate.mean", "--yes").code == 4
    shared.write("tas.txt", "100")
    shared("dataset", "register", "tas", "tas.txt")
    assert shared.json("execution", "show", again["id"], "--snapshot")["snapshot"] == frozen
    shared("execution", "cancel", again["id"])
    assert shared("workflow", "delete", "climate.mean", "--yes").code == 0
    shared.write("tas.txt", "1")
    once_more = shared("execution", "rerun", first["id"], "--no-cache")
    assert (once_more.code, ran(shared)) == (0, ["read K"]), once_more.err
    assert shared("db", "check").code == 0


def test_steps_are_edited(climate: Any) -> None:
    added = climate("workflow", "add-step", "climate.mean", "mean", "digits=3", "--position", "1",
                    "--option", "retries=2")  # fmt: skip
    assert added.code == 0, added.err
    assert "is step 1 of climate.mean@1" in added.out
    assert shown(climate) == ["read", "mean", "mean", "write"]
    (step,) = [each for each in climate.json("workflow", "show", "climate.mean")["steps"]
               if each["position"] == 1]  # fmt: skip
    assert (step["args"], step["options"]) == ({"digits": 3}, {"retries": 2})

    changed = climate.json(
        "workflow", "update-step", step["id"][:12], "--reset", "--no-option", "retries",
        "--option", "timeout=5",
    )  # fmt: skip
    assert (changed["args"], changed["options"]) == ({"digits": 1}, {"timeout": 5})
    order = ["3", "2", "1", "0"]
    assert climate("workflow", "reorder", "climate.mean", *order).code == 0
    assert shown(climate) == ["write", "mean", "mean", "read"]
    wrong = climate("workflow", "reorder", "climate.mean", "0", "1", "2")
    assert (wrong.code, "4 steps" in wrong.err) == (2, True)
    assert climate("workflow", "remove-step", "climate.mean:3").code == 0
    assert shown(climate) == ["write", "mean", "mean"]
    assert climate("workflow", "remove-step", "climate.mean:3").code == 3
    page = climate("workflow", "show", "climate.mean").out
    assert "timeout=5" in page and 'name="mean.txt"' in page


def test_versions_are_copied_switched_off_and_deleted(climate: Any) -> None:
    copied = climate("workflow", "new-version", "climate.mean")
    assert "climate.mean@2, of 3 steps. It is not promoted" in copied.out
    assert climate("workflow", "disable", "climate.mean").code == 0
    refused = climate("workflow", "apply", "climate.mean", "--input", "tas", "--output", "means")
    assert (refused.code, "taskgraph workflow enable climate.mean@1" in refused.err) == (4, True)
    assert "(disabled)" in climate("workflow", "list").out
    assert climate.json("workflow", "list", "--enabled", "--count") == {"count": 0}
    assert climate("workflow", "enable", "climate.mean").code == 0

    would = climate("workflow", "delete", "climate.mean", "--dry-run")
    assert would.out == "climate.mean@1 would be deleted; climate.mean@2 is promoted then.\n"
    assert climate.typing("n\n", "workflow", "delete", "climate.mean").code == 0
    assert climate.json("workflow", "list", "--all", "--count") == {"count": 2}
    gone = climate.json("workflow", "delete", "climate.mean")
    assert gone["workflows"][0]["promoted"] == "climate.mean@2"
    assert [each["version"] for each in climate.json("workflow", "list")["workflows"]] == [2]


def test_a_workflow_goes_to_another_project(climate: Any, space: Any) -> None:
    assert climate("workflow", "export", "climate.mean", "-o", "flow.json").code == 0
    spec = json.loads((climate.folder / "flow.json").read_text())
    assert spec["steps"][0]["task"] == "climate.read"
    assert json.loads(climate("workflow", "export", "climate.mean").out) == spec
    known = ("--script", "flow.py")

    taken = climate("workflow", "import", "flow.json", *known)
    assert (taken.code, "Create version 2" in taken.err) == (4, True)
    next_one = ("--version", "next", "--study", "s")
    later = climate.json("workflow", "import", "flow.json", *next_one, *known)
    assert (later["version"], later["promoted"], later["study"]) == (2, False, "s")
    said = {**spec, "steps": [{**spec["steps"][1], "args": {"digits": "many"}}]}
    (climate.folder / "else.json").write_text(json.dumps(said))
    wrong = climate("workflow", "import", "else.json", "--version", "3", *known)
    assert (wrong.code, "not of type 'integer'" in wrong.err) == (2, True)
    said["steps"][0]["task"] = "climate.gone"
    (climate.folder / "gone.json").write_text(json.dumps(said))
    gone = climate("workflow", "import", "gone.json", "--version", "3", *known)
    assert (gone.code, "Task climate.gone" in gone.err) == (3, True)
    for broken in ("{", "[" * 100_000, "\N{BYTE ORDER MARK}{}"):
        climate.write("broken.json", broken)
        assert climate("workflow", "import", "broken.json").code == 2


def test_no_code_is_loaded_that_an_exported_workflow_names(climate: Any) -> None:
    climate.write("odd.py", 'from pathlib import Path\n\nPath("loaded.txt").write_text("")\n')
    spec = json.loads(climate("workflow", "export", "climate.mean").out)
    spec["meta"] = {"script": "odd.py"}
    (climate.folder / "flow.json").write_text(json.dumps(spec))

    done = climate("workflow", "import", "flow.json", "--version", "next")

    assert (done.code, "climate.mean@2, of 3 steps" in done.out) == (0, True), done.err
    assert "Warning: climate.mean, climate.read, climate.write: not known here" in done.err
    assert not (climate.folder / "loaded.txt").exists()


def test_workflows_are_listed_by_filters(climate: Any) -> None:
    climate("workflow", "create", "other", "flow.py", "--study", "s")

    def names(*words: str) -> list[str]:
        return [each["name"] for each in climate.json("workflow", "list", *words)["workflows"]]

    assert names() == ["other", "mean"]
    assert names("--name", "ME") == names("--namespace", "climate") == ["mean"]
    assert names("--task", "climate.write") == ["mean"]
    assert names("--study", "s") == ["other"]
    assert names("--filter", '{"namespace": {"any_": [""]}}') == ["other"]
    assert names("-n", "1") == ["other"]
    nothing = climate("workflow", "list", "--name", "x", "--task", "y", "--disabled")
    assert nothing.out == "None of 2 workflows is meant by --name x --task y --disabled.\n"
    assert climate("workflow", "list", "--filter", "{").code == 2
    assert "It has no steps yet" in climate("workflow", "show", "other").out


# Words, the exit code, and what is said.
_REFUSALS = [
    (("apply", "nope", "--input", "tas", "--output", "means"), 3, "no workflow"),
    (("apply", "climate.mean", "--output", "means"), 2, "--input"),
    (("apply", "climate.mean", "--input", "tas", "--output", "tas"), 2, "of type 'cmip6'"),
    (("apply", "climate.mean", "--input", "tas", "--output", "means", "--steps", "2-1"), 2,
     "no range"),
    (("apply", "climate.mean", "--input", "tas", "--output", "means", "--steps", "x"), 2,
     "FIRST-LAST"),
    (("apply", "climate.mean", "--input", "tas", "--output", "means", "--here", "--queue", "q"),
     2, "--here"),
    (("apply", "climate.mean", "--input", "no", "--output", "means"), 3, "no dataset"),
    (("add-step", "climate.mean", "nothing"), 3, "nothing"),
    (("add-step", "climate.mean", "mean", "digit=1"), 2, "no parameter 'digit'"),
    (("add-step", "climate.mean", "mean", "digits=many"), 2, "is not of type 'integer'"),
    (("add-step", "climate.mean", "mean", "digits"), 2, "NAME=VALUE"),
    (("add-step", "climate.mean", "mean", "metadata=1"), 2, "kept for"),
    (("add-step", "climate.mean", "mean", "--position", "4"), 2, "expected 0 to 3"),
    (("update-step", "climate.mean:7"), 3, "no step"),
    (("update-step", "ffff"), 3, "no step"),
    (("reorder", "climate.mean", "0", "0", "1"), 2, "more than once"),
    (("show", "nope"), 3, "no workflow"),
    (("delete", "nope", "--yes"), 3, "no workflow"),
    (("import", "flow.json"), 2, "flow.json"),
]  # fmt: skip


def test_what_cannot_be_done_is_said(climate: Any) -> None:
    for words, code, match in _REFUSALS:
        done = climate("workflow", *words)

        assert (done.code, match in done.err) == (code, True), (words, done.err)


def test_only_some_steps_are_run(climate: Any) -> None:
    done = climate("workflow", "apply", "climate.mean", "--input", "x=tas", "--input", "pr",
                   "--output", "means", "--steps", "0", "--here", "--json")  # fmt: skip
    assert done.code == 0, done.err

    (execution,) = json.loads(done.out)["executions"]
    assert execution["steps"] == [0, 0]
    assert climate.json("dataset", "show", "means")["files"] == []


def test_without_a_database_there_is_nothing(space: Any) -> None:
    assert "taskgraph workflow create" in space("workflow", "list").out
    for words in (("show", "w"), ("export", "w"), ("remove-step", "w:0"), ("reorder", "w", "0"),
                  ("apply", "w", "--input", "a", "--output", "b")):  # fmt: skip
        assert space("workflow", *words).code == 3


def test_a_rerun_whose_input_is_gone_says_what_to_do_and_which_execution_it_was(
    shared: Any,
) -> None:
    inputs = ("--input", "tas", "--input", "pr")
    done = shared("workflow", "apply", "climate.mean", *inputs, "--output", "means", "--here")
    assert done.code == 0, done.err
    (shared.folder / "tas.txt").unlink()

    failed = shared("execution", "rerun", "-")

    newest = shared.json("execution", "show", "-")
    assert failed.code == 1 and newest["state"]["type"] == "FAILED"
    assert "tas.txt: it is not there any more. Put it back as it was" in failed.err
    assert f"Execution {newest['id'][:8]} has failed by it." in failed.err
