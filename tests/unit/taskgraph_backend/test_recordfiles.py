"""A file of records is read as it comes, and believed in nothing."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import InvalidRecordError, RecordVersionError
from taskgraph_backend import recordfiles
from taskgraph_backend.recordfiles import RecordFile, open_to_read, open_to_write, write_lines

HEAD = '{"_type":"Header","_version":1,"format":"taskgraph records","schema":"1.5"}\n'
END = '{"_type":"End","_version":1,"records":0}\n'


def _read(text: str | bytes, most_line: int = 1000) -> list[dict[str, Any]]:
    content = text.encode() if isinstance(text, str) else text
    return list(RecordFile(io.BytesIO(content), "some.jsonl", most_line).records())


def test_what_was_written_is_read() -> None:
    stream = io.BytesIO()

    count = write_lines(stream, [{"_type": "Value", "preview": "ä\n"}])

    assert count == 1
    assert _read(stream.getvalue()) == [{"_type": "Value", "preview": "ä\n"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("\n", "not JSON"),
        ("{}\n", "no file of records"),
        ("SQLite format 3\0", "ends too early"),
        (b"\xff\xfe\n", "not text in UTF-8"),
        ("[]\n", "an object of JSON"),
        (HEAD, "line that ends it is missing"),
        (HEAD[:-1], "within a line"),
        (HEAD + '{"a": 1', "within a line"),
        (HEAD + "{]\n" + END, "not JSON"),
        (HEAD + '{"a": NaN}\n' + END, "NaN is no number"),
        (HEAD + '{"a": -Infinity}\n' + END, "-Infinity is no number"),
        (HEAD + '{"a": 1, "a": 2}\n' + END, "a key stands twice"),
        (HEAD + '{"a": {"b": 1, "b": 2}}\n' + END, "a key stands twice"),
        (HEAD + '{"a": ' + "9" * 900 + "}\n" + HEAD, "line that ends it is missing"),
        (HEAD + '{"_type": "End", "records": 3}\n', "0 records are there"),
        (HEAD + '{"_type": "End"}\n', "0 records are there"),
        (HEAD + END + "{}\n", "something follows"),
        (HEAD + "x" * 1001 + "\n", "more than 1,000 bytes"),
        (HEAD.replace(":1", ":0"), "whole number from 1"),
        (HEAD.replace(":1", ":true"), "whole number from 1"),
    ],
)
def test_what_is_no_file_of_records_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidRecordError, match=r"some\.jsonl, line \d: ") as caught:
        _read(text)

    assert message in str(caught.value)


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="nested too deeply"):
        _read(HEAD + '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n" + END, 1_000_000)


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="not JSON"):
        _read(HEAD + '{"a": ' + "9" * 10_000 + "}\n" + END, 100_000)


def test_a_newer_file_says_what_to_do() -> None:
    with pytest.raises(RecordVersionError, match="Upgrade taskgraph"):
        _read(HEAD.replace(":1", ":2"))


def test_the_line_of_a_bad_record_is_named() -> None:
    file = RecordFile(io.BytesIO((HEAD + '{"_type":"X","_version":1}\n' + END).encode()), "f")

    with pytest.raises(InvalidRecordError, match=r"f, line 2: .*no type of records 'X'"):
        list(file.rows())


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_a_file_is_packed_by_its_suffix(tmp_path: Path, suffix: str) -> None:
    name = str(tmp_path / f"a.jsonl{suffix}")

    with open_to_write(name) as stream:
        write_lines(stream, [{"_type": "Value", "n": each} for each in range(10_000)])

    with open_to_read(name) as stream:
        assert len(list(RecordFile(stream, name).records())) == 10_000


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_a_file_that_is_not_packed_as_its_suffix_says_is_refused(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)

    with open_to_read(str(path)) as stream, pytest.raises(InvalidRecordError):
        list(RecordFile(stream, str(path)).records())


def test_a_packed_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress((HEAD + END).encode())[:-12])

    with open_to_read(str(path)) as stream, pytest.raises(InvalidRecordError):
        list(RecordFile(stream, str(path)).records())


def test_a_packer_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    path = tmp_path / "a.zst"
    path.touch()

    with pytest.raises(InvalidRecordError, match="pip install zstandard"), open_to_read(str(path)):
        pass


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    def records() -> Any:
        yield {"_type": "Value"}
        raise KeyError("stop")

    with pytest.raises(KeyError), open_to_write(str(path)) as stream:
        write_lines(stream, records())

    assert list(tmp_path.iterdir()) == []


def test_lines_are_compact_and_sorted_by_nobody() -> None:
    stream = io.BytesIO()

    write_lines(stream, [{"b": 1, "a": "ü"}])

    assert stream.getvalue().splitlines()[1] == '{"b":1,"a":"ü"}'.encode()
    assert json.loads(stream.getvalue().splitlines()[-1])["records"] == 1


def test_what_cannot_be_read_to_its_end_is_refused() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError("reset by peer")

    with (
        pytest.raises(InvalidRecordError, match="read to its end"),
        recordfiles._fetched(Broken(), "lab"),  # type: ignore[arg-type]
    ):
        raise AssertionError("it was read")
