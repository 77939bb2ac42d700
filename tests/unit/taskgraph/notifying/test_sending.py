"""Commands and functions are given notifications; secrets are found by their names."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taskgraph.catalog.policy_rows import Notification
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.targets import Callback, Command, Target
from taskgraph.errors import SecretError
from taskgraph.notifying import sending
from taskgraph.notifying.command import environment_of
from taskgraph.notifying.secrets import find_secret
from tests.hooks import CANARY

TOLD = Notification(
    "1" * 32, "p", "it failed", "ab" * 16, "nightly", "f.main", State(StateType.FAILED),
    tags={"team": ["ml"]},
)  # fmt: skip


def _error(target: Target, seconds: float = 60) -> str:
    answer = sending.send(target, TOLD, seconds)
    assert answer.error is not None
    assert not answer.is_final
    return answer.error


def _python(program: str) -> Command:
    return Command((sys.executable, "-c", program))


# Commands


def test_a_command_is_given_json_and_variables_and_no_shell(tmp_path: Path) -> None:
    program = (
        "import json, os, sys; json.dump([json.load(sys.stdin), os.environ['TASKGRAPH_STATE'],"
        f" os.environ['TASKGRAPH_TEXT'], sys.argv[1:]], open({str(tmp_path / 'said')!r}, 'w'))"
    )

    target = Command((sys.executable, "-c", program, "$HOME; echo"))
    assert sending.send(target, TOLD, 60).error is None

    given, state, text, words = json.loads((tmp_path / "said").read_text())
    assert given == json.loads(json.dumps(TOLD.to_json()))
    assert (state, text, words) == ("FAILED", "it failed", ["$HOME; echo"])


def test_variables_of_commands_stand_for_no_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from taskgraph.config import load_settings

    for name, text in environment_of(TOLD).items():
        monkeypatch.setenv(name, text)

    assert load_settings(tmp_path).config_dir == tmp_path


def test_how_a_command_failed_is_said_with_its_last_words() -> None:
    program = "import sys; print('x' * 5000, 'the reason', file=sys.stderr); sys.exit(3)"

    error = _error(_python(program))

    assert "ended with exit code 3" in error
    assert error.endswith("the reason")
    assert len(error) < 800


def test_what_takes_too_long_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        " 'import time; time.sleep(1000)'])"
    )

    assert "took longer than 0.5 s" in _error(_python(program), 0.5)


def test_texts_that_are_too_large_for_variables_are_cut_there_and_whole_in_the_json(
    tmp_path: Path,
) -> None:
    program = (
        "import json, os, sys; told = json.load(sys.stdin)['data']['state']['message'];"
        f" json.dump([len(told), os.environ['TASKGRAPH_MESSAGE']], open({str(tmp_path / 'x')!r},"
        " 'w'))"
    )
    long = "\ud800" + "é" * 1_000_000
    state = State(StateType.FAILED, message=long)

    assert sending.send(_python(program), replace(TOLD, state=state, text=long), 60).error is None

    length, message = json.loads((tmp_path / "x").read_text())
    assert length == len(long)
    assert message.startswith("\\ud800éé") and message.endswith("é")
    assert 8_000 < len(message) < 17_000


def test_an_environment_that_is_too_large_is_a_failure_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(100):
        monkeypatch.setenv(f"FILLER_{number}", "x" * 100_000)

    error = _error(_python(""))

    assert "cannot be run: Argument list too long: the environment of the process" in error


def test_a_program_that_is_not_there_is_named() -> None:
    error = _error(Command(("no-such-program-anywhere",)))

    assert error == "no-such-program-anywhere cannot be run: No such file or directory"


def test_secrets_of_the_environment_are_not_kept_of_what_a_command_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK_SECRET", CANARY)

    error = _error(_python("import os, sys; sys.exit(os.environ['HOOK_SECRET'])"))

    assert error.endswith("ended with exit code 1: ***")


# Functions


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = SimpleNamespace(told=[], inner=SimpleNamespace(), number=3)
    made.tell = made.told.append
    made.inner.tell = made.told.append

    def fail(told: Notification) -> None:
        raise RuntimeError(f"no, {CANARY}")

    made.fail = fail
    monkeypatch.setitem(sys.modules, "some_hooks", made)  # type: ignore[arg-type]
    return made


def test_a_function_is_called_with_the_notification(module: Any) -> None:
    assert sending.send(Callback("some_hooks:tell"), TOLD, 60).error is None
    assert sending.send(Callback("some_hooks:inner.tell"), TOLD, 60).error is None
    assert module.told == [TOLD, TOLD]


def test_what_a_function_raises_is_said_without_secrets(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", CANARY)

    assert _error(Callback("some_hooks:fail")) == "some_hooks:fail raised RuntimeError: no, ***"


def test_a_function_that_takes_too_long_is_not_waited_for(module: Any) -> None:
    go_on, is_over = threading.Event(), threading.Event()

    def wait(told: Notification) -> None:
        go_on.wait(60)
        is_over.set()

    module.wait = wait

    error = _error(Callback("some_hooks:wait"), 0.1)

    assert error == "some_hooks:wait took longer than 0.1 s"
    go_on.set()
    assert is_over.wait(60)


def test_a_function_that_ends_the_process_ends_nothing(module: Any) -> None:
    module.leave = lambda told: sys.exit(3)

    assert _error(Callback("some_hooks:leave")) == "some_hooks:leave raised SystemExit: 3"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("some_hooks:number", "number is a int, and no function"),
        ("some_hooks:other", "AttributeError"),
        ("no_such_module_anywhere:f", "ModuleNotFoundError"),
    ],
)
def test_a_function_that_is_not_there_is_named(module: Any, name: str, reason: str) -> None:
    error = _error(Callback(name))

    assert error.startswith(f"{name} cannot be called here: ")
    assert reason in error


# Secrets


def test_a_secret_is_found_where_its_reference_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK", CANARY)
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    ring = SimpleNamespace(get_password=lambda service, user: f"{service} {user} {CANARY}")
    monkeypatch.setitem(sys.modules, "keyring", ring)  # type: ignore[arg-type]

    assert find_secret("env:HOOK") == CANARY
    assert find_secret(f"file:{tmp_path / 'secret'}") == CANARY
    assert find_secret("keyring:taskgraph/me/too") == f"taskgraph me/too {CANARY}"


def test_a_secret_that_is_not_there_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def locked(service: str, user: str) -> None:
        raise RuntimeError(CANARY)

    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    empty = SimpleNamespace(get_password=lambda service, user: None)
    broken = SimpleNamespace(get_password=locked)
    for reference, ring, reason in (
        ("env:NO_SUCH_VARIABLE", None, "Set it where notifications are sent"),
        (f"file:{tmp_path / 'none'}", None, "cannot be read here"),
        (f"file:{tmp_path / 'empty'}", None, "empty, or too large"),
        (f"file:{tmp_path / 'binary'}", None, "no text"),
        ("keyring:a/b", None, "pip install 'taskgraph\\[keyring\\]'"),
        ("keyring:a/b", empty, "keyring set a b"),
        ("keyring:a/b", broken, "cannot be asked here \\(RuntimeError\\)"),
        (CANARY, None, "no reference"),
    ):
        # None in its place has an import of it fail.
        monkeypatch.setitem(sys.modules, "keyring", ring)  # type: ignore[arg-type]
        with pytest.raises(SecretError, match=reason) as caught:
            find_secret(reference)
        assert CANARY not in str(caught.value)


# URLs


def test_of_urls_that_others_name_the_hosts_are_kept(module: Any) -> None:
    url = "https://chat.example.org/services/T0/B0/short"

    def fail(told: Notification) -> None:
        raise RuntimeError(f"404 Client Error: Not Found for url: {url}")

    module.fail = fail

    for target in (Callback("some_hooks:fail"), _python(f"import sys; sys.exit('no {url}')")):
        error = _error(target)
        assert "https://chat.example.org/***" in error
        assert "short" not in error
