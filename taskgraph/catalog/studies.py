"""The manager of studies: names for bodies of work, and what becomes of what is in one."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from taskgraph.catalog.people import user_ref
from taskgraph.catalog.people_rows import User
from taskgraph.catalog.requests import checked_name
from taskgraph.catalog.rows import DeletedStudy, Study
from taskgraph.catalog.writing import F
from taskgraph.errors import StudyNotFoundError, ValidationError
from taskgraph.jsontext import storable

#: What may become of the executions of a study that is deleted.
FATES: Final = ("keep", "refuse", "delete")


class StudyStore(Protocol):
    """What the manager of studies asks of a database."""

    def study(self, name: str, owner: str | None) -> Study:
        """Return a study, which is made if there is none: then it is of this owner."""

    def set_study_owner(self, study_id: str, owner: str | None) -> Study | None:
        """Have a study belong to a user, or to nobody; None where there is no such study."""

    def find_study(self, ref: str) -> Study | None:
        """Return a study by name, id or unique start of one."""

    def studies(self) -> list[Study]:
        """Return all studies by name."""

    def delete_study(
        self, study_id: str, *, must_be_empty: bool, with_groups: bool, dry_run: bool
    ) -> DeletedStudy:
        """Delete a study with its workflows and datasets; its executions are of none then."""


class StudyManager:
    """Studies: names for bodies of work; ``archive.studies``.

    Args:
        store: Where they are.
        delete_many: Deletes the executions that are meant; None where nothing does.
    """

    def __init__(self, store: StudyStore, delete_many: Callable[..., object] | None = None) -> None:
        self._store = store
        self._delete_many = delete_many

    def get_or_create(self, name: str, owner: str | User | None = None) -> Study:
        """Return the study of a name, which is made if there is none.

        Args:
            name: The name.
            owner: The user that a new one belongs to; one that is there stays whose it is.

        Raises:
            ValidationError: The name is blank.
            UserNotFoundError: There is no such user.
        """
        whose = None if owner is None else user_ref(owner)
        return self._store.study(checked_name("study", name), whose)

    def set_owner(self, ref: str | Study, owner: str | User | None) -> Study:
        """Have a study belong to a user, or with None to nobody.

        Raises:
            StudyNotFoundError: There is no such study.
            UserNotFoundError: There is no such user.
            AmbiguousIdError: More than one starts so.
        """
        known = self.get(ref.id if isinstance(ref, Study) else ref)
        whose = None if owner is None else user_ref(owner)
        found = self._store.set_study_owner(known.id, whose)
        if found is None:  # deleted since
            raise StudyNotFoundError(known.name)
        return found

    def find(self, ref: str) -> Study | None:
        """Return a study by name, id or start of one; None where there is none.

        Raises:
            AmbiguousIdError: More than one starts so.
            ValidationError: It is no text.
        """
        if not isinstance(ref, str):
            raise ValidationError("study", f"expected a name or an id, not {ref!r}.")
        return None if "\0" in ref else self._store.find_study(storable(ref))

    def get(self, ref: str) -> Study:
        """Return the same as `find` of a study that must be there.

        Raises:
            StudyNotFoundError: There is none.
            AmbiguousIdError: More than one starts so.
        """
        found = self.find(ref)
        if found is None:
            raise StudyNotFoundError(ref)
        return found

    def list(self) -> builtins.list[Study]:
        """Return all studies by name, each with how many executions it has."""
        return self._store.studies()

    def delete(
        self,
        ref: str | Study,
        *,
        executions: str = "keep",
        groups: bool = False,
        missing_ok: bool = False,
        dry_run: bool = False,
    ) -> DeletedStudy | None:
        """Delete a study with its workflows and datasets.

        Args:
            ref: The study.
            executions: What becomes of its executions: ``keep`` has them be of no study, ``refuse``
                is an error if there are any, ``delete`` deletes them.
            groups: Whether the groups of its workflows go with these; their executions are no part
                of that.
            missing_ok: Whether it may be gone already.
            dry_run: Whether nothing is to be done.

        Returns:
            What went; None where there was none, and there need not be.

        Raises:
            StudyNotFoundError: There is none, and it is not ``missing_ok``.
            StillInUseError: An active execution is part of it, or uses something of it.
            StudyInUseError: It has executions, and was to be deleted only if it has none.
            WorkflowInUseError: A workflow has groups, and it was not said that they go with it.
            ValidationError: That cannot become of executions.
        """
        if executions not in FATES:
            raise ValidationError(f"executions {executions!r}", f"there are: {', '.join(FATES)}.")
        found = self.find(ref.id if isinstance(ref, Study) else ref)
        if found is None:
            if missing_ok:
                return None
            raise StudyNotFoundError(str(ref))
        if executions != "delete":
            is_empty = executions == "refuse"
            return self._store.delete_study(
                found.id, must_be_empty=is_empty, with_groups=groups, dry_run=dry_run
            )
        if self._delete_many is None:
            raise ValidationError("executions 'delete'", "nothing here deletes executions.")
        plan = self._store.delete_study(
            found.id, must_be_empty=False, with_groups=groups, dry_run=True
        )
        if dry_run:
            return replace(plan, kept=0, deleted=plan.kept)
        self._delete_many(F.study(found.name))
        gone = self._store.delete_study(
            found.id, must_be_empty=False, with_groups=groups, dry_run=False
        )
        return replace(gone, deleted=plan.kept - gone.kept)


__all__ = ["FATES", "StudyManager", "StudyStore"]
