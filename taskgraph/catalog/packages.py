"""The manager of packages of tasks: collected from code, used, put aside and deleted.

To collect is an operation: what the code says wrong ends it as failed, and nothing of the package
is written down then. The package and the end of its operation are one transaction.
"""

from __future__ import annotations

import builtins
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from typing import Any, Final, NamedTuple, Protocol

from taskgraph.catalog.operations import Operation, OperationManager, Report, Running, Status
from taskgraph.catalog.package_rows import Collected, NewPackage, TaskPackage, WantedPackages
from taskgraph.catalog.people import UserManager, user_ref
from taskgraph.catalog.people_rows import User, UserGroup
from taskgraph.catalog.requests import check_page, checked_text, checked_title, one_form
from taskgraph.catalog.secrets import check_no_secret, without_secrets
from taskgraph.catalog.user_groups import UserGroupManager, group_ref
from taskgraph.errors import (
    PackageNotFoundError,
    ScriptLoadError,
    ScriptNotFoundError,
    UnfollowedCodeError,
    UnhashableValueError,
    ValidationError,
)
from taskgraph.jsontext import storable
from taskgraph.records import RecordBatch

#: The kind of the operation that collects.
COLLECT: Final = "collect"


class Recorded(NamedTuple):
    """The package that is written down.

    Attributes:
        package_id: Its id.
        is_new: Whether it was not there before.
        put_aside: The versions that it takes the place of, each as NAME@VERSION.
    """

    package_id: str
    is_new: bool
    put_aside: tuple[str, ...] = ()


#: Looks into a module, a file or a distribution; raises `ScriptLoadError`.
Collector = Callable[[str], Collected]


class PackageStore(Protocol):
    """What the manager of packages asks of a database."""

    def record_code(self, batch: RecordBatch) -> None:
        """Write the code of tasks down."""

    def create_package(self, wanted: NewPackage, report: Callable[[Recorded], Report]) -> Recorded:
        """Write a package down, and in the same transaction the end of its operation."""

    def find_package(self, ref: str) -> TaskPackage | None:
        """Return a package by name, NAME@VERSION, id or unique start of one."""

    def packages(self, wanted: WantedPackages, limit: int | None, offset: int) -> list[TaskPackage]:
        """Return packages by name and version."""

    def count_packages(self, wanted: WantedPackages) -> int:
        """Return how many packages there are."""

    def switch_package(self, package_id: str, *, is_active: bool) -> bool:
        """Have the tasks of a package be usable, or not; returns whether there is such a one."""

    def delete_package(self, package_id: str, *, dry_run: bool) -> bool:
        """Delete a package that nothing uses; returns whether there was one."""


class PackageManager:
    """Packages of tasks: ``archive.packages``.

    Args:
        store: Where they are.
        operations: What collects is an operation.
        people: Whom packages belong to.
        groups: Which groups of users they belong to.
        collector: What looks into code.
    """

    def __init__(
        self,
        store: PackageStore,
        operations: OperationManager,
        people: UserManager,
        groups: UserGroupManager,
        collector: Collector,
    ) -> None:
        self._store = store
        self._operations = operations
        self._people = people
        self._groups = groups
        self._collector = collector

    def collect(
        self,
        module_or_dist: str | PathLike[str],
        *,
        owner: str | User | None = None,
        group: str | UserGroup | None = None,
        version: str | None = None,
    ) -> Operation:
        """Import a module, a file or an installed distribution, and write its tasks down.

        Of a distribution, these are the modules that its entry points of the group
        ``taskgraph.tasks`` name, or else its packages; with all modules below them. Only tasks that
        are defined there count. The same version with the same tasks, once more, changes nothing;
        a new one is active, and the one that was is put aside.

        Args:
            module_or_dist: The dotted name of a module, the path of a Python file, or the name of
                an installed distribution.
            owner: The user that it belongs to.
            group: The group of users that it belongs to; with an owner, one that the owner is in.
            version: By default what the module or its distribution says.

        Returns:
            The operation as it ended: ``data`` has ``package`` (its id), ``label``, ``tasks`` (how
            many) and ``is_new``, and ``put_aside`` (a list of ``name@version``) if it takes the
            place of others; of one that failed, ``error``, and ``data`` has ``not_found`` if there
            is nothing of this name.

        Raises:
            DuplicatePackageError: The owner, or the group, has this version, with other tasks.
            PackageInUseError: The version that is active has tasks in use that this one has not.
            UserNotFoundError: There is no such user.
            UserGroupNotFoundError: There is no such group.
            SecretError: A version or name looks like a secret.
            ValidationError: It has no version, or the owner is not in the group.
        """
        subject = _subject(module_or_dist)
        check_no_secret("module", subject)
        check_no_secret("version", version)
        if version is not None:
            version = _checked_version(version)
        whose = None if owner is None else self._people.get(owner)
        team = None if group is None else self._groups.get(group)
        if whose is not None and team is not None and team.name not in whose.groups:
            raise ValidationError("group", f"{whose.email} is not in {team.name!r}.")
        with (
            suppress(ScriptLoadError, UnfollowedCodeError, UnhashableValueError),
            self._operations.running(COLLECT, subject) as running,
        ):
            self._collect(running, subject, version, whose, team)
        return self._operations.get(running.id)

    def _collect(
        self,
        running: Running,
        subject: str,
        version: str | None,
        owner: User | None,
        group: UserGroup | None,
    ) -> None:
        running.say(f"looking into {subject}")
        try:
            found = self._collector(subject)
        except ScriptLoadError as error:
            if error.trace:
                running.say(error.trace.rstrip())
            if isinstance(error, ScriptNotFoundError):
                running.progress(not_found=True)
            raise
        wanted = _new_package(found, version, owner, group)
        running.say(f"{wanted.name} {wanted.version}, from {wanted.origin}")
        running.say(*(f"task {each.name}" for each in wanted.tasks))
        running.progress(name=wanted.name, version=wanted.version, tasks=len(wanted.tasks))
        self._store.record_code(found.code)

        def ended(recorded: Recorded) -> Report:
            return running.report(
                Status.OK,
                package=recorded.package_id,
                label=f"{wanted.name}@{wanted.version}",
                is_new=recorded.is_new,
                **({"put_aside": list(recorded.put_aside)} if recorded.put_aside else {}),
            )

        self._store.create_package(wanted, ended)
        running.is_over = True

    def find(self, ref: str | TaskPackage) -> TaskPackage | None:
        """Return a package; None where there is none.

        Args:
            ref: ``name@version``; a name, which stands for the active version, or else for the one
                that was collected last; an id or the start of one; or itself.

        Raises:
            AmbiguousIdError: Several are meant: of different owners, or with ids that start so.
        """
        return self._store.find_package(storable(one_form(_text(ref))))

    def get(self, ref: str | TaskPackage) -> TaskPackage:
        """Return the same as `find` of a package that must be there.

        Raises:
            PackageNotFoundError: There is none.
            AmbiguousIdError: Several are meant.
        """
        found = self.find(ref)
        if found is None:
            raise PackageNotFoundError(_name(ref))
        return found

    def list(
        self,
        *,
        owner: str | User | None = None,
        group: str | UserGroup | None = None,
        active: bool | None = None,
        visible_to: str | User | None = None,
        name: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> builtins.list[TaskPackage]:
        """Return packages by name, the version that was collected last first.

        Args:
            owner: Only those of this user.
            group: Only those of this group of users.
            active: Only those that may be used, or only those that may not.
            visible_to: Only those of nobody, of this user, and of the groups that the user is in.
            name: Only those with this in their name, whatever the case.
            limit: At most so many.
            offset: After so many.

        Raises:
            UserNotFoundError: There is no such user.
            UserGroupNotFoundError: There is no such group.
            ValidationError: Something that was given is not what it must be.
        """
        check_page(limit, offset)
        wanted = _wanted(owner, group, active, visible_to, name)
        return self._store.packages(wanted, limit, offset)

    def count(
        self,
        *,
        owner: str | User | None = None,
        group: str | UserGroup | None = None,
        active: bool | None = None,
        visible_to: str | User | None = None,
        name: str | None = None,
    ) -> int:
        """Return how many packages the same filters would list.

        Raises:
            UserNotFoundError: There is no such user.
            UserGroupNotFoundError: There is no such group.
            ValidationError: Something that was given is not what it must be.
        """
        return self._store.count_packages(_wanted(owner, group, active, visible_to, name))

    def activate(self, ref: str | TaskPackage) -> TaskPackage:
        """Have the tasks of a package be usable in what is submitted.

        The version that was active until now, of the same owner and group, is put aside.

        Raises:
            PackageNotFoundError: There is none.
            PackageInUseError: That version has tasks in use that this one has not.
            AmbiguousIdError: Several are meant.
        """
        return self._switch(ref, is_active=True)

    def deactivate(self, ref: str | TaskPackage) -> TaskPackage:
        """Have the tasks of a package not be usable any more in what is submitted.

        Raises:
            PackageNotFoundError: There is none.
            PackageInUseError: Active executions use its tasks, and no other package that is active
                has them.
            AmbiguousIdError: Several are meant.
        """
        return self._switch(ref, is_active=False)

    def _switch(self, ref: str | TaskPackage, *, is_active: bool) -> TaskPackage:
        known = self.get(ref)
        if not self._store.switch_package(known.id, is_active=is_active):  # deleted since
            raise PackageNotFoundError(known.label)
        return self.get(known)

    def delete(
        self, ref: str | TaskPackage, *, missing_ok: bool = False, dry_run: bool = False
    ) -> bool:
        """Delete a package; the code of its tasks stays with what it has run.

        Returns:
            Whether there was one.

        Raises:
            PackageNotFoundError: There is none, and it is not ``missing_ok``.
            PackageInUseError: Active executions use its tasks, or stored workflows have them as
                steps, and no other package that is active has them.
            AmbiguousIdError: Several are meant.
        """
        known = self.find(ref)
        is_gone = known is not None and self._store.delete_package(known.id, dry_run=dry_run)
        if not is_gone and not missing_ok:
            raise PackageNotFoundError(_name(ref))
        return is_gone


def _new_package(
    found: Collected, version: str | None, owner: User | None, group: UserGroup | None
) -> NewPackage:
    said = version if version is not None else found.version
    if said is None:
        raise ValidationError(
            "version", f"{found.name} says none. Give one: version=..., or --version."
        )
    return NewPackage(
        id=uuid.uuid4().hex,
        name=checked_title("package", found.name),
        version=_checked_version(said),
        origin=without_secrets(storable(found.origin)),
        owner=None if owner is None else owner.id,
        group=None if group is None else group.id,
        requirements=tuple(without_secrets(storable(each)) for each in found.requirements),
        frozen=None if found.frozen is None else without_secrets(storable(found.frozen)),
        tasks=found.tasks,
    )


def _checked_version(given: Any) -> str:
    check_no_secret("version", given)
    version = checked_title("version", given)
    if "@" in version:
        raise ValidationError("version", f"{version!r}: an @ stands before it.")
    return version


def _wanted(
    owner: str | User | None,
    group: str | UserGroup | None,
    active: bool | None,
    visible_to: str | User | None,
    name: str | None,
) -> WantedPackages:
    if active is not None and not isinstance(active, bool):
        raise ValidationError("active", f"expected true or false, not {active!r}.")
    return WantedPackages(
        None if owner is None else user_ref(owner),
        None if group is None else group_ref(group),
        active,
        None if visible_to is None else user_ref(visible_to),
        checked_text("name", name),
    )


def _subject(given: Any) -> str:
    found = os.fspath(given) if isinstance(given, PathLike) else given
    if not isinstance(found, str) or not found.strip():
        raise ValidationError("module", f"expected a name or a path, not {given!r}.")
    return found


def _text(ref: Any) -> str:
    found = ref.id if isinstance(ref, TaskPackage) else ref
    if not isinstance(found, str):
        raise ValidationError("package", f"expected a name or an id, not {ref!r}.")
    return found


def _name(ref: str | TaskPackage) -> str:
    return ref.label if isinstance(ref, TaskPackage) else ref


__all__ = [
    "COLLECT",
    "Collector",
    "PackageManager",
    "PackageStore",
    "Recorded",
]
