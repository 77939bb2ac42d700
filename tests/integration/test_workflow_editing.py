"""Steps of stored workflows are edited: positions have no gaps, and arguments fit their tasks."""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

import taskgraph
from taskgraph import task
from taskgraph.archive import Archive
from taskgraph.catalog.uses import WantedUses
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.errors import (
    AmbiguousIdError,
    ConflictError,
    NotAPermutationError,
    ReservedArgumentError,
    StepNotFoundError,
    StillInUseError,
    UnknownFilterError,
    ValidationError,
    WorkflowInUseError,
    WorkflowNotFoundError,
)
from taskgraph.jsontext import to_json
from taskgraph_backend.integrity import check


@task(namespace="edited", version="1", input_type="cmip6")
def read(files: list[Any], unit: str = "K", limit: int | None = None) -> int:
    return len(files)


@task(namespace="edited", version="1", output_type="plot")
def scale(number: int, by: int = 2, **others: Any) -> int:
    return number * by


@task(
    namespace="edited",
    version="1",
    args_schema={
        "type": "object",
        "properties": {"level": {"$ref": "#/$defs/Level", "default": "low"}, "metadata": {}},
        "$defs": {"Level": {"enum": ["low", "high"]}},
        "required": ["metadata"],
    },
)
def plot(number: int, level: str = "low", metadata: Any = None) -> int:
    return number


def tasks_of(flow: Workflow) -> list[str]:
    assert [each.position for each in flow.steps] == list(range(len(flow.steps)))
    return [each.task.partition(".")[2] for each in flow.steps]


def several(tg: Archive, *names: str) -> Workflow:
    return tg.workflows.create("w", steps=[f"x.{each}" for each in names])


# Adding


def test_a_step_is_put_where_it_is_said(tg: Archive) -> None:
    tg.workflows.create("w")

    first = tg.workflows.add_step("w", "x.b")
    tg.workflows.add_step("w", "x.d")
    tg.workflows.add_step("w", "x.c", position=1)
    tg.workflows.add_step("w", "x.a", position=0)
    last = tg.workflows.add_step("w", "x.b", position=4, args={"again": True})

    assert tasks_of(tg.workflows.get("w")) == ["a", "b", "c", "d", "b"]
    assert (first.position, last.position, last.args) == (0, 4, {"again": True})
    assert tg.workflows.step(first.id[:10]).position == 1
    assert tg.workflows.of_step(first).name == "w"
    assert check(tg.backend) == []


@pytest.mark.parametrize("position", [-1, 3, 2.0, True, "0"])
def test_a_position_that_is_none_is_refused(tg: Archive, position: Any) -> None:
    several(tg, "a", "b")

    with pytest.raises(ValidationError, match="position"):
        tg.workflows.add_step("w", "x.c", position=position)
    assert tasks_of(tg.workflows.get("w")) == ["a", "b"]


def test_arguments_are_the_defaults_and_on_top_what_is_given(tg: Archive) -> None:
    tg.workflows.create("w")

    assert tg.workflows.add_step("w", read).args == {"unit": "K"}
    assert tg.workflows.add_step("w", "edited.read", args={"limit": 3}).args == {
        "unit": "K", "limit": 3,
    }  # fmt: skip
    assert tg.workflows.add_step("w", read, args={"unit": "C"}).args == {"unit": "C"}
    assert tg.workflows.add_step("w", "unknown.task", args={}).args is None
    assert tg.workflows.add_step("w", "unknown.task", args={"x": 1}).args == {"x": 1}
    assert tg.workflows.add_step("w", scale, args={"more": [1]}).args == {"by": 2, "more": [1]}


_NUMBERS: Any = {"x": 1.0, "y": -0.0, "z": [1e22, 10**30, {"$float": "1.0"}], "n": 1}


def exact(value: Any) -> str:
    """Return a text that tells numbers apart which compare equal."""
    return json.dumps(value, sort_keys=True)


def test_numbers_stay_what_they_are(tg: Archive) -> None:
    @task(namespace="edited", version="1")
    def weigh(number: int, by: float = 2.0, low: float = -0.0, **others: Any) -> float:
        return number * by

    wanted = exact({"by": 2.0, "low": -0.0, **_NUMBERS})
    made = tg.workflows.create("w", steps=[(weigh, _NUMBERS)])
    copied = tg.workflows.new_version(made)
    (step,) = copied.steps
    pinned = tg.workflows._store.pin(WantedUses(workflow=copied.id))

    assert exact(made.steps[0].args) == exact(step.args) == wanted
    assert exact(pinned.steps[0].args) == wanted
    assert exact(tg.workflows.update_step(step, args={"by": 3}).args) == exact(
        {"by": 3, "low": -0.0}
    )
    assert exact(tg.workflows.update_step(step).args) == exact({"by": 3, "low": -0.0})
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValidationError, match="not a JSON number"):
            tg.workflows.update_step(step, args={"by": wrong})


def test_a_step_may_have_the_default_of_its_task(tg: Archive) -> None:
    @task(namespace="edited", version="1")
    def loose(
        number: int,
        by: int = None,  # type: ignore[assignment]  # noqa: RUF013 - as people write it
        how: int = "auto",  # type: ignore[assignment]  # the same
    ) -> int:
        return number

    tg.workflows.create("w")

    assert tg.workflows.add_step("w", loose).args == {"how": "auto"}
    assert tg.workflows.add_step("w", loose, args={"by": None, "how": 2}).args == {
        "by": None, "how": 2,
    }  # fmt: skip


def test_types_come_with_the_step(tg: Archive) -> None:
    tg.workflows.create("w", steps=[read, "unknown.task"])
    tg.workflows.add_step("w", scale)

    found = tg.workflows.get("w")
    assert [(each.input_type, each.output_type) for each in found.steps] == [
        ("cmip6", "Any"), ("Any", "Any"), ("Any", "plot"),
    ]  # fmt: skip
    copied = tg.workflows.new_version(found)
    assert [each.output_type for each in copied.steps] == ["Any", "Any", "plot"]


@pytest.mark.parametrize("name", ["component", "input_paths", "metadata", "output_path"])
def test_what_is_only_given_when_it_runs_is_refused(tg: Archive, name: str) -> None:
    tg.workflows.create("w", steps=["x.a"])
    (step,) = tg.workflows.get("w").steps

    with pytest.raises(ReservedArgumentError, match="Name the parameter otherwise"):
        tg.workflows.add_step("w", scale, args={name: 1})
    with pytest.raises(ReservedArgumentError):
        tg.workflows.update_step(step, args={name: 1})


def test_arguments_are_held_against_the_schema(
    tg: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonschema")
    tg.workflows.create("w")

    # What is required and only given when it runs is not missing.
    step = tg.workflows.add_step("w", plot, args={"level": "high"})
    assert step.args == {"level": "high"}
    with pytest.raises(ValidationError, match=r"arguments of step edited\.plot: level: 'middle'"):
        tg.workflows.add_step("w", plot, args={"level": "middle"})
    with pytest.raises(ValidationError, match="limit: 'C' is nothing that is allowed"):
        tg.workflows.add_step("w", read, args={"limit": "C"})
    with pytest.raises(ValidationError, match=r"parameter 'units'\. There are: files, unit, limit"):
        tg.workflows.add_step("w", read, args={"units": "C"})
    with pytest.raises(ValidationError, match="'number' is its first parameter"):
        tg.workflows.add_step("w", scale, args={"number": 1})
    with pytest.raises(ValidationError, match="level: 3"):
        tg.workflows.update_step(step, args={"level": 3})

    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ValidationError, match=r"pip install 'taskgraph\[schema\]'"):
        tg.workflows.add_step("w", plot, args={"level": "high"})
    with pytest.raises(ValidationError, match="no parameter 'lvl'"):
        tg.workflows.add_step("w", plot, args={"lvl": "high"})
    assert tg.workflows.add_step("w", read, args={"unit": "C"}).args == {"unit": "C"}


def a_package(tg: Archive, name: str, task: str, *, active: bool = True, **said: Any) -> None:
    """Write down a package with one task, as one that was collected."""

    def write(driver: Any) -> None:
        key = bytearray.fromhex(f"{random.getrandbits(128):032x}")
        owner = said.get("owner")
        row = (key, name, "1.0", name, active, owner, None, "[]", None, 1, None)
        driver.execute(
            "INSERT INTO task_package (id, name, version, origin, active, owner_id, user_group_id,"
            " requirements, frozen, created_at, last_used_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        schema = said.get("schema")
        driver.execute(
            "INSERT INTO package_task (package_id, name, task_hash, version, args_schema,"
            " input_type, output_type, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key, task, said.get("task_hash"), said.get("version"),
                None if schema is None else to_json(schema),
                said.get("input_type", "Any"), said.get("output_type", "Any"), "",
            ),
        )  # fmt: skip

    tg.backend._transact(write)


def test_what_a_package_says_counts_where_the_task_is_not_defined(tg: Archive) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 5}}}
    a_package(tg, "far", "far.task", schema=schema, input_type="cmip6", output_type="plot")
    tg.workflows.create("w")

    step = tg.workflows.add_step("w", "far.task")

    assert (step.args, step.input_type, step.output_type) == ({"n": 5}, "cmip6", "plot")
    with pytest.raises(ValidationError, match="n: 'x' is not of type"):
        tg.workflows.update_step(step, args={"n": "x"})


# Changing


def test_arguments_are_reset_and_options_merged(tg: Archive) -> None:
    tg.workflows.create(
        "w", steps=[{"task": read, "args": {"limit": 3}, "options": {"retries": 1}}]
    )
    (step,) = tg.workflows.get("w").steps

    same = tg.workflows.update_step(step)
    assert (same.args, same.options) == ({"unit": "K", "limit": 3}, {"retries": 1})
    changed = tg.workflows.update_step(step, args={"unit": "C"})
    assert (changed.args, changed.options) == ({"unit": "C"}, {"retries": 1})
    reset = tg.workflows.update_step(step.id, args=None)
    assert reset.args == {"unit": "K"}
    merged = tg.workflows.update_step(step.id[:12], options={"timeout": 5, "retries": 2})
    assert merged.options == {"retries": 2, "timeout": 5}
    gone = tg.workflows.update_step(step, options={"retries": None, "cpus": None})
    assert (gone.options, gone.args) == ({"timeout": 5}, {"unit": "K"})
    with pytest.raises(ValidationError, match="no such option"):
        tg.workflows.update_step(step, options={"retry": 1})
    assert tg.workflows.step(step).options == {"timeout": 5}


def test_of_a_task_without_defaults_empty_arguments_are_none(tg: Archive) -> None:
    several(tg, "a")
    (step,) = tg.workflows.get("w").steps
    tg.workflows.update_step(step, args={"x": 1})

    assert tg.workflows.update_step(step, args={}).args is None


def test_a_step_that_is_not_there_is_said(tg: Archive) -> None:
    flow = several(tg, "a", "b")
    gone = flow.steps[0]
    tg.workflows.remove_step(gone)

    for change in (
        lambda: tg.workflows.update_step(gone, options={"retries": 1}),
        lambda: tg.workflows.remove_step(gone.id),
        lambda: tg.workflows.step("no hex digits"),
        lambda: tg.workflows.of_step("f" * 32),
    ):
        with pytest.raises(StepNotFoundError, match="taskgraph workflow show"):
            change()
    with pytest.raises(ValidationError):
        tg.workflows.update_step(3)  # type: ignore[arg-type]
    with pytest.raises(WorkflowNotFoundError):
        tg.workflows.add_step("v", "x.a")


def test_a_step_with_many_of_the_same_start_is_ambiguous(tg: Archive) -> None:
    several(tg, *[f"t{number}" for number in range(17)])  # more than first digits there are
    starts = [each.id[0] for each in tg.workflows.get("w").steps]
    twice = next(each for each in starts if starts.count(each) > 1)

    with pytest.raises(AmbiguousIdError):
        tg.workflows.step(twice)


def test_those_behind_a_removed_step_move_up(tg: Archive) -> None:
    flow = several(tg, "a", "b", "c", "d")

    assert tasks_of(tg.workflows.remove_step(flow.steps[1])) == ["a", "c", "d"]
    assert tasks_of(tg.workflows.remove_step(flow.steps[3])) == ["a", "c"]
    assert tasks_of(tg.workflows.remove_step(flow.steps[0])) == ["c"]
    assert tasks_of(tg.workflows.remove_step(flow.steps[2])) == []
    assert tasks_of(tg.workflows.get("w")) == []


# Order


@pytest.mark.parametrize("count", range(6))
def test_each_permutation_is_an_order(tg: Archive, count: int) -> None:
    flow = several(tg, *"abcde"[:count])
    names = {each.id: each.task.partition(".")[2] for each in flow.steps}

    for order in itertools.permutations(names):
        found = tg.workflows.reorder("w", order)
        assert tasks_of(found) == [names[each] for each in order]

    assert {each.id for each in tg.workflows.get("w").steps} == set(names)


def test_what_is_no_permutation_is_refused(tg: Archive) -> None:
    flow = several(tg, "a", "b", "c")
    other = tg.workflows.create("other", steps=["x.a"])
    a, b, c = (each.id for each in flow.steps)

    for wrong, match in (
        ([a, b], "is not named"),
        ([], "3 steps"),
        ([a, b, c, a], "more than once"),
        ([a, a, b], "more than once"),
        ([a, b, other.steps[0].id], "no step of it"),
        ([a, b, c, "f" * 32], "no step of it"),
        ([a, b, "no id"], "no step of it"),
    ):
        with pytest.raises(NotAPermutationError, match=match) as caught:
            tg.workflows.reorder(flow, wrong)
        assert isinstance(caught.value, ValidationError)
        assert caught.value.workflow == "w@1"
    with pytest.raises(ValidationError, match="a list of steps"):
        tg.workflows.reorder(flow, a)
    assert tasks_of(tg.workflows.get("w")) == ["a", "b", "c"]
    assert tasks_of(tg.workflows.reorder(flow, [flow.steps[2], a[:12], b])) == ["c", "a", "b"]


# Many at once


def test_many_who_edit_at_once_leave_no_gap(database_uri: str, tg: Archive) -> None:
    flow = several(tg, *"abcdef")
    gate = threading.Barrier(4)
    odd: list[BaseException] = []

    def edit(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with taskgraph.open(database_uri) as mine:
                gate.wait()
                for number in range(12):
                    _edit(mine, chance, f"x.t{seed}{number}")
        except BaseException as error:
            odd.append(error)

    def _edit(mine: Archive, chance: random.Random, name: str) -> None:
        steps = list(mine.workflows.get(flow.id).steps)
        match chance.randrange(3):
            case 0:
                mine.workflows.add_step(flow.id, name, position=0)
            case 1 if steps:
                with suppress(StepNotFoundError):  # somebody was quicker
                    mine.workflows.remove_step(chance.choice(steps))
            case _:
                chance.shuffle(steps)
                with suppress(NotAPermutationError):  # they are not the steps any more
                    mine.workflows.reorder(flow.id, steps)

    threads = [threading.Thread(target=edit, args=[seed]) for seed in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert odd == []
    tasks_of(tg.workflows.get(flow.id))  # which looks at the positions
    assert check(tg.backend) == []


def test_of_those_who_add_at_once_each_has_a_place(database_uri: str, tg: Archive) -> None:
    tg.workflows.create("w")
    gate = threading.Barrier(6)

    def add(number: int) -> None:
        with taskgraph.open(database_uri) as mine:
            gate.wait()
            for _ in range(3):
                mine.workflows.add_step("w", f"x.t{number}")

    threads = [threading.Thread(target=add, args=[number]) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(tasks_of(tg.workflows.get("w"))) == sorted([f"t{n}" for n in range(6)] * 3)


def test_who_applies_while_others_edit_is_given_one_order(database_uri: str, tg: Archive) -> None:
    made = several(tg, "a", "b", "c")
    orders = list(itertools.permutations(made.steps))
    seen: set[tuple[str, ...]] = set()

    def edit() -> None:
        with taskgraph.open(database_uri) as mine:
            for order in orders * 5:
                mine.workflows.reorder(made, order)
                step = mine.workflows.add_step(made, "x.d", position=1)
                mine.workflows.remove_step(step)

    editor = threading.Thread(target=edit)
    editor.start()
    while True:
        is_last = not editor.is_alive()
        pinned = tg.workflows._store.pin(WantedUses(workflow="w", first_step=0))
        assert [each.position for each in pinned.steps] == list(range(len(pinned.steps)))
        seen.add(tuple(sorted(each.task_name for each in pinned.steps)))
        if is_last:
            break
    editor.join()

    assert ("x.a", "x.b", "x.c") in seen
    assert seen <= {("x.a", "x.b", "x.c"), ("x.a", "x.b", "x.c", "x.d")}


# Versions


def test_a_new_version_is_a_copy_that_is_not_promoted(tg: Archive) -> None:
    first = tg.workflows.create(
        "w", namespace="n", study="s", version=3, steps=[read, (scale, {"by": 3})],
        meta={"script": "flow.py"},
    )  # fmt: skip
    tg.workflows.disable(first)

    made = tg.workflows.new_version("n.w")

    assert (made.label, made.promoted, made.enabled, made.study) == ("n.w@4", False, True, "s")
    assert made.meta == first.meta
    assert [(e.task, e.args, e.options) for e in made.steps] == [
        (e.task, e.args, e.options) for e in first.steps
    ]
    assert not {each.id for each in made.steps} & {each.id for each in first.steps}
    tg.workflows.remove_step(made.steps[0])
    assert len(tg.workflows.get(first).steps) == 2
    assert tg.workflows.new_version(first).version == 5
    with pytest.raises(WorkflowNotFoundError):
        tg.workflows.new_version("v")


def test_of_many_who_copy_at_once_each_gets_a_version(database_uri: str, tg: Archive) -> None:
    several(tg, "a")
    gate = threading.Barrier(5)
    made: list[int] = []

    def copy() -> None:
        with taskgraph.open(database_uri) as mine:
            gate.wait()
            made.append(mine.workflows.new_version("w").version)

    threads = [threading.Thread(target=copy) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(made) == [2, 3, 4, 5, 6]


def test_a_workflow_is_switched_off_and_on(tg: Archive) -> None:
    several(tg, "a")

    assert tg.workflows.disable("w").enabled is False
    assert tg.workflows.get("w").enabled is False
    assert tg.workflows.enable("w").enabled is True
    with pytest.raises(WorkflowNotFoundError):
        tg.workflows.enable("v")


# Deleting


def test_what_was_deleted_is_kept_by_those_who_ran_it(tg: Archive) -> None:
    flow = several(tg, "a", "b")
    done = tg.executions.create("w", workflow="w", state="COMPLETED").execution
    frozen = tg.executions.snapshot(done)

    would = tg.workflows.delete("w", dry_run=True)
    assert (would.is_dry_run, tg.workflows.get(flow).label) == (True, "w@1")
    gone = tg.workflows.delete(flow)

    assert (gone.workflow, gone.executions, gone.groups, gone.promoted) == ("w@1", 1, 0, None)
    assert tg.workflows.find("w") is None
    assert tg.executions.get(done).workflow_id is None
    assert tg.executions.snapshot(done) == frozen
    assert [each["task"] for each in frozen["workflow"]["steps"]] == ["x.a", "x.b"]
    assert check(tg.backend) == []
    with pytest.raises(WorkflowNotFoundError):
        tg.workflows.delete("w")


def test_what_is_in_use_is_not_deleted(tg: Archive) -> None:
    several(tg, "a")
    active = tg.executions.create("w", workflow="w").execution

    for dry_run in (True, False):
        with pytest.raises(StillInUseError, match=active.id[:8]) as caught:
            tg.workflows.delete("w", dry_run=dry_run)
        assert isinstance(caught.value, ConflictError)
    tg.executions.set_state(active, "CANCELLED")
    assert tg.workflows.delete("w").executions == 1


def test_groups_go_only_if_that_is_said(tg: Archive, tmp_path: Any) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    tg.datasets.register("a", [str(path)], facets={"model": "A"})
    several(tg, "a")
    tg.groups.plan("w", group_by=["model"])

    with pytest.raises(WorkflowInUseError, match=r"1 group\. Delete these with it"):
        tg.workflows.delete("w")
    assert tg.workflows.delete("w", groups=True).groups == 1
    assert tg.groups.count(include_superseded=True) == 0
    assert check(tg.backend) == []


def test_the_highest_that_is_left_is_meant_from_then_on(tg: Archive) -> None:
    several(tg, "a")
    for _ in range(2):
        tg.workflows.new_version("w")

    assert tg.workflows.delete("w@2").promoted is None
    assert tg.workflows.delete("w@1").promoted == "w@3"
    assert tg.workflows.get("w").version == 3
    assert tg.workflows.get("w").promoted


# Listing


def test_workflows_are_listed_by_what_is_asked(tg: Archive) -> None:
    tg.workflows.create("mean", namespace="climate", study="s", steps=[read, scale])
    tg.workflows.create("max", namespace="climate", steps=["x.a"])
    tg.workflows.create("mean", version=7)
    tg.workflows.new_version("climate.mean")
    tg.workflows.disable("climate.max")

    def labels(where: Any = None, **how: Any) -> list[str]:
        found = [each.label for each in tg.workflows.list(where, **how)]
        if not how:
            assert tg.workflows.count(where) == len(found)
        return found

    assert labels() == ["mean@7", "climate.max@1", "climate.mean@1"]
    assert labels({"name": {"like_": "MEA"}}) == ["mean@7", "climate.mean@1"]
    assert labels({"namespace": {"any_": ["climate"]}}) == ["climate.max@1", "climate.mean@1"]
    assert labels({"study": {"any_": ["s"]}}) == ["climate.mean@1"]
    assert labels({"task": {"any_": ["edited.scale"]}}) == ["climate.mean@1"]
    assert labels({"task": {"not_any_": ["edited.scale"]}}) == ["mean@7", "climate.max@1"]
    assert labels({"enabled": {"is_": False}}) == ["climate.max@1"]
    assert labels({"workflow": {"any_": ["climate.mean@2"]}}, include_superseded=True) == [
        "climate.mean@2"
    ]
    assert labels(limit=1, offset=1) == ["climate.max@1"]
    with pytest.raises(UnknownFilterError, match="namespace"):
        labels({"tags": {"any_": ["a"]}})


def test_a_page_that_is_none_is_refused(tg: Archive) -> None:
    for page in ({"limit": 0}, {"offset": -1}):
        with pytest.raises(ValidationError, match=r"limit|offset"):
            tg.workflows.list(**page)


def test_a_number_that_is_too_large_is_refused_by_what_is_so(tg: Archive) -> None:
    with pytest.raises(ValidationError, match=r"offset: expected 46116\d* at most"):
        tg.workflows.list(offset=10**30)
    with pytest.raises(ValidationError, match=r"limit: expected 46116\d* at most"):
        tg.workflows.list(limit=10**30)
    with pytest.raises(ValidationError, match="expected 2147483647 at most, not 1099511627776"):
        tg.workflows.create("wide", version=2**40, steps=["edited.f"])
