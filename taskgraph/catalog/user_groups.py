"""The manager of groups of users: a name for several people."""

from __future__ import annotations

import builtins
from typing import Any, Protocol

from taskgraph.catalog.people import checked_label, user_ref
from taskgraph.catalog.people_rows import User, UserGroup
from taskgraph.catalog.requests import one_form
from taskgraph.errors import UserGroupNotFoundError, ValidationError
from taskgraph.jsontext import storable


class UserGroupStore(Protocol):
    """What the manager of groups of users asks of a database."""

    def create_user_group(self, name: str) -> UserGroup:
        """Create a group."""

    def find_user_group(self, ref: str) -> UserGroup | None:
        """Return a group by id, name or unique start of an id."""

    def user_groups(self, user: str | None) -> list[UserGroup]:
        """Return groups by name; of a user, those that the user is in."""

    def change_member(self, group_id: str, user: str, *, is_member: bool) -> bool:
        """Have a user be in a group, or not; returns whether that is news."""

    def members(self, group_id: str) -> list[User]:
        """Return the users in a group by e-mail address."""

    def delete_user_group(self, group_id: str) -> bool:
        """Delete a group that nothing belongs to; returns whether there was one."""


class UserGroupManager:
    """Groups of users: ``archive.user_groups``.

    Args:
        store: Where they are.
    """

    def __init__(self, store: UserGroupStore) -> None:
        self._store = store

    def create(self, name: str) -> UserGroup:
        """Create a group; nobody is in it yet.

        Raises:
            UserExistsError: There is a group of this name.
            SecretError: The name looks like a secret.
            ValidationError: It is no name.
        """
        return self._store.create_user_group(checked_label("group of users", name))

    def find(self, ref: str | UserGroup) -> UserGroup | None:
        """Return a group by name, id or start of one; None where there is none.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._store.find_user_group(group_ref(ref))

    def get(self, ref: str | UserGroup) -> UserGroup:
        """Return the same as `find` of a group that must be there.

        Raises:
            UserGroupNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise UserGroupNotFoundError(ref.name if isinstance(ref, UserGroup) else ref)
        return found

    def list(self, *, user: str | User | None = None) -> builtins.list[UserGroup]:
        """Return groups by name, each with how many people are in it.

        Args:
            user: Only those that this one is in.

        Raises:
            UserNotFoundError: There is no such user.
        """
        return self._store.user_groups(None if user is None else user_ref(user))

    def add(self, group: str | UserGroup, user: str | User) -> bool:
        """Have a user be in a group.

        Returns:
            Whether the user was not.

        Raises:
            UserGroupNotFoundError: There is no such group.
            UserNotFoundError: There is no such user.
        """
        return self._store.change_member(self.get(group).id, user_ref(user), is_member=True)

    def remove(self, group: str | UserGroup, user: str | User) -> bool:
        """Have a user not be in a group any more.

        Returns:
            Whether the user was.

        Raises:
            UserGroupNotFoundError: There is no such group.
            UserNotFoundError: There is no such user.
        """
        return self._store.change_member(self.get(group).id, user_ref(user), is_member=False)

    def members(self, group: str | UserGroup) -> builtins.list[User]:
        """Return the users in a group by e-mail address.

        Raises:
            UserGroupNotFoundError: There is no such group.
        """
        return self._store.members(self.get(group).id)

    def delete(self, ref: str | UserGroup, *, missing_ok: bool = False) -> bool:
        """Delete a group; its members stay.

        Returns:
            Whether there was one.

        Raises:
            UserGroupNotFoundError: There is none, and it is not ``missing_ok``.
            UserInUseError: Packages belong to it.
        """
        known = self.find(ref)
        is_gone = known is not None and self._store.delete_user_group(known.id)
        if not is_gone and not missing_ok:
            raise UserGroupNotFoundError(ref.name if isinstance(ref, UserGroup) else ref)
        return is_gone


def group_ref(given: Any) -> str:
    """Return what a group is found by: text as it is, a group by its id. Any: one or the other.

    Raises:
        ValidationError: It is neither.
    """
    found = given.id if isinstance(given, UserGroup) else given
    if not isinstance(found, str):
        raise ValidationError("group of users", f"expected a name or an id, not {given!r}.")
    return storable(one_form(found))


__all__ = ["UserGroupManager", "UserGroupStore", "group_ref"]
