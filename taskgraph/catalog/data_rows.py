"""Datasets, artifacts and keys of the vocabulary as managers give them: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Dataset:
    """A name that points at content: a value, which is a list of files.

    Attributes:
        id: 32 hex digits.
        name: Unique in its study, or among those of no study.
        type: What it is, as ``cmip6``; ``Any`` if nobody said so.
        value_hash: Its content now; executions keep what they were submitted on.
        study: The name of its study.
        facets: Its current tags: each key with all of its values.
        read_only: Whether its content stays as it is.
        retracted: Whether it is not to be used.
    """

    id: str
    name: str
    type: str
    value_hash: str
    created_at: datetime
    updated_at: datetime
    study: str | None = None
    study_id: str | None = None
    facets: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    read_only: bool = False
    retracted: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph dataset list --json`` has it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "value": self.value_hash,
            "study": self.study,
            "facets": {key: list(values) for key, values in self.facets.items()},
            "read_only": self.read_only,
            "retracted": self.retracted,
            "created": self.created_at.isoformat(),
            "updated": self.updated_at.isoformat(),
            "meta": dict(self.meta),
        }


@dataclass(frozen=True, slots=True)
class Artifact:
    """A named output of an execution.

    Attributes:
        execution_id: The execution.
        kind: plot, data, html, log, bundle or another word.
        key: With the kind, unique in the execution.
        path: Where it is, relative to the workspace.
        value_hash: The value that it is, if it is one.
        dimensions: What it is of: each key of the vocabulary with its values.
    """

    id: str
    execution_id: str
    kind: str
    key: str
    path: str | None = None
    value_hash: str | None = None
    title: str | None = None
    description: str | None = None
    dimensions: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as ``taskgraph artifact list --json`` has it."""
        return {
            "id": self.id,
            "execution": self.execution_id,
            "kind": self.kind,
            "key": self.key,
            "path": self.path,
            "value": self.value_hash,
            "title": self.title,
            "description": self.description,
            "dimensions": {key: list(values) for key, values in self.dimensions.items()},
        }


@dataclass(frozen=True, slots=True)
class TagKey:
    """A key of the vocabulary.

    Attributes:
        scope: What has such tags: ``artifact``.
        allowed: The values that it may have; None for any.
        description: What it says.
    """

    key: str
    scope: str
    allowed: tuple[Any, ...] | None = None
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "key": self.key,
            "scope": self.scope,
            "allowed": None if self.allowed is None else list(self.allowed),
            "description": self.description,
        }


__all__ = ["Artifact", "Dataset", "TagKey"]
