"""The table of what this machine's files held."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskgraph.values.statcache import StatCache, clock_ns, is_settled, stat_cache

CONTENT = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
LATER = 10_000_000_000


def make(folder: Path, name: str = "a") -> tuple[str, os.stat_result]:
    path = folder / name
    path.write_text("x")
    return str(path), path.stat()


def test_an_unchanged_file_is_known(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "cache" / "table"))
    path, stat = make(tmp_path)

    assert cache.find(path, stat) is None
    assert cache.remember(path, stat, CONTENT, clock_ns() + LATER)

    assert cache.find(path, stat) == CONTENT
    assert StatCache(cache.path).find(path, stat) == CONTENT


def test_a_changed_file_or_another_path_is_not_known(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"))
    path, stat = make(tmp_path)
    cache.remember(path, stat, CONTENT, clock_ns() + LATER)

    os.utime(path, (1, 1))

    assert cache.find(path, os.stat(path)) is None
    assert cache.find(path + "2", stat) is None


def test_a_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    path, stat = make(tmp_path)

    for content in (CONTENT, OTHER):
        cache.remember(path, stat, content, clock_ns() + LATER)

    assert cache.find(path, stat) == OTHER
    assert os.path.getsize(cache.path) == 64


def test_a_full_bucket_forgets_one_entry_only(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    files = [make(tmp_path, f"f{i}") for i in range(5)]

    for path, stat in files:
        cache.remember(path, stat, CONTENT, clock_ns() + LATER)

    assert sum(cache.find(path, stat) == CONTENT for path, stat in files) == 4
    assert cache.find(*files[-1]) == CONTENT


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"))
    path, stat = make(tmp_path)

    assert not cache.remember(path, stat, CONTENT, stat.st_ctime_ns + 1_000_000)
    assert cache.find(path, stat) is None


def test_whole_seconds_need_more_distance_and_the_future_is_never_settled() -> None:
    second = 1_000_000_000

    def times(ns: int) -> os.stat_result:
        values = [0o100644, 1, 1, 1, 0, 0, 1, ns // second, ns // second, ns // second]
        return os.stat_result(
            values,
            {"st_atime_ns": ns, "st_mtime_ns": ns, "st_ctime_ns": ns},
        )

    assert is_settled(times(5 * second + 1), 5 * second + 60_000_000)
    assert not is_settled(times(5 * second), 6 * second)
    assert is_settled(times(5 * second), 8 * second)
    assert not is_settled(times(9 * second + 1), 8 * second)


def test_damage_is_a_miss_and_is_written_over(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    path, stat = make(tmp_path)
    cache.remember(path, stat, CONTENT, clock_ns() + LATER)

    damaged = bytearray(Path(cache.path).read_bytes())
    damaged[45] ^= 1
    Path(cache.path).write_bytes(damaged[:70])

    assert cache.find(path, stat) is None
    assert cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    assert cache.find(path, stat) == CONTENT


@pytest.mark.parametrize("length", [0, 1, 63, 65, 200])
def test_a_cut_off_table_is_no_error(tmp_path: Path, length: int) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    Path(cache.path).write_bytes(b"\xff" * length)
    path, stat = make(tmp_path)

    assert cache.find(path, stat) is None
    assert cache.remember(path, stat, CONTENT, clock_ns() + LATER)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = StatCache(str(tmp_path / "file" / "cache" / "table"))
    path, stat = make(tmp_path)

    assert not cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    assert cache.find(path, stat) is None


def test_a_table_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stat = make(tmp_path)
    StatCache(str(tmp_path / "table")).remember(path, stat, CONTENT, clock_ns() + LATER)
    opened = os.open

    def refuse_writing(name: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "no")
        return opened(name, flags, mode)

    monkeypatch.setattr(os, "open", refuse_writing)
    cache = StatCache(str(tmp_path / "table"))

    assert cache.find(path, stat) == CONTENT
    assert not cache.remember(path, stat, OTHER, clock_ns() + LATER)


def test_a_full_disk_and_a_failing_one_are_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = StatCache(str(tmp_path / "table"))
    path, stat = make(tmp_path)
    cache.find(path, stat)

    def fail(*args: object) -> int:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "pwrite", fail)
    assert not cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    monkeypatch.setattr(os, "pread", fail)
    assert cache.find(path, stat) is None


def test_a_closed_cache_opens_again(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"))
    path, stat = make(tmp_path)
    cache.remember(path, stat, CONTENT, clock_ns() + LATER)

    cache.close()
    cache.close()

    assert cache.find(path, stat) == CONTENT


def test_one_cache_for_each_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert stat_cache(str(tmp_path)) is stat_cache(str(tmp_path))
    assert "taskgraph" in stat_cache(None).path


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=64)
    files = [make(tmp_path, f"f{i}") for i in range(50)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda f: cache.remember(*f, CONTENT, clock_ns() + LATER), files * 4))

    assert all(cache.find(*file) in (CONTENT, None) for file in files)


WRITER = """
import os, sys
from taskgraph.values.statcache import StatCache, clock_ns
cache = StatCache(sys.argv[1], buckets=4)
stat = os.stat(sys.argv[2])
print("ready", flush=True)
rounds = int(sys.argv[4])
while rounds:
    rounds -= 1
    for i in range(20):
        cache.remember(f"/file{i}", stat, sys.argv[3], clock_ns() + 10**11)
"""


def start_writer(table: Path, file: str, content: str, rounds: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", WRITER, str(table), file, content, str(rounds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[4])
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_two_processes_write_at_once_and_nothing_wrong_is_read(tmp_path: Path) -> None:
    table = tmp_path / "table"
    path, stat = make(tmp_path)
    cache = StatCache(str(table), buckets=4)
    writers = [start_writer(table, path, content, 100) for content in (CONTENT, OTHER)]

    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen |= {cache.find(f"/file{i}", stat) for i in range(20)}

    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.wait() == 0
    assert seen <= {CONTENT, OTHER, None}


def test_a_killed_writer_leaves_a_table_that_can_be_used(tmp_path: Path) -> None:
    table = tmp_path / "table"
    path, stat = make(tmp_path)
    writer = start_writer(table, path, CONTENT, -1)

    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert writer.stdout is not None
    writer.stdout.close()

    cache = StatCache(str(table), buckets=4)
    assert {cache.find(f"/file{i}", stat) for i in range(20)} <= {CONTENT, None}
    assert cache.remember(path, stat, OTHER, clock_ns() + LATER)
    assert cache.find(path, stat) == OTHER


def test_a_torn_entry_is_passed_over_for_a_whole_one(tmp_path: Path) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    path, stat = make(tmp_path)
    cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    whole = Path(cache.path).read_bytes()[:64]
    torn = whole[:40] + bytes(16) + whole[56:]

    Path(cache.path).write_bytes(torn + bytes(64) + whole)

    assert cache.find(path, stat) == CONTENT


@pytest.mark.parametrize("shift", [1, 8, 63])
def test_what_does_not_lie_where_an_entry_can_is_none(tmp_path: Path, shift: int) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    path, stat = make(tmp_path)
    cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    whole = Path(cache.path).read_bytes()[:64]

    Path(cache.path).write_bytes(bytes(shift) + whole + bytes(64))

    assert cache.find(path, stat) is None


def test_an_unchanged_file_costs_one_reading_and_one_checksum_in_a_full_bucket(
    tmp_path: Path,
) -> None:
    cache = StatCache(str(tmp_path / "table"), buckets=1)
    files = [make(tmp_path, f"f{i}") for i in range(4)]
    for path, stat in files:
        cache.remember(path, stat, CONTENT, clock_ns() + LATER)
    called: list[str] = []

    def note(frame: object, event: str, argument: object) -> None:
        if event == "c_call":
            called.append(getattr(argument, "__name__", ""))

    sys.setprofile(note)
    try:
        found = cache.find(*files[3])
    finally:
        sys.setprofile(None)

    assert found == CONTENT
    assert called.count("pread") == 1
    assert called.count("xxh3_64_intdigest") == 1
    assert len(called) <= 12
