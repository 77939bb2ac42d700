"""What this room needs of the flow of data: edges, and their text as plain dicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class EdgeRow(Protocol):
    """That a node came from another one, or from the origin.

    A node is a value, a call, or either an ``argument`` or a ``call_node`` with a ``value``. Any:
    which of them it is is seen by the names that it has.
    """

    @property
    def src(self) -> Any:
        """What came from somewhere."""
        ...

    @property
    def dest(self) -> Any:
        """What it came from; None for the origin."""
        ...


class FlowRow(Protocol):
    """Where values came from, or what was made of them."""

    @property
    def start(self) -> Any:
        """The node that was asked about: a value, or what `EdgeRow` says."""
        ...

    @property
    def edges(self) -> Sequence[EdgeRow]:
        """What is reached from there."""
        ...

    @property
    def execution_id(self) -> str | None:
        """The execution that they are of; None for all."""
        ...


class ToldRow(Protocol):
    """The text of where something came from."""

    @property
    def sections(self) -> Sequence[dict[str, Any]]:
        """The first paragraphs, with the keys ``assign``, ``routing`` and ``args``."""
        ...

    @property
    def left_out(self) -> int:
        """How many more there are."""
        ...


class FlowReader(Protocol):
    """What is asked of the archive; each answer takes a few statements."""

    def data_flow(self, found: Any, *, down: bool = False, all: bool = False) -> FlowRow | None:
        """Return what is reached from a record; None of one that has no value."""
        ...

    def tell_flow(self, found: Any, most_sections: int, most_edges: int) -> ToldRow | None:
        """Return the text of where a record came from; None of one that came from no call."""
        ...
