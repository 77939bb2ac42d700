"""Large values outside: writers are killed, entries damaged, and each result is right."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.values.valuestore import ValueStore
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check, repair
from tests.s3 import s3_server
from tests.torture.invariants import dangling
from tests.torture.starting import TORTURE, chance, kill, start
from tests.torture.values import SMALLEST, expected, settings_of
from tests.torture.vandal import Vandal

KILLS = 120 if TORTURE else 2
SIZE = 6 if TORTURE else 3
AT_ONCE = 3 if TORTURE else 2
# So many processes want the same.
SHARED_BY = 3
BUCKET = "torture"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server(BUCKET) as url:
        yield url


_SHORT = [("sqlite", "folder"), ("postgres", "s3")]
_LONG = [*_SHORT, ("postgres", "folder"), ("sqlite", "s3")]


@pytest.fixture(params=_LONG if TORTURE else _SHORT, ids="-".join)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A database, and a value store that all who use it share."""
    database, store = request.param
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    if database == "postgres":
        uri = request.getfixturevalue("postgres_uri")
    if store == "folder":
        return uri, str(tmp_path / "store")
    request.getfixturevalue("s3")
    return uri, f"s3://{BUCKET}/{tmp_path.name}"


def _assert_results(told: str) -> None:
    for line in told.splitlines():
        if line.startswith("done ") and line.endswith("]"):
            _, seed, result = line.split(" ", 2)
            assert result == str(expected(int(seed), SIZE)), line


def _backend(uri: str, folder: Path, store: str) -> SqlBackend:
    return SqlBackend(uri, settings_of(uri, str(folder), store).backend)


def _assert_sound(uri: str, folder: Path, store: str) -> None:
    with _backend(uri, folder, store) as backend:
        assert check(backend, deep=True) == []
        assert dangling(backend) == {}
    for entry in ValueStore(store).entries():
        assert ValueStore(store).check(entry.digest) is None, entry


def test_whoever_is_killed_and_whatever_is_damaged_each_result_is_right(
    places: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if TORTURE:
        monkeypatch.setenv("TORTURE_LARGEST", str(4 << 20))
        monkeypatch.setattr("tests.torture.values.LARGEST", 4 << 20)
    uri, store = places
    random = chance("values")
    executors = ["processes", "threads", "inline"] if TORTURE else ["threads", "inline"]
    killed = {"worker": 0, "scheduler": 0, "nobody": 0}
    started = 0
    running: list[tuple[subprocess.Popen[str], Path]] = []
    with Vandal(ValueStore(store, SMALLEST), random, 0.2 if TORTURE else 0.1) as vandal:
        while killed["worker"] + killed["scheduler"] < KILLS or vandal.has_yet_to_begin:
            while len(running) < AT_ONCE:
                seed, executor = started // SHARED_BY, random.choice(executors)
                errors = tmp_path / f"errors-{started}"
                process = start(
                    "values", uri, tmp_path, store, executor, SIZE, seed,
                    folder=tmp_path, errors=errors,
                )  # fmt: skip
                running.append((process, errors))
                started += 1
            victim, _ = random.choice(running)
            assert victim.stdout is not None
            first = victim.stdout.readline()
            _wait_for_bodies(victim, tmp_path / "ran", random.randrange(2 * SIZE))
            time.sleep(random.uniform(0.0, 0.1))
            killed[kill(victim, random.random() < 0.4)] += 1
            still = []
            for process, errors in running:
                if process is not victim and process.poll() is None:
                    still.append((process, errors))
                    continue
                out, _ = process.communicate(timeout=60)
                _assert_results(first + out if process is victim else out)
                if process.returncode == 1:
                    _assert_killed(errors.read_text())
            running = still
        for process, _ in running:
            process.kill()
            process.communicate()
    print(f"{killed} of {started}, damage: {dict(vandal.done)}")
    assert vandal.done

    seeds = range(started // SHARED_BY + 1)
    last = start("values", uri, tmp_path, store, "threads", SIZE, *seeds, folder=tmp_path)
    out, said = last.communicate()

    assert (last.returncode, said) == (0, ""), said[-3000:]
    assert out.count("done ") == len(seeds)
    _assert_results(out)
    with _backend(uri, tmp_path, store) as backend:
        found, left = repair(backend)
        assert left == []
        assert {each.table for each in found} <= {"value", "evaluation", "execution", "job"}
    _assert_sound(uri, tmp_path, store)
    before = (tmp_path / "ran").read_text()
    again = start("values", uri, tmp_path, store, "threads", SIZE, *seeds, folder=tmp_path)
    out, said = again.communicate()
    assert (again.returncode, said) == (0, "")
    _assert_results(out)
    if not found:
        # Nothing was lost since.
        assert (tmp_path / "ran").read_text() == before


def _wait_for_bodies(process: subprocess.Popen[str], ran: Path, count: int) -> None:
    """Wait until so many bodies have begun since, of whatever process, or until one ends."""
    end = _lines(ran) + count
    while _lines(ran) < end and process.poll() is None:
        time.sleep(0.005)


def _lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def _assert_killed(errors: str) -> None:
    """Assert that a run which failed lost one of its workers."""
    assert "WorkerLostError" in errors.strip().rpartition("\n")[2], errors[-5000:]
