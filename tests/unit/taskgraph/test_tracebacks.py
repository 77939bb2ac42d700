"""Tracebacks as plain data: of errors of a run, and of any other ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import ErrorValue, Frame, Scheduler, Traceback, task
from taskgraph.testing import MemoryBackend

HERE = str(Path(__file__))


@task(namespace="tracebacks", version="1")
def invert(x: int) -> float:
    return 1 / x


@task(namespace="tracebacks", version="1")
def main(x: int) -> float:
    return invert(x)


@pytest.fixture
def failed() -> BaseException:
    with Scheduler(backend=MemoryBackend(), executor="inline") as scheduler:
        with pytest.raises(ZeroDivisionError) as caught:
            scheduler.run(main(0))
        return caught.value


def test_of_a_run_it_has_the_calls_and_then_the_users_frames(failed: BaseException) -> None:
    trace = Traceback.from_error(failed)

    assert [each.name for each in trace.frames] == [
        "tracebacks.main",
        "tracebacks.invert",
        "invert",
    ]
    main_frame, invert_frame, body = trace.frames
    assert main_frame.filename == HERE
    assert len(main_frame.job or "") == len(invert_frame.job or "") == 32
    assert invert_frame.locals == {"x": "0"}
    assert (body.job, body.text) == (None, "return 1 / x")


def test_it_is_told_as_the_run_tells_it(failed: BaseException) -> None:
    assert Traceback.from_error(failed).format() == failed.__taskgraph_trace__.format()  # type: ignore[attr-defined]


def test_of_another_error_it_has_the_frames_of_python() -> None:
    try:
        invert.func(0)  # type: ignore[misc]  # it is defined here
    except ZeroDivisionError as error:
        trace = Traceback.from_error(error)

    assert trace.format().splitlines()[0] == "Traceback (most recent call last):"
    assert trace.frames[-1].name == "invert"
    assert trace.format().endswith("ZeroDivisionError: division by zero")


def test_frames_of_the_library_are_trimmed() -> None:
    with pytest.raises(TypeError) as caught:
        invert(1, 2)  # type: ignore[call-arg]  # that is the point

    whole = Traceback.from_error(caught.value, trim_frames=False)
    trimmed = Traceback.from_error(caught.value)

    assert len(trimmed.frames) < len(whole.frames)
    assert trimmed.frames == Traceback.trim_frames(whole.frames)
    assert {each.filename for each in trimmed.frames} == {HERE}


def test_what_was_said_on_the_way_comes_last() -> None:
    frame = Frame("flow.py", 3, "clean", line="x = 1")

    text = Traceback(ValueError("odd"), [frame], logs=["disk is full"]).format()

    assert text.splitlines() == [
        "Traceback (most recent call last):",
        '  File "flow.py", line 3, in clean',
        "    x = 1",
        "ValueError: odd",
        "disk is full",
    ]


def test_the_text_of_a_line_is_read_unless_that_is_not_wanted() -> None:
    line = next(
        number
        for number, text in enumerate(Path(HERE).read_text().splitlines(), 1)
        if text == "    return 1 / x"
    )

    assert Frame(HERE, line, "invert").text == "return 1 / x"
    assert Frame(HERE, line, "invert", lookup_line=False).text == ""


def test_an_error_as_a_value_is_read_again_or_told() -> None:
    class Local(Exception):
        pass

    assert isinstance(ErrorValue(ValueError("odd")).error, ValueError)
    unpicklable = ValueError(lambda: 0)
    told = ErrorValue(Stubborn(1, 2)).error
    assert type(told) is Exception
    assert str(told) == "Stubborn(1, 2)"
    assert ErrorValue(unpicklable).error is not None


class Stubborn(Exception):
    """Cannot be made again of its arguments."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(left)
        self.right = right

    def __repr__(self) -> str:
        return f"Stubborn({self.args[0]}, {self.right})"
