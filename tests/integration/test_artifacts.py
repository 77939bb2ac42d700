"""Artifacts are named outputs of executions, with dimensions that are in the vocabulary."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from taskgraph import File
from taskgraph.archive import Archive
from taskgraph.catalog.artifacts import LOG
from taskgraph.errors import (
    ArtifactExistsError,
    ConflictError,
    ExecutionNotFoundError,
    OutsideWorkspaceError,
    TagKeyError,
    UnknownDimensionError,
    ValidationError,
    VocabularyInUseError,
)
from taskgraph_backend.integrity import check


@pytest.fixture
def execution(tg: Archive, tmp_path: Path) -> str:
    (tmp_path / "work").mkdir()
    return tg.executions.create("e", workspace=tmp_path / "work").execution.id


def test_what_was_added_is_what_is_listed(tg: Archive, execution: str, tmp_path: Path) -> None:
    tg.vocabulary.define("region", allowed=["eu", "us"], description="where")
    tg.vocabulary.define("year")

    plot = tg.artifacts.add(
        execution,
        "plot",
        "tas",
        "plots/tas.png",
        dimensions={"region": "eu", "year": 2000},
        title="Temperature",
        description="at 2 m",
    )
    log = tg.artifacts.add(tmp_path / "work", LOG, "log", "run.log")
    table = tg.artifacts.add(execution, "data", "table", value={"mean": 3.5})

    assert (plot.kind, plot.key, plot.path, plot.title) == (
        "plot",
        "tas",
        "plots/tas.png",
        "Temperature",
    )
    assert dict(plot.dimensions) == {"region": ["eu"], "year": [2000]}
    assert table.value_hash is not None
    assert tg.backend.get_value(table.value_hash) == ({"mean": 3.5}, True)  # type: ignore[arg-type]
    assert tg.artifacts.list(execution) == [table, log, plot]
    assert tg.artifacts.list(kind="log") == [log]
    assert tg.artifacts.list(dimensions={"region": "eu", "year": 2000}) == [plot]
    assert tg.artifacts.list(dimensions={"region": "us"}) == []
    assert tg.artifacts.list(key="tas", limit=1) == [plot]
    assert tg.artifacts.list(limit=1, offset=1) == [log]
    assert check(tg.backend) == []


def test_a_value_may_be_none_and_a_file(tg: Archive, execution: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")

    none = tg.artifacts.add(execution, "data", "none", value=None)
    file = tg.artifacts.add(execution, "data", "file", value=File(str(tmp_path / "a.txt")))

    assert none.value_hash is not None
    assert file.value_hash not in (None, none.value_hash)


def test_kind_and_key_are_unique_in_an_execution(tg: Archive, execution: str) -> None:
    tg.artifacts.add(execution, "plot", "tas", value=1)
    other = tg.executions.create("e").execution

    with pytest.raises(ArtifactExistsError, match="Give it another key") as caught:
        tg.artifacts.add(execution, "plot", "tas", value=2)

    assert isinstance(caught.value, ConflictError)
    tg.artifacts.add(execution, "data", "tas", value=2)
    tg.artifacts.add(other, "plot", "tas", value=2)
    assert len(tg.artifacts.list()) == 3


def test_of_ten_who_add_one_at_once_one_succeeds(tg: Archive, execution: str) -> None:
    gate = threading.Barrier(10)
    outcomes: list[str] = []

    def add(number: int) -> None:
        gate.wait()
        try:
            tg.artifacts.add(execution, "plot", "tas", value=number)
            outcomes.append("added")
        except ArtifactExistsError:
            outcomes.append("refused")

    threads = [threading.Thread(target=add, args=[number]) for number in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(outcomes) == ["added", *["refused"] * 9]
    assert len(tg.artifacts.list()) == 1


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", ".", "a/..", "link/x", "a/b/../../../work2/x"]
)
def test_a_path_stays_inside_the_workspace(
    tg: Archive, execution: str, tmp_path: Path, path: str
) -> None:
    (tmp_path / "work" / "link").symlink_to(tmp_path)

    with pytest.raises(OutsideWorkspaceError, match="stay inside it") as caught:
        tg.artifacts.add(execution, "data", "x", path)

    assert isinstance(caught.value, ValidationError)
    assert tg.artifacts.list() == []


def test_a_path_is_kept_in_one_way(tg: Archive, execution: str) -> None:
    assert tg.artifacts.add(execution, "data", "x", Path("a") / ".." / "b" / "c").path == "b/c"
    assert tg.artifacts.add(execution, "data", "y", "..a/./b").path == "..a/b"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, ValidationError, "a path, a value or both"),
        ({"path": " "}, ValidationError, "expected a path"),
        ({"path": "a\0b"}, ValidationError, "NUL"),
        ({"path": "a\udc80b"}, ValidationError, "path"),
        ({"path": "x", "kind": ""}, ValidationError, "expected a name"),
        ({"path": "x", "key": " "}, ValidationError, "expected a name"),
        ({"path": "x", "title": "a\0"}, ValidationError, "NUL"),
        ({"path": "x", "dimensions": {"region": 1}}, UnknownDimensionError, "define\\('region'\\)"),
        ({"path": "x", "dimensions": {"year": 1900}}, UnknownDimensionError, "may be: 2000"),
        ({"path": "x", "dimensions": {"taskgraph.x": 1}}, TagKeyError, "own"),
    ],
)
def test_what_cannot_be_added_is_refused(
    tg: Archive, execution: str, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    tg.vocabulary.define("year", allowed=[2000])
    wanted: dict[str, Any] = {"kind": "plot", "key": "k", **given}

    with pytest.raises(error, match=said):
        tg.artifacts.add(execution, wanted.pop("kind"), wanted.pop("key"), **wanted)

    assert tg.artifacts.list() == []


def test_an_artifact_is_of_an_execution_that_is_there(tg: Archive) -> None:
    bare = tg.executions.create("e").execution

    with pytest.raises(ExecutionNotFoundError):
        tg.artifacts.add("0" * 32, "plot", "x", value=1)
    with pytest.raises(ExecutionNotFoundError):
        tg.artifacts.list("0" * 32)
    with pytest.raises(ValidationError, match="has no workspace"):
        tg.artifacts.add(bare, "plot", "x", "x.png")
    with pytest.raises(ValidationError, match="1 or more"):
        tg.artifacts.list(limit=0)


# The vocabulary


def test_a_key_is_defined_once_and_may_be_changed_while_it_fits(
    tg: Archive, execution: str
) -> None:
    first = tg.vocabulary.define("region", allowed=["eu", "us", "eu"], description="where")
    assert tg.vocabulary.define("region", allowed=["eu", "us"], description="where") == first
    assert first.allowed == ("eu", "us")
    tg.artifacts.add(execution, "plot", "x", value=1, dimensions={"region": "eu"})

    wider = tg.vocabulary.define("region", allowed=["eu", "us", "asia"])
    with pytest.raises(VocabularyInUseError, match="in use: 1 tag has it"):
        tg.vocabulary.define("region", allowed=["us"])

    assert tg.vocabulary.list() == tg.vocabulary.list("artifact") == [wider]
    assert tg.vocabulary.define("region").allowed is None


def test_keys_in_use_are_not_removed(tg: Archive, execution: str) -> None:
    tg.vocabulary.define("region")
    tg.vocabulary.define("year")
    tg.artifacts.add(execution, "plot", "x", value=1, dimensions={"region": "eu"})

    with pytest.raises(VocabularyInUseError, match="Delete what has it first") as caught:
        tg.vocabulary.remove("region")

    assert isinstance(caught.value, ConflictError)
    assert tg.vocabulary.remove("year")
    assert [each.key for each in tg.vocabulary.list()] == ["region"]
    assert not tg.vocabulary.remove("year", missing_ok=True)
    with pytest.raises(UnknownDimensionError, match="gone already") as unknown:
        tg.vocabulary.remove("year")
    assert isinstance(unknown.value, KeyError)


def test_what_is_no_key_of_the_vocabulary_is_refused(tg: Archive) -> None:
    with pytest.raises(TagKeyError):
        tg.vocabulary.define("a b")
    with pytest.raises(ValidationError, match="there are: artifact"):
        tg.vocabulary.define("a", scope="job")
    with pytest.raises(ValidationError, match="there are: artifact"):
        tg.vocabulary.list("job")
    with pytest.raises(ValidationError, match="a list of values"):
        tg.vocabulary.define("a", allowed="eu")
    with pytest.raises(ValidationError, match="JSON"):
        tg.vocabulary.define("a", allowed=[float("nan")])
    assert tg.vocabulary.list() == []
