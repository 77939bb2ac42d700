"""Two runs are held against each other on the command line."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def ran(flow: Any) -> Any:
    flow("run", "flow.py", "main")
    return flow


def test_nothing_can_be_compared_before_there_are_two_runs(space: Any, flow: Any) -> None:
    assert space("diff").code == 3
    assert "Nothing was run yet" in space("diff").err
    assert space("diff", "3fa8", "-").code == 3

    flow("run", "flow.py", "main")
    done = flow("diff")

    assert done.code == 3
    assert "no other one of flow.main" in done.err and "Traceback" not in done.err


def test_the_newest_run_is_compared_with_the_one_before_of_the_same_task(ran: Any) -> None:
    ran("run", "flow.py", "halves", "2")
    ran("run", "flow.py", "main")

    found = ran.json("diff")

    assert [found[each]["task"] for each in ("old", "new")] == ["flow.main", "flow.main"]
    assert (found["same"], found["changed"], found["added"], found["gone"]) == (4, 0, 0, 0)
    assert ran("diff").out.splitlines()[-1].startswith("Nothing that was called")
    assert ran.json("diff", "-") == found
    assert ran.json("diff", "~3", "-") == found


def test_an_edit_is_named_with_its_code(ran: Any) -> None:
    text = (ran.folder / "flow.py").read_text()
    (ran.folder / "flow.py").write_text(text.replace("text.upper()", "text.title()"))
    ran("run", "flow.py", "main")

    done, found = ran("diff"), ran.json("diff")

    assert found["by"]["code"] == 2
    (code,) = found["codes"]["shown"]
    assert (code["task"], code["calls"]) == ("flow.clean", 2)
    assert [each["name"] for each in code["changes"]] == ["flow.shout"]
    assert "    -    return text.upper()\n    +    return text.title()\n" in done.out
    join = next(each for each in found["changes"]["shown"] if each["task"] == "flow.join")
    assert [(each["name"], each["given_by"]) for each in join["arguments"]] == [
        ("parts", "flow.clean")
    ]


def test_a_file_that_changed_is_named(ran: Any) -> None:
    ran.write("in0.txt", "other\n")
    ran("run", "flow.py", "main")

    found = ran.json("diff")

    first = found["changes"]["shown"][0]
    assert (first["task"], first["ingredients"]) == ("flow.clean", ["file"])
    assert "source: content of " in ran("diff").out


def test_new_and_gone_calls_are_listed_and_cut(flow: Any) -> None:
    flow("run", "flow.py", "halves", "2", "4")
    flow("run", "flow.py", "halves", *[str(2 * n) for n in range(2, 40)])

    found, done = flow.json("diff", "-n", "3"), flow("diff", "--limit", "3")

    assert (found["same"], found["changed"]) == (1, 2)
    assert (found["added"], found["gone"]) == (36, 0)
    assert (len(found["added_calls"]["shown"]), found["added_calls"]["left_out"]) == (3, 33)
    assert "... and 33 more calls (--limit shows more)" in done.out


def test_a_failure_is_a_change_and_a_job_stands_for_its_run(ran: Any) -> None:
    ran("run", "flow.py", "halves", "2")
    ran("run", "flow.py", "halves", "3")
    (job, *_) = ran.json("log", "-")["jobs"]

    found = ran.json("diff", job["id"])

    assert found["new"]["status"] == "FAILED"
    assert found["by"]["state"] == 2


def test_different_workflows_can_be_compared(ran: Any) -> None:
    ran("run", "flow.py", "halves", "2")

    found = ran.json("diff", "~2", "-")

    assert (found["same"], found["added"], found["gone"]) == (0, 2, 4)


@pytest.mark.parametrize("record", ["404404", "flow.clean", "results/all.txt"])
def test_what_is_no_execution_is_refused(ran: Any, record: str) -> None:
    done = ran("diff", record)

    assert done.code == 3
    assert "Traceback" not in done.err
