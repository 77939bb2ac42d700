"""Running scripts: output, errors, and that nothing of them stays behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskgraph.scripting import ScriptError, ScriptOutputError, ScriptStartError, exec_script
from taskgraph.scripting.groups import Scope


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, which is empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            return not Path("/proc").is_dir()
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def wait_until_gone(pid: int) -> None:
    waiting = threading.Event()
    for _ in range(1_500):
        if not is_alive(pid):
            return
        waiting.wait(0.02)
    raise AssertionError(f"process {pid} still runs")


def read_when_there(path: Path) -> int:
    waiting = threading.Event()
    while not (path.exists() and path.read_text().endswith("\n")):
        waiting.wait(0.02)
    return int(path.read_text())


def test_stdout_is_the_result_and_stderr_is_not() -> None:
    assert exec_script("echo out; echo err >&2") == b"out\n"


def test_stdout_is_bytes_as_they_are() -> None:
    assert exec_script(r"printf '\377\0\r\n'") == b"\xff\0\r\n"


def test_words_run_without_a_shell() -> None:
    assert exec_script(["printf", "%s|", "a b", "$HOME", "*", 3]) == b"a b|$HOME|*|3|"


def test_stdin_is_empty() -> None:
    assert exec_script("cat; echo end") == b"end\n"


def test_the_environment_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE", "a 'quoted' one")
    assert exec_script('printf %s "$SAMPLE"') == b"a 'quoted' one"


def test_any_interpreter_will_do() -> None:
    text = f"""
        #!{sys.executable} -u
        import sys
        for each in range(3):
            print(each, file=sys.stdout)
    """
    assert exec_script(text) == b"0\n1\n2\n"


def test_a_script_that_talks_much_on_both_ends_is_no_problem() -> None:
    text = """
        set +x
        head -c 5000000 /dev/zero | tr '\\0' 'e' >&2
        head -c 5000000 /dev/zero
    """
    assert exec_script(text) == bytes(5_000_000)


@pytest.mark.parametrize("text", ["false\necho not here", "false | cat", "ls /not-there"])
def test_the_first_command_that_fails_ends_it(text: str) -> None:
    with pytest.raises(ScriptError) as raised:
        exec_script(text)

    assert raised.value.exit_code != 0
    assert f"+ {text.split(maxsplit=1)[0]}" in raised.value.stderr


def test_an_error_tells_of_the_code_the_stderr_and_the_script() -> None:
    with pytest.raises(ScriptError) as raised:
        exec_script("echo 'what is wrong' >&2; exit 3")

    error = raised.value
    assert (error.exit_code, error.folder) == (3, None)
    assert "what is wrong" in error.stderr
    assert error.message == str(error)
    assert "ended with exit code 3." in error.message
    assert "\n  what is wrong\n" in error.message
    assert error.message.endswith("\n  echo 'what is wrong' >&2; exit 3")


def test_of_a_long_stderr_the_end_is_told() -> None:
    with pytest.raises(ScriptError) as raised:
        exec_script("set +x; for i in $(seq 10000); do echo line $i >&2; done; exit 1")

    first, *_, last = raised.value.stderr.splitlines()
    assert last == "line 10000"
    assert first.startswith("... (") and first.endswith(" bytes before)")
    assert len(raised.value.stderr) < 4_100


def test_of_a_long_script_the_start_is_told() -> None:
    with pytest.raises(ScriptError) as raised:
        exec_script("set +x\n" + "true\n" * 1000 + "exit 1")

    assert "more lines)" in str(raised.value)
    assert len(str(raised.value).splitlines()) < 60


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("kill -KILL $$", -9, "was killed by SIGKILL (out of memory, or killed by hand)"),
        ("kill -TERM $$", -15, "was killed by SIGTERM"),
        ("sh -c 'kill -SEGV $$'", 139, "a command in it was killed by SIGSEGV"),
        ("no-such-command", 127, "a command in it was not found"),
        ("/dev/null", 126, "a command in it is not executable"),
    ],
)
def test_exit_codes_are_told_in_words(text: str, code: int, told: str) -> None:
    with pytest.raises(ScriptError) as raised:
        exec_script(text)

    assert raised.value.exit_code == code
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("#!/usr/bin/env no-such-interpreter\n1", "asks for 'no-such-interpreter', and there is"),
        ("#!/no/such/interpreter -x\n1", "asks for '/no/such/interpreter', and there is none"),
        ("#!\n1", "its first line names nothing that runs it"),
        ("#!/bin/sh 'open\n1", "its first line: No closing quotation"),
        (["no-such-program", "1"], "there is no executable 'no-such-program'"),
        (["/dev/null"], "'/dev/null' is not executable"),
        (["true", "nul\0byte"], "embedded null byte"),
        (["true", "x" * 10_000_000], "Argument list too long"),
    ],
)
def test_what_cannot_be_started_says_why(command: object, told: str) -> None:
    with pytest.raises(ScriptStartError) as raised:
        exec_script(command)  # type: ignore[arg-type]  # text or words

    assert told in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        ScriptError("ls", 3, "said", "/folder"),
        ScriptOutputError("ls", ["a", "b"], "said", "/folder"),
        ScriptStartError("ls", "there is none"),
    ],
)
def test_errors_travel(error: ScriptError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert (copy.command, copy.folder) == (error.command, error.folder)


def test_what_a_script_left_running_is_ended_with_it() -> None:
    wait_until_gone(int(exec_script("sleep 1000 >/dev/null & echo $!")))


def test_a_script_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    scope = Scope()

    def run() -> None:
        scope.enter()
        try:
            exec_script(f"sleep 1000 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/own; wait")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    own = read_when_there(tmp_path / "own")
    child = read_when_there(tmp_path / "child")
    scope.end()
    thread.join()

    wait_until_gone(own)
    wait_until_gone(child)
    assert isinstance(errors[0], ScriptError)
    assert errors[0].exit_code == -signal.SIGTERM


def test_a_script_that_refuses_to_end_is_killed(tmp_path: Path) -> None:
    codes: list[int] = []

    scope = Scope()

    def run() -> None:
        scope.enter()
        try:
            exec_script(f"trap '' TERM; echo $$ > {tmp_path}/own; while true; do sleep 1000; done")
        except ScriptError as error:
            codes.append(error.exit_code)

    thread = threading.Thread(target=run)
    thread.start()
    read_when_there(tmp_path / "own")
    scope.end()
    thread.join()

    assert codes == [-signal.SIGKILL]


def test_a_script_that_begins_when_nobody_waits_any_more_is_ended_at_once() -> None:
    codes: list[int] = []
    scope = Scope()
    scope.end()

    def run() -> None:
        scope.enter()
        try:
            exec_script("sleep 1000")
        except ScriptError as error:
            codes.append(error.exit_code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert codes == [-signal.SIGTERM]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_script_ends_with_the_process_that_runs_it(
    number: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    program = f"""
        from taskgraph.scripting import exec_script
        exec_script("echo $$ > {tmp_path}/own; exec sleep 1000")
    """
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    pid = read_when_there(tmp_path / "own")

    runner.send_signal(number)
    runner.wait()

    wait_until_gone(pid)


def test_no_process_is_left_unwaited_for() -> None:
    program = """
        import os
        from taskgraph.scripting import ScriptError, exec_script
        exec_script("true")
        try:
            exec_script("false")
        except ScriptError:
            pass
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("none")
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, check=True
    )

    assert ran.stdout == b"none\n"
