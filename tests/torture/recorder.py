"""A program that is tortured: it writes in all ways there are, and says what is known to be there.

    python -m tests.torture.recorder URI FOLDER NUMBER TURNS

A turn records a batch, changes a tag, takes and gives back a lease, and imports records. When all
of it was confirmed, "done TURN" is said.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from taskgraph.records import State
from taskgraph_backend import SqlBackend
from taskgraph_backend.serializers import Record
from tests.rows import (
    a_call,
    a_job,
    a_lease,
    a_task,
    an_argument,
    an_edge,
    an_evaluation,
    an_execution,
    key,
    together,
)

PER_TURN = 20
_MILLION = 10**6


def first(number: int, turn: int) -> int:
    """The number of the first row of a turn."""
    return number * 1000 * _MILLION + turn * 1000


def job(number: int) -> int:
    """The job of a process that is tagged in each turn."""
    return first(number, 0) + 7 * 10**20


def imported(number: int, turn: int) -> str:
    """The id of what is imported in a turn."""
    return key(first(number, turn) + 3 * 10**20)


def batch(number: int, turn: int):  # type: ignore[no-untyped-def]
    """The rows of a turn: calls with all that belongs to them, below a call of their own."""
    start = first(number, turn)
    numbers = [start + each for each in range(1, PER_TURN)]
    far = 10**20
    return together(
        a_call(start + far, start, start + 2 * far),
        an_argument(start + 4 * far, start + far, start + 2 * far),
        an_evaluation(start, start + 2 * far),
        *(a_call(each + far, each, each + 2 * far) for each in numbers),
        *(an_edge(start + far, each + far, order) for order, each in enumerate(numbers)),
        *(an_argument(each + 4 * far, each + far, each + 2 * far) for each in numbers),
        *(an_evaluation(each, each + 2 * far) for each in numbers),
        *(a_job(each + 5 * far, execution=number + 1, call=each + far) for each in numbers),
    )


def records(number: int, turn: int) -> Iterator[Record]:
    """Records from elsewhere: a value."""
    import base64

    from taskgraph.hashing import digest_bytes

    content = f"{number} {turn}".encode()
    yield {
        "_type": "Value",
        "_version": 1,
        "value_hash": imported(number, turn),
        "type": "builtins.str",
        "format": "pickle",
        "size": len(content),
        "preview": "''",
        "content_digest": digest_bytes(content),
        "data": base64.b64encode(content).decode(),
        "subvalues": [],
        "subtype": None,
    }


def run() -> None:
    uri, _, number, turns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with SqlBackend(uri) as backend:
        backend.record(
            together(
                a_task(),
                an_execution(number + 1, root=job(number), state=State.COMPLETED),
                a_job(job(number), execution=number + 1),
            )
        )
        backend.record_tags("Job", key(job(number)), [("turn", -1)])
        for turn in range(turns):
            backend.record(batch(number, turn))
            backend.update_tags("Job", key(job(number)), ["turn"], [("turn", turn)])
            backend.record_tags("Job", key(job(number)), [("gone", turn)])
            assert len(backend.delete_tags(key(job(number)), [("gone", turn)])) == 1
            lease = a_lease("the one", f"holder {number}")
            if backend.take([lease]) == [None]:
                print("taken", turn, flush=True)
                backend.release(lease.holder, ["the one"])
            new = backend.put_records(records(number, turn))
            assert new == 1, f"{new} were new in turn {turn}"
            print("done", turn, flush=True)


if __name__ == "__main__":
    run()
