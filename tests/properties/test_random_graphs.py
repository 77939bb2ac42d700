"""A random task graph, run cold, warm and after an edit, gives what plain Python gives.

The tasks live in a real module that is edited on disk and loaded again; each call that runs leaves
a line in a log, so that what ran is known whatever the events say.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import textwrap
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph import Scheduler
from taskgraph.config import BackendSettings, Settings

TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
OPS = 4

# A value of the graph: a constant, an earlier node, a list of values, or an operator on two.
Ref = tuple[Any, ...]


def refs(upto: int) -> st.SearchStrategy[Ref]:
    leaves = st.tuples(st.just("const"), st.integers(0, 6))
    if upto:
        leaves = leaves | st.tuples(st.just("node"), st.integers(0, upto - 1))
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(st.just("list"), st.lists(inner, max_size=3))
            | st.tuples(st.just("dict"), st.lists(inner, max_size=2))
        ),
        max_leaves=4,
    )


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, int, list[Ref]]]:
    nodes: list[tuple[str, int, list[Ref]]] = []
    for index in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(["op", "op", "op", "fan", "recur", "choose"]))
        op = draw(st.integers(0, OPS - 1))
        nodes.append((kind, op, draw(st.lists(refs(index), min_size=1, max_size=3))))
    return nodes


def source_of(constants: list[int], log: Path) -> str:
    lines = [
        "import os",
        "from taskgraph import cond, task",
        f"LOG = {str(log)!r}",
        textwrap.dedent(
            """
            def note(line):
                handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(handle, (line + "\\n").encode())
                os.close(handle)

            def flat(value):
                if isinstance(value, (list, tuple)):
                    return sum(flat(each) for each in value)
                if isinstance(value, dict):
                    return sum(flat(each) for each in value.values())
                return value

            @task(namespace="graph")
            def fan(op, x):
                note(f"fan {op} {x!r}")
                return [OPS[op](x, i) for i in range(3)]

            @task(namespace="graph")
            def recur(op, depth, x):
                note(f"recur {op} {depth} {x!r}")
                return OPS[op](x) if depth == 0 else recur(op, depth - 1, x)
            """
        ),
    ]
    for index, constant in enumerate(constants):
        lines.append(
            textwrap.dedent(
                f"""
                @task(namespace="graph")
                def op{index}(*args):
                    note(f"op{index} {{args!r}}")
                    return (flat(list(args)) * {constant} + {index}) % 1009
                """
            )
        )
    lines.append(f"OPS = [{', '.join(f'op{i}' for i in range(len(constants)))}]")
    return "\n".join(lines)


def load(path: Path, name: str) -> ModuleType:
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def lazily(graph: list[tuple[str, int, list[Ref]]], module: ModuleType) -> list[Any]:
    from taskgraph import cond

    values: list[Any] = []

    def value_of(ref: Ref) -> Any:
        match ref:
            case ("const", value):
                return value
            case ("node", index):
                return values[index]
            case ("list", inner):
                return [value_of(each) for each in inner]
            case ("dict", inner):
                return {str(i): value_of(each) for i, each in enumerate(inner)}
        raise AssertionError(ref)

    for kind, op, inputs in graph:
        args = [value_of(each) for each in inputs]
        match kind:
            case "op":
                values.append(module.OPS[op](*args))
            case "fan":
                values.append(module.fan(op, args[0]))
            case "recur":
                values.append(module.recur(op, len(args), args[0]))
            case "choose":
                predicate = module.OPS[op](args[0]) > 500
                values.append(cond(predicate, module.OPS[0](args[-1]), module.OPS[1](args[-1])))
    return values


def plainly(graph: list[tuple[str, int, list[Ref]]], constants: list[int]) -> list[Any]:
    values: list[Any] = []

    def flat(value: Any) -> int:
        if isinstance(value, list | tuple):
            return sum(flat(each) for each in value)
        if isinstance(value, dict):
            return sum(flat(each) for each in value.values())
        return int(value)

    def run(op: int, *args: Any) -> int:
        return (flat(list(args)) * constants[op] + op) % 1009

    def value_of(ref: Ref) -> Any:
        match ref:
            case ("const", value):
                return value
            case ("node", index):
                return values[index]
            case ("list", inner):
                return [value_of(each) for each in inner]
            case ("dict", inner):
                return {str(i): value_of(each) for i, each in enumerate(inner)}
        raise AssertionError(ref)

    for kind, op, inputs in graph:
        args = [value_of(each) for each in inputs]
        match kind:
            case "op":
                values.append(run(op, *args))
            case "fan":
                values.append([run(op, args[0], i) for i in range(3)])
            case "recur":
                values.append(run(op, args[0]))
            case "choose":
                branch = 0 if run(op, args[0]) > 500 else 1
                values.append(run(branch, args[-1]))
    return values


def take_log(log: Path) -> Counter[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return Counter(lines)


EXAMPLES = {"inline": 40, "threads": 20, "processes": 6, "inline on postgres": 10}


@pytest.mark.parametrize("executor", EXAMPLES)
def test_a_random_graph_gives_what_plain_python_gives(
    executor: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    folder = tmp_path_factory.mktemp("graphs")
    monkeypatch.syspath_prepend(str(folder))
    examples = EXAMPLES[executor] * (25 if TORTURE else 1)
    executor, _, database = executor.partition(" on ")
    # All graphs are in it: each has modules of its own.
    uri = request.getfixturevalue("postgres_uri") if database else None
    counter = iter(range(1_000_000))

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        graphs(),
        st.lists(st.integers(1, 50), min_size=OPS, max_size=OPS),
        st.integers(0, OPS - 1),
    )
    def check(graph: list[tuple[str, int, list[Ref]]], constants: list[int], edited: int) -> None:
        number = next(counter)
        name = f"graph_{executor}_{number}"
        log = folder / f"{name}.log"
        path = folder / f"{name}.py"
        path.write_text(source_of(constants, log))
        module = load(path, name)
        config_dir = folder / name / ".taskgraph"
        config_dir.mkdir(parents=True)
        project = Settings(config_dir, backend=BackendSettings(db_uri=uri))

        with Scheduler(project, executor=executor) as scheduler:
            cold = scheduler.run(lazily(graph, module))
            ran_cold = take_log(log)
            warm = scheduler.run(lazily(graph, module))
            ran_warm = take_log(log)
        with Scheduler(project, executor=executor) as scheduler:
            again = scheduler.run(lazily(graph, module))
            ran_again = take_log(log)
            changed = list(constants)
            changed[edited] += 100
            path.write_text(source_of(changed, log))
            module = load(path, name)
            after = scheduler.run(lazily(graph, module))
            ran_after = take_log(log)

        expected = plainly(graph, constants)
        assert cold == warm == again == expected
        assert not ran_warm
        assert not ran_again
        assert max(ran_cold.values(), default=0) <= 1, "equal calls of one run run once"
        assert after == plainly(graph, changed)
        needless = set(ran_after) & set(ran_cold)
        assert all(line.startswith(f"op{edited} ") for line in needless)

    check()
