"""Names of parameters, alike in each process that collects the tests."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def label(value: object) -> str:
    """Return what `repr` gives, without where in memory the objects are."""
    return _ADDRESS.sub("", repr(value))
