"""Nothing of strangers is loaded before it is trusted, whatever is asked of it."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from taskgraph.cli.main import COMMANDS
from taskgraph.hashing import digest_bytes

_FLOW = """
from pathlib import Path

from taskgraph import File, task

taskgraph_namespace = "flow"


@task
def double(x: int) -> int:
    return 2 * x


@task
def store(total: int) -> File:
    file = File("out.txt", temp=True)
    file.write(str(total))
    return file


@task
def main(n: int = 2) -> list[object]:
    doubled = [double(x) for x in range(n)]
    return [store(doubled[0]), *doubled]
"""


class _Evil:
    """A value that writes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.marker)!r}, 'w').close()",))


def _poison(lines: str, marker: Path) -> str:
    """Put bytes that do harm in the place of all values, with digests that fit."""
    content = pickle.dumps(_Evil(marker))
    found = []
    for line in lines.splitlines():
        record = json.loads(line)
        if record["_type"] == "Value":
            record["data"] = base64.b64encode(content).decode()
            record["size"] = len(content)
            record["content_digest"] = digest_bytes(content)
            record["format"] = "pickle"
        found.append(json.dumps(record, separators=(",", ":")))
    return "\n".join(found) + "\n"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that is there as soon as a value was loaded."""
    return tmp_path / "loaded"


@pytest.fixture
def there(space: Any, marker: Path) -> Any:
    """A project with two executions of strangers, of which one is tagged."""
    made = []
    for name in ("here", "there"):
        folder = space.folder / name
        folder.mkdir()
        project = type(space)(folder)
        project.write("flow.py", _FLOW)
        assert project("init", ".").code == 0
        made.append(project)
    here, there = made
    here("run", "flow.py", "main")
    here.write("flow.py", _FLOW.replace("2 * x", "x + x"))
    here("run", "flow.py", "main")
    here("tag", "add", "-", "rating=5")
    there.write("evil.jsonl", _poison(here("export").out, marker))
    done = there("import", "evil.jsonl")
    assert done.code == 0, done.err
    return there


def _asked(there: Any) -> dict[str, list[list[str]]]:
    """Return what is asked of each command."""
    newest, older = (each["id"] for each in there.json("log"))
    detail = there.json("log", newest)
    job = next(each["id"] for each in detail["jobs"] if each["task"] == "flow.double")
    shown = there.json("log", job)
    call, value = shown["call"]["call_hash"], shown["call"]["result"]["value_hash"]
    whole = [newest, job, call, value, "flow.double", "out.txt"]
    filters = (
        ["--type", "value"],
        ["--argument", value],
        ["--result", value],
        ["--value-type", "int"],
    )
    return {
        "init": [["."]],
        "log": [
            ["--output", newest],
            [],
            *([each] for each in whole),
            *([each, "--json"] for each in whole),
            ["--execution", newest, "--detail"],
            *filters,
        ],
        "execution": [
            ["list"],
            ["show", newest, "--states", "--deps", "--snapshot"],
            ["show", newest, "--snapshot", "--json"],
            ["set-state", newest, "FAILED", "--force"],
            ["rerun", newest, "--script", "flow.py"],
            ["sweep"],
            ["delete", older, "--dry-run", "--json"],
        ],
        "user": [["create", "ada@x.org"], ["list"], ["show", "ada@x.org"], ["groups"]],
        "package": [["collect", "flow.py", "--version", "1"], ["list"], ["show", "flow"]],
        "operation": [["list"], ["list", "--json"]],
        "study": [["list"], ["list", "--json"]],
        "dataset": [
            ["register", "made", "flow.py", "--facet", "model=A"],
            ["list", "--json"],
            ["show", "made"],
            ["history", "made"],
        ],
        "artifact": [["list"], ["list", "--json"]],
        "vocabulary": [["define", "region"], ["list"]],
        "workflow": [
            ["create", "means", "flow.py", "double"],
            ["list"],
            ["list", "--json"],
            ["show", "means"],
            ["add-step", "means", "double", "--script", "flow.py"],
            ["reorder", "means", "1", "0"],
            ["export", "means"],
            ["delete", "means", "--dry-run", "--groups"],
            ["apply", "means", "--input", "made", "--output", "made"],
        ],
        "group": [
            ["plan", "means", "--group-by", "model"],
            ["list"],
            ["stats"],
            ["run", "means", "--group-by", "model", "--dry-run"],
        ],
        "policy": [
            ["create", "p", "--state", "FAILED", "--command", "true"],
            ["list", "--json"],
            ["show", "p"],
            ["test", "p"],
            ["deliver", "--json"],
            ["notifications", "--json"],
            ["update", "p", "--inactive"],
            ["delete", "p", "--yes"],
        ],
        "retract": [[job, "--reason", "it is wrong", "--dry-run"], [newest, "--reason", "so"]],
        "retractions": [[], ["--json"]],
        "unretract": [["00000000"]],
        "gc": [["--dry-run"], ["--max-size", "1GiB", "--yes"], ["--max-size", "0", "--dry-run"]],
        "explain": [*([each] for each in whole), [newest, "--json"]],
        "diff": [[older, newest], [older, newest, "--json"]],
        "graph": [
            *([each, "--format", form] for each in ("out.txt", value) for form in ("dot", "json")),
            ["out.txt"],
            ["out.txt", "--all"],
        ],
        "report": [[newest, "-o", "report.html"]],
        "tag": [["list"], ["list", newest], ["add", newest, "x=1"], ["rm", newest, "x"]],
        "export": [["--all", "-o", "again.jsonl"], [newest, "-o", "one.jsonl"]],
        "import": [["evil.jsonl"], ["--dryrun", "evil.jsonl"]],
        "trust": [["--list"]],
        "repo": [["add", "other", "../other.db"], ["list"]],
        "push": [["other"], ["other", newest]],
        "pull": [["other"]],
        "bless": [
            ["--list"],
            ["flow.double", "--script", "flow.py", "--check", "1"],
            [shown["job"]["task_hash"], "flow.double"],
        ],
        "unbless": [["flow.double"]],
        "release": [["--dry-run", "out.txt"], ["out.txt"]],
        "db": [["info"], ["upgrade"], ["stats"], ["compact"], ["check"]],
        "plan": [["flow.py", "main"], ["--json", "flow.py", "main"]],
        "submit": [["--queue", "nobodys", "flow.py", "main"]],
        "worker": [["list"], ["list", "--json"], ["pools"]],
        "launch": [["--output", "launched.txt", "flow.py", "main"]],
        "top": [["--once"], ["--json"]],
        "repl": [["-c", _LOOKING], ["-c", "find('-')"], ["-c", "log('-')"]],
        "run": [
            ["--rerun", job],
            ["--rerun", job, "flow.py"],
            ["--dryrun", "flow.py", "main"],
            ["--explain", "flow.py", "main"],
            ["flow.py", "main"],
        ],
    }


# All that is drawn, completed and read of rows, at the prompt.
_LOOKING = """
import rlcompleter
from sqlalchemy import select
looked = 0
for kind in models.Base.__subclasses__():
    for row in session.scalars(select(kind)):
        completer = rlcompleter.Completer(globals() | {"row": row})
        place = 0
        while completer.complete("row.", place):
            place += 1
        for name in [each for each in dir(row) if not each.startswith("_")]:
            repr(getattr(row, name, None))
        repr(row), str(row), row._repr_html_() if hasattr(row, "_repr_html_") else None
        looked += 1
for each in query().all():
    found = find(each)
    if found is not None:
        found._repr_html_() if hasattr(found, "_repr_html_") else repr(found)
        archive.page(each)
        archive.explain(each) if type(each).__name__ in ("Job", "Execution") else None
        drawn = lineage(each) if type(each).__name__ == "Value" else None
        if drawn is not None:
            drawn._repr_html_(), drawn.text, drawn.to_json(), drawn.to_dot(), drawn.to_mermaid()
assert looked > 20
"""


# One process a command, for it takes a while to start one.
_PROGRAM = """
import json, os, sys
from taskgraph.cli.main import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    if os.path.exists(sys.argv[2]):
        sys.exit(f"{words} loaded a value")
    if code == 2:
        print(words, "cannot be asked so", file=sys.stderr)
        refused = True
sys.exit("refused" in globals())
"""


def test_no_command_loads_what_is_not_trusted(there: Any, marker: Path) -> None:
    asked = _asked(there)

    for command, ways in asked.items():
        words = json.dumps([[command, *each] for each in ways])
        done = there.python(_PROGRAM, words, marker)
        assert done.code == 0, done.err
        assert "Traceback" not in done.err, (command, done.err)
        assert not marker.exists(), command

    assert asked.keys() == COMMANDS.keys()


def test_after_strangers_calls_were_made_here_ours_are_loaded(there: Any, marker: Path) -> None:
    for _ in range(2):
        done = there("run", "flow.py", "main")
        assert done.code == 0, done.err
        there("explain", "-")

    assert not marker.exists()


def test_trust_is_what_lets_values_be_loaded(there: Any, marker: Path) -> None:
    there("trust", "--all")

    there("run", "flow.py", "main")

    assert marker.exists()
