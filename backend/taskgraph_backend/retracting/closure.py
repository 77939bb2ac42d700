"""What came from calls: along the calls that made them, their results, and files.

A step leads from a call

    to the call that made it                         `call_edge`
    to each call that was given its result           `argument_result`
    to each call that was given a file that it made  the same file, or a value that holds it

and never further by equal values: of calls that were given `True`, most know nothing of the one
that returned it. A file has an identity, its path and its content, so that it leads from one
execution to another.

A call that hands a file on, which one of its children made or which it was given itself, did not
make it: if what made it is not meant, neither is who reads it. Else one bad file would spoil all
that lie beside it in the result of a workflow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver

#: A call, or a file, as its hash.
Key = bytes
_Pairs = set[tuple[Key, Key]]

_PARENTS: Final = "SELECT DISTINCT parent_id FROM call_edge WHERE child_id IN ({})"
_TAKERS: Final = (
    "SELECT DISTINCT a.call_hash FROM argument_result r JOIN argument a ON a.arg_hash = r.arg_hash"
    " WHERE r.result_call_hash IN ({})"
)
_RESULTS: Final = "SELECT call_hash, value_hash FROM call_node WHERE call_hash IN ({})"
_ARGUMENTS: Final = "SELECT call_hash, value_hash FROM argument WHERE call_hash IN ({})"
_CHILDREN: Final = "SELECT parent_id, child_id FROM call_edge WHERE parent_id IN ({})"
_INSIDE: Final = (
    "WITH RECURSIVE held (value, inner_value) AS (SELECT value_hash, value_hash FROM value"
    " WHERE value_hash IN ({}) UNION SELECT held.value, s.value_hash FROM held"
    " JOIN subvalue s ON s.parent_value_hash = held.inner_value)"
    " SELECT held.value, held.inner_value FROM held"
    " JOIN file f ON f.value_hash = held.inner_value"
)
_AROUND: Final = (
    "WITH RECURSIVE held (value) AS (SELECT value_hash FROM value WHERE value_hash IN ({})"
    " UNION SELECT s.parent_value_hash FROM held JOIN subvalue s ON s.value_hash = held.value)"
    " SELECT value FROM held"
)
_READERS: Final = "SELECT DISTINCT call_hash FROM argument WHERE value_hash IN ({})"
_GIVERS: Final = "SELECT call_hash FROM call_node WHERE value_hash IN ({})"


class Seeds(NamedTuple):
    """Where a closure begins.

    Attributes:
        calls: Calls that are meant themselves.
        files: Files that are meant themselves, whoever made them.
        all_files: Whether files that the calls only hand on are meant as well.
    """

    calls: frozenset[Key] = frozenset()
    files: frozenset[Key] = frozenset()
    all_files: bool = False


def closure(driver: Driver, seeds: Seeds) -> set[Key]:
    """Return the calls of seeds, and all calls that came from these or from their files."""
    found: set[Key] = set()
    bad: set[Key] = set()
    new = set(seeds.calls)
    files = set(seeds.files)
    is_first = True
    while new or files:
        found |= new
        if is_first and seeds.all_files:
            files |= {file for _, file in files_of_results(driver, new)}
        else:
            files |= made_by(driver, new)
        is_first = False
        files -= bad
        bad |= files
        reached = set(_column(driver, _PARENTS, new))
        reached.update(_column(driver, _TAKERS, new))
        reached.update(readers(driver, files))
        new, files = reached - found, set()
    return found


def readers(driver: Driver, values: Collection[Key]) -> set[Key]:
    """Return the calls that were given a value, or something that holds it."""
    return set(_column(driver, _READERS, around(driver, values)))


def makers(driver: Driver, files: Collection[Key]) -> set[Key]:
    """Return the calls that made files: they are in their results, and they did not get them."""
    wanted = set(files)
    givers = set(_column(driver, _GIVERS, around(driver, wanted)))
    return {call for call, file in _made(driver, givers) if file in wanted}


def files_inside(driver: Driver, values: Collection[Key]) -> set[Key]:
    """Return the files that are among values or in them."""
    return {file for _, file in _rows(driver, _INSIDE, values)}


def around(driver: Driver, values: Collection[Key]) -> set[Key]:
    """Return values, and all values that hold one of them, at any depth."""
    return set(_column(driver, _AROUND, values))


def files_of_results(driver: Driver, calls: Collection[Key]) -> _Pairs:
    """Return pairs of a call and a file in its result."""
    return _with_files(driver, list(_rows(driver, _RESULTS, calls)))


def made_by(driver: Driver, calls: Collection[Key]) -> set[Key]:
    """Return the files that calls made; not those that they were given, or that children made."""
    return {file for _, file in _made(driver, calls)}


def _made(driver: Driver, calls: Collection[Key]) -> _Pairs:
    given = _out_of_results(driver, calls)
    if not given:
        return given
    holding = {call for call, _ in given}
    children = list(_rows(driver, _CHILDREN, holding))
    below = _out_of_results(driver, {child for _, child in children})
    by_child: dict[Key, set[Key]] = {}
    for child, file in below:
        by_child.setdefault(child, set()).add(file)
    return given - {
        (parent, file) for parent, child in children for file in by_child.get(child, ())
    }


def _out_of_results(driver: Driver, calls: Collection[Key]) -> _Pairs:
    """Return pairs of a call and a file in its result that is in none of its arguments."""
    found = files_of_results(driver, calls)
    if not found:
        return found
    holding = {call for call, _ in found}
    return found - _with_files(driver, list(_rows(driver, _ARGUMENTS, holding)))


def _with_files(driver: Driver, values: Iterable[tuple[Key, Key]]) -> _Pairs:
    """Return the pairs of whatever has a value, and a file that is it or in it."""
    pairs = list(values)
    inside: dict[Key, set[Key]] = {}
    for value, file in _rows(driver, _INSIDE, {value for _, value in pairs}):
        inside.setdefault(value, set()).add(file)
    return {(owner, file) for owner, value in pairs for file in inside.get(value, ())}


def _rows(driver: Driver, question: str, keys: Collection[Key]) -> Iterator[tuple[Any, ...]]:
    for piece in statements.padded(sorted(keys)):
        yield from driver.execute(question.format(", ".join("?" * len(piece))), piece).fetchall()


def _column(driver: Driver, question: str, keys: Collection[Key]) -> Iterator[Key]:
    return (key for (key,) in _rows(driver, question, keys))


__all__ = [
    "Key",
    "Seeds",
    "around",
    "closure",
    "files_inside",
    "files_of_results",
    "made_by",
    "makers",
    "readers",
]
