"""Flags of ``taskgraph run``, made from a task's signature, annotations and docstring.

A flag that is not given passes nothing: the task's own default counts, as in a call.
"""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import click

from taskgraph.tasks.task import Task
from taskgraph.values.parsing import CONTAINERS, parse_value, plain, truth_of, type_name

if TYPE_CHECKING:
    # Generic for type checkers only: older versions of click cannot be subscribed.
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

_MAX_DEFAULT: Final = 40


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
            truth = truth_of(given)
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
        truth = truth_of(text)
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
        inner = _without_none(plain(annotation))
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
            return plain(members[0])
    return annotation


def _repeated(annotation: Any) -> tuple[Callable[[Any], Any], _ParamType] | None:
    """Return container and item type of an annotation whose flag may be given repeatedly."""
    origin = typing.get_origin(annotation) or annotation
    inside = typing.get_args(annotation)
    if origin is tuple:
        is_open = not inside or (len(inside) == 2 and inside[1] is Ellipsis)
        return (tuple, _Annotated(inside[0] if inside else Any)) if is_open else None
    try:
        container = CONTAINERS.get(origin)
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
