"""Executions are deleted from a shell, and records kept small: what is asked, shown and done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskgraph.archive import Archive
from taskgraph.cli import deleting
from taskgraph.cli.main import main


@pytest.fixture
def grown(space: Any) -> Any:
    space.write(
        "flow.py",
        """
        from taskgraph import task

        taskgraph_namespace = "demo"

        @task
        def blob(n: int) -> bytes:
            return bytes([n]) * 20_000

        @task
        def size(content: bytes) -> int:
            return len(content)

        @task
        def main(upto: int = 3) -> list[int]:
            print("making", upto)
            return [size(blob(n)) for n in range(upto)]
        """,
    )
    for upto in ("2", "3", "3"):
        assert space("run", "--study", "nightly", "flow.py", "main", "--upto", upto).code == 0
    return space


def ids(space: Any) -> list[str]:
    """Return the executions, the newest first."""
    return [each["id"] for each in space.json("execution", "list")["executions"]]


def test_the_last_of_two_runs_takes_with_it_what_both_had(grown: Any) -> None:
    newest, middle, oldest = ids(grown)
    logs = grown.folder / ".taskgraph" / "taskgraph.db-logs"
    assert (logs / middle).is_dir()

    shown = grown.json("execution", "delete", "--dry-run", middle)
    assert shown["dry_run"] and shown["calls"] == 0
    assert ids(grown) == [newest, middle, oldest]
    first = grown.json("execution", "delete", "--yes", middle)
    assert (first["executions"], first["calls"], first["kept"]) == ([middle], 0, 7)
    assert not (logs / middle).exists()
    second = grown.json("execution", "delete", "--yes", newest)
    assert (second["calls"], second["entries"]) == (3, 3)
    assert second["size"] > 20_000

    assert ids(grown) == [oldest]
    assert grown("db", "check").code == 0
    again = grown("run", "flow.py", "main", "--upto", "2")
    assert "5 cached" in again.err


def test_what_is_meant_is_shown_and_asked_for(grown: Any) -> None:
    refused = grown.typing("n\n", "execution", "delete", "--study", "nightly")
    assert refused.code == 0
    assert "3 executions, " in refused.out and " would go." in refused.out
    assert "Delete these 3 executions?" in refused.out
    assert len(ids(grown)) == 3

    done = grown.typing("y\n", "execution", "delete", "--study", "nightly")

    assert done.code == 0
    assert " went." in done.out
    assert ids(grown) == []
    assert grown("execution", "delete", "--study", "nightly").out.startswith("Nothing is meant")


@pytest.mark.parametrize("words", [("execution", "delete", "-"), ("gc", "--max-size", "0")])
def test_where_nobody_answers_nothing_is_done(grown: Any, words: tuple[str, ...]) -> None:
    done = grown(*words)

    assert (done.code, "Interrupted" in done.err) == (2, False)
    assert "--yes" in done.err
    assert len(ids(grown)) == 3


def test_what_was_asked_about_is_what_goes(
    tg: Archive, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        tg.executions.create("x", {"n": number}, study="nightly", state="COMPLETED")

    def confirm(question: str, **_: object) -> bool:
        tg.executions.create("x", study="nightly", state="COMPLETED")
        return True

    monkeypatch.setattr("click.confirm", confirm)
    monkeypatch.setattr(deleting, "_AT_A_TIME", 2)
    monkeypatch.setenv("TASKGRAPH_BACKEND__DB_URI", tg.backend.db_uri)

    assert main(["execution", "delete", "--study", "nightly", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["executions"]) == 5
    assert tg.executions.count() == 1
    # More than a filter may name.
    assert main(["execution", "delete", "--all", "--json"]) == 0
    assert tg.executions.count() == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--all"),
        (("-", "--all"), 2, "not both"),
        (("-", "--status", "DONE"), 2, "not both"),
        (("feed",), 3, "taskgraph execution list"),
        (("--filter", "{"), 2, "no JSON"),
        (("--filter", "{}"), 2, "without a filter this is every execution"),
        (("--filter", '{"and_": [{"name": {"like_": ""}}, {}]}'), 2, "--all"),
        (("--status", "ODD"), 2, "ODD"),
        (("--study", "nightly", "--all"), 2, "no filter"),
        (("--filter", "{}"), 2, "--all"),
        (("--filter", '{"or_": [{"and_": [{}]}]}'), 2, "--all"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    grown: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    done = grown("execution", "delete", "--yes", *words)

    assert (done.code, "Traceback" in done.err) == (code, False)
    assert said in done.err
    assert len(ids(grown)) == 3


def test_one_that_has_not_ended_is_refused_and_a_folder_elsewhere_stays(grown: Any) -> None:
    elsewhere = grown.folder.parent / f"{grown.folder.name}-elsewhere"
    elsewhere.mkdir()
    made = grown.python(
        "import sys, taskgraph\n"
        "with taskgraph.open() as tg:\n"
        "    print(tg.executions.create('demo.main', {}, workspace=sys.argv[1]).execution.id)",
        str(elsewhere),
    ).out.strip()

    refused = grown("execution", "delete", "--yes", made)
    assert refused.code == 4
    assert "has not ended" in refused.err and "--force" in refused.err
    unsafe = grown("execution", "delete", "--yes", "--force", "--remove-workspace", made)
    assert unsafe.code == 2
    assert "inside of no root" in unsafe.err
    assert elsewhere.is_dir()
    assert grown("execution", "delete", "--yes", "--force", made).code == 0
    assert grown("execution", "delete", "--yes", "--missing-ok", made).code == 0
    elsewhere.rmdir()


def test_old_values_give_up_their_bytes_and_come_back(grown: Any) -> None:
    page = grown("log", "-").out
    stats = grown.json("db", "stats")
    assert stats["evictable_size"] > 60_000
    assert "gc could free" in grown("db", "stats").out
    assert grown.json("gc", "--max-size", "1kB", "--dry-run")["evicted"] == stats["evictable"]
    refused = grown.typing("n\n", "gc", "--max-size", "1kB")
    assert "give up their bytes?" in refused.out
    assert grown.json("db", "stats")["evictable"] == stats["evictable"]

    done = grown.json("gc", "--max-size", "1kB", "--yes")

    assert done["size_before"] - done["size_after"] == done["evicted_size"] > 60_000
    assert grown("log", "-").out == page
    assert grown("db", "check").code == 0
    assert "given up to save space" in grown("plan", "flow.py", "main").out
    again = grown("run", "flow.py", "main")
    assert (again.code, again.out) == (0, "making 3\n[20000, 20000, 20000]\n")
    assert "given up to save space" in grown("explain", "-").out
    assert grown.json("db", "compact")["freed"] >= 0


def test_what_is_young_or_of_the_last_ones_or_pinned_is_kept(grown: Any) -> None:
    assert grown.json("gc", "--older-than", "1h", "--yes")["evicted"] == 0
    assert (
        grown.json("gc", "--keep-last", "1", "--yes")["evicted"] == 2
    )  # what the first one gave, and had called
    assert grown("tag", "add", "-", "pin=paper").code == 0
    assert grown.json("gc", "--max-size", "0", "--yes")["evicted"] == 0
    assert grown.json("gc", "--max-size", "0", "--pin", "pin=draft", "--yes")["evicted"] > 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-size", "lots"), "10 GiB"),
        (("--older-than", "5"), "expected a time, as 6h"),
        (("--keep-last", "-1"), "-1"),
        (("--grace", "soon"), "expected a time, as 6h"),
    ],
)
def test_what_is_no_policy_is_refused(grown: Any, words: tuple[str, ...], said: str) -> None:
    done = grown("gc", *words)

    assert (done.code, "Traceback" in done.err) == (2, False)
    assert said in done.err


def test_before_any_run_there_is_nothing_and_nothing_is_made(space: Any) -> None:
    assert json.loads(space("db", "stats", "--json").out) is None
    assert space("gc", "--yes").code == 0
    assert space("db", "compact").code == 0
    assert space("execution", "delete", "--all", "--yes").code == 0
    assert space("execution", "delete", "feed", "--yes").code == 3
    assert list(space.folder.iterdir()) == []
