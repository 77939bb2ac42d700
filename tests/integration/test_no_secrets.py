"""A secret is nowhere: not in a row, an export, a listing, an error, or what a program says."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from taskgraph import task
from taskgraph.archive import Archive
from taskgraph.catalog.targets import Webhook
from taskgraph.errors import SecretError, TaskgraphError
from taskgraph_backend import models
from tests.acceptance.space import Space
from tests.hooks import CANARY, SECRET, Receiver, free_port
from tests.integration.test_notifications import ended, make_due

_ENCODED = SECRET.removeprefix("whsec_")


def dumped(tg: Archive) -> str:
    """Return all rows of all tables as text."""

    def read(driver: Any) -> str:
        said = []
        for table in models.Base.metadata.sorted_tables:
            for row in driver.execute(f'SELECT * FROM "{table.name}"').fetchall():
                said += [_text(each) for each in row]
        return "\n".join(said)

    return tg.backend._ask(read)


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def is_secret(text: str) -> bool:
    return CANARY in text or _ENCODED in text


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A secret in the environment and in a file."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("PLAIN_SECRET", CANARY)
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


def test_no_row_and_no_answer_has_a_secret(
    tg: Archive, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, sys; print(os.environ['PLAIN_SECRET']); sys.exit(1)"
    with Receiver(answers=(500,)) as receiver:
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{free_port()}/{CANARY}?token={CANARY}")
        for name, target in {
            "signed": Webhook(receiver.url, "env:HOOK_SECRET"),
            "by file": Webhook(receiver.url, f"file:{secrets}"),
            "secret url": Webhook("env:HOOK_URL"),
            "program": [sys.executable, "-c", program],
            "missing": Webhook(receiver.url, "env:NO_SUCH_SECRET"),
        }.items():
            tg.policies.create(name, states=["FAILED"], target=target)
        for given in (
            SECRET,
            f"https://me:{CANARY}@example.org/",
            f"https://example.org/?token={CANARY}",
            ["curl", f"--token={CANARY}"],
        ):
            with pytest.raises(TaskgraphError) as caught:
                tg.policies.create("refused", target=given)
            assert not is_secret(str(caught.value))
        with pytest.raises(SecretError) as refused:
            Webhook(receiver.url, SECRET)
        assert not is_secret(str(refused.value))
        ended(tg)
        said = []
        for _ in range(2):
            said.append(json.dumps(tg.policies.deliver().to_json()))
            make_due(tg)
        for each in tg.policies.list():
            with suppress(SecretError):
                said.append(json.dumps(tg.policies.test(each).to_json()))
            said.append(json.dumps(each.to_json()) + repr(each))
        said += [json.dumps(each.to_json()) + repr(each) for each in tg.policies.notifications()]

    assert len(receiver.accepted) >= 2
    everything = "\n".join(said)
    assert "***" in everything  # it was said, and taken out
    assert not is_secret(everything)
    rows = dumped(tg)
    assert "env:HOOK_SECRET" in rows
    assert not is_secret(rows)


@task(namespace="no_secrets", version="1")
def fetch(files: list[Any], password: str = "env:HOOK", note: str = "") -> int:
    return len(files)


@pytest.mark.parametrize(
    "args", [{"password": CANARY}, {"files": [{"api_key": CANARY}]}, {"note": f"the {SECRET}"}]
)
def test_no_argument_of_a_step_is_a_secret(tg: Archive, args: dict[str, Any]) -> None:
    tg.workflows.create("kept", steps=["no_secrets.somewhere", ("no_secrets.other", {"n": 1})])
    (first, _) = tg.workflows.get("kept").steps
    spec = tg.workflows.export(tg.workflows.create("told", steps=[fetch]))
    for verb in (
        lambda: tg.workflows.create("w", steps=[(fetch, args)]),
        lambda: tg.workflows.create("w", steps=[("no_secrets.somewhere", args)]),
        lambda: tg.workflows.add_step("kept", fetch, args=args),
        lambda: tg.workflows.update_step(first, args=args),
        lambda: tg.workflows.import_(
            {**spec, "name": "w", "steps": [{**spec["steps"][0], "args": args}]}
        ),
    ):
        with pytest.raises(SecretError) as caught:
            verb()
        assert not is_secret(str(caught.value))

    assert [each.name for each in tg.workflows.list()] == ["kept", "told"]
    assert len(tg.workflows.get("kept").steps) == 2
    assert not is_secret(dumped(tg))


def test_nothing_is_called_by_a_secret(tg: Archive, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    looks = f"ghp_{CANARY}"
    step = tg.workflows.create("kept", steps=["no_secrets.somewhere"]).steps[0]
    spec = tg.workflows.export("kept")
    for verb in (
        lambda: tg.workflows.create(looks, steps=[fetch]),
        lambda: tg.workflows.create("w", namespace=looks, steps=[fetch]),
        lambda: tg.workflows.create("w", steps=[fetch], meta={"token": looks}),
        lambda: tg.workflows.create("w", steps=[f"no_secrets.{looks}"]),
        lambda: tg.workflows.create("w", steps=[{"task": fetch, "options": {"queue": looks}}]),
        lambda: tg.workflows.update_step(step, options={"queue": looks}),
        lambda: tg.workflows.import_(
            {**spec, "steps": [{"task": looks}]}, version="next", allow_unknown=True
        ),
        lambda: tg.datasets.register(looks, path),
        lambda: tg.datasets.register("a", path, facets={"token": looks}),
        lambda: tg.datasets.register("a", path, facets=[("model", ["A", looks])]),
        lambda: Webhook(f"https://hooks.slack.com/services/T0/B0/{CANARY}"),
    ):
        with pytest.raises(SecretError) as caught:
            verb()
        assert not is_secret(str(caught.value))

    assert not is_secret(dumped(tg))
    assert tg.datasets.register("a", path, facets={"token": "word", "model": ["A", "B"]}).facets
    assert [each.name for each in tg.workflows.list()] == ["kept"]


def test_what_the_code_says_itself_may_be_said_again(tg: Archive) -> None:
    """What looks like a secret, and is none, is a default of the task."""

    @task(namespace="no_secrets", version="1")
    def looks(files: list[Any], model: str = "ghp_model") -> int:
        return len(files)

    tg.workflows.create("w", steps=[looks])
    (step,) = tg.workflows.get("w").steps
    assert tg.workflows.update_step(step, args={"model": "ghp_model"}).args == step.args
    spec = tg.workflows.export("w")
    assert tg.workflows.import_({**spec, "name": "again"}).steps[0].args == {"model": "ghp_model"}


def test_no_command_says_a_secret(
    secrets: Path, tg: Archive, database_uri: str, tmp_path: Path
) -> None:
    space = Space(tmp_path)
    space.write(".taskgraph/config.toml", f"[backend]\ndb_uri = {json.dumps(database_uri)}\n")
    space.write(
        "flow.py",
        """
        from taskgraph import task

        taskgraph_namespace = "flow"

        @task
        def fail() -> int:
            return 1 // 0
        """,
    )
    environment = {"HOOK_SECRET": SECRET, "NO_PROXY": "*"}
    said = []

    def do(*words: str, code: int | None = 0) -> None:
        done = space(*words, **environment)
        assert code is None or done.code == code, done.err
        said.append(done.out + done.err)

    with Receiver(answers=(500, 500)) as receiver:
        hook = ("--webhook", receiver.url, "--secret", "env:HOOK_SECRET")
        do("policy", "create", "p", "--state", "FAILED", *hook)
        do("policy", "create", "q", "--webhook", receiver.url, "--secret", SECRET, code=2)
        do("policy", "create", "q", "--webhook", f"https://u:{CANARY}@h/", code=2)
        do("policy", "update", "p", "--secret", SECRET, "--webhook", receiver.url, code=2)
        do("run", "flow.py", "fail", code=1)
        make_due(tg)
        for words in (("deliver",), ("deliver", "--json"), ("test", "p"), ("test", "p", "--json")):
            do("policy", *words, code=None)
        for words in (("list",), ("show", "p"), ("notifications",)):
            do("policy", *words)
            do("policy", *words, "--json")
    do("--traceback", "policy", "test", "p", code=1)
    do("export", "--all")
    do("log", "-")
    do("db", "stats")

    assert receiver.seen
    assert not is_secret("\n".join(said))
    assert not is_secret(dumped(tg))
    written = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    kept = [each for each in written if CANARY.encode() in each or _ENCODED.encode() in each]
    assert kept == [secrets.read_bytes()]
    assert os.environ["HOOK_SECRET"] == SECRET
