"""The manager of the vocabulary: which dimensions artifacts may have, and with which values."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Any, Final, Protocol

from taskgraph.catalog.data_rows import TagKey
from taskgraph.catalog.requests import checked_json
from taskgraph.errors import UnknownDimensionError, ValidationError
from taskgraph.jsontext import storable, to_json
from taskgraph.tags import check_key

#: What has dimensions.
ARTIFACT: Final = "artifact"
#: What the keys of a vocabulary can be of.
SCOPES: Final = (ARTIFACT,)


class VocabularyStore(Protocol):
    """What the manager of the vocabulary asks of a database."""

    def define(self, wanted: TagKey) -> TagKey:
        """Add a key, or change what it may be."""

    def keys(self, scope: str | None) -> list[TagKey]:
        """Return the keys by scope and key."""

    def undefine(self, key: str, scope: str) -> bool:
        """Remove a key; returns whether it was there."""


class VocabularyManager:
    """The controlled vocabulary: ``archive.vocabulary``.

    Args:
        store: Where it is.
    """

    def __init__(self, store: VocabularyStore) -> None:
        self._store = store

    def define(
        self,
        key: str,
        *,
        scope: str = ARTIFACT,
        allowed: Iterable[Any] | None = None,
        description: str = "",
    ) -> TagKey:
        """Add a controlled key; the same again changes nothing.

        Args:
            key: A dimension, as ``region``.
            scope: What has it; there is ``artifact``.
            allowed: The values that it may have; any by default.
            description: What it says.

        Raises:
            VocabularyInUseError: Something has a value that it may not have any more.
            ValidationError: There is no such scope, or a value is not JSON.
            TagKeyError: It is no key.
        """
        check_key(key)
        _check_scope(scope)
        if isinstance(allowed, str):
            raise ValidationError("allowed", f"expected a list of values, not {allowed!r}.")
        values = None if allowed is None else [checked_json("allowed", each) for each in allowed]
        if values is not None:
            values = list({to_json(each): each for each in values}.values())
        wanted = TagKey(key, scope, None if values is None else tuple(values), description)
        return self._store.define(wanted)

    def list(self, scope: str | None = None) -> builtins.list[TagKey]:
        """Return the keys of a scope, or all.

        Raises:
            ValidationError: There is no such scope.
        """
        if scope is not None:
            _check_scope(scope)
        return self._store.keys(scope)

    def remove(self, key: str, *, scope: str = ARTIFACT, missing_ok: bool = False) -> bool:
        """Remove a key that nothing has.

        Returns:
            Whether it was there.

        Raises:
            VocabularyInUseError: Something has it.
            UnknownDimensionError: There is none, and it is not ``missing_ok``.
            ValidationError: There is no such scope.
        """
        _check_scope(scope)
        was_there = self._store.undefine(storable(key), scope)
        if not was_there and not missing_ok:
            raise UnknownDimensionError(key, "it is not in the vocabulary, so it is gone already.")
        return was_there


def _check_scope(scope: str) -> None:
    if scope not in SCOPES:
        raise ValidationError(f"scope {scope!r}", f"there are: {', '.join(SCOPES)}.")


def check_dimensions(dimensions: Iterable[tuple[str, Any]], known: Iterable[TagKey]) -> None:
    """Check that dimensions are in the vocabulary, with values that they may have.

    Raises:
        UnknownDimensionError: One is not, or may not have its value.
    """
    keys = {each.key: each for each in known}
    for key, value in dimensions:
        found = keys.get(key)
        if found is None:
            listed = ", ".join(sorted(keys)) or "none"
            raise UnknownDimensionError(
                key,
                f"it is not in the vocabulary, which has: {listed}. Add it: "
                f"archive.vocabulary.define({key!r}), or `taskgraph vocabulary define {key}`.",
            )
        if not may_be(found, value):
            allowed = ", ".join(to_json(each) for each in found.allowed or ())
            raise UnknownDimensionError(
                key, f"it may not be {to_json(value)}. It may be: {allowed}."
            )


def may_be(key: TagKey, value: Any) -> bool:
    """Tell whether a key may have a value."""
    return key.allowed is None or to_json(value) in {to_json(each) for each in key.allowed}


__all__ = [
    "ARTIFACT",
    "SCOPES",
    "VocabularyManager",
    "VocabularyStore",
    "check_dimensions",
    "may_be",
]
