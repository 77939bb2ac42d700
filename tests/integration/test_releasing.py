"""Releasing temporary files from Python: what is refused, what is noted, what is still known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import taskgraph
from taskgraph import File, Scheduler, task
from taskgraph.assembly.databases import open_database, take_lease
from taskgraph.assembly.reading import open_reader
from taskgraph.config import Settings, find_config_dir, load_settings
from taskgraph.engine import releasing
from taskgraph.engine.releasing import Fate
from taskgraph.errors import ReleaseRefusedError, UnknownRecordError
from taskgraph.records import ExecutionId, ExecutionRecord, JobId, RecordBatch, State

ran: list[str] = []


@task(namespace="releasing", version="1")
def make(path: str, text: str = "xyz") -> File:
    ran.append("make")
    file = File(path, temp=True)
    file.write(text)
    return file


@task(namespace="releasing", version="1")
def length(file: File, times: int = 1) -> int:
    ran.append("length")
    return len(file.read()) * times


@task(namespace="releasing", version="1")
def make_plain(path: str) -> File:
    file = File(path)
    file.write("plain")
    return file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ran.clear()
    return tmp_path


@pytest.fixture
def settings(folder: Path) -> Settings:
    (folder / ".taskgraph").mkdir()
    return load_settings(find_config_dir(given=folder / ".taskgraph"))


@pytest.fixture
def scheduler(settings: Settings) -> Iterator[Scheduler]:
    with Scheduler(settings, executor="inline") as scheduler:
        scheduler.run(length(make("work/a")))
        ran.clear()
        yield scheduler


def release(*paths: str, **options: bool) -> list[tuple[str, Fate]]:
    found = taskgraph.release(*paths, config_dir=".taskgraph", **options)
    return [(each.path, each.fate) for each in found]


def test_what_is_released_is_noted_and_its_lineage_is_known(
    scheduler: Scheduler, settings: Settings
) -> None:
    assert release("work/a") == [("work/a", Fate.DELETED)]

    with closing(open_reader(settings)) as reader:
        found = reader.find_file(("project", "work/a"))
        assert found is not None
        tags = {each.key: each.value for each in found[0].value.tags}
    assert set(tags[releasing.TAG]) == {"time", "by"}
    assert "releasing.make" in str(taskgraph.lineage("work/a", config_dir=".taskgraph"))
    assert (scheduler.run(length(make("work/a"))), ran) == (3, [])
    assert (scheduler.run(length(make("work/a"), 2)), ran) == (6, ["make", "length"])


def test_it_can_be_released_again_and_again(scheduler: Scheduler) -> None:
    for times in (2, 3):
        assert release("work") == [("work/a", Fate.DELETED)]
        assert release("work/a") == [("work/a", Fate.GONE)]
        ran.clear()
        scheduler.run(length(make("work/a"), times))
        assert ran == ["make", "length"]


def test_nothing_is_deleted_while_something_runs(scheduler: Scheduler, settings: Settings) -> None:
    running = ExecutionRecord(
        ExecutionId("a" * 32), "[]", JobId("b" * 32), 0, State.RUNNING, 0, None
    )
    with closing(open_database(settings)) as backend:
        lease = take_lease(backend, running.id)
        backend.record(RecordBatch(executions=[running]))

        with pytest.raises(ReleaseRefusedError, match="execution aaaaaaaa: it is running"):
            release("work/a")

        assert Path("work/a").exists()
        assert release("work/a", force=True) == [("work/a", Fate.DELETED)]
        lease.release()


def test_the_newest_record_says_whether_it_is_temporary(scheduler: Scheduler) -> None:
    scheduler.run(make_plain("work/a"))

    with pytest.raises(ReleaseRefusedError, match="no temporary file"):
        release("work/a")

    scheduler.run(make("work/a", "plain"))
    assert release("work/a") == [("work/a", Fate.DELETED)]


def test_a_remote_one_is_released(scheduler: Scheduler) -> None:
    url = "memory://released/deep/a"
    scheduler.run(length(make(url)))

    assert release("memory://released") == [(url, Fate.DELETED)]
    assert not File(url).exists()
    ran.clear()
    assert (scheduler.run(length(make(url))), ran) == (3, [])
    assert (scheduler.run(length(make(url), 2)), ran) == (6, ["make", "length"])


def test_one_inside_of_another_value_is_released(scheduler: Scheduler) -> None:
    scheduler.run([length(each) for each in (make("work/b"), make("work/B"))])

    assert release("work/b") == [("work/b", Fate.DELETED)]
    assert sorted(each.name for each in Path("work").iterdir()) == ["B", "a"]


def test_what_cannot_be_deleted_is_an_error_and_the_others_are_noted(
    scheduler: Scheduler, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler.run(length(make("work/b")))
    remove = File.remove

    def refuse(file: File) -> None:
        if file.path == "work/b":
            raise PermissionError(13, "Permission denied", file.path)
        remove(file)

    monkeypatch.setattr(File, "remove", refuse)

    with pytest.raises(PermissionError):
        release("work")

    with closing(open_reader(settings)) as reader:
        found = [reader.find_file(("project", f"work/{name}")) for name in "ab"]
        tags = [[tag.key for tag in each[0].value.tags] for each in found if each is not None]
    assert tags == [[releasing.TAG], []]


def test_a_damaged_record_is_no_reason_to_delete(scheduler: Scheduler, settings: Settings) -> None:
    from sqlalchemy import text

    with closing(open_database(settings)) as backend:
        engine = backend.create_engine()
        with engine.begin() as connection:
            connection.execute(text("UPDATE value SET value = x'00' WHERE format = 'file'"))
        engine.dispose()

    with pytest.raises(ReleaseRefusedError, match="its record is damaged"):
        release("work/a")
    assert Path("work/a").exists()


def test_unknown_paths_are_told(scheduler: Scheduler) -> None:
    with pytest.raises(UnknownRecordError, match="work/c"):
        release("work/a", "work/c")

    assert Path("work/a").exists()
    error = ReleaseRefusedError([("a", "it is")])
    assert str(error).splitlines()[:2] == ["Nothing was deleted:", "  a: it is"]
    assert json.dumps([str(each) for each in Fate]) == '["deleted", "gone already", "kept"]'
