from __future__ import annotations

import subprocess
from pathlib import Path

import taskgraph
from taskgraph.engine.labels import labels_of_run


def test_a_run_outside_of_a_repository_has_no_commit(tmp_path: Path) -> None:
    found = dict(labels_of_run(tmp_path / "demo", user="ada"))

    assert found == {
        "taskgraph.version": taskgraph.__version__,
        "taskgraph.user": "ada",
        "taskgraph.project": "demo",
    }


def test_commit_and_origin_are_those_of_the_repository(tmp_path: Path) -> None:
    for words in (
        ["init", "-q"],
        ["remote", "add", "origin", "https://ada:secret@example.org/lab/demo.git"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)

    found = dict(labels_of_run(tmp_path, user="ada", project="poems", doc="a try"))

    assert len(found["taskgraph.git_commit"]) == 40
    assert found["taskgraph.git_origin"] == "https://example.org/lab/demo.git"
    assert (found["taskgraph.project"], found["taskgraph.doc"]) == ("poems", "a try")
