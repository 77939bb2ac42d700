"""Flags of ``taskgraph run``, made from a task's signature, annotations and docstring.

A flag that is not given passes nothing: the task's own default counts, as in a call.
"""

from __future__ import annotations

import ast
import collections.abc
import enum
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from taskgraph.tasks.task import Task
from taskgraph.values.registry import kind_of_class

if TYPE_CHECKING:
    # Generic for type checkers only: older versions of click cannot be subscribed.
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

_MAX_DEFAULT: Final = 40

# Reading text as a value of an annotated type. What is returned is the user's: Any.


def parse_value(annotation: Any, text: str) -> Any:
    """Read the text of a flag as a value of the annotated type.

    Without an annotation (or with one that says nothing, as ``object``), text that is a Python
    literal is that literal (``3``, ``[1, 2]``, ``None``), and all else is the text itself.

    Raises:
        ValueError: The text is none; the message says what was expected.
    """
    annotation = _plain(annotation)
    if annotation in _READERS:
        return _READERS[annotation](text)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return _parse_class(annotation, text)
    return _parse_generic(annotation, typing.get_origin(annotation), text)


def _parse_generic(annotation: Any, origin: Any, text: str) -> Any:
    if origin in (typing.Union, types.UnionType):
        return _parse_union(typing.get_args(annotation), text)
    if origin is typing.Literal:
        return _parse_choice(typing.get_args(annotation), text)
    if origin is collections.abc.Callable:
        return _parse_function(text)
    if origin is not None:
        return _parse_literal_of(origin, annotation, text)
    return parse_literal(text)


def parse_literal(text: str) -> Any:
    """Read text as a Python literal, or as itself if it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain(annotation: Any) -> Any:
    """Return what an annotation says of the value, without what surrounds it."""
    while True:
        if annotation in _SAYS_NOTHING:
            return _Anything
        if typing.get_origin(annotation) in (typing.Annotated, typing.Required):
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # Python 3.12
            annotation = annotation.__value__
        elif isinstance(annotation, typing.TypeVar | str | typing.ForwardRef):
            return _Anything
        else:
            return annotation


class _Anything:
    """Stands for an annotation that says nothing."""


_SAYS_NOTHING: Final = (inspect.Parameter.empty, Any, object)


def _truth(text: str) -> bool | None:
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            return None


def _parse_bool(text: str) -> bool:
    truth = _truth(text)
    if truth is None:
        raise ValueError("expected true or false")
    return truth


def _number(kind: Callable[[str], Any], what: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except (ValueError, InvalidOperation, ZeroDivisionError):
            raise ValueError(f"expected {what}") from None

    return read


def _parse_datetime(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time as 2026-01-31T12:30 or 2026-01-31 12:30+02:00") from None


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date as 2026-01-31") from None


def _parse_none(text: str) -> None:
    if text.lower() not in ("none", "null"):
        raise ValueError("expected none")


def _parse_union(members: Sequence[Any], text: str) -> Any:
    """Read text as the first member that it fits; text as such only if it fits no other."""
    plain = [_plain(member) for member in members]
    reasons = []
    for member in sorted(plain, key=lambda each: each is str):
        # With str among them, "none" is a text like any other; leave the flag out for None.
        if member in (None, type(None)) and str in plain:
            continue
        try:
            return parse_value(member, text)
        except ValueError as error:
            reasons.append(str(error).removeprefix("expected "))
    raise ValueError("expected " + " or ".join(reasons))


def _parse_choice(choices: Sequence[Any], text: str) -> Any:
    for choice in choices:
        if text == (choice if isinstance(choice, str) else repr(choice)):
            return choice
    raise ValueError("expected one of " + ", ".join(map(str, choices)))


def _parse_class(annotation: type, text: str) -> Any:
    if issubclass(annotation, enum.Enum):
        return _parse_enum(annotation, text)
    if issubclass(annotation, PurePath):
        return annotation(text)
    if annotation in (list, tuple, dict, set, frozenset):
        return _parse_literal_of(annotation, annotation, text)
    return kind_of_class(annotation).parse(text)


def _parse_enum(annotation: type[enum.Enum], text: str) -> enum.Enum:
    name = text.removeprefix(annotation.__name__ + ".")
    if name in annotation.__members__:
        return annotation[name]
    folded = {each.lower(): each for each in annotation.__members__}
    if name.lower() in folded:
        return annotation[folded[name.lower()]]
    raise ValueError("expected one of " + ", ".join(annotation.__members__))


def _parse_function(text: str) -> Any:
    module, _, name = text.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ValueError("expected a function as module.name") from None
    if not callable(found):
        raise ValueError(f"{text} is not callable")
    return found


_READERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    _Anything: parse_literal,
    str: str,
    int: _number(int, "a whole number"),
    float: _number(float, "a number"),
    complex: _number(complex, "a complex number as 1+2j"),
    bool: _parse_bool,
    bytes: str.encode,
    Decimal: _number(Decimal, "a decimal number"),
    Fraction: _number(Fraction, "a fraction as 1/3"),
    UUID: _number(UUID, "a UUID"),
    datetime: _parse_datetime,
    date: _parse_date,
    time: _number(time.fromisoformat, "a time of day as 12:30"),
    timedelta: _number(lambda text: timedelta(seconds=float(text)), "a number of seconds"),
    Path: Path,
    PurePath: PurePath,
    None: _parse_none,
    type(None): _parse_none,
    collections.abc.Callable: _parse_function,
}


def _parse_literal_of(origin: Any, annotation: Any, text: str) -> Any:
    """Read a value of a container type that has no flag form of its own, as a literal."""
    value = parse_literal(text)
    concrete = _CONTAINERS.get(origin, origin)
    if isinstance(concrete, type) and isinstance(value, concrete):
        return value
    if concrete in (list, tuple, set, frozenset) and isinstance(value, list | tuple | set):
        return concrete(value)
    raise ValueError(f"expected a literal of type {type_name(annotation)}")


_CONTAINERS: Final[Mapping[Any, type]] = {
    list: list,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.MutableSequence: list,
    set: set,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
    frozenset: frozenset,
    dict: dict,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}


def type_name(annotation: Any) -> str:
    """Return what stands for a value of the annotated type in the help, in capitals."""
    annotation = _plain(annotation)
    if annotation in _PLACEHOLDERS:
        return _PLACEHOLDERS[annotation]
    origin = typing.get_origin(annotation)
    inside = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        members = [type_name(each) for each in inside if each is not type(None)]
        return "|".join(dict.fromkeys(members))
    if origin is typing.Literal:
        return "|".join(map(str, inside))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(annotation.__members__)
    kind = origin or annotation
    return _PLACEHOLDERS.get(kind) or str(getattr(kind, "__name__", annotation)).upper()


_PLACEHOLDERS: Final[Mapping[Any, str]] = {
    _Anything: "VALUE",
    str: "TEXT",
    bytes: "TEXT",
    None: "NONE",
    type(None): "NONE",
    collections.abc.Callable: "MODULE.NAME",
    datetime: "TIME",
    timedelta: "SECONDS",
}


# Flags


class _Annotated(_ParamType):
    """The type of a flag whose values are read as an annotation says."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.name = type_name(annotation)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_value(self.annotation, value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.name


class _Entry(_ParamType):
    """The type of a flag for a dict: one ``KEY=VALUE`` for each occurrence."""

    name = "KEY=VALUE"

    def __init__(self, key: Any, value: Any) -> None:
        self.key = key
        self.value = value

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        key, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r}: expected KEY=VALUE.", param, ctx)
        try:
            return parse_value(self.key, key), parse_value(self.value, text)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.name


class _Flag(typing.NamedTuple):
    """A flag, and how what was given for it becomes the argument."""

    option: click.Parameter
    collect: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _dashed(parameter: str) -> str:
    return "--" + parameter.strip("_").replace("_", "-")


class TaskFlags:
    """The flags of a task.

    Attributes:
        command: Parses and helps; it runs nothing.
    """

    def __init__(self, task: Task[..., Any], prog_name: str) -> None:
        self.task = task
        self.prog_name = prog_name
        self._flags: dict[str, _Flag] = {}
        self._booleans: dict[str, str] = {}
        hints = annotations_of(task)
        text = Docstring.of(task)
        for parameter in task.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                continue
            if parameter.name not in task.binder.job_infos:
                annotation = hints.get(parameter.name, parameter.annotation)
                help_text = text.arguments.get(parameter.name, "")
                self._flags[parameter.name] = self._flag(parameter, annotation, help_text)
        self.command = click.Command(
            task.fullname,
            params=[flag.option for flag in self._flags.values()],
            help=text.body or None,
            context_settings={"help_option_names": ["--help"], "max_content_width": 100},
            options_metavar="[FLAGS]",
        )

    def parse(self, words: Sequence[str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and the keyword arguments that the words stand for.

        Raises:
            click.UsageError: A flag is not known, is missing, or its value cannot be read.
            click.exceptions.Exit: Help was asked for, and shown.
        """
        context = self.command.make_context(self.prog_name, self._spelled_out(words))
        given = {
            name: flag.collect(context.params[name])
            for name, flag in self._flags.items()
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        return self._call_arguments(given)

    def help(self) -> str:
        """Return the help of the task."""
        context = click.Context(self.command, info_name=self.prog_name)
        return self.command.get_help(context)

    def _call_arguments(self, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        parameters = self.task.signature.parameters
        has_more = any(
            each.kind is inspect.Parameter.VAR_POSITIONAL and given.get(name)
            for name, each in parameters.items()
        )
        for name, parameter in parameters.items():
            match parameter.kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    args += given.get(name, ())
                case inspect.Parameter.POSITIONAL_ONLY:
                    if name in given:
                        args.append(given[name])
                case inspect.Parameter.POSITIONAL_OR_KEYWORD if has_more:
                    # What comes before *args must be given by place, defaults too.
                    args.append(given.get(name, parameter.default))
                case _:
                    if name in given:
                        kwargs[name] = given[name]
        return tuple(args), kwargs

    def _spelled_out(self, words: Sequence[str]) -> list[str]:
        """Return the words with ``--flag false`` as ``--no-flag``, and ``--a_b`` as ``--a-b``."""
        spelled: list[str] = []
        switch = ""  # the one before, if it may still be given a truth
        for given in words:
            truth = _truth(given)
            if switch and truth is not None:
                spelled[-1] = switch if truth else self._booleans[switch]
                switch = ""
                continue
            name, equals, text = given.partition("=")
            if name.startswith("--"):
                name = "--" + name[2:].replace("_", "-")
            switch = name if name in self._booleans and not equals else ""
            if name in self._booleans and equals:
                spelled.append(self._switch(name, text))
            else:
                spelled.append(name + equals + text)
        return spelled

    def _switch(self, name: str, text: str) -> str:
        truth = _truth(text)
        if truth is None:
            reason = f"{text!r}: expected true or false."
            raise click.BadParameter(reason, param_hint=repr(name))
        return name if truth else self._booleans[name]

    def _flag(self, parameter: inspect.Parameter, annotation: Any, help_text: str) -> _Flag:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            argument = click.Argument(
                [parameter.name], nargs=-1, type=_Annotated(annotation), metavar="[VALUES]..."
            )
            return _Flag(argument, tuple)
        required = parameter.default is inspect.Parameter.empty
        shared: dict[str, Any] = {
            "required": required,
            "help": help_text + ("" if required else _default_text(help_text, parameter.default)),
        }
        name = _dashed(parameter.name)
        inner = _without_none(_plain(annotation))
        if inner is bool:
            negative = "--no-" + name[2:]
            self._booleans[name] = negative
            option = click.Option([parameter.name, f"{name}/{negative}"], **shared)
            return _Flag(option, _same)
        repeated = _repeated(inner)
        if repeated is not None:
            container, kind = repeated
            option = click.Option([parameter.name, name], type=kind, multiple=True, **shared)
            return _Flag(option, container)
        items = _tuple_items(inner)
        if items:
            kinds_of_items = tuple(_Annotated(item) for item in items)
            option = click.Option(
                [parameter.name, name],
                type=kinds_of_items,
                metavar=" ".join(kind.name for kind in kinds_of_items),
                **shared,
            )
            return _Flag(option, tuple)
        option = click.Option([parameter.name, name], type=_Annotated(annotation), **shared)
        return _Flag(option, _same)


def _default_text(help_text: str, default: Any) -> str:
    if default is None:
        return ""
    shown = default.name if isinstance(default, enum.Enum) else repr(default)
    if isinstance(default, PurePath):
        shown = str(default)
    if len(shown) > _MAX_DEFAULT:
        shown = shown[: _MAX_DEFAULT - 3] + "..."
    return f"{'  ' if help_text else ''}[default: {shown}]"


def _without_none(annotation: Any) -> Any:
    """Return ``T`` of ``T | None``; other annotations as they are."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(annotation) if each is not type(None)]
        if len(members) == 1:
            return _plain(members[0])
    return annotation


def _repeated(annotation: Any) -> tuple[Callable[[Any], Any], _ParamType] | None:
    """Return container and item type of an annotation whose flag may be given repeatedly."""
    origin = typing.get_origin(annotation) or annotation
    inside = typing.get_args(annotation)
    if origin is tuple:
        is_open = not inside or (len(inside) == 2 and inside[1] is Ellipsis)
        return (tuple, _Annotated(inside[0] if inside else Any)) if is_open else None
    try:
        container = _CONTAINERS.get(origin)
    except TypeError:
        return None
    if container is None:
        return None
    if container is dict:
        key, value = inside or (Any, Any)
        return dict, _Entry(key, value)
    return container, _Annotated(inside[0] if inside else Any)


def _tuple_items(annotation: Any) -> tuple[Any, ...]:
    """Return the types of a tuple of fixed length, and nothing for all else."""
    if typing.get_origin(annotation) is not tuple:
        return ()
    items = typing.get_args(annotation)
    return () if Ellipsis in items or items == ((),) else items


def annotations_of(task: Task[..., Any]) -> dict[str, Any]:
    """Return the annotations of a task's parameters; those that cannot be resolved stay text."""
    if not task.is_defined:
        return {}
    try:
        return typing.get_type_hints(task.func, include_extras=True)
    except Exception:
        # Names that exist for the type checker only: each annotation by itself, where it can be.
        return _resolved_one_by_one(task.func)


def _resolved_one_by_one(func: Callable[..., Any]) -> dict[str, Any]:
    resolved = {}
    for name, annotation in inspect.get_annotations(func).items():
        try:
            hint = eval(annotation, func.__globals__) if isinstance(annotation, str) else annotation
        except Exception:
            hint = Any
        resolved[name] = hint
    return resolved


# Help


class Docstring(typing.NamedTuple):
    """What a docstring says, in the parts that the help needs."""

    summary: str
    body: str
    arguments: Mapping[str, str]

    @classmethod
    def of(cls, task: Task[..., Any]) -> Docstring:
        """Read the docstring of a task: Google sections, or any text."""
        text = inspect.getdoc(task.func) or ""
        before, arguments = _split_arguments(text.splitlines())
        body = "\n".join(before).strip()
        return cls(body.split("\n", 1)[0].strip(), body, arguments)


_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Returns|Return|Yields|Raises|Example|Examples|Note|Notes):\s*"
)
_ARGUMENT = re.compile(r"(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def _split_arguments(lines: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the lines before the first section, and the text of each argument."""
    body: list[str] = []
    arguments: dict[str, str] = {}
    section = ""
    indent, name = None, ""
    for line in lines:
        heading = _SECTION.fullmatch(line)
        if heading:
            section = heading[1]
        elif not section:
            body.append(line)
        elif section in ("Args", "Arguments", "Parameters"):
            match = _ARGUMENT.fullmatch(line)
            if match and (indent is None or len(match[1]) <= indent):
                indent, name = len(match[1]), match[2]
                arguments[name] = match[3].strip()
            elif name and line.strip():
                arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    return body, arguments


def summaries(tasks: Sequence[Task[..., Any]]) -> Iterator[tuple[str, str]]:
    """Yield each task's name with the first line of its docstring."""
    for task in tasks:
        yield task.fullname, Docstring.of(task).summary
