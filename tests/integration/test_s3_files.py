"""Files on S3, as moto's server plays it: identity by ETag, no half objects, no surprises."""

import os
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
from moto.server import ThreadedMotoServer

from taskgraph.values.directories import Dir
from taskgraph.values.files import File
from taskgraph.values.places import FilePlaces, use_places

BUCKET = "files"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "x")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
        client.close()
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


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
