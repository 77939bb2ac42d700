"""StagingFile and StagingDir: values that follow their remote, and the commands that copy."""

import copy
import io
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskgraph.errors import UnknownRootError
from taskgraph.values import codec, copying, walk
from taskgraph.values.directories import Dir
from taskgraph.values.file_kinds import STAGING_DIR, STAGING_FILE
from taskgraph.values.files import File
from taskgraph.values.pack import pack
from taskgraph.values.places import FilePlaces, use_places
from taskgraph.values.registry import kind_named, kind_of
from taskgraph.values.shell import shell_copy
from taskgraph.values.staging import Staging, StagingDir, StagingFile
from taskgraph.values.weigh import hash_value

ROOT = Path(__file__).resolve().parents[4]

AWKWARD = [
    "plain.txt",
    "two words",
    "it's",
    'a "quote"',
    "line\nbreak",
    "-dash",
    "--",
    "$(rm x)",
    "semi;colon",
    "back\\slash",
    "ünïcode",
    "*",
    "~",
    "a b/c d",
    "-r/-f",
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = use_places(FilePlaces({"project": folder}, cache_dir=tmp_path / "cache"))
    yield folder
    use_places(before)


def sh(command: str, stdin: bytes = b"", folder: Path | None = None) -> bytes:
    """Run a command as a script would, and return what it printed."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


# Copying


def test_staging_copies_the_remote_to_the_local_path_and_back() -> None:
    File("kept/a").write("x")
    staged = StagingFile("here/b", "kept/a")

    local = staged.stage()
    local.write("y")
    remote = staged.unstage()

    assert (local.path, remote.path) == ("here/b", "kept/a")
    assert remote is staged.remote
    assert remote.read() == "y"
    assert remote.is_valid()


def test_a_folder_is_staged_with_all_that_is_in_it() -> None:
    File("kept/deep/a").write("x")
    staged = Dir("kept").stage("here")

    local = staged.stage()
    local.file("deep/b").write("y")
    remote = staged.unstage()

    assert isinstance(local, Dir) and isinstance(remote, Dir)
    assert [file.path for file in remote] == ["kept/deep/a", "kept/deep/b"]
    assert staged.stage().file("deep/b").read() == "y"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("kept/a.txt", "a.txt"),
        ("memory://bucket/deep/a.txt", "a.txt"),
        ("zip://inside/b.csv::memory://c.zip", "b.csv"),
        ("simplecache::memory://d/e.csv", "e.csv"),
    ],
)
def test_the_local_path_is_the_name_of_the_remote(remote: str, name: str) -> None:
    assert File(remote).stage().local.path == name
    assert StagingFile(None, remote) == File(remote).stage()


def test_a_folder_is_named_after_the_remote_however_it_is_spelled(project: Path) -> None:
    assert Dir("a/b/").stage().local.path == "b"
    assert Dir(".").stage().local.path == "project"


@pytest.mark.parametrize("remote", ["/", "memory://"])
def test_what_has_no_name_must_be_given_a_local_path(remote: str) -> None:
    with pytest.raises(ValueError, match="give the local path as well"):
        Dir(remote).stage()

    assert Dir(remote).stage("here").local.path == "here"


def test_one_path_for_both_is_not_copied(project: Path) -> None:
    File("a").write("x")
    staged = StagingFile("a", project / "a")

    assert staged.render_stage() == staged.render_unstage() == ""
    assert staged.stage().read() == "x"
    (project / "a").write_text("y")
    assert staged.unstage().read() == "y"
    assert staged.remote.is_valid()


def test_what_is_missing_is_an_error_that_names_it() -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory. kept$"):
        File("kept").stage("b").stage()
    with pytest.raises(FileNotFoundError, match=r"No such file or directory. b$"):
        File("kept").stage("b").unstage()
    with pytest.raises(FileNotFoundError, match=r"No such file or directory. kept$"):
        Dir("kept").stage("b").stage()
    assert not Dir("b").exists()


def test_a_file_is_no_folder() -> None:
    File("kept").write("x")

    with pytest.raises(NotADirectoryError, match=r"kept$"):
        Dir("kept").stage("b").stage()


def test_a_relative_local_path_is_in_the_working_directory_of_whoever_uses_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    File("kept/a").write("x")
    staged = File("kept/a").stage()
    other = tmp_path / "other"
    other.mkdir()

    monkeypatch.chdir(other)
    staged.stage()

    assert (other / "a").read_text() == "x"
    assert not (project / "a").exists()


# Commands


def test_local_files_are_copied_by_cp() -> None:
    file, folder = StagingFile("local", "remote"), StagingDir("local", "remote")

    assert file.render_stage() == "cp remote local"
    assert file.render_unstage() == "cp local remote"
    assert folder.render_stage() == "cp -r remote local"
    assert folder.render_unstage() == "cp -r local remote"


def test_words_of_commands_are_quoted() -> None:
    staged = StagingFile("two words", "it's")

    assert shlex.split(staged.render_stage()) == ["cp", "it's", "two words"]


def test_a_command_for_another_folder_names_the_remote_by_its_absolute_path(
    project: Path, tmp_path: Path
) -> None:
    File("a").write("x")
    staged = File("a").stage()
    other = tmp_path / "other"
    other.mkdir()

    assert staged.render_stage() == ""
    sh(staged.render_stage(elsewhere=True), folder=other)
    (other / "a").write_text("y")
    sh(staged.render_unstage(elsewhere=True), folder=other)

    assert (project / "a").read_text() == "y"
    assert StagingFile(project / "a", "a").render_stage(elsewhere=True) == ""


def test_folders_on_the_way_are_made_if_asked() -> None:
    File("a").write("x")
    staged = File("a").stage("deep/er/b")

    assert staged.render_stage() == "cp a deep/er/b"
    sh(staged.render_stage(make_folders=True))

    assert File("deep/er/b").read() == "x"
    assert File("a").stage("b").render_stage(make_folders=True) == "cp a b"


def test_a_folder_that_is_there_is_filled_if_asked() -> None:
    File("kept/a").write("x")
    staged = Dir("kept").stage("deep/here")

    for _ in range(2):
        sh(staged.render_stage(make_folders=True))

    assert [file.path for file in Dir("deep/here")] == ["deep/here/a"]


@pytest.mark.parametrize("make_folders", [False, True])
@pytest.mark.parametrize("name", AWKWARD)
def test_commands_copy_files_of_any_name(name: str, make_folders: bool) -> None:
    kept = File(f"./{name}")
    kept.write("x")
    staged = StagingFile(f"{name}.copy", name)
    staged.local.write("old")

    sh(staged.render_stage(make_folders=make_folders))
    assert File(f"./{name}.copy").read() == "x"
    File(f"./{name}.copy").write("y")
    sh(staged.render_unstage(make_folders=make_folders))

    assert kept.read() == "y"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(
        st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1
    ).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
)
def test_a_command_has_the_same_effect_as_the_method(name: str) -> None:
    kept = File(os.path.join(os.getcwd(), "kept", name))
    content = name.encode()
    kept.write(content, mode="wb")

    sh(kept.stage("by command").render_stage())
    kept.stage("by method").stage()

    assert File("by command").read(mode="rb") == File("by method").read(mode="rb") == content


def test_names_that_are_no_text_are_copied(project: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (project / name).write_bytes(b"x")

    sh(File(name).stage("b").render_stage())

    assert File("b").read() == "x"


def test_a_file_is_copied_to_a_path_or_a_pipe() -> None:
    File("a b").write("x")

    assert File("a b").shell_copy_to("c d") == "cp 'a b' 'c d'"
    assert File("a b").shell_copy_to(None) == File("a b").shell_copy_to("-") == "cat 'a b'"
    assert File("-").shell_copy_to("c d") == "cat > 'c d'"
    assert File("-").shell_copy_to(None) == "cat"
    assert sh(f"{File('a b').shell_copy_to(None)} | {File('-').shell_copy_to('c d')}") == b""
    assert File("c d").read() == "x"


def test_a_folder_is_copied_to_a_path_only() -> None:
    assert Dir("-a").shell_copy_to("b c") == "cp -r ./-a 'b c'"
    with pytest.raises(ValueError, match="through a pipe"):
        shell_copy("a", None, recursive=True)


def test_a_url_of_a_local_file_is_a_path(project: Path) -> None:
    assert shell_copy(f"file://{project}/a%20b", "c") == f"cp '{project}/a b' c"


def test_remote_files_are_copied_by_python() -> None:
    words = shlex.split(File("memory://a/it's").stage("-b").render_stage())

    assert words == [
        *(sys.executable, "-P", "-m", "taskgraph.values.copying"),
        *("--", "memory://a/it's", "./-b"),
    ]
    assert "-r" in shlex.split(Dir("memory://a").shell_copy_to("b"))


@pytest.fixture
def archive(project: Path) -> str:
    """A file that is reached through fsspec, and is the same in each process."""
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.writestr("in/b", "y")
    return f"::{project}/z.zip"


@pytest.mark.parametrize("name", AWKWARD[:4] + AWKWARD[5:6] + AWKWARD[-2:])
def test_the_copying_program_takes_any_name(name: str, archive: str) -> None:
    sh(File(f"zip://in/b{archive}").stage(name).render_stage())

    assert File(f"./{name}").read() == "y"


def test_the_copying_program_copies_folders_and_streams(archive: str) -> None:
    File("memory://copied/in/deep/a").write("x")
    File("memory://copied/in/b").write("y")

    for _ in range(2):
        assert copying.main(["-r", "memory://copied/in", "out dir"]) == 0

    assert [file.read() for file in Dir("out dir")] == ["y", "x"]
    assert sh(shell_copy(f"zip://in/b{archive}", None)) == b"y"


def test_the_copying_program_says_what_is_wrong_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert copying.main(["missing", "b"]) == 1
    assert copying.main(["-r", "missing", "b"]) == 1
    assert copying.main(["-r", "a", "-"]) == 1

    said = capsys.readouterr().err.splitlines()
    missing = "cannot copy missing to b: [Errno 2] No such file or directory. missing"
    assert said == [
        missing,
        missing,
        "cannot copy a to -: a folder cannot be copied through a pipe",
    ]


def test_the_copying_program_reads_and_writes_streams(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x")))

    assert copying.main(["-", "memory://streams/a"]) == 0
    assert copying.main(["memory://streams/a", "-"]) == 0

    assert capfdbinary.readouterr().out == b"x"
    assert File("memory://streams/a").read() == "x"


def test_what_lies_in_the_working_directory_is_no_module_of_the_copying_program() -> None:
    File("types.py").write("raise SystemExit('mine')")
    File("a").write("x")

    with pytest.raises(AssertionError, match=r"cannot copy memory://a to b: .*No such file"):
        sh(shell_copy("memory://a", "b"))


# As values


def test_the_hash_follows_the_remote() -> None:
    File("kept").write("x")
    first = File("kept").stage("b").hash
    File("b").write("something else")

    assert File("kept").stage("b").hash == first
    File("kept").write("y")
    assert File("kept").stage("b").hash != first


def test_the_local_path_counts_as_it_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    File("kept").write("x")
    remote = File("kept")
    hashes = {remote.stage(local).hash for local in ("b", "c/b", Path("b").absolute())}
    first = remote.stage("b").hash

    monkeypatch.chdir(tmp_path)

    assert len(hashes | {remote.hash}) == 4
    assert remote.stage("b").hash == first


def test_the_hash_is_frozen() -> None:
    File("kept").write("x")
    File("folder/a").write("x")

    assert File("kept").stage("b").hash == "08a35533971d46214d4b4e229209464a"
    assert Dir("folder").stage("b").hash == "322e8feb41a39cfcb140c14a9014390e"


def test_the_same_project_at_another_place_has_the_same_hashes(tmp_path: Path) -> None:
    hashes = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "in").mkdir(parents=True)
        (folder / "in/kept").write_text("x")
        use_places(FilePlaces({"project": folder}, cache_dir=tmp_path / "cache"))
        hashes.append(StagingFile(folder / "b", folder / "in/kept").hash)

    assert hashes[0] == hashes[1]


def stagings() -> list[Staging[Any]]:
    File("kept/a").write("x")
    return [
        File("kept/a").stage(),
        File("kept/a").stage(Path("deep/b").absolute()),
        StagingFile("/elsewhere/b", "kept/missing"),
        Dir("kept").stage("it's here"),
        Dir("memory://not there").stage("-b"),
    ]


@pytest.mark.parametrize("index", range(5))
def test_a_stored_one_comes_back_as_it_was(index: int) -> None:
    staged = stagings()[index]
    packed = pack(staged)
    record = packed.values[0]

    again = codec.decode(
        *record[:1], record.type, record.format, record.value, record.content_digest
    )

    assert again == staged and type(again) is type(staged)
    assert again.local.path == staged.local.path
    assert hash_value(again) == staged.hash == record.value_hash
    assert record.format == f"staging {'file' if isinstance(staged, StagingFile) else 'dir'}"
    assert hash_value(pickle.loads(pickle.dumps(staged))) == staged.hash
    assert copy.deepcopy(staged) == staged


def test_the_remote_is_recorded_as_a_file_and_the_local_side_is_not() -> None:
    File("kept/a").write("x")
    File("b").write("x")

    packed = pack([File("kept/a").stage("b"), Dir("kept").stage("c")])

    assert [file.path for file in packed.files] == ["kept/a"]


def test_a_local_path_in_a_root_goes_where_that_root_lies(tmp_path: Path, project: Path) -> None:
    File("kept").write("x")
    record = pack(File("kept").stage(project / "deep/b")).values[0]
    pickled = pickle.dumps(File("kept").stage(project / "deep/b"))

    def again() -> Any:
        return codec.loads(pickled), STAGING_FILE.decode(record.format, record.value)

    use_places(FilePlaces({"project": tmp_path / "moved"}, cache_dir=tmp_path / "cache"))
    assert [each.local.path for each in again()] == [str(tmp_path / "moved/deep/b")] * 2
    use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    assert pickle.loads(pickled).local.path == str(project / "deep/b")
    with pytest.raises(UnknownRootError):
        STAGING_FILE.decode(record.format, record.value)


def test_it_is_valid_as_long_as_the_remote_is() -> None:
    file = File("kept/a")
    file.write("x")
    both = [file.stage("b"), Dir("kept").stage("c")]
    for each in both:
        each.update_hash()

    assert walk.find_invalid(both) is None
    assert [each.is_valid() for each in both] == [True, True]
    File("kept/a").write("y")

    assert walk.find_invalid(both[:1]) == both[0].remote
    assert walk.find_invalid(both[1:]) == both[1].remote
    assert [each.is_valid() for each in both] == [False, False]
    File("kept/a").remove()
    assert walk.find_invalid(both[1:]) == both[1].remote


def test_the_remote_is_what_must_be_read() -> None:
    File("kept").write("x")
    staged = StagingFile("b", "kept")

    assert walk.find_unread([staged]) == [staged.remote]
    walk.read([staged])
    assert walk.find_unread([staged]) == []


def test_one_of_a_class_of_ones_own_is_pickled(project: Path) -> None:
    File("kept").write("x")
    staged = StagingFile("b", Own("kept"))
    record = pack(staged).values[0]

    again = codec.decode(
        record.value_hash, record.type, record.format, record.value, record.content_digest
    )

    assert record.format == "pickle"
    assert type(again.remote) is Own
    assert staged.hash != File("kept").stage("b").hash
    mine = pack(OwnStaging("b", "kept")).values[0]
    assert (mine.type, mine.format) == (f"{__name__}.OwnStaging", "pickle")


class Own(File):
    pass


class OwnStaging(StagingFile):
    pass


def test_kinds_answer() -> None:
    assert kind_named("taskgraph.StagingFile") is STAGING_FILE
    assert kind_of(StagingDir("a", "b")) is STAGING_DIR
    assert STAGING_FILE.parse("kept/a") == StagingFile("a", "kept/a")
    assert STAGING_DIR.parse("kept/a/") == StagingDir("a", "kept/a")


def test_it_is_shown_with_both_sides() -> None:
    staged = StagingFile("b", "kept\n")

    assert repr(staged) == f"StagingFile(local=b, remote={File(staged.remote)!r})"
    assert staged != Dir("b") and staged != StagingFile("c", "kept\n")
    assert len({staged, StagingFile("b", "kept\n"), StagingDir("b", "kept\n")}) == 2


def test_a_folder_is_not_taken_for_a_file() -> None:
    with pytest.raises(TypeError):
        StagingFile("a", Dir("b"))  # type: ignore[arg-type]
