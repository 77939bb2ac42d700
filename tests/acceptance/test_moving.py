"""Records move between projects; what came from elsewhere is shown, and used when it is trusted."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

_FLOW = """
from pathlib import Path

from taskgraph import task

taskgraph_namespace = "flow"


@task
def double(x: int) -> int:
    with Path("ran.txt").open("a") as log:
        print("double", x, file=log)
    return 2 * x


@task
def main(n: int = 2) -> list[int]:
    return [double(x) for x in range(n)]
"""


def _project(space: Any, name: str) -> Any:
    folder = space.folder / name
    folder.mkdir()
    other = type(space)(folder)
    other.write("flow.py", _FLOW)
    assert other("init", ".").code == 0
    return other


@pytest.fixture
def here(space: Any) -> Any:
    """A project in which the workflow ran."""
    made = _project(space, "here")
    assert made("run", "flow.py", "main").code == 0
    return made


@pytest.fixture
def there(space: Any) -> Any:
    """A project with the same workflow in which nothing ran."""
    return _project(space, "there")


def _ran(project: Any) -> list[str]:
    path = project.folder / "ran.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_what_was_exported_imported_and_exported_again_is_the_same_to_the_byte(
    here: Any, there: Any, suffix: str
) -> None:
    name = f"all.jsonl{suffix}"
    assert here("export", "-o", name).code == 0

    done = there("import", here.folder / name)

    assert done.code == 0, done.err
    assert there("export", "-o", name).code == 0
    assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes()


def test_import_says_what_is_new_and_the_second_time_nothing_is(here: Any, there: Any) -> None:
    here("export", "-o", "all.jsonl")
    file = here.folder / "all.jsonl"

    would = there("import", "--dryrun", file)
    first = there("import", file, "--json")
    second = there("import", file, "--json")

    assert "would be new: 3 CallNode, 1 Execution, 3 Job" in would.out
    assert json.loads(first.out)[0]["new"]["CallNode"] == 3
    assert json.loads(second.out)[0]["new"] == {}


def test_a_dry_import_writes_nothing(here: Any, there: Any) -> None:
    here("export", "-o", "all.jsonl")

    there("import", "--dryrun", here.folder / "all.jsonl")

    assert there.json("log") == []


@pytest.mark.parametrize("how", [["--all"], []])
def test_what_has_not_ended_stays_with_all_that_is_said_of_it(
    here: Any, there: Any, how: list[str]
) -> None:
    assert here("submit", "--queue", "q", "flow.py", "main", "--n", "3").code == 0
    (waiting,) = here.json("execution", "list", "--state", "PENDING")["executions"]
    assert here("tag", "add", waiting["id"], "by=me").code == 0

    done = here("export", *how, "-o", "../some.jsonl")

    assert f"Left out, for they have not ended: {waiting['id'][:8]}" in done.err
    assert waiting["id"] not in (here.folder.parent / "some.jsonl").read_text()
    assert there("import", "../some.jsonl").code == 0
    assert there("db", "check").code == 0


def test_records_go_through_a_pipe(here: Any, there: Any) -> None:
    exported = here("export")

    done = there.typing(exported.out, "import", "-")

    assert done.code == 0, done.err
    assert len(there.json("log")) == 1


def test_one_record_is_exported_with_what_it_names(here: Any) -> None:
    (execution,) = here.json("log")
    whole = here("export", execution["id"], "--json")
    call = here("export", "flow.double")

    assert json.loads(whole.err)["records"] > len(call.out.splitlines()) - 2
    assert '"_type":"Execution"' not in call.out


def test_what_came_from_elsewhere_is_no_result_until_it_is_trusted(here: Any, there: Any) -> None:
    here("export", "-o", "all.jsonl")
    file = here.folder / "all.jsonl"
    there("import", file)

    first = there("run", "flow.py", "main")
    explained = there("explain", "-")

    assert "not trusted" in first.err
    assert "its result came from elsewhere and is not trusted" in explained.out
    assert _ran(there) == ["double 0", "double 1"]


def test_what_is_trusted_is_a_result(here: Any, there: Any) -> None:
    here("export", "-o", "all.jsonl")
    there("import", here.folder / "all.jsonl")

    said = there("trust", "--all")
    done = there("run", "flow.py", "main")

    assert "Trusted: " in said.out
    assert done.out == "[0, 2]\n"
    assert _ran(there) == []


@pytest.mark.parametrize("way", ["origin", "execution"])
def test_trust_may_be_for_a_part(here: Any, there: Any, way: str) -> None:
    here("export", "-o", "all.jsonl")
    (execution,) = here.json("log")
    file = str(here.folder / "all.jsonl")
    there("import", file)

    words = ["--from", file] if way == "origin" else [execution["id"]]
    assert there("trust", *words, "--json").code == 0

    assert there.json("trust", "--list") == []
    there("run", "flow.py", "main")
    assert _ran(there) == []


def test_a_pipe_is_written_and_read_as_it_is(here: Any, there: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with ThreadPoolExecutor() as pool:
        imported = pool.submit(there, "import", pipe)
        exported = here("export", "-o", pipe)

    assert (exported.code, imported.result().code) == (0, 0), imported.result().err
    assert pipe.is_fifo()
    assert " new: " in imported.result().out


def test_what_a_link_points_to_is_written(here: Any) -> None:
    link = here.folder / "link.jsonl"
    link.symlink_to("all.jsonl")

    assert here("export", "-o", "link.jsonl").code == 0

    assert link.is_symlink()
    assert (here.folder / "all.jsonl").read_text().startswith('{"_type":"Header"')


def test_trusting_what_nobody_sent_is_not_found(here: Any) -> None:
    done = here("trust", "--from", "nobody")

    assert done.code == 3
    assert "nobody" in done.err


def test_trust_needs_to_know_what(here: Any) -> None:
    assert here("trust").code == 2
    assert here("trust", "--all", "--list").code == 2


def test_a_command_line_of_strangers_is_not_run(here: Any, there: Any) -> None:
    here("export", "-o", "all.jsonl")
    there("import", here.folder / "all.jsonl")
    (execution,) = there.json("log")
    job = there.json("log", execution["id"])["jobs"][-1]["id"]

    done = there("run", "--rerun", job)

    assert done.code == 5
    assert "not trusted" in done.err
    assert f"taskgraph trust {execution['id'][:8]}" in done.err


def test_a_bad_file_leaves_nothing(here: Any, there: Any) -> None:
    lines = here("export").out.splitlines()
    lines[-2] = lines[-2].replace('"_version":1', '"_version":7')
    there.write("bad.jsonl", "\n".join(lines) + "\n")

    done = there("import", "bad.jsonl")

    assert done.code == 4
    assert "bad.jsonl, line" in done.err
    assert "Upgrade taskgraph" in done.err
    assert there.json("log") == []


def test_a_file_that_is_not_there_is_not_found(there: Any) -> None:
    done = there("import", "nothing.jsonl")

    assert done.code == 3
    assert "Nothing can be imported from 'nothing.jsonl': there is no such file." in done.err


@pytest.mark.parametrize("place", ["../empty", "../absent", "../absent/records.db"])
def test_a_repo_that_holds_nothing_yet_says_how_it_gets_something(there: Any, place: str) -> None:
    (there.folder.parent / "empty").mkdir()
    there("repo", "add", "lab", place)

    done = there("pull", "lab")

    assert done.code == 1
    assert "nothing was recorded there yet, or the repo lab is elsewhere now" in done.err
    assert "`taskgraph push lab` makes one" in done.err
    assert "migrate" not in done.err


def test_a_project_without_a_database_is_told_how_to_make_one(space: Any) -> None:
    done = space("trust", "--list")

    assert done.code == 1
    assert "`taskgraph init` makes an empty one" in done.err


def test_a_database_that_is_a_folder_is_said_to_be_one(space: Any) -> None:
    (space.folder / ".taskgraph" / "taskgraph.db").mkdir(parents=True)

    done = space("log")

    assert done.code == 1
    assert "it is a folder. Name a file." in done.err


def test_a_packed_file_of_nothing_is_refused_before_it_fills_the_memory(there: Any) -> None:
    with gzip.open(there.folder / "bomb.jsonl.gz", "wb") as bomb:
        for _ in range(100):
            bomb.write(b" " * (1 << 20))

    done = there("import", "bomb.jsonl.gz")

    assert done.code == 5
    assert "grows more than" in done.err


def test_push_and_pull_move_what_is_lacking(here: Any, there: Any) -> None:
    there("run", "flow.py", "main", "--n", "3")
    assert here("repo", "add", "lab", "../there").code == 0

    pushed = here("push", "lab", "--json")
    pulled = here("pull", "lab", "--json")
    again = [json.loads(here(verb, "lab", "--json").out)["new"] for verb in ("push", "pull")]

    assert json.loads(pushed.out)["new"]["Execution"] == 1
    assert json.loads(pulled.out)["new"]["Execution"] == 1
    assert again == [{}, {}]
    assert len(here.json("log")) == len(there.json("log")) == 2


def test_what_was_pulled_is_named_by_its_repo(here: Any, there: Any) -> None:
    there("repo", "add", "lab", "../here/.taskgraph/taskgraph.db")

    there("pull", "lab")

    assert [each["origin"] for each in there.json("trust", "--list")] == ["lab"]


def test_one_record_is_pulled(here: Any, there: Any) -> None:
    here("run", "flow.py", "main", "--n", "1")
    there("repo", "add", "lab", "../here")
    newest = here.json("log")[0]["id"]

    there("pull", "lab", newest[:8])

    assert [each["id"] for each in there.json("log")] == [newest]


def test_tags_that_came_later_are_moved_too(here: Any, there: Any) -> None:
    here("repo", "add", "lab", "../there")
    here("push", "lab")
    program = (
        "import sys; from taskgraph_backend import SqlBackend\n"
        "backend = SqlBackend('sqlite:///.taskgraph/taskgraph.db'); backend.load()\n"
        "backend.record_tags('Execution', sys.argv[1], [('project', 'x')])\n"
    )
    execution = here.json("log")[0]["id"]
    subprocess.run([sys.executable, "-c", program, execution], cwd=here.folder, check=True)

    done = here("push", "lab", "--json")

    assert json.loads(done.out)["new"] == {"Tag": 1}


def test_repos_are_listed_without_what_is_secret(here: Any) -> None:
    here("repo", "add", "team", "postgresql://me:secret@db/records")

    listed = here("repo", "list")
    pushed = here("push", "team")

    assert "secret" not in listed.out + pushed.out + pushed.err
    assert here.json("repo", "list") == [
        {"name": "team", "place": "postgresql://me:***@db/records"}
    ]
    stored = tomllib.loads((here.folder / ".taskgraph" / "repos.toml").read_text())
    assert stored["repos"]["team"] == "postgresql://me:secret@db/records"


def test_a_name_is_given_once_and_can_be_taken_away(here: Any) -> None:
    here("repo", "add", "lab", "../there")

    assert here("repo", "add", "lab", "../there").code == 0
    assert here("repo", "add", "lab", "../elsewhere").code == 4
    assert here("repo", "remove", "lab").code == 0
    assert here("repo", "remove", "lab").code == 3
    assert here("push", "lab").code == 3
    assert here("repo", "add", "no name", "../there").code == 2


_KILLED = """
import os, signal, sys
from taskgraph_backend import moving, SqlBackend
left = int(sys.argv[1])
put = moving.RecordVerbs.put_rows
def put_rows(self, records, **options):
    global left
    def some():
        global left
        for each in records:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            yield each
    return put(self, some(), **options)
moving.RecordVerbs.put_rows = put_rows
from taskgraph.cli.main import main
sys.exit(main(["push", "lab"]))
"""


@pytest.mark.parametrize("after", [1, 5, 9, 12, 14])
def test_a_push_that_was_killed_goes_on_where_it_was(here: Any, there: Any, after: int) -> None:
    here("repo", "add", "lab", "../there")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(after)], cwd=here.folder, check=False
    )
    assert killed.returncode == -signal.SIGKILL

    done = here("push", "lab")

    assert done.code == 0, done.err
    exported = [each("export", "--all").out for each in (here, there)]
    assert exported[0] == exported[1]
    checked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from taskgraph_backend import SqlBackend, integrity\n"
            "print(integrity.check(SqlBackend('sqlite:///.taskgraph/taskgraph.db')))",
        ],
        cwd=there.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout == "[]\n"
