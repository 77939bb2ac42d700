"""Fixtures of pytest that are kept between sessions: each session here is a process of its own."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taskgraph.errors import FixtureNotKeptWarning, FixtureRequestError, YieldFixtureError
from taskgraph.testing.plug_in import MODULE, PlugInContract, Result, Step, edit

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "taskgraph.plug.pytest"
# What may be set here and must not be there.
OTHERS = ("TASKGRAPH_CONFIG", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def need(module: str) -> None:
    """Skip if another plug-in of pytest is missing; where CI runs it must be there."""
    if not os.environ.get("CI"):
        pytest.importorskip(module)


def environment() -> dict[str, str]:
    """What a session of pytest is given: this project, no plug-in by itself, and no stale code."""
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        # Edits come within the second that files of compiled code can tell apart.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {name: value for name, value in env.items() if name not in OTHERS}


# The contract of plug-ins: each step is a fixture in a file of its own

_CONFTEST = """
import pickle
import pytest

RESULTS = []

@pytest.fixture
def results():
    return RESULTS

def _sendable(value):
    try:
        return pickle.dumps(value)
    except TypeError:
        return pickle.dumps(repr(value))

def pytest_sessionfinish():
    with open("results.bin", "wb") as file:
        pickle.dump([_sendable(each) for each in RESULTS], file)
"""


def step_file(step: Step, parameters: Sequence[str]) -> str:
    """Return a test file with a step as a cached fixture, and its arguments as plain ones."""
    text = (
        f"import pytest\nfrom taskgraph import File, cached\nimport {MODULE}\n\n"
        f"step = pytest.fixture(name='step')(cached({MODULE}.{step.function}))\n\n"
    )
    for name, value in zip(parameters, step.args, strict=True):
        shown = f"results[{value.step}]" if isinstance(value, Result) else written(value)
        text += f"@pytest.fixture\ndef {name}(results):\n    return {shown}\n\n"
    return text + "def test_step(step, results):\n    results.append(step)\n"


def written(value: Any) -> str:
    return f"File({value.path!r})" if hasattr(value, "path") else repr(value)


class TestFixtures(PlugInContract):
    """Fixtures of a session."""

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        for old in folder.glob("test_step_*.py"):
            old.unlink()
        (folder / "conftest.py").write_text(_CONFTEST)
        functions = ast.parse((folder / f"{MODULE}.py").read_text()).body
        parameters = {
            each.name: [arg.arg for arg in each.args.args]
            for each in functions
            if isinstance(each, ast.FunctionDef)
        }
        for number, step in enumerate(steps):
            text = step_file(step, parameters[step.function])
            (folder / f"test_step_{number}.py").write_text(text)

        # What cannot be kept is warned of, and here that is no news.
        ignored = f"ignore::taskgraph.errors.{FixtureNotKeptWarning.__name__}"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", "-W", ignored, "-p", PLUGIN],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return [pickle.loads(each) for each in pickle.loads((folder / "results.bin").read_bytes())]


# What pytest adds

HELPERS = """
def factor():
    # How much.
    return 2
"""
RAN = """
from pathlib import Path

def ran(name):
    with Path(__file__).with_suffix(".txt").open("a") as file:
        file.write(name + "\\n")
"""
CONFTEST = '''
import pytest
from taskgraph import cached
from helpers import factor
from ran import ran

@pytest.fixture(scope="session")
@cached
def table():
    # Pytest rewrites this assertion.
    ran("table")
    assert factor() > 0, "a factor"
    return [float(each * factor()) for each in range(3)]

@pytest.fixture
@cached
def total(table):
    """Return a total."""
    ran("total")
    return sum(table) + 0.5
'''
TESTS = """
def test_table(table): assert table[0] == 0.0
def test_total(total): assert total > 0
def test_total_again(total): assert total > 0
"""


class Project:
    """A project with tests; each `session` is a process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.plugins = [PLUGIN]

    def write(self, **sources: str) -> None:
        for name, text in sources.items():
            (self.path / f"{name}.py").write_text(text)

    def session(self, *args: str) -> pytest.RunResult:
        # Not `pytester.plugins`: pytest 8 takes the first of them only.
        plugins = [f"-p{each}" for each in self.plugins]
        return self.pytester.runpytest_subprocess(*plugins, *args)

    def explained(self, *args: str) -> dict[str, str]:
        """Run a session; return what it says of each fixture, with one space between words."""
        lines = self.session("--taskgraph-explain", *args).outlines
        start = next(n for n, line in enumerate(lines) if line.strip("=") == " taskgraph ")
        told = {}
        for line in lines[start + 1 :]:
            match = re.fullmatch(r"(found|ran|raised|not kept) +(\S+) *(.*)", line)
            if match is None:
                break
            told[match[2]] = f"{match[1]} {match[3]}".strip()
        return told

    def ran(self) -> list[str]:
        """Return which fixtures ran since this was asked the last time."""
        path = self.path / "ran.txt"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def log(self, *args: str) -> pytest.RunResult:
        """Run `taskgraph log`."""
        return self.pytester.run(sys.executable, "-m", "taskgraph.cli.main", "log", *args)

    def executions(self) -> list[tuple[str, str]]:
        """Return the id and the status of each execution, the newest first."""
        told = json.loads("\n".join(self.log("--json").outlines))
        return [(each["id"], each["status"]) for each in told]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    made = Project(pytester)
    made.write(ran=RAN)
    return made


@pytest.fixture
def example(project: Project) -> Project:
    """A project whose fixtures are in a conftest, and where one session has been."""
    project.write(helpers=HELPERS, conftest=CONFTEST, test_example=TESTS)
    project.session().assert_outcomes(passed=3)
    assert project.ran() == ["table", "total"]
    return project


def test_second_session_finds_what_the_first_one_made(example: Project) -> None:
    example.session().assert_outcomes(passed=3)

    assert example.ran() == []


def test_an_edited_helper_runs_exactly_once_and_is_named(example: Project) -> None:
    edit(example.path / "helpers.py", "return 2", "return 3")

    told = example.explained()

    assert example.ran() == ["table", "total"]
    assert told["conftest.table"].startswith("ran helpers.factor changed (taskgraph explain ")
    assert (
        told["conftest.total"].startswith("found ")
        or "conftest.table gave" in (told["conftest.total"])
    )
    example.session()
    assert example.ran() == []


def test_edited_comments_docstrings_and_scopes_change_nothing(example: Project) -> None:
    edit(example.path / "helpers.py", "# How much.", "# How much,\n    # or how often.")
    edit(example.path / "conftest.py", "# Pytest rewrites", "# Here\n    # pytest rewrites")
    edit(example.path / "conftest.py", '"""Return a total."""', '"""Make it."""  # of all\n')
    edit(example.path / "conftest.py", 'scope="session"', 'scope="module"')

    example.session().assert_outcomes(passed=3)

    assert example.ran() == []


def test_an_edited_input_file_runs_what_takes_it(project: Project) -> None:
    project.write(
        test_input="""
import pytest
from taskgraph import File, cached
from ran import ran

@pytest.fixture
def source():
    return File("in.txt")

@pytest.fixture
@cached
def length(source):
    ran("length")
    return len(source.read())

def test_length(length):
    assert length == len(open("in.txt").read())
"""
    )
    (project.path / "in.txt").write_text("abc")
    for _ in range(2):
        project.session().assert_outcomes(passed=1)
    assert project.ran() == ["length"]

    (project.path / "in.txt").write_text("abcd")
    told = project.explained()

    assert project.ran() == ["length"]
    assert "in.txt" in told["test_input.length"]


def test_log_names_the_fixture_that_wrote_a_file(project: Project) -> None:
    project.write(
        test_report="""
import pytest
from taskgraph import File, cached

@pytest.fixture(scope="session")
@cached
def numbers():
    return [1.5, 2.5]

@pytest.fixture(scope="session")
@cached
def report(numbers):
    file = File("report.txt")
    file.write(str(sum(numbers)))
    return file

def test_report(report):
    assert report.read() == "4.0"
"""
    )
    project.session().assert_outcomes(passed=1)

    log = project.log("report.txt")

    log.stdout.fnmatch_lines(["*test_report.report(numbers=*", "*test_report.numbers()*"])


def test_the_decorators_may_stand_in_any_order(project: Project) -> None:
    project.write(
        test_order="""
import pytest
from taskgraph import cached
from ran import ran

@cached(version="1")
@pytest.fixture(scope="module", name="above")
def _above():
    ran("above")
    return [1]

@pytest.fixture
@cached(version="1")
def below(above):
    ran("below")
    return [2]

def test_both(above, below):
    assert (above, below) == ([1], [2])
"""
    )

    for _ in range(2):
        project.session("-W", "error").assert_outcomes(passed=1)

    assert project.ran() == ["above", "below"]


def test_each_param_counts_and_a_new_one_runs_alone(project: Project) -> None:
    text = """
import pytest
from taskgraph import cached
from ran import ran

@pytest.fixture(params=["small", "large"])
@cached
def size(request):
    ran(request.param)
    return {"small": 1, "large": 100, "huge": 1000}[request.param]

def test_size(size):
    assert size in (1, 100, 1000)
"""
    project.write(test_params=text)
    project.session().assert_outcomes(passed=2)
    assert project.ran() == ["small", "large"]

    project.write(test_params=text.replace('"large"]', '"large", "huge"]'))
    project.session().assert_outcomes(passed=3)

    assert project.ran() == ["huge"]


def test_more_of_request_than_its_param_is_refused_with_advice(project: Project) -> None:
    project.write(
        test_request="""
import pytest
from taskgraph import cached

@pytest.fixture
@cached
def root(request): return str(request.config.rootpath)

@pytest.fixture
@cached
def param(request): return request.param

@pytest.fixture
@cached(config_args=["request"])
def left_out(request): return request.node.name

def test_root(root): pass
def test_param(param): pass
def test_left_out(left_out): assert left_out == "test_left_out"
"""
    )

    done = project.session()

    done.assert_outcomes(passed=1, errors=2)
    done.stdout.fnmatch_lines(
        [
            f"*{FixtureRequestError.__name__}: *request.config*@cached(config_args=*",
            f"*{FixtureRequestError.__name__}: The fixture has no param*",
        ]
    )


YIELDING = """
import pytest
from taskgraph import cached

@pytest.fixture
@cached
def below():
    yield 1

@cached
@pytest.fixture
def above():
    yield 1

@pytest.fixture
@cached
async def later():
    yield 1
"""


@pytest.mark.parametrize("place", ["conftest", "test_yields"])
def test_a_fixture_that_yields_fails_alone(project: Project, place: str) -> None:
    tests = """
def test_below(below): pass
def test_above(above): pass
def test_later(later): pass
def test_other(): pass
"""
    sources = {"conftest": "", "test_yields": tests}
    project.write(**{**sources, place: YIELDING + sources[place]})

    done = project.session()

    done.assert_outcomes(passed=1, errors=3)
    done.stdout.fnmatch_lines([f"*{YieldFixtureError.__name__}: * yields*Make it two*"] * 3)


def test_a_method_that_yields_fails_alone(project: Project) -> None:
    project.write(
        test_methods="""
import pytest
from taskgraph import cached

class TestMethods:
    @pytest.fixture
    @cached
    def below(self):
        yield 1

    @cached
    @pytest.fixture
    def above(self):
        yield 1

    def test_below(self, below): pass
    def test_above(self, above): pass
    def test_other(self): pass
"""
    )

    project.session().assert_outcomes(passed=1, errors=2)


def test_generators_that_are_no_fixtures_are_refused_where_they_are_defined(
    project: Project,
) -> None:
    project.write(
        library="from taskgraph import cached\n@cached\ndef numbers():\n    yield 1\n",
        test_generators="""
import pytest
from taskgraph import cached
from taskgraph.errors import GeneratorCallError

def test_of_another_module():
    with pytest.raises(GeneratorCallError):
        import library

def test_own():
    with pytest.raises(GeneratorCallError):
        @cached
        def numbers():
            yield 1
""",
    )

    project.session().assert_outcomes(passed=2)


NOT_KEPT = """
import threading
import pytest
from taskgraph import cached

@pytest.fixture
@cached
def lock():
    return threading.Lock()

@pytest.fixture
@cached
def patched(monkeypatch):
    return 1

@pytest.fixture
@cached
def below(tmp_path):
    return str(tmp_path)

@pytest.fixture
def handle():
    with open(__file__) as file:
        yield file

@pytest.fixture
@cached
def opened(handle):
    return handle.readline()

def test_lock(lock): assert lock.acquire()
def test_patched(patched): assert patched == 1
def test_below(below, tmp_path): assert below == str(tmp_path)
def test_opened(opened): assert opened == "\\n"
"""


def test_what_cannot_be_kept_is_used_and_said(project: Project) -> None:
    project.write(test_not_kept=NOT_KEPT)

    done = project.session()

    done.assert_outcomes(passed=4, warnings=4)
    done.stdout.fnmatch_lines(
        [
            "*: FixtureNotKeptWarning: The cached fixture test_not_kept.lock is not kept *lock*",
            '*test_not_kept.patched*config_args=?"monkeypatch"?*',
            '*test_not_kept.below*config_args=?"tmp_path"?*',
            '*test_not_kept.opened*handle*config_args=?"handle"?*',
            "=* taskgraph =*",
            "not kept  test_not_kept.lock     its result: *lock*",
            "not kept  test_not_kept.patched  its argument monkeypatch *",
            "not kept  test_not_kept.below    its argument tmp_path *",
            "not kept  test_not_kept.opened   handle (a *",
        ]
    )


def test_a_warning_can_be_made_an_error(project: Project) -> None:
    project.write(test_not_kept=NOT_KEPT)

    done = project.session("-W", f"error::taskgraph.errors.{FixtureNotKeptWarning.__name__}")

    done.assert_outcomes(errors=4)


def test_an_argument_that_is_left_out_does_not_count(project: Project) -> None:
    text = NOT_KEPT.replace("@cached\ndef below", '@cached(config_args=["tmp_path"])\ndef below')
    project.write(test_left_out=text.replace("assert below ==", "assert below or"))

    for _ in range(2):
        told = project.explained("-k", "below")

    assert told["test_left_out.below"].startswith("found made by execution ")


def test_without_a_database_fixtures_run_and_that_is_said(project: Project) -> None:
    (project.path / ".taskgraph").mkdir()
    (project.path / ".taskgraph" / "taskgraph.db").write_bytes(b"no database " * 1000)
    project.write(helpers=HELPERS, conftest=CONFTEST, test_example=TESTS)

    done = project.session()

    done.assert_outcomes(passed=3, warnings=3)
    assert project.ran() == ["table", "total", "total"]
    done.stdout.fnmatch_lines(["not kept  conftest.table  *database*"])


def test_fixtures_of_classes_are_methods_of_the_test_s_own_instance(project: Project) -> None:
    project.write(
        test_methods="""
import pytest
from taskgraph import cached
from ran import ran

class TestMethods:
    @pytest.fixture(autouse=True)
    def prepared(self):
        self.size = 3

    @pytest.fixture
    @cached
    def own(self):
        ran("own")
        return [self.size]

    @pytest.fixture
    @staticmethod
    @cached
    def free(own):
        ran("free")
        return own * 2

    def test_own(self, own):
        assert own == [3]

    def test_free(self, free):
        assert free == [3, 3]
"""
    )

    for _ in range(2):
        project.session("-W", "error").assert_outcomes(passed=2)

    assert project.ran() == ["own", "free"]


RAISING = """
import pytest
from taskgraph import cached
from ran import ran

@pytest.fixture
@cached
def broken():
    ran("broken")
    {}

def test_broken(broken): pass
"""


@pytest.mark.parametrize(
    ("body", "outcome", "told"),
    [
        ('raise ValueError("no such thing")', {"errors": 1}, "raised ValueError: no such thing"),
        ('pytest.skip("no such machine")', {"skipped": 1}, "raised Skipped: no such machine"),
    ],
    ids=["error", "skip"],
)
def test_what_is_raised_is_recorded_and_not_kept(
    project: Project, body: str, outcome: dict[str, int], told: str
) -> None:
    project.write(test_raising=RAISING.format(body))

    project.session().assert_outcomes(**outcome)

    assert project.explained()["test_raising.broken"] == told
    assert project.ran() == ["broken"] * 2


def test_an_interrupted_fixture_is_not_kept(project: Project) -> None:
    project.write(test_raising=RAISING.format("raise KeyboardInterrupt"))
    assert project.session().ret == pytest.ExitCode.INTERRUPTED

    project.write(test_raising=RAISING.format("return 1"))
    project.session().assert_outcomes(passed=1)

    assert [state for _, state in project.executions()] == ["DONE"] * 2


def test_a_lazy_call_as_result_is_an_error(project: Project) -> None:
    project.write(
        test_lazy="""
import pytest
from taskgraph import cached, task

@task
def one(): return 1

@pytest.fixture
@cached
def lazy(): return one()

def test_lazy(lazy): pass
"""
    )

    done = project.session()

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*LazyResultError: test_lazy.lazy returned a call of*"])


def test_calls_within_a_fixture_are_its_children(project: Project) -> None:
    project.write(
        test_within="""
import pytest
from taskgraph import cached

@cached
def inner(x): return [x]

@pytest.fixture
@cached
def outer(): return inner(1) + inner(2)

def test_outer(outer): assert outer == [1, 2]
"""
    )
    project.session().assert_outcomes(passed=1)

    log = project.log("-")

    calls = [line.partition("✓")[0].count(" ") for line in log.outlines if "✓ test_" in line]
    assert calls[1] == calls[2] > calls[0]


def test_tests_that_change_the_folder_find_what_is_kept(project: Project) -> None:
    project.write(
        helpers=HELPERS,
        conftest=CONFTEST,
        test_elsewhere="""
import pytest

@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

def test_total(elsewhere, total, tmp_path):
    assert not (tmp_path / ".taskgraph").exists()
""",
    )

    for _ in range(2):
        project.session().assert_outcomes(passed=1)

    assert project.ran() == ["table", "total"]


# What is told


def test_explain_names_the_execution_that_made_a_result(example: Project) -> None:
    ((made, _),) = example.executions()

    told = example.explained()

    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d in [\d.]+ ms"
    assert re.fullmatch(f"found made by execution {made[:8]} at {when}", told["conftest.table"])
    assert re.search(r"  \(x2\)$", told["conftest.total"])


def test_explain_says_that_a_fixture_is_new(project: Project) -> None:
    project.write(helpers=HELPERS, conftest=CONFTEST, test_example=TESTS)

    told = project.explained("-k", "test_total_again")

    assert told == dict.fromkeys(told, "ran it was never called before")
    assert list(told) == ["conftest.table", "conftest.total"]


def test_a_line_counts_what_became_of_the_fixtures(example: Project) -> None:
    line = "taskgraph: cached fixtures: 3 found (--taskgraph-explain says why)"

    assert line in example.session().outlines
    assert line not in example.session("-q").outlines


def test_help_says_what_the_option_does(project: Project) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    info = project.path / "installed-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 0\n")
    lines = [f"{name} = {module}" for name, module in scripts["pytest11"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    env = {
        **environment(),
        "PYTHONPATH": f"{project.path}{os.pathsep}{environment()['PYTHONPATH']}",
    }
    del env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], env=env, capture_output=True, text=True
    )

    assert "--taskgraph-explain" in done.stdout
    assert "or why it ran" in " ".join(done.stdout.split())


# Sessions that use none of it


def test_the_plug_in_loads_nothing_heavy(project: Project) -> None:
    project.write(
        test_plain="""
import sys

def test_plain():
    loaded = {name for name in sys.modules if name.partition("_")[0] == "taskgraph"}
    loaded |= {name for name in sys.modules if name.startswith("taskgraph.")}
    assert loaded == {
        "taskgraph", "taskgraph._version", "taskgraph.plug", "taskgraph.plug.hosts",
        "taskgraph.plug.pytest",
    }
    assert not {"sqlalchemy", "cloudpickle", "fsspec", "rich", "click"} & set(sys.modules)
"""
    )

    project.session().assert_outcomes(passed=1)

    assert not (project.path / ".taskgraph").exists()


def test_a_session_without_cached_fixtures_is_as_it_is_without_the_plug_in(
    project: Project,
) -> None:
    project.write(
        test_plain="""
import pytest

@pytest.fixture
def good():
    yield 1

@pytest.fixture
def bad(good):
    raise ValueError(good)

def test_good(good): pass
def test_bad(bad): pass
def test_failing(good): assert good == 2
"""
    )
    outputs = []
    for plugins in ([PLUGIN], []):
        project.plugins = list(plugins)
        lines = project.session("-rA", "--setup-show").outlines
        outputs.append([re.sub(r"in \d+\.\d+s", "", line) for line in lines])

    assert outputs[0] == outputs[1]


# Other plug-ins of pytest


def test_several_processes_share_what_is_kept(example: Project) -> None:
    need("xdist")
    example.plugins += ["xdist.plugin"]
    edit(example.path / "helpers.py", "return 2", "return 3")

    first = example.session("-n", "2", "--dist", "each", "--tx", "2*popen")
    told = example.explained("-n", "2")

    first.assert_outcomes(passed=6)
    assert set(example.ran()) == {"table", "total"}
    assert {name: text.partition(" ")[0] for name, text in told.items()} == {
        "conftest.table": "found",
        "conftest.total": "found",
    }
    assert [state for _, state in example.executions()] == ["DONE"] * 5


ASYNC = """
import pytest
{imports}
from ran import ran
from taskgraph import cached

@{fixture}
@cached
async def numbers():
    ran("numbers")
    return [1.5]

@{fixture}
@cached
async def total(numbers):
    ran("total")
    return sum(numbers)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@{mark}
async def test_total(total):
    assert total == 1.5
"""


@pytest.mark.parametrize("tool", ["anyio", "pytest_asyncio"])
def test_async_fixtures_are_kept_too(project: Project, tool: str) -> None:
    if tool == "pytest_asyncio":  # not among the test dependencies: it warns in each session
        pytest.importorskip(tool)
        project.plugins += ["pytest_asyncio.plugin"]
        names = {"fixture": "pytest_asyncio.fixture", "mark": "pytest.mark.asyncio"}
    else:
        need(tool)
        project.plugins += ["anyio.pytest_plugin"]
        names = {"fixture": "pytest.fixture", "mark": "pytest.mark.anyio"}
    project.write(test_async=ASYNC.format(imports=f"import {tool}", **names))

    for _ in range(2):
        project.session().assert_outcomes(passed=1)

    assert project.ran() == ["numbers", "total"]


def test_without_the_plug_in_fixtures_are_kept_as_cached_functions_are(example: Project) -> None:
    example.plugins = []

    example.session().assert_outcomes(passed=3)

    assert example.ran() == []
