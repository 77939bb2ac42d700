"""Who submits, if that is a registered user: whether that may be, and from which account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskgraph.catalog.people_rows import is_linked
from taskgraph.errors import PermissionDeniedError


@dataclass(frozen=True, slots=True)
class Submitter:
    """A registered user, as one who submits.

    Attributes:
        active: Whether anything may be done in this name.
        default_account: What is paid from where no account is named.
        accounts: From which accounts may be paid besides; None for any.
    """

    active: bool
    default_account: str | None
    accounts: frozenset[str] | None

    @classmethod
    def of(cls, active: bool, settings: Mapping[str, Any]) -> Submitter:
        """Return what the settings of a user say."""
        default = settings.get("default_account")
        names = frozenset(_names(settings.get("accounts")))
        return cls(active, default if isinstance(default, str) else None, names or None)

    def check(self, name: str, account: str | None) -> None:
        """Check that somebody may submit, and that from an account.

        Raises:
            PermissionDeniedError: That may not be.
        """
        if not self.active:
            raise PermissionDeniedError(name, "submit anything", "users that are active")
        if account is None or account == self.default_account or self.accounts is None:
            return
        if account not in self.accounts:
            listed = ", ".join(sorted(self.accounts))
            action = f"submit from account {account!r}"
            raise PermissionDeniedError(name, action, f"others; of {name!r} there are {listed}")


def _names(given: Any) -> Iterable[str]:
    """Yield what accounts are called that work is charged to; those elsewhere are none of them."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return
    for each in given:
        if is_linked(each):
            continue
        name = each.get("name") if isinstance(each, Mapping) else each
        if isinstance(name, str):
            yield name


__all__ = ["Submitter"]
