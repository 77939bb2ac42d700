"""Random workflows of tasks that call tasks, and what plain Python says happens in them.

A `Plan` is data: tasks as bodies of small expressions (`Expr`), each task calling only earlier
ones. `tasks_of` makes real tasks of it that note what they are given and what they give; `trace`
runs the same plan as plain Python and says which call was made by which one, with which values,
and where each of these came from. Neither looks at a database.

Values are of five types: ``n`` a small number, ``f`` a file, ``ns`` and ``fs`` lists of two of them
and ``d`` a dict with a file and a list of one file. There are few different values of each, so that
equal calls, and equal values of different calls, are frequent.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from taskgraph import File, catch, cond, seq, task
from taskgraph.functools import map_

NUMBERS: Final = 4
FILES: Final = 6
#: The last file is made by no task; the others may be made, and may be given from outside as well.
_OUTSIDE: Final = FILES
_TYPES: Final = ("n", "f", "ns", "fs", "d")

#: An expression: its kind, and what belongs to it.
Expr = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A task of a plan.

    Attributes:
        kind: ``leaf`` works, ``pick`` gives a part of what it is given, ``fail`` raises, ``calls``
            calls other tasks.
        params: The types of its parameters.
        gives: The type of its value.
        steps: For ``calls``: what its local variables stand for.
        result: For ``calls``: what it returns.
        is_shallow: Whether a valid whole result is taken without a look at what lies below.
    """

    kind: str
    params: tuple[str, ...]
    gives: str
    steps: tuple[Expr, ...] = ()
    result: Expr = ()
    is_shallow: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks, each of which calls earlier ones only; the last one is the root.

    Attributes:
        edited: The task of which there is a second version, which gives the same.
        salts: By these, leaves of the same types give different values.
    """

    bodies: tuple[Body, ...]
    edited: int
    salts: tuple[int, ...]

    def version(self, number: int, edition: int) -> str:
        return str(edition) if number == self.edited else "1"


# Making plans


def random_plan(draw: Random) -> Plan:
    """Return a plan; its root takes files and numbers from outside."""
    bodies = [Body("leaf", ("n",), "n"), Body("leaf", ("f",), "f"), Body("fail", ("n",), "n")]
    for _ in range(draw.randint(2, 4)):
        kind = draw.choice(["leaf", "leaf", "leaf", "pick"])
        params = tuple(draw.choice(_TYPES) for _ in range(draw.randint(0, 2)))
        bodies.append(Body(kind, params, draw.choice(_TYPES)))
    for _ in range(draw.randint(1, 4)):
        params = tuple(draw.choice(_TYPES) for _ in range(draw.randint(1, 3)))
        bodies.append(_random_body(draw, bodies, params, draw.choice(_TYPES)))
    root = tuple(draw.choice(_TYPES) for _ in range(draw.randint(1, 3)))
    bodies.append(_random_body(draw, bodies, root, draw.choice(_TYPES)))
    salts = tuple(draw.randint(0, 99) for _ in bodies)
    return Plan(tuple(bodies), draw.randrange(len(bodies)), salts)


def random_value(draw: Random, type_: str) -> Expr:
    """Return something written down: no call, and nothing of a body's."""
    match type_:
        case "n":
            return ("number", draw.randrange(NUMBERS))
        case "f":
            return ("file", draw.choice([_OUTSIDE, _OUTSIDE, draw.randrange(FILES)]))
        case "ns" | "fs":
            return ("list", random_value(draw, type_[0]), random_value(draw, type_[0]))
    return ("dict", random_value(draw, "f"), random_value(draw, "f"))


def _random_body(draw: Random, bodies: Sequence[Body], params: tuple[str, ...], gives: str) -> Body:
    writer = _Writer(draw, bodies, params)
    for _ in range(draw.randint(1, 4)):
        type_ = draw.choice(_TYPES)
        writer.steps.append((type_, writer.call_for(type_) or writer.write(type_)))
    result = writer.write(gives)
    steps = tuple(step for _, step in writer.steps)
    return Body("calls", params, gives, steps, result, draw.random() < 0.25)


class _Writer:
    """Writes the expressions of one body."""

    def __init__(self, draw: Random, bodies: Sequence[Body], params: tuple[str, ...]) -> None:
        self.draw = draw
        self.bodies = bodies
        self.params = params
        self.steps: list[tuple[str, Expr]] = []

    def call_for(self, type_: str, depth: int = 0) -> Expr | None:
        """Return a call of some task that gives a type; later tasks rather than early ones."""
        fit = [
            number
            for number, body in enumerate(self.bodies)
            if body.gives == type_ and body.kind != "fail"
        ]
        if not fit:
            return None
        number = self.draw.choice(fit[-3:])
        given = [self.write(each, depth + 1) for each in self.bodies[number].params]
        return ("call", number, *given)

    def write(self, type_: str, depth: int = 0) -> Expr:
        draw = self.draw
        known: list[Expr] = [("param", i) for i, each in enumerate(self.params) if each == type_]
        known += [("step", i) for i, (each, _) in enumerate(self.steps) if each == type_] * 2
        if type_ in "nf":
            known += [
                ("item", (kind, i), key)
                for kind, types in (("param", self.params), ("step", [t for t, _ in self.steps]))
                for i, each in enumerate(types)
                for key in _items(each, type_)
            ]
        if known and draw.random() < (0.7 if depth else 0.4):
            return draw.choice(known)
        if depth > 2:
            return random_value(draw, type_)
        return self._new(type_, depth)

    def _new(self, type_: str, depth: int) -> Expr:
        draw, deeper = self.draw, depth + 1
        way = draw.choice(["call", "call", "call", "put", "put", "cond", "catch", "library"])
        if way == "call":
            found = self.call_for(type_, depth)
            if found is not None:
                return found
        if way == "cond":
            return ("cond", *(self.write(each, deeper) for each in ("n", type_, type_)))
        if way == "catch":
            if type_ == "n" and draw.random() < 0.5:
                return ("recover", self.write("n", deeper))
            return ("catch", self.write(type_, deeper))
        if way == "library" and type_ in ("ns", "fs"):
            inner = type_[0]
            if draw.random() < 0.5:
                return ("seq", self.write(inner, deeper), self.write(inner, deeper))
            return ("map", "nf".index(inner), self.write(type_, deeper))
        match type_:
            case "n" if draw.random() < 0.6:
                return ("sum", self.write("n", deeper), self.write("n", deeper))
            case "ns" | "fs":
                inner = type_[0]
                return ("list", self.write(inner, deeper), self.write(inner, deeper))
            case "d":
                return ("dict", self.write("f", deeper), self.write("f", deeper))
        return random_value(draw, type_)


def _items(holder: str, type_: str) -> list[tuple[Any, ...]]:
    """Return the keys under which values of a type lie in one of another."""
    if holder == type_ + "s":
        return [(0,), (1,)]
    return [("x",), ("y", 0)] if (holder, type_) == ("d", "f") else []


# What a leaf gives: numbers and tuples stand for values; files are ``("file", number)``.


def text_of(value: Any) -> str:
    """Return a value of plain Python as one text."""
    return repr(value)


def leaf_value(plan: Plan, number: int, given: Sequence[Any]) -> Any:
    """Return what a leaf gives, by plain Python."""
    body = plan.bodies[number]
    if body.kind == "pick":
        found = next((each for each in _inside(given) if _type_of(each) == body.gives), None)
        if found is not None:
            return found
    digest = zlib.crc32(f"{plan.salts[number]} {text_of(list(given))}".encode())
    some, other = digest % NUMBERS, digest // NUMBERS % NUMBERS
    file, second = ("file", digest % FILES), ("file", digest // FILES % FILES)
    values = {
        "n": some,
        "f": file,
        "ns": [some, other],
        "fs": [file, second],
        "d": {"x": file, "y": [second]},
    }
    return values[body.gives]


def _inside(value: Any) -> Iterator[Any]:
    yield value
    match value:
        case list():
            for each in value:
                yield from _inside(each)
        case dict():
            for each in value.values():
                yield from _inside(each)


def _type_of(value: Any) -> str:
    match value:
        case int():
            return "n"
        case tuple():
            return "f"
        case dict():
            return "d"
        case [("file", _), ("file", _)]:
            return "fs"
        case [int(), int()]:
            return "ns"
    return ""


# The plan as real tasks


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a plan, in a folder."""

    folder: Path

    def real(self, value: Any) -> Any:
        """Return a value of plain Python with real files in it; they are written."""
        match value:
            case ("file", number):
                path = self.folder / f"{number}.txt"
                if not path.exists():
                    path.write_text(str(number))
                return File(str(path))
            case list():
                return [self.real(each) for each in value]
            case dict():
                return {key: self.real(each) for key, each in value.items()}
        return value

    def plain(self, value: Any) -> Any:
        """Return a value with what stands for its files."""
        match value:
            case File():
                return ("file", int(Path(value.path).stem))
            case list():
                return [self.plain(each) for each in value]
            case dict():
                return {key: self.plain(each) for key, each in value.items()}
        return value


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call: the number and version of its task, and its arguments as text."""

    number: int
    version: str
    given: str


@task(namespace="random_flows", name="recover", version="1")
def recover(error: Exception) -> int:
    return 1


class Tasks:
    """The tasks of a plan, of one edition.

    Attributes:
        noted: Every call that ran, and what those that call nothing gave.
    """

    def __init__(self, plan: Plan, files: Files, edition: int) -> None:
        self.plan = plan
        self.files = files
        self.noted: dict[CallKey, Any] = {}
        self.versions = [plan.version(number, edition) for number in range(len(plan.bodies))]
        self.all = [self._make(number) for number in range(len(plan.bodies))]

    def _make(self, number: int) -> Any:
        body, version = self.plan.bodies[number], self.versions[number]

        def run(*given: Any) -> Any:
            plain = self.files.plain(list(given))
            key = CallKey(number, version, text_of(plain))
            if body.kind == "fail":
                self.noted[key] = None
                raise ValueError("as planned")
            if body.kind == "calls":
                self.noted[key] = None
                return _Lazily(self, given, body).write(body.result)
            self.noted[key] = leaf_value(self.plan, number, plain)
            return self.files.real(self.noted[key])

        options: dict[str, Any] = {"check_valid": "shallow"} if body.is_shallow else {}
        name = f"task{number}"
        return task(namespace="random_flows", name=name, version=version, **options)(run)

    def root(self, given: Sequence[Expr]) -> Any:
        """Return the call of the root with what is written down."""
        return self.all[-1](
            *(_Lazily(self, (), self.plan.bodies[-1]).write(each) for each in given)
        )


class _Lazily:
    """Writes the expressions of a body as real ones."""

    def __init__(self, tasks: Tasks, given: Sequence[Any], body: Body) -> None:
        self.tasks = tasks
        self.given = given
        self.body = body
        self.steps: dict[int, Any] = {}

    def write(self, expr: Expr) -> Any:
        match expr:
            case ("number", value):
                return value
            case ("file", number):
                return self.tasks.files.real(("file", number))
            case ("param", number):
                return self.given[number]
            case ("step", number):
                if number not in self.steps:
                    self.steps[number] = self.write(self.body.steps[number])
                return self.steps[number]
            case ("item", inner, keys):
                value = self.write(inner)
                for key in keys:
                    value = value[key]
                return value
            case ("list", *inner):
                return [self.write(each) for each in inner]
            case ("dict", first, second):
                return {"x": self.write(first), "y": [self.write(second)]}
            case ("sum", left, right):
                return (self.write(left) + self.write(right)) % NUMBERS
            case ("call", number, *given):
                return self.tasks.all[number](*map(self.write, given))
            case ("cond", condition, then, otherwise):
                return cond(self.write(condition) > 1, self.write(then), self.write(otherwise))
            case ("catch", inner):
                return catch(self.write(inner), ValueError, recover)
            case ("recover", inner):
                return catch(self.tasks.all[2](self.write(inner)), ValueError, recover)
            case ("seq", *inner):
                return seq([self.write(each) for each in inner])
            case ("map", number, inner):
                return map_(self.tasks.all[number], self.write(inner))
        raise AssertionError(expr)


# The plan as plain Python


@dataclass(slots=True)
class Traced:
    """A value, and where it came from.

    Attributes:
        value: The value.
        calls: The calls of the same body that it came from.
        param: The parameter of the body that it is, or that it was taken out of.
        parts: For containers that the body itself wrote: what was put in.
    """

    value: Any
    calls: frozenset[CallKey] = frozenset()
    param: int | None = None
    parts: dict[Any, Traced] | None = None

    def item(self, key: Any) -> Traced:
        if self.parts is not None:
            return self.parts[key]
        return Traced(self.value[key], self.calls, self.param)

    def from_calls_alone(self) -> Traced:
        """Return it as the result of a task of the library: no longer the caller's own."""
        parts = self.parts
        if parts is not None:
            parts = {key: each.from_calls_alone() for key, each in parts.items()}
        return Traced(self.value, self.calls, parts=parts)

    @property
    def params(self) -> frozenset[int]:
        """All parameters that it is, or that went into it."""
        if self.parts is None:
            return frozenset() if self.param is None else frozenset([self.param])
        return frozenset[int]().union(*(each.params for each in self.parts.values()))


@dataclass(frozen=True, slots=True)
class Made:
    """That one call made another one.

    Attributes:
        caller: The call whose body it was, None for the root.
        call: The other one.
        given: Its arguments, by where the body had them from.
        is_below_library: Whether a task of the library stands, or may stand, between the two.
    """

    caller: CallKey | None
    call: CallKey
    given: tuple[Traced, ...]
    is_below_library: bool


@dataclass(slots=True)
class Trace:
    """All that happens when the root of a plan is called.

    Attributes:
        values: What each call gives; those that fail are not there.
        given: What each call is given.
        made: Who called whom.
    """

    values: dict[CallKey, Any] = field(default_factory=dict)
    given: dict[CallKey, list[Any]] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)


def trace(plan: Plan, edition: int, given: Sequence[Expr]) -> tuple[Trace, Any]:
    """Run a plan as plain Python."""
    found = Trace()
    tracer = _Tracer(plan, edition, found)
    body = _Plainly(tracer, None, (), Body("calls", (), ""))
    return found, body.call(len(plan.bodies) - 1, [body.read(each) for each in given]).value


class _Tracer:
    def __init__(self, plan: Plan, edition: int, found: Trace) -> None:
        self.plan = plan
        self.edition = edition
        self.found = found

    def value_of(self, key: CallKey, given: list[Any]) -> Any:
        if key not in self.found.given:
            self.found.given[key] = given
            body = self.plan.bodies[key.number]
            if body.kind == "calls":
                self.found.values[key] = _Plainly(self, key, given, body).read(body.result).value
            elif body.kind != "fail":
                self.found.values[key] = leaf_value(self.plan, key.number, given)
        return self.found.values.get(key)


class _Plainly:
    """Reads the expressions of a body as plain Python; what nobody asks for is not evaluated."""

    def __init__(
        self, tracer: _Tracer, caller: CallKey | None, given: Sequence[Any], body: Body
    ) -> None:
        self.tracer = tracer
        self.caller = caller
        self.given = given
        self.body = body
        self.steps: dict[int, Traced] = {}
        self.library = 0

    def call(self, number: int, given: Sequence[Traced]) -> Traced:
        values = [each.value for each in given]
        version = self.tracer.plan.version(number, self.tracer.edition)
        key = CallKey(number, version, text_of(values))
        made = Made(self.caller, key, tuple(given), self.library > 0)
        self.tracer.found.made.append(made)
        return Traced(self.tracer.value_of(key, values), frozenset([key]))

    def read(self, expr: Expr) -> Traced:
        match expr:
            case ("number", value):
                return Traced(value)
            case ("file", _):
                return Traced(expr)
            case ("param", number):
                return Traced(self.given[number], param=number)
            case ("step", number):
                if number not in self.steps:
                    self.steps[number] = self.read(self.body.steps[number])
                return self.steps[number]
            case ("item", inner, keys):
                return self._read_item(inner, keys)
            case ("list", *inner):
                return _together(dict(enumerate(map(self.read, inner))))
            case ("dict", first, second):
                return _together({"x": self.read(first), "y": _together({0: self.read(second)})})
            case ("sum", left, right):
                both = self.read(left), self.read(right)
                total = sum(each.value for each in both) % NUMBERS
                return Traced(total, both[0].calls | both[1].calls)
            case ("call", number, *given):
                return self.call(number, [self.read(each) for each in given])
        self.library += 1
        try:
            return self._read_library(expr)
        finally:
            self.library -= 1

    def _written(self, expr: Expr) -> Expr:
        """Return what stands for an expression where its variables are replaced."""
        while expr[0] == "step":
            expr = self.body.steps[expr[1]]
        return expr

    def _read_item(self, inner: Expr, keys: Sequence[Any]) -> Traced:
        """Read an item; of containers that the body wrote, nothing else is evaluated."""
        if self._written(inner)[0] in ("list", "dict"):
            inner = self._written(inner)
        if keys and inner[0] in ("list", "dict"):
            key, *deeper = keys
            if key == "y":
                return self.read(inner[2]) if deeper else _together({0: self.read(inner[2])})
            return self._read_item(inner[1 if key == "x" else 1 + key], deeper)
        found = self.read(inner)
        for key in keys:
            found = found.item(key)
        return found

    def _read_library(self, expr: Expr) -> Traced:
        match expr:
            case ("cond", condition, then, otherwise):
                chosen = then if self.read(condition).value > 1 else otherwise
                found = self.read(chosen)
            case ("catch", inner):
                found = self.read(inner)
            case ("recover", inner):
                self.call(2, [self.read(inner)])
                return Traced(1)
            case ("seq", *inner):
                found = _together(dict(enumerate(map(self.read, inner))))
            case ("map", number, inner):
                values = self.read(inner)
                items = [values.item(i) for i in range(2)]
                if self._written(inner)[0] != "list":
                    # Its body took them out of a value: nobody sees that they came from a call.
                    items = [Traced(each.value) for each in items]
                each = [self.call(number, [item]) for item in items]
                found = _together(dict(enumerate(each)))
            case _:
                raise AssertionError(expr)
        return found.from_calls_alone()


def _together(parts: dict[Any, Traced]) -> Traced:
    values = {key: each.value for key, each in parts.items()}
    value = values if "x" in values else list(values.values())
    calls = frozenset[CallKey]().union(*(each.calls for each in parts.values()))
    return Traced(value, calls, parts=parts)
