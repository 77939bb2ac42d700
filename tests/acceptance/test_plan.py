"""A plan says what a run would do, and a limit stops a run that would do too much again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def edit(flow: Any, old: str, new: str) -> None:
    path: Path = flow.folder / "flow.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def ran(flow: Any) -> Any:
    """The project, run once."""
    assert flow("run", "flow.py", "main").code == 0
    flow.ran()
    return flow


def planned(flow: Any, *words: str) -> dict[str, Any]:
    import json

    done = flow("plan", "--json", "flow.py", *(words or ("main",)))
    assert done.code in (0, 1), done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_before_the_first_run_the_root_would_run(flow: Any) -> None:
    done = flow("plan", "flow.py", "main")

    assert done.code == 1
    assert done.out.splitlines()[0] == "1 call would run; nothing is cached."
    assert "its task was never run" in done.out
    assert flow.ran() == []


def test_after_a_run_nothing_would(ran: Any) -> None:
    done = ran("plan", "flow.py", "main")

    assert (done.code, done.out) == (0, "Nothing would run; 4 calls cached.\n")


def test_a_plan_runs_and_records_nothing(ran: Any) -> None:
    edit(ran, '"".join(part', '"-".join(part')
    before = ran.json("log")

    ran("plan", "flow.py", "main")

    assert ran.ran() == []
    assert ran.json("log") == before


def test_an_edit_in_the_middle_names_what_runs_and_what_waits(ran: Any) -> None:
    edit(ran, 'File("work/" + ', 'File("work/new-" + ')

    plan = planned(ran)
    ran("run", "flow.py", "main")

    assert [(each["task"], each["reason"]) for each in plan["calls"]] == [
        ("flow.clean", "ABSENT"),
        ("flow.clean", "ABSENT"),
        ("flow.join", "WAITS"),
    ]
    assert [each["why"] for each in plan["calls"]] == [
        "its code changed",
        "its code changed",
        "if its input changes",
    ]
    assert (plan["certain"], plan["possible"], plan["cached"], plan["reruns"]) == (2, 1, 1, 3)
    assert plan["seconds"] > 0
    assert ran.ran() == ["clean in0.txt", "clean in1.txt", "join"]


def test_an_edit_of_the_root_says_what_it_called_the_last_time(ran: Any) -> None:
    edit(ran, "for i in range(n)], out)", "for i in range(0, n)], out)")

    plan = planned(ran)
    shown = ran("plan", "flow.py", "main").out

    (root,) = plan["calls"]
    assert root["is_open"]
    assert [(each["task"], each["calls"]) for each in root["below"]] == [
        ("flow.clean", 2),
        ("flow.join", 1),
    ]
    assert "made 3 calls the last time" in shown
    assert "2 flow.clean, 1 flow.join" in shown


def test_a_changed_input_names_the_file(ran: Any) -> None:
    ran.write("in1.txt", "three\n")

    (call,) = planned(ran)["calls"]

    # What main wrote down has the file in it, so main is asked again.
    assert (call["task"], call["reason"], call["is_rerun"]) == ("flow.main", "INVALID", True)
    assert "in1.txt: its content changed" in call["why"]


def test_a_lost_output_alone_names_the_file(ran: Any) -> None:
    (ran.folder / "results/all.txt").unlink()

    (call,) = planned(ran)["calls"]

    assert (call["task"], call["reason"]) == ("flow.join", "INVALID")
    assert "results/all.txt: it is not there any more" in call["why"]


def test_what_will_fail_anyway_is_said(flow: Any) -> None:
    done = flow("plan", "flow.py", "clean", "--source", "in0.txt")
    wrong = flow("plan", "flow.py", "nothing")

    assert done.code == 1
    assert wrong.code == 3
    assert "no task named 'nothing'" in wrong.err


def test_a_plan_without_the_cache_has_all_of_it(ran: Any) -> None:
    done = ran("plan", "--no-cache", "flow.py", "main")

    assert done.code == 1
    assert "the cache was not asked" in done.out


# Limits


def test_a_run_within_its_limit_goes_on(ran: Any) -> None:
    edit(ran, '"".join(part', '"-".join(part')

    done = ran("run", "--max-rerun", "1", "flow.py", "main")

    assert done.code == 0, done.err
    assert ran.ran() == ["join"]


def test_a_run_that_would_make_too_much_again_does_not_begin(ran: Any) -> None:
    edit(ran, 'File("work/" + ', 'File("work/new-" + ')
    before = ran.json("log")

    done = ran("run", "--max-rerun", "2", "flow.py", "main")

    assert done.code == 1
    assert "would make 3 calls" in done.err
    assert "flow.clean, 2 calls: its code changed" in done.err
    assert "Nothing has run" in done.err
    assert ran.ran() == []
    assert ran.json("log") == before


def test_what_only_comes_up_during_the_run_is_counted_too(ran: Any) -> None:
    edit(ran, "for i in range(n)], out)", "for i in range(0, n)], out)")
    edit(ran, 'File("work/" + ', 'File("work/new-" + ')

    done = ran("run", "--max-rerun", "2", "flow.py", "main")

    assert done.code == 1
    assert "would make 3 calls" in done.err
    assert "What had finished is kept" in done.err
    assert ran.ran() == []


def test_new_work_is_not_limited(ran: Any) -> None:
    ran.write("in2.txt", "x\n")

    done = ran("run", "--max-rerun", "0", "flow.py", "main", "--n", "3")

    assert done.code == 0, done.err
    assert ran.ran() == ["clean in2.txt", "join"]


def test_a_time_limits_too(ran: Any) -> None:
    edit(ran, 'File("work/" + ', 'File("work/new-" + ')

    within = ran("run", "--max-rerun", "2h", "flow.py", "main")
    edit(ran, 'File("work/new-" + ', 'File("work/newer-" + ')
    beyond = ran("run", "--max-rerun", "0s", "flow.py", "main")

    assert within.code == 0, within.err
    assert beyond.code == 1
    assert "it may make 0:00:00 again" in beyond.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--max-rerun", "lots"], "expected a number of calls"),
        (["--max-rerun", "3", "--no-cache"], "--max-rerun has no use"),
    ],
)
def test_wrong_limits_are_refused(flow: Any, words: list[str], text: str) -> None:
    done = flow("run", *words, "flow.py", "main")

    assert done.code == 2
    assert text in done.err


def test_an_edit_of_a_helper_names_it_and_what_reaches_it(ran: Any) -> None:
    edit(ran, "return text.upper()", "return text.title()")

    plan = planned(ran)

    assert [(each["task"], each["why"]) for each in plan["calls"]] == [
        ("flow.clean", "flow.shout changed"),
        ("flow.clean", "flow.shout changed"),
        ("flow.join", "if its input changes"),
    ]
