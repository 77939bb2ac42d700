"""The manager of artifacts: named outputs of executions, in their workspace or as values."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskgraph.catalog.data_rows import Artifact
from taskgraph.catalog.requests import check_page, checked_json, checked_name, tags_of
from taskgraph.catalog.rows import Execution
from taskgraph.catalog.store import UNSET, CatalogStore, Unset
from taskgraph.errors import ExecutionNotFoundError, OutsideWorkspaceError, ValidationError
from taskgraph.jsontext import storable
from taskgraph.tags import Tags

#: The kind of what an execution said while it ran.
LOG: Final = "log"


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """An artifact that is to be registered.

    Attributes:
        value: A value to be recorded with it; `UNSET` for none.
    """

    execution_id: str
    kind: str
    key: str
    path: str | None
    value: Any = UNSET
    dimensions: Tags = ()
    title: str | None = None
    description: str | None = None

    @property
    def has_value(self) -> bool:
        """Whether a value is part of it."""
        return not isinstance(self.value, Unset)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which artifacts are meant; None, and no dimensions, for all."""

    execution_id: str | None = None
    kind: str | None = None
    key: str | None = None
    dimensions: Tags = ()
    limit: int | None = None
    offset: int = 0


class ArtifactStore(CatalogStore, Protocol):
    """What the manager of artifacts asks of a database."""

    def add_artifact(self, wanted: NewArtifact) -> Artifact:
        """Register an artifact."""

    def artifacts(self, wanted: Wanted, *, include_retracted: bool) -> list[Artifact]:
        """Return artifacts by execution, kind and key."""


class ArtifactManager:
    """Artifacts: ``archive.artifacts``.

    Args:
        store: Where they are.
        known: Has files be known by the folders of the project while it lasts.
    """

    def __init__(
        self, store: ArtifactStore, known: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._store = store
        self._known = known

    def add(
        self,
        execution: str | os.PathLike[str] | Execution,
        kind: str,
        key: str,
        path: str | os.PathLike[str] | None = None,
        *,
        value: Any = UNSET,
        dimensions: Iterable[tuple[str, Any]] | Mapping[str, Any] | None = None,
        title: str | None = None,
        description: str | None = None,
    ) -> Artifact:
        """Register a named output of an execution: a file of its workspace, a value, or both.

        Args:
            execution: The execution.
            kind: What it is: plot, data, html, log, bundle or another word.
            key: What it is called; with the kind, unique in the execution.
            path: Where it is, relative to the workspace and inside it; it need not be there yet.
            value: Any value, which is recorded.
            dimensions: What it is of: keys of the vocabulary with their values.
            title: What it is called at length.
            description: What there is to say of it.

        Raises:
            ExecutionNotFoundError: There is no such execution.
            ArtifactExistsError: The execution has one of this kind and key.
            UnknownDimensionError: A dimension is not in the vocabulary, or may not be this.
            OutsideWorkspaceError: The path leads out of the workspace.
            ValidationError: There is neither a path nor a value, or no workspace for a path.
        """
        found = self._execution(execution)
        if path is None and isinstance(value, Unset):
            raise ValidationError("an artifact", "expected a path, a value or both.")
        wanted = NewArtifact(
            found.id,
            checked_name("kind", kind),
            checked_name("key", key),
            None if path is None else _inside(found, path),
            value,
            tags_of(dimensions, {}),
            checked_json("title", title),
            checked_json("description", description),
        )
        with self._known():
            return self._store.add_artifact(wanted)

    def list(
        self,
        execution: str | os.PathLike[str] | Execution | None = None,
        *,
        kind: str | None = None,
        key: str | None = None,
        dimensions: Iterable[tuple[str, Any]] | Mapping[str, Any] | None = None,
        include_retracted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> builtins.list[Artifact]:
        """Return artifacts by execution, the newest first, and within one by kind and key.

        Args:
            execution: Only those of an execution.
            kind: Only those of a kind.
            key: Only those that are called so.
            dimensions: Only those with all of these.
            include_retracted: Whether those of executions are listed that are not to be used.
            limit: At most so many.
            offset: After so many.

        Raises:
            ExecutionNotFoundError: There is no such execution.
        """
        check_page(limit, offset)
        wanted = Wanted(
            None if execution is None else self._execution(execution).id,
            None if kind is None else storable(kind),
            None if key is None else storable(key),
            tags_of(dimensions, {}),
            limit,
            offset,
        )
        is_asked = include_retracted or execution is not None
        return self._store.artifacts(wanted, include_retracted=is_asked)

    def _execution(self, ref: str | os.PathLike[str] | Execution) -> Execution:
        if isinstance(ref, Execution):
            ref = ref.id
        found = self._store.find(os.fspath(ref))
        if found is None:
            raise ExecutionNotFoundError(os.fspath(ref))
        return found


def _inside(execution: Execution, given: str | os.PathLike[str]) -> str:
    """Return a path as it is kept: relative to the workspace of an execution.

    Raises:
        OutsideWorkspaceError: It leads out of that, by dots, as a whole path or through a link.
        ValidationError: There is no workspace, or it is no path.
    """
    text = os.fspath(given)
    if not isinstance(text, str) or not text.strip():
        raise ValidationError("path", f"expected a path, not {text!r}.")
    checked_json("path", text)
    if execution.workspace is None:
        raise ValidationError(
            f"path {text!r}",
            f"execution {execution.id[:8]} has no workspace that it could be in. Give the artifact "
            "a value, or the execution a workspace.",
        )
    if os.path.isabs(text):
        raise OutsideWorkspaceError(text, execution.workspace)
    root = os.path.realpath(execution.workspace)
    whole = os.path.realpath(os.path.join(root, text))
    if os.path.commonpath([root, whole]) != root or whole == root:
        raise OutsideWorkspaceError(text, execution.workspace)
    return os.path.normpath(text).replace(os.sep, "/")


__all__ = ["LOG", "ArtifactManager", "ArtifactStore", "NewArtifact", "Wanted"]
