"""The log lists what filters ask for, of every kind of record, as tables and as JSON."""

from __future__ import annotations

from typing import Any

import pytest

FLOW = '''
from taskgraph import File, task

taskgraph_namespace = "bio"


class Spy:
    """A value that leaves a trace when it is unpickled."""

    def __init__(self, name):
        self.name = name

    def __setstate__(self, state):
        open("unpickled.txt", "w").close()
        self.__dict__.update(state)


@task
def align(sample: str) -> File:
    out = File(f"out/{sample}.vcf")
    out.write(sample)
    return out


@task
def count(vcf: File) -> int:
    return 6 // (len(vcf.read()) - 3)


@task
def spied(number: int) -> Spy:
    return Spy(str(number))


@task
def look(spy: Spy) -> str:
    return spy.name


@task
def main(samples: list[str]) -> list[int]:
    return [count(align(each)) for each in samples]


@task
def other(n: int) -> str:
    return look(spied(n))
'''


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three runs: one that went well, one that failed, one of another task."""
    from tests.acceptance.space import Space

    space = Space(tmp_path_factory.mktemp("bio"))
    space.write("flow.py", FLOW)
    space("run", "--tag", "project=x", "flow.py", "main", "--samples", "anna")
    # Otherwise what comes first, an error or what is there already, is for chance to say.
    words = ("--keep-going", "--tag", "project=y", "flow.py", "main")
    space("run", *words, "--samples", "anna", "--samples", "bob")
    space("run", "flow.py", "other", "--n", "7")
    (space.folder / "unpickled.txt").unlink(missing_ok=True)
    return space


def tasks_of(listed: list[dict[str, Any]]) -> list[str]:
    return sorted(each["task"].removeprefix("bio.") for each in listed)


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        (["--status", "failed"], ["main"]),
        (["--status", "DONE"], ["main", "other"]),
        (["--tag", "project=x"], ["main"]),
        (["--tag", "project"], ["main", "main"]),
        (["--tag", "project", "--tag", "project=y", "--status", "DONE"], []),
        (["--since", "1h"], ["main", "main", "other"]),
        (["--since", "2001-01-01", "--until", "2002-01-01"], []),
        (["--type", "execution", "--task", "other"], ["other"]),
        (["--type", "execution", "--file", "out/b*"], ["main"]),
    ],
)
def test_executions_are_listed(ran: Any, words: list[str], tasks: list[str]) -> None:
    listed = ran.json("log", *words)

    assert {each["type"] for each in listed} <= {"execution"}
    assert tasks_of(listed) == tasks


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        (["--task", "align"], ["align", "align", "align"]),
        (["--task", "bio.align", "--job-status", "cached"], ["align"]),
        (["--task", "align", "--task", "look"], ["align", "align", "align", "look"]),
        (["--task", "align", "--execution-tag", "project=x"], ["align"]),
        (["--execution", "-"], ["look", "other", "spied"]),
        (["--execution", "~3"], ["align", "count", "main"]),
        (["--job-status", "FAILED"], ["count", "main"]),
        (["--execution-status", "FAILED", "--type", "job", "--task", "count"], ["count", "count"]),
        (["--file", "out/bob.vcf"], ["align", "count"]),
        (["--file", "./out/b*"], ["align", "count"]),
    ],
)
def test_jobs_are_listed(ran: Any, words: list[str], tasks: list[str]) -> None:
    listed = ran.json("log", *words)

    assert {each["type"] for each in listed} == {"job"}
    assert tasks_of(listed) == tasks


def test_values_and_tasks_and_calls_are_listed(ran: Any) -> None:
    files = ran.json("log", "--value-type", "taskgraph.File")
    tasks = ran.json("log", "--type", "task", "--task", "align")
    calls = ran.json("log", "--type", "call", "--result", files[0]["value_hash"][:12])

    assert sorted(each["file"]["path"] for each in files) == ["out/anna.vcf", "out/bob.vcf"]
    assert [(each["task"], each["calls"]) for each in tasks] == [("bio.align", 2)]
    assert tasks_of(calls) == ["align"]
    given = ran.json("log", "--argument", files[0]["value_hash"])
    assert set(tasks_of(given)) == {"count"}
    by_hash = ran.json("log", "--task-hash", tasks[0]["hash"][:10])
    assert tasks_of(by_hash) == ["align", "align", "align"]


def test_an_id_finds_records_of_any_kind(ran: Any) -> None:
    job = ran.json("log", "--task", "look")[0]

    assert [each["type"] for each in ran.json("log", "--id", job["id"][:12])] == ["job"]
    assert [each["type"] for each in ran.json("log", "--id", "bio.look")] == ["task"]


def test_records_are_counted(ran: Any) -> None:
    counts = ran.json("log", "--count", "--type", "all", "--execution", "-")
    done = ran("log", "--count", "--status", "FAILED")

    assert counts["counts"]["job"] == 3
    assert list(counts["counts"]) == ["execution", "job", "call", "task", "value"]
    assert done.out.split() == ["type", "count", "execution", "1"]


def test_records_are_shown_in_detail(ran: Any) -> None:
    done = ran("log", "--task", "align", "--detail", "-n", "2")
    details = ran.json("log", "--task", "align", "--detail")

    assert done.out.count("Job ") == 2
    assert done.out.count("def align(") == 2
    assert done.out.splitlines()[-1].startswith("... and more")
    assert [each["type"] for each in details] == ["job"] * 3
    assert all("trace" in each for each in details)


def test_pages_follow_each_other(ran: Any) -> None:
    whole = [each["id"] for each in ran.json("log", "--type", "job")]
    first = ran.json("log", "--type", "job", "-n", "4")

    after = ran.json("log", "--type", "job", "-n", "4", "--after", first[-1]["cursor"])
    numbered = ran.json("log", "--type", "job", "-n", "4", "--page", "1")

    assert [each["id"] for each in first] == whole[:4]
    assert [each["id"] for each in after] == [each["id"] for each in numbered] == whole[4:8]
    last = ran("log", "--type", "job", "-n", "4").out.splitlines()[-1]
    assert last.endswith(f"--after {first[-1]['cursor']}")


def test_tables_name_their_kind_where_there_are_several(ran: Any) -> None:
    done = ran("log", "--type", "execution", "--type", "job", "--execution", "-")

    assert done.out.splitlines()[0] == "Executions"
    assert "\nJobs\n" in done.out
    assert "Jobs" not in ran("log", "--task", "align").out


def test_nothing_is_said_where_nothing_is_like_that(ran: Any, space: Any) -> None:
    assert ran("log", "--task", "nobody").out == "No record is like that.\n"
    assert ran("log", "--task", "nobody", "--detail").out == "No record is like that.\n"
    assert space("log", "--task", "nobody").out == "No record is like that.\n"
    assert space.json("log", "--task", "nobody") == []
    assert space.json("log", "--count") == {"type": "counts", "counts": {"execution": 0}}


def test_a_tag_is_shown_by_its_id(ran: Any) -> None:
    from sqlalchemy import select

    import taskgraph
    from taskgraph_backend import models

    with taskgraph.open(ran.folder) as archive, archive.reading() as reader:
        wanted = select(models.Tag.tag_hash).where(models.Tag.key == "project")
        tags = reader.scalars(wanted).all()

    shown = ran.json("log", tags[0][:10])

    assert (shown["type"], shown["key"], shown["entity"]) == ("tag", "project", "bio.main")
    assert ran("log", tags[0][:10]).out.startswith(f"Tag {tags[0][:8]}\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--status", "FALED"], 2, "did you mean FAILED?"),
        (["--type", "jobb"], 2, "did you mean job?"),
        (["--since", "soon"], 2, "expected a date"),
        (["--tag", "=x"], 2, "expected KEY=VALUE"),
        (["--task-hash", "align"], 2, "expected hex digits"),
        (["--after", "nothing"], 2, "the page before gave"),
        (["--page", "1", "--after", "x"], 2, "not both"),
        (["--page", "-1"], 2, "--page"),
        (["-", "--task", "align"], 2, "--execution -"),
        (["--execution", "bio.align"], 2, "this is a Task"),
        (["--execution", "00000000"], 3, "00000000"),
        (["--result", "00000000"], 3, "00000000"),
    ],
)
def test_what_cannot_be_asked_says_why(ran: Any, words: list[str], code: int, text: str) -> None:
    done = ran("log", *words)

    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "Traceback" not in done.err


def test_listing_and_looking_unpickle_nothing(ran: Any) -> None:
    spy = next(
        each
        for each in ran.json("log", "--type", "value", "-n", "100")
        if each["value_type"].endswith("Spy")
    )
    job = ran.json("log", "--task", "look")[0]["id"]

    for words in (
        ["--type", "all", "-n", "100"],
        ["--type", "all", "-n", "100", "--detail"],
        ["--argument", spy["value_hash"]],
        [spy["value_hash"]],
        [job],
        ["-"],
    ):
        assert ran("log", *words).code == 0

    assert not (ran.folder / "unpickled.txt").exists()
    # It would be seen.
    import taskgraph

    with taskgraph.open(ran.folder) as archive, archive.query() as query:
        row: Any = query.filter_ids([spy["value_hash"]]).one()
        assert "Spy" in repr(row.value_parsed)


def test_the_front_door_lists_the_same(ran: Any) -> None:
    import taskgraph

    folder = ran.folder / ".taskgraph"
    listed = taskgraph.executions(config_dir=folder)
    failed = taskgraph.executions(status="FAILED", since="1d", config_dir=folder)

    assert [each.id for each in listed] == [each["id"] for each in ran.json("log")]
    assert [each.task for each in failed] == ["bio.main"]
    tagged = taskgraph.executions(tags=["project"], task=["main"], limit=1, config_dir=folder)
    assert [each.status for each in tagged] == ["FAILED"]


def test_where_nothing_was_run_there_are_no_executions(tmp_path: Any) -> None:
    import taskgraph

    assert taskgraph.executions(config_dir=tmp_path / ".taskgraph") == []
    assert not (tmp_path / ".taskgraph" / "taskgraph.db").exists()
