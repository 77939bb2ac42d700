"""What a task may be, and what its code may do."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError


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
