"""The Task: a function with a name, options and a hash. Calling it writes the call down."""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast

from taskgraph.errors import TaskOptionError, UnfollowedCodeError, UnhashableValueError
from taskgraph.expression import SchedulerExpression, TaskExpression
from taskgraph.fingerprint.code import Code
from taskgraph.fingerprint.parts import Fingerprint, Part, PartKind, Parts, make_part
from taskgraph.fingerprint.project import current_project
from taskgraph.fingerprint.state import Codes, Touch
from taskgraph.fingerprint.surroundings import package_parts, tool_parts
from taskgraph.hashing import TaskHash, ValueHash, hash_record
from taskgraph.tasks.context import checked_context, merge_context
from taskgraph.tasks.names import check_name, check_namespace, join_name
from taskgraph.tasks.options import (
    NO_OPTIONS,
    Options,
    checked_options,
    meaning_of,
    merge_options,
    shared_options,
)
from taskgraph.tasks.partial import PartialTask
from taskgraph.tasks.schemas import (
    ANY_TYPE,
    AUTO,
    checked_schema,
    checked_type,
    defaults_of,
    derive,
)
from taskgraph.tasks.signature import Binder
from taskgraph.values.preview import preview
from taskgraph.values.weigh import hash_value

_UNDEFINED = "Task {} is not defined here; import its module."

# The options that count in the hash.
_COUNTED = frozenset({"nout", "packages", "script", "tools"})

_HASH = re.compile(r"[0-9a-f]{32}")

# The versions of a task whose parts are at hand: those of calls that are not recorded yet.
_MOST_COUNTED = 4

# What functions of scheduler tasks in the style of callbacks are given first.
_TOLD = ("scheduler", "parent_job", "sexpr")

# Code that names it is hashed, and values are stored, by where it has always been found: here.
PartialTask.__module__ = __name__

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that is run as a step of a workflow.

    Attributes:
        name: The task's own name.
        namespace: Where the name is at home; may be empty.
        func: The function as the user wrote it. Of a task that was read from the store and is not
            defined here, one that raises a ValueError.
        version: Replaces the code in the hash, if given.
        compat: Earlier hashes of it: what is recorded under them counts for this code as well.
        nout: How many items its result has, where that is known before it runs.
        input_type: Of which type datasets are that it takes as the first step of a stored workflow.
        output_type: Of which type the one is that it gives as the last one.
        inner_task: The task that it is wrapped around, if it is; that may be wrapped itself.
    """

    inner_task: Task[..., Any] | None = None
    expression_type: type[TaskExpression] = TaskExpression

    def __init__(
        self,
        func: Callable[P, R] | None,
        *,
        name: str,
        namespace: str = "",
        version: str | None = None,
        hash_includes: Sequence[Any] = (),
        source: str | None = None,
        compat: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        call_options: Options = NO_OPTIONS,
        export_options: Mapping[str, Any] | None = None,
        args_schema: Mapping[str, Any] | str = AUTO,
        input_type: str = ANY_TYPE,
        output_type: str = ANY_TYPE,
    ) -> None:
        check_name(name)
        check_namespace(namespace)
        self.name = name
        self.namespace = namespace
        self.fullname = join_name(namespace, name)
        self.func: Callable[P, R] = _undefined(self.fullname) if func is None else func
        self.version = version
        self.hash_includes = tuple(hash_includes)
        self.compat = _checked_compat(self.fullname, compat)
        # Shared by all twins of the task: its source is read once.
        self._code = Code(func, source) if func is not None else None
        self.base_options = checked_options(self.fullname, options or {})
        self.base_exports = shared_options(self.fullname, export_options or {})
        self.call_options = call_options
        self.call_exports: Options = NO_OPTIONS
        self.call_context: Mapping[str, Any] | None = None
        self._is_async = inspect.iscoroutinefunction(func)
        self._recorded_hash: TaskHash | None = None
        self._counted: dict[TaskHash, Callable[[], Parts]] = {}
        # None of it counts in any hash: it is about steps of stored workflows.
        self._schema = checked_schema(self.fullname, args_schema)
        self._derived: list[dict[str, Any]] = []
        self.input_type = checked_type(self.fullname, "input_type", input_type)
        self.output_type = checked_type(self.fullname, "output_type", output_type)
        if func is not None:
            self.__doc__ = func.__doc__
            self.__wrapped__ = func
            self.__module__ = getattr(func, "__module__", type(func).__module__)
            self.__qualname__ = getattr(func, "__qualname__", type(func).__qualname__)
            self._check_config_args(self.base_options)
        self.nout = self._infer_nout()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Write a call down; nothing runs.

        Returns:
            A `TaskExpression`. Type checkers are told that it is what the function returns, for
            that is what it stands for wherever it goes.

        Raises:
            TypeError: The arguments do not fit the signature.
        """
        if self._code is not None:
            try:
                self.binder.check(args, kwargs)
            except TypeError as error:
                raise TypeError(f"{self.fullname}{self.signature}: {error}") from None
        return cast(
            R,
            self.expression_type(
                self.fullname,
                args,
                kwargs,
                self.call_options or None,
                self.call_exports or None,
                self.nout,
                self,
                self.call_context,
            ),
        )

    def __repr__(self) -> str:
        return f"Task(fullname={self.fullname!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        state = {
            "name": self.name,
            "namespace": self.namespace,
            "version": self.version,
            "hash": self.hash,
            "compat": list(self.compat),
            "script": self.script,
            "task_options": dict(self.call_options),
            "export_options": dict(self.call_exports),
            **({} if self.call_context is None else {"context": self.call_context}),
        }
        return _restore_task, (type(self), state)

    @property
    def is_defined(self) -> bool:
        """Whether it has a function: one that was read from the store may be defined nowhere."""
        return self._code is not None

    @property
    def signature(self) -> inspect.Signature:
        """The signature of the function."""
        return self.binder.signature

    @cached_property
    def binder(self) -> Binder:
        """What binds arguments to the signature."""
        if self._code is None:
            raise ValueError(_UNDEFINED.format(self.fullname))
        signature = self._signature_of(self.func)
        return Binder(signature, self.base_options.get("config_args", ()))

    def _signature_of(self, func: Callable[..., Any]) -> inspect.Signature:
        """Return what a call of the task may be given."""
        return inspect.signature(func)

    @property
    def args_schema(self) -> dict[str, Any]:
        """What it may be given by name, as a JSON schema: all parameters but the first."""
        if self._schema is None:
            if self._code is None:
                raise ValueError(_UNDEFINED.format(self.fullname))
            # Made once for all twins of the task, and not before somebody asks.
            if not self._derived:
                self._derived.append(derive(self.func, self.signature))
            return copy.deepcopy(self._derived[0])
        return copy.deepcopy(dict(self._schema))

    @property
    def default_args(self) -> dict[str, Any]:
        """The defaults of its schema: those of parameters on top, as far as they are not null."""
        return defaults_of(self.args_schema)

    @property
    def source(self) -> str:
        """The source text of the function, from its ``def`` on."""
        return self._code.source if self._code is not None else ""

    @property
    def wrapped_task(self) -> Task[..., Any] | None:
        """The task that all wrappers are around, as its author wrote it; None without a wrapper."""
        wrapped = self.inner_task
        while wrapped is not None and wrapped.inner_task is not None:
            wrapped = wrapped.inner_task
        return wrapped

    @property
    def load_module(self) -> str:
        """The module that a worker imports to find the task."""
        return cast(str, self.base_options.get("load_module") or self.__module__)

    @property
    def script(self) -> bool:
        """Whether its function returns the text of a script, which is run below it."""
        return bool(self.all_options.get("script"))

    def is_async(self) -> bool:
        """Tell whether the function is a coroutine function."""
        return self._is_async

    def _check_config_args(self, options: Options) -> None:
        for option in options.get("config_args", ()):
            if option not in self.signature.parameters:
                names = ", ".join(self.signature.parameters) or "none"
                raise TaskOptionError(
                    self.fullname,
                    "config_args",
                    f"there is no parameter named {option!r}; there are: {names}",
                )

    def _infer_nout(self) -> int | None:
        nout = merge_options(self.base_options, self.call_options).get("nout")
        if nout is not None or self._code is None:
            return cast("int | None", nout)
        annotation = getattr(self.func, "__annotations__", {}).get("return")
        if isinstance(annotation, str):
            # Only what may be a tuple is worth resolving, and what cannot be resolved is none.
            try:
                annotation = typing.get_type_hints(self.func).get("return")
            except Exception:
                return None
        return get_tuple_type_length(annotation)

    # The same task with more said of its calls

    def options(self, **options: Any) -> Task[P, R]:
        """Return the same task with other options for the calls that are made of it."""
        checked = checked_options(self.fullname, options)
        twin = self._twin()
        twin.call_options = merge_options(self.call_options, checked)
        twin.nout = twin.call_options.get("nout", self.nout)
        if not _COUNTED.isdisjoint(checked):
            twin.compat = ()  # what was recorded under them was another task than this one
        if "config_args" in checked and self._code is not None:
            self._check_config_args(checked)
            twin.binder = Binder(self.signature, checked["config_args"])
        return twin

    def export_options(self, **options: Any) -> Task[P, R]:
        """Return the same task with options for the calls of it, and for all calls below these.

        Raises:
            TaskOptionError: An option is unknown, has a value that it cannot have, or speaks of
                one task's own code and parameters.
        """
        twin = self._twin()
        twin.call_exports = merge_options(self.call_exports, shared_options(self.fullname, options))
        return twin

    def update_context(
        self, context: Mapping[str, Any] | None = None, /, **values: Any
    ) -> Task[P, R]:
        """Return the same task, whose calls, and all below them, read other context values.

        Args:
            context: Nested dicts, merged with the context that a call is made in.
            values: More of it, by name.

        Raises:
            TypeError: It is no dict, a name in it has a dot, or there is a lazy call in it.
        """
        update = merge_context(checked_context(context or {}), checked_context(values))
        twin = self._twin()
        twin.call_context = merge_context(self.call_context or {}, update)
        return twin

    def partial(self, *args: Any, **kwargs: Any) -> PartialTask[R]:
        """Return the task with some arguments given already."""
        return PartialTask(self, args, kwargs)

    def as_called(
        self,
        options: Options | None,
        exports: Options | None,
        context: Mapping[str, Any] | None = None,
    ) -> Task[P, R]:
        """Return the same task with what was said of a call, as it is stored."""
        twin = self.options(**options) if options else self._twin()
        twin = twin.export_options(**exports) if exports else twin
        return twin.update_context(context) if context else twin

    def _twin(self) -> Task[P, R]:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.pop("all_options", None)
        return twin

    @property
    def said_of_calls(self) -> tuple[Any, ...]:
        """Options and context that its calls get and other calls of the task do not; often none."""
        layers = (dict(self.call_options), dict(self.call_exports), self.call_context)
        return layers if any(layers) else ()

    @property
    def exports(self) -> Options:
        """The options that calls below those of this task get, too."""
        return merge_options(self.base_exports, self.call_exports)

    @cached_property
    def all_options(self) -> Options:
        """The options of the task and of calls that are made of it, merged once."""
        return merge_options(
            self.base_options, self.base_exports, self.call_options, self.call_exports
        )

    def get_task_options(self) -> dict[str, Any]:
        """Return all options of the task."""
        return dict(self.all_options)

    def get_task_option(self, name: str, default: Any = None) -> Any:
        """Return one option of the task, or a default."""
        return self.get_task_options().get(name, default)

    def has_task_option(self, name: str) -> bool:
        """Tell whether an option was given."""
        return name in self.get_task_options()

    # What counts of its code

    @property
    def fingerprint(self) -> Fingerprint:
        """What of the code counts, as it is now or was when the execution began."""
        if self._code is None:
            raise ValueError(_UNDEFINED.format(self.fullname))
        return self._code.fingerprint

    @property
    def live_fingerprint(self) -> Fingerprint:
        """The fingerprint, for who asks before each call: quick while nothing has changed."""
        if self._code is None:
            raise ValueError(_UNDEFINED.format(self.fullname))
        return self._code.live_fingerprint

    @property
    def touches(self) -> Sequence[Touch]:
        """The variables that the function may change, as they were seen the last time."""
        return self._code.touches if self._code is not None else ()

    @property
    def hash(self) -> TaskHash:
        """The hash over full name, code or version, and the options that change meaning."""
        return self.get_hash()

    def get_hash(self, found: Fingerprint | None = None) -> TaskHash:
        """Compute the hash from the code as it is now.

        Args:
            found: The fingerprint, where that is known already.

        Raises:
            UnfollowedCodeError: The task is strict, and something it reaches cannot be followed.
            TaskOptionError: A package or tool that counts is not there.
        """
        if self._code is None and self._recorded_hash is not None:
            return self._recorded_hash
        if self.version is not None:
            code = f"version:{self.version}"
        else:
            found = found or self.fingerprint
            code = found.code_hash
            self._check_strict(found)
        others = self._other_parts()
        hashes = [each.part_hash for each in others]
        made = TaskHash(hash_record("task", self.fullname, code, *hashes))
        self._keep_counted(made, lambda: (*self._code_parts(found), *others))
        return made

    def hash_token(self) -> object:
        """Return a token of the hash in this execution: the same object for the same hash.

        Returns:
            None if a variable that the code looks at holds something else now.
        """
        if self.version is not None or self._code is None:
            return self
        return self._code.token()

    def hash_within(self, codes: Codes) -> TaskHash:
        """Compute the hash from the code as it is now, for who calls the task from a body.

        Args:
            codes: The pieces of code whose changes of variables are the caller's own doing.
        """
        if self.version is not None or self._code is None:
            return Task.get_hash(self)
        return Task.get_hash(self, self._code.fingerprint_within(codes))

    @property
    def parts(self) -> Parts:
        """All that counts in the hash besides the full name, one by one."""
        found = self.fingerprint if self.version is None else None
        return (*self._code_parts(found), *self._other_parts())

    def parts_of(self, task_hash: TaskHash) -> Parts:
        """Return all that counted in a hash that was computed before, one by one."""
        list_parts = self._counted.get(task_hash)
        return self.parts if list_parts is None else list_parts()

    def _keep_counted(self, task_hash: TaskHash, list_parts: Callable[[], Parts]) -> None:
        """Keep what counted in a hash: it may be another one when a call of it is recorded."""
        counted = self._counted
        counted.pop(task_hash, None)
        counted[task_hash] = list_parts
        if len(counted) > _MOST_COUNTED:
            counted.pop(next(iter(counted)), None)

    def _code_parts(self, found: Fingerprint | None) -> Parts:
        if self.version is not None:
            return (make_part(PartKind.VERSION, "version", self.version),)
        return () if found is None else found.parts

    def _other_parts(self) -> list[Part]:
        """Return what counts besides the code; the same for the hash and for its explanation."""
        options = merge_options(self.base_options, self.call_options)
        parts = [
            make_part(
                PartKind.INCLUDE,
                f"hash_includes[{position}]",
                preview(each),
                hash_value(each, "hash_includes"),
            )
            for position, each in enumerate(self.hash_includes)
        ]
        try:
            if packages := options.get("packages"):
                # With a version in place of the code, nobody looks at what that imports.
                code = () if self.version is not None else self.fingerprint.parts
                parts += package_parts(packages, code)
        except LookupError as error:
            raise TaskOptionError(self.fullname, "packages", str(error)) from error
        try:
            parts += tool_parts(options.get("tools") or ())
        except LookupError as error:
            raise TaskOptionError(self.fullname, "tools", str(error)) from error
        parts += [make_part(PartKind.OPTION, n, repr(value)) for n, value in meaning_of(options)]
        return parts

    def _check_strict(self, found: Fingerprint) -> None:
        options = merge_options(self.base_options, self.call_options)
        if options.get("strict", current_project().strict) and found.unfollowed:
            raise UnfollowedCodeError(
                self.fullname, [(each.name, each.source) for each in found.unfollowed]
            )

    def defaults_hash(self) -> ValueHash | None:
        """Return the hash of the defaults of all parameters; None if one has no hash."""
        try:
            return hash_value(dict(self.binder.defaults), "defaults")
        except UnhashableValueError:  # a call that needs it says so
            return None

    def is_valid(self) -> bool:
        """Tell whether the task that is registered under its name has the same code.

        One that was read from the store is what it was recorded as. One that is defined nowhere
        here is not valid.
        """
        from taskgraph.tasks.registry import get_task_registry

        found = get_task_registry().find(self.fullname)
        if found is None:
            return False
        recorded = self._recorded_hash or self.hash
        return found.options(**self.call_options).hash == recorded


class SchedulerTask(Task[P, R]):
    """A task that runs inside of the scheduler and sees its arguments unevaluated.

    Its function is a generator that yields expressions, is sent their values, and returns a value
    or an expression; a plain function that returns an expression will do as well. One whose first
    parameters are ``scheduler, parent_job, sexpr`` is given these besides its arguments, and
    returns a promise.
    """

    expression_type = SchedulerExpression

    @property
    def is_told_of_job(self) -> bool:
        """Whether its function is given the scheduler, the job that calls it, and the call."""
        if self._is_told_of_job is None:
            func = self.func
            self._is_told_of_job = (
                func is not None
                and not inspect.isgeneratorfunction(func)
                and tuple(inspect.signature(func).parameters)[:3] == _TOLD
            )
        return self._is_told_of_job

    _is_told_of_job: bool | None = None

    def _signature_of(self, func: Callable[..., Any]) -> inspect.Signature:
        signature = inspect.signature(func)
        if not self.is_told_of_job:
            return signature
        own = list(signature.parameters.values())[len(_TOLD) :]
        return signature.replace(parameters=own)


def get_tuple_type_length(annotation: Any) -> int | None:
    """Return how many items a tuple type has, or None where that is not known."""
    origin = typing.get_origin(annotation)
    if origin is tuple:
        items = typing.get_args(annotation)
        if Ellipsis in items:
            return None
        return 0 if items == ((),) else len(items)
    if isinstance(annotation, type) and issubclass(annotation, tuple):
        fields = getattr(annotation, "_fields", None)
        return len(fields) if fields is not None else None
    return None


def _undefined(fullname: str) -> Callable[..., Any]:
    """Return what stands for the function of a task that is not defined here."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(_UNDEFINED.format(fullname))

    return refuse


def _checked_compat(task: str, hashes: Sequence[str]) -> tuple[str, ...]:
    """Return the hashes of earlier code, each once.

    Raises:
        TaskOptionError: They are something else.
    """
    if isinstance(hashes, str) or not isinstance(hashes, Iterable):
        raise TaskOptionError(task, "compat", f"must be a list of task hashes, not {hashes!r}")
    given = list(hashes)
    for each in given:
        if not isinstance(each, str) or not _HASH.fullmatch(each):
            raise TaskOptionError(
                task,
                "compat",
                f"{each!r} is no task hash, which has 32 hex digits: `taskgraph log --json TASK` "
                "shows that of the code that ran last",
            )
    return tuple(dict.fromkeys(given))


def _restore_task(kind: type[Task[..., Any]], state: dict[str, Any]) -> Task[..., Any]:
    """Make a task again from its stored state, with the function that is registered here."""
    from taskgraph.tasks.registry import get_task_registry

    fullname = join_name(state["namespace"], state["name"])
    # What is not in the state was not yet stored there by the version that wrote it.
    found = get_task_registry().find(fullname) or kind(
        None,
        name=state["name"],
        namespace=state["namespace"],
        version=state["version"],
        compat=state.get("compat", ()),
        options={"script": True} if state.get("script") else None,
    )
    task: Task[..., Any] = found.as_called(
        state["task_options"], state.get("export_options"), state.get("context")
    )
    task._recorded_hash = state["hash"]
    return task


def names_of(tasks: Iterable[Task[..., Any]]) -> list[str]:
    """Return the sorted full names of tasks."""
    return sorted(each.fullname for each in tasks)
