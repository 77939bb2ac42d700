"""The profile by room: each function is of one room, and each room is still there."""

from __future__ import annotations

from pathlib import Path

from benchmarks.rooms import ALL_ROOMS, REST, ROOMS, room_of_stack, unknown_claims

CHECKOUT = Path(__file__).parents[3]


def test_what_the_rooms_claim_is_there() -> None:
    assert unknown_claims(CHECKOUT) == []


def test_a_claim_on_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert len(unknown_claims(tmp_path)) == sum(len(room.claims) for room in ROOMS)


def test_the_innermost_claim_counts() -> None:
    stack = [
        ("taskgraph/hashing.py", "hash_shape"),
        ("taskgraph/engine/weighing.py", "weigh"),
        ("taskgraph/engine/dispatch.py", "Dispatcher._find_results"),
        ("taskgraph/engine/loop.py", "Engine._advance"),
    ]

    assert room_of_stack(stack) == "hashing"
    assert room_of_stack(stack[2:]) == "lookup"
    assert room_of_stack(stack[3:]) == "graph"


def test_functions_that_are_defined_in_another_are_of_its_room() -> None:
    stack = [("taskgraph_backend/recording.py", "steps_of.<locals>.<listcomp>")]

    assert room_of_stack(stack) == "rows to bytes"


def test_what_nobody_claims_is_the_rest() -> None:
    assert room_of_stack([("queue.py", "get"), ("threading.py", "run")]) == REST.name


def test_names_of_rooms_are_not_used_twice() -> None:
    names = [room.name for room in ALL_ROOMS]
    claims = [claim for room in ALL_ROOMS for claim in room.claims]

    assert len(names) == len(set(names))
    assert len(claims) == len(set(claims))
