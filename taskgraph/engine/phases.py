"""Where a node is in its life, and who moves it on.

    from       to         by                   because
    WAITING    READY      reduction            all inputs are values
               DROPPED    reduction            an input failed, or nobody needs it any more
    READY      WAITING    holding              a temporary file is made again for it first
               FOLLOWING  dispatch             an equal call is on its way
               AWAY       dispatch             files are looked at, or it is to run
                          holding              files are looked for
                          leading, twins       another process, or call, has a body run
               REDUCING   finishing            a recorded result holds calls
                          stepping, promising  a scheduler task asks for something
               DONE       finishing            a value was recorded, copied, or computed
               FAILED     dispatch             it cannot be weighed, or begun
    AWAY       READY      who made it AWAY     files were looked at; it is free to run
               REDUCING   finishing            its body returned
               FAILED     finishing            its body raised
    FOLLOWING  DONE       finishing            the equal call is done; FAILED if that failed
    REDUCING   DONE       finishing            what it awaited is there
               FAILED     finishing            what it awaited failed
               READY      finishing            a recorded result does not stand: its body is to run
    any        DROPPED    dispatch, holding,   it is not to be started or finished any more: the run
                          awaiting             ends, or its caller has failed

Who has a node in hand moves it, nobody else. Questions (`engine.awaiting`, `engine.promising`,
`engine.forking`) are REDUCING from the start, and settled by those whom they belong to.
`engine.eager`, which takes calls one at a time, moves its own.

Numbers, and no enumeration: they are looked at a dozen times a call, and to find a member of an
enumeration takes Python ten times as long as to find a name in a module.
"""

from __future__ import annotations

from typing import Final, NewType

Phase = NewType("Phase", int)

WAITING: Final = Phase(0)  # for its inputs
READY: Final = Phase(1)  # all inputs are values; being weighed and looked up
FOLLOWING: Final = Phase(2)  # an equal call is on its way
#: Somebody else has it: an executor, the pool that looks at files, another process that leads it, a
#: twin whose body it shares, or a queue for a limit or another attempt. Its row says RUNNING only
#: if an executor has it.
AWAY: Final = Phase(3)
REDUCING: Final = Phase(4)  # returned expressions, which are being evaluated
DONE: Final = Phase(5)
FAILED: Final = Phase(6)
DROPPED: Final = Phase(7)  # nobody waits for it: an input failed, or the run is ending

#: It has ended, and nothing more comes of it.
SETTLED: Final = frozenset({DONE, FAILED, DROPPED})
