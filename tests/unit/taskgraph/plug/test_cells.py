"""Cells of any tool: bound from the cache, or run and recorded. Notebooks are in tests/plugs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from taskgraph.plug.cells import Cell
from taskgraph.plug.execution import close_executions
from taskgraph.plug.states import CallState
from taskgraph.plug.transcripts import Transcript


class Paper:
    """A screen: what is printed stands on it, and lives as long as it."""

    def __init__(self) -> None:
        self.text = ""

    @contextmanager
    def listening(self, transcript: Transcript) -> Iterator[None]:
        self.transcript = transcript
        with redirect_stdout(self):
            yield

    def write(self, text: str) -> None:
        self.transcript.add_text(text)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        self.text += text

    def show_data(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        raise AssertionError("nothing is displayed here")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / ".taskgraph").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    yield
    close_executions()


def call(source: str, names: dict[str, Any], why: str = "", **options: Any) -> CallState:
    names.setdefault("__name__", "notebook")
    return Cell(dedent(source), names, **options).call(Paper(), why)


def ran(state: CallState) -> bool:
    return state.head == "▶ ran"


def test_equal_names_get_what_others_got() -> None:
    one: dict[str, Any] = {"raw": [1, 2]}
    other: dict[str, Any] = {"raw": [1, 2]}

    made = call("total = sum(raw)", one)
    found = call("total = sum(raw)", other)

    assert ran(made) and not ran(found)
    assert one["total"] == other["total"] == 3
    assert "the first time): total" in repr(made)
    assert "by execution" in repr(found) and repr(found).endswith(": total")


def test_other_values_and_other_code_run() -> None:
    call("total = sum(raw)", {"raw": [1, 2]})

    assert "raw[0] changed from 1 to 5" in repr(call("total = sum(raw)", {"raw": [5, 2]}))
    assert "its code changed" in repr(call("total = sum(raw) + 1", {"raw": [5, 2]}))


def test_what_was_printed_is_shown_again() -> None:
    first, second = Paper(), Paper()

    Cell("print('one')\nprint('two')", {"__name__": "notebook"}).call(first)
    state = Cell("print('one')\nprint('two')", {"__name__": "notebook"}).call(second)

    assert not ran(state)
    assert first.text == second.text == "one\ntwo\n"


def test_it_runs_if_there_is_a_reason_to() -> None:
    call("x = 1", {})

    assert "ms, told to): x" in repr(call("x = 1", {}, why="told to"))


def test_named_inputs_count_alone() -> None:
    call("y = x if z else 0", {"x": 1, "z": 1}, inputs=["x"])

    assert not ran(call("y = x if z else 0", {"x": 1, "z": 2}, inputs=["x"]))
    assert ran(call("y = x if z else 0", {"x": 2, "z": 1}, inputs=["x"]))


def test_named_outputs_are_kept_alone() -> None:
    names: dict[str, Any] = {}
    source = "import threading\nlock = threading.Lock()\nx = 1"

    assert ran(call(source, {}, outputs=["x"]))
    assert not ran(call(source, names, outputs=["x"]))
    assert names["x"] == 1 and "lock" not in names


def test_the_advice_is_in_the_words_of_the_tool() -> None:
    source = "import threading\nlock = threading.Lock()\nx = 1"

    state = call(source, {}, option="-o {}")

    assert repr(state).endswith(
        "not kept, so it runs each time: lock (a _thread.lock) cannot be stored: cannot pickle "
        "'_thread.lock' object. To keep the others alone: -o outputs x"
    )


def test_an_input_without_a_hash_is_told() -> None:
    names: dict[str, Any] = {"size": 1}
    exec("import threading\ngate = threading.Lock()", names)

    state = call("busy = gate.locked(), size", names)

    assert ran(state) and names["busy"] == (False, 1)
    assert "the input gate (a _thread.lock) has no stable hash" in state.notes[0]
    assert state.notes[0].endswith("To have the others count alone: inputs size")


def test_what_is_changed_in_place_or_deleted_is_so_on_a_hit() -> None:
    names: dict[str, Any] = {"basket": ["apple"], "old": 1}
    source = "basket.append('pear')\ndel old"

    state = call(source, {"basket": ["apple"], "old": 1})
    call(source, names)

    assert state.notes == ("changed in place, and kept as it is now: basket",)
    assert names["basket"] == ["apple", "pear"] and "old" not in names


def test_an_error_is_raised_and_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            call("x = 1 / 0", {})


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("await sleep()", {}, "cannot wait for what is awaited at the top of a cell"),
        ("from math import *", {}, "cannot know what `import \\*` binds"),
        ("x = 1", {"name": "a-b"}, "--name: 'a-b' is no name"),
        ("x = 1", {"inputs": ["nothing"]}, "--inputs: there is no 'nothing'"),
        ("x = 1", {"outputs": ["nothing"]}, "--outputs: there is no 'nothing'"),
    ],
)
def test_what_cannot_be_is_refused_before_it_runs(
    source: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Cell(source, {}, option="--{}", **options)


def test_what_is_no_python_is_a_syntax_error_at_its_place() -> None:
    with pytest.raises(SyntaxError) as caught:
        Cell("x = 1\nreturn x", {}, filename="<here>")

    assert (caught.value.filename, caught.value.lineno) == ("<here>", 2)
