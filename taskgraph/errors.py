"""Every exception that taskgraph raises: typed fields, and the message made from them.

One class for each situation that a user can act on. The message is made in ``__str__`` from the
fields: what happened, to what, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class TaskgraphError(Exception):
    """The base of all errors that taskgraph itself raises."""


# What a task may be


class TaskNameError(TaskgraphError, ValueError):
    """A task's name or namespace is not made of identifiers."""

    def __init__(self, name: str, what: str = "name") -> None:
        super().__init__(name, what)
        self.name = name
        self.what = what

    def __str__(self) -> str:
        dots = " separated by dots" if self.what == "namespace" else ""
        return (
            f"Task {self.what} {self.name!r} is not valid: use letters, digits and underscores"
            f"{dots}, not starting with a digit. Give another one with @task({self.what}=...)."
        )


class TaskOptionError(TaskgraphError, ValueError):
    """An option of a task has a value that it cannot have."""

    def __init__(self, task: str, option: str, reason: str) -> None:
        super().__init__(task, option, reason)
        self.task = task
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        whose = self.task if " " in self.task else f"Task {self.task}"
        return f"{whose}: option {self.option!r}: {self.reason}"


class UnfollowedCodeError(TaskgraphError):
    """A task that must be strict reaches code or values that cannot be followed."""

    def __init__(self, task: str, unfollowed: Sequence[tuple[str, str]]) -> None:
        super().__init__(task, tuple(unfollowed))
        self.task = task
        self.unfollowed = tuple(unfollowed)

    def __str__(self) -> str:
        lines = "".join(f"\n  {where}: {why}" for where, why in self.unfollowed)
        return (
            f"Task {self.task} is strict, and not all that it reaches can be followed:{lines}\n"
            "Say it in a way that can be followed, mark what has no bearing on the result with "
            "@taskgraph.opaque, give the task a version= of its own, or leave strict out."
        )


class UnknownTaskError(TaskgraphError, LookupError):
    """No task of this name is registered."""

    def __init__(self, name: str, nearest: Sequence[str] = (), place: str = "") -> None:
        super().__init__(name, tuple(nearest), place)
        self.name = name
        self.nearest = tuple(nearest)
        self.place = place

    def __str__(self) -> str:
        where = f" in {self.place}" if self.place else ""
        message = f"There is no task named {self.name!r}{where}."
        if self.nearest:
            message += f" Did you mean {' or '.join(repr(n) for n in self.nearest)}?"
        return message


# Values


class UnhashableValueError(TaskgraphError, TypeError):
    """A value has no stable hash; says where inside the argument it was found."""

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        super().__init__(path, type_name, reason)
        self.path = path
        self.type_name = type_name
        self.reason = reason

    @property
    def what(self) -> str:
        """What happened, without what to do: for values that are no arguments."""
        return f"{self.path} (a {self.type_name}) cannot be hashed in a stable way: {self.reason}."

    def __str__(self) -> str:
        return (
            f"{self.what} Leave the argument out of the key with @task(config_args=[...]), give "
            "its class a __taskgraph_hash__ method, or register a ValueKind for it."
        )


class UnstorableValueError(TaskgraphError):
    """A value cannot be written to the store: it cannot be pickled, or is too large."""

    def __init__(self, type_name: str, reason: str) -> None:
        super().__init__(type_name, reason)
        self.type_name = type_name
        self.reason = reason

    def __str__(self) -> str:
        return f"A value of type {self.type_name} cannot be stored: {self.reason}."


class DamagedValueError(TaskgraphError):
    """A stored value does not have the bytes that were written, or can no longer be read."""

    def __init__(self, value_hash: str, reason: str) -> None:
        super().__init__(value_hash, reason)
        self.value_hash = value_hash
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Stored value {self.value_hash[:8]} cannot be used: {self.reason}. "
            "The call that made it will run again."
        )


class InvalidValueError(DamagedValueError):
    """A stored value has the bytes that were written, and what it needs besides is not there.

    A module that is not installed, a type that nobody registers, the file that holds it.

    Attributes:
        is_lost: Whether it is gone for good, so that its record is of no use to anybody.
    """

    def __init__(self, value_hash: str, reason: str, is_lost: bool = False) -> None:
        super().__init__(value_hash, reason)
        self.args = (value_hash, reason, is_lost)
        self.is_lost = is_lost


class HandleError(TaskgraphError, ValueError):
    """A handle cannot be followed: where it lies, or with what it is merged."""

    def __init__(self, handle: str, reason: str) -> None:
        super().__init__(handle, reason)
        self.handle = handle
        self.reason = reason

    def __str__(self) -> str:
        return f"Handle {self.handle!r}: {self.reason}."


class HandleOutsideError(UnhashableValueError):
    """A function that no workflow calls is given a handle, so that nobody follows its service."""

    def __str__(self) -> str:
        return (
            f"{self.path} is a handle (a {self.type_name}), and {self.reason}. Make the function a"
            " @task, and call it in a workflow; or give it something else than a handle."
        )


class UnknownRootError(TaskgraphError, LookupError):
    """A file was recorded below a root that is not declared here."""

    def __init__(self, root: str, path: str, known: Sequence[str] = ()) -> None:
        super().__init__(root, path, tuple(known))
        self.root = root
        self.path = path
        self.known = tuple(known)

    def __str__(self) -> str:
        here = ", ".join(repr(name) for name in self.known) or "none"
        return (
            f"File {self.path!r} lies below the root {self.root!r}, which is not declared here "
            f'(there is {here}). Say where it is: {self.root} = "/folder" in [roots].'
        )


# Running


class SchedulerError(TaskgraphError):
    """The scheduler was asked for something that it cannot do."""


class CircularCallError(SchedulerError):
    """A call needs its own result: nothing that is left can ever become ready."""

    def __init__(self, task: str, eval_hash: str) -> None:
        super().__init__(task, eval_hash)
        self.task = task
        self.eval_hash = eval_hash

    def __str__(self) -> str:
        return (
            f"The call of {self.task} ({self.eval_hash[:8]}) needs its own result: it calls itself "
            "with the same arguments, directly or through other tasks. Let an argument change."
        )


class PromiseError(SchedulerError):
    """A scheduler task promised a value, and nothing is left that could give it one."""

    def __init__(self, task: str) -> None:
        super().__init__(task)
        self.task = task

    def __str__(self) -> str:
        return (
            f"The promise of {self.task} is pending, and nothing that it asked for is left: it "
            "would wait for ever. Return what follows from scheduler.evaluate(...), or resolve "
            "the promise in a callback of that."
        )


class AwaitError(SchedulerError):
    """An expression is awaited where nothing evaluates it.

    In an ``async def`` task, let it run on executor ``async``, which is the default; elsewhere
    ``await scheduler.arun(expr)``, or call ``taskgraph.run(expr)``.
    """

    def __init__(self, expr: str) -> None:
        super().__init__(expr)
        self.expr = expr

    def __str__(self) -> str:
        return (
            f"Nothing evaluates {self.expr} here. In an async task, leave the executor to the "
            "default or say executor='async'; elsewhere, await scheduler.arun(expr) or call "
            "taskgraph.run(expr)."
        )


class LazyResultError(TaskgraphError, TypeError):
    """A function that is called as it is returned a lazy call, which nobody would run.

    Run it in the function, ``return taskgraph.run(task(...))``, or make the function a task.
    """

    def __init__(self, function: str, task: str) -> None:
        super().__init__(function, task)
        self.function = function
        self.task = task

    def __str__(self) -> str:
        return (
            f"{self.function} returned a call of the task {self.task} that has not run. Run it "
            f"there, `return taskgraph.run(...)`, or make {self.function} a task itself."
        )


class GeneratorCallError(TaskgraphError, TypeError):
    """A generator cannot be remembered: what its call gives can be gone through only once.

    Return a list, or have a function that is remembered call the generator.
    """

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function

    def __str__(self) -> str:
        return (
            f"{self.function} is a generator: what its call gives can be gone through only once, "
            "and cannot be kept. Return a list instead, or keep a function that makes a list of "
            f"it: `cached(lambda: list({self.function.rpartition('.')[2]}(...)))`."
        )


class YieldFixtureError(GeneratorCallError):
    """A pytest fixture that yields cannot be kept: what comes after its ``yield`` must run too.

    Let a cached fixture return the value, and one that is not cached take and yield it.
    """

    def __str__(self) -> str:
        name = self.function.rpartition(".")[2]
        return (
            f"The fixture {self.function} yields, so it cannot be kept between sessions: what "
            "follows its yield must run each time. Make it two: one with @cached that returns the "
            f"value, and {name} without @cached, which takes that one, yields it and cleans up."
        )


class FixtureRequestError(TaskgraphError, AttributeError):
    """A cached pytest fixture asked ``request`` for more than ``request.param``.

    What else is there does not count in the key of the fixture. Let a fixture that is not cached
    return it, and let the cached one take that as an argument.
    """

    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute

    def __str__(self) -> str:
        if self.attribute == "param":
            return "The fixture has no param: it was not given @pytest.fixture(params=[...])."
        return (
            f"A cached fixture sees request.param only, and asked for request.{self.attribute}, "
            "which would not count in its key. Return it from a fixture without @cached and take "
            "that one as an argument; or, if the result does not depend on it, write "
            '@cached(config_args=["request"]).'
        )


class FixtureNotKeptWarning(UserWarning):
    """A cached pytest fixture ran and was used, and will run in the next session again."""

    def __init__(self, fixture: str, reason: str, advice: str = "") -> None:
        super().__init__(fixture, reason, advice)
        self.fixture = fixture
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        advice = f" {self.advice}" if self.advice else ""
        return (
            f"The cached fixture {self.fixture} is not kept and runs in every session: "
            f"{self.reason}.{advice}"
        )


class DryRunResult(TaskgraphError):
    """A dry run reached the first call that would have to run."""

    def __init__(self, calls: Sequence[str]) -> None:
        super().__init__(tuple(calls))
        self.calls = tuple(calls)

    def __str__(self) -> str:
        shown = ", ".join(self.calls[:5]) + (" ..." if len(self.calls) > 5 else "")
        return f"Dry run: {len(self.calls)} calls would run next: {shown}"


class RerunLimitError(TaskgraphError):
    """A run would make more calls again than it may.

    Attributes:
        limit: How many calls, or how much of the time that they took the last time.
        calls: How many it would be.
        seconds: How long these took the last time, as far as that is known.
        causes: Task, reason and number of calls of those that it would be most of.
        is_before: Whether it was known before anything ran.
    """

    def __init__(
        self,
        limit: int | timedelta,
        calls: int,
        seconds: float,
        causes: Sequence[tuple[str, str, int]],
        is_before: bool,
    ) -> None:
        super().__init__(limit, calls, seconds, tuple(causes), is_before)
        self.limit = limit
        self.calls = calls
        self.seconds = seconds
        self.causes = tuple(causes)
        self.is_before = is_before

    def __str__(self) -> str:
        took = f" that took {_rounded(self.seconds)} the last time" if self.seconds else ""
        calls = f"{self.calls} {_calls(self.calls)}{took}"
        causes = "; ".join(f"{task}, {n} {_calls(n)}: {why}" for task, why, n in self.causes)
        allowed = self.limit if isinstance(self.limit, timedelta) else f"{self.limit} calls"
        state = "Nothing has run" if self.is_before else "What had finished is kept"
        return (
            f"This run would make {calls} again, and it may make {allowed} again (max_rerun). "
            f"{state}. Most of all: {causes}. `taskgraph plan` shows them; raise the limit if they "
            "are to run."
        )


def _calls(count: int) -> str:
    return "call" if count == 1 else "calls"


def _rounded(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 90 else str(timedelta(seconds=round(seconds)))


class NoCurrentSchedulerError(TaskgraphError):
    """A function that needs a running scheduler was called outside of one."""

    def __str__(self) -> str:
        return "No scheduler is running here. Call this inside of a task or a scheduler task."


#: The same, by the name that it goes by elsewhere.
NoCurrentScheduler = NoCurrentSchedulerError


class ExecutorError(TaskgraphError):
    """An executor cannot be made or used as asked."""


class WorkerLostError(ExecutorError):
    """The process that ran a task ended before the task did."""

    def __init__(self, task: str, detail: str = "") -> None:
        super().__init__(task, detail)
        self.task = task
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"The worker process that ran {self.task} ended before the task did"
            f"{f' ({self.detail})' if self.detail else ''}: killed, out of memory, or a crash in "
            "native code. Its finished siblings are kept; run again to go on from there."
        )


class LimitError(TaskgraphError):
    """A call wants more of a limit than there is, so that it could never run."""

    def __init__(self, task: str, limit: str, wanted: int, size: int) -> None:
        super().__init__(task, limit, wanted, size)
        self.task = task
        self.limit = limit
        self.wanted = wanted
        self.size = size

    def __str__(self) -> str:
        return (
            f"{self.task} wants {self.wanted} of the limit {self.limit!r}, and there "
            f"{'is' if self.size == 1 else 'are'} {self.size}. Set limits.{self.limit} in the "
            "settings."
        )


class RerunError(TaskgraphError):
    """A recorded call cannot be made again as it was."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(job, reason)
        self.job = job
        self.reason = reason

    def __str__(self) -> str:
        return f"The call of {self.job} cannot be made again: {self.reason}"


class TaskTimeoutError(TaskgraphError, TimeoutError):
    """A call ran for longer than its option ``timeout`` allows.

    Attributes:
        task: The full name of the task.
        seconds: How long it might run.
        is_abandoned: Whether its body still runs, in a thread that nobody waits for.
    """

    def __init__(self, task: str, seconds: float, is_abandoned: bool = False) -> None:
        super().__init__(task, seconds, is_abandoned)
        self.task = task
        self.seconds = seconds
        self.is_abandoned = is_abandoned

    def __str__(self) -> str:
        return f"{self.task} ran for more than {self.seconds:g} s, which is its timeout"


class WorkerCodeError(ExecutorError):
    """A worker of another tool holds other code of a function than the process that submitted it.

    Restart the workers, so that they import it anew.
    """

    def __init__(self, function: str, worker: str, differing: Sequence[str]) -> None:
        super().__init__(function, worker, tuple(differing))
        self.function = function
        self.worker = worker
        self.differing = tuple(differing)

    def __str__(self) -> str:
        return (
            f"{self.function} did not run: the worker {self.worker} holds other code of "
            f"{', '.join(self.differing)} than the process that submitted the call. One of the two "
            "imported it before it was edited, or they read different files. Restart the workers "
            "(`client.restart()`), and this process too if it is the older one."
        )


class WorkerProjectError(ExecutorError):
    """A worker of another tool works for another project by now.

    Use one cluster for each project, or make a new client.
    """

    def __init__(self, function: str, worker: str) -> None:
        super().__init__(function, worker)
        self.function = function
        self.worker = worker

    def __str__(self) -> str:
        return (
            f"{self.function} did not run: the worker {self.worker} works for another project by "
            "now, whose files it would read and whose code it would follow. Use one cluster for "
            "each project; to take this one over, make a new Client."
        )


class RemoteTaskError(TaskgraphError):
    """Stands for a task's exception that could not be sent back as it was."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        return self.error


# Scripts


class ScriptError(TaskgraphError):
    """A script ended with an exit code that says that it failed, or was killed.

    Attributes:
        command: Its text, or its words.
        exit_code: What it ended with; minus the number of the signal if one killed it.
        stderr: The end of what it said on its standard error.
        folder: The temporary folder that it ran in, which is kept; None if it had none.
    """

    def __init__(
        self, command: str, exit_code: int, stderr: str = "", folder: str | None = None
    ) -> None:
        super().__init__(command, exit_code, stderr, folder)
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
        self.folder = folder

    @property
    def message(self) -> str:
        """All that is said of it."""
        return str(self)

    def __str__(self) -> str:
        return "\n".join([f"A script {_how_it_ended(self.exit_code)}.", *self._details()])

    def _details(self) -> list[str]:
        said = self.stderr.rstrip()
        lines = [f"The end of its stderr:\n{_indented(said)}" if said else "Its stderr is empty."]
        if self.folder is not None:
            lines.append(f"It ran in {self.folder}, which is kept.")
        return [*lines, f"The script:\n{_indented(self.command, _MOST_LINES)}"]


class ScriptOutputError(ScriptError):
    """A script ended well, and did not make all of its outputs.

    Attributes:
        missing: The paths where nothing is.
    """

    def __init__(
        self,
        command: str,
        missing: Sequence[str],
        stderr: str = "",
        folder: str | None = None,
    ) -> None:
        super().__init__(command, 0, stderr, folder)
        self.args = (command, tuple(missing), stderr, folder)
        self.missing = tuple(missing)

    def __str__(self) -> str:
        first = f"A script ended well, and did not make {', '.join(self.missing)}: "
        hint = "write there, or leave it out of the outputs."
        return "\n".join([first + hint, *self._details()])


class ScriptStartError(ScriptError):
    """A script could not be started: what is to run it is not there, or cannot be run.

    Attributes:
        reason: Why, and what to do.
    """

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, _NOT_FOUND)
        self.args = (command, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"A script cannot be started: {self.reason}.\nThe script:\n" + _indented(
            self.command, _MOST_LINES
        )


# The exit codes that shells have for what cannot be run.
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_SIGNALS = 128
_MOST_LINES = 40


def _how_it_ended(code: int) -> str:
    import signal

    if code < 0:
        return f"was killed by {_signal_name(-code)}"
    text = f"ended with exit code {code}"
    if code == _NOT_EXECUTABLE:
        return f"{text} (a command in it is not executable)"
    if code == _NOT_FOUND:
        return f"{text} (a command in it was not found: is it installed, and on PATH?)"
    if _SIGNALS < code < _SIGNALS + signal.NSIG:
        return f"{text} (a command in it was killed by {_signal_name(code - _SIGNALS)})"
    return text


def _signal_name(number: int) -> str:
    import signal

    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name} (out of memory, or killed by hand)" if name == "SIGKILL" else name


def _indented(text: str, most: int | None = None) -> str:
    lines = text.splitlines()
    if most is not None and len(lines) > most:
        lines = [*lines[:most], f"... ({len(lines) - most:,} more lines)"]
    return "\n".join(f"  {each}" for each in lines)


# Settings


class ConfigError(TaskgraphError):
    """A setting, or the file that it stands in, cannot be used."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class UnknownSettingError(ConfigError):
    """A setting has a name that is not known."""

    def __init__(self, place: str, key: str, nearest: str | None = None) -> None:
        hint = f" Did you mean {nearest!r}?" if nearest else ""
        super().__init__(place, f"unknown setting {key!r}.{hint}")
        self.args = (place, key, nearest)
        self.key = key
        self.nearest = nearest


# The database


def without_password(url: str) -> str:
    """Return a URL as it may be shown: what may be secret in it is left out."""
    head, separator, tail = url.partition("://")
    if not separator:
        return url
    host, slash, rest = tail.partition("/")
    user, at, host = host.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:***@" if colon else f"{user}{at}"
    rest, question, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    query = "&".join(
        f"{key}{equals}{value if key.lower() in _SHOWN else '***'}" if equals else key
        for key, equals, value in pairs
    )
    return f"{head}://{shown}{host}{slash}{rest}{question}{query}"


# The options of a database's URL that are no secrets.
_SHOWN = frozenset({"mode", "immutable", "cache", "vfs", "sslmode", "host", "port"})


class DatabaseError(TaskgraphError):
    """The database cannot do what was asked; says which database and what to do."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.uri = uri
        self.reason = reason

    def __str__(self) -> str:
        return f"Database {without_password(self.uri)}: {self.reason}"


class DatabaseVersionError(DatabaseError):
    """The database's schema is too new for this library, or too old and not to be upgraded."""


class ForeignDatabaseError(DatabaseError):
    """The file or database is not one of taskgraph's."""


class DatabaseReadOnlyError(DatabaseError):
    """The database or its folder cannot be written to."""


class DatabaseFullError(DatabaseError):
    """The disk is full, or takes no more."""


class NotRecordedWarning(UserWarning):
    """A result was computed and returned, and could not be recorded."""

    def __init__(self, task: str, error: DatabaseError) -> None:
        super().__init__(task, error)
        self.task = task
        self.error = error

    def __str__(self) -> str:
        return f"{self.task} returned its result, which could not be recorded. {self.error}"


class DatabaseBusyError(DatabaseError):
    """Another process kept the database locked for longer than the time-out."""


# Looking things up


class ClosedArchiveError(TaskgraphError):
    """An archive was asked after it was closed."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        return f"The archive of {self.uri} was closed. Open it again with taskgraph.open(...)."


class UnknownRecordError(TaskgraphError, LookupError):
    """No record has this id, id prefix or path."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"Nothing is recorded under {self.wanted!r}: no id starts so, and no file of this "
            "path was read or written. `taskgraph log` lists what there is."
        )


class NoCallError(UnknownRecordError):
    """A record was to be explained that no call is behind: a value from outside, unused code."""

    def __str__(self) -> str:
        return (
            f"No recorded call is behind {self.wanted!r}, so there is nothing to explain. "
            f"`taskgraph log {self.wanted}` shows what is known of it."
        )


class NoRecordFileError(UnknownRecordError):
    """Records were to be read from a file that is not there, or is a folder."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path)
        self.args = (path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"There is no file of records {self.path!r}: it {self.reason}. "
            "`taskgraph export -o FILE` makes one."
        )


class TagKeyError(TaskgraphError, ValueError):
    """The key of a tag cannot be written."""

    def __init__(self, key: object, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.key!r} cannot be the key of a tag: {self.reason}. Choose another one."


class UnknownTagError(TaskgraphError, LookupError):
    """A record has no current tag of this key, or not with this value."""

    def __init__(self, entity_id: str, tag: str) -> None:
        super().__init__(entity_id, tag)
        self.entity_id = entity_id
        self.tag = tag

    def __str__(self) -> str:
        start = self.entity_id[:8]
        return (
            f"{start} has no tag {self.tag}. `taskgraph tag list {start}` shows what it has, "
            f"`taskgraph tag add {start} KEY=VALUE` adds one."
        )


class NothingToCompareError(TaskgraphError, LookupError):
    """There is no earlier execution of the same task to compare one with."""

    def __init__(self, execution_id: str | None, task: str | None) -> None:
        super().__init__(execution_id, task)
        self.execution_id = execution_id
        self.task = task

    def __str__(self) -> str:
        if self.execution_id is None:
            return "Nothing was run yet, so there is nothing to compare."
        return (
            f"Before execution {self.execution_id[:8]} there was no other one of "
            f"{self.task or 'its task'} to compare it with. Name two: taskgraph diff OLD NEW."
        )


class InvalidRecordError(TaskgraphError, ValueError):
    """A record from elsewhere is not what it says that it is; nothing was written."""

    def __init__(
        self,
        reason: str,
        *,
        kind: str = "",
        record_id: str = "",
        source: str = "",
        line: int = 0,
        advice: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.record_id = record_id
        self.source = source
        self.line = line
        self.advice = advice

    def __str__(self) -> str:
        where = (
            f"{self.source}, line {self.line}: "
            if self.line
            else self.source and (f"{self.source}: ")
        )
        which = f"{self.kind} {self.record_id}".strip()
        advice = self.advice or "Export it again where it came from, or ask who made it."
        what = f"{which}: {self.reason}" if which else self.reason
        return f"{where}{what}. Nothing was written. {advice}"


class RecordVersionError(InvalidRecordError):
    """Records were written by a newer version of the library."""


class MissingRecordError(InvalidRecordError):
    """Records name others that are neither among them nor in the database."""


class UntrustedRecordError(TaskgraphError):
    """Something was asked of a record from elsewhere that only a trusted one may do."""

    def __init__(self, record_id: str, origin: str) -> None:
        super().__init__(record_id, origin)
        self.record_id = record_id
        self.origin = origin

    def __str__(self) -> str:
        return (
            f"{self.record_id[:8]} came from {self.origin} and is not trusted: what it says would "
            f"be run here. Look at it with `taskgraph log {self.record_id[:8]}`, then say "
            f"`taskgraph trust {self.record_id[:8]}`."
        )


class UnknownRepoError(TaskgraphError, LookupError):
    """There is no repo of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, tuple(known))
        self.name = name
        self.known = tuple(known)

    def __str__(self) -> str:
        known = f"There are: {', '.join(self.known)}." if self.known else "There are none yet."
        return f"There is no repo {self.name!r}. {known} Add one: taskgraph repo add NAME PLACE"


class RepoExistsError(TaskgraphError):
    """There is a repo of this name already, at another place."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name, place)
        self.name = name
        self.place = place

    def __str__(self) -> str:
        return (
            f"Repo {self.name!r} is {without_password(self.place)} already. Choose another name, "
            f"or take that one away first: taskgraph repo remove {self.name}"
        )


class ExplanationError(TaskgraphError):
    """Something cannot be explained, or not from these records."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} cannot be explained: {self.reason}"


class LineageError(TaskgraphError):
    """What is asked about has no value whose lineage could be told."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"There is no lineage of {self.what}: {self.reason}"


class GraphvizError(TaskgraphError):
    """A picture was wanted, and Graphviz could not draw it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Graphviz cannot draw the picture: {self.reason}. Install it (apt install graphviz, "
            "brew install graphviz), or write another format: text, json, dot or mermaid."
        )


class AmbiguousIdError(TaskgraphError, LookupError):
    """An id prefix stands for more than one record."""

    def __init__(self, prefix: str, matches: Sequence[str]) -> None:
        super().__init__(prefix, tuple(matches))
        self.prefix = prefix
        self.matches = tuple(matches)

    def __str__(self) -> str:
        return (
            f"{self.prefix!r} stands for several records ({', '.join(self.matches)}): add digits."
        )


class FilterError(TaskgraphError, ValueError):
    """Records are asked for in a way that cannot be understood."""

    def __init__(self, what: str, given: str, reason: str) -> None:
        super().__init__(what, given, reason)
        self.what = what
        self.given = given
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} {self.given!r}: {self.reason}"


class BlessRefusedError(TaskgraphError):
    """Results of one version of a task cannot be made to count for another one."""

    def __init__(self, old: str, new: str, reason: str) -> None:
        super().__init__(old, new, reason)
        self.old = old
        self.new = new
        self.reason = reason

    def __str__(self) -> str:
        names = self.old if self.old == self.new else f"{self.old} for {self.new}"
        return f"Results of {names} are left as they were: {self.reason}."


class ReleaseRefusedError(TaskgraphError):
    """Files that were to be released must stay."""

    def __init__(self, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        lines = [f"  {what}: {why}" for what, why in self.reasons]
        return "\n".join(
            [
                "Nothing was deleted:",
                *lines,
                "With force=True (--force) files that are named are deleted all the same.",
            ]
        )


class BlessCheckError(TaskgraphError):
    """A call that was made again with other code gave another result."""

    def __init__(self, call: str, call_hash: str, before: str, after: str) -> None:
        super().__init__(call, call_hash, before, after)
        self.call = call
        self.call_hash = call_hash
        self.before = before
        self.after = after

    def __str__(self) -> str:
        return (
            f"{self.call} (call {self.call_hash[:8]}) gave {self.before} and gives {self.after} "
            "now, so nothing was blessed. If the calls in it were renamed, bless these tasks first."
        )


class UnknownAliasError(TaskgraphError, LookupError):
    """No alias of this kind is in force."""

    def __init__(self, old: str, new: str | None = None) -> None:
        super().__init__(old, new)
        self.old = old
        self.new = new

    def __str__(self) -> str:
        whom = f" for {self.new}" if self.new else ""
        return f"{self.old} is not blessed{whom}. `taskgraph bless --list` shows what is."


class ScriptLoadError(TaskgraphError):
    """A script or module that holds tasks cannot be loaded.

    ``trace`` is the traceback of the exception that it raised, cut to the user's own frames.
    """

    def __init__(self, script: str, reason: str, trace: str = "") -> None:
        super().__init__(script, reason, trace)
        self.script = script
        self.reason = reason
        self.trace = trace

    def __str__(self) -> str:
        return f"Cannot load {self.script}: {self.reason}"


class ScriptNotFoundError(ScriptLoadError, LookupError):
    """There is no script or module of this name."""
