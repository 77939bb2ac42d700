"""Pages of records, and what the next one begins after: a text that names a place in an order.

A place is not a number of rows but the time and id of a row, so that rows which come in between
move nothing: no record is given twice, and none is left out.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, overload

from taskgraph.errors import FilterError
from taskgraph_backend import models
from taskgraph_backend.query.kinds import MODEL_NAMES

# Which kind, whether there is a time, the time, and the key: 34 letters as a text.
_PACKED: Final = struct.Struct(">B?q16s")


class Place(NamedTuple):
    """Where a record stands in the order of a query.

    Attributes:
        kind: Which kind of record it is.
        micros: Its time, or None where the order is by id.
        id: Its primary key.
    """

    kind: str
    micros: int | None
    id: str

    def cursor(self) -> str:
        """Return the text that stands for it."""
        number = MODEL_NAMES.index(self.kind)
        packed = _PACKED.pack(
            number, self.micros is not None, self.micros or 0, bytes.fromhex(self.id)
        )
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(text: str, *, by_time: bool) -> Place:
    """Return the place that a text stands for.

    Raises:
        FilterError: It is none, or one of another order.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        number, is_timed, micros, key = _PACKED.unpack(packed)
        kind = MODEL_NAMES[number]
    except (ValueError, IndexError, struct.error) as error:
        raise _no_cursor(text) from error
    if is_timed is not by_time:
        raise _no_cursor(text)
    return Place(kind, micros if is_timed else None, key.hex())


def _no_cursor(text: str) -> FilterError:
    return FilterError(
        "cursor", text, "it is none of this list: take what the page before gave, with its filters."
    )


@dataclass(frozen=True, slots=True)
class Page(Sequence[models.Base]):
    """Records that follow each other in the order of a query.

    Attributes:
        records: The records.
        cursors: Of each, what to give as ``after`` for what follows it.
        next: The same for the page that follows; None where nothing does.
    """

    records: tuple[models.Base, ...]
    cursors: tuple[str, ...]
    next: str | None

    @overload
    def __getitem__(self, index: int) -> models.Base: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[models.Base, ...]: ...
    def __getitem__(self, index: int | slice) -> models.Base | tuple[models.Base, ...]:
        """Return a record, or some of them."""
        return self.records[index]

    def __len__(self) -> int:
        """Return how many there are on this page."""
        return len(self.records)

    def __iter__(self) -> Iterator[models.Base]:
        """Give the records in order."""
        return iter(self.records)
