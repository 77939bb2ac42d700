"""The port of the managers of datasets, artifacts and the vocabulary on a database."""

from __future__ import annotations

from typing import Any

from taskgraph.catalog.artifacts import NewArtifact, Wanted
from taskgraph.catalog.criteria import Criteria, Leaf
from taskgraph.catalog.data_rows import Artifact, Dataset, TagKey
from taskgraph.catalog.datasets import Registration
from taskgraph.errors import DatasetNotFoundError, UnknownRecordError
from taskgraph.hashing import ValueHash
from taskgraph_backend.catalog import (
    artifact_lists,
    artifacts,
    dataset_lists,
    datasets,
    pinning,
    vocabulary,
)
from taskgraph_backend.catalog.store import Catalog


class DataCatalog(Catalog):
    """The port of the managers of data; with that of executions, which they ask as well."""

    # Datasets

    def register(self, wanted: Registration) -> Dataset:
        """Make a dataset, or have it point at new content.

        Raises:
            DatasetReadOnlyError: Its content would be another, and it is read-only.
            OutputDatasetInUseError: Its content would be another, and somebody writes it.
        """
        value_hash = str(self._backend.record_value(wanted.files))
        id = self._backend._transact(
            datasets.register,
            datasets.Wanted(
                wanted.name,
                value_hash,
                wanted.type,
                wanted.study,
                wanted.facets,
                wanted.read_only,
            ),
        )
        return self._dataset(id)

    def find_dataset(self, ref: str, study: str | None) -> Dataset | None:
        """Return a dataset by name, id or unique start of one.

        Raises:
            AmbiguousIdError: There are several.
        """
        try:
            found = self._backend._ask(pinning.find_datasets, [ref], study)[ref]
        except DatasetNotFoundError:
            return None
        return self._dataset(found.id)

    def _dataset(self, id: str) -> Dataset:
        with self._backend.reader() as session:
            found = dataset_lists.every(session, Leaf("id", "any_", (id,)))
        if not found:  # deleted since
            raise DatasetNotFoundError(id)
        return found[0]

    def datasets(self, where: Criteria, limit: int | None, offset: int) -> list[Dataset]:
        """Return datasets by name."""
        with self._backend.reader() as session:
            return dataset_lists.every(session, where, limit, offset)

    def count_datasets(self, where: Criteria) -> int:
        """Return how many datasets there are."""
        with self._backend.reader() as session:
            return dataset_lists.count(session, where)

    def content(self, value_hash: str) -> Any:
        """Return the files that a content is. Any: a list of Files.

        Raises:
            UnknownRecordError: It is not stored, or is of elsewhere and nobody trusts it.
        """
        value, is_there = self._backend.get_value(ValueHash(value_hash))
        if not is_there:
            raise UnknownRecordError(value_hash)
        return value

    def paths(self, value_hash: str) -> list[str]:
        """Return the paths of a content as they are recorded; nothing is unpickled."""
        with self._backend.reader() as session:
            return dataset_lists.paths(session, value_hash)

    def delete_dataset(self, dataset_id: str, *, dry_run: bool) -> bool:
        """Delete a dataset; returns whether it was there.

        Raises:
            StillInUseError: An active execution uses it.
        """
        return self._backend._transact(datasets.delete, dataset_id, dry_run)

    # Artifacts

    def add_artifact(self, wanted: NewArtifact) -> Artifact:
        """Register an artifact.

        Raises:
            ArtifactExistsError: The execution has one of this kind and key.
            UnknownDimensionError: A dimension is not in the vocabulary, or may not be this.
        """
        value_hash = str(self._backend.record_value(wanted.value)) if wanted.has_value else None
        id = self._backend._transact(artifacts.add, wanted, value_hash)
        with self._backend.reader() as session:
            return artifact_lists.one(session, id)

    def artifacts(self, wanted: Wanted, *, include_retracted: bool) -> list[Artifact]:
        """Return artifacts by execution, kind and key."""
        with self._backend.reader() as session:
            return artifact_lists.every(session, wanted, include_retracted=include_retracted)

    # The vocabulary

    def define(self, wanted: TagKey) -> TagKey:
        """Add a key, or change what it may be.

        Raises:
            VocabularyInUseError: Something has a value that it may not have any more.
        """
        return self._backend._transact(vocabulary.define, wanted)

    def keys(self, scope: str | None) -> list[TagKey]:
        """Return the keys by scope and key."""
        return self._backend._ask(vocabulary.keys, scope)

    def undefine(self, key: str, scope: str) -> bool:
        """Remove a key; returns whether it was there.

        Raises:
            VocabularyInUseError: Something has it.
        """
        return self._backend._transact(vocabulary.remove, key, scope)


__all__ = ["DataCatalog"]
