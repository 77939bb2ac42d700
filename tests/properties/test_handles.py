"""Programs that pass a handle on, edited at will: the service ends as after a fresh run.

The service is a dict of cells. Each operation writes the cell that it is named for, from what is in
the cell of the operation before it; which one that is, and what it writes, is said by the program.
An edit may change, add, move, wrap or drop operations; some fail after they wrote, and some are the
last thing that a process did.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph import Handle, Scheduler, catch, evaluate, merge_handles, task
from taskgraph.ports import Backend
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend

taskgraph_namespace = "handle_programs"

EXAMPLES = 1_000 if os.environ.get("TASKGRAPH_TORTURE") else 20
FAILS, DIES = 8, 9

_cells: dict[str, str] = {}
_log: list[str] = []
_durable: list[Any] = []  # the rows that were there when a process died


class Cells(Handle):
    """Stands for the dict of cells."""

    def __init__(self, name: str) -> None:
        self.instance = _cells


class BoomError(Exception):
    """What operations fail with."""


class Node(NamedTuple):
    """An operation of a program, and those that go on from it."""

    label: str
    version: int
    style: str
    children: tuple[Node, ...] = ()


def _operate(cells: Cells, label: str, version: int, before: tuple[str, ...]) -> str:
    _log.append(label)
    made = f"{label}{version}({','.join(cells.instance.get(each, '?') for each in before)})"
    cells.instance[label] = made
    if version >= FAILS:
        cells.instance[label] = "garbage"
        if version == DIES:
            _die()
        raise BoomError
    return made


_backends: list[Backend] = []


def _die() -> None:
    if not _durable and isinstance(_backends[-1], MemoryBackend):
        _durable.append(
            copy.deepcopy({k: v for k, v in vars(_backends[-1]).items() if k != "_lock"})
        )


@task(version="1")
def step(cells: Cells, label: str, version: int, before: tuple[str, ...]) -> Cells:
    _operate(cells, label, version, before)
    return cells


@task(version="1")
def write(cells: Cells, label: str, version: int, before: tuple[str, ...]) -> str:
    return _operate(cells, label, version, before)


@task(version="1")
def outer(
    cells: Cells, label: str, version: int, before: tuple[str, ...], inside: tuple[Node, ...]
) -> Any:
    _operate(cells, label, version, before)
    return [cells, [build(each, cells, (label,)) for each in inside]]


@task(version="1")
async def awaiting(
    cells: Cells, label: str, version: int, before: tuple[str, ...], inside: tuple[Node, ...]
) -> Any:
    _operate(cells, label, version, before)
    made = [await evaluate(build(each, cells, (label,))) for each in inside]
    return [cells, made]


@task(version="1")
def recover(error: Exception) -> str:
    return "recovered"


def build(node: Node, cells: Any, before: tuple[str, ...]) -> Any:
    label, version, style, children = node
    if style == "write":
        return write(cells, label, version, before)
    if style == "caught":
        return catch(write(cells, label, version, before), BoomError, recover)
    if style == "outer":
        return outer(cells, label, version, before, children)
    if style == "awaits":
        return awaiting(cells, label, version, before, children)
    if style == "whole":
        how = outer.options(check_valid="shallow")
        return how(cells, label, version, before, children)
    if style == "joined" and len(children) == 2:
        made = [step(cells, each.label, each.version, before) for each in children]
        both = merge_handles(made)
        after = [
            build(grandchild, both, (children[0].label,)) for grandchild in children[0].children
        ]
        last = step(both, label, version, tuple(each.label for each in children))
        return [last, after]
    made_here = step(cells, label, version, before)
    return [made_here, [build(each, made_here, (label,)) for each in children]]


def expected(node: Node, before: tuple[str, ...], cells: dict[str, str]) -> None:
    """Do what a fresh run does."""
    label, version, style, children = node
    if style == "joined" and len(children) == 2:
        for each in children:
            expected(each._replace(style="write", children=()), before, cells)
        for grandchild in children[0].children:
            expected(grandchild, (children[0].label,), cells)
        before, children = tuple(each.label for each in children), ()
    if version >= FAILS:
        if style != "caught":
            raise BoomError
        return
    cells[label] = f"{label}{version}({','.join(cells.get(each, '?') for each in before)})"
    if style not in {"write", "caught"}:
        for each in children:
            expected(each, (label,), cells)


STYLES = ["step", "step", "write", "caught", "outer", "awaits", "whole", "joined"]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Node, ...]:
    count = draw(st.integers(1, 4))
    parents = [draw(st.integers(-1, number - 1)) for number in range(count)]
    said = [(draw(st.sampled_from([1, 2])), draw(st.sampled_from(STYLES))) for _ in range(count)]

    def make(number: int) -> Node:
        inside = tuple(make(n) for n in range(number + 1, count) if parents[n] == number)
        return Node("abcd"[number], *said[number], inside)

    return tuple(make(number) for number in range(count) if parents[number] == -1)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Node, ...]]:
    """Programs one after the other: edits of what was there, and what was there once again."""
    history = [draw(programs())]
    for _ in range(draw(st.integers(2, 7))):
        base = draw(st.sampled_from([history[0], history[-1]]))
        match draw(st.sampled_from(["again", "new", "edit", "edit", "drop", "turn", "wrap"])):
            case "again":
                history.append(base)
            case "new":
                history.append(draw(programs()))
            case "edit":
                version = draw(st.sampled_from([1, 2, 2, FAILS, DIES]))
                label = draw(st.sampled_from("aabcd"))
                history.append(tuple(_edited(each, {label: version}) for each in base))
            case "drop":
                edited = tuple(_edited(each, {"b": 3}) for each in base[1:])
                history.append(edited or base)
            case "turn":
                history.append(base[::-1])
            case _:
                first = base[0]._replace(style=draw(st.sampled_from(STYLES)))
                history.append((first, *base[1:]))
        if draw(st.booleans()):
            history.append(history[0])
    return history


def _edited(node: Node, versions: dict[str, int]) -> Node:
    inside = tuple(_edited(each, versions) for each in node.children)
    return node._replace(version=versions.get(node.label, node.version), children=inside)


def _run(scheduler: Scheduler, program: tuple[Node, ...]) -> str:
    """Run a program; returns what it gave, nothing if it did not end well."""
    cells = Cells("cells")
    try:
        return repr(scheduler.run([build(each, cells, ()) for each in program]))
    except BoomError:
        return ""


def _check(scheduler: Scheduler, history: list[tuple[Node, ...]]) -> None:
    _cells.clear()
    for program in history:
        _durable.clear()
        _backends[:] = [scheduler.backend]
        given = _run(scheduler, program)
        if _durable:
            # All that came after was never written.
            scheduler.backend = MemoryBackend()
            vars(scheduler.backend).update(_durable[0])
            continue
        wanted: dict[str, str] = {}
        if not given:
            with pytest.raises(BoomError):
                for node in program:
                    expected(node, (), wanted)
            continue
        for node in program:
            expected(node, (), wanted)
        assert {label: _cells.get(label) for label in wanted} == wanted
        _log.clear()
        assert _run(scheduler, program) == given
        assert [label for label in _log if label in wanted] == []


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(backend=MemoryBackend(), executor="inline") as made:
        yield made


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_service_ends_as_after_a_fresh_run(
    scheduler: Scheduler, history: list[tuple[Node, ...]]
) -> None:
    scheduler.backend = MemoryBackend()

    _check(scheduler, history)


@settings(deadline=None, max_examples=EXAMPLES // 4, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_service_ends_as_after_a_fresh_run_on_a_database(
    scheduler: Scheduler, history: list[tuple[Node, ...]]
) -> None:
    with SqlBackend() as backend:
        scheduler.backend = backend
        _check(scheduler, history)
