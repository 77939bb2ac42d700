"""A value store of which each call fails in turn, and one whose disk is full: runs go on."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler
from taskgraph.errors import ValueStoreError
from taskgraph.events import ResultUnstored
from taskgraph.testing import RecordingObserver
from taskgraph.values import entries
from taskgraph.values.entries import DRAFTS, STALE_SECONDS
from taskgraph.values.valuestore import ValueStore, _folder
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check
from tests.torture.disks import fill, only_root, small_disk
from tests.torture.starting import TORTURE, chance
from tests.torture.values import expected, main, settings_of
from tests.valuestores import FailingFileSystem, failing

SIZE = 2
#: Of the calls that may fail so many do, at random; all of them for long.
AT_MOST = 100_000 if TORTURE else 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(autouse=True)
def _noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORTURE_FOLDER", str(tmp_path))


class FailingDisk:
    """Calls of the system that fail when a test wants them to, for `entries` alone.

    Attributes:
        calls: What was called.
        fail_at: The number of the call that fails; 0 for none.
        for_good: Whether all later ones fail as well.
    """

    NAMES = ("makedirs", "replace", "rename", "stat", "unlink", "scandir", "walk", "open", "write")

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at = 0
        self.for_good = False

    def __getattr__(self, name: str) -> Any:
        """Return what `os` has, wrapped if it may fail."""
        found = getattr(os, name)
        return self.wrapped(name, found) if name in self.NAMES else found

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call that fails if it is its turn."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls)
            if number == self.fail_at or (self.for_good and 0 < self.fail_at < number):
                if name == "write":  # half of it is there
                    file, content = args
                    file.write(memoryview(content)[: len(memoryview(content)) // 2])
                raise OSError(errno.EIO, "Input/output error")
            return call(*args, **kwargs)

        return counted

    @contextmanager
    def failing(self, call: int, *, for_good: bool = False) -> Iterator[None]:
        """Have a call fail."""
        self.calls.clear()
        self.fail_at, self.for_good = call, for_good
        try:
            yield
        finally:
            self.fail_at = 0


def _remote(folder: Path, patch: pytest.MonkeyPatch) -> tuple[str, Any, Callable[[], int]]:
    def fail(call: int, *, for_good: bool) -> AbstractContextManager[None]:
        return failing(call, for_good=for_good, by_half=call % 2 == 0)

    return f"failing://{folder.name}", fail, lambda: FailingFileSystem.calls


def _local(folder: Path, patch: pytest.MonkeyPatch) -> tuple[str, Any, Callable[[], int]]:
    disk = FailingDisk()
    patch.setattr(entries, "os", disk)
    patch.setattr(entries, "open", disk.wrapped("open", open), raising=False)
    patch.setattr("taskgraph.values.valuestore.write_all", disk.wrapped("write", _write_all))
    patch.setattr(entries, "write_all", disk.wrapped("write", _write_all))
    return str(folder / "store"), disk.failing, lambda: len(disk.calls)


_write_all = entries.write_all


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("make", [_remote, _local], ids=["remote", "local"])
def test_each_call_of_a_store_fails_in_turn(
    make: Any, for_good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, fail, count = make(tmp_path, monkeypatch)
    random = chance("store")
    # A run that makes all, and one that finds it.
    with fail(0, for_good=False):
        _run(tmp_path, f"{base}-whole", 0)
        cold = count()
        _run(tmp_path, f"{base}-whole", 0)
        calls = count()
    assert calls > cold > 10
    places = sorted(random.sample(range(1, calls + 1), min(calls, AT_MOST)))

    for place in places:
        store = f"{base}-{place}"
        (tmp_path / f"{place}.db").unlink(missing_ok=True)
        with fail(place, for_good=for_good):
            for _ in range(2):
                # A look-up that cannot ask the store ends the run, before it runs anything.
                with suppress(ValueStoreError):
                    _run(tmp_path, store, place)
            assert count() >= place
        _assert_sound(tmp_path, store, place)
        _run(tmp_path, store, place)
        _assert_sound(tmp_path, store, place)
        for entry in ValueStore(store).entries():
            assert ValueStore(store).check(entry.digest) is None, f"call {place} of {calls}"
        _assert_swept(store)
    print(f"{len(places)} of {calls} calls failed")


def _assert_swept(store: str) -> None:
    """Assert that no draft is left, or that the next one who comes the day after sweeps it."""
    for name, _ in ValueStore(store).drafts():
        # One that could not be removed when it was time.
        old = time.time() - 2 * STALE_SECONDS
        os.utime(Path(store, name), (old, old))
    _folder.cache_clear()
    ValueStore(store).publish("pickle", b"the day after")
    assert list(ValueStore(store).drafts()) == []


def _settings(folder: Path, store: str, number: int) -> Any:
    return settings_of(f"sqlite:///{folder / f'{number}.db'}", str(folder), store)


def _run(folder: Path, store: str, number: int, observer: RecordingObserver | None = None) -> None:
    observers = [] if observer is None else [observer]
    with Scheduler(_settings(folder, store, number), observers=observers) as scheduler:
        assert scheduler.run(main(number, SIZE)) == expected(number, SIZE)


def _assert_sound(folder: Path, store: str, number: int) -> None:
    settings = _settings(folder, store, number)
    with SqlBackend(settings.backend.db_uri, settings.backend) as backend:
        assert check(backend, deep=True) == [], f"call {number}"


@only_root
def test_a_store_whose_disk_fills_up_and_is_freed(tmp_path: Path) -> None:
    random = chance("store's disk")
    # What is freed must be enough for all rounds: each leaves some 350 kB, and finds room for less.
    with small_disk(tmp_path / "disk", "8m") as disk:
        store = str(disk / "store")
        for number in range(8 if TORTURE else 3):
            ballast = fill(disk, leaving=random.randrange(0, 250_000))
            observer = RecordingObserver()

            _run(tmp_path, store, number, observer)

            said = [each.reason for each in observer.events if isinstance(each, ResultUnstored)]
            assert any("No space left" in each for each in said)
            # Of what has such a result inside it is said that it has.
            others = {each for each in said if "No space left" not in each}
            assert others <= {"it holds a result that could not be stored"}
            assert list((disk / "store" / DRAFTS).glob("*")) == []
            _assert_sound(tmp_path, store, number)
            ballast.unlink()
            _run(tmp_path, store, number)
            observer = RecordingObserver()
            _run(tmp_path, store, number, observer)
            assert not [each for each in observer.events if isinstance(each, ResultUnstored)]
            _assert_sound(tmp_path, store, number)
