"""Each command starts in a Python that has imported nothing, and says what others of it say.

Elsewhere commands are forked by a Python that has all modules; here a missing import shows.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from taskgraph.cli.main import COMMANDS
from tests.acceptance.space import Space

FLOW = """
from taskgraph import File, task

taskgraph_namespace = "flow"


@task
def double(x: int) -> int:
    return 2 * x


@task
def half(x: int) -> float:
    return x / 2


@task
def main(x: int = 21) -> list[float]:
    return [double(x), half(x)]


@task
def write() -> File:
    file = File("temp.txt", temp=True)
    file.write("kept elsewhere")
    return file


@task
def read(file: File) -> str:
    return file.read()


@task
def same() -> str:
    return read(write())
"""

PACK = """
from taskgraph import task


@task(namespace="pack")
def one() -> int:
    return 1
"""

# Each command, and words with which it has something to do.
WORDS = [
    ("init", "other"),
    ("run", "flow.py", "main", "--x", "4"),
    ("launch", "--help"),
    ("submit", "--queue", "nobodys", "flow.py", "main"),
    ("worker", "start", "--pool", "p", "--queues", "other", "--burst"),
    ("worker", "list"),
    ("worker", "pools"),
    ("worker", "stop", "--help"),
    ("worker", "delete", "--help"),
    ("top", "--once"),
    ("plan", "flow.py", "same"),
    ("explain", "-"),
    ("log", "-"),
    ("diff", "--", "-", "-"),
    ("repl",),
    ("tag", "add", "-", "quality=checked"),
    ("tag", "list", "-"),
    ("tag", "rm", "-", "kind"),
    ("tag", "update", "-", "kind=draft"),
    ("report", "-", "-o", "page.html"),
    ("graph", "-"),
    ("export", "--all", "-o", "again.json"),
    ("import", "all.json"),
    ("trust", "--all"),
    ("repo", "add", "more", "more.db"),
    ("repo", "list"),
    ("execution", "list"),
    ("execution", "show", "-", "--states", "--deps", "--snapshot"),
    ("execution", "set-state", "-", "FAILED", "--force", "--as", "ada@x.org"),
    ("execution", "cancel", "--help"),
    ("execution", "fail-running", "--dry-run"),
    ("study", "list"),
    ("study", "show", "nightly"),
    ("study", "owner", "nightly", "ada@x.org"),
    ("study", "delete", "nightly", "--dry-run"),
    ("execution", "sweep", "--dry-run"),
    ("dataset", "register", "tas", "flow.py", "--facet", "model=A"),
    ("dataset", "list", "--facet", "model=A"),
    ("dataset", "show", "code"),
    ("dataset", "history", "code"),
    ("dataset", "retract", "code", "--reason", "it is wrong"),
    ("dataset", "delete", "code", "--dry-run"),
    ("artifact", "add", "-", "log", "log", "run.log"),
    ("artifact", "list"),
    ("vocabulary", "define", "region"),
    ("vocabulary", "list"),
    ("vocabulary", "remove", "year"),
    ("workflow", "create", "more", "flow.py", "double", "--group-by", "model"),
    ("workflow", "list"),
    ("workflow", "promote", "means@1"),
    ("workflow", "show", "means"),
    ("workflow", "add-step", "means", "half"),
    ("workflow", "update-step", "means:0", "--option", "retries=1"),
    ("workflow", "reorder", "means", "0"),
    ("workflow", "remove-step", "means:0"),
    ("workflow", "new-version", "means"),
    ("workflow", "disable", "means"),
    ("workflow", "enable", "means"),
    ("workflow", "export", "means", "-o", "means.json"),
    ("workflow", "import", "stored.json", "--version", "next"),
    ("workflow", "apply", "means", "--input", "code", "--output", "code"),
    ("workflow", "delete", "means", "--groups", "--dry-run"),
    ("group", "plan", "means"),
    ("group", "run", "means", "--dry-run"),
    ("group", "list"),
    ("group", "flag-dirty", "model=A"),
    ("group", "stats"),
    ("group", "delete", "--facet", "model=A", "--dry-run"),
    ("execution", "enqueue", "--help"),
    ("user", "create", "eve@x.org"),
    ("user", "list"),
    ("user", "show", "ada@x.org"),
    ("user", "update", "ada@x.org", "--verified"),
    ("user", "groups"),
    ("user", "add", "climate", "ada@x.org"),
    ("user", "remove", "climate", "ada@x.org"),
    ("user", "delete", "bob@x.org", "--yes"),
    ("package", "collect", "pack.py", "--version", "2"),
    ("package", "list"),
    ("package", "show", "pack"),
    ("package", "deactivate", "pack@1"),
    ("package", "activate", "pack@1"),
    ("package", "delete", "pack@1", "--yes"),
    ("operation", "list"),
    ("operation", "show", "--help"),
    ("execution", "rerun", "-", "--script", "flow.py"),
    ("execution", "delete", "-", "--dry-run"),
    ("policy", "create", "more", "--state", "LATE", "--command", "true"),
    ("policy", "list"),
    ("policy", "show", "told"),
    ("policy", "update", "told", "--inactive"),
    ("policy", "delete", "told", "--dry-run"),
    ("policy", "test", "told"),
    ("policy", "deliver"),
    ("policy", "notifications", "--status", "waiting"),
    ("retract", "-", "--reason", "it is wrong"),
    ("retractions",),
    ("unretract", "--help"),
    ("gc", "--dry-run"),
    ("db", "stats"),
    ("db", "compact"),
    ("repo", "remove", "there"),
    ("push", "there"),
    ("pull", "there"),
    ("bless", "flow.double", "--script", "flow.py"),
    ("unbless", "flow.half"),
    ("release", "temp.txt"),
    ("db", "check"),
    ("db", "downgrade", "1.5", "--yes"),
    ("db", "info"),
    ("db", "upgrade"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something for each command: runs, tags, a file of records, a repo, edits and a blessing."""
    space = Space(tmp_path_factory.mktemp("project"))
    space.write("flow.py", FLOW)
    space("run", "flow.py", "same")
    space("run", "flow.py", "main")
    space("dataset", "register", "code", "flow.py", "--facet", "model=A")
    space("vocabulary", "define", "year")
    space("workflow", "create", "means", "flow.py", "double", "--group-by", "model")
    space("group", "plan", "means")
    space("workflow", "export", "means", "-o", "stored.json")
    space("policy", "create", "told", "--state", "CANCELLED", "--command", "true")
    named = ("--tag", "kind=test", "--study", "nightly", "--workspace", "work")
    space("run", *named, "flow.py", "main", "--x", "3")
    space("user", "create", "ada@x.org", "--superuser")
    space("user", "create", "bob@x.org")
    space("user", "add", "climate", "ada@x.org")
    space.write("pack.py", PACK)
    space("package", "collect", "pack.py", "--version", "1")
    space("export", "--all", "-o", "all.json")
    space("repo", "add", "there", tmp_path_factory.mktemp("there") / "there.db")
    space.write("flow.py", FLOW.replace("2 * x", "x + x").replace("x / 2", "x * 0.5"))
    done = space("bless", "flow.half", "--script", "flow.py")
    assert done.code == 0, done.err
    space("push", "there")
    return space.folder


def _names(command: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        yield above
        return
    for name, each in command.commands.items():
        yield from _names(each, *above, name)


def test_each_command_is_among_them() -> None:
    wanted = {
        words
        for name, entry in COMMANDS.items()
        for words in _names(importlib.import_module(entry.module).command, name)
    }

    assert {
        words[: len(each)] for words in WORDS for each in wanted if words[: len(each)] == each
    } == wanted


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_fresh_python_does_and_says_the_same(
    words: tuple[str, ...], project: Path, tmp_path: Path
) -> None:
    said: list[Any] = []

    for name, is_fresh in (("one", True), ("two", False)):
        space = Space(shutil.copytree(project, tmp_path / name))
        done = space.fresh(*words) if is_fresh else space(*words)
        said.append((done.code, *(_untimed(text, space.folder) for text in (done.out, done.err))))

    assert said[0] == said[1]
    assert said[0][0] == 0, said


def _untimed(text: str, folder: Path) -> str:
    """What was said without what differs from run to run."""
    text = text.replace(str(folder), ".")
    text = re.sub(r" {2,}", "  ", text)  # a column is as wide as the times in it
    text = re.sub(r"[0-9a-f]{8}(-?[0-9a-f]{4,}){0,4}", "ID", text)
    return re.sub(r"\d+([.:]\d+)*( ?[mµn]?s\b)?", "N", text)
