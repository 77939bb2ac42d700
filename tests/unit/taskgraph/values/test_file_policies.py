"""Files that say themselves how their content is known."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.provenance.difference import find_differences
from taskgraph.values import codec, walk
from taskgraph.values.directories import Dir
from taskgraph.values.file_policies import (
    ContentDir,
    ContentFile,
    ContentStagingDir,
    ContentStagingFile,
    IDir,
    IFile,
    IStagingDir,
    IStagingFile,
)
from taskgraph.values.files import File
from taskgraph.values.pack import pack
from taskgraph.values.places import FilePlaces, use_places
from taskgraph.values.registry import kind_of
from taskgraph.values.weigh import hash_value


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = use_places(FilePlaces({"project": folder}, cache_dir=tmp_path / "cache"))
    yield folder
    use_places(before)


@pytest.mark.parametrize("base", ["data", "memory://policies"])
def test_an_immutable_file_counts_by_its_path(base: str) -> None:
    file = IFile(f"{base}/a")
    missing = file.hash
    file.write("x")
    first = file.hash

    File(f"{base}/a").write("other")

    assert file.is_valid()
    assert IFile(f"{base}/a").hash == first
    assert missing != first != IFile(f"{base}/b").hash
    file.remove()
    assert file.hash == missing


def test_an_immutable_file_is_never_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a").write_text("x")
    (project / "a").chmod(0)
    monkeypatch.setattr("taskgraph.values.contents._read", None)

    assert IFile("a").bytes_to_read() == 0
    assert IFile("a").look().size == 1


@pytest.mark.parametrize("base", ["data", "memory://policies"])
def test_a_deleted_immutable_file_or_folder_is_no_longer_valid(base: str) -> None:
    file, folder = IFile(f"{base}/d/a"), IDir(f"{base}/d")
    file.write("x")
    both = [file, folder]
    walk.read(both)

    File(f"{base}/d/a").remove()
    assert walk.find_invalid(both) is file
    assert walk.describe_change(file).endswith("it is not there any more")
    if Dir(f"{base}/d").exists():
        Dir(f"{base}/d").rmdir()

    assert walk.find_invalid([folder]) is folder
    assert walk.describe_change(folder) == f"{base}/d: it is not there any more"


def test_an_immutable_folder_is_not_listed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    File("d/a").write("x")
    folder = IDir("d")
    first = folder.hash

    File("d/b").write("y")
    monkeypatch.setattr("taskgraph.values.filesystems.LocalFilesystem.files_below", None)

    assert folder.is_valid() and IDir("d").hash == first
    assert (folder.bytes_to_read(), folder.seen_files()) == (0, [])
    monkeypatch.undo()
    os.chdir(project)
    assert [type(each) for each in folder] == [IFile, IFile]
    assert IDir("missing").hash != IDir("d").hash


def test_what_counts_by_content_does_so_whatever_the_settings_say(project: Path) -> None:
    policies = [("**", "stat")]
    use_places(FilePlaces({"project": project}, policies, cache_dir=project.parent / "cache"))
    File("d/a").write("x")
    file, plain, folder = ContentFile("d/a"), File("d/a"), ContentDir("d")
    hashes = [each.hash for each in (file, plain, folder)]

    os.utime("d/a", (1, 1))

    assert (file.is_valid(), plain.is_valid(), folder.is_valid()) == (True, False, True)
    assert [ContentFile("d/a").hash, ContentDir("d").hash] == [hashes[0], hashes[2]]
    assert walk.find_invalid(folder) is None
    File("d/a").write("y")
    assert not file.is_valid() and walk.find_invalid(folder) is folder


def test_each_class_has_hashes_of_its_own() -> None:
    File("d/a").write("x")
    kinds = [File, IFile, ContentFile]
    folders = [Dir, IDir, ContentDir]
    values = [kind("d/a") for kind in kinds] + [kind("d") for kind in folders]
    values += [each.stage("b") for each in values]

    assert len({hash_value(each) for each in values}) == 12


def test_the_hashes_are_frozen() -> None:
    File("d/a").write("x")

    assert [IFile("d/a").hash, ContentFile("d/a").hash] == [
        "4afdb2e7e1b00fcd3b12352cb37b6155",
        "b813377d5008c3762bcc3b21a5632396",
    ]
    assert [IDir("d").hash, ContentDir("d").hash] == [
        "a67a315e2c45555759e11a5c40f02e86",
        "f0199a33e6553fd490ccf083dbdbd1ff",
    ]


@pytest.mark.parametrize("kind", [IFile, ContentFile, IDir, ContentDir])
@pytest.mark.parametrize("staged", [False, True])
def test_each_comes_back_as_it_was(kind: type, staged: bool) -> None:
    File("d/a").write("x")
    value = kind("d" if issubclass(kind, Dir) else "d/a")
    value = value.stage("b") if staged else value
    record = pack(value).values[0]

    again = codec.decode(
        record.value_hash, record.type, record.format, record.value, record.content_digest
    )

    assert record.type == f"taskgraph.{type(value).__name__}"
    assert record.format != codec.PICKLE
    assert type(again) is type(value) and again == value
    assert hash_value(again) == hash_value(value) == record.value_hash
    assert hash_value(pickle.loads(pickle.dumps(value))) == record.value_hash
    assert type(kind_of(value).parse("d/a")) is type(value)


def test_staged_sides_are_of_the_same_class() -> None:
    assert type(IFile("a").stage()) is IStagingFile
    assert type(ContentFile("a").stage()) is ContentStagingFile
    assert type(IDir("a").stage()) is IStagingDir
    assert type(ContentDir("a").stage()) is ContentStagingDir
    staged = IStagingFile("b", File("a"))
    assert (type(staged.local), type(staged.remote)) == (IFile, IFile)


def test_files_of_a_folder_are_of_its_class() -> None:
    File("d/a").write("x")

    assert type(IDir("d").file("a")) is IFile
    assert [type(each) for each in ContentDir("d")] == [ContentFile]
    folder = ContentDir("d")
    folder.look()
    assert [type(each) for each in folder.seen_files()] == [ContentFile]


def test_a_folder_that_vanished_is_a_difference() -> None:
    File("d/a").write("x")
    before, after = IDir("d"), IDir("d")
    before.look()
    Dir("d").rmdir(recursive=True)
    after.look()

    found, _ = find_differences(before, after)

    assert len(found) == 1
