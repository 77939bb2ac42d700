"""The port of the managers of datasets, artifacts and the vocabulary on a database."""

from __future__ import annotations

from typing import Any

from taskgraph.catalog.criteria import Criteria, Leaf
from taskgraph.catalog.data_rows import Dataset
from taskgraph.catalog.datasets import Registration
from taskgraph.errors import DatasetNotFoundError, UnknownRecordError
from taskgraph.hashing import ValueHash
from taskgraph_backend.catalog import dataset_lists, datasets, pinning
from taskgraph_backend.catalog.store import Catalog


class DataCatalog(Catalog):
    """The port of the managers of data; with that of executions, which they ask as well."""

    # Datasets

    def register(self, wanted: Registration) -> Dataset:
        """Make a dataset, or have it point at new content.

        Raises:
            DatasetReadOnlyError: Its content would be another, and it is read-only.
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
            ActiveExecutionError: An active execution uses it.
        """
        return self._backend._transact(datasets.delete, dataset_id, dry_run)


__all__ = ["DataCatalog"]
