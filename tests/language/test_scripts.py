"""Scripts in workflows: their files, what makes them run again, and how they fail."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taskgraph import (
    Dir,
    File,
    FileSet,
    Scheduler,
    StagingDir,
    StagingFile,
    Task,
    catch,
    get_task_registry,
    script,
    task,
)
from taskgraph.errors import TaskOptionError, TaskTimeoutError
from taskgraph.events import JobRetried
from taskgraph.scripting import ScriptError, ScriptOutputError, quote_shell
from taskgraph.testing import MemoryBackend, RecordingObserver
from taskgraph.values.places import FilePlaces, use_places
from taskgraph_backend.holders import process_started
from tests.language import script_tasks as tasks


@pytest.fixture(autouse=True)
def places(tmp_path: Path) -> Iterator[None]:
    before = use_places(FilePlaces(cache_dir=tmp_path / "cache"))
    yield
    use_places(before)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; worker processes have another one."""
    folder = tmp_path / "work dir"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


class Ran:
    """Counts how often a script ran, by what that wrote to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.noted = f"echo ran >> {quote_shell(path)}\n"

    def __call__(self) -> int:
        count = self.path.read_text().count("ran") if self.path.exists() else 0
        self.path.write_text("")
        return count


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    return Ran(tmp_path / "it's a log")


def tags_of(backend: MemoryBackend, task: str) -> dict[str, Any]:
    """Return the tags of all jobs of a task, as the backend has them."""
    hashes = {each.hash for each in backend.tasks.values() if each.name == task}
    jobs = {each.id for each in backend.jobs.values() if each.task_hash in hashes}
    return {each.key: each.value for each in backend.tags.values() if each.entity_id in jobs}


# What it gives


def test_without_outputs_it_gives_its_stdout(scheduler: Scheduler) -> None:
    assert scheduler.run(script("echo it; echo other >&2")) == b"it\n"
    assert scheduler.run(script(["printf", "%s-", "a b", 'c"d'])) == b'a b-c"d-'


def test_the_result_has_the_shape_of_the_outputs(scheduler: Scheduler, here: Path) -> None:
    outputs = {"a": File("a.txt"), "more": [File("-"), (StagingFile("b.txt", "kept/b.txt"), 3)]}

    found = scheduler.run(script("echo a > a.txt; echo b > b.txt; echo said", outputs=outputs))

    assert found == {"a": File("a.txt"), "more": [b"said\n", (File("kept/b.txt"), 3)]}
    assert found["a"].read() == "a\n"
    assert found["more"][1][0].read() == "b\n"


class Outputs(NamedTuple):
    one: File
    two: Any


def test_the_class_of_containers_is_kept(scheduler: Scheduler, here: Path) -> None:
    found = scheduler.run(script("touch 1; echo 2", outputs=Outputs(File("1"), File("-"))))

    assert type(found) is Outputs
    assert found == (File("1"), b"2\n")


def test_folders_and_patterns_are_outputs_too(scheduler: Scheduler, here: Path) -> None:
    text = "mkdir -p out/deep; echo 1 > out/deep/a; echo 2 > b.csv; echo 3 > c.csv"

    for apart in (False, True):
        folder, files = scheduler.run(
            script(text, outputs=[Dir("out"), FileSet("*.csv")], tempdir=apart)
        )
        assert [each.read() for each in folder] == ["1\n"]
        assert sorted(each.read() for each in files) == ["2\n", "3\n"]
        assert folder.location == str(here / "out")


def test_expressions_are_evaluated_first(scheduler: Scheduler, here: Path) -> None:
    made = tasks.make(str(here / "in put"), "content\n")
    out = tasks.make(str(here / "out put"), "old\n")

    assert scheduler.run(script(tasks.text_of("lazy"))) == b"lazy\n"
    assert scheduler.run(script(["cat", made])) == b"content\n"
    assert scheduler.run(script("cat " + quote_shell(made), inputs=[made])) == b"content\n"
    command = "cat " + quote_shell(made) + " > " + quote_shell(out)
    assert scheduler.run(tasks.read(script(command, outputs=out))) == "content\n"


def test_quoted_text_that_is_not_known_yet_is_stored_and_found_again(scheduler: Scheduler) -> None:
    for _ in range(2):
        assert scheduler.run(tasks.quoted_later(["a  b", "it's"])) == b"echo a  b|it's|"


def test_a_task_may_return_one(scheduler: Scheduler, here: Path) -> None:
    assert scheduler.run(tasks.nested(str(here / "n"))).read() == "nested\n"


@pytest.mark.parametrize("name", ["a b", "it's", 'say "hi"', "new\nline", "-rf", "$HOME", "ü*?"])
def test_any_name_will_do(scheduler: Scheduler, here: Path, name: str) -> None:
    File(name).write("content")
    given, out = File(name), File(f"{name} out")
    text = f"cat {quote_shell(given)} > {quote_shell(out)}"

    assert scheduler.run(script(text, inputs=given, outputs=out)).read() == "content"
    assert scheduler.run(script(text, inputs=given, outputs=out, tempdir=True)).read() == "content"
    assert scheduler.run(script(["cat", given])) == b"content"
    staged = StagingFile(name, here / "remote of it")
    (here / "remote of it").write_text("staged")
    assert scheduler.run(script(["cat", staged], tempdir=True)) == b"staged"


# What makes it run again


def test_it_runs_again_when_text_inputs_or_outputs_changed(
    scheduler: Scheduler, ran: Ran, here: Path
) -> None:
    File("in").write("1")

    def run(text: str = "cat in > out") -> str:
        expr = script(ran.noted + text, inputs=[File("in")], outputs=File("out"))
        return str(scheduler.run(expr).read())

    assert (run(), ran()) == ("1", 1)
    assert (run(), ran()) == ("1", 0)
    (here / "in").write_text("22")
    assert (run(), ran()) == ("22", 1)
    (here / "out").write_text("edited")
    assert (run(), ran()) == ("22", 1)
    (here / "out").unlink()
    assert (run(), ran()) == ("22", 1)
    assert (run("cat in in > out"), ran()) == ("2222", 1)
    assert (run("cat in in > out"), ran()) == ("2222", 0)


def test_indentation_of_all_of_the_text_says_nothing(scheduler: Scheduler, ran: Ran) -> None:
    line = ran.noted.strip()

    for text in (f"{line}\nls", f"\n    {line}\n    ls\n"):
        scheduler.run(script(text))
    assert ran() == 1


def test_a_staged_output_is_watched_where_it_is_kept(
    scheduler: Scheduler, ran: Ran, here: Path
) -> None:
    def run() -> str:
        out = StagingFile("out", here / "kept")
        return str(scheduler.run(script(f"{ran.noted}echo x > out", outputs=out)).read())

    assert (run(), ran()) == ("x\n", 1)
    (here / "out").write_text("edited, and not looked at")
    assert (run(), ran()) == ("x\n", 0)
    (here / "kept").unlink()
    assert (run(), ran()) == ("x\n", 1)


def test_files_among_the_words_are_inputs(scheduler: Scheduler, here: Path) -> None:
    File("in").write("1")
    assert scheduler.run(script(["cat", File("in")])) == b"1"
    (here / "in").write_text("2")
    assert scheduler.run(script(["cat", File("in")])) == b"2"


def test_where_outputs_are_kept_counts(scheduler: Scheduler, ran: Ran, here: Path) -> None:
    for name in ("one", "two", "one"):
        out = StagingFile("out", here / name)
        scheduler.run(script(f"{ran.noted}echo x > out", outputs=out))
    assert ran() == 2


def test_options_of_the_call_that_do_not_count_do_not(scheduler: Scheduler, ran: Ran) -> None:
    scheduler.run(script(ran.noted))
    scheduler.run(script(ran.noted, retries=2, tags={"a": 1}, cpus=2, timeout=60))
    assert ran() == 1


def test_an_option_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(TaskOptionError, match="there is no such option"):
        script("ls", output="typo")


def test_tools_count(
    scheduler: Scheduler, ran: Ran, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = here / "my-tool"
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")

    def run(version: int) -> int:
        tool.write_text(f"#!/bin/sh\necho {version}\n")
        tool.chmod(0o755)
        scheduler.run(script(ran.noted, tools=["my-tool"]))
        return ran()

    assert [run(1), run(1), run(2)] == [1, 0, 1]


def test_tools_are_not_looked_at_for_each_call(inline: Scheduler, here: Path) -> None:
    tool = here / "tool"
    tool.write_text(f"#!/bin/sh\necho looked >> '{here}/looked'; echo 1\n")
    tool.chmod(0o755)
    tools = [f"{quote_shell(tool)} --version"]

    inline.run([script(["echo", number], tools=tools) for number in range(20)])

    assert (here / "looked").read_text().count("looked") < 5


# A folder of its own


def test_a_folder_of_its_own_has_the_inputs_and_is_gone_afterwards(
    scheduler: Scheduler, here: Path
) -> None:
    File("data/in").write("plain\n")
    File("remote").write("staged\n")
    (here / "data/a.csv").write_text("csv\n")
    inputs = [File("data/in"), StagingFile("local/name", "remote"), FileSet("data/*.csv")]
    text = """
        pwd > made/pwd
        cat data/in local/name data/a.csv > made/all
        touch trash
    """

    pwd, found = scheduler.run(
        script(text, inputs, [File("made/pwd"), File("made/all")], tempdir=True)
    )

    assert found.read() == "plain\nstaged\ncsv\n"
    assert (here / "made/all").read_text() == "plain\nstaged\ncsv\n"
    assert not (here / "trash").exists()
    folder = pwd.read().strip()
    assert folder != str(here)
    assert not os.path.exists(folder)


def test_folders_are_staged_whole(scheduler: Scheduler, here: Path) -> None:
    folder = tasks.make_folder(str(here / "remote"))
    assert scheduler.run(script("cat remote/a", inputs=folder, tempdir=True)) == b"in a\n"
    given, kept = StagingDir("in", here / "remote"), StagingDir("out", here / "kept")
    text = "cp -r in out; echo b > out/b"

    found = scheduler.run(script(text, given, kept, tempdir=True))

    assert sorted(each.basename() for each in found) == ["a", "b"]
    assert found.location == str(here / "kept")


def test_of_a_script_that_fails_the_folder_is_kept(scheduler: Scheduler) -> None:
    with pytest.raises(ScriptError) as raised:
        scheduler.run(script("echo halfway > file; exit 1", tempdir=True))

    folder = raised.value.folder
    assert folder is not None and folder in str(raised.value)
    assert Path(folder, "file").read_text() == "halfway\n"


def test_an_input_beside_the_working_directory_must_be_staged(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "beside").write_text("x")
    assert scheduler.run(script("cat ../beside", inputs=File("../beside"))) == b"x"
    staged = StagingFile("beside", "../beside")
    assert scheduler.run(script("cat beside", inputs=staged, tempdir=True)) == b"x"


def test_inputs_are_linked_if_that_is_asked_for(scheduler: Scheduler, here: Path) -> None:
    File("remote").write("x")
    staged = File("remote").stage("name")
    for as_mount, kind in ((False, b"regular file\n"), (True, b"symbolic link\n")):
        found = scheduler.run(script("stat -c %F name", staged, tempdir=True, as_mount=as_mount))
        assert found == kind


def test_a_plain_input_beside_the_working_directory_has_no_place_in_another(
    inline: Scheduler, tmp_path: Path
) -> None:
    (tmp_path / "beside").write_text("x")
    with pytest.raises(ValueError, match=r"File\('../beside'\).stage\('beside'\)"):
        inline.run(script("cat ../beside", inputs=File("../beside"), tempdir=True))


@pytest.mark.parametrize("as_mount", [False, True])
def test_remote_files_are_copied_here_and_there(inline: Scheduler, as_mount: bool) -> None:
    folder = f"memory://scripts-{as_mount}"
    File(f"{folder}/in").write("remote\n")
    given, kept = StagingFile("in", f"{folder}/in"), StagingFile("out", f"{folder}/deep/out")
    text = "cat in > out; echo $(pwd) >> out"

    found = inline.run(script(text, given, kept, tempdir=True, as_mount=as_mount))

    assert found.path == f"{folder}/deep/out"
    assert found.read().startswith("remote\n")
    File(f"{folder}/in").write("changed\n")
    again = script(text, given, kept, tempdir=True, as_mount=as_mount)
    assert inline.run(again).read().startswith("changed\n")


def test_a_remote_output_that_is_not_staged_is_the_scripts_own_affair(inline: Scheduler) -> None:
    upload = "from taskgraph import File; File('memory://own/out').write('x')"
    there = File("memory://own/out")
    with pytest.raises(ScriptOutputError, match="memory://own/out"):
        # A store in memory is one for each process.
        inline.run(script([sys.executable, "-c", upload], outputs=there))
    there.write("written by somebody else")
    assert inline.run(script("true", outputs=there)).read() == "written by somebody else"


def test_staged_arguments_of_a_script_task_are_there(inline: Scheduler, here: Path) -> None:
    @task(namespace="scripts", script=True)
    def shown(given: StagingFile) -> str:
        return f"cat {quote_shell(given)}"

    File("remote").write("staged\n")
    assert inline.run(shown(File("remote").stage("local name"))) == b"staged\n"


# How it fails


def test_it_fails_with_what_it_said(scheduler: Scheduler) -> None:
    with pytest.raises(ScriptError, match="what is wrong") as raised:
        scheduler.run(script("echo 'what is wrong' >&2; exit 3"))

    assert raised.value.exit_code == 3


def test_a_failure_can_be_recovered_from(scheduler: Scheduler) -> None:
    @task(namespace="scripts", executor="inline")
    def recover(error: ScriptError) -> int:
        return error.exit_code

    assert scheduler.run(catch(script("exit 3"), ScriptError, recover)) == 3


def test_an_output_that_was_not_made_is_an_error(scheduler: Scheduler, here: Path) -> None:
    outputs = [File("made"), File("not made"), Dir("made"), StagingFile("x", here / "y")]
    with pytest.raises(ScriptOutputError) as raised:
        scheduler.run(script("touch made; echo why >&2", outputs=outputs))

    assert raised.value.missing == ("'not made'", "'made'", "'x'")
    assert "why" in str(raised.value)


def test_an_input_that_is_not_there_is_an_error(scheduler: Scheduler) -> None:
    with pytest.raises(FileNotFoundError, match="not-there"):
        scheduler.run(script("true", inputs=File("not-there").stage("x")))
    with pytest.raises(FileNotFoundError, match="not-there"):
        scheduler.run(script("true", inputs=File("not-there"), tempdir=True))


def test_a_command_that_turns_out_to_be_none_is_an_error(scheduler: Scheduler, here: Path) -> None:
    made = tasks.make(str(here / "made"), "no command")

    with pytest.raises(TypeError, match="text, or a list of words"):
        scheduler.run(script(made))


def wait_for_pid(path: Path) -> int:
    waiting = threading.Event()
    while not (path.exists() and path.read_text().endswith("\n")):
        waiting.wait(0.02)
    return int(path.read_text())


def wait_until_gone(pid: int) -> None:
    waiting = threading.Event()
    while process_started(pid) is not None:
        waiting.wait(0.02)


@pytest.mark.parametrize("is_task", [False, True])
@pytest.mark.parametrize("name", ["threads", "processes"])  # on the scheduler's own there is none
def test_a_script_that_takes_too_long_is_ended(here: Path, is_task: bool, name: str) -> None:
    path = here / "pid"
    endless = script(f"echo $$ > {quote_shell(path)}; exec sleep 1000", timeout=1)

    with (
        Scheduler(backend=MemoryBackend(), executor=name) as scheduler,
        pytest.raises(TaskTimeoutError),
    ):
        scheduler.run(tasks.endless.options(timeout=1)(str(path)) if is_task else endless)

    with suppress(FileNotFoundError):
        wait_until_gone(wait_for_pid(path))


# What is kept of what it says


def test_what_a_script_says_is_kept_with_its_job(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(script("set +x; echo said >&2; echo given"))

    assert tags_of(backend, "script") == {"taskgraph.stderr": '"+ set +x\\nsaid\\n"'}


def test_whatever_a_script_says_can_be_kept(
    scheduler: Scheduler, backend: MemoryBackend, here: Path
) -> None:
    text = r"#!/bin/sh\nprintf 'a\0b\377' >&2; printf '\303'; touch out".replace(r"\n", "\n")
    scheduler.run(script(text, outputs=File("out")))

    assert {key: json.loads(each) for key, each in tags_of(backend, "script").items()} == {
        "taskgraph.stderr": "a\ufffdb\ufffd",
        "taskgraph.stdout": "\ufffd",
    }


def test_stdout_that_is_no_result_is_kept_like_stderr(
    scheduler: Scheduler, backend: MemoryBackend, here: Path
) -> None:
    scheduler.run(script("#!/bin/sh\necho said; touch out", outputs=File("out")))

    assert tags_of(backend, "script") == {"taskgraph.stdout": '"said\\n"'}


# Script tasks


def test_a_script_task_gives_the_stdout_of_its_text(
    scheduler: Scheduler, ran: Ran, here: Path
) -> None:
    File("in put").write("1\n2\n")

    def run(**options: str) -> bytes:
        return bytes(scheduler.run(tasks.count_lines(File("in put"), str(ran.path), **options)))

    assert (run(), ran()) == (b"2\n", 1)
    assert (run(), ran()) == (b"2\n", 0)
    assert (run(options="-c"), ran()) == (b"4\n", 1)
    (here / "in put").write_text("1\n")
    assert (run(), ran()) == (b"1\n", 1)


def test_the_function_of_a_script_task_gives_the_text() -> None:
    assert tasks.endless.func is not None
    assert str(tasks.endless.func("x")).endswith("exec sleep 1000")
    assert tasks.endless.script
    assert not tasks.read.script


def test_text_may_come_from_calls_and_coroutines(scheduler: Scheduler) -> None:
    assert scheduler.run(tasks.lazy_text("a")) == b"a\n"
    assert scheduler.run(tasks.awaited_text("a")) == b"awaited a\n"


def test_a_script_task_that_gives_no_text_fails(scheduler: Scheduler) -> None:
    with pytest.raises(TypeError, match=r"scripts\.no_text is a script task: it returns the text"):
        scheduler.run(tasks.no_text(1))


def test_the_call_graph_shows_the_text_and_its_run(
    scheduler: Scheduler, backend: MemoryBackend
) -> None:
    scheduler.run(tasks.lazy_text("graph"))

    previews = [each.preview for each in backend.values.values()]
    names = sorted(each.name for each in backend.tasks.values())
    assert names == ["lazy_text", "script", "text_of"]
    assert any("echo graph" in each and "pipefail" in each for each in previews)


def test_options_of_a_script_task_are_those_of_its_script(
    scheduler: Scheduler, backend: MemoryBackend, seen: RecordingObserver, here: Path
) -> None:
    assert scheduler.run(tasks.tried(str(here / "marker"))) == b"at last\n"

    assert {each.task for each in seen.of(JobRetried)} == {"taskgraph.script"}
    assert tags_of(backend, "tried") == {"kind": '"quick"'}
    assert set(tags_of(backend, "script")) == {"taskgraph.stderr", "taskgraph.attempts"}


def make_script_task(
    text: Callable[[], str], version: str | None = None, **options: Any
) -> Task[[], bytes]:
    made = task(namespace="scripts", name="made", version=version, script=True, **options)(text)
    assert get_task_registry().get("scripts.made") is made
    return made


def test_code_that_gives_the_same_text_runs_no_script(inline: Scheduler, ran: Ran) -> None:
    noted = ran.noted

    def text() -> str:
        return noted + "echo same"

    def edited() -> str:
        parts = [noted, "echo same"]
        return "".join(parts)

    def other() -> str:
        return noted + "echo other"

    for made, count in ((text, 1), (edited, 0), (other, 1)):
        inline.run(make_script_task(made)())
        assert ran() == count


def test_a_new_version_runs_it_although_the_text_is_the_same(inline: Scheduler, ran: Ran) -> None:
    for version, count in (("1", 1), ("1", 0), ("2", 1)):
        inline.run(make_script_task(lambda: ran.noted, version)())
        assert ran() == count


def test_tools_and_includes_of_a_script_task_count_for_its_script(
    inline: Scheduler, ran: Ran, here: Path
) -> None:
    tool = here / "tool"

    def run(content: str, include: int) -> int:
        tool.write_text(f"#!/bin/sh\n# {content}\n")
        tool.chmod(0o755)
        made = make_script_task(
            lambda: ran.noted, "1", tools=[quote_shell(str(tool))], hash_includes=[include]
        )
        inline.run(made())
        return ran()

    assert [run("a", 1), run("a", 1), run("b", 1), run("b", 2)] == [1, 0, 1, 1]


def test_parameters_that_do_not_count_do_not_count_for_the_script(
    inline: Scheduler, ran: Ran
) -> None:
    @task(namespace="scripts", script=True, config_args=["threads"])
    def aligned(sample: str, threads: int) -> str:
        return f"{ran.noted}echo {sample}"

    for threads in (1, 8):
        assert inline.run(aligned("s", threads)) == b"s\n"
    assert ran() == 1


def test_whole_calls_of_script_tasks_are_taken_as_they_are(inline: Scheduler, ran: Ran) -> None:
    made = make_script_task(lambda: f"{ran.noted}echo x", check_valid="shallow")
    assert [inline.run(made()), inline.run(made())] == [b"x\n", b"x\n"]
    assert ran() == 1


def test_script_is_said_before_the_call() -> None:
    with pytest.raises(TaskOptionError, match="must be True or False"):
        task(name="ls", script="yes")(lambda: "ls")  # type: ignore[call-overload]
