"""What jobs printed is found beside the records, and shown so that no terminal obeys it."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.errors import OutputNotFoundError
from taskgraph.outputs.place import LEAST_SIZE, OutputPlace, folder_of
from taskgraph.outputs.writing import OutputFile
from taskgraph.provenance.page import plain_text
from taskgraph.provenance.printed import last_lines, printed_by, printed_page
from taskgraph_backend import SqlBackend
from taskgraph_backend.reader import Reader

taskgraph_namespace = "printed"


@task
def says(n: int) -> int:
    print("said", n)
    return n


@task
def both() -> list[int]:
    return [says(1), says(2)]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'p.db'}"


def reader_of(uri: str) -> Reader:
    backend = SqlBackend(uri)
    backend.load()
    return Reader(backend, owns_backend=True)


def test_that_of_an_execution_is_that_of_its_jobs(uri: str, tmp_path: Path) -> None:
    with Scheduler({"backend.db_uri": uri}) as scheduler:
        scheduler.run(both())

    with reader_of(uri) as reader:
        found = printed_by(reader, reader.find("-"), f"{tmp_path / 'p.db'}-logs", 30)

    assert sorted(each.output.lines[0].text for each in found) == ["said 1", "said 2"]
    text = plain_text(printed_page(found))
    assert text.count("printed.says") == 2
    assert "said 1\n" in text


def test_a_call_that_was_put_together_from_the_cache_shows_what_its_body_printed(
    uri: str, tmp_path: Path
) -> None:
    with Scheduler({"backend.db_uri": uri}) as scheduler:
        scheduler.run(says(1))
        scheduler.run(says(1), execution_id="e" * 32)

    with reader_of(uri) as reader:
        job = reader.find("e" * 32).job
        (found,) = printed_by(reader, job, f"{tmp_path / 'p.db'}-logs", 30)

    assert found.job == job.id
    assert found.ran != job.id
    assert found.output.lines[0].text == "said 1"


def test_in_memory_nothing_is_kept() -> None:
    with Scheduler({"backend.db_uri": "sqlite:///:memory:"}) as scheduler:
        scheduler.run(says(1))
        with scheduler.reading() as reader, pytest.raises(OutputNotFoundError, match="not kept"):
            printed_by(reader, reader.find("-"), None, 30)


def test_what_printed_nothing_is_an_error_that_says_where_it_would_be(
    uri: str, tmp_path: Path
) -> None:
    with Scheduler({"backend.db_uri": uri}) as scheduler:
        scheduler.run(says(1))
    with reader_of(uri) as reader:
        execution = reader.find("-")
        with pytest.raises(OutputNotFoundError) as raised:
            printed_by(reader, execution, str(tmp_path / "elsewhere"), 30)

    assert folder_of(tmp_path / "elsewhere", execution.id) in str(raised.value)
    assert f"execution {execution.id[:8]}" in str(raised.value)


def test_the_last_lines_are_clean(tmp_path: Path) -> None:
    file = OutputFile(OutputPlace(folder_of(tmp_path, "e"), LEAST_SIZE), "j")
    for text in ("one", "\x1b[31mtwo", "1%\r2%"):
        file.write("stderr", text, is_whole=True)
    file.write("stdout", "no", is_whole=True)
    file.close()

    assert last_lines(str(tmp_path), "e", "j", "stderr", 2) == ["\\x1b[31mtwo", "2%"]
    assert last_lines(str(tmp_path), "e", "none", "stderr", 2) == []
