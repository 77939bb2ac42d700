"""Whether values are what they were: their bytes, and what is in them.

What is in them is read as data only, whatever the store is trusted with: looking runs no code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taskgraph.errors import DamagedValueError, TaskgraphError
from taskgraph.hashing import ContentDigest, ValueHash, digest_bytes
from taskgraph.values.gate import Trust, reading_with
from taskgraph.values.stored import EVICTED, UNSTORED
from taskgraph_backend import statements
from taskgraph_backend.dialects import Driver
from taskgraph_backend.integrity.pages import of_bounded_size, of_keys, pages
from taskgraph_backend.integrity.placeholders import lost_value, without_bytes
from taskgraph_backend.integrity.problems import Add, Change, Finding, Mend, Remove, found
from taskgraph_backend.seals import is_value_whole

_BYTES = "a value has the bytes that were written"
_STORE = "the value store that is set is that of the database"
_INSIDE = "a value says what it has inside"
_AGAIN = "it is marked: it is made again when it is needed"

_NO_STORE = (
    "its bytes may be in a value store, and none is set here: set backend.value_store to it, or to"
    " an empty folder if it is lost"
)

#: How what was found of bytes that are elsewhere begins.
OUTSIDE = "outside: "
#: What is said of an entry that is not there.
MISSING = "its entry in the value store is missing"
# So many entries are looked for to tell whether this is their store at all.
_SAMPLE = 100
#: Looks at a value whose bytes are elsewhere: what is wrong with them, or None.
CheckOutside = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Outside:
    """What keeps the bytes of values outside of the database, as a check needs it.

    Attributes:
        check: Says of the entry of a digest what is wrong with it; None if nothing is.
        quarantine: Puts the entry of a digest aside.
        is_there: Tells whether there is an entry of a digest, whatever it holds.
        shown: Where it is, as it may be shown.
        may_be_lost: Whether entries that are not there are lost, however many these are.
    """

    check: CheckOutside
    quarantine: Callable[[str], object] = lambda _: None
    is_there: Callable[[str], bool] = lambda _: True
    shown: str = ""
    may_be_lost: bool = False


def _is_of_another(driver: Driver, outside: Outside | None) -> str:
    """Say why a store seems to be that of another database; "" if it does not.

    Where most entries are missing it is more likely that the store is not the right one, or is not
    mounted, than that they were lost one by one. Rows are looked at in the order of their hashes,
    which is none.
    """
    if outside is None or outside.may_be_lost:
        return ""
    rows = driver.execute(
        "SELECT content_digest FROM value WHERE length(value) = 0 AND size > 0"
        " AND format NOT IN (?, ?)"
        f" ORDER BY value_hash LIMIT {_SAMPLE}",
        (statements.DAMAGED, EVICTED),
    ).fetchall()
    missing = sum(not outside.is_there(bytes(digest).hex()) for (digest,) in rows)
    # A single one is lost, and not a store.
    if missing < 2 or 2 * missing <= len(rows):
        return ""
    return (
        f"{missing} of {len(rows)} values that were looked for are not in it: see that"
        " backend.value_store is the one that they were written to, and that it is mounted; if"
        " they are lost, `taskgraph db check --repair --values-lost` has them made again"
    )


def values(
    driver: Driver,
    *,
    deep: bool,
    trust: Trust,
    outside: Outside | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Iterator[Finding]:
    """Give the values that are not what they were.

    Args:
        driver: A connection.
        deep: Whether to look at what is in them.
        trust: Which classes are data, for that.
        outside: What keeps the bytes of values that have none in their row.
        tell: Told now and then how many values were looked at.
    """
    names = "value_hash, type, format, size, content_digest, seal, length(value)"
    doubt = _is_of_another(driver, outside)
    if doubt and outside is not None:
        yield found(_STORE, "value store", outside.shown, doubt)
    for rows in pages(driver, "value", names):
        kept = [row for row in rows if row[2] not in statements.GONE]
        for piece in of_bounded_size(kept, 6):
            contents = of_keys(driver, "value", "value_hash, value", [row[0] for row in piece])
            sound = []
            for row in piece:
                payload = bytes(contents[bytes(row[0])][0][0])
                detail = _wrong(row, payload, outside)
                if detail:
                    seen = {"content_digest": row[4], "format": row[2]}
                    # What lies in a store that is not known is whole, as far as anybody knows.
                    is_elsewhere = bool(doubt) and detail == f"{OUTSIDE}{MISSING}"
                    is_unknown = detail == _NO_STORE or is_elsewhere
                    steps = () if is_unknown else (without_bytes(row[0], seen),)
                    yield found(_BYTES, "value", row[0], detail, _AGAIN, *steps)
                else:
                    sound.append((row, payload))
            if deep:
                yield from _inside(driver, sound, trust)
        tell(len(rows))


def _wrong(row: Any, payload: bytes, outside: Outside | None) -> str:
    key, type_name, format, size, digest, seal, _ = row
    said = bytes(digest).hex()
    named = None if seal is None else bytes(seal), bytes(key), bytes(digest), type_name, format
    if not is_value_whole(*named, has_bytes=bool(payload)):
        if not payload and is_value_whole(*named, has_bytes=True):
            return "its bytes are missing"
        return "its seal is broken: its type, its format or its digest are others now"
    if size and not payload:
        return _wrong_outside(said, outside)
    if size != len(payload):
        return f"size is {size}, stored are {len(payload)} bytes"
    if digest_bytes(payload) != said:
        return "its bytes are not those that were written"
    return ""


def _wrong_outside(digest: str, outside: Outside | None) -> str:
    if outside is None:
        return _NO_STORE
    problem = outside.check(digest)
    return "" if problem is None else f"{OUTSIDE}{problem}"


def _inside(driver: Driver, rows: Sequence[tuple[Any, bytes]], trust: Trust) -> Iterator[Finding]:
    keys = [row[0] for row, _ in rows]
    edges = of_keys(driver, "subvalue", "parent_value_hash, value_hash", keys)
    files = of_keys(driver, "file", "value_hash, root, path, content_hash, size", keys)
    tasks = of_keys(driver, "task", "hash, name", keys)
    handles = of_keys(driver, "handle", "hash, key", keys)
    for row, payload in rows:
        key = bytes(row[0])
        if row[2] == UNSTORED or not payload or key in tasks or key in handles:
            continue
        known = _looked_into(row, payload, trust)
        if known is None:
            continue
        if known.value_hash != key.hex():
            detail = f"what it holds has the hash {known.value_hash[:8]}"
            step = without_bytes(row[0], {"content_digest": row[4], "format": row[2]})
            yield found(_BYTES, "value", key, detail, _AGAIN, step)
            continue
        yield from _edges(
            driver, key, known.inside, {bytes(e[0]).hex() for e in edges.get(key, ())}
        )
        yield from _file(key, known.file, files.get(key))


@dataclass(frozen=True, slots=True)
class _Known:
    value_hash: str
    inside: frozenset[tuple[str, str]]
    file: tuple[str, str, str, int] | None


def _looked_into(row: Any, payload: bytes, trust: Trust) -> _Known | None:
    """Return what a value says of itself; None if that cannot be told without running code."""
    from taskgraph.jsontext import storable
    from taskgraph.values import codec
    from taskgraph.values.registry import kind_of
    from taskgraph.values.weigh import weigh

    key, digest = ValueHash(bytes(row[0]).hex()), ContentDigest(bytes(row[4]).hex())
    try:
        with reading_with(Trust(True, trust.classes)):
            value, bears_code = codec.decode_marked(key, row[1], row[2], payload, digest)
        if bears_code:
            return None  # its hash is that of code as it was then
        weight = weigh(value)
        file = kind_of(value).file_record(value, key)
    except (DamagedValueError, TaskgraphError, ImportError, OSError):
        return None
    except Exception:
        # What a class does with content that it did not expect says nothing about the record.
        return None
    inside = frozenset((each.parent_hash, each.value_hash) for each in weight.subvalues)
    said = None
    if file is not None:
        said = (storable(file.root), storable(file.path), file.content_hash, file.size)
    return _Known(weight.value_hash, inside, said)


def _edges(
    driver: Driver, key: bytes, inside: frozenset[tuple[str, str]], known: set[str]
) -> Iterator[Finding]:
    wanted = {child for parent, child in inside if parent == key.hex()}
    for child in sorted(wanted - known):
        detail = f"{child[:8]} is in it, and is not said to be"
        steps: tuple[Mend, ...] = (
            lost_value(bytes.fromhex(child)),
            Add("subvalue", {"parent_value_hash": key, "value_hash": bytes.fromhex(child)}),
        )
        yield found(_INSIDE, "subvalue", key, detail, "it is added", *steps)
    for child in sorted(known - wanted):
        detail = f"{child[:8]} is said to be in it, and is not"
        place = {"parent_value_hash": key, "value_hash": bytes.fromhex(child)}
        yield found(_INSIDE, "subvalue", key, detail, "it is put aside", Remove("subvalue", place))


def _file(
    key: bytes, said: tuple[str, str, str, int] | None, rows: list[list[Any]] | None
) -> Iterator[Finding]:
    rule = "a file is where its value says"
    if said is not None:
        columns = dict(zip(("root", "path", "content_hash", "size"), said, strict=True))
        if not rows:
            step: Mend = Add("file", {"value_hash": key, **columns})
            yield found(rule, "file", key, "it has no row", "it is added", step)
        elif tuple(rows[0]) != said:
            step = Change("file", {"value_hash": key}, columns)
            yield found(rule, "file", key, "it says something else", "it is mended", step)
    elif rows:
        step = Remove("file", {"value_hash": key})
        yield found(rule, "file", key, "its value is no file", "it is put aside", step)


__all__ = ["MISSING", "OUTSIDE", "CheckOutside", "Outside", "values"]
