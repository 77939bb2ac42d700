"""What Python was told about how objects of a type are written, but for what changes nothing in it.

Some tools register reducers for all exceptions, so that these take their frames along to other
processes. Whether such a tool is loaded must not change what an exception is.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Mapping
from typing import Any, Final

_LEFT_OUT: Final = frozenset({"tblib"})


class Reducers(Mapping[type, Any]):
    """A table of reducers by type, without those that are left out.

    Args:
        table: The table behind it.
    """

    def __init__(self, table: Mapping[type, Any]) -> None:
        self._table = table

    def __getitem__(self, cls: type) -> Any:
        """Return the reducer of a type.

        Raises:
            KeyError: It has none that counts.
        """
        reducer = self._table[cls]
        if str(getattr(reducer, "__module__", "")).partition(".")[0] in _LEFT_OUT:
            raise KeyError(cls)
        return reducer

    def __iter__(self) -> Iterator[type]:
        return (each for each in self._table if each in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


#: The reducers of the `copyreg` module.
REGISTERED: Final = Reducers(copyreg.dispatch_table)
