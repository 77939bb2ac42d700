"""Datasets are registered with their content, listed by facets, and used by executions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import Dir, F, File, FileSet
from taskgraph.archive import Archive
from taskgraph.errors import (
    AmbiguousIdError,
    ConflictError,
    DatasetNotFoundError,
    DatasetReadOnlyError,
    OutputDatasetInUseError,
    StillInUseError,
    TagKeyError,
    UnknownFilterError,
    UnknownRecordError,
    ValidationError,
)
from taskgraph_backend.integrity import check


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "files").mkdir()
    made = [tmp_path / "files" / name for name in ("a.csv", "b.csv", "c.csv")]
    for each in made:
        each.write_text(f"content of {each.name}\n")
    return made


def _is_sound(tg: Archive) -> bool:
    return check(tg.backend) == []


# Registering


def test_what_was_registered_is_what_is_found(tg: Archive, files: list[Path]) -> None:
    made = tg.datasets.register(
        "tas",
        files,
        type="cmip6",
        study="nightly",
        facets={"model": "A", "year": [1, 2]},
        read_only=True,
    )

    assert (made.name, made.type, made.study, made.read_only) == ("tas", "cmip6", "nightly", True)
    assert {key: sorted(each) for key, each in made.facets.items()} == {
        "model": ["A"],
        "year": [1, 2],
    }
    assert tg.datasets.get("tas", study="nightly") == made
    assert tg.datasets.get(made.id[:10]) == tg.datasets.get(made.id) == tg.datasets.get(made)
    assert tg.datasets.list() == [made]
    assert [Path(each.path).name for each in tg.datasets.files(made)] == ["a.csv", "b.csv", "c.csv"]
    assert [Path(each).name for each in tg.datasets.paths(made)] == ["a.csv", "b.csv", "c.csv"]
    assert _is_sound(tg)


def test_content_is_a_value_of_files_however_they_are_given(
    tg: Archive, files: list[Path], tmp_path: Path
) -> None:
    ways: list[Any] = [
        files,
        [str(each) for each in reversed(files)],
        {File(str(each)) for each in files},
        [files[0], *files],
        Dir(str(tmp_path / "files")),
        FileSet(str(tmp_path / "files" / "*.csv")),
        (each for each in files),
    ]

    found = {tg.datasets.register(f"way {n}", way).value_hash for n, way in enumerate(ways)}

    assert len(found) == 1
    assert tg.datasets.register("one", str(files[0])).value_hash not in found
    assert tg.datasets.register("one", File(str(files[0]))).updated_at


def test_the_same_content_again_changes_nothing(tg: Archive, files: list[Path]) -> None:
    first = tg.datasets.register("tas", files, type="cmip6", facets={"model": "A"})

    again = tg.datasets.register("tas", files)

    assert again == first
    assert len(tg.datasets.list()) == 1


def test_new_content_is_another_dataset_hash_and_old_executions_keep_theirs(
    tg: Archive, files: list[Path]
) -> None:
    before = tg.datasets.register("tas", files)
    old = tg.executions.create("e", inputs=["tas"]).execution
    files[0].write_text("changed, and longer")

    after = tg.datasets.register("tas", files)
    new = tg.executions.create("e", inputs=["tas"]).execution

    assert after.id == before.id
    assert after.value_hash != before.value_hash
    assert old.dataset_hash is not None
    assert old.dataset_hash != new.dataset_hash
    assert tg.executions.get(old).dataset_hash == old.dataset_hash
    (used,) = tg.executions.datasets(old)
    assert (used.role, used.name, used.value_hash) == ("input", "tas", before.value_hash)
    assert tg.executions.snapshot(old)["inputs"][0]["value"] == before.value_hash
    assert [each.hash for each in tg.datasets.files(before)] != [
        each.hash for each in tg.datasets.files(after)
    ]


def test_a_file_that_is_handed_over_is_looked_at_again(tg: Archive, files: list[Path]) -> None:
    file = File(str(files[0]))
    first = tg.datasets.register("tas", file).value_hash
    assert file.hash
    files[0].write_text("changed since it was looked at")

    assert tg.datasets.register("tas", file).value_hash != first


def test_a_read_only_dataset_keeps_its_content_until_somebody_says_otherwise(
    tg: Archive, files: list[Path]
) -> None:
    tg.datasets.register("tas", files, read_only=True)

    assert tg.datasets.register("tas", files).read_only
    with pytest.raises(DatasetReadOnlyError, match="register it with read_only=False"):
        tg.datasets.register("tas", files[:1])
    with pytest.raises(DatasetReadOnlyError) as caught:
        tg.executions.create("e", output="tas")
    assert isinstance(caught.value, ConflictError)
    assert not tg.datasets.register("tas", files[:1], read_only=False).read_only


def test_what_becomes_read_only_meanwhile_is_no_output(
    tg: Archive, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tg.datasets.register("tas", files)
    pin = tg.executions._store.pin

    def overtaken(wanted: Any) -> Any:
        found = pin(wanted)
        tg.datasets.register("tas", files, read_only=True)
        return found

    monkeypatch.setattr(tg.executions._store, "pin", overtaken)
    with pytest.raises(DatasetReadOnlyError):
        tg.executions.create("e", output="tas")
    assert tg.executions.count() == 0
    assert tg.executions.create("e", inputs=["tas"]).is_new
    with pytest.raises(ValidationError, match="true or false"):
        tg.datasets.register("tas", files, read_only="no")  # type: ignore[arg-type]


def test_facets_are_replaced_as_a_set_and_kept_if_none_are_given(
    tg: Archive, files: list[Path]
) -> None:
    tg.datasets.register("tas", files, facets={"model": ["A", "B"], "year": 1})

    kept = tg.datasets.register("tas", files[:1]).facets
    changed = tg.datasets.register("tas", files, facets={"model": "B"}).facets
    back = tg.datasets.register("tas", files, facets={"model": "A"}).facets

    assert {key: sorted(each) for key, each in kept.items()} == {"model": ["A", "B"], "year": [1]}
    assert (dict(changed), dict(back)) == ({"model": ["B"]}, {"model": ["A"]})
    assert _is_sound(tg)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"name": " "}, ValidationError, "expected a name"),
        ({"files": ["nowhere.csv"]}, ValidationError, "there is no file nowhere.csv"),
        ({"files": [3]}, ValidationError, "expected files or paths"),
        ({"files": 3}, ValidationError, "expected files or paths"),
        ({"files": ""}, ValidationError, "expected files or paths"),
        ({"type": ""}, ValidationError, "expected a name"),
        ({"study": ""}, ValidationError, "expected a name"),
        ({"facets": {"taskgraph.x": 1}}, TagKeyError, "taskgraph's own"),
        ({"facets": {"x": float("nan")}}, ValidationError, "not a JSON number"),
        ({"facets": "model=A"}, ValidationError, "keys with values"),
        ({"facets": ["model"]}, ValidationError, "a key with a value"),
    ],
)
def test_what_cannot_be_registered_is_refused_and_nothing_is_written(
    tg: Archive, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    wanted = {"name": "tas", "files": [], **given}

    with pytest.raises(error, match=said):
        tg.datasets.register(**wanted)

    assert tg.datasets.list() == []
    assert tg.studies.list() == []


def test_a_name_is_one_of_a_study(tg: Archive, files: list[Path]) -> None:
    mine = tg.datasets.register("tas", files, study="mine")
    yours = tg.datasets.register("tas", files, study="yours")

    with pytest.raises(AmbiguousIdError):
        tg.datasets.get("tas")
    assert tg.datasets.get("tas", study="yours") == yours
    nobody = tg.datasets.register("tas", files)
    assert tg.datasets.get("tas") == nobody
    made = tg.executions.create("e", study="mine", inputs=["tas"]).execution
    assert [each.dataset_id for each in tg.executions.datasets(made)] == [mine.id]
    both = tg.executions.create("e", inputs={"one": mine, "other": yours}).execution
    assert {each.name for each in tg.executions.datasets(both)} == {"one", "other"}
    with pytest.raises(ValidationError, match="two of them are called 'tas'"):
        tg.executions.create("e", inputs=[mine, yours])


def test_what_is_not_there_is_none_for_find_and_an_error_for_get(tg: Archive) -> None:
    assert tg.datasets.find("tas") is None
    assert tg.datasets.find("0" * 32) is None
    assert not tg.datasets.delete("tas", missing_ok=True)
    for ask in (tg.datasets.get, tg.datasets.history, tg.datasets.delete, tg.datasets.files):
        with pytest.raises(DatasetNotFoundError, match="taskgraph dataset list"):
            ask("tas")
    with pytest.raises(UnknownRecordError):
        tg.executions.create("e", inputs=["tas"])
    with pytest.raises(ValidationError, match="expected a name, an id"):
        tg.executions.create("e", inputs=[3])
    with pytest.raises(ValidationError, match="expected a list of datasets"):
        tg.executions.create("e", inputs="tas")
    with pytest.raises(ValidationError, match="a name of an input"):
        tg.executions.create("e", inputs={"": "tas"})


def test_two_who_register_at_once_make_one_dataset(tg: Archive, files: list[Path]) -> None:
    gate = threading.Barrier(8)
    found: list[str] = []

    def register(number: int) -> None:
        gate.wait()
        made = tg.datasets.register("tas", files[number % 3], study="s", facets={"n": number})
        found.append(made.id)

    threads = [threading.Thread(target=register, args=[number]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(tg.datasets.get("tas", study="s").facets["n"]) == 1
    assert _is_sound(tg)


# Listing


def test_datasets_are_listed_by_facet_type_and_study(tg: Archive, files: list[Path]) -> None:
    for name, type, model, study in (
        ("one", "cmip6", "A", "s"),
        ("two", "cmip6", "B", None),
        ("three", "obs", "A", None),
    ):
        facets = {"model": model, "source.id": "x"}
        tg.datasets.register(name, files, type=type, study=study, facets=facets)
    tg.datasets.register("plain", files)

    def listed(where: Any) -> list[str]:
        names = [each.name for each in tg.datasets.list(where)]
        assert tg.datasets.count(where) == len(names)
        as_json = where.to_json() if hasattr(where, "to_json") else where
        assert [each.name for each in tg.datasets.list(as_json)] == names
        return names

    assert listed(F.all()) == ["one", "plain", "three", "two"]
    assert listed(F.facet("model", "A")) == ["one", "three"]
    assert listed(F.facet("model", any=["A", "B"])) == ["one", "three", "two"]
    assert listed(F.facet("cmip6.model", any=["A", "B"])) == ["one", "two"]
    assert listed(F.facet("cmip6.source.id", "x")) == ["one", "two"]
    assert listed(F.facet("source.id", "x") & F.facet("model", "A")) == ["one", "three"]
    assert listed(F.facet("model")) == ["one", "three", "two"]
    assert listed(F.facet("model", not_any=["A"])) == ["plain", "two"]
    assert listed(~F.facet("model", "A")) == ["plain", "two"]
    assert listed(F.facet("model", "C")) == []
    assert listed(F.type("obs") | F.study("s")) == ["one", "three"]
    assert listed(F.type(like="MIP") & F.name(like="w")) == ["two"]
    assert listed({"facet": {"any_": ["model=A", "model=B", "source.id=x"]}}) == [
        "one",
        "three",
        "two",
    ]
    assert listed({"read_only": {"is_": True}}) == []
    assert [each.name for each in tg.datasets.list(limit=2, offset=1)] == ["plain", "three"]
    with pytest.raises(UnknownFilterError, match="'jobs'"):
        tg.datasets.list(F.jobs({}))
    with pytest.raises(UnknownFilterError, match="'type'"):
        tg.executions.list(~(F.type("obs") & F.name("x")))
    with pytest.raises(UnknownFilterError, match="'type'"):
        tg.executions.count(F.name("x") | F.type("obs"))
    with pytest.raises(ValidationError, match="1 or more"):
        tg.datasets.list(limit=0)


def test_a_list_is_two_statements_however_long_it_is(
    tg: Archive, files: list[Path], statements: Any
) -> None:
    for number in range(5):
        tg.datasets.register(f"d{number}", files[:1], facets={"n": number})

    with statements(tg) as few:
        tg.datasets.list(F.name("d1"))
    with statements(tg) as many:
        tg.datasets.list()

    assert len(few) == len(many) <= 3


def test_a_page_reads_the_facets_of_its_own_datasets_alone(
    tg: Archive, files: list[Path], statements: Any
) -> None:
    for number in range(5):
        tg.datasets.register(f"d{number}", files[:1], facets={"n": number})
    made = tg.executions.create("f").execution
    tg.vocabulary.define("n")
    for number in range(5):
        tg.artifacts.add(made, "data", f"a{number}", value=1, dimensions={"n": number})

    with statements(tg) as asked:
        page = tg.datasets.list(limit=2, offset=1)
        artifacts = tg.artifacts.list(limit=2, offset=1)

    assert page == tg.datasets.list()[1:3]
    assert artifacts == tg.artifacts.list()[1:3]
    assert [each.facets["n"] for each in page] == [each.dimensions["n"] for each in artifacts]
    assert sum("LIMIT" in str(each) for each in asked) == 4


def test_nothing_is_unpickled_to_list_or_show(
    tg: Archive, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tg.datasets.register("tas", files, facets={"model": "A"})
    execution = tg.executions.create("e", inputs=[made], output=made).execution

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr("taskgraph.values.codec.decode", refuse)
    monkeypatch.setattr("taskgraph.values.codec.loads", refuse)

    assert tg.datasets.list() == [made]
    assert len(tg.datasets.paths(made)) == 3
    assert len(tg.executions.datasets(execution)) == 2
    assert [each.id for each in tg.datasets.history(made)] == [execution.id]


def test_executions_are_found_by_what_they_read_and_write(tg: Archive, files: list[Path]) -> None:
    tg.datasets.register("in", files, type="cmip6", facets={"model": "A"})
    tg.datasets.register("other", files, type="obs", facets={"model": "B", "year": 1})
    tg.datasets.register("out", [], facets={"model": "C"})
    for name, inputs, output in (
        ("one", ["in"], "out"),
        ("two", ["in", "other"], None),
        ("three", ["other"], None),
        ("none", [], None),
    ):
        tg.executions.create("e", name=name, inputs=inputs, output=output)

    def listed(where: Any) -> list[str]:
        page = tg.executions.list(where, sort="name", descending=False)
        assert tg.executions.count(where) == len(page)
        assert tg.executions.list(where.to_json(), sort="name", descending=False) == page
        return [each.name for each in page]

    assert listed(F.facet("model", "A")) == ["one", "two"]
    assert listed(F.facet("cmip6.model", "A", "B")) == ["one", "two"]
    assert listed(F.facet("model", "A") & F.facet("year", 1)) == ["two"]
    assert listed(F.facet("model", not_any=["A"])) == ["none", "three"]
    assert listed(F.facet("model", "C")) == []  # it is only written
    assert listed(F.dataset("out")) == ["one"]
    assert listed(F.dataset("out", role="input")) == []
    assert listed(F.dataset(role="output")) == ["one"]
    assert listed(~F.dataset()) == ["none"]
    both = F.facet("model", "B") & F.facet("year", 1)
    assert listed(F.datasets(both)) == ["three", "two"]
    assert listed(F.datasets(F.type("obs") & F.facet("model", "A"))) == []
    hash = tg.executions.list(F.name("one"))[0].dataset_hash
    assert listed(F.where("dataset_hash", "any_", [hash])) == ["one"]


# Writing


def test_one_active_execution_writes_a_dataset(tg: Archive, files: list[Path]) -> None:
    tg.datasets.register("out", [])
    first = tg.executions.create("e", output="out").execution

    with pytest.raises(OutputDatasetInUseError, match="taskgraph execution cancel") as caught:
        tg.executions.create("e", output="out")

    assert caught.value.execution_id == first.id
    assert tg.executions.datasets(first)[0].in_use
    assert tg.executions.create("e", inputs=["out"]).is_new  # who only reads does not mind
    assert tg.executions.count() == 2
    tg.executions.set_state(first, "CANCELLED")
    assert not tg.executions.datasets(first)[0].in_use
    second = tg.executions.create("e", output="out").execution
    assert [each.id for each in tg.datasets.history("out")] == [second.id, first.id]


def test_of_twenty_at_once_one_writes_a_dataset(tg: Archive) -> None:
    tg.datasets.register("out", [])
    gate = threading.Barrier(20)
    made: list[str] = []
    refused: list[OutputDatasetInUseError] = []

    def create() -> None:
        gate.wait()
        try:
            made.append(tg.executions.create("e", output="out").execution.id)
        except OutputDatasetInUseError as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(made) == 1
    assert {each.execution_id for each in refused} == set(made)
    assert len(refused) == 19


def test_who_asks_again_under_a_key_is_answered_though_the_output_is_in_use(tg: Archive) -> None:
    tg.datasets.register("out", [])
    first = tg.executions.create("e", output="out", idempotency_key="k")

    again = tg.executions.create("e", output="out", idempotency_key="k")
    tg.datasets.register("out", [], read_only=True)
    late = tg.executions.create("e", output="out", idempotency_key="k")
    strict = tg.executions.create("e", output="out", idempotency_key="k") if late else None

    assert strict is not None
    assert {each.execution.id for each in (again, late, strict)} == {first.execution.id}
    assert not (again.is_new or late.is_new)


def test_a_run_that_ends_lets_go_of_its_output(tg: Archive, recording: Any) -> None:
    tg.datasets.register("out", [])
    first = tg.executions.create("f", output="out").execution

    recording.run(_double(2), execution_id=first.id)

    assert tg.executions.get(first).status == "DONE"
    assert not tg.executions.datasets(first)[0].in_use
    second = tg.executions.create("f", output="out").execution
    assert tg.executions.datasets(second)[0].in_use
    assert not tg.executions.datasets(first)[0].in_use
    assert _is_sound(tg)


@taskgraph.task(namespace="datasets_test")
def _double(n: int) -> int:
    return 2 * n


def test_who_is_forced_back_takes_its_output_again_or_is_refused(tg: Archive) -> None:
    tg.datasets.register("out", [])
    first = tg.executions.create("e", output="out").execution
    tg.executions.set_state(first, "COMPLETED")

    tg.executions.set_state(first, "RUNNING", force=True)
    assert tg.executions.datasets(first)[0].in_use
    with pytest.raises(OutputDatasetInUseError):
        tg.executions.create("e", output="out")
    tg.executions.set_state(first, "FAILED")
    tg.executions.create("e", output="out")

    with pytest.raises(OutputDatasetInUseError):
        tg.executions.set_state(first, "RUNNING", force=True)
    assert tg.executions.get(first).state.type == "FAILED"


def test_a_run_that_is_begun_again_is_a_writer_though_it_had_let_go(
    tg: Archive, recording: Any
) -> None:
    tg.datasets.register("out", [])
    first = tg.executions.create("f", output="out").execution
    tg.executions.set_state(first, "CANCELLED")
    refused: list[str] = []

    @taskgraph.task(namespace="datasets_test", cache=False)
    def ask() -> int:
        deadline = time.monotonic() + 30  # until the first row of the run is written
        while tg.executions.get(first).state.type != "RUNNING" and time.monotonic() < deadline:
            pass
        with pytest.raises(OutputDatasetInUseError) as caught:
            tg.executions.create("f", output="out")
        refused.append(caught.value.execution_id)
        return 1

    assert recording.run(ask(), execution_id=first.id) == 1

    assert refused == [first.id]
    assert tg.executions.create("f", output="out").is_new


def test_a_writer_that_was_killed_keeps_its_output_until_it_is_failed(
    tg: Archive, database_uri: str
) -> None:
    tg.datasets.register("out", [])
    program = (
        "import os, taskgraph\n"
        f"tg = taskgraph.open({database_uri!r})\n"
        "made = tg.executions.create('e', output='out').execution\n"
        "tg.executions.set_state(made, 'RUNNING')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=False)
    assert done.returncode == -9

    with pytest.raises(OutputDatasetInUseError):
        tg.executions.create("e", output="out")
    (crashed,) = tg.executions.fail_running()

    assert not tg.executions.datasets(crashed)[0].in_use
    assert tg.executions.create("e", output="out").is_new


# Deleting


def test_a_dataset_goes_and_executions_keep_its_content(tg: Archive, files: list[Path]) -> None:
    made = tg.datasets.register("tas", files, facets={"model": "A"})
    tg.datasets.register("tas", files, facets={"model": "B"})
    execution = tg.executions.create("e", inputs=["tas"]).execution

    with pytest.raises(StillInUseError, match="used by active execution") as caught:
        tg.datasets.delete("tas")
    assert caught.value.execution_ids == (execution.id,)
    tg.executions.set_state(execution, "COMPLETED")
    assert tg.datasets.delete("tas", dry_run=True)
    assert tg.datasets.find("tas") is not None
    assert tg.datasets.delete("tas")

    assert tg.datasets.list() == []
    (used,) = tg.executions.datasets(execution)
    assert (used.dataset_id, used.name, used.value_hash) == (None, "tas", made.value_hash)
    assert tg.executions.snapshot(execution)["inputs"][0]["name"] == "tas"
    assert [each.id for each in tg.executions.list(F.dataset("tas"))] == [execution.id]
    assert tg.backend.get_tags([made.id]) == {made.id: {}}
    assert not tg.datasets.delete("tas", missing_ok=True)
    assert _is_sound(tg)
