"""Only the groups run again whose inputs changed; what was submitted can be run once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import File
from tests.acceptance.space import Space

_FLOW = '''
    """Means of models."""
    from pathlib import Path

    from taskgraph import File, task

    taskgraph_namespace = "climate"


    @task
    def read(files: list[File]) -> list[float]:
        with Path("ran.txt").open("a") as log:
            print("read", ",".join(sorted(Path(each.path).name for each in files)), file=log)
        return [float(each.read()) for each in files]


    @task
    def mean(numbers: list[float], digits: int = 1) -> float:
        return round(sum(numbers) / len(numbers), digits)
'''


@pytest.fixture
def models(space: Any, database_uri: str) -> Any:
    """A project with a database of each kind, four datasets of two models, and a workflow."""
    space.write("flow.py", _FLOW)
    space.write(".taskgraph/config.toml", f"""
        [backend]
        db_uri = {json.dumps(database_uri)}
        automigrate = true
    """)  # fmt: skip
    space.write_dataset = lambda *given: _register(space, database_uri, *given)
    for number, model in enumerate(["A", "A", "B", "B"]):
        space.write_dataset(f"{model}{number}", str(number), model)
    made = space("workflow", "create", "climate.mean", "flow.py", "read", "mean digits=2",
                 "--group-by", "model", "--study", "nightly")  # fmt: skip
    assert made.code == 0, made.err
    assert "climate.mean@1, of 2 steps." in made.out
    return space


def _register(space: Space, uri: str, name: str, content: str, model: str) -> None:
    path = space.write(f"data/{name}.txt", content)
    settings = space.folder / ".taskgraph"
    with taskgraph.open(uri, migrate=True) as tg:
        given = [File(str(path))]
        tg.datasets.register(name, given, type="cmip6", facets={"model": model})
    assert settings.is_dir()


def ran(space: Any) -> list[str]:
    path: Path = space.folder / "ran.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def reasons(space: Any, *words: str) -> dict[str, str]:
    found = space.json("group", "plan", "climate.mean", *words)["decisions"]
    return {each["group"]["key"]: each["reason"] for each in found}


def test_a_plan_is_of_the_datasets_of_one_study_if_others_have_their_names(models: Any) -> None:
    given = ("--type", "cmip6", "--facet", "model=A", "--study", "mine")
    assert models("dataset", "register", "A0", "data/A0.txt", *given).code == 0

    both = models("group", "plan", "climate.mean")
    assert both.code == 2
    assert "two of them are called 'A0'" in both.err and "--study" in both.err
    (mine,) = models.json("group", "plan", "climate.mean", "--study", "mine")["decisions"]
    assert mine["datasets"] == ["A0"]
    of_both = ("--study", "mine", "--dataset", "A0", "--dataset", "A1")
    (some,) = models.json("group", "plan", "climate.mean", *of_both)["decisions"]
    assert some["datasets"] == ["A0", "A1"]
    assert models("group", "plan", "climate.mean", "--study", "gone").code == 3


def test_where_no_group_is_meant_it_is_said_what_was_asked_for(models: Any) -> None:
    models("group", "plan", "climate.mean")

    nothing = models("group", "list", "--facet", "model=C", "--key", "x", "--clean", "--failed")

    asked = "--facet model=C --key x --clean --failed"
    assert nothing.out == f"None of 2 groups is meant by {asked}.\n"


def test_rerun_only_the_groups_whose_inputs_changed(models: Any) -> None:
    assert reasons(models) == {"model=A": "never_run", "model=B": "never_run"}
    assert "it never ran" in models("group", "plan", "climate.mean").out
    first = models("group", "run", "climate.mean")
    assert (first.code, first.out.count("Completed")) == (0, 2), first.err
    assert ran(models) == ["read A0.txt,A1.txt", "read B2.txt,B3.txt"]
    assert reasons(models) == {"model=A": "up_to_date", "model=B": "up_to_date"}
    nothing = models("group", "run", "climate.mean")
    assert (nothing.code, nothing.out) == (0, "Nothing is to run: 2 groups of climate.mean@1.\n")

    models.write_dataset("B3", "30", "B")
    assert reasons(models) == {"model=A": "up_to_date", "model=B": "inputs_changed"}
    again = models.json("group", "run", "climate.mean")["executions"]
    assert [each["name"] for each in again] == ["mean model=B"]
    assert ran(models) == ["read B2.txt,B3.txt"]

    models("group", "flag-dirty", "model=A", "--recompute")
    assert reasons(models) == {"model=A": "dirty", "model=B": "up_to_date"}
    models("group", "run", "climate.mean")
    assert ran(models) == ["read A0.txt,A1.txt"]
    (stats,) = models.json("group", "stats")["stats"]
    assert (stats["successful"], stats["dirty"], stats["total"]) == (2, 0, 2)
    assert models.json("execution", "list", "--study", "nightly", "--count") == {"count": 4}


def test_a_failed_group_fails_the_command_and_runs_again_if_asked_for(models: Any) -> None:
    models.write_dataset("A0", "no number", "A")

    failed = models("group", "run", "climate.mean")

    assert failed.code == 1
    assert "is FAILED. Why: taskgraph log" in failed.err and "Traceback" not in failed.err
    assert reasons(models) == {"model=A": "failed_not_dirty", "model=B": "up_to_date"}
    assert reasons(models, "--rerun-failed")["model=A"] == "retry_failed"
    listed = models.json("group", "list", "--failed")["groups"]
    assert [each["key"] for each in listed] == ["model=A"]
    assert listed[0]["newest"]["status"] == "FAILED"


def test_what_would_run_is_shown_and_cut(models: Any) -> None:
    shown = models.json("group", "run", "climate.mean", "--limit", "1", "--dry-run")
    assert [each["group"]["key"] for each in shown["decisions"]] == ["model=A"]
    assert ran(models) == []
    assert models("group", "run", "climate.mean", "--one-per", "workflow").code == 0
    assert ran(models) == ["read A0.txt,A1.txt"]
    assert reasons(models, "--stale-after", "6h")["model=A"] == "up_to_date"
    assert (
        "cmip6.model=B" in models("group", "plan", "climate.mean", "--group-by", "cmip6.model").out
    )


def test_an_execution_is_run_once_more_as_it_was_submitted(models: Any) -> None:
    models("group", "run", "climate.mean", "--limit", "1")
    ran(models)
    first = models.json("execution", "show", "-")
    models.write_dataset("A0", "70", "A")

    refused = models("execution", "rerun", first["id"][:12])
    assert (refused.code, "dataset 'A0'" in refused.err) == (1, True), refused.err
    (today,) = models.json("execution", "rerun", first["id"], "--today")["executions"]
    assert (today["status"], today["entrypoint"]) == ("DONE", "climate.mean")
    assert ran(models) == ["read A0.txt,A1.txt"]
    cached = models.json("execution", "rerun", "-", "--idempotency-key", "again")["executions"]
    once = models.json("execution", "rerun", "-", "--idempotency-key", "again")["executions"]
    assert cached == once
    assert ran(models) == []
    assert models("execution", "rerun", "-", "--no-cache").code == 0
    assert ran(models) == ["read A0.txt,A1.txt"]


def test_a_plain_run_is_run_once_more_too(flow: Any) -> None:
    flow("run", "--study", "s", "--tag", "team=ml", "flow.py", "main", "--n", "1")
    flow.ran()

    done = flow("execution", "rerun", "-", "--no-cache")

    assert done.code == 0, done.err
    assert flow.ran() == ["clean in0.txt", "join"]
    found = flow.json("execution", "show", "-", "--snapshot")
    assert (found["study"], found["tags"]["team"]) == ("s", ["ml"])
    assert found["parameters"] == found["submitted"]["parameters"]
    flow("run", "flow.py", "half", "--x", "3")
    again = flow("execution", "rerun", "-")
    assert (again.code, "FAILED" in again.err) == (1, True)
    assert flow("execution", "rerun", "nowhere").code == 3


def test_groups_are_deleted_by_a_filter_after_a_question(models: Any) -> None:
    models("group", "run", "climate.mean")

    assert models("group", "delete").code == 2
    shown = models("group", "delete", "--facet", "model=A", "--dry-run")
    assert shown.out == "1 group with 1 execution would go.\n"
    kept = models.typing("n\n", "group", "delete", "--facet", "model=A")
    assert (kept.code, len(models.json("group", "list")["groups"])) == (0, 2)
    gone = json.loads(models("group", "delete", "--facet", "model=A", "--yes", "--json").out)
    assert (len(gone["groups"]), len(gone["executions"])) == (1, 1)
    assert [each["key"] for each in models.json("group", "list")["groups"]] == ["model=B"]
    nothing = models("group", "delete", "--facet", "model=A", "--yes")
    assert nothing.out == "Nothing is meant by that: nothing was deleted.\n"


def test_versions_of_a_workflow_are_listed_and_promoted(models: Any) -> None:
    second = models("workflow", "create", "climate.mean", "flow.py", "read", "--version", "2")
    assert "not promoted" in second.out
    taken = models("workflow", "create", "climate.mean", "flow.py", "read")
    assert (taken.code, "Create version 3" in taken.err) == (4, True)

    assert models("workflow", "promote", "climate.mean@2").out == "climate.mean@2 is promoted.\n"
    listed = models.json("workflow", "list", "--all")["workflows"]
    assert [(each["version"], each["promoted"]) for each in listed] == [(1, False), (2, True)]
    assert listed[0]["steps"][1]["args"] == {"digits": 2}
    assert "climate.mean@2" in models("workflow", "list").out
    assert "By which facets" in models("group", "plan", "climate.mean@2").err


_REFUSED = [
    (("workflow", "promote", "nothing"), 3, "There is no workflow"),
    (("workflow", "create", "w", "flow.py", "nothing"), 3, "nothing"),
    (("workflow", "create", "w", "flow.py", "mean x"), 2, "expected NAME=VALUE"),
    (("workflow", "create", "w", "flow.py", "mean x=1"), 2, "There are: numbers, digits"),
    (("workflow", "create", "w", "flow.py", "mean metadata=1"), 2, "kept for"),
    (("workflow", "create", "a@b", "flow.py", "mean"), 2, "is a version"),
    (("group", "plan", "nothing"), 3, "There is no workflow"),
    (("group", "plan", "climate.mean", "--dataset", "x"), 3, "There is no dataset"),
    (("group", "plan", "climate.mean", "--stale-after", "3"), 2, "expected a time"),
    (("group", "flag-dirty", "nothing"), 3, "There is no execution group"),
    (("group", "stats", "--by", "colour"), 2, "namespace or workflow"),
]


def test_what_cannot_be_done_is_said(models: Any) -> None:
    for words, code, said in _REFUSED:
        done = models(*words)

        found = done.code, said in done.err, "Traceback" in done.err
        assert found == (code, True, False), (words, done.err)


def test_before_anything_is_stored_there_is_nothing_and_nothing_is_made(space: Any) -> None:
    assert "taskgraph workflow create" in space("workflow", "list").out
    assert "taskgraph group plan" in space("group", "list").out
    assert "taskgraph group plan" in space("group", "stats").out
    assert space("group", "plan", "w").code == 3
    assert space("group", "run", "w").code == 3
    assert space("group", "flag-dirty", "g").code == 3
    assert space("workflow", "promote", "w@1").code == 3
    assert space("execution", "rerun", "-").code == 3
    assert list(space.folder.iterdir()) == []
