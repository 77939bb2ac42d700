"""What is written of a job's output is what is read, and no more than was allowed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.outputs.place import LEAST_SIZE, MOST_IN_LINE, OutputPlace, jobs_in, segments_of
from taskgraph.outputs.reading import read_output, seen_of
from taskgraph.outputs.writing import OutputFile

JOB = "0123456789abcdef0123456789abcdef"

lines = st.lists(
    st.tuples(st.sampled_from(["stdout", "stderr"]), st.text().filter(lambda t: "\n" not in t)),
    max_size=8,
)


@given(written=lines)
def test_lines_are_read_as_they_were_written(
    written: list[tuple[str, str]], tmp_path_factory: object
) -> None:
    folder = str(tmp_path_factory.mktemp("logs"))  # type: ignore[attr-defined]  # pytest's
    file = OutputFile(OutputPlace(folder, LEAST_SIZE), JOB)
    for stream, text in written:
        file.write(stream, text, is_whole=True)
    file.close()

    output = read_output(folder, JOB)

    found = [] if output is None else [(each.stream, each.text) for each in output.lines]
    assert found == [
        (stream, text.encode(errors="backslashreplace").decode()) for stream, text in written
    ]


def test_a_long_line_is_one_line_when_it_is_read(tmp_path: Path) -> None:
    text = "é" * (3 * MOST_IN_LINE + 1)
    file = OutputFile(OutputPlace(str(tmp_path), 4 * LEAST_SIZE), JOB)

    file.write("stdout", text, is_whole=True)
    file.close()

    output = read_output(str(tmp_path), JOB)
    assert output is not None
    assert [each.text for each in output.lines] == [text]


@given(texts=st.lists(st.text().filter(lambda t: "\n" not in t), min_size=1, max_size=300))
def test_lines_that_came_together_are_read_as_they_were_written(
    texts: list[str], tmp_path_factory: object
) -> None:
    folder = str(tmp_path_factory.mktemp("logs"))  # type: ignore[attr-defined]  # pytest's
    file = OutputFile(OutputPlace(folder, LEAST_SIZE), JOB)
    file.write_lines("stdout", "\n".join(texts))
    file.close()

    output = read_output(folder, JOB)

    assert output is not None
    assert output.left_out == 0
    assert [each.text for each in output.lines] == [
        each.encode(errors="backslashreplace").decode() for each in texts
    ]


def test_a_line_of_many_megabytes_is_written_in_one_go_through_it(tmp_path: Path) -> None:
    text = "x" * 40_000_000
    file = OutputFile(OutputPlace(str(tmp_path), LEAST_SIZE), JOB)
    began = time.process_time()

    file.write("stdout", text, is_whole=True)

    # Half a second; what cuts the rest off for each piece takes twenty.
    assert time.process_time() - began < 5
    file.close()


def test_lines_that_came_together_cost_a_fraction_of_single_ones(tmp_path: Path) -> None:
    ones = OutputFile(OutputPlace(str(tmp_path), LEAST_SIZE), "1" + JOB[1:])
    many = OutputFile(OutputPlace(str(tmp_path), LEAST_SIZE), JOB)
    text = "\n".join(["hello"] * 50_000)
    each, together = [], []

    for _ in range(5):
        began = time.process_time()
        for line in text.split("\n"):
            ones.write("stdout", line, is_whole=True)
        each.append(time.process_time() - began)
        began = time.process_time()
        many.write_lines("stdout", text)
        together.append(time.process_time() - began)

    assert min(together) < min(each) / 3
    ones.close()
    many.close()


def test_parts_of_two_streams_are_put_together_by_stream(tmp_path: Path) -> None:
    file = OutputFile(OutputPlace(str(tmp_path), LEAST_SIZE), JOB)

    file.write("stdout", "a", is_whole=False)
    file.write("stderr", "x", is_whole=False)
    file.write("stdout", "b", is_whole=True)
    file.write("stderr", "y", is_whole=True)
    file.close()

    output = read_output(str(tmp_path), JOB)
    assert output is not None
    assert [(each.stream, each.text) for each in output.lines] == [
        ("stdout", "ab"),
        ("stderr", "xy"),
    ]


def test_of_much_output_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    file = OutputFile(OutputPlace(str(tmp_path), LEAST_SIZE), JOB)
    for number in range(20_000):
        file.write("stdout", f"line {number}", is_whole=True)
    file.close()

    output = read_output(str(tmp_path), JOB)

    size = sum(os.path.getsize(path) for _, path in segments_of(str(tmp_path), JOB))
    assert size <= LEAST_SIZE
    assert output is not None
    assert output.lines[0].text == "line 0"
    assert output.lines[-1].text == "line 19999"
    before, after = output.lines[output.left_out_after - 1], output.lines[output.left_out_after]
    gap = int(after.text.split()[1]) - int(before.text.split()[1])
    assert gap > 15_000
    assert output.left_out > 40 * gap


def test_a_later_attempt_goes_on_where_an_earlier_one_ended(tmp_path: Path) -> None:
    place = OutputPlace(str(tmp_path), LEAST_SIZE)
    for attempt in range(12):
        file = OutputFile(place, JOB)
        for number in range(200):
            file.write("stderr", f"{attempt}:{number} {'.' * 20}", is_whole=True)
        file.close()

    output = read_output(str(tmp_path), JOB)

    assert output is not None
    assert output.lines[0].text.startswith("0:0 ")
    assert output.tail(1, "stderr")[0].startswith("11:199 ")
    assert sum(os.path.getsize(path) for _, path in segments_of(str(tmp_path), JOB)) <= LEAST_SIZE


def test_a_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / f"{JOB}.log").write_bytes(
        b"2026-01-31T12:00:00.000000Z stdout F whole\nnot ours\n\xff\xfe\n"
        b"yesterday stdout F no time\n2026-01-31T12:00:00.000000Z stdout F cut"
    )

    output = read_output(str(tmp_path), JOB)

    assert output is not None
    assert [each.text for each in output.lines] == ["whole"]


def test_what_was_never_printed_is_none(tmp_path: Path) -> None:
    assert read_output(str(tmp_path), JOB) is None
    assert read_output(str(tmp_path / "none"), JOB) is None
    assert jobs_in(str(tmp_path / "none")) == []


def test_a_bar_that_is_drawn_anew_is_seen_once() -> None:
    assert seen_of("\r 10%\r 50%\r100%\r") == "100%"
    assert seen_of("plain") == "plain"
