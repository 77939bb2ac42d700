"""What is exported has no ids and no times; imported, it says the same; what is none is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskgraph
from taskgraph import task
from taskgraph.archive import Archive
from taskgraph.catalog.portable import FORMAT
from taskgraph.catalog.workflow_rows import Workflow
from taskgraph.errors import (
    DuplicateVersionError,
    NotFoundError,
    ReservedArgumentError,
    TaskNotFoundError,
    ValidationError,
)
from tests.integration.test_workflow_editing import a_package


@task(namespace="exported", version="3", input_type="cmip6", output_type="text")
def first(files: list[Any], unit: str = "K", **others: Any) -> int:
    return len(files)


@task(namespace="exported", version="4")
def second(number: int, by: int = 2) -> int:
    return number * by


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_NAME = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | _TEXT
    | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(float),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_RESERVED = {"component", "input_paths", "metadata", "output_path", "unit", "files"}
_OPTIONS = st.fixed_dictionaries(
    {}, optional={"retries": st.integers(0, 5), "timeout": st.integers(1, 9), "executor": _NAME}
)
_FIRST = st.fixed_dictionaries(
    {
        "task": st.just(first),
        "args": st.dictionaries(_NAME.filter(lambda n: n not in _RESERVED), _JSON, max_size=3),
        "options": _OPTIONS,
    }
)
_SECOND = st.fixed_dictionaries(
    {
        "task": st.just("exported.second"),
        "args": st.fixed_dictionaries({}, optional={"by": st.integers(0, 9)}),
        "options": _OPTIONS,
    }
)
_FLOWS = st.fixed_dictionaries(
    {
        "name": _NAME,
        "namespace": st.just("") | _NAME,
        "version": st.integers(1, 2**31 - 1),
        "steps": st.lists(_FIRST | _SECOND, max_size=5),
        "meta": st.dictionaries(_NAME, _JSON, max_size=2),
    }
)


def exact(value: Any) -> str:
    """Return a text that tells numbers apart which compare equal."""
    return json.dumps(value, sort_keys=True)


def _wanted(step: dict[str, Any]) -> Any:
    """Return the arguments that a step has: what is given, and below it what its task says."""
    return {**(first if step["task"] is first else second).default_args, **step["args"]}


def said(flow: Workflow) -> Any:
    """Return what two workflows have in common that say the same."""
    steps = [
        (e.position, e.task, e.args, e.options, e.input_type, e.output_type) for e in flow.steps
    ]
    return flow.namespace, flow.name, flow.version, flow.meta, steps


@pytest.fixture
def other(tg: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Another database, which knows nothing of the first one."""
    folder = tmp_path_factory.mktemp("other")
    with taskgraph.open(f"sqlite:///{folder / 'other.db'}", migrate=True) as archive:
        yield archive


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flow=_FLOWS)
def test_what_is_imported_says_what_was_exported(
    tg: Archive, other: Archive, flow: dict[str, Any]
) -> None:
    made = tg.workflows.create(**flow)

    spec = tg.workflows.export(made)
    text = json.dumps(spec)
    again = other.workflows.import_(json.loads(text))

    assert exact(said(again)) == exact(said(made))
    assert [exact(each.args) for each in made.steps] == [exact(_wanted(e)) for e in flow["steps"]]
    assert exact(other.workflows.export(again)) == exact(spec)
    ids = [made.id, *(each.id for each in made.steps)]
    assert not any(each in text for each in ids)
    assert made.created_at.isoformat() not in text
    assert not {"id", "created", "promoted", "study"} & _keys(spec | {"meta": {}})
    for archive, each in ((tg, made), (other, again)):
        archive.workflows.delete(each)


def _keys(given: Any) -> set[str]:
    """Return the keys that are the format's own: none of arguments and options."""
    return set(given) | {key for step in given["steps"] for key in step}


def spec_of(tg: Archive) -> dict[str, Any]:
    steps = [first, ("exported.second", {"by": 3})]
    made = tg.workflows.create("w", namespace="n", study="s", version=4, steps=steps)
    return tg.workflows.export(made)


def test_versions_of_tasks_go_with_their_names(tg: Archive) -> None:
    spec = spec_of(tg)

    assert spec == {
        "format": FORMAT,
        "format_version": 1,
        "namespace": "n",
        "name": "w",
        "version": 4,
        "meta": {},
        "steps": [
            {"task": "exported.first", "task_version": "3", "args": {"unit": "K"}, "options": {},
             "input_type": "cmip6", "output_type": "text"},
            {"task": "exported.second", "task_version": "4", "args": {"by": 3}, "options": {},
             "input_type": "Any", "output_type": "Any"},
        ],
    }  # fmt: skip
    assert not re.search(r"[0-9a-f]{16}", json.dumps(spec))


def test_a_version_is_imported_once_or_as_the_next(tg: Archive) -> None:
    spec = spec_of(tg)

    with pytest.raises(DuplicateVersionError):
        tg.workflows.import_(spec)
    later = tg.workflows.import_(spec, version="next", study="t")
    other = tg.workflows.import_(spec, version=2)

    assert (later.version, later.promoted, later.study) == (5, False, "t")
    assert (other.version, other.study) == (2, None)
    assert tg.workflows.import_(spec, version="next").version == 6


def test_a_task_must_be_known_once(tg: Archive) -> None:
    spec = spec_of(tg)
    spec["steps"][0]["task"] = "far.task"

    def imported() -> Workflow:
        return tg.workflows.import_(spec, version="next")

    with pytest.raises(TaskNotFoundError, match=r"far\.task: no task of this name") as caught:
        imported()
    assert (caught.value.task, isinstance(caught.value, NotFoundError)) == ("far.task", True)
    a_package(tg, "off", "far.task", active=False)
    with pytest.raises(TaskNotFoundError):
        imported()
    a_package(tg, "one", "far.task", version="9")
    made = imported()
    assert made.steps[0].task == "far.task"
    assert tg.workflows.export(made)["steps"][0]["task_version"] == "9"
    a_package(tg, "two", "far.task")
    with pytest.raises(TaskNotFoundError, match=r"several packages.*one@1\.0, two@1\.0|two@1\.0"):
        imported()
    # What is defined here is known, whatever packages there are.
    a_package(tg, "three", "exported.first")
    spec["steps"][0]["task"] = "exported.first"
    assert imported().steps[0].task == "exported.first"


def test_tasks_that_are_not_known_may_be_allowed_and_are_warned_of(tg: Archive) -> None:
    spec = spec_of(tg)
    spec["steps"][0].update(task="far.task", args={"whatever": 1.0})

    def imported() -> Workflow:
        return tg.workflows.import_(spec, version="next", allow_unknown=True)

    with pytest.warns(UserWarning, match=r"^far\.task: not known here"):
        made = imported()
    assert exact([each.args for each in made.steps]) == exact([{"whatever": 1.0}, {"by": 3}])
    a_package(tg, "one", "far.task")
    imported()  # of which a package says something by now
    a_package(tg, "two", "far.task")
    with pytest.raises(TaskNotFoundError, match="several packages"):
        imported()
    spec["steps"][0].update(task="exported.first", args={"metadata": 1})
    with pytest.raises(ReservedArgumentError):
        imported()


def test_what_is_somebodys_own_is_exported_with_a_warning(tg: Archive) -> None:
    owner = bytearray(16)
    tg.backend._transact(
        lambda driver: driver.execute(
            "INSERT INTO user_account (id, email, username, active, superuser, verified, settings,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (owner, "ada@here", None, True, False, True, "{}", 1),
        )
    )
    a_package(tg, "mine", "exported.first", owner=owner)

    with pytest.warns(UserWarning, match=r"exported\.first is of package mine@1\.0"):
        spec_of(tg)
    a_package(tg, "ours", "exported.first")
    tg.workflows.export("n.w")  # of which others have one too


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ((), [], "^workflow: expected an object"),
        (("nmae",), "w", "^workflow: there is no nmae"),
        (("format",), "else", "^format: "),
        (("format_version",), 2, "^format_version: .*later library"),
        (("name",), None, "^name: expected text"),
        (("name",), "a.b", "^workflow: 'a.b'"),
        (("namespace",), 3, "^namespace: "),
        (("meta",), [], "^meta: "),
        (("version",), "3", "^version: "),
        (("version",), 0, "^version: "),
        (("steps",), "all", "^steps: "),
        (("steps",), None, "^steps: "),
        (("steps", 1), "x", r"^steps\[1\]: "),
        (("steps", 1, "tsak"), "x", r"^steps\[1\]: there is no tsak"),
        (("steps", 0, "task"), "", r"^steps\[0\]\.task: "),
        (("steps", 1, "args"), [1], r"^steps\[1\]\.args: "),
        (("steps", 1, "args"), {"bye": 1}, r"^steps\[1\]: .*no parameter 'bye'"),
        (("steps", 1, "args"), {"by": "x"}, r"^steps\[1\]: .*by: 'x' is not of type"),
        (("steps", 0, "options"), {"retry": 1}, r"^steps\[0\]: .*no such option"),
        (("steps", 0, "input_type"), 3, r"^steps\[0\]\.input_type: "),
    ],
)
def test_what_is_no_workflow_names_the_place(
    tg: Archive, path: tuple[Any, ...], value: Any, match: str
) -> None:
    spec: Any = spec_of(tg)
    if path:
        place = spec
        for each in path[:-1]:
            place = place[each]
        place[path[-1]] = value
    else:
        spec = value

    with pytest.raises(ValidationError, match=match):
        tg.workflows.import_(spec, version=None if path == ("version",) else "next")
    assert len(tg.workflows.list(include_superseded=True)) == 1


@pytest.mark.parametrize("key", ["name", "steps"])
def test_what_is_missing_is_said(tg: Archive, key: str) -> None:
    spec = spec_of(tg)
    del spec[key]

    with pytest.raises(ValidationError, match=f"^{key}: it is missing"):
        tg.workflows.import_(spec)


def test_reserved_arguments_are_refused_in_imports_too(tg: Archive) -> None:
    spec = spec_of(tg)
    spec["steps"][0]["args"] = {"metadata": 1}

    with pytest.raises(ReservedArgumentError):
        tg.workflows.import_(spec, version="next")
