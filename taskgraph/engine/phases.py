"""Where a node is in its life.

Numbers, and no enumeration: they are looked at a dozen times a call, and to find a member of an
enumeration takes Python ten times as long as to find a name in a module.
"""

from __future__ import annotations

from typing import Final, NewType

Phase = NewType("Phase", int)

WAITING: Final = Phase(0)  # for its inputs
READY: Final = Phase(1)  # all inputs are values; being weighed and looked up
FOLLOWING: Final = Phase(2)  # an equal call is on its way
RUNNING: Final = Phase(3)  # handed to an executor, or to the reading pool
REDUCING: Final = Phase(4)  # returned expressions, which are being evaluated
DONE: Final = Phase(5)
FAILED: Final = Phase(6)
DROPPED: Final = Phase(7)  # an input failed: it never ran

#: It has ended, and nothing more comes of it.
SETTLED: Final = frozenset({DONE, FAILED, DROPPED})
