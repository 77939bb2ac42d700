"""What is asked of people, packages of tasks, operations and notifications, and cannot be done."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError
from taskgraph.errors.catalog import ConflictError, NotFoundError, ValidationError


class UserNotFoundError(NotFoundError):
    """No user has this e-mail address, name, id or id prefix."""

    def __str__(self) -> str:
        return f"There is no user {self.wanted!r}. `taskgraph user list` shows who there is."


class UserGroupNotFoundError(NotFoundError):
    """No group of users has this name, id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no group of users {self.wanted!r}. `taskgraph user groups` shows what there "
            "is."
        )


class UserExistsError(ConflictError):
    """An e-mail address or a name is that of another user, or of another group."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is taken: each is of one only. Choose another, or change that one."


class UserInUseError(ConflictError):
    """A user or a group is to be deleted that something belongs to."""

    def __init__(self, what: str, uses: Sequence[str]) -> None:
        super().__init__(what, tuple(uses))
        self.what = what
        self.uses = tuple(uses)

    def __str__(self) -> str:
        listed = ", ".join(self.uses[:5])
        return (
            f"{self.what} has {listed}. Give these to somebody else or delete them first; who is "
            "only to do nothing any more can be made inactive."
        )


class LastSuperuserError(ConflictError):
    """The only superuser who is active is to be deleted, or to be none any more."""

    def __init__(self, email: str) -> None:
        super().__init__(email)
        self.email = email

    def __str__(self) -> str:
        return (
            f"User {self.email} is the only superuser who is active, and of those who would be left"
            " nobody could force any state. Make another one first: `taskgraph user update USER"
            " --superuser`."
        )


class PermissionDeniedError(TaskgraphError):
    """Somebody is to do what only others may."""

    def __init__(self, actor: str | None, action: str, who: str) -> None:
        super().__init__(actor, action, who)
        self.actor = actor
        self.action = action
        self.who = who

    def __str__(self) -> str:
        name = "Nobody in particular" if self.actor is None else repr(self.actor)
        return (
            f"{name} may not {self.action}: that is for {self.who}. Say who you are, or ask them."
        )


class PackageNotFoundError(NotFoundError):
    """No package of tasks has this name, version, id or id prefix."""

    def __str__(self) -> str:
        return (
            f"There is no package of tasks {self.wanted!r}. `taskgraph package list` shows what "
            "there is, and `taskgraph package collect` makes one."
        )


class DuplicatePackageError(ConflictError):
    """Its owner, or its group, has a package of this name and version already."""

    def __init__(self, name: str, version: str, whose: str) -> None:
        super().__init__(name, version, whose)
        self.name = name
        self.version = version
        self.whose = whose

    def __str__(self) -> str:
        return (
            f"{self.whose} has a package {self.name} {self.version} already. Collect another "
            f"version, or delete that one: `taskgraph package delete {self.name}@{self.version}`."
        )


class PackageInUseError(ConflictError):
    """A package is to be deactivated or deleted whose tasks active executions use."""

    def __init__(self, package: str, uses: Sequence[str]) -> None:
        super().__init__(package, tuple(uses))
        self.package = package
        self.uses = tuple(uses)

    def __str__(self) -> str:
        listed = ", ".join(self.uses[:5])
        more = len(self.uses) - 5
        listed += f" and {more:,} more" if more > 0 else ""
        return f"The tasks of package {self.package} are in use by {listed}. Wait, or end that use."


class InactiveTaskError(TaskgraphError):
    """A task that is to run is of packages that may not be used (any more)."""

    def __init__(self, task: str, package: str) -> None:
        super().__init__(task, package)
        self.task = task
        self.package = package

    def __str__(self) -> str:
        return (
            f"Task {self.task} is of package {self.package}, which is not active. Activate it "
            f"(`taskgraph package activate {self.package}`), or take another task."
        )


class OperationNotFoundError(NotFoundError):
    """No operation has this id or id prefix."""

    def __str__(self) -> str:
        shown = "`taskgraph operation list` shows what there is."
        return f"There is no operation {self.wanted!r}. {shown}"


class PolicyNotFoundError(NotFoundError):
    """No notification policy has this name, id or id prefix."""

    def __str__(self) -> str:
        return f"There is no policy {self.wanted!r}. `taskgraph policy list` shows what there is."


class PolicyExistsError(ConflictError):
    """There is a notification policy of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"There is a policy {self.name!r}. Choose another name, or update that one."


class TemplateError(ValidationError):
    """A template names a variable that there is none of, or is no template."""

    def __init__(self, reason: str, known: Sequence[str]) -> None:
        listed = ", ".join(known)
        super().__init__("template", f"{reason}. There are: {listed}.")
        self.known = tuple(known)


class SecretError(TaskgraphError):
    """A secret is not where it is said to be, or was said itself."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(reference, reason)
        self.reference = reference
        self.reason = reason

    def __str__(self) -> str:
        return f"Secret {self.reference!r}: {self.reason}"
