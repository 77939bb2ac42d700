"""Values that say themselves how they behave, through runs in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.space import Space

VALUES = """
    import threading
    from taskgraph import FileCache, ProxyValue, Value

    class Point(Value):
        type_name = "geo.Point"

        def __init__(self, x):
            self.x = x
            self.lock = threading.Lock()  # no pickle, no hash: what the class says must do

        def get_hash(self, data=None):
            return f"x={self.x}"

        def serialize(self):
            return str(self.x).encode()

        @classmethod
        def deserialize(cls, raw_type, data):
            assert raw_type is cls
            return cls(int(data))

        @classmethod
        def parse_arg(cls, raw_type, arg):
            return cls(int(arg.removeprefix("x")))

        def is_valid(self):
            import os
            return not os.path.exists(f"bad-{self.x}")

    class Model:
        def __init__(self, weights):
            self.weights = weights
            self.lock = threading.Lock()

    class Tuned(Model):
        pass

    class ModelValue(ProxyValue):
        type = Model
        type_name = "geo.Model"

        def get_hash(self, data=None):
            return str(self.instance.weights)

        def serialize(self):
            return repr(self.instance.weights).encode()

        @classmethod
        def deserialize(cls, raw_type, data):
            return raw_type(eval(data))

        def preprocess(self, args):
            copy = type(self.instance)(self.instance.weights)
            copy.given_to = args["task"]
            return copy

        def postprocess(self, args):
            return type(self.instance)([each + 0 for each in self.instance.weights])

    class Stateful(Value):
        def __init__(self, n):
            self.n, self.noise = n, threading.Lock()

        def __getstate__(self):
            return {"n": self.n}

        def __setstate__(self, state):
            self.__dict__ = {**state, "noise": threading.Lock()}

    class Table:
        def __init__(self, rows):
            self.rows = rows
            self.lock = threading.Lock()

    class TableFile(FileCache):
        type = Table
        base_path = "kept"

        def _serialize(self):
            return ",".join(map(str, self.instance.rows)).encode()

        @classmethod
        def _deserialize(cls, data):
            return Table([int(each) for each in data.decode().split(",")])
"""

FLOW = """
    from taskgraph import task
    from values import Model, Point, Stateful, Table, Tuned

    taskgraph_namespace = "v"

    def note(word):
        with open("log", "a") as log:
            log.write(word + "\\n")

    @task
    def point(x: int) -> Point:
        note("point")
        return Point(x)

    @task
    def far(inside: list) -> list:
        note("far")
        return [{"p": Point(inside[0].x * 10)}, Stateful(inside[0].x)]

    @task
    def train(n: int) -> Tuned:
        note("train")
        return Tuned([n])

    @task
    def use(inside: dict) -> str:
        note("use")
        model = inside["m"][0]
        return f"{type(model).__name__} {model.weights} for {model.given_to}"

    @task
    def table(n: int) -> Table:
        note("table")
        return Table(list(range(n)))

    @task
    def total(tables: list) -> int:
        note("total")
        return sum(sum(each.rows) for each in tables)

    @task
    def same(tables: list) -> list:
        note("same")
        return tables

    @task
    def points(start: Point):
        return [far([point(2), start]), start]

    @task
    def models():
        return [use({"m": [train(3)]}), train(3)]

    @task
    def show_points(found: list) -> str:
        return f"{found[0][0]['p'].x} {found[0][1].n} {found[1].x}"

    @task
    def show_models(found: list) -> str:
        return f"{found[0]} | {type(found[1]).__name__} {found[1].weights}"

    @task
    def main_points(start: Point):
        return show_points(points(start))

    @task
    def main_models():
        return show_models(models())

    @task
    def main_tables():
        return total(same([table(4), table(3)]))
"""


@pytest.fixture
def flow(space: Space) -> Space:
    space.write("values.py", VALUES)
    space.write("flow.py", FLOW)
    return space


@pytest.fixture
def ran(flow: Space) -> Callable[[], list[str]]:
    def read() -> list[str]:
        log = flow.folder / "log"
        words = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(words)

    return read


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_value_is_what_its_class_says_wherever_it_lies(
    flow: Space, ran: Callable[[], list[str]], executor: str
) -> None:
    words = ("run", "--executor", executor, "flow.py", "main_points", "--start", "x7")

    first, ran_first = flow(*words), ran()
    again, ran_again = flow(*words), ran()
    (flow.folder / "bad-20").touch()
    (flow.folder / "bad-7").touch()
    invalid, ran_then = flow(*words), ran()

    assert (first.out.strip(), ran_first) == ("20 2 7", ["far", "point"]), first.err
    assert (again.out.strip(), ran_again) == ("20 2 7", []), again.err
    assert (invalid.out.strip(), ran_then) == ("20 2 7", ["far"]), invalid.err


def test_a_proxy_speaks_for_a_class_and_its_subclasses(
    flow: Space, ran: Callable[[], list[str]], executor: str
) -> None:
    words = ("run", "--executor", executor, "flow.py", "main_models")

    first, ran_first = flow(*words), ran()
    again, ran_again = flow(*words), ran()

    expected = "Tuned [3] for v.use | Tuned [3]"
    assert (first.out.strip(), ran_first) == (expected, ["train", "use"]), first.err
    assert (again.out.strip(), ran_again) == (expected, []), again.err


def test_a_file_cache_keeps_values_in_files_named_by_content(
    flow: Space, ran: Callable[[], list[str]], executor: str
) -> None:
    words = ("run", "--executor", executor, "flow.py", "main_tables")

    first, ran_first = flow(*words), ran()
    again, ran_again = flow(*words), ran()

    assert (first.out.strip(), ran_first) == ("9", ["same", "table", "table", "total"]), first.err
    assert (again.out.strip(), ran_again) == ("9", []), again.err
    kept = sorted(each.read_text() for each in (flow.folder / "kept").iterdir())
    assert kept == ["0,1,2", "0,1,2,3"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("0,1,3")])
def test_a_file_that_is_gone_or_damaged_is_a_miss_that_says_so(
    flow: Space, ran: Callable[[], list[str]], damage: Callable[[Path], object]
) -> None:
    flow("run", "flow.py", "main_tables")
    ran()
    (path,) = [each for each in (flow.folder / "kept").iterdir() if each.read_text() == "0,1,2"]

    damage(path)
    is_there = path.exists()
    done = flow("run", "flow.py", "main_tables")
    what = "is damaged" if is_there else "is not there any more"
    explained = flow("explain", "v.table").out

    assert done.out.strip() == "9", done.err
    assert ran() == ["table"]  # which made the file again before anybody else asked for it
    assert path.read_text() == "0,1,2"
    assert "the file that holds it" in explained
    assert what in explained
    again = flow("run", "flow.py", "main_tables")
    assert (again.out.strip(), ran()) == ("9", [])


def test_a_module_that_is_not_there_is_a_miss_that_says_so(
    flow: Space, ran: Callable[[], list[str]]
) -> None:
    flow.write("extra.py", "class Thing:\n    pass\n")
    flow.write(
        "other.py",
        """
        from taskgraph import task

        taskgraph_namespace = "o"

        @task(version="1")
        def thing():
            try:
                from extra import Thing
            except ImportError:
                return "without"
            return Thing()

        @task
        def main():
            return name(thing())

        @task
        def name(thing) -> str:
            return type(thing).__name__
        """,
    )

    first = flow("run", "other.py", "main")
    (flow.folder / "extra.py").rename(flow.folder / "put_away.py")
    without = flow("run", "other.py", "main")
    explained = flow("explain", "o.thing")

    assert (first.out.strip(), without.out.strip()) == ("Thing", "str"), without.err
    assert "it needs the module 'extra', which is not installed here" in explained.out


def test_a_function_that_is_gone_is_made_again(flow: Space, ran: Callable[[], list[str]]) -> None:
    flow.write("steps.py", "def one():\n    return 1\n\ndef two():\n    return 2\n")
    flow.write(
        "other.py",
        """
        import steps
        from taskgraph import task

        taskgraph_namespace = "o"

        @task(version="1")
        def pick() -> list:
            return [getattr(steps, "two", steps.one)]

        @task
        def call(functions: list) -> int:
            return functions[0]()

        @task
        def main():
            return call(pick())
        """,
    )

    first = flow("run", "other.py", "main")
    flow.write("steps.py", "def one():\n    return 1\n")
    then = flow("run", "other.py", "main")
    explained = flow("explain", "o.pick")

    assert (first.out.strip(), then.out.strip()) == ("2", "1"), then.err
    assert "function steps.two is not defined any more" in explained.out
