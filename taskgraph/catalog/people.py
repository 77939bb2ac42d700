"""The manager of users: people by their e-mail addresses, with no secret of theirs."""

from __future__ import annotations

import builtins
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from taskgraph.catalog.criteria import Criteria
from taskgraph.catalog.people_rows import USER_FIELDS, NewUser, User, account_of
from taskgraph.catalog.reading import parse
from taskgraph.catalog.requests import check_page, checked_object, checked_title, one_form
from taskgraph.catalog.secrets import check_no_secret, checked_entry
from taskgraph.catalog.store import UNSET, Unset
from taskgraph.errors import UserNotFoundError, ValidationError
from taskgraph.jsontext import storable

_LONGEST: Final = 320
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_HEX: Final = re.compile(r"[0-9a-f]{32}")
_ACCOUNT_KEYS: Final = frozenset({"provider", "account_id", "email", "expires", "keyring"})

#: Which users: criteria, or the JSON that they are written as.
Where = Criteria | Mapping[str, Any] | None


class PeopleStore(Protocol):
    """What the manager of users asks of a database."""

    def create_user(self, wanted: NewUser) -> User:
        """Create a user."""

    def find_user(self, ref: str) -> User | None:
        """Return a user by id, e-mail address, name or unique start of an id."""

    def update_user(self, user_id: str, changes: Mapping[str, Any]) -> User | None:
        """Change columns of a user; None where there is none."""

    def change_accounts(
        self, user_id: str, provider: str, account_id: str, said: Mapping[str, Any] | None
    ) -> User | None:
        """Have a user have an account as it is said, or not; None where there is no such user."""

    def delete_user(self, user_id: str) -> bool:
        """Delete a user that nothing belongs to; returns whether there was one."""

    def users(self, where: Criteria, limit: int | None, offset: int) -> list[User]:
        """Return users by e-mail address."""

    def count_users(self, where: Criteria) -> int:
        """Return how many users there are."""


class UserManager:
    """People: ``archive.users``.

    They keep each other from accidents; they are no border. Who can write to the database can do
    anything to it.

    Args:
        store: Where they are.
    """

    def __init__(self, store: PeopleStore) -> None:
        self._store = store

    def create(
        self,
        email: str,
        *,
        username: str | None = None,
        superuser: bool = False,
        verified: bool = False,
        active: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> User:
        """Create a user.

        Args:
            email: The address, whatever its case.
            username: A short name.
            superuser: Whether the user may force any state.
            verified: Whether somebody made sure of the address.
            active: Whether the user may do anything.
            settings: What else is to be kept: names with JSON values. ``default_account`` is what
                work is charged to; ``accounts`` has the names of those that it may be charged to
                besides, which are any if there is none, and objects for those at other services.

        Raises:
            UserExistsError: A user has this address or this name.
            SecretError: Something is a secret; none is kept.
            ValidationError: Something that was given is not what it must be.
        """
        wanted = NewUser(
            id=uuid.uuid4().hex,
            email=checked_email(email),
            username=None if username is None else _checked_username(username),
            active=_checked_flag("active", active),
            superuser=_checked_flag("superuser", superuser),
            verified=_checked_flag("verified", verified),
            settings=_checked_settings(settings),
        )
        return self._store.create_user(wanted)

    def find(self, ref: str | User) -> User | None:
        """Return a user by id, e-mail address, name or start of an id; None where there is none.

        Raises:
            AmbiguousIdError: More than one starts so.
        """
        return self._store.find_user(user_ref(ref))

    def get(self, ref: str | User) -> User:
        """Return the same as `find` of a user that must be there.

        Raises:
            UserNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise UserNotFoundError(ref.email if isinstance(ref, User) else ref)
        return found

    def list(
        self, where: Where = None, *, limit: int | None = None, offset: int = 0
    ) -> builtins.list[User]:
        """Return users by e-mail address.

        Args:
            where: Which: as JSON, ``{"superuser": {"is_": True}}``; see `USER_FIELDS`.
            limit: At most so many.
            offset: After so many.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        check_page(limit, offset)
        return self._store.users(parse(where, USER_FIELDS), limit, offset)

    def count(self, where: Where = None) -> int:
        """Return how many users the same criteria would list.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked for.
            ValidationError: Something that was given is not what it must be.
        """
        return self._store.count_users(parse(where, USER_FIELDS))

    def update(
        self,
        ref: str | User,
        *,
        email: str | Unset = UNSET,
        username: str | Unset | None = UNSET,
        superuser: bool | Unset = UNSET,
        verified: bool | Unset = UNSET,
        active: bool | Unset = UNSET,
        settings: Mapping[str, Any] | Unset = UNSET,
        default_account: str | Unset | None = UNSET,
    ) -> User:
        """Change what is given; settings are replaced as a whole.

        Args:
            ref: The user.
            email: Another address.
            username: Another short name, or None for none.
            superuser: Whether the user may force any state.
            verified: Whether somebody made sure of the address.
            active: Whether the user may do anything.
            settings: In place of all that there are.
            default_account: What work is charged to, or None for nothing: this one of the settings,
                and all others stay as they are.

        Raises:
            UserNotFoundError: There is none.
            UserExistsError: Another user has this address or this name.
            LastSuperuserError: Nobody would be left who may force any state.
            SecretError: Something is a secret; none is kept.
            ValidationError: Something that was given is not what it must be.
        """
        changes: dict[str, Any] = {}
        if not isinstance(email, Unset):
            changes["email"] = checked_email(email)
        if not isinstance(username, Unset):
            changes["username"] = None if username is None else _checked_username(username)
        flags = {"superuser": superuser, "verified": verified, "active": active}
        for name, flag in flags.items():
            if not isinstance(flag, Unset):
                changes[name] = _checked_flag(name, flag)
        if not isinstance(settings, Unset):
            changes["settings"] = _checked_settings(settings)
        if not isinstance(default_account, Unset):
            said = _checked_settings({"default_account": default_account})
            changes["default_account"] = said["default_account"]
        known = self.get(ref)
        return _there(self._store.update_user(known.id, changes) if changes else known, known)

    def delete(self, ref: str | User, *, missing_ok: bool = False) -> bool:
        """Delete a user; what the user submitted stays, with the name that it was submitted by.

        Returns:
            Whether there was one.

        Raises:
            UserNotFoundError: There is none, and it is not ``missing_ok``.
            UserInUseError: Packages or studies belong to the user.
            LastSuperuserError: Others would be left, and none who may force any state.
        """
        known = self.find(ref)
        is_gone = known is not None and self._store.delete_user(known.id)
        if not is_gone and not missing_ok:
            raise UserNotFoundError(ref.email if isinstance(ref, User) else ref)
        return is_gone

    def link_account(
        self,
        user: str | User,
        provider: str,
        account_id: str,
        *,
        email: str | None = None,
        expires: datetime | None = None,
        keyring: str | None = None,
    ) -> User:
        """Note an account of a user at another service; one that is linked is noted anew.

        What gives access to it stays where it is: in a keyring, whose entry is named here.

        Args:
            user: The user.
            provider: The service.
            account_id: Who the user is there.
            email: The address there.
            expires: Until when what is in the keyring can be used.
            keyring: The entry, as ``keyring:SERVICE/NAME``.

        Raises:
            UserNotFoundError: There is no such user.
            SecretError: Something is a secret; none is kept.
            ValidationError: Something that was given is not what it must be.
        """
        said = _checked_account(
            {
                "provider": provider,
                "account_id": account_id,
                "email": email,
                "expires": _time(expires),
                "keyring": keyring,
            }
        )
        known = self.get(user)
        given = (said["provider"], said["account_id"], said)
        return _there(self._store.change_accounts(known.id, *given), known)

    def unlink_account(self, user: str | User, provider: str, account_id: str) -> User:
        """Forget an account; one that is not linked is no error.

        Raises:
            UserNotFoundError: There is no such user.
            ValidationError: Something that was given is not what it must be.
        """
        known = self.get(user)
        given = (
            checked_title("provider", provider, _LONGEST),
            checked_title("account_id", account_id, _LONGEST),
        )
        return _there(self._store.change_accounts(known.id, *given, None), known)


def user_ref(given: Any) -> str:
    """Return what a user is found by: text as it is, a user by the id. Any: one or the other.

    Raises:
        ValidationError: It is neither.
    """
    found = given.id if isinstance(given, User) else given
    if not isinstance(found, str):
        raise ValidationError("user", f"expected an address, a name or an id, not {given!r}.")
    return storable(one_form(found))


def checked_email(given: Any) -> str:
    """Return an e-mail address as it is kept: in lower case. Any: what somebody gave.

    Raises:
        ValidationError: It is none.
        SecretError: It looks like a secret.
    """
    check_no_secret("email", given)
    found = checked_title("email", given, _LONGEST).lower()
    if not _EMAIL.fullmatch(found):
        raise ValidationError("email", f"expected an address as ada@example.org, not {given!r}.")
    return found


def checked_label(what: str, given: Any) -> str:
    """Return a name of a user or a group. Any: what somebody gave.

    Raises:
        ValidationError: It is none, or could be an address or an id.
        SecretError: It looks like a secret.
    """
    check_no_secret(what, given)
    found = checked_title(what, given, _LONGEST)
    if "@" in found:
        raise ValidationError(what, f"{found!r}: with an @ it would be an address.")
    if _HEX.fullmatch(found.lower()):
        raise ValidationError(what, f"{found!r}: of 32 hex digits it would be an id.")
    return found


def _checked_username(given: Any) -> str:
    return checked_label("username", given)


def _checked_flag(what: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValidationError(what, "expected true or false.")
    return given


def _checked_settings(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise ValidationError("settings", "expected names with values.")
    found = checked_object("settings", given)
    check_no_secret("settings", found)
    if found.get("default_account") is not None:
        default = checked_title("settings.default_account", found["default_account"], _LONGEST)
        found["default_account"] = default
    accounts = found.get("accounts", [])
    if not isinstance(accounts, list | tuple):
        raise ValidationError("settings.accounts", "expected a list of accounts.")
    if "accounts" in found:
        found["accounts"] = _checked_accounts(accounts)
    return found


def _checked_accounts(given: Sequence[Any]) -> list[str | dict[str, Any]]:
    """Return accounts as settings have them: names, and objects for those at other services."""
    found: dict[Any, str | dict[str, Any]] = {}
    for each in given:
        if isinstance(each, str):
            name = checked_title("account", each, _LONGEST)
            found[name] = name
        else:
            account = _checked_account(each)
            found[account["provider"], account["account_id"]] = account
    if len(found) < len(given):
        raise ValidationError("settings.accounts", "one of them is there twice.")
    return list(found.values())


def _checked_account(given: Any) -> dict[str, Any]:
    """Return an account as settings have it.

    Raises:
        SecretError: Something is a secret.
        ValidationError: Something is missing, is not known, or is not what it must be.
    """
    if not isinstance(given, Mapping):
        raise ValidationError("account", "expected an object with provider and account_id.")
    keyring = given.get("keyring")
    if keyring is not None:
        checked_entry(keyring)
    check_no_secret("account", given)
    unknown = sorted(map(str, given.keys() - _ACCOUNT_KEYS))
    if unknown:
        known = ", ".join(sorted(_ACCOUNT_KEYS))
        raise ValidationError("account", f"there is no {', '.join(unknown)}: there are {known}.")
    email = given.get("email")
    said = {
        "provider": checked_title("provider", given.get("provider", ""), _LONGEST),
        "account_id": checked_title("account_id", given.get("account_id", ""), _LONGEST),
        "email": None if email is None else checked_email(email),
        "expires": given.get("expires"),
        "keyring": keyring,
    }
    try:
        found = account_of(said)
        return replace(found, expires=_aware(found.expires)).to_json()
    except (TypeError, ValueError):
        raise ValidationError("account", "expires: expected a time with its zone.") from None


def _aware(when: datetime | None) -> datetime | None:
    if when is None:
        return None
    if when.tzinfo is None:
        raise ValueError(when)
    return when.astimezone(UTC)


def _time(when: datetime | None) -> str | None:
    if when is None or isinstance(when, datetime):
        return None if when is None else when.isoformat()
    raise ValidationError("expires", "expected a time with its time zone.")


def _there(found: User | None, known: User) -> User:
    if found is None:  # deleted since
        raise UserNotFoundError(known.email)
    return found


__all__ = ["PeopleStore", "UserManager", "Where", "checked_email", "checked_label", "user_ref"]
