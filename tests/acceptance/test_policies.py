"""Somebody is told when a run of his team fails; from a shell and on both databases."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import taskgraph
from taskgraph.catalog.policy_rows import Delivered
from taskgraph.catalog.secrets import shown_url
from tests.acceptance.space import ROOT
from tests.forked import start_python
from tests.hooks import SECRET, Receiver, free_port
from tests.integration.test_notifications import ended

_NOTE = """
import json, os, sys

with open("told.jsonl", "a") as file:
    told = json.load(sys.stdin)
    print(json.dumps([told["text"], os.environ["TASKGRAPH_SHORT_ID"]]), file=file)
"""


@pytest.fixture
def project(flow: Any, database_uri: str) -> Any:
    """A project that is recorded in a database of each kind, and a program that notes things."""
    lines = f"db_uri = {json.dumps(database_uri)}\nautomigrate = true\n"
    flow.write(".taskgraph/config.toml", f"[backend]\n{lines}")
    flow.write("note.py", _NOTE)
    taskgraph.open(database_uri, migrate=True).close()
    return flow


def note() -> str:
    return f"{sys.executable} note.py"


def told(project: Any) -> list[str]:
    path = project.folder / "told.jsonl"
    return [json.loads(each)[0] for each in path.read_text().splitlines()] if path.exists() else []


def test_a_team_hears_of_its_runs_that_fail_and_of_no_others(project: Any) -> None:
    made = project(
        "policy", "create", "failures", "--state", "failed", "--state", "CRASHED",
        "--tag", "team=ml", "--template", "{name} of {tags} is {state_name}", "--command", note(),
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "is failures: FAILED, CRASHED is told to" in made.out

    failed = project("run", "--tag", "team=ml", "flow.py", "half", "--x", "3")
    project("run", "--tag", "team=ops", "flow.py", "half", "--x", "3")
    project("run", "--tag", "team=ml", "flow.py", "half", "--x", "4")

    assert failed.code == 1
    assert "3 is odd" in failed.err
    assert [each.startswith("half of ") for each in told(project)] == [True]
    assert "team=ml" in told(project)[0]
    assert told(project)[0].endswith("is Failed")
    (listed,) = project.json("policy", "notifications")["notifications"]
    assert (listed["policy"], listed["state"], listed["status"], listed["attempts"]) == (
        "failures",
        "Failed",
        "delivered",
        1,
    )
    assert "Notifications: 0 delivered." in project("policy", "deliver").out


def test_what_a_run_says_and_how_it_ends_is_the_same_whatever_becomes_of_it(project: Any) -> None:
    words = ("run", "flow.py", "greet", "--name", "you")
    before = project(*words)
    project("policy", "create", "down", "--webhook", f"http://127.0.0.1:{free_port()}/hook")
    project("policy", "create", "breaks", "--callback", "no_such_module_anywhere:tell")

    after, quiet = project(*words, NO_PROXY="*"), project("run", "-q", *words[1:], NO_PROXY="*")

    assert (before.code, after.code, quiet.code) == (0, 0, 0)
    assert before.out == after.out == quiet.out == "you\n"
    assert "A notification of down failed: http://127.0.0.1" in after.err
    assert "A notification of breaks failed: no_such_module_anywhere:tell" in after.err
    assert "they are sent by: taskgraph policy deliver" in after.err
    assert quiet.err == ""
    assert {each["waiting"] > 0 for each in project.json("policy", "list")["policies"]} == {True}


def test_a_pause_that_a_receiver_asks_for_is_shown_wherever_something_waits_for_it(
    project: Any,
) -> None:
    busy = (429, {"Retry-After": "40000"})
    with Receiver(answers=(busy,), secret=None) as receiver:
        project("policy", "create", "busy", "--webhook", receiver.url)
        project("run", "flow.py", "greet", "--name", "you", NO_PROXY="*")
        later = project("run", "flow.py", "greet", "--name", "me", NO_PROXY="*")
        listed, delivered = project("policy", "notifications"), project("policy", "deliver")

    assert len(receiver.seen) == 1
    pause = r"Policy busy: nothing is sent before [-\d]+ [:\d]+, as the receiver has asked"
    for said in (later.err, listed.out, delivered.out):
        assert re.search(rf"{pause} \(Retry-After\); \d+ wait\.", " ".join(said.split())), said
    assert "policy deliver" not in later.err
    held = {each["held_until"] for each in project.json("policy", "notifications")["notifications"]}
    assert held == {project.json("policy", "deliver")["held"][0]["until"]}


def test_a_function_beside_the_script_is_called(project: Any) -> None:
    project.write(
        "hooks.py",
        """
        def tell(told):
            with open("told.jsonl", "a") as file:
                print('["' + told.state.name + '"]', file=file)
        """,
    )
    project("policy", "create", "p", "--state", "COMPLETED", "--callback", "hooks:tell")

    done = project("policy", "test", "p")
    run = project("run", "flow.py", "greet", "--name", "you")

    assert (done.code, run.code) == (0, 0), done.err
    assert told(project) == ["Completed", "Completed"]


_LOUD = """
    import os, subprocess, sys

    def tell(told):
        print("aloud")
        os.write(1, b"below\\n")
        subprocess.run([sys.executable, "-c", "print('by a program')"])

    def go_on(told):
        import time
        while True:
            os.write(1, b"on and on\\n")
            time.sleep(0.01)
    """


def test_what_a_function_prints_is_in_no_output(project: Any, database_uri: str) -> None:
    words = ("run", "flow.py", "greet", "--name", "you")
    before = project(*words)
    project.write("hooks.py", _LOUD)
    project("policy", "create", "p", "--state", "COMPLETED", "--callback", "hooks:tell")

    ran = project(*words)
    tested = project("policy", "test", "p", "--json")
    project("policy", "create", "q", "--state", "COMPLETED", "--callback", "hooks:tell")
    with taskgraph.open(database_uri) as tg:
        ended(tg, "COMPLETED")
    sent = project("policy", "deliver", "--json")
    with taskgraph.open(database_uri) as tg:
        ended(tg, "COMPLETED")
    shown = project("policy", "deliver")

    assert ran.out == before.out == "you\n"
    assert json.loads(tested.out)["status"] == "delivered"
    assert json.loads(sent.out)["delivered"] == 2
    assert "Notifications: 2 delivered." in shown.out and "aloud" not in shown.out
    for done in (ran, tested, sent, shown):
        assert all(said in done.err for said in ("aloud", "below", "by a program"))


_KEPT = """
import os, sys
from taskgraph.cli.aside import printed_aside

kept = sys.stdout
with printed_aside() as out:
    kept.write("kept\\n")
    os.write(1, b"below\\n")
    print("aloud")
    out.write("said\\n")
print("after")
"""


def test_whatever_way_something_is_printed_it_goes_aside(space: Any) -> None:
    done = space.python(_KEPT)

    assert (done.code, done.out) == (0, "said\nafter\n"), done.err
    assert all(said in done.err for said in ("kept", "below", "aloud"))


def test_a_function_that_prints_on_when_its_time_is_over_is_in_no_output(project: Any) -> None:
    project.write("hooks.py", _LOUD)
    hook = ("--callback", "hooks:go_on", "--timeout", "0.2")
    project("policy", "create", "p", "--state", "COMPLETED", *hook)

    tested = project("policy", "test", "p", "--json")
    ran = project("run", "flow.py", "greet", "--name", "you")

    assert json.loads(tested.out)["status"] == "failed"
    assert ran.out == "you\n"


def test_a_policy_that_cannot_be_read_is_named_shown_and_deleted(
    project: Any, database_uri: str
) -> None:
    project("policy", "create", "p", "--state", "COMPLETED", "--command", note())
    id = project.json("policy", "create", "odd", "--callback", "a.b:c")["id"]
    with taskgraph.open(database_uri) as tg:
        sql = "UPDATE notification_policy SET target = ? WHERE name = 'odd'"
        tg.backend._transact(lambda driver: driver.execute(sql, ('{"kind": "pigeon"}',)))

    ran = project("run", "flow.py", "greet", "--name", "you")
    sent = project("policy", "deliver")

    assert (ran.code, ran.out, sent.code) == (0, "you\n", 0)
    assert len(told(project)) == 1
    for done in (ran, sent):
        assert "Policy odd cannot be read here" in done.err
        assert f"taskgraph policy delete {id[:12]}" in done.err
    assert "unreadable" in project("policy", "list").out
    assert "unreadable" in project("policy", "show", "odd").out
    assert project.json("policy", "show", "odd")["target"]["kind"] == "unreadable"
    assert "cannot be read here" in project("policy", "test", "odd").err
    assert project("policy", "delete", id[:12], "--yes").code == 0
    assert "odd" not in project("policy", "deliver").err


def test_a_policy_is_made_changed_shown_and_deleted(project: Any) -> None:
    made = project.json(
        "policy", "create", "p", "--webhook", "https://example.org/hook?channel=ml",
        "--secret", "env:HOOK", "--timeout", "3", "--attempts", "5", "--inactive",
    )  # fmt: skip
    assert made["target"] == {
        "kind": "webhook",
        "url": shown_url("https://example.org/hook?channel=ml"),
        "secret": "env:HOOK",
        "timeout": 3,
    }
    assert (made["active"], made["states"], made["attempts"]) == (False, [], 5)

    assert project("policy", "update", "p", "--active", "--state", "late", "--tag", "a").code == 0
    shown = project.json("policy", "show", made["id"][:8])
    assert (shown["active"], shown["states"], shown["tags"]) == (True, ["Late"], ["a"])
    changed = project.json(
        "policy", "update", "p", "--any-state", "--any-tag", "--template", "{name}",
        "--callback", "a.b:c", "--name", "q",
    )  # fmt: skip
    assert (changed["name"], changed["states"], changed["tags"]) == ("q", [], [])
    assert changed["target"]["function"] == "a.b:c"
    assert project.json("policy", "update", "q", "--default-template")["template"] is None
    assert "Policy" in project("policy", "show", "q").out
    assert "callback a.b:c" in project("policy", "list").out
    assert "None of 1 policy is meant by --inactive." in project("policy", "list", "--inactive").out
    assert "None of 0" not in project("policy", "notifications", "--status", "waiting").out

    assert "would be deleted" in project("policy", "delete", "q", "--dry-run").out
    project.typing("n\n", "policy", "delete", "q")
    assert len(project.json("policy", "list")["policies"]) == 1
    assert "Policy q is deleted." in project.typing("y\n", "policy", "delete", "q").out
    assert "There are no policies yet" in project("policy", "list").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "p"), 2, "--webhook, --command or --callback"),
        (("create", "p", "--command", "a", "--callback", "b:c"), 2, "Say one of"),
        (("create", "p", "--command", "a", "--secret", "env:A"), 2, "--secret goes with"),
        (("create", "p", "--command", "a 'b"), 2, "--command: No closing quotation"),
        (("create", "p", "--command", "a", "--state", "FAILD"), 2, "There are: Late"),
        (("create", "p", "--command", "a", "--template", "{x}"), 2, "There are: execution_id"),
        (("create", "p", "--webhook", "https://u:p@h/"), 2, "Keep the secret elsewhere"),
        (("create", "p", "--webhook", "https://h/", "--secret", "x"), 2, "this is no reference"),
        (("create", "there", "--command", "a"), 4, "Choose another name"),
        (("show", "nothing"), 3, "`taskgraph policy list`"),
        (("test", "nothing"), 3, "`taskgraph policy list`"),
        (("delete", "nothing", "--yes"), 3, "`taskgraph policy list`"),
        (("update", "there"), 2, "Say what is to change"),
        (("update", "there", "--state", "FAILED", "--any-state"), 2, "not both"),
        (("update", "there", "--template", "a", "--default-template"), 2, "not both"),
        (("update", "there", "--timeout", "3"), 2, "--timeout goes with"),
        (("notifications", "--policy", "nothing"), 3, "`taskgraph policy list`"),
        (("notifications", "--execution", "nothing"), 3, "`taskgraph execution list`"),
        (("test", "there"), 1, "cannot be run"),
    ],
)
def test_what_is_wrong_is_said(flow: Any, words: tuple[str, ...], code: int, said: str) -> None:
    if words[0] not in ("create", "show") or words[1] in ("there", "nothing"):
        flow("policy", "create", "there", "--command", "no-such-program-anywhere")

    done = flow("policy", *words)

    assert done.code == code, done.err
    assert said in " ".join((done.out + done.err).split())


def test_before_anything_was_recorded_there_are_none(space: Any) -> None:
    assert space.json("policy", "list") == {"policies": []}
    assert space.json("policy", "notifications") == {"notifications": []}
    assert space.json("policy", "notifications", "--count") == {"count": 0}
    assert space.json("policy", "deliver")["delivered"] == 0
    assert space("policy", "show", "p").code == 3
    assert space("policy", "deliver", "--watch").code == 2


def test_who_watches_delivers_until_he_is_to_end(project: Any, database_uri: str) -> None:
    port, arrived = free_port(), threading.Event()
    hook = ("--webhook", f"http://127.0.0.1:{port}/hook", "--secret", "env:HOOK")
    assert project("policy", "create", "p", "--state", "FAILED", *hook).code == 0
    watching = _watch(project, HOOK=SECRET, NO_PROXY="*")
    with taskgraph.open(database_uri) as tg:
        made = [ended(tg)]
        first = json.loads(_line(watching))
        assert (first["status"], first["execution"]) == ("failed", made[0])
        with Receiver(port, arrived=lambda id: arrived.set()) as receiver:
            made.append(ended(tg))
            delivered = 0
            while delivered < 2:
                delivered += json.loads(_line(watching))["status"] == "delivered"
            assert arrived.is_set()
            watching.send_signal(signal.SIGTERM)
            assert watching.wait(60) == 0

    assert sorted(each["data"]["execution"]["id"] for each in receiver.accepted) == sorted(made)
    assert receiver.wrong == []
    _close(watching)


def test_who_watches_waits_for_a_database_that_is_away_and_says_so_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from taskgraph.cli import policy_sending
    from taskgraph.errors import DatabaseError, DatabaseVersionError

    away = DatabaseError("x", "it is away.")
    outcomes = iter([away, away, None, away, away, DatabaseVersionError("x", "it is too new.")])

    class _Policies:
        def deliver(self, **given: Any) -> Delivered:
            trouble = next(outcomes)
            if trouble is not None:
                raise trouble
            return Delivered()

    archive: Any = SimpleNamespace(policies=_Policies())

    with pytest.raises(DatabaseVersionError):
        policy_sending._watch(archive, 0.0, False, sys.stdout)

    # Said once, and once more when it was there in between.
    assert capfd.readouterr().err.count("it is away.") == 2


def _watch(project: Any, **environment: str) -> subprocess.Popen[str]:
    """Start one who watches; he has begun when a first look was made."""
    return start_python(
        ["-m", "taskgraph.cli.main", "policy", "deliver", "--watch", "--interval", "0.1", "--json"],
        project.folder,
        {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backend'}",
            "TASKGRAPH_CONFIG": str(Path(project.folder, ".taskgraph")),
            **environment,
        },
        stdout=subprocess.PIPE,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _close(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    process.stdout.close()
