"""The contract of plug-ins, as tests: whatever runs functions inside of another tool is held to it.

A plug-in's tests have a class that says how it runs functions; the rest is inherited::

    from taskgraph.testing.plug_in import PlugInContract, Result, Step

    class TestMyTool(PlugInContract):
        def run(self, folder, steps):
            ...  # in a new session of the tool, with `folder` as working directory
            return results
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taskgraph.assembly.reading import find_record, open_reader
from taskgraph.config import load_settings
from taskgraph.provenance import reading
from taskgraph.provenance.views import ValueDetail

#: The name of the module that holds the functions, in the folder.
MODULE = "steps"

_HELPERS = """
def factor():
    # How much.
    return 2
"""
_STEPS = '''
import threading
from pathlib import Path
from taskgraph import File
from helpers import factor


def _ran(name):
    with open(Path(__file__).with_name("ran.txt"), "a") as file:
        file.write(f"{name}\\n")


def scale(x):
    """Return it scaled."""
    _ran("scale")
    return x * factor()


def numbers(count):
    _ran("numbers")
    return [float(each) for each in range(count)]


def total(values):
    _ran("total")
    return sum(values) + 0.5


def length(path):
    _ran("length")
    return len(path.read())


def save(value, name):
    _ran("save")
    file = File(name)
    file.write(str(value))
    return file


def fail(x):
    _ran("fail")
    raise ValueError(f"not {x}")


def unstorable(x):
    _ran("unstorable")
    return threading.Lock()
'''


class Result(NamedTuple):
    """Stands for what an earlier step gave, in the arguments of a later one."""

    step: int


class Step(NamedTuple):
    """A call of a function of the module `MODULE`.

    Attributes:
        function: Its name.
        args: Numbers, texts, `taskgraph.File` and `Result`.
    """

    function: str
    args: tuple[Any, ...]


class PlugInContract(ABC):
    """Tests that hold for every plug-in."""

    @abstractmethod
    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        """Run functions one after the other, each kept by the plug-in; return their results.

        In a new session of the tool each time, so that nothing is known but what is recorded. An
        error of a function is raised as it is, or as the tool has it.

        Args:
            folder: The working directory; the module, and the project's ``.taskgraph``, lie there.
            steps: The calls. A `Result` among the arguments is replaced by that very result.
        """

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A project with functions to be run."""
        (tmp_path / ".taskgraph").mkdir()
        (tmp_path / "helpers.py").write_text(_HELPERS)
        (tmp_path / f"{MODULE}.py").write_text(_STEPS)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
        yield tmp_path

    def ran(self, folder: Path) -> list[str]:
        """Return which functions ran since this was asked the last time."""
        path = folder / "ran.txt"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    # What is kept

    def test_the_second_run_finds_what_the_first_one_made(self, folder: Path) -> None:
        """An equal call does not run another time, and gives an equal result."""
        first = self.run(folder, [Step("scale", (21,))])
        assert (first, self.ran(folder)) == ([42], ["scale"])

        second = self.run(folder, [Step("scale", (21,))])

        assert (second, self.ran(folder)) == ([42], [])

    def test_other_arguments_are_another_call(self, folder: Path) -> None:
        """What was made for other arguments is not used."""
        self.run(folder, [Step("scale", (1,))])

        assert self.run(folder, [Step("scale", (1.0,)), Step("scale", (2,))]) == [2.0, 4]
        assert self.ran(folder) == ["scale"] * 3

    def test_an_edited_helper_runs_again_exactly_once(self, folder: Path) -> None:
        """Code that a function reaches counts like its own."""
        self.run(folder, [Step("scale", (21,))])
        edit(folder / "helpers.py", "return 2", "return 3")

        results = [self.run(folder, [Step("scale", (21,))]) for _ in range(2)]

        assert results == [[63], [63]]
        assert self.ran(folder) == ["scale"] * 2

    def test_an_edited_comment_changes_nothing(self, folder: Path) -> None:
        """What does not change what a function does does not count."""
        self.run(folder, [Step("scale", (21,))])
        edit(folder / "helpers.py", "# How much.", "# How often,\n    # or how much.")
        edit(folder / f"{MODULE}.py", "Return it scaled.", "Scale it.")

        assert self.run(folder, [Step("scale", (21,))]) == [42]
        assert self.ran(folder) == ["scale"]

    def test_an_edited_input_file_runs_again(self, folder: Path) -> None:
        """Files count by what is in them."""
        from taskgraph.values.files import File

        (folder / "in.txt").write_text("abc")
        steps = [Step("length", (File("in.txt"),))]
        assert [self.run(folder, steps), self.run(folder, steps)] == [[3], [3]]
        assert self.ran(folder) == ["length"]

        (folder / "in.txt").write_text("abcd")

        assert self.run(folder, steps) == [4]
        assert self.ran(folder) == ["length"]

    def test_a_deleted_output_file_is_made_again(self, folder: Path) -> None:
        """A result whose files are not what they were is no result."""
        self.run(folder, [Step("save", (1, "out.txt"))])
        os.remove(folder / "out.txt")

        self.run(folder, [Step("save", (1, "out.txt"))])

        assert (folder / "out.txt").read_text() == "1"
        assert self.ran(folder) == ["save"] * 2

    def test_an_error_is_not_kept(self, folder: Path) -> None:
        """A call that failed runs again, and fails with its own words."""
        for _ in range(2):
            with pytest.raises(Exception, match="not 1"):
                self.run(folder, [Step("fail", (1,))])

        assert self.ran(folder) == ["fail"] * 2
        assert self.states(folder) == Counter({("fail", "FAILED"): 2})

    def test_a_result_that_cannot_be_stored_is_given_all_the_same(self, folder: Path) -> None:
        """Nothing is thrown away for it cannot be kept."""
        for _ in range(2):
            (result,) = self.run(folder, [Step("unstorable", (1,))])
            assert result is not None

        assert self.ran(folder) == ["unstorable"] * 2

    # What is recorded

    def test_each_call_has_its_job(self, folder: Path) -> None:
        """What ran and what was taken from the records is told apart."""
        for _ in range(2):
            self.run(folder, [Step("scale", (1,)), Step("scale", (2,))])

        assert self.states(folder) == Counter({("scale", "DONE"): 2, ("scale", "CACHED"): 2})

    def test_a_file_tells_which_calls_it_came_from(self, folder: Path) -> None:
        """Values that pass from one call to the next are data flow, from the cache too."""
        steps = [
            Step("numbers", (3,)),
            Step("total", (Result(0),)),
            Step("save", (Result(1), "out.txt")),
        ]
        wanted = [(0, "save"), (1, "total"), (2, "numbers")]
        self.run(folder, steps)
        assert (folder / "out.txt").read_text() == "3.5"
        assert self.story(folder, "out.txt") == wanted

        edit(folder / f"{MODULE}.py", "+ 0.5", "+ 1.5")
        self.run(folder, steps)

        assert self.ran(folder) == ["numbers", "total", "save", "total", "save"]
        assert self.story(folder, "out.txt") == wanted

    def story(self, folder: Path, path: str) -> list[tuple[int, str]]:
        """Return the calls that a file came from: how many steps away, and the function."""
        with closing(open_reader(load_settings(folder / ".taskgraph"))) as reader:
            found = find_record(reader, load_settings(folder / ".taskgraph"), str(folder / path))
            view = reading.look_at(reader, found, None)
        assert isinstance(view, ValueDetail)
        return [(each.depth, each.call.task.rpartition(".")[2]) for each in view.story.steps]

    def states(self, folder: Path) -> Counter[tuple[str, str]]:
        """Return how many jobs there are of each function in each state."""
        return job_states(folder)


def job_states(folder: Path) -> Counter[tuple[str, str]]:
    """Return how many jobs a project has recorded, by the function's name and the state."""
    counted: Counter[tuple[str, str]] = Counter()
    with closing(open_reader(load_settings(folder / ".taskgraph"))) as reader:
        for execution in reader.executions():
            for task, states in reader.job_counts(execution.execution.id).items():
                for state, count in states.items():
                    counted[task.rpartition(".")[2], state] += count
    return counted


def load_anew(folder: Path, name: str = MODULE) -> Any:
    """Return a module of a folder, loaded anew with what it imports from there."""
    for each in (name, "helpers"):
        sys.modules.pop(each, None)
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file that has it once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    # Python takes what it compiled before for that of a file of the same size and second.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
