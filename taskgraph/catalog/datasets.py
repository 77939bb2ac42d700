"""The manager of datasets: names for files, registered with their content, listed by facets."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskgraph.catalog.criteria import DATASET_FIELDS, Criteria
from taskgraph.catalog.data_rows import Dataset
from taskgraph.catalog.requests import check_page, checked_name, pairs_of, tags_of
from taskgraph.catalog.rows import Execution, Page
from taskgraph.catalog.secrets import check_labels
from taskgraph.catalog.store import CatalogStore, Where, meant
from taskgraph.catalog.uses import ref_of
from taskgraph.catalog.writing import F
from taskgraph.errors import DatasetNotFoundError, ValidationError
from taskgraph.tags import Tags
from taskgraph.values.contents import MISSING
from taskgraph.values.filegroups import FileGroup
from taskgraph.values.files import File

#: The type of a dataset of which nobody said what it is.
ANY_TYPE: Final = "Any"
_MOST: Final = 100

#: A file, a folder or pattern of them, or a path.
Content = File | FileGroup | str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Registration:
    """A dataset as it is to be; None for what stays as it is.

    Attributes:
        files: Its content: a list of Files, each seen as it is now.
    """

    name: str
    files: builtins.list[File]
    type: str | None
    study: str | None
    facets: Tags | None
    read_only: bool | None


class DatasetStore(CatalogStore, Protocol):
    """What the manager of datasets asks of a database."""

    def register(self, wanted: Registration) -> Dataset:
        """Make a dataset, or have it point at new content."""

    def find_dataset(self, ref: str, study: str | None) -> Dataset | None:
        """Return a dataset by name, id or unique start of one."""

    def datasets(self, where: Criteria, limit: int | None, offset: int) -> list[Dataset]:
        """Return datasets by name."""

    def count_datasets(self, where: Criteria) -> int:
        """Return how many datasets there are."""

    def content(self, value_hash: str) -> Any:
        """Return the files that a content is. Any: a list of Files."""

    def paths(self, value_hash: str) -> list[str]:
        """Return the paths of a content as they are recorded; nothing is unpickled."""

    def delete_dataset(self, dataset_id: str, *, dry_run: bool) -> bool:
        """Delete a dataset; returns whether it was there."""


class DatasetManager:
    """Datasets: ``archive.datasets``.

    Args:
        store: Where they are.
        known: Has files be known by the folders of the project while it lasts.
    """

    def __init__(
        self, store: DatasetStore, known: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._store = store
        self._known = known

    def register(
        self,
        name: str,
        files: Content | Iterable[Content],
        *,
        type: str | None = None,
        study: str | None = None,
        facets: Iterable[tuple[str, Any]] | Mapping[str, Any] | None = None,
        read_only: bool | None = None,
    ) -> Dataset:
        """Make a dataset, or have it point at new content.

        Executions that were submitted on it keep the content that they were submitted on. The order
        of the files is nothing.

        Args:
            name: What it is called: unique in its study, or among those of no study.
            files: Files or their paths; of a `Dir` or a `FileSet`, the files in it.
            type: What it is; of a new one ``Any`` by default, and else what it was.
            study: Its study, which is made if it is missing.
            facets: Tags by which it is found and grouped, in place of those that it had; a list is
                several values of a key.
            read_only: Whether its content is to stay as it is from now on.

        Raises:
            DatasetReadOnlyError: It is read-only, its content would be another, and it was not
                said that it is to be read-only no more.
            OutputDatasetInUseError: Its content would be another, and an active execution writes
                it.
            ValidationError: A file is not there, or something is not what it must be.
            TagKeyError: A key of a facet is none.
            SecretError: The name or a facet is a secret; none is kept.
            OSError: A file is there and cannot be read.
        """
        called = checked_name("dataset", name)
        check_labels("dataset", called)
        given = None if facets is None else list(_each_value(facets))
        for key, value in given or ():
            check_labels(f"facets of dataset {called}", {str(key): value})
        if read_only is not None and not isinstance(read_only, bool):
            raise ValidationError("read_only", f"expected true or false, not {read_only!r}.")
        with self._known():
            wanted = Registration(
                called,
                _seen(called, files),
                None if type is None else checked_name("type", type),
                None if study is None else checked_name("study", study),
                None if given is None else tags_of(given, {}),
                read_only,
            )
            return self._store.register(wanted)

    def find(self, ref: str | Dataset, *, study: str | None = None) -> Dataset | None:
        """Return a dataset by name, id or start of one; None where there is none.

        Args:
            ref: A name that several studies have is that of ``study``, else of no study.
            study: Where to look first.

        Raises:
            AmbiguousIdError: There are several.
        """
        return self._store.find_dataset(ref_of(ref), study)

    def get(self, ref: str | Dataset, *, study: str | None = None) -> Dataset:
        """Return the same as `find` of a dataset that must be there.

        Raises:
            DatasetNotFoundError: There is none.
            AmbiguousIdError: There are several.
        """
        found = self.find(ref, study=study)
        if found is None:
            raise DatasetNotFoundError(ref_of(ref))
        return found

    def list(
        self,
        where: Where = None,
        *,
        include_retracted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> builtins.list[Dataset]:
        """Return datasets by name, by facet, type or study: ``F.facet("model", any=["A", "B"])``.

        Args:
            where: Which: `F` makes criteria, and JSON is read as some.
            include_retracted: Whether those are listed that are not to be used.
            limit: At most so many.
            offset: After so many.

        Raises:
            UnknownFilterError: Something is asked for that cannot be asked of a dataset.
            ValidationError: Something that was given is not what it must be.
        """
        check_page(limit, offset)
        criteria = meant(where, include_retracted=include_retracted, fields=DATASET_FIELDS)
        return self._store.datasets(criteria, limit, offset)

    def count(self, where: Where = None, *, include_retracted: bool = False) -> int:
        """Return how many datasets the same criteria would list."""
        criteria = meant(where, include_retracted=include_retracted, fields=DATASET_FIELDS)
        return self._store.count_datasets(criteria)

    def files(self, ref: str | Dataset) -> builtins.list[File]:
        """Return the files of a dataset, as they were when it was registered.

        Of a `Dataset` it is the content that this one names, be there another one by now.

        Raises:
            DatasetNotFoundError: There is none.
        """
        found = ref if isinstance(ref, Dataset) else self.get(ref)
        with self._known():
            return list(self._store.content(found.value_hash))

    def paths(self, ref: str | Dataset) -> builtins.list[str]:
        """Return the paths of a dataset's files below their roots; nothing is unpickled.

        Raises:
            DatasetNotFoundError: There is none.
        """
        found = ref if isinstance(ref, Dataset) else self.get(ref)
        return self._store.paths(found.value_hash)

    def history(
        self, ref: str | Dataset, *, limit: int = _MOST, after: str | None = None
    ) -> Page[Execution]:
        """Return the executions that wrote a dataset, newest first.

        Args:
            ref: The dataset.
            limit: At most so many.
            after: What the page before gave as ``next``.

        Raises:
            DatasetNotFoundError: There is none.
        """
        check_page(limit, 0)
        wrote = F.datasets({"id": {"any_": [self.get(ref).id]}, "role": {"any_": ["output"]}})
        return self._store.page(
            wrote, sort="created", descending=True, limit=limit, offset=0, after=after
        )

    def delete(
        self, ref: str | Dataset, *, missing_ok: bool = False, dry_run: bool = False
    ) -> bool:
        """Delete a dataset; executions keep its content, and their snapshot.

        Args:
            ref: The dataset.
            missing_ok: Whether it may be gone already.
            dry_run: Whether it is only looked whether it could be deleted.

        Returns:
            Whether it was there.

        Raises:
            DatasetNotFoundError: There is none, and it is not ``missing_ok``.
            StillInUseError: An active execution uses it.
        """
        found = self.find(ref)
        is_gone = found is None or not self._store.delete_dataset(found.id, dry_run=dry_run)
        if is_gone and not missing_ok:
            raise DatasetNotFoundError(ref_of(ref))
        return not is_gone


def _each_value(given: Iterable[tuple[str, Any]] | Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Give facets one by one: a list is several values of a key."""
    for key, value in pairs_of(given):
        for each in value if isinstance(value, list | tuple) else (value,):
            yield key, each


def _seen(name: str, given: Content | Iterable[Content]) -> list[File]:
    """Return files as they are now, each once, in the order of their names.

    Raises:
        ValidationError: One of them is not there.
    """
    every: Iterable[Any] = given  # type: ignore[assignment]  # or it is one
    if isinstance(given, str | os.PathLike | File | FileGroup) or not isinstance(given, Iterable):
        every = [given]
    found: dict[str, File] = {}
    for item in every:
        for file in _files(name, item):
            found[file.location] = file
    for file in found.values():
        if file.look().content == MISSING.content:
            raise ValidationError(f"dataset {name!r}", f"there is no file {file.path}.")
    return sorted(found.values(), key=lambda each: each.place)


def _files(name: str, item: Content) -> builtins.list[File]:
    if isinstance(item, FileGroup):
        return [type(each).at(each.path, each.location) for each in item.files]
    if isinstance(item, File):
        # What was seen when it was made may be long ago.
        return [type(item).at(item.path, item.location, temp=item.temp)]
    if isinstance(item, str | os.PathLike) and os.fspath(item):
        return [File(item)]
    raise ValidationError(f"dataset {name!r}", f"expected files or paths of them, not {item!r}.")


__all__ = ["ANY_TYPE", "Content", "DatasetManager", "DatasetStore", "Registration"]
