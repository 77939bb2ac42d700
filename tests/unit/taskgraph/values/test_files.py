"""File, Dir and FileSet as values: identity, hashes, and travel."""

import copy
import json
import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.errors import UnknownRootError
from taskgraph.values import contents
from taskgraph.values.contents import MISSING, Seen
from taskgraph.values.directories import Dir
from taskgraph.values.file_kinds import DIR, FILE, FILE_SET
from taskgraph.values.files import File
from taskgraph.values.filesets import FileSet
from taskgraph.values.places import FilePlaces, Place, use_places
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.staging import StagingFile
from taskgraph.values.temporaries import find_invalid, is_gone, temporaries_in


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = use_places(FilePlaces({"project": folder}, cache_dir=tmp_path / "cache"))
    yield folder
    use_places(before)


def policy(project: Path, *policies: tuple[str, str]) -> None:
    use_places(FilePlaces({"project": project}, policies, cache_dir=project.parent / "cache"))


def settle(*paths: Path) -> None:
    """Have files appear as changed long ago, as far as mtime goes."""
    for path in paths:
        os.utime(path, (1_000_000_000, 1_000_000_000))


# File


def test_the_hash_is_of_root_path_and_content(project: Path, tmp_path: Path) -> None:
    (project / "a").write_text("x")
    first = File("a").hash
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_text("x")

    use_places(FilePlaces({"project": elsewhere}, cache_dir=tmp_path / "cache"))

    assert File(elsewhere / "a").hash == first
    assert File(project / "a").hash != first
    assert len(first) == 32


def test_the_hash_is_frozen(project: Path) -> None:
    (project / "a").write_text("hello")

    assert File("a").hash == "421a8fc488c6e0fddcfe759e4646594b"
    assert File("missing").hash == "42d7e8b486ff453c93fa70af832c99b5"
    assert Dir("missing").hash == "b3dfff2794d30efa612282cb1671e8b9"
    assert Dir(".").hash == "eb2edd5e9fefbf7a9f134196303d82fe"
    assert FileSet("*").hash == "aafdb17c3b52ca83b1c85c6ddab0f665"


def test_a_temporary_file_is_another_value_with_a_hash_of_its_own(project: Path) -> None:
    (project / "a").write_text("hello")
    temp, plain = File("a", temp=True), File("a")

    assert temp.hash == "a827b2f461b437375768f466bdc4cfd4"
    assert temp.hash != plain.hash
    assert temp == plain
    assert repr(temp) == f"File(path=a, temp=True, hash={temp.hash[:8]})"
    assert repr(File("a", temp=True)) == "File(path=a, temp=True)"
    assert File(temp).temp and not temp.copy_to("b").temp


def test_a_temporary_file_travels_as_one(project: Path) -> None:
    (project / "a").write_text("hello")
    temp = File("a", temp=True)
    encoded = FILE.encode(temp)
    assert encoded is not None

    for again in (FILE.decode(*encoded), pickle.loads(pickle.dumps(temp)), copy.deepcopy(temp)):
        assert again.temp
        assert again.hash == temp.hash
    assert b"temp" not in (FILE.encode(File("a")) or (b"", b""))[1]


def test_a_temporary_file_that_is_gone_keeps_what_was_seen_until_it_is_needed(
    project: Path,
) -> None:
    (project / "a").write_text("hello")
    temp, plain, never = File("a", temp=True), File("a"), File("never", temp=True)
    first, other = temp.hash, plain.hash
    never.look()
    (project / "a").unlink()

    for each in (temp, plain, never):
        kind_of(each).read(each)

    assert (temp.hash, is_gone(temp), is_gone(plain), is_gone(never)) == (first, True, False, False)
    assert plain.hash != other
    assert not temp.is_valid()
    assert temporaries_in([1, [temp, {"a": StagingFile("b", never)}, plain]]) == [temp, never]
    assert find_invalid([never, temp], needed=()) is None
    assert find_invalid([temp], needed={temp.location}) is temp
    assert find_invalid([temp, File.at("a", plain.location, Seen("0" * 32, 1))], ()) == plain
    kind_of(temp).refresh(temp)
    assert temp.hash == File("a", temp=True).hash != first


def test_path_and_content_make_the_difference(project: Path) -> None:
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (project / name).write_text(text)

    assert len({File(name).hash for name in "abc"} | {File("missing").hash}) == 4


def test_spelling_makes_no_difference(project: Path) -> None:
    (project / "a").write_text("x")

    spellings = ["a", "./a", "sub/../a", str(project / "a"), f"file://{project}/a"]

    assert len({File(spelling).hash for spelling in spellings}) == 1
    assert len({File(spelling) for spelling in spellings}) == 1


def test_a_missing_file_an_empty_one_and_a_folder_all_have_a_hash(project: Path) -> None:
    missing = File("a").hash
    (project / "a").write_text("")
    empty = File("a").hash
    (project / "a").unlink()
    (project / "a").mkdir()

    assert len({missing, empty, File("a").hash}) == 3


def test_a_file_below_a_file_is_missing(project: Path) -> None:
    (project / "a").write_text("")

    assert File("a/b").look() == MISSING
    assert not File("a/b").exists()


def test_a_pipe_has_a_hash_and_is_not_read(project: Path) -> None:
    os.mkfifo(project / "pipe")

    assert len(File("pipe").hash) == 32


def test_nothing_is_read_before_it_is_asked_for(project: Path) -> None:
    file = File("a")

    assert file.seen is None
    assert repr(file) == "File(path=a)"
    known = file.hash
    assert repr(file) == f"File(path=a, hash={known[:8]})"


def test_the_hash_stays_until_it_is_updated(project: Path) -> None:
    file = File("a")
    before = file.hash

    (project / "a").write_text("x")

    assert file.hash == before
    assert not file.is_valid()
    file.update_hash()
    assert file.hash != before
    assert file.is_valid()


def test_a_file_that_was_never_read_is_valid(project: Path) -> None:
    assert File("a").is_valid()


def test_a_file_that_is_still_missing_is_valid(project: Path) -> None:
    file = File("a")
    file.look()

    assert file.is_valid()


def test_a_rewrite_by_a_command_is_seen_by_a_refresh(project: Path) -> None:
    file = File("a")
    file.write("one")
    before = file.hash

    subprocess.run(["sh", "-c", "printf two > a"], check=True)
    FILE.refresh(file)

    assert file.hash != before
    assert file.read() == "two"


def test_equal_size_and_times_within_a_tick_are_still_told_apart(project: Path) -> None:
    hashes = set()
    for text in ("a", "b", "c", "d"):
        (project / "a").write_text(text)
        settle(project / "a")
        hashes.add(File("a").hash)

    assert len(hashes) == 4


def test_an_unchanged_file_is_read_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a").write_text("x")
    later = os.stat(project / "a").st_ctime_ns + 10_000_000_000
    monkeypatch.setattr(contents, "clock_ns", lambda: later)
    assert File("a").bytes_to_read() == 1
    first = File("a").hash

    monkeypatch.setattr(contents, "_hash_descriptor", None)

    assert File("a").hash == first
    assert File("a").bytes_to_read() == 0


def test_a_file_that_changes_while_it_is_read_is_read_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a").write_text("x")
    hash_descriptor = contents._hash_descriptor
    calls = []

    def grow(*args: object) -> object:
        calls.append(1)
        seen = hash_descriptor(*args)  # type: ignore[arg-type]
        if len(calls) < 3:
            with open(project / "a", "a") as stream:
                stream.write("more")
        return seen

    monkeypatch.setattr(contents, "_hash_descriptor", grow)

    assert File("a").look().size == 9
    assert len(calls) == 3


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_333_333])
def test_content_is_the_same_however_it_is_read(project: Path, size: int) -> None:
    from xxhash import xxh3_128_hexdigest

    content = os.urandom(size)
    (project / "a").write_bytes(content)
    told: list[int] = []

    seen = File("a").look(told.append)

    assert seen == (xxh3_128_hexdigest(content), size)
    assert sum(told) == size


def test_a_broken_cache_folder_fails_nothing(project: Path) -> None:
    (project / "a").write_text("x")
    expected = File("a").hash

    use_places(FilePlaces({"project": project}, cache_dir=project / "a" / "cache"))

    assert File("a").hash == expected


def test_links_are_named_as_given_and_read_through(project: Path) -> None:
    (project / "target").write_text("x")
    (project / "link").symlink_to("target")
    (project / "dangling").symlink_to("nowhere")

    assert File("link").look() == File("target").look()
    assert File("link").hash != File("target").hash
    assert File("dangling").look() == MISSING


def test_names_that_are_no_utf8_work_throughout(project: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.txt")
    file = File(name)
    try:
        file.write("x")
    except OSError:
        pytest.skip("this file system refuses names that are no UTF-8")

    again = FILE.decode(*FILE.encode(file))
    record = FILE.file_record(file, file.hash)

    assert again.read() == "x"
    assert again.path == name
    assert [each.path for each in Dir(".")] == [f"./{name}"]
    assert record.path == r"caf\xe9 \xff.txt"
    repr(file).encode()
    pickle.loads(pickle.dumps(file)).read()


def test_spaces_and_very_long_names_work(project: Path) -> None:
    for name in (" a b ", "x" * 255, "ü" * 120):
        File(name).write("x")

        assert File(name).read() == "x"


def test_files_and_paths_make_files(project: Path) -> None:
    assert File(File("a")) == File(Path("a")) == File("a")
    assert os.fspath(File("a")) == str(project / "a")
    with pytest.raises(TypeError, match="not a local file"):
        os.fspath(File("s3://b/k"))


def test_a_file_keeps_its_place_when_the_working_directory_changes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a").write_text("x")
    file = File("a")

    monkeypatch.chdir(tmp_path)

    assert file.read() == "x"
    assert Path(file).read_text() == "x"


def test_files_are_equal_by_path_and_class(project: Path) -> None:
    class Other(File):
        pass

    assert File("a") == File("a") and hash(File("a")) == hash(File("./a"))
    assert File("a") != File("b")
    assert File("a") != Other("a")
    assert File("a").hash != Other("a").hash
    assert File("a") != "a"


def test_a_subclass_keeps_its_class_and_attributes(project: Path) -> None:
    file = _Bam("a")
    file.index = "a.bai"  # type: ignore[attr-defined]
    file.look()

    again = pickle.loads(pickle.dumps(file))

    assert type(again) is _Bam
    assert again.index == "a.bai"
    assert again.seen == file.seen
    assert kind_of(file) is FILE
    assert FILE.encode(file) is None
    assert FILE.type_name(file).endswith("._Bam")


class _Bam(File):
    pass


def test_what_was_seen_travels(project: Path) -> None:
    (project / "a").write_text("x")
    file = File("a")
    file.look()

    for again in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert again == file
        assert again.path == "a"
        assert again.seen == file.seen
    assert pickle.loads(pickle.dumps(File("b"))).seen is None


def test_a_file_travels_to_where_roots_lie_elsewhere(project: Path, tmp_path: Path) -> None:
    (project / "a").write_text("x")
    file = File(project / "a")
    sent, hash_there = pickle.dumps(file), file.hash

    use_places(FilePlaces({"project": "/elsewhere"}))
    moved = pickle.loads(sent)
    use_places(FilePlaces())
    unknown = pickle.loads(sent)

    assert moved.path == "/elsewhere/a"
    assert unknown.path == str(project / "a")
    assert unknown.place == Place("project", "a")
    unknown.look()
    assert unknown.hash == hash_there


def test_outside_of_a_run_a_result_keeps_its_hash(project: Path) -> None:
    (project / "a").write_text("x")
    file = File("a")
    during = file.hash

    use_places(FilePlaces())

    assert file.hash == during


def test_the_policy_stat_goes_by_size_and_time(project: Path) -> None:
    policy(project, ("*.big", "stat"))
    path = project / "a.big"
    path.write_text("x")
    settle(path)
    file = File("a.big")
    file.look()

    path.write_text("y")
    settle(path)
    assert file.is_valid()
    os.utime(path, (5, 5))

    assert not file.is_valid()
    assert file.bytes_to_read() == 0


def test_the_policy_immutable_goes_by_existence(project: Path) -> None:
    policy(project, ("ref/**", "immutable"))
    file = File("ref/a")
    file.write("x")

    (project / "ref" / "a").write_text("other")
    assert file.is_valid()
    file.remove()
    assert File("ref/a").look() == MISSING


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=50), st.binary(max_size=50))
def test_hashes_are_equal_exactly_if_contents_are(project: Path, one: bytes, two: bytes) -> None:
    file = File("a")
    file.write(one)
    first = file.hash
    file.write(two)

    assert (file.hash == first) == (one == two)


# File as a kind


def test_files_are_found_by_type_and_by_name(project: Path) -> None:
    assert kind_of(File("a")) is FILE is kind_named("taskgraph.File")
    assert kind_of(Dir("a")) is DIR is kind_named("taskgraph.Dir")
    assert kind_of(FileSet("a")) is FILE_SET is kind_named("taskgraph.FileSet")
    assert FILE.is_subvalue and DIR.is_subvalue and FILE_SET.is_subvalue


def test_a_file_needs_reading_until_it_was_read(project: Path) -> None:
    (project / "a").write_text("x")
    file = FILE.parse("a")
    assert FILE.needs_reading(file)
    assert FILE.bytes_to_read(file) == 1

    FILE.read(file)

    assert not FILE.needs_reading(file)
    assert FILE.own_hash(file) == file.hash
    assert FILE.is_valid(file)
    assert FILE.subvalues(file) == ()
    assert FILE.preview(file) == f"File(path=a, hash={file.hash[:8]})"
    assert FILE.shape(file).state[:2] == ("project", "a")


def test_a_stored_file_is_json_and_names_no_folder_outside_of_its_root(project: Path) -> None:
    (project / "a").write_text("xyz")
    file = File(project / "a")

    format_, payload = FILE.encode(file) or ("", b"")

    assert format_ == "file"
    assert json.loads(payload) == {
        "root": "project",
        "path": "a",
        "content": file.look().content,
        "size": 3,
    }


def test_a_stored_file_is_found_where_its_root_lies_now(project: Path) -> None:
    (project / "sub").mkdir()
    relative, absolute = File("sub/a"), File(project / "sub" / "b")
    stored = [FILE.encode(each) or ("", b"") for each in (relative, absolute)]

    here = [FILE.decode(*each).path for each in stored]
    use_places(FilePlaces({"project": "/elsewhere"}))
    there = [FILE.decode(*each).path for each in stored]

    assert here == ["sub/a", str(project / "sub" / "b")]
    assert there == ["/elsewhere/sub/a", "/elsewhere/sub/b"]


def test_a_stored_file_below_an_unknown_root_cannot_be_used(project: Path) -> None:
    stored = FILE.encode(File("a")) or ("", b"")
    use_places(FilePlaces())

    with pytest.raises(UnknownRootError, match="project"):
        FILE.decode(*stored)


def test_the_record_of_a_file(project: Path) -> None:
    file = File("a")
    file.write("xyz")

    record = FILE.file_record(file, file.hash)

    assert record == (file.hash, "project", "a", file.look().content, 3)


# Dir and FileSet


def tree(project: Path) -> None:
    for name in ("d/b.txt", "d/a.txt", "d/sub/deep/c.csv", "d/.hidden", "other.txt"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)


def test_a_dir_gives_all_files_sorted(project: Path) -> None:
    tree(project)

    assert [file.path for file in Dir("d/")] == [
        "d/.hidden",
        "d/a.txt",
        "d/b.txt",
        "d/sub/deep/c.csv",
    ]
    assert Dir("d").files == list(Dir("d"))


def test_a_file_set_gives_the_files_that_match(project: Path) -> None:
    tree(project)

    assert [file.path for file in FileSet("d/*")] == ["d/a.txt", "d/b.txt"]
    assert [file.path for file in FileSet("**/*.csv")] == ["d/sub/deep/c.csv"]
    assert [file.path for file in FileSet("*.txt")] == ["other.txt"]
    assert [file.path for file in FileSet("other.txt")] == ["other.txt"]
    assert [file.path for file in FileSet(f"{project}/o*")] == [str(project / "other.txt")]


@pytest.mark.parametrize("group", [Dir("d"), FileSet("d/**/*.*")], ids=["Dir", "FileSet"])
@pytest.mark.parametrize("change", ["content", "add", "remove", "rename"])
def test_a_groups_hash_follows_its_files(project: Path, group: Dir | FileSet, change: str) -> None:
    tree(project)
    group = type(group)(group.text)
    before = group.hash
    assert group.is_valid()

    match change:
        case "content":
            (project / "d/a.txt").write_text("new")
        case "add":
            (project / "d/sub/new.txt").write_text("new")
        case "remove":
            (project / "d/a.txt").unlink()
        case "rename":
            (project / "d/a.txt").rename(project / "d/z.txt")

    assert group.hash == before
    assert not group.is_valid()
    group.update_hash()
    assert group.hash != before
    assert group.is_valid()


def test_groups_have_a_portable_hash(project: Path, tmp_path: Path) -> None:
    tree(project)
    first = Dir("d").hash, FileSet("d/*.txt").hash

    project.rename(tmp_path / "moved")
    use_places(FilePlaces({"project": tmp_path / "moved"}, cache_dir=tmp_path / "cache"))
    moved = f"{tmp_path}/moved/d"

    assert (Dir(moved).hash, FileSet(f"{moved}/*.txt").hash) == first


def test_a_missing_dir_and_an_empty_one_differ(project: Path) -> None:
    folder = Dir("d")
    missing = folder.hash
    assert not folder.exists() and list(folder) == []

    folder.mkdir()

    assert folder.exists()
    assert folder.hash != missing


def test_a_dir_follows_links_but_not_in_circles(project: Path) -> None:
    tree(project)
    (project / "d" / "circle").symlink_to("..")
    (project / "linked").symlink_to("d/sub")
    (project / "d" / "dangling").symlink_to("nowhere")

    names = [file.path for file in Dir("d")]

    assert "d/dangling" in names
    assert [file.path for file in Dir("linked")] == ["linked/deep/c.csv"]
    assert "d/circle/other.txt" in names and len(names) < 12


def test_unfinished_files_are_no_members(project: Path) -> None:
    tree(project)
    before = Dir("d").hash

    with File("d/new").open("w") as stream:
        stream.write("x")
        assert Dir("d").hash == before

    assert Dir("d").hash != before


def test_groups_are_unread_until_asked(project: Path) -> None:
    tree(project)
    folder, files = Dir("d"), FileSet("*.txt")

    assert (repr(folder), repr(files)) == ("Dir(path=d)", "FileSet(pattern=*.txt)")
    known = folder.hash
    assert repr(folder) == f"Dir(path=d, hash={known[:8]})"
    assert Dir("x").is_valid()


def test_groups_are_equal_by_path_and_class(project: Path) -> None:
    assert Dir("d") == Dir("./d/") and hash(Dir("d")) == hash(Dir("d/"))
    assert Dir("d") != FileSet("d")
    assert Dir("d") != "d"


@pytest.mark.parametrize("text", ["d", "missing"])
def test_a_stored_dir_comes_back_with_its_files(project: Path, text: str) -> None:
    tree(project)
    folder = Dir(text)
    assert DIR.needs_reading(folder)
    DIR.read(folder)
    subvalues = DIR.subvalues(folder)

    for again in (DIR.decode(*DIR.encode(folder)), pickle.loads(pickle.dumps(folder))):  # type: ignore[misc]
        assert again == folder
        assert again.path == text
        assert again.hash == folder.hash
        assert again.sighting == folder.sighting
        assert [file.hash for file in DIR.subvalues(again)] == [file.hash for file in subvalues]
    assert len(subvalues) == (4 if text == "d" else 0)
    assert pickle.loads(pickle.dumps(Dir("d"))).sighting is None


def test_file_sets_are_stored_like_dirs(project: Path) -> None:
    tree(project)
    files = FILE_SET.parse("d/*.txt")
    assert FILE_SET.bytes_to_read(files) == 14

    again = FILE_SET.decode(*FILE_SET.encode(files))  # type: ignore[misc]

    assert again == files and again.hash == files.hash == FILE_SET.own_hash(files)
    assert [file.path for file in FILE_SET.subvalues(again)] == ["d/a.txt", "d/b.txt"]
    assert all(file.seen for file in FILE_SET.subvalues(again))
    assert FILE_SET.is_valid(again)
    (project / "d/a.txt").unlink()
    FILE_SET.refresh(again)
    assert again.hash != files.hash
    assert FILE_SET.shape(again).tag == "fileset"
    assert FILE_SET.type_name(again) == "taskgraph.FileSet"
    assert again.sighting.size == 7


def test_paths_within_a_dir(project: Path) -> None:
    tree(project)
    folder = Dir("d")

    assert folder.file("sub/deep/c.csv").read() == "d/sub/deep/c.csv"
    assert folder.file("x").path == "d/x"
    assert folder.rel_path("d/sub/x") == "sub/x"


def test_a_dir_is_removed_only_if_empty_or_asked(project: Path) -> None:
    tree(project)
    folder = Dir("d")

    with pytest.raises(OSError, match=r"^\[Errno \d+\] Directory not empty. d$"):
        folder.rmdir()
    folder.rmdir(recursive=True)

    assert not folder.exists()
    folder.mkdir()
    folder.rmdir()
    assert not folder.exists()


def test_a_dir_is_copied(project: Path) -> None:
    tree(project)
    (project / "there").mkdir()

    copied = Dir("d").copy_to("new/place")
    skipped = Dir("d").copy_to(Dir("there"), skip_if_exists=True)

    assert [file.path for file in copied][-1] == "new/place/sub/deep/c.csv"
    assert list(skipped) == []


def test_a_folder_that_may_not_be_read_is_an_error_that_names_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "d").mkdir()

    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(PermissionError, match=r"^\[Errno 13\] Permission denied. d$"):
        Dir("d").look()
