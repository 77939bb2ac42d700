"""Artifacts are added, once for a kind and key, with dimensions that are in the vocabulary."""

from __future__ import annotations

import uuid
from typing import Final

from taskgraph.catalog.artifacts import NewArtifact
from taskgraph.catalog.vocabulary import ARTIFACT, check_dimensions
from taskgraph.errors import ArtifactExistsError, ExecutionNotFoundError
from taskgraph_backend.catalog import vocabulary
from taskgraph_backend.dialects import Driver
from taskgraph_backend.tags import record_tags

_binary = bytearray.fromhex

_INSERT: Final = (
    "INSERT INTO artifact (id, execution_id, kind, key, path, value_hash, title, description)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_KNOWN: Final = "SELECT id FROM artifact WHERE execution_id = ? AND kind = ? AND key = ?"


def add(driver: Driver, wanted: NewArtifact, value_hash: str | None) -> str:
    """Register an artifact; within a transaction that is alone.

    Returns:
        Its id.

    Raises:
        ArtifactExistsError: The execution has one of this kind and key.
        UnknownDimensionError: A dimension is not in the vocabulary, or may not be this.
        ExecutionNotFoundError: The execution was deleted since.
    """
    key = _binary(wanted.execution_id)
    if driver.execute("SELECT 1 FROM execution WHERE id = ?", (key,)).fetchone() is None:
        raise ExecutionNotFoundError(wanted.execution_id)
    if driver.execute(_KNOWN, (key, wanted.kind, wanted.key)).fetchone() is not None:
        raise ArtifactExistsError(wanted.execution_id, wanted.kind, wanted.key)
    if wanted.dimensions:
        check_dimensions(wanted.dimensions, vocabulary.keys(driver, ARTIFACT))
    id = uuid.uuid4().hex
    row = (
        _binary(id),
        key,
        wanted.kind,
        wanted.key,
        wanted.path,
        None if value_hash is None else _binary(value_hash),
        wanted.title,
        wanted.description,
    )
    driver.executemany(_INSERT, [row])
    record_tags(driver, "Artifact", id, wanted.dimensions)
    return id


__all__ = ["add"]
