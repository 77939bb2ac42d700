"""Folders that may be removed: those that are inside of a root, and are none themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgraph.errors import UnsafePathError


@dataclass(frozen=True, slots=True)
class Folders:
    """Where executions leave something beside the database.

    Attributes:
        roots: What is inside of these may be removed.
        kept: What must never be, nor what they are in: the settings, the database.
        outputs: The folder with what calls print, in a folder for each execution; if it is kept.
    """

    roots: Sequence[Path] = ()
    kept: Sequence[Path] = ()
    outputs: Path | None = None

    def check(self, path: str) -> Path:
        """Return the folder that a path is of, if it may be removed.

        Raises:
            UnsafePathError: It is in no root, is one, or has something in it that must stay.
        """
        given = Path(path)
        whole = given.resolve()
        roots = [each.resolve() for each in self.roots]
        shown = [str(each) for each in roots]
        if not any(root in whole.parents for root in roots):
            raise UnsafePathError(path, "it is inside of no root", shown)
        if given.is_symlink():
            raise UnsafePathError(path, "it is a link to another folder", shown)
        if given.exists() and not given.is_dir():
            raise UnsafePathError(path, "it is no folder", shown)
        for kept in [*roots, *(each.resolve() for each in self.kept)]:
            if (
                whole == kept
                or whole in kept.parents
                or (kept in whole.parents and kept not in roots)
            ):
                raise UnsafePathError(path, f"{kept} is there", shown)
        return whole

    def remove(self, path: str) -> bool:
        """Remove a folder with all that is in it; returns whether it was there.

        Raises:
            UnsafePathError: It may not be removed.
        """
        whole = self.check(path)
        if not whole.is_dir():
            return False
        import shutil  # here, for who deletes nothing pays nothing

        shutil.rmtree(whole)
        return True

    def forget_output(self, execution_id: str) -> None:
        """Remove what the calls of an execution printed."""
        if self.outputs is not None:
            import shutil

            shutil.rmtree(self.outputs / execution_id, ignore_errors=True)


__all__ = ["Folders"]
