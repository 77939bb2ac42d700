"""People and groups of people as plain data; nothing of it is a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

_TEXT: Final = ("any_", "not_any_", "like_")

#: What a user can be asked for, by key, with what can be said of each.
USER_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": _TEXT,
    "email": _TEXT,
    "username": (*_TEXT, "is_null_"),
    "name": _TEXT,
    "active": ("is_",),
    "superuser": ("is_",),
    "verified": ("is_",),
    "group": _TEXT[:2],
    "created": ("before_", "after_"),
}


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """An account of a user at another service, by reference alone.

    Attributes:
        provider: The service.
        account_id: Who the user is there.
        email: The address there, if it is another one.
        expires: Until when what is in the keyring can be used.
        keyring: The entry of a keyring that holds what gives access, as ``keyring:SERVICE/NAME``.
    """

    provider: str
    account_id: str
    email: str | None = None
    expires: datetime | None = None
    keyring: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as the settings of a user have it."""
        return {
            "provider": self.provider,
            "account_id": self.account_id,
            "email": self.email,
            "expires": None if self.expires is None else self.expires.isoformat(),
            "keyring": self.keyring,
        }


@dataclass(frozen=True, slots=True)
class User:
    """A person that things are of.

    Attributes:
        id: 32 hex digits.
        email: In lower case; it is of one user only.
        username: A short name, of one user only.
        active: Whether the user may do anything.
        superuser: Whether the user may force any state.
        verified: Whether somebody made sure of the address.
        settings: What else is kept, as JSON: ``default_account``, ``accounts`` (names of those that
            work may be charged to, and objects for those at other services), and any other name.
        groups: The names of the groups that the user is in.
    """

    id: str
    email: str
    created_at: datetime
    username: str | None = None
    active: bool = True
    superuser: bool = False
    verified: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    @property
    def default_account(self) -> str | None:
        """The account that work of the user is charged to where none is named."""
        found = self.settings.get("default_account")
        return found if isinstance(found, str) else None

    @property
    def accounts(self) -> tuple[LinkedAccount, ...]:
        """The accounts at other services."""
        return tuple(account_of(each) for each in self._accounts if is_linked(each))

    @property
    def charged_accounts(self) -> tuple[str, ...]:
        """The accounts that work may be charged to besides the default one; none for any."""
        return tuple(each for each in self._accounts if isinstance(each, str))

    @property
    def _accounts(self) -> Sequence[Any]:
        found = self.settings.get("accounts")
        return found if isinstance(found, list | tuple) else ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph user list --json`` has it."""
        return {
            "id": self.id,
            "email": self.email,
            "username": self.username,
            "active": self.active,
            "superuser": self.superuser,
            "verified": self.verified,
            "settings": dict(self.settings),
            "groups": list(self.groups),
            "created": self.created_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A name for several people.

    Attributes:
        members: How many people are in it.
    """

    id: str
    name: str
    created_at: datetime
    members: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph user groups --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "created": self.created_at.isoformat(),
            "members": self.members,
        }


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user that is to be created, checked."""

    id: str
    email: str
    username: str | None
    active: bool
    superuser: bool
    verified: bool
    settings: Mapping[str, Any]


def is_linked(said: Any) -> bool:
    """Tell whether what settings say of an account is one at another service. Any: JSON."""
    return isinstance(said, Mapping) and "provider" in said


def account_of(said: Mapping[str, Any]) -> LinkedAccount:
    """Return an account as settings have it."""
    expires = said.get("expires")
    return LinkedAccount(
        said["provider"],
        said["account_id"],
        said.get("email"),
        None if expires is None else datetime.fromisoformat(expires),
        said.get("keyring"),
    )


__all__ = [
    "USER_FIELDS",
    "LinkedAccount",
    "NewUser",
    "User",
    "UserGroup",
    "account_of",
    "is_linked",
]
