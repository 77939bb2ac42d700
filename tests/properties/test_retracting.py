"""What came from a call is the same to a database as to a plain walk, and undoing leaves no trace.

Random graphs of calls: who made whom, who was given whose result, and which files lie in results
and arguments. The oracle walks over dictionaries, and reads the rules literally.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import taskgraph
from taskgraph.archive import Archive
from taskgraph.records import (
    ArgumentRecord,
    ArgumentResultRecord,
    CallEdgeRecord,
    CallNodeRecord,
    ExecutionRecord,
    FileRecord,
    JobRecord,
    RecordBatch,
    State,
    SubvalueRecord,
    TaskRecord,
)
from tests.archives import FILE, name, value_row
from tests.rows import NOW

_FILES = 5
_TASK = name("task")


@dataclass(frozen=True)
class ACall:
    """A call: the earlier calls that it made or was given, and the files in what it has."""

    children: frozenset[int]
    inputs: frozenset[int]
    given: frozenset[int]
    gives: frozenset[int]
    is_nested: bool
    execution: int


@dataclass
class Model:
    """What is marked by which retraction, as plain sets."""

    calls: list[ACall]
    marks: dict[str, set[int]] = field(default_factory=dict)

    def made(self, number: int) -> set[int]:
        """Return the files that a call made, and did not only hand on."""
        call = self.calls[number]
        below: set[int] = set()
        for each in call.children:
            below |= self.calls[each].gives - self.calls[each].given
        return set(call.gives - call.given - below)

    def closure(self, calls: set[int], files: set[int], *, all_files: bool) -> set[int]:
        found = set(calls)
        while True:
            bad = set(files)
            for each in found:
                is_asked = all_files and each in calls
                bad |= self.calls[each].gives if is_asked else self.made(each)
            reached = {
                number
                for number, call in enumerate(self.calls)
                if call.children & found or call.inputs & found or call.given & bad
            }
            if reached <= found:
                return found
            found |= reached

    def of_call(self, number: int) -> set[int]:
        return self.closure({number}, set(), all_files=True)

    def of_file(self, file: int) -> set[int]:
        makers = {
            number
            for number, call in enumerate(self.calls)
            if file in call.gives - call.given
            and not any(
                file in self.calls[each].gives - self.calls[each].given for each in call.children
            )
        }
        readers = {number for number, call in enumerate(self.calls) if file in call.given}
        return self.closure(makers | readers, {file}, all_files=False)

    def of_execution(self, execution: int) -> set[int]:
        own = {number for number, call in enumerate(self.calls) if call.execution == execution}
        return self.closure(own, set(), all_files=False)

    def executions(self, calls: set[int], asked: int | None) -> set[int]:
        """Return those whose root call, the last one, is meant."""
        found = {asked} if asked is not None else set()
        for execution in {each.execution for each in self.calls}:
            root = max(n for n, each in enumerate(self.calls) if each.execution == execution)
            if root in calls:
                found.add(execution)
        return found


@st.composite
def graphs(draw: st.DrawFn) -> list[ACall]:
    """Return calls, each of which knows those before it only."""
    number = draw(st.integers(1, 9))
    files = st.frozensets(st.integers(0, _FILES - 1), max_size=2)
    return [
        ACall(
            draw(st.frozensets(st.integers(0, each - 1), max_size=2)) if each else frozenset(),
            draw(st.frozensets(st.integers(0, each - 1), max_size=2)) if each else frozenset(),
            draw(files),
            draw(files),
            draw(st.booleans()),
            draw(st.integers(0, 2)),
        )
        for each in range(number)
    ]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[ACall], list[tuple[str, int]]]:
    """Return a graph, and what is retracted and taken back in which order."""
    calls = draw(graphs())
    steps = st.one_of(
        st.tuples(st.just("call"), st.integers(0, len(calls) - 1)),
        st.tuples(st.just("file"), st.integers(0, _FILES - 1)),
        st.tuples(st.just("execution"), st.sampled_from(sorted({c.execution for c in calls}))),
        st.tuples(st.just("undo"), st.integers(0, 5)),
    )
    return calls, draw(st.lists(steps, min_size=1, max_size=7))


def _batch(calls: list[ACall]) -> RecordBatch:
    batch = RecordBatch()
    batch.values.append(value_row(_TASK, "f", "taskgraph.Task"))
    batch.tasks.append(TaskRecord(_TASK, "f", "", "def f(): ..."))
    # The same for all calls: equal values lead nowhere.
    same = name("True")
    batch.values.append(value_row(same, "True", "builtins.bool"))
    for file in range(_FILES):
        batch.values.append(value_row(name("file", file), f"File({file})", FILE))
        batch.files.append(FileRecord(name("file", file), "", f"/{file}.txt", "content", 3))
    for number, call in enumerate(calls):
        result, key = _holder(batch, "result", number, call.gives, call.is_nested), name(number)
        batch.call_nodes.append(
            CallNodeRecord(
                key, name("eval", number), "f", _TASK, name("args", number), result or same,
                NOW + number,
            )
        )  # fmt: skip
        given = _holder(batch, "given", number, call.given, call.is_nested)
        for place, value in enumerate([same, *([given] if given else [])]):
            argument = name("argument", number, place)
            batch.arguments.append(ArgumentRecord(argument, key, value, place, f"x{place}"))
        first = name("argument", number, 0)
        batch.argument_results.extend(
            ArgumentResultRecord(first, name(each)) for each in sorted(call.inputs)
        )
        batch.call_edges.extend(
            CallEdgeRecord(key, name(each), place)
            for place, each in enumerate(sorted(call.children))
        )
        batch.jobs.append(
            JobRecord(
                name("job", number), name("run", call.execution), None, _TASK,
                name("eval", number), key, NOW + number, NOW + number, False, State.COMPLETED, None,
            )
        )  # fmt: skip
    for execution in sorted({each.execution for each in calls}):
        root = max(n for n, each in enumerate(calls) if each.execution == execution)
        batch.executions.append(
            ExecutionRecord(
                name("run", execution), "[]", name("job", root), None, State.COMPLETED, NOW, None
            )
        )
    return batch


def _holder(
    batch: RecordBatch, what: str, number: int, files: frozenset[int], is_nested: bool
) -> str | None:
    """Return a value with files in it: the file itself, a list, or a list of lists."""
    if not files:
        return None
    if len(files) == 1 and not is_nested:
        return name("file", *files)
    inner = name(what, number, "inner")
    batch.values.append(value_row(inner, "[...]", "builtins.list"))
    batch.subvalues.extend(SubvalueRecord(inner, name("file", each)) for each in sorted(files))
    if not is_nested:
        return inner
    outer = name(what, number, "outer")
    batch.values.append(value_row(outer, "[[...]]", "builtins.list"))
    batch.subvalues.append(SubvalueRecord(outer, inner))
    return outer


def _flags(archive: Archive, table: str, column: str) -> set[str]:
    with archive.backend._writing() as driver:
        rows = driver.execute(f"SELECT {column} FROM {table} WHERE retracted").fetchall()
    return {key.hex() for (key,) in rows}


def _check_history(archive: Archive, calls: list[ACall], steps: list[tuple[str, int]]) -> None:
    archive.backend.record(_batch(calls))
    model = Model(calls)
    done: list[tuple[str, set[int], set[int]]] = []
    for count, (what, number) in enumerate(steps):
        if what == "undo":
            if done:
                retraction, _, _ = done.pop(number % len(done))
                archive.unretract(retraction)
        else:
            target, meant, asked = _asked(model, what, number)
            made = archive.retract(target, reason=f"reason {count}", by="me")
            executions = model.executions(meant, asked)
            assert set(made.calls) == {name(each) for each in meant}
            assert set(made.executions) == {name("run", each) for each in executions}
            done.append((made.id, meant, executions))
        marked = {name(each) for _, meant, _ in done for each in meant}
        runs = {name("run", each) for _, _, executions in done for each in executions}
        assert _flags(archive, "call_node", "call_hash") == marked
        assert _flags(archive, "execution", "id") == runs
    assert {each.id for each in archive.retractions.list()} == {each for each, _, _ in done}


def _asked(model: Model, what: str, number: int) -> tuple[Any, set[int], int | None]:
    if what == "call":
        return name(number), model.of_call(number), None
    if what == "file":
        return name("file", number), model.of_file(number), None
    return name("run", number), model.of_execution(number), number


@settings(deadline=None, max_examples=150)
@given(history=histories())
def test_retractions_mark_what_came_from_them_and_undoing_leaves_no_trace(history: Any) -> None:
    calls, steps = history
    with taskgraph.open("sqlite:///:memory:", migrate=True) as archive:
        _check_history(archive, calls, steps)


def test_so_they_do_in_a_database_of_each_kind(tg: Archive) -> None:
    calls = [
        ACall(frozenset(), frozenset(), frozenset(), frozenset({0}), False, 0),
        ACall(frozenset(), frozenset(), frozenset(), frozenset({1}), False, 0),
        ACall(frozenset({0, 1}), frozenset(), frozenset(), frozenset({0, 1}), True, 0),
        ACall(frozenset(), frozenset(), frozenset({0}), frozenset(), True, 1),
        ACall(frozenset(), frozenset({3}), frozenset({1}), frozenset({2}), False, 1),
        ACall(frozenset({4}), frozenset(), frozenset(), frozenset(), False, 1),
        ACall(frozenset(), frozenset(), frozenset({1}), frozenset(), False, 2),
    ]
    steps = [("call", 0), ("file", 1), ("undo", 0), ("execution", 1), ("undo", 0), ("call", 6)]

    _check_history(tg, calls, steps)
