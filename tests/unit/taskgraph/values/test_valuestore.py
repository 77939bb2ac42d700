"""The value store's memory: storing and loading an array takes little more than the array."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from taskgraph.errors import ValueCompressionError
from taskgraph.hashing import ContentDigest, ValueHash
from taskgraph.values import codec
from taskgraph.values.pack import pack, put_outside
from taskgraph.values.registry import kind_of
from taskgraph.values.valuestore import Draft, Outside, ValueStore, locate
from taskgraph_backend import SqlBackend

ROOT = Path(__file__).resolve().parents[4]
TORTURE = bool(os.environ.get("TASKGRAPH_TORTURE"))
SIZE = 4 << 30 if TORTURE else 256 << 20
MOST = 1.3

# The peak of a process counts all that it ever had, so that each step has a process of its own.
PROGRAM = """
import re, resource, sys
from pathlib import Path
import numpy as np
from taskgraph.values import codec
from taskgraph.values.pack import pack
from taskgraph.values.valuestore import ValueStore, locate

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere a process begins with the peak of its parent
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

step, folder, size, layout, *row = sys.argv[1:]
store, size = ValueStore(folder), int(size)
pack(np.zeros(3), store=store)  # all that is loaded at the first use
before = peak()
if step == "store":
    array = np.arange(size // 8, dtype=float)
    if layout == "fortran":
        array = array.reshape(-1, 1024).T
    record = pack(array, store=store).values[0]
    assert record.value == b""
    print(*record[:3], record.content_digest)
else:
    value_hash, type_name, format, digest = row
    array = codec.decode(value_hash, type_name, format, locate(b"", digest, store), digest)
    assert array.ravel(order="K")[-1] == size // 8 - 1
    array.sum()
print((peak() - before) / size)
"""


def run(*words: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}"}
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.timeout(1800)
def test_storing_and_loading_an_array_takes_less_than_a_third_more_memory(tmp_path: Path) -> None:
    *row, stored = run("store", str(tmp_path), str(SIZE), "c")
    (loaded,) = run("load", str(tmp_path), str(SIZE), "c", *row)

    assert 0.9 < float(stored) < MOST
    assert 0.9 < float(loaded) < MOST


def test_a_local_array_is_a_map_that_is_read_where_it_is_used(tmp_path: Path) -> None:
    store = ValueStore(str(tmp_path), min_size=1)
    array = np.arange(1000.0).reshape(10, 100)
    record = pack(array, store=store).values[0]

    found = codec.decode(
        record.value_hash,
        record.type,
        record.format,
        locate(b"", record.content_digest, store),
        record.content_digest,
    )

    assert not found.flags.owndata
    assert found.flags.writeable
    assert type(found) is np.ndarray
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(100.0),
        np.arange(100.0).reshape(10, 10).T,
        np.arange(100)[::3],
        np.zeros(0),
        np.zeros((0, 3)),
        np.array(3.0),
        np.zeros(4, [("a", "<f8"), ("b", "S3")]),
        np.array(["a", "bcd"]),
        np.asfortranarray(np.ones((3, 4, 5))),
        pa.table({"a": [1, None], "b": ["x", "y"]}),
        pa.array([1, 2, None]),
    ],
    ids=range(11),
)
def test_what_is_written_piece_by_piece_is_what_is_encoded(value: object, tmp_path: Path) -> None:
    kind = kind_of(value)
    path = tmp_path / "draft"

    with path.open("w+b", buffering=0) as file:
        draft = Draft(file)
        format = kind.write(value, draft)  # type: ignore[arg-type]  # a stream for writing

    encoded = kind.encode(value)
    assert encoded is not None
    assert format == encoded[0]
    assert path.read_bytes() == encoded[1]
    assert draft.size == len(encoded[1])


def test_compression_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)

    with pytest.raises(ValueCompressionError, match=r"pip install 'taskgraph\[zstd\]'"):
        SqlBackend(f"sqlite:///{tmp_path / 'a.db'}", {"value_store_compression": "zstd"})


def test_a_compressed_value_without_the_package_is_an_error_and_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("zstandard")
    store = ValueStore(str(tmp_path), min_size=1, compression="zstd")
    record = pack("x" * 1000, store=store).values[0]
    monkeypatch.setitem(sys.modules, "zstandard", None)
    outside = locate(b"", record.content_digest, store)

    with pytest.raises(ValueCompressionError):
        codec.decode(record.value_hash, record.type, record.format, outside, record.content_digest)


def test_what_cannot_be_written_is_pickled(tmp_path: Path) -> None:
    store = ValueStore(str(tmp_path), min_size=100)
    record = pack(np.array([object] * 100), store=store).values[0]

    assert record.format == "pickle"
    assert record.value == b""
    assert [each.digest for each in store.entries()] == [record.content_digest]


def test_values_inside_of_values_are_put_outside_as_well(tmp_path: Path) -> None:
    packed = pack(b"x" * 1000)
    store = ValueStore(str(tmp_path), min_size=1000)

    found = put_outside(packed, store)

    assert found.values[0].value == b""
    assert found.values[0].size == packed.values[0].size
    assert found.values[0].content_digest == packed.values[0].content_digest
    assert put_outside(packed, store._replace(min_size=5000)) is packed
    assert put_outside(packed, None) is packed


def test_an_outline_is_made_of_bytes_outside(tmp_path: Path) -> None:
    store = ValueStore(str(tmp_path), min_size=1)
    record = pack({"a": 1}, store=store).values[0]
    outside = locate(b"", record.content_digest, store)

    found = codec.decode_outline(record.value_hash, record.format, outside, record.content_digest)

    assert found == {"a": 1}
    assert isinstance(outside, Outside)
    assert len(outside) == record.size


def test_bytes_outside_are_something_before_they_are_loaded() -> None:
    outside = Outside(None, ContentDigest("0" * 32))

    assert outside
    assert len(outside) == 0
    assert ValueHash("") == ""
