"""PostgreSQL is stopped and started in the middle of commits, and its connections are cut."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.line import open_line
from taskgraph_backend import SqlBackend
from tests.torture.invariants import (
    assert_complete,
    assert_recorded,
    assert_results,
    assert_whole,
)
from tests.torture.servers import OwnServer, own_server
from tests.torture.starting import TORTURE, chance, start

STOPS = 60 if TORTURE else 3
ROUNDS = 40 if TORTURE else 2
TURNS = 400 if TORTURE else 40
RECORDERS = 3
GROUPS = 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def server(postgres_server: object) -> Iterator[OwnServer]:
    """A server of the module's own, where there is one at all."""
    with own_server() as made:
        yield made


def _told(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (0, ""), errors[-3000:]
    return sum(line.startswith("done ") for line in out.splitlines()), out


def test_a_server_that_comes_and_goes_loses_nothing_and_has_nothing_twice(
    server: OwnServer, tmp_path: Path
) -> None:
    random = chance("restarts")
    uri = server.make_database("restarted")
    recorders = [
        start("recorder", uri, tmp_path, number, TURNS, folder=tmp_path)
        for number in range(RECORDERS)
    ]
    seeds = range(40 if TORTURE else 4)
    workflow = start("workflow", uri, tmp_path, "threads", GROUPS, *seeds, folder=tmp_path)

    stops = 0
    while stops < STOPS and any(each.poll() is None for each in (*recorders, workflow)):
        time.sleep(random.uniform(0.05, 0.7))
        server.stop(random.choice(["fast", "immediate"]))
        time.sleep(random.uniform(0.0, 0.4))
        server.start()
        stops += 1

    made = [_told(each)[0] for each in recorders]
    done, out = _told(workflow)
    print(f"stopped {stops} times")
    assert (made, done) == ([TURNS] * RECORDERS, len(seeds))
    assert_results(out, GROUPS)
    with SqlBackend(uri) as backend:
        for number in range(RECORDERS):
            assert_recorded(backend, number, TURNS, TURNS)
        assert_whole_beside(backend)


def assert_whole_beside(backend: SqlBackend) -> None:
    """Assert that all is whole where `recorder` has written too, whose calls are not real ones."""
    from taskgraph_backend.integrity import check
    from tests.torture.invariants import dangling

    found = [each for each in check(backend, contents=False) if "numbered" not in each.rule]
    assert found == []
    assert dangling(backend) == {}


@pytest.mark.parametrize("program", ["recorder", "workflow"])
def test_connections_that_are_cut_anywhere_lose_nothing(
    server: OwnServer, tmp_path: Path, program: str
) -> None:
    random = chance("cut")
    whole = server.make_database(f"cut_{program}")
    numbers = range(ROUNDS)
    for number in numbers:
        cut = (random.randrange(1_500, 20_000), random.randrange(100_000, 400_000))
        seed = random.randrange(10**6)
        print(f"round {number}: cut {cut} seed {seed}")
        with open_line(server.socket, cut=cut, seed=seed) as port:
            uri = f"postgresql://postgres@127.0.0.1:{port}/cut_{program}"
            arguments = (
                (number, TURNS // 10) if program == "recorder" else ("threads", GROUPS, number)
            )
            process = start(program, uri, tmp_path, *arguments, folder=tmp_path)
            count, out = _told(process)
            assert count == (TURNS // 10 if program == "recorder" else 1)
            assert_results(out, GROUPS)

    with SqlBackend(whole) as backend:
        if program == "recorder":
            for number in numbers:
                assert_recorded(backend, number, TURNS // 10, TURNS // 10)
            assert_whole_beside(backend)
        else:
            assert_whole(backend)
            assert_complete(backend, numbers, GROUPS)
