"""Files on S3, as moto's server plays it: identity by ETag, no half objects, no surprises."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("CI"):
    # On CI a missing package is an error: these tests are never skipped in silence there.
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")

import boto3
import s3fs

from taskgraph.values.directories import Dir
from taskgraph.values.files import File
from taskgraph.values.places import FilePlaces, use_places
from taskgraph.values.staging import StagingDir, StagingFile
from taskgraph.values.walk import find_invalid
from tests.s3 import s3_server

BUCKET = "files"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with s3_server(BUCKET):
        client = boto3.client("s3")
        yield client
        client.close()


@pytest.fixture
def base(client: Any, tmp_path: Path) -> Iterator[str]:
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    yield f"s3://{BUCKET}/{tmp_path.name}"
    use_places(before)


def key(file: File) -> str:
    return file.path.removeprefix(f"s3://{BUCKET}/")


def test_equal_content_has_an_equal_hash_whenever_it_was_written(base: str) -> None:
    file = File(f"{base}/a")
    file.write("x")
    first = file.hash

    file.write("y")
    file.write("x")

    assert file.hash == first


def test_what_others_wrote_is_seen(base: str, client: Any) -> None:
    file = File(f"{base}/a")
    file.write("x")
    folder = Dir(base)
    folder.look()

    client.put_object(Bucket=BUCKET, Key=key(file), Body=b"other")
    client.put_object(Bucket=BUCKET, Key=key(File(f"{base}/b")), Body=b"new")

    assert not file.is_valid()
    assert not folder.is_valid()
    assert file.read() == "other"
    assert [each.path for each in folder] == [f"{base}/a", f"{base}/b"]


def test_the_hash_of_a_file_needs_no_download(
    base: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_object(Bucket=BUCKET, Key=key(File(f"{base}/a")), Body=b"x")

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("downloaded")

    for name in ("_cat_file", "_get_file", "open"):
        monkeypatch.setattr(s3fs.S3FileSystem, name, refuse)

    assert File(f"{base}/a").look().size == 1
    assert Dir(base).look().size == 1


def test_a_large_upload_that_fails_leaves_nothing_behind(base: str, client: Any) -> None:
    file = File(f"{base}/a")

    with pytest.raises(RuntimeError), file.open("wb") as stream:
        for _ in range(12):
            stream.write(b"x" * 1_000_000)
        raise RuntimeError

    assert not file.exists()
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)


def test_a_large_upload_is_not_seen_before_it_is_closed(base: str) -> None:
    file = File(f"{base}/a")

    with file.open("wb") as stream:
        for _ in range(12):
            stream.write(b"x" * 1_000_000)
        assert not file.exists()

    assert file.size() == 12_000_000


def test_a_mistyped_bucket_is_not_made(base: str, client: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3://no-such-bucket/a$"):
        File("s3://no-such-bucket/a").write("x")
    Dir("s3://no-such-bucket/d").mkdir()

    names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    assert "no-such-bucket" not in names


def sh(command: str, folder: Path) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backend")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_files_and_folders_are_staged_by_shell_commands(base: str, tmp_path: Path) -> None:
    File(f"{base}/in dir/it's").write("x")
    folder = tmp_path / "work"
    folder.mkdir()

    sh(File(f"{base}/in dir/it's").stage("-a").render_stage(elsewhere=True), folder)
    sh(StagingDir("deep/copy", f"{base}/in dir").render_stage(elsewhere=True), folder)
    (folder / "deep/copy/new").write_text("y")
    sh(StagingFile("-a", f"{base}/out/a").render_unstage(elsewhere=True), folder)
    sh(StagingDir("deep/copy", f"{base}/in dir").render_unstage(elsewhere=True), folder)

    assert (folder / "-a").read_text() == "x"
    assert File(f"{base}/out/a").read() == "x"
    names = [each.path.removeprefix(base) for each in Dir(base)]
    assert names == ["/in dir/it's", "/in dir/new", "/out/a"]


def test_an_edited_remote_of_a_staged_file_is_seen(
    base: str, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = File(f"{base}/a")
    file.write("x")
    staged = file.stage()
    assert staged.stage().read() == "x"
    first = staged.hash

    client.put_object(Bucket=BUCKET, Key=key(file), Body=b"other")

    assert find_invalid([staged]) == file
    assert File(f"{base}/a").stage().hash != first
    assert staged.stage().read() == "other"
