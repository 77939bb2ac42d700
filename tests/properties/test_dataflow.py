"""The flow of data of random workflows: as the rules say, as it happened, and both ways alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from taskgraph import File, Scheduler, task
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.dataflow.walking import walk_dataflow
from taskgraph_backend.reader import Reader
from tests.flows.naive import NaiveWalker, key_of, keys_of
from tests.properties.random_flows import (
    CallKey,
    Expr,
    Files,
    Made,
    Plan,
    Tasks,
    Trace,
    Traced,
    random_plan,
    random_value,
    text_of,
    trace,
)
from tests.statements import Statements

TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
SCALE = 40 if TORTURE else 1
pytestmark = pytest.mark.timeout(3_600 if TORTURE else 300)
#: So many nodes of each scope are asked for; under torture all.
ASKED = 100_000 if TORTURE else 25

Key = tuple[str, ...]


def some(examples: int) -> settings:
    return settings(
        max_examples=examples * SCALE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Ran:
    """A plan that was run several times, and what happened.

    Attributes:
        executions: The ids of the runs.
        traces: What plain Python says of each.
        tasks: The tasks of each run.
    """

    backend: SqlBackend
    files: Files
    executions: list[str]
    traces: list[Trace]
    tasks: list[Tasks]

    @cached_property
    def names(self) -> dict[str, tuple[int, str]]:
        """The number and version of each task, by its hash."""
        return {
            str(each.hash): (number, tasks.versions[number])
            for tasks in self.tasks
            for number, each in enumerate(tasks.all)
        }

    def key(self, call: models.CallNode) -> CallKey | None:
        """Return which call of the trace a row is; the library's are in none."""
        name = self.names.get(call.task_hash)
        if name is None:
            return None
        values = [self.files.plain(each.value.value_parsed) for each in call.arguments]
        return CallKey(*name, text_of(values))


#: A run: the edition of the tasks, and which of two lists of arguments the root is called with.
RUNS = [
    [(1, 0)],
    [(1, 0), (2, 0)],
    [(1, 0), (2, 0), (1, 0)],
    [(1, 0), (1, 1)],
    [(1, 0), (1, 1), (2, 0)],
]


@contextmanager
def ran(draw: Random, folder: Path, runs: list[tuple[int, int]]) -> Iterator[Ran]:
    """Make a random plan and run it."""
    plan = random_plan(draw)
    roots = [[random_value(draw, each) for each in plan.bodies[-1].params] for _ in range(2)]
    with ran_plan(plan, roots, folder, runs) as found:
        yield found


@contextmanager
def ran_plan(
    plan: Plan, roots: list[list[Expr]], folder: Path, runs: list[tuple[int, int]]
) -> Iterator[Ran]:
    files = Files(folder)
    backend = SqlBackend()
    found = Ran(backend, files, [], [], [])
    with Scheduler(backend=backend, executor="inline") as scheduler:
        for edition, root in runs:
            execution = f"{len(found.executions) + 1:032x}"
            happened, expected = trace(plan, edition, roots[root])
            # As if the module was loaded again: what is defined last is the task of today.
            found.tasks.append(Tasks(plan, files, edition))
            value = scheduler.run(found.tasks[-1].root(roots[root]), execution_id=execution)
            assert files.plain(value) == expected
            found.executions.append(execution)
            found.traces.append(happened)
        yield found
    backend.close()


class Oracle:
    """The graph of one scope by the rules, read literally, with reachability both ways."""

    def __init__(self, reader: Reader, scope: str | None) -> None:
        walker = NaiveWalker(reader, scope)
        edges = walker.everything()
        files: list[DataflowNode] = list(
            reader.scalars(select(models.Value).join(models.Value.file))
        )
        edges += walker.closure(
            [*files, *(e.src for e in edges if isinstance(e.src, models.Value))]
        )
        self.scope = scope
        self.walker = walker
        self.nodes: dict[Key, DataflowNode] = {key_of(edge.src): edge.src for edge in edges}
        self.edges: dict[Key, set[Key | None]] = {}
        for src, dest in keys_of(edges):
            self.edges.setdefault(src, set()).add(dest)

    @property
    def given(self) -> dict[str, Any]:
        return {"all": self.scope is None, "execution_id": self.scope}

    def some_nodes(self, draw: Random) -> list[tuple[Key, DataflowNode]]:
        pairs = sorted(self.nodes.items(), key=lambda pair: pair[0])
        return pairs if len(pairs) <= ASKED else draw.sample(pairs, ASKED)

    def above(self, key: Key) -> set[Key]:
        """Return a node and all that is upstream of it."""
        seen, waiting = {key}, [key]
        while waiting:
            for dest in self.edges.get(waiting.pop(), ()):
                if dest is not None and dest not in seen:
                    seen.add(dest)
                    waiting.append(dest)
        return seen

    def upstream(self, key: Key) -> set[tuple[Key, Key | None]]:
        return {(src, dest) for src in self.above(key) for dest in self.edges.get(src, ())}

    @cached_property
    def everything_above(self) -> dict[Key, set[Key]]:
        return {key: self.above(key) for key in self.nodes}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of all workflows are; they never change."""
    return tmp_path_factory.mktemp("flows")


def test_what_is_upstream_of_each_node_agrees_with_the_rules(folder: Path) -> None:
    @some(6)
    @given(st.randoms(use_true_random=False), st.sampled_from(RUNS))
    def check(draw: Random, runs: list[tuple[int, int]]) -> None:
        with ran(draw, folder, runs) as found, found.backend.reader() as reader:
            for scope in (*found.executions, None):
                oracle = Oracle(reader, scope)
                for key, node in oracle.some_nodes(draw):
                    edges = keys_of(walk_dataflow(reader, node, **oracle.given))

                    assert edges == oracle.upstream(key)

    check()


def test_downstream_is_upstream_read_backwards(folder: Path) -> None:
    @some(6)
    @given(st.randoms(use_true_random=False), st.sampled_from(RUNS))
    def check(draw: Random, runs: list[tuple[int, int]]) -> None:
        with ran(draw, folder, runs) as found, found.backend.reader() as reader:
            for scope in (*found.executions, None):
                oracle = Oracle(reader, scope)
                # Values by themselves stand at the end of the way down from another execution.
                joined = set().union(*oracle.edges.values())
                above = oracle.everything_above
                for key, node in oracle.some_nodes(draw):
                    edges = keys_of(walk_dataflow(reader, node, down=True, **oracle.given))

                    starts = _places_of(oracle, node) if key[0] == "V" else {key}
                    below = {
                        each
                        for each, those in above.items()
                        if (each[0] != "V" or each in joined) and not starts.isdisjoint(those)
                    }
                    assert {src for src, _ in edges} | starts == below | starts
                    assert all(dest in oracle.edges[src] for src, dest in edges)

    check()


def _places_of(oracle: Oracle, value: DataflowNode) -> set[Key]:
    """Return a value, and where it stands by itself; of arguments also those that hold it."""
    assert isinstance(value, models.Value)
    found = {key_of(value)}
    for key, node in oracle.nodes.items():
        match node:
            case ArgumentValue(argument, inner) if inner is argument.value:
                stands = oracle.walker.lies_in(value, inner)
            case ArgumentValue() | CallNodeValue():
                stands = node.value is value
            case _:
                stands = False
        if stands:
            found.add(key)
    return found


def test_every_edge_is_something_that_happened(folder: Path) -> None:
    @some(6)
    @given(st.randoms(use_true_random=False), st.sampled_from(RUNS))
    def check(draw: Random, runs: list[tuple[int, int]]) -> None:
        with ran(draw, folder, runs) as found, found.backend.reader() as reader:
            for number, execution in enumerate(found.executions):
                facts = Facts(found, found.traces[number], found.traces[:number])
                for edge in _everything(reader, execution):
                    facts.check(edge)

    check()


class Facts:
    """What happened in an execution, to hold edges against; and in those before it."""

    def __init__(self, found: Ran, happened: Trace, before: Sequence[Trace]) -> None:
        self.found = found
        self.happened = happened
        self.ran = {key: value for tasks in found.tasks for key, value in tasks.noted.items()}
        self.made: dict[CallKey, list[Made]] = {}
        for made in happened.made:
            self.made.setdefault(made.call, []).append(made)
        # An equal call is one record in all executions, with the calls that its arguments came from
        # in any: of these, those are named that this execution made too.
        self.ever: dict[CallKey, list[Made]] = {}
        for made in (each for run in (*before, happened) for each in run.made):
            self.ever.setdefault(made.call, []).append(made)

    def check(self, edge: DataflowEdge) -> None:
        match edge:
            case (models.CallNode() as call, ArgumentValue(argument, value)):
                assert value is argument.value
                self._was_given(call, argument)
            case (CallNodeValue(call, value), models.CallNode() as maker):
                assert call is maker
                self._gave(call, value)
            case (CallNodeValue(call, value), CallNodeValue(child, part)):
                self._gave(call, value)
                self._gave(child, part)
                self._called(call, child)
            case (ArgumentValue(argument, value), CallNodeValue(call, given)):
                assert given is value or given is call.value
                self._gave(call, given)
                self._came_from(argument, call)
            case (ArgumentValue(argument, value), ArgumentValue(other, held)):
                assert held is value or value is argument.value
                self._called(other.call_node, argument.call_node)
                self._was_given(other.call_node, other)

    def _was_given(self, call: models.CallNode, argument: models.Argument) -> None:
        key = self.found.key(call)
        if key is not None:
            assert key in self.ran
            position = argument.arg_position
            assert position is not None
            value = self.found.files.plain(argument.value.value_parsed)
            assert self.happened.given[key][position] == value

    def _gave(self, call: models.CallNode, value: models.Value) -> None:
        key = self.found.key(call)
        assert key is None or key in self.happened.given
        if key in self.happened.values:  # Those that failed gave an error.
            plain = self.found.files.plain(value.value_parsed)
            assert _holds(self.happened.values[key], plain)
            if self.ran[key] is not None:
                assert _holds(self.ran[key], plain)

    def _called(self, caller: models.CallNode, call: models.CallNode) -> None:
        key, child = self.found.key(caller), self.found.key(call)
        if key is not None and child is not None:
            assert any(made.caller == key for made in self.made[child])

    def _came_from(self, argument: models.Argument, producer: models.CallNode) -> None:
        key, source = self.found.key(argument.call_node), self.found.key(producer)
        if key is not None and source is not None:
            position = argument.arg_position
            assert position is not None
            assert source in self.happened.given
            assert any(source in made.given[position].calls for made in self.ever[key])


def _holds(whole: Any, part: Any) -> bool:
    inner: Iterable[Any] = ()
    match whole:
        case list():
            inner = whole
        case dict():
            inner = whole.values()
    return bool(whole == part) or any(_holds(each, part) for each in inner)


def _everything(reader: Reader, execution: str) -> list[DataflowEdge]:
    """Return the edges from all calls of an execution and from their results, by the walker."""
    found: dict[tuple[Key, Key | None], DataflowEdge] = {}
    reach = NaiveWalker(reader, execution)
    for call in reader.scalars(select(models.CallNode)):
        if reach.is_in_scope(call):
            for edge in walk_dataflow(
                reader, CallNodeValue(call, call.value), execution_id=execution
            ):
                found[key_of(edge.src), None if edge.dest is None else key_of(edge.dest)] = edge
    return list(found.values())


def test_everything_that_happened_is_an_edge(folder: Path) -> None:
    @some(6)
    @given(st.randoms(use_true_random=False), st.sampled_from(RUNS))
    def check(draw: Random, runs: list[tuple[int, int]]) -> None:
        with ran(draw, folder, runs) as found, found.backend.reader() as reader:
            for execution, happened in zip(found.executions, found.traces, strict=True):
                scope = NaiveWalker(reader, execution)
                calls = {
                    found.key(call): call
                    for call in reader.scalars(select(models.CallNode))
                    if scope.is_in_scope(call)
                }
                for made in happened.made:
                    if made.call not in happened.values:
                        continue  # It failed, and was caught.
                    for argument in calls[made.call].arguments:
                        node = ArgumentValue(argument, argument.value)
                        above = _above(walk_dataflow(reader, node, execution_id=execution))
                        came = _argument_of(made, argument)

                        results = {id for kind, id, *_ in above if kind == "O"}
                        if not _is_given_by_another(happened, made, came):
                            assert {calls[each].call_hash for each in came.calls} <= results
                        if made.caller is not None:
                            caller = calls[made.caller]
                            for given_down in _handed_down(happened, made, caller, argument):
                                assert given_down in above

    check()


def _above(edges: Iterable[DataflowEdge]) -> set[Key]:
    return {key_of(edge.dest) for edge in edges if edge.dest is not None}


def _argument_of(made: Made, argument: models.Argument) -> Traced:
    assert argument.arg_position is not None
    return made.given[argument.arg_position]


def _is_given_by_another(happened: Trace, made: Made, came: Traced) -> bool:
    """A container that was put together equals what another call of the same body gave.

    Values are known by their content: a task of the library that made both has it from that call,
    as has one that mapped a list that it was given by a call to an equal one.
    """
    if came.parts is None:
        return False
    others = (each.call for each in happened.made if each.caller == made.caller)
    return any(happened.values.get(o) == came.value for o in others) or all(
        any(call.given == text_of([part.value]) for call in part.calls)
        for part in came.parts.values()
    )


def _handed_down(
    happened: Trace, made: Made, caller: models.CallNode, argument: models.Argument
) -> Iterator[Key]:
    """Give the caller's arguments, or parts of them, that an argument must be found to be.

    Only files are known again inside of something else. What a caller puts beside the results of
    calls is not told; nor is what an equal call was given that has these results, if the caller
    made the calls that gave them, too.
    """
    came = _argument_of(made, argument)
    producers = {each.result_call_hash for each in argument.arg_results}
    if made.is_below_library or producers & {each.call_hash for each in caller.children}:
        return
    assert made.caller is not None
    given = happened.given[made.caller]
    if came.parts is None:
        if came.param is not None and (
            came.value == given[came.param] or isinstance(came.value, tuple)
        ):
            yield "A", caller.arguments[came.param].arg_hash, argument.value_hash
    elif not came.calls and not any(_holds(each, came.value) for each in given):
        for number in came.params:
            if isinstance(given[number], tuple):
                held = caller.arguments[number]
                yield "A", held.arg_hash, held.value_hash


def test_a_run_from_the_cache_has_the_flow_of_the_first_run(folder: Path) -> None:
    @some(6)
    @given(st.randoms(use_true_random=False))
    def check(draw: Random) -> None:
        with ran(draw, folder, [(1, 0), (1, 0)]) as found, found.backend.reader() as reader:
            first, second = found.executions
            oracle = Oracle(reader, first)
            assert oracle.edges == Oracle(reader, second).edges
            for _, node in oracle.some_nodes(draw):
                for down in (False, True):
                    edges = [
                        keys_of(walk_dataflow(reader, node, down=down, execution_id=execution))
                        for execution in found.executions
                    ]

                    assert edges[0] == edges[1]

    check()


# Many


@task(namespace="wide", version="1")
def make(source: File, number: int) -> File:
    return File(f"/nowhere/{number}.bam")  # A file that is not there is a value like any other.


@task(namespace="wide", version="1")
def report(files: list[File]) -> int:
    return len(files)


@task(namespace="wide", version="1")
def wide(source: File, width: int) -> Any:
    return report([make(source, number) for number in range(width)])


MANY = 10_000


def test_the_number_of_statements_does_not_grow_with_what_is_reached() -> None:
    most = {}
    for width in (3, 60, MANY):
        backend = SqlBackend()
        with Scheduler(backend=backend, executor="inline") as scheduler:
            execution = "1" * 32
            scheduler.run(wide(File("/nowhere/source"), width), execution_id=execution)
            with backend.reader() as reader:
                statements = Statements(reader)
                given: dict[str, Any] = {"execution_id": execution}
                done = reader.scalars(
                    select(models.CallNode).where(models.CallNode.task_name == "wide.report")
                ).one()
                source, one = (
                    reader.scalars(
                        select(models.Value).join(models.File).where(models.File.path == path)
                    ).one()
                    for path in ("/nowhere/source", "/nowhere/2.bam")
                )
                result = CallNodeValue(done, done.value)
                before = len(statements.texts)

                up = list(walk_dataflow(reader, result, **given))
                at_top = len(statements.texts)
                down = list(walk_dataflow(reader, source, down=True, **given))
                at_bottom = len(statements.texts)
                few = list(walk_dataflow(reader, one, **given))
                after = len(statements.texts)
                most[width] = max(at_top - before, at_bottom - at_top, after - at_bottom)

                assert _makers(up) == _makers(down) == width
                assert len(few) == 7
        backend.close()

    # The same for each step, however much it takes. The rows of the first edges are read before
    # those of all others: in two parts, or in one.
    assert most == {3: 13, 60: 13, MANY: 16}


@task(namespace="deep", version="1")
def one_more(number: int) -> int:
    return number + 1


@task(namespace="deep", version="1")
def many_more(number: int, count: int) -> Any:
    for _ in range(count):
        number = one_more(number)
    return number


def test_the_number_of_statements_has_a_bound_however_deep_the_flow_is() -> None:
    most = {}
    for count in (50, 200):
        backend = SqlBackend()
        with Scheduler(backend=backend, executor="inline") as scheduler:
            execution = "1" * 32
            scheduler.run(many_more(0, count), execution_id=execution)
            with backend.reader() as reader:
                statements = Statements(reader)
                given: dict[str, Any] = {"execution_id": execution}
                call = reader.scalars(
                    select(models.CallNode).where(models.CallNode.task_name == "deep.many_more")
                ).one()
                zero = ArgumentValue(call.arguments[0], call.arguments[0].value)
                before = len(statements.texts)
                up = list(walk_dataflow(reader, CallNodeValue(call, call.value), **given))
                middle = len(statements.texts)
                down = list(walk_dataflow(reader, zero, down=True, **given))
                most[count] = (middle - before, len(statements.texts) - middle)
                assert _makers(up, "deep.one_more") == _makers(down, "deep.one_more") == count
        backend.close()

    assert most[50] == most[200]
    assert max(most[200]) < 60


def _makers(edges: Iterable[DataflowEdge], name: str = "wide.make") -> int:
    """Return how many calls of a task there are in edges."""
    nodes = (node for edge in edges for node in edge if isinstance(node, models.CallNode))
    return len({node.call_hash for node in nodes if node.task_name == name})
