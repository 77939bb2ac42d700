"""Several processes move records at once, or are killed: nothing is lost, nothing is half there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph import Scheduler, exchange, task
from taskgraph.config import Settings
from taskgraph_backend import SqlBackend, integrity, models
from tests.forked import start_python

ROOT = Path(__file__).parents[2]
CALLS = 300
RECORDS = {"CallNode": CALLS + 1, "Execution": 1, "Job": CALLS + 1}

# Both are there before either of them begins.
GATED = """
import sys
from taskgraph.cli.main import main
import taskgraph.exchange, taskgraph_backend.moving, taskgraph_backend.serializers
print("ready", flush=True)
input()
sys.exit(main(sys.argv[1:]))
"""

# Ends in the middle: when so many records, or statements of a transaction, were written.
KILLED = """
import os, signal, sys
from taskgraph_backend import foreign, importing, moving
left = int(sys.argv[1])

def count(number=1):
    global left
    left -= number
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

write = importing.Writer.write
def killed_write(self, batch):
    write(self, batch)
    count(len(batch))
importing.Writer.write = killed_write
accept = foreign._accept
def killed_accept(*args, **options):
    found = accept(*args, **options)
    count()
    return found
foreign._accept = killed_accept
from taskgraph.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@task(namespace="atonce", version="1")
def double(x: int) -> int:
    return 2 * x


def _settings(folder: Path) -> Settings:
    return Settings(config_dir=folder / ".taskgraph")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project in which much was run, with a file of its records beside it."""
    folder = tmp_path_factory.mktemp("projects") / "lab"
    _ran(folder, CALLS)
    exchange.export(_settings(folder), (), str(folder / "all.jsonl"), everything=False)
    yield folder


@pytest.fixture
def home(tmp_path: Path, lab: Path) -> Path:
    """A project with a run of its own, that knows the lab."""
    folder = tmp_path / "home"
    _ran(folder, 3, start=CALLS)
    exchange.add_repo(_settings(folder), "lab", str(lab))
    return folder


def _ran(folder: Path, calls: int, start: int = 0) -> None:
    settings = _settings(folder)
    settings.config_dir.mkdir(parents=True)
    with Scheduler(settings, executor="inline") as scheduler:
        scheduler.run([double(start + number) for number in range(calls)])


def _start(folder: Path, *words: str | int | Path, program: str = GATED) -> subprocess.Popen[str]:
    started = start_python(
        ["-c", program, *map(str, words)],
        folder,
        {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if program == GATED:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
    return started


def _together(*started: subprocess.Popen[str]) -> list[str]:
    """Let processes begin at once; return what they say when they have ended well."""
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate() for each in started]
    for process, (_, errors) in zip(started, said, strict=True):
        assert process.returncode == 0, errors
        assert "locked" not in errors
    return [out for out, _ in said]


def _killed(folder: Path, after: int, *words: str | Path) -> None:
    process = _start(folder, after, *words, program=KILLED)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def _run(folder: Path, *words: str | Path) -> str:
    return _together(_start(folder, *words))[0]


def _counts(folder: Path) -> dict[str, int]:
    with _opened(folder) as backend, backend.reader() as reader:
        kinds = (models.CallNode, models.Execution, models.Job)
        return {kind.__name__: reader.query(kind).count() for kind in kinds}


def _opened(folder: Path) -> SqlBackend:
    return SqlBackend(f"sqlite:///{folder}/.taskgraph/taskgraph.db")


def _is_sound(folder: Path) -> bool:
    with _opened(folder) as backend:
        return integrity.check(backend) == []


def _new(said: str) -> dict[str, int]:
    found = json.loads(said)
    return dict((found[0] if isinstance(found, list) else found)["new"])


def test_two_imports_of_one_file_bring_each_record_once(home: Path, lab: Path) -> None:
    file = lab / "all.jsonl"
    before = _counts(home)

    one, two = _together(*(_start(home, "import", "--json", file) for _ in range(2)))

    assert sorted([_new(one) == {}, _new(two) == {}]) == [False, True]
    assert _counts(home) == {kind: before[kind] + RECORDS[kind] for kind in before}
    assert _is_sound(home)


def test_imports_into_a_project_that_is_made_meanwhile(tmp_path: Path, lab: Path) -> None:
    file = lab / "all.jsonl"

    _together(*(_start(tmp_path, "import", "--json", file) for _ in range(3)))

    assert _counts(tmp_path) == RECORDS
    assert _is_sound(tmp_path)


FLOW = """
from taskgraph import task

taskgraph_namespace = "atonce"

@task(version="1")
def double(x: int) -> int:
    return 2 * x

@task(version="1", executor="inline")
def many(n: int = 200) -> list[int]:
    return [double(x) for x in range(n)]
"""


def test_an_import_beside_a_workflow_that_makes_the_same_calls(home: Path, lab: Path) -> None:
    (home / "flow.py").write_text(textwrap.dedent(FLOW))
    before = _counts(home)["Execution"]

    _, said = _together(
        _start(home, "import", lab / "all.jsonl"), _start(home, "run", "-q", "flow.py", "many")
    )

    assert json.loads(said) == [2 * x for x in range(200)]
    assert _counts(home)["Execution"] == before + 2
    assert _is_sound(home)
    # What ran here is ours, whoever was first: a plan in which something runs ends with 1.
    _run(home, "plan", "flow.py", "many")


def test_who_imports_from_a_slow_pipe_keeps_nobody_waiting(home: Path, lab: Path) -> None:
    (home / "flow.py").write_text(textwrap.dedent(FLOW))
    lines = (lab / "all.jsonl").read_text().splitlines(keepends=True)
    program = "import sys; from taskgraph.cli.main import main; sys.exit(main(sys.argv[1:]))"
    importing = _start(home, "import", "--json", "-", program=program)
    assert importing.stdin is not None
    # More than a pipe takes: when this is written, it is being read.
    importing.stdin.write("".join(lines[: len(lines) // 2]))
    importing.stdin.flush()

    said = _run(home, "run", "-q", "flow.py", "many")

    assert json.loads(said) == [2 * x for x in range(200)]
    out, errors = importing.communicate("".join(lines[len(lines) // 2 :]))
    assert importing.returncode == 0, errors
    assert _new(out)["Job"] == RECORDS["Job"]
    assert _is_sound(home)


def test_push_and_pull_at_once_give_both_sides_the_same(
    home: Path, lab: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    _ran(other, 50, start=1000)
    exchange.add_repo(_settings(home), "other", str(other))
    exchange.add_repo(_settings(other), "home", str(home))

    _together(
        _start(home, "push", "other"),
        _start(home, "pull", "other"),
        _start(other, "push", "home"),
        _start(other, "pull", "home"),
    )

    assert _counts(home) == _counts(other)
    assert _is_sound(home) and _is_sound(other)


def test_trust_beside_imports_and_pulls_trusts_whole_files(home: Path, lab: Path) -> None:
    file = lab / "all.jsonl"

    _together(
        _start(home, "import", file),
        _start(home, "trust", "--all"),
        _start(home, "pull", "lab"),
        _start(home, "trust", "--all"),
    )

    assert _is_sound(home)
    _run(home, "trust", "--all")
    assert json.loads(_run(home, "trust", "--list", "--json")) == []
    with _opened(home) as backend, backend.reader() as reader:
        assert reader.query(models.Evaluation).count() == CALLS + 3


@pytest.mark.parametrize("after", [0, 400, 900])
def test_an_import_that_is_killed_leaves_nothing(home: Path, lab: Path, after: int) -> None:
    file = lab / "all.jsonl"
    before = _counts(home)

    _killed(home, after, "import", file)

    assert _counts(home) == before
    assert _is_sound(home)
    assert _new(_run(home, "import", "--json", file))["Job"] == RECORDS["Job"]
    assert _is_sound(home)


@pytest.mark.parametrize("after", [0, 500, 900])
def test_a_pull_that_is_killed_goes_on_where_it_was(home: Path, lab: Path, after: int) -> None:
    before = _counts(home)

    _killed(home, after, "pull", "lab")

    assert _is_sound(home)
    assert _counts(home)["Execution"] == before["Execution"]
    _run(home, "pull", "lab")
    assert _counts(home) == {kind: before[kind] + RECORDS[kind] for kind in before}
    assert _is_sound(home)


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("one", [True, False])
def test_trust_that_is_killed_trusted_nothing(home: Path, lab: Path, after: int, one: bool) -> None:
    _run(home, "pull", "lab")
    before = json.loads(_run(home, "trust", "--list", "--json"))
    with _opened(lab) as backend, backend.reader() as reader:
        execution = reader.newest_execution()
    assert execution is not None

    if one:
        _killed(home, after, "trust", execution.id)
    else:
        _killed(home, 0, "trust", "--all")

    assert json.loads(_run(home, "trust", "--list", "--json")) == before
    _run(home, "trust", execution.id)
    assert json.loads(_run(home, "trust", "--list", "--json")) == []
