"""Temporary files are deleted by a command, and nobody misses them until somebody reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_FLOW = """
from pathlib import Path

from taskgraph import File, task

taskgraph_namespace = "flow"


def note(line):
    with Path("ran.txt").open("a") as log:
        print(line, file=log)


@task
def make(name: str) -> File:
    note(f"make {name}")
    file = File(f"work/{name}", temp=True)
    file.write(name * 3)
    return file


@task
def count(files: list[File]) -> File:
    note("count")
    table = File("table.txt")
    table.write("".join(f"{each.basename()} {len(each.read())}\\n" for each in files))
    return table


@task
def main(names: str = "ab"):
    return count([make(name) for name in names])


@task
def use(file: File) -> str:
    return file.read()
"""


class Project:
    """A project whose workflow ran once."""

    def __init__(self, space: Any) -> None:
        self.space = space
        space.write("flow.py", _FLOW)
        self.run()
        self.ran()

    def run(self) -> str:
        done = self.space("run", "flow.py", "main")
        assert done.code == 0, done.err
        return str(done.out)

    def release(self, *words: str | Path, code: int = 0) -> list[str]:
        done = self.space("release", *words)
        assert done.code == code, done.err
        return list((done.out if code == 0 else done.err).splitlines())

    def ran(self) -> list[str]:
        """Return what ran since the last time."""
        path = self.space.folder / "ran.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(lines)

    def there(self) -> list[str]:
        return sorted(each.name for each in (self.space.folder / "work").iterdir())


@pytest.fixture
def project(space: Any) -> Project:
    return Project(space)


def test_a_released_file_is_gone_and_nothing_runs_again(project: Project) -> None:
    said = project.release("work/a", "work/b")

    folder = project.space.folder
    assert said == [
        *(f"deleted {name}  3 bytes" for name in ("work/a", "work/b")),
        "2 files deleted, 6 bytes.",
    ]
    assert project.there() == []
    project.run()
    assert project.ran() == []
    assert (folder / "table.txt").read_text() == "a 3\nb 3\n"


def test_a_call_that_reads_it_has_it_made_again(project: Project) -> None:
    project.release("work")
    path = project.space.folder / "flow.py"
    path.write_text(path.read_text().replace("len(each.read())", "each.read()"))

    plan = project.space("plan", "flow.py", "main")
    project.run()

    assert "flow.make" in plan.out and "flow.count" in plan.out
    assert project.ran() == ["count", "make a", "make b"]
    assert project.there() == ["a", "b"]


def test_how_it_came_to_be_can_still_be_asked(project: Project) -> None:
    project.release("work/a")

    said = project.space("log", "work/a")

    assert said.code == 0
    assert "flow.make" in said.out


def test_a_dry_run_deletes_nothing(project: Project) -> None:
    said = project.release("--dry-run", "work")

    assert said == [
        "would delete work/a  3 bytes",
        "would delete work/b  3 bytes",
        "2 files to delete, 6 bytes.",
    ]
    assert project.there() == ["a", "b"]


def test_of_a_folder_only_temporary_files_are_deleted(project: Project) -> None:
    said = project.release(".")

    assert said[2:] == [
        "kept 1 file: it is no temporary file; one is written as File(path, temp=True)",
        "2 files deleted, 6 bytes.",
    ]
    assert (project.space.folder / "table.txt").exists()
    assert project.release("work")[:2] == ["gone already work/a", "gone already work/b"]


def test_a_file_that_is_no_temporary_one_is_refused_and_nothing_is_deleted(
    project: Project,
) -> None:
    said = project.release("work/a", "table.txt", code=5)

    assert "table.txt: it is no temporary file" in "".join(said)
    assert "--force" in "".join(said)
    assert project.there() == ["a", "b"]


def test_one_that_was_changed_is_refused(project: Project) -> None:
    (project.space.folder / "work/a").write_text("edited")

    assert "it was changed since" in "".join(project.release("work/a", code=5))
    said = project.release("work")
    assert said[1:] == [
        "kept 1 file: it was changed since it was recorded",
        "1 file deleted, 3 bytes.",
    ]


def test_one_that_nobody_made_is_refused(project: Project) -> None:
    project.space.write("mine.txt", "mine")
    project.space.write(
        "other.py",
        """
        from taskgraph import File, task

        @task(namespace="other")
        def use(file: File) -> str:
            return file.read()

        @task(namespace="other")
        def main() -> str:
            return use(File("mine.txt", temp=True))
        """,
    )
    assert project.space("run", "other.py", "main").code == 0

    assert "no recorded call gave it" in "".join(project.release("mine.txt", code=5))


def test_with_force_a_named_file_is_deleted_and_made_again(project: Project) -> None:
    said = project.release("--force", "table.txt")

    assert said[0].startswith("deleted table.txt  8 bytes  although it is no temporary file")
    project.run()
    assert project.ran() == ["count"]


def test_force_does_not_mean_what_lies_in_a_folder(project: Project) -> None:
    project.release("--force", ".")

    assert (project.space.folder / "table.txt").exists()


def test_what_nothing_is_recorded_of_is_not_found(project: Project) -> None:
    project.space.write("mine.txt", "mine")

    said = project.release("mine.txt", code=3)

    assert "Nothing is recorded under 'mine.txt'" in "".join(said)
    assert (project.space.folder / "mine.txt").exists()
    assert project.release(code=2)


def test_names_are_taken_as_they_are(space: Any) -> None:
    names = "it's", "two words", "-dash", "100%", "x_y"
    space.write("flow.py", _FLOW.replace('"ab"', repr("|".join(names))))
    text = (space.folder / "flow.py").read_text()
    (space.folder / "flow.py").write_text(text.replace("in names]", 'in names.split("|")]'))
    assert space("run", "flow.py", "main").code == 0

    for name in names[:3]:
        done = space("release", "--", f"work/{name}")
        assert done.out.startswith(f"deleted work/{name}  "), done.err
    (space.folder / "work/1000").write_text("not recorded")
    done = space("release", "work/")

    assert done.out.count("\ngone already ") + done.out.startswith("gone already") == 3
    assert [each.name for each in (space.folder / "work").iterdir()] == ["1000"]
