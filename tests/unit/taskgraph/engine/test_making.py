"""Tests of the ids of jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

from taskgraph.engine.making import _id_maker

MANY = 100_000


def test_ids_are_of_32_digits_and_the_first_eight_tell_jobs_apart() -> None:
    make = _id_maker()
    ids = [make() for _ in range(MANY)]

    assert {len(each) for each in ids} == {32}
    assert all(int(each, 16) < 2**128 for each in ids)
    assert len({each[:8] for each in ids}) == MANY


def test_ids_stand_in_rows_of_a_thousand_that_are_spread_evenly() -> None:
    make = _id_maker()
    ids = [make() for _ in range(MANY)]

    breaks = sum(int(b[:8], 16) != int(a[:8], 16) + 1 for a, b in pairwise(ids))
    assert breaks in (MANY // 1024, MANY // 1024 + 1)
    parts = {each[0] for each in islice(ids, 0, None, 1024)}
    assert len(parts) == 16


def test_two_makers_and_many_threads_make_no_id_twice() -> None:
    make, other = _id_maker(), _id_maker()

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: make(), range(MANY // 10)))

    ids += [other() for _ in range(MANY // 10)]
    assert len(set(ids)) == len(ids)
