"""Checks that a database is sound, and mends it: what must always hold, and which rows break it.

A check only reads. It looks at each table a page at a time, so that it needs no more memory for a
million calls than for a hundred, and nobody waits for it. What it finds while others write is
looked at once more before it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from taskgraph.errors import without_password
from taskgraph.hashing import ContentDigest
from taskgraph.values.gate import Trust, current_trust
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity import contents, drift, named, references, rules, running, sealed
from taskgraph_backend.integrity.contents import OUTSIDE, Outside
from taskgraph_backend.integrity.mending import mend
from taskgraph_backend.integrity.problems import Change, Finding, Problem, Schema, found
from taskgraph_backend.outside import check_outside

if TYPE_CHECKING:
    from taskgraph_backend.store import SqlBackend

# So many findings are mended in one transaction: others wait no longer than for a batch of rows.
_TOGETHER = 200
# What is mended may show what was hidden by it; more often than this is a problem of its own.
_ROUNDS = 8

#: Told which part of a check begins, and how many rows of it were looked at since.
Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class _Look:
    """How a check looks.

    Attributes:
        backend: The backend.
        contents: Whether to look at the bytes of values.
        deep: Whether to look at what is in them, and to make all hashes again.
        outside: What keeps values that lie outside of the database.
        tell: Told how far it is.
    """

    backend: SqlBackend
    contents: bool
    deep: bool
    outside: Outside | None
    tell: Tell


def check(
    backend: SqlBackend,
    *,
    contents: bool = True,
    deep: bool = False,
    outside: Outside | None = None,
    tell: Tell = lambda part, rows: None,
) -> list[Problem]:
    """Return what is wrong with a database; nothing, normally.

    Args:
        backend: Its backend; it is loaded if it is not.
        contents: Whether to read the bytes of all values and compare their digests.
        deep: Whether to look at what is in values as well, and to make each hash again that can be
            made again from the record.
        outside: What keeps values that lie outside of the database.
        tell: Told which part begins, and how many rows of it were looked at since.
    """
    look = _Look(backend, contents, deep, outside or _outside_of(backend), tell)
    return [finding.problem for part in _parts(look) for finding in part]


def repair(
    backend: SqlBackend,
    *,
    outside: Outside | None = None,
    values_lost: bool = False,
    tell: Tell = lambda part, rows: None,
) -> tuple[list[Problem], list[Problem]]:
    """Mend what is wrong with a database, as `check` with ``deep`` finds it.

    Args:
        backend: Its backend; it is loaded if it is not.
        outside: What keeps values that lie outside of the database.
        values_lost: Whether values that are not in the store are lost, even if these are so many
            that it seems to be another one.
        tell: Told which part begins, and how many rows of it were looked at since.

    Returns:
        What was found, and what is still wrong.
    """
    outside = outside or _outside_of(backend)
    if outside is not None and values_lost:
        outside = replace(outside, may_be_lost=True)
    known: dict[Problem, None] = {}
    left: list[Problem] = []
    for _ in range(_ROUNDS):
        left, changed = [], 0
        for part in _parts(_Look(backend, True, True, outside, tell)):
            while together := list(islice(part, _TOGETHER)):
                known.update(dict.fromkeys(each.problem for each in together))
                left += [each.problem for each in together]
                changed += _apply(backend, together, outside)
        if not changed:
            break
    return list(known), left


def _outside_of(backend: SqlBackend) -> Outside | None:
    """Return what keeps large values; None if the database has no value store."""
    store = backend.value_store
    if store is None:
        return None
    return Outside(
        lambda digest: check_outside(store, digest),
        lambda digest: store.quarantine(ContentDigest(digest)),
        lambda digest: store.has(ContentDigest(digest)),
        without_password(store.url),
    )


def _apply(backend: SqlBackend, findings: list[Finding], outside: Outside | None) -> int:
    mendable = [each for each in findings if each.steps]
    count = len(mendable)
    for each in list(mendable):
        for step in each.steps if each.problem.detail.startswith(OUTSIDE) else ():
            if outside is None or not isinstance(step, Change):
                continue
            digest = bytes(step.seen["content_digest"]).hex()
            if outside.check(digest) is None:
                mendable.remove(each)  # somebody has made it again since it was looked at
            else:
                outside.quarantine(digest)
    changes = count - len(mendable)
    if mendable:
        changes += backend._transact(mend, mendable)
    return changes


def _parts(look: _Look) -> Iterator[Iterator[Finding]]:
    backend = look.backend
    backend.load()
    ask = backend.database.connect()
    try:
        yield _damage(backend, ask, look)
        if backend.database.only_lock is None:
            yield _told(look, "schema", drift.drift(backend.database))
        for part in _tables(look, ask):
            yield _at_once(look, ask, part)
    except backend.database.errors as error:
        raise backend.database.translate(error) from error
    finally:
        if backend.database.only_lock is None:
            ask.close()


def _tables(look: _Look, ask: Driver) -> Iterator[Iterator[Finding]]:
    yield _told(look, "references", references.dangling(ask))
    yield _told(look, "rules", rules.broken(ask))
    yield _told(look, "executions", running.executions(ask))
    yield _told(look, "leases", running.leases(ask))
    if look.contents:
        trust = Trust(True, current_trust().classes)
        yield contents.values(
            ask,
            deep=look.deep,
            trust=trust,
            outside=look.outside,
            tell=lambda rows: look.tell("values", rows),
        )
    yield _told(look, "calls", sealed.calls(ask))
    if look.deep:
        yield _told(look, "children", sealed.children(ask))
        yield _told(look, "arguments", named.arguments(ask))
        exact = look.backend.database.dialect == "sqlite"
        yield _told(look, "tags", named.tags(ask, exact))
    yield _told(look, "code", named.code(ask))
    yield _told(look, "aliases", sealed.aliases(ask))
    # Last, for an entry rests on all of the others.
    yield _told(look, "entries", sealed.evaluations(ask))


def _told(look: _Look, part: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    look.tell(part, 0)
    yield from findings


def _at_once(look: _Look, driver: Driver, part: Iterator[Finding]) -> Iterator[Finding]:
    """Give what a part finds in one state of the database, whatever others write meanwhile."""
    database = look.backend.database
    if database.only_lock is not None:  # its one connection is the backend's own
        yield from part
        return
    try:
        database.begin_looking(driver)
        try:
            yield from part
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
    except database.errors as error:
        # Parts are taken by who asks, outside of where they are made.
        raise database.translate(error) from error


def _damage(backend: SqlBackend, driver: Driver, look: _Look) -> Iterator[Finding]:
    look.tell("file", 0)
    texts: Any = backend.database.damage(driver, 20)
    for text in texts:
        # An index says nothing that its table does not: it can be made again.
        steps = (Schema("REINDEX"),) if "index" in text else ()
        yield found("the file is sound", "database", "", text, "its indexes are made again", *steps)


__all__ = ["Outside", "Problem", "check", "repair"]
