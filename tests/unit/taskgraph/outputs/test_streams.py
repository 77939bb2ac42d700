"""What calls print is told apart by call, whoever prints it, and still shown."""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskgraph.outputs.place import LEAST_SIZE, OutputPlace
from taskgraph.outputs.reading import read_output
from taskgraph.outputs.streams import captured, captures, current, end, said


@dataclass(frozen=True)
class Call:
    """A call as far as output goes."""

    job_id: str
    output: OutputPlace | None


class Screen(io.StringIO):
    """What a user would see."""


@contextmanager
def on_screen() -> Iterator[Screen]:
    """Be what is shown on both streams, while calls are told apart."""
    before = sys.stdout, sys.stderr
    shown = Screen()
    sys.stdout = sys.stderr = shown
    try:
        with captured():
            yield shown
    finally:
        sys.stdout, sys.stderr = before


def seen(test: Callable[[Path, Screen], None]) -> Callable[[Path], None]:
    """Give a test a screen. Not a fixture: pytest puts its own streams in place after these."""

    def run(tmp_path: Path) -> None:
        with on_screen() as screen:
            test(tmp_path, screen)

    run.__name__ = test.__name__
    return run


def call_of(folder: Path, name: str, *, is_echoed: bool = True) -> Call:
    return Call(name, OutputPlace(str(folder), LEAST_SIZE, is_echoed))


def within(call: Call, body: object) -> None:
    """Run something as the body of a call."""

    def run() -> None:
        current.set(call)
        body()  # type: ignore[operator]
        if captures:
            end(call)

    contextvars.copy_context().run(run)


def texts(folder: Path, name: str) -> list[tuple[str, str]]:
    output = read_output(str(folder), name)
    return [] if output is None else [(each.stream, each.text) for each in output.lines]


@seen
def test_threads_that_print_at_once_are_told_apart(tmp_path: Path, screen: Screen) -> None:
    barrier = threading.Barrier(4)

    def body(name: str) -> None:
        barrier.wait()
        for number in range(200):
            print(name, number)

    threads = [
        threading.Thread(target=within, args=(call_of(tmp_path, name), lambda n=name: body(n)))
        for name in "abcd"
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    for name in "abcd":
        assert texts(tmp_path, name) == [("stdout", f"{name} {number}") for number in range(200)]
    # Lines do not mix on the way to the screen either.
    assert sorted(screen.getvalue().splitlines()) == sorted(
        f"{name} {number}" for name in "abcd" for number in range(200)
    )


@seen
def test_a_call_that_prints_nothing_leaves_no_file(tmp_path: Path, screen: Screen) -> None:
    within(call_of(tmp_path, "a"), lambda: None)

    assert list(tmp_path.iterdir()) == []
    assert not captures


@seen
def test_what_is_printed_outside_of_calls_just_goes_on(tmp_path: Path, screen: Screen) -> None:
    print("hello")

    assert screen.getvalue() == "hello\n"
    assert list(tmp_path.iterdir()) == []


@seen
def test_coroutines_are_told_apart(tmp_path: Path, screen: Screen) -> None:
    async def body(name: str) -> None:
        call = call_of(tmp_path, name)
        current.set(call)
        for number in range(3):
            print(name, number)
            await asyncio.sleep(0)
        end(call)

    async def both() -> None:
        await asyncio.gather(body("a"), body("b"))

    asyncio.run(both())

    assert [text for _, text in texts(tmp_path, "a")] == ["a 0", "a 1", "a 2"]
    assert [text for _, text in texts(tmp_path, "b")] == ["b 0", "b 1", "b 2"]


def test_a_handler_that_was_made_before_logs_to_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    handler = logging.StreamHandler()
    logger = logging.getLogger("test_outputs_before")
    logger.addHandler(handler)
    try:
        with captured():
            within(call_of(tmp_path, "a"), lambda: logger.warning("careful"))
        assert handler.stream is shown
    finally:
        logger.removeHandler(handler)

    assert texts(tmp_path, "a") == [("stderr", "careful")]
    assert shown.getvalue() == "careful\n"


@seen
def test_what_is_not_to_be_shown_is_kept(tmp_path: Path, screen: Screen) -> None:
    within(call_of(tmp_path, "a", is_echoed=False), lambda: print("quiet"))

    assert screen.getvalue() == ""
    assert texts(tmp_path, "a") == [("stdout", "quiet")]


@seen
def test_a_line_without_an_end_is_shown_when_it_is_flushed(tmp_path: Path, screen: Screen) -> None:
    asked = []

    def body() -> None:
        print("really? ", end="", flush=True)
        asked.append(screen.getvalue())
        print("yes", end="")

    within(call_of(tmp_path, "a"), body)

    assert asked == ["really? "]
    assert screen.getvalue() == "really? yes\n"
    assert texts(tmp_path, "a") == [("stdout", "really? yes")]


@seen
def test_bytes_are_text_of_the_call_too(tmp_path: Path, screen: Screen) -> None:
    def body() -> None:
        sys.stdout.buffer.write(b"\xc3\xa9\n")

    within(call_of(tmp_path, "a"), body)

    assert texts(tmp_path, "a") == [("stdout", "é")]


def test_a_folder_that_cannot_be_written_fails_no_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")

    with on_screen() as screen:
        within(call_of(tmp_path / "file", "a"), lambda: print("shown"))

    assert screen.getvalue() == "shown\n"
    assert "What jobs print is not kept" in caplog.text


def test_a_disk_that_takes_nothing_is_told_of_once_and_not_for_each_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")

    with on_screen() as screen:
        for job in "abc":
            within(call_of(tmp_path / "file", job), lambda: print("shown"))

    assert screen.getvalue() == "shown\n" * 3
    assert caplog.text.count("What jobs print is not kept") == 1
    assert str(tmp_path / "file") in caplog.text


def test_streams_are_put_back_and_go_on_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Screen()
    monkeypatch.setattr(sys, "stdout", shown)
    with captured():
        with captured():
            tee = sys.stdout
        assert sys.stdout is tee
        assert not tee.isatty()
        assert tee.writable()
    assert sys.stdout is shown

    print("late", file=tee)

    assert shown.getvalue() == "late\n"


def test_who_put_another_stream_in_place_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    other = Screen()

    with captured():
        sys.stdout = other

    assert sys.stdout is other


def test_who_put_nothing_in_place_leaves_the_program_its_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = Screen()
    monkeypatch.setattr(sys, "stdout", shown)

    with captured():
        sys.stdout = None  # type: ignore[assignment]  # a body may

    assert sys.stdout is shown


@seen
def test_what_was_printed_elsewhere_is_kept_and_not_shown(tmp_path: Path, screen: Screen) -> None:
    within(call_of(tmp_path, "a"), lambda: said("stderr", "from a script\n"))

    assert texts(tmp_path, "a") == [("stderr", "from a script")]
    assert screen.getvalue() == ""


@seen
def test_only_text_is_printed(tmp_path: Path, screen: Screen) -> None:
    def body() -> None:
        with pytest.raises(TypeError, match="must be str, not int"):
            sys.stdout.write(3)  # type: ignore[arg-type]

    within(call_of(tmp_path, "a"), body)
