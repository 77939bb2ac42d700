"""The port of the managers of people, packages of tasks and operations on a database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.operations import Operation, Report
from taskgraph.catalog.package_rows import NewPackage, TaskPackage, WantedPackages
from taskgraph.catalog.packages import Recorded
from taskgraph.catalog.people_rows import NewUser, User, UserGroup
from taskgraph.catalog.uses import StepPin
from taskgraph.errors import DatabaseReadOnlyError, UserExistsError
from taskgraph.hashing import ValueHash
from taskgraph.records import LEASE_SECONDS, Micros, RecordBatch
from taskgraph_backend.catalog import (
    operations,
    package_lists,
    package_uses,
    packages,
    people,
    people_lists,
)
from taskgraph_backend.opened import OpenedPort

_Answer = TypeVar("_Answer")


class PeopleCatalog(OpenedPort):
    """The port of the managers of people, packages of tasks and operations on a database."""

    # Users

    def create_user(self, wanted: NewUser) -> User:
        """Create a user.

        Raises:
            UserExistsError: The address or the name is taken.
        """
        made = self._user(self._backend._transact(people.create_user, wanted))
        if made is None:  # deleted since
            raise UserExistsError(f"The address {wanted.email!r}")
        return made

    def find_user(self, ref: str) -> User | None:
        """Return a user by id, e-mail address, name or unique start of an id.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._user(self._backend._ask(people.find_user, ref))

    def update_user(self, user_id: str, changes: Mapping[str, Any]) -> User | None:
        """Change columns of a user; None where there is none.

        Raises:
            UserExistsError: The address or the name is taken.
            LastSuperuserError: Nobody would be left who may force any state.
        """
        is_there = self._backend._transact(people.update_user, user_id, changes)
        return self._user(user_id if is_there else None)

    def change_accounts(
        self, user_id: str, provider: str, account_id: str, said: Mapping[str, Any] | None
    ) -> User | None:
        """Have a user have an account as it is said, or not; None where there is no such user."""
        given = user_id, provider, account_id, said
        is_there = self._backend._transact(people.change_accounts, *given)
        return self._user(user_id if is_there else None)

    def delete_user(self, user_id: str) -> bool:
        """Delete a user that nothing belongs to; returns whether there was one.

        Raises:
            UserInUseError: Packages or studies belong to the user.
            LastSuperuserError: Others would be left, and none who may force any state.
        """
        return self._backend._transact(people.delete_user, user_id)

    def users(self, where: Criteria, limit: int | None, offset: int) -> list[User]:
        """Return users by e-mail address."""
        with self._backend.reader() as session:
            return people_lists.every(session, where, limit, offset)

    def count_users(self, where: Criteria) -> int:
        """Return how many users there are."""
        with self._backend.reader() as session:
            return people_lists.count(session, where)

    def _user(self, user_id: str | None) -> User | None:
        if user_id is None:
            return None
        with self._backend.reader() as session:
            return people_lists.one(session, user_id)

    # Groups of users

    def create_user_group(self, name: str) -> UserGroup:
        """Create a group.

        Raises:
            UserExistsError: There is a group of this name.
        """
        made = self._backend._transact(people.create_group, uuid.uuid4().hex, name)
        with self._backend.reader() as session:
            found = people_lists.group(session, made)
        if found is None:  # deleted since
            raise UserExistsError(f"The name {name!r} of a group of users")
        return found

    def find_user_group(self, ref: str) -> UserGroup | None:
        """Return a group by id, name or unique start of an id.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        known = self._backend._ask(people.find_group, ref)
        if known is None:
            return None
        with self._backend.reader() as session:
            return people_lists.group(session, known)

    def user_groups(self, user: str | None) -> list[UserGroup]:
        """Return groups by name; of a user, those that the user is in.

        Raises:
            UserNotFoundError: There is no such user.
        """
        known = None if user is None else self._backend._ask(people.get_user, user)
        with self._backend.reader() as session:
            return people_lists.groups(session, known)

    def change_member(self, group_id: str, user: str, *, is_member: bool) -> bool:
        """Have a user be in a group, or not; returns whether that is news.

        Raises:
            UserGroupNotFoundError: The group was deleted since.
            UserNotFoundError: There is no such user.
        """
        return self._backend._transact(people.change_member, group_id, user, is_member)

    def members(self, group_id: str) -> list[User]:
        """Return the users in a group by e-mail address."""
        with self._backend.reader() as session:
            return people_lists.members(session, group_id)

    def delete_user_group(self, group_id: str) -> bool:
        """Delete a group that nothing belongs to; returns whether there was one.

        Raises:
            UserInUseError: Packages belong to it.
        """
        return self._backend._transact(people.delete_group, group_id)

    # Operations

    def begin_operation(self, operation_id: str, kind: str, subject: str) -> None:
        """Write an operation down, with a lease of this process on it."""
        self._backend._transact(operations.begin, operation_id, kind, subject)

    def report_operation(self, report: Report) -> None:
        """Write down how an operation stands; at its end the lease is given back."""
        self._backend._transact(operations.report, report)

    def prolong_operation(self, operation_id: str) -> None:
        """Prolong the lease on an operation; from any thread."""
        # Not by the door that others come in by: what it does is for the thread of the archive.
        backend = self._opened
        expires = Micros(backend.clock() + int(LEASE_SECONDS * 1_000_000))
        backend.heartbeat(operation_id, expires)

    def find_operation(self, ref: str) -> Operation | None:
        """Return an operation by id or unique start of one.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        self._mark_dead()
        return self._backend._ask(operations.find, ref)

    def operations(
        self, kind: str | None, status: str | None, limit: int | None, offset: int
    ) -> list[Operation]:
        """Return operations, the newest first."""
        self._mark_dead()
        return self._backend._ask(operations.every, kind, status, limit, offset)

    def count_operations(self, kind: str | None, status: str | None) -> int:
        """Return how many operations there are."""
        self._mark_dead()
        return self._backend._ask(operations.count, kind, status)

    def _mark_dead(self) -> None:
        """Have operations be failed whose process is gone; a reader leaves it to others."""
        if self._backend.database.read_only or not self._backend._ask(operations.find_dead):
            return
        try:
            self._backend._transact(operations.mark_dead)
        except DatabaseReadOnlyError:
            return

    # Packages of tasks

    def record_code(self, batch: RecordBatch) -> None:
        """Write the code of tasks down."""
        self._backend.record(batch)

    def create_package(self, wanted: NewPackage, report: Callable[[Recorded], Report]) -> Recorded:
        """Write a package down, and in the same transaction the end of its operation.

        Raises:
            DuplicatePackageError: The owner, the group, or everybody has this version.
            PackageInUseError: The version that is active has tasks in use that this one has not.
            ValidationError: The owner left the group since.
        """
        return self._decided(packages.create, wanted, report)

    def find_package(self, ref: str) -> TaskPackage | None:
        """Return a package by name, NAME@VERSION, id or unique start of one.

        Raises:
            AmbiguousIdError: Several are meant.
        """
        known = self._backend._ask(packages.find, ref)
        if known is None:
            return None
        with self._backend.reader() as session:
            return package_lists.one(session, known)

    def packages(self, wanted: WantedPackages, limit: int | None, offset: int) -> list[TaskPackage]:
        """Return packages by name and version.

        Raises:
            UserNotFoundError: There is no such user.
            UserGroupNotFoundError: There is no such group.
        """
        meant = self._meant(wanted)
        with self._backend.reader() as session:
            return package_lists.every(session, meant, limit, offset)

    def count_packages(self, wanted: WantedPackages) -> int:
        """Return how many packages there are.

        Raises:
            UserNotFoundError: There is no such user.
            UserGroupNotFoundError: There is no such group.
        """
        meant = self._meant(wanted)
        with self._backend.reader() as session:
            return package_lists.count(session, meant)

    def _meant(self, wanted: WantedPackages) -> package_lists.Meant:
        ask = self._backend._ask
        owner, group, reader = wanted.owner, wanted.group, wanted.visible_to
        return package_lists.Meant(
            None if owner is None else ask(people.get_user, owner),
            None if group is None else ask(people.get_group, group),
            wanted.active,
            None if reader is None else ask(people.get_user, reader),
            wanted.name,
        )

    def switch_package(self, package_id: str, *, is_active: bool) -> bool:
        """Have the tasks of a package be usable, or not; returns whether there is such a one.

        Raises:
            PackageInUseError: Active executions use tasks that are not to be used any more.
        """
        return self._decided(packages.switch, package_id, is_active)

    def delete_package(self, package_id: str, *, dry_run: bool) -> bool:
        """Delete a package that nothing uses; returns whether there was one.

        Raises:
            PackageInUseError: Active executions use its tasks, or workflows have them as steps.
        """
        return self._decided(packages.delete, package_id, dry_run)

    def _decided(self, decide: Callable[..., _Answer | None], *given: Any) -> _Answer:
        """Decide something by the steps that what is on its way was submitted with.

        Args:
            decide: Called within a transaction that is alone, with these steps last; it says None
                if more was submitted since they were read.
            given: What else it is called with.
        """
        frozen: dict[str, tuple[StepPin, ...] | None] = {}
        while True:
            for each in self._backend._ask(package_uses.unread, frozen):
                frozen[each] = package_uses.steps_of(self._backend.get_value(ValueHash(each))[0])
            answer = self._backend._transact(decide, *given, frozen)
            if answer is not None:
                return answer


__all__ = ["PeopleCatalog"]
