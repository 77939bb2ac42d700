"""`%%cached` in real kernels: what runs again, what is bound, what is shown, what is said."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from taskgraph.testing.plug_in import PlugInContract, Result, Step

if not os.environ.get("CI"):
    pytest.importorskip("IPython")
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")

from tests.plugs.notebook import ROOT, Notebook, kernel

# What the kernels' client leaves open when it ends is its own affair.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TestCells(PlugInContract):
    """A cached cell for each step, in a new kernel for each run."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        with kernel(folder) as notebook:
            notebook.run("import steps\nfrom taskgraph import File")
            for number, (function, args) in enumerate(steps):
                names: list[str] = []
                for place, each in enumerate(args):
                    names.append(f"given_{number}_{place}")
                    source = f"result_{each.step}" if isinstance(each, Result) else _written(each)
                    notebook.run(f"{names[-1]} = {source}")
                call = f"result_{number} = steps.{function}({', '.join(names)})"
                done = notebook.run(f"%%cached --name {function}\n{call}")
                if done.error:
                    raise RuntimeError(done.error)
            printed = [notebook.run(f"print(repr(result_{n}))").printed for n in range(len(steps))]
        return [_read(each) for each in printed]


def _written(value: Any) -> str:
    return f"File({value.path!r})" if hasattr(value, "path") else repr(value)


def _read(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):  # of an object
        return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose kernel all tests share: each has names of its own."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def notebook(folder: Path) -> Iterator[Notebook]:
    (folder / ".taskgraph").mkdir()
    with kernel(folder) as made:
        yield made


# Restarts


def test_a_new_kernel_finds_what_the_old_one_made(tmp_path: Path) -> None:
    cells = ["raw = [1.5, 2.5]", "%%cached\nprint('adding')\ntotal = sum(raw)\ntotal * 2"]
    with kernel(tmp_path) as first:
        made = first.run(*cells)
    with kernel(tmp_path) as second:
        found = second.run(*cells)
        total = second.run("total").shown

    assert made.ran and not found.ran
    assert total == ["4.0"]
    assert (found.printed, found.shown) == (made.printed, made.shown) == ("adding\n", ["8.0"])


def test_definitions_of_a_cell_are_there_after_a_restart(tmp_path: Path) -> None:
    cell = (
        "%%cached\nimport math\nclass Box:\n    def __init__(self, x):\n        self.x = x\n"
        "def half(x):\n    return x / 2\ndouble = lambda x: 2 * x\nbox = Box(half(math.floor(3.5)))"
    )
    look = "isinstance(box, Box), box.x, half(3), double(2), math.pi > 3"
    with kernel(tmp_path) as first:
        first.run(cell)
    with kernel(tmp_path) as second:
        assert not second.run(cell).ran
        assert second.run(look).shown == ["(True, 1.5, 1.5, 4, True)"]


def test_a_cached_function_of_a_notebook_is_kept_for_the_next_kernel(tmp_path: Path) -> None:
    cells = [
        "from taskgraph import cached\ndef helper(x):\n    # {}\n    return x + 1\n"
        "@cached\ndef step(x):\n    print('step runs')\n    return helper(x)",
        "step(2000)",
    ]
    with kernel(tmp_path) as first:
        made = first.run(cells[0].format("one"), cells[1])
    with kernel(tmp_path) as second:
        found = second.run(cells[0].format("another"), cells[1])
        edited = second.run(cells[0].replace("x + 1", "x + 2"), cells[1])

    assert (made.printed, made.shown) == ("step runs\n", ["2001"])
    assert (found.printed, found.shown) == ("", ["2001"])
    assert (edited.printed, edited.shown) == ("step runs\n", ["2002"])


# What counts


def test_an_edited_helper_of_another_cell_runs_a_cell_again_once(notebook: Notebook) -> None:
    helper = "def grow(x):\n    # {}\n    return x + {}"
    cell = "%%cached\ngrown = grow(10)"
    notebook.run(helper.format("Much.", 1), cell)

    commented = notebook.run(helper.format("Or more.", 1), cell)
    edited = notebook.run(helper.format("Much.", 2), cell)
    again = notebook.run(helper.format("Much.", 2), cell)

    assert [commented.ran, edited.ran, again.ran] == [False, True, False]
    assert "grow changed" in edited.state
    assert notebook.run("grown").shown == ["12"]


def test_a_comment_in_the_cell_does_not_count_and_its_code_does(notebook: Notebook) -> None:
    notebook.run("%%cached --name area\narea = 3 * 4")

    commented = notebook.run("%%cached --name area\n# Of the room.\narea = (3\n    * 4)")
    edited = notebook.run("%%cached --name area\narea = 3 * 5")

    assert not commented.ran
    assert edited.ran and "its code changed" in edited.state


def test_an_edited_input_file_runs_a_cell_again(notebook: Notebook, folder: Path) -> None:
    (folder / "in.txt").write_text("abc")
    cells = [
        "from taskgraph import File\nsource = File('in.txt')",
        "%%cached\nn = len(source.read())",
    ]
    notebook.run(*cells)
    assert not notebook.run(*cells).ran

    (folder / "in.txt").write_text("abcd")

    changed = notebook.run(*cells)
    assert changed.ran and "file in.txt changed" in changed.state
    assert notebook.run("n").shown == ["4"]


def test_a_value_of_another_cell_is_an_input(notebook: Notebook) -> None:
    cell = "%%cached\nscaled = rate * 2"
    notebook.run("rate = 1", cell)

    changed = notebook.run("rate = 3", cell)
    back = notebook.run("rate = 1", cell)

    assert changed.ran and "rate changed from 1 to 3" in changed.state
    assert not back.ran
    assert notebook.run("scaled").shown == ["2"]


def test_a_loop_whose_names_are_bound_already_is_found(notebook: Notebook) -> None:
    cell = "%%cached\nfor step_no in range(3):\n    seen = step_no\nseen"
    notebook.run(cell)

    again = notebook.run(cell)

    assert not again.ran
    assert again.shown == ["2"]


def test_a_loop_that_does_not_run_leaves_its_names_as_they_were(notebook: Notebook) -> None:
    cell = "%%cached\nfor left in []:\n    pass"

    done = notebook.run("left = 7", cell)

    assert "left" not in done.state
    assert notebook.run("left").shown == ["7"]


def test_a_name_that_a_cell_may_leave_as_it_is_is_an_input(notebook: Notebook) -> None:
    cell = "%%cached\nif False:\n    mode = 'new'\nchosen = mode"
    notebook.run("mode = 'old'", cell)

    assert notebook.run("mode = 'other'", cell).ran
    assert notebook.run("chosen").shown == ["'other'"]


def test_inputs_that_are_named_are_all_that_counts(notebook: Notebook) -> None:
    cell = "%%cached --inputs size\nsized = size if handle else 0"
    notebook.run("import threading\nhandle, size = threading.Lock(), 5", cell)

    assert not notebook.run("handle = threading.Lock()", cell).ran
    assert notebook.run("size = 6", cell).ran


def test_outputs_that_are_named_are_all_that_is_kept(notebook: Notebook) -> None:
    cell = "%%cached --outputs count\nimport threading\nguard = threading.Lock()\ncount = 3"

    first, second = notebook.run(cell), notebook.run("del guard", cell)

    assert first.ran and not second.ran
    assert second.state.endswith(": count")
    assert "NameError" in notebook.run("guard").error


def test_no_cache_runs_a_cell_and_keeps_what_it_gives(notebook: Notebook) -> None:
    notebook.run("%%cached\nimport random\nlucky = random.random()")

    done = notebook.run("%%cached --no-cache\nimport random\nlucky = random.random()")
    new = notebook.run("lucky").shown
    found = notebook.run("%%cached\nimport random\nlucky = random.random()")

    assert done.ran and not found.ran
    assert notebook.run("lucky").shown == new


# What is kept besides


def test_an_input_that_is_changed_in_place_is_kept_as_well(tmp_path: Path) -> None:
    cells = ["basket = ['apple']", "%%cached\nbasket.append('pear')"]
    with kernel(tmp_path) as first:
        made = first.run(*cells)
        once_more = first.run(cells[1])
    with kernel(tmp_path) as second:
        found = second.run(*cells)
        basket = second.run("basket").shown

    assert made.ran and "changed in place, and kept as it is now: basket" in made.state
    assert once_more.ran  # its input is another one now
    assert not found.ran
    assert basket == ["['apple', 'pear']"]


def test_names_that_a_cell_deletes_are_deleted_on_a_hit(notebook: Notebook) -> None:
    cell = "%%cached\nkept = 1\ndel unwanted"
    notebook.run("unwanted = 1", cell)

    found = notebook.run("unwanted = 2", cell)

    assert not found.ran
    assert "NameError" in notebook.run("unwanted").error


def test_what_is_displayed_is_shown_again_in_its_order(notebook: Notebook) -> None:
    cell = (
        "%%cached\nfrom IPython.display import HTML, display\nprint('one')\n"
        "display(HTML('<b>two</b>'))\nshown = display('three', display_id=True)\n"
        "shown.update('four')\nshown = None"
    )

    first, second = notebook.run(cell), notebook.run(cell)

    assert first.ran and not second.ran
    assert second.printed == first.printed == "one\n"
    assert second.shown == ["<IPython.core.display.HTML object>", "'four'"]


def test_a_terminal_shows_it_again_as_well(tmp_path: Path) -> None:
    (tmp_path / ".taskgraph").mkdir()
    cell = "%%cached\nprint('one')\ndisplay('two')\nx = 3\nx + 1"
    (tmp_path / "cells.ipy").write_text(
        "%load_ext taskgraph\nfor _ in range(2):\n"
        f"    get_ipython().run_cell({cell!r}, store_history=True)\n    print('---')\n"
    )

    shown = _python(tmp_path, "IPython", "--no-banner", "--simple-prompt", "cells.ipy")

    first, second, _ = ([*filter(None, each.split("\n"))] for each in shown.split("---"))
    assert first[:3] == ["one", "'two'", "Out[1]: 4"] and first[3].startswith("▶ ran")
    assert second[:3] == ["one", "'two'", "4"] and second[3].startswith("✓ from the cache")


def test_a_semicolon_at_the_end_counts_for_what_is_shown(notebook: Notebook) -> None:
    loud, quiet = notebook.run("%%cached\n40 + 2"), notebook.run("%%cached\n40 + 2;")

    assert (loud.shown, quiet.shown) == (["42"], [])
    assert notebook.run("%%cached\n40 + 2").shown == ["42"]


# What cannot be kept


def test_an_output_that_cannot_be_stored_is_bound_and_said(notebook: Notebook) -> None:
    cell = "%%cached\nimport threading\nfence = threading.Lock()"

    first, second = notebook.run(cell), notebook.run(cell)

    assert first.ran and second.ran
    assert "not kept, so it runs each time: fence (a _thread.lock) cannot be stored" in second.state
    assert "lock" in notebook.run("fence").shown[0]


def test_the_way_out_names_what_can_be_kept(notebook: Notebook) -> None:
    body = "import threading\nrail, height = threading.Lock(), 3"

    refused = notebook.run(f"%%cached\n{body}")
    option = refused.state.rpartition("%%cached ")[2]
    taken = [notebook.run(f"%%cached {option}\n{body}") for _ in range(2)]

    assert option == "--outputs height"
    assert [each.ran for each in taken] == [True, False]


def test_a_cell_may_keep_only_what_it_shows(notebook: Notebook) -> None:
    cell = "%%cached --outputs ''\nimport threading\nbolt = threading.Lock()\nprint('shown')"

    first, second = notebook.run(cell), notebook.run(cell)

    assert first.ran and not second.ran
    assert second.printed == "shown\n"


def test_an_input_without_a_hash_is_said_with_what_to_do(notebook: Notebook) -> None:
    cell = "%%cached\nbusy = gate.locked()"

    done = notebook.run("import threading\ngate = threading.Lock()", cell)

    assert done.ran and done.state.startswith("▶ ran (")
    assert ", not kept): busy" in done.state
    assert "the input gate (a _thread.lock) has no stable hash" in done.state
    assert done.state.endswith("%%cached --inputs ''")
    assert notebook.run("busy").shown == ["False"]


def test_an_error_is_that_of_the_cell_on_its_own_lines(notebook: Notebook) -> None:
    cell = "%%cached\nabove = 1\nbelow = above / 0"

    for _ in range(2):
        error = notebook.run(cell).error
        assert "----> 3 below = above / 0" in error
        assert error.endswith("ZeroDivisionError: division by zero")
        assert "taskgraph/plug" not in error


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%cached\nawait sleep()", "cannot wait for what is awaited at the top of a cell"),
        ("%%cached\nfrom math import *", "cannot know what `import *` binds"),
        ("%%cached\n%%time\nx = 1", "must be the last magic of a cell: put '%%time' above it"),
        ("%%cached --inputs nothing\nx = 1", "--inputs: there is no 'nothing'"),
        ("%%cached --outputs nothing\nx = 1", "--outputs: there is no 'nothing'"),
        ("%%cached --name a-b\nx = 1", "--name: 'a-b' is no name"),
        ("%%cached --bad\nx = 1", "unrecognized arguments: --bad"),
    ],
)
def test_what_cannot_be_is_refused_in_words(notebook: Notebook, cell: str, words: str) -> None:
    error = notebook.run(cell).error

    assert error.startswith("UsageError") and words in error


def test_an_import_that_needs_the_lines_above_it_is_said(notebook: Notebook, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "far_away.py").write_text("distance = 12\n")
    cell = (
        "%%cached\nimport sys\nsys.path.insert(0, 'elsewhere')\nimport far_away\n"
        "km = far_away.distance"
    )

    done = notebook.run(cell)

    assert done.ran and ", not kept): km" in done.state
    assert "`import far_away` fails before the cell has run" in done.state
    assert notebook.run("km").shown == ["12"]
    assert [notebook.run(cell).ran for _ in range(2)] == [True, False]


# What is said, and recorded


def test_the_state_says_what_was_bound_and_when_it_was_made(notebook: Notebook) -> None:
    first = notebook.run("%%cached\nleft_arm, right_arm = 1, 2")
    second = notebook.run("%%cached\nleft_arm, right_arm = 1, 2")

    assert first.state.startswith("▶ ran (") and first.state.endswith(
        "the first time): left_arm, right_arm"
    )
    assert second.state.startswith("✓ from the cache (made 2")
    assert " by execution " in second.state
    assert "<b>✓ from the cache</b>" in second.html and "left_arm, right_arm" in second.html


def test_log_names_the_cells_and_functions_that_a_file_came_from(
    notebook: Notebook, folder: Path
) -> None:
    notebook.run(
        "from taskgraph import File, cached\n@cached\ndef mean(values):\n"
        "    return sum(values) / len(values)",
        "%%cached\nreadings = [1.5, 2.5, 4.5]",
        "average = mean(readings)",
        "%%cached --name report\npage = File('page.txt')\npage.write(f'{average:.2f}')",
    )

    log = _taskgraph(folder, "log", "page.txt")

    written, *before = [log.index(each) for each in ("report(", "mean(", "readings(")]
    assert [written, *before] == sorted([written, *before])


def test_a_function_that_a_cell_calls_is_a_call_within_it(notebook: Notebook, folder: Path) -> None:
    notebook.run(
        "from taskgraph import cached\n@cached\ndef inner_part(x):\n    return x + 0.5",
        "%%cached --name outer_part\nwhole = inner_part(1)",
    )

    explained = _taskgraph(folder, "log", "__main__.outer_part")
    call_hash = (
        notebook.run("from taskgraph import explain\nexplain('__main__.inner_part').job.id")
        .shown[0]
        .strip("'")
    )

    assert "outer_part" in explained
    assert "outer_part" in _taskgraph(folder, "log", call_hash)


def _taskgraph(folder: Path, *words: str) -> str:
    return _python(folder, "taskgraph", *words)


def _python(folder: Path, module: str, *words: str) -> str:
    paths = f"{ROOT}{os.pathsep}{ROOT / 'backend'}"
    env = {**os.environ, "PYTHONPATH": paths, "NO_COLOR": "1", "IPYTHONDIR": str(folder / ".ipy")}
    env.pop("TASKGRAPH_CONFIG", None)
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
