"""Many processes run on one database at once: all get what is right, and it is recorded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph_backend import SqlBackend
from tests.torture.invariants import assert_complete, assert_results, assert_whole
from tests.torture.starting import TORTURE, start

PROCESSES = 16 if TORTURE else 4
# Workflows of 501 calls, half of them wanted by all.
GROUPS = 25 if TORTURE else 5
SHARED = 1_000_000


@pytest.mark.timeout(1800)
def test_all_get_the_right_results_and_each_is_recorded_once(
    tmp_path: Path, database_uri: str
) -> None:
    running = [
        start(
            "workflow", database_uri, tmp_path, "threads", GROUPS, number, SHARED, folder=tmp_path
        )
        for number in range(PROCESSES)
    ]

    told = [each.communicate() for each in running]

    assert [each.returncode for each in running] == [0] * PROCESSES, told
    assert {errors for _, errors in told} == {""}
    for out, _ in told:
        assert out.count("done ") == 2
        assert_results(out, GROUPS)
    with SqlBackend(database_uri) as backend:
        assert_whole(backend)
        assert_complete(backend, [*range(PROCESSES), SHARED], GROUPS)
        with backend.reader() as reader:
            assert {each.status for each in reader.executions()} == {"DONE"}
