"""Which queue a call is of, what is recorded of that, and where it runs."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import taskgraph
from taskgraph import F, Scheduler, task
from taskgraph.app.launching import workflow_call
from taskgraph.assembly.databases import open_database
from taskgraph.catalog.uses import StepPin, Uses, WorkflowPin
from taskgraph.errors import ExecutorError, TaskOptionError, TaskTimeoutError, ValidationError
from taskgraph.events import Event, Warned
from taskgraph.executors import parcels, queued
from taskgraph.outputs.reading import read_output
from taskgraph.serving.calls import CallServer
from taskgraph.testing import MemoryBackend
from taskgraph.values.gate import current_trust, use_trust
from taskgraph_backend import SqlBackend, models
from tests.forked import run_python
from tests.queues import ROOT, serving, settings_for
from tests.served_tasks import until

taskgraph_namespace = "queues"


@task
def plain(x: int) -> int:
    return x + 1


@task(queue="decorated")
def named(x: int) -> int:
    return x + 1


@task
def where(x: int) -> tuple[int, int]:
    return x, os.getpid()


@task(queue="gpu")
def on_gpu(x: int) -> tuple[int, int]:
    return x, os.getpid()


@task(queue="cpu")
def on_cpu(x: int) -> tuple[int, int]:
    return x, os.getpid()


@task
async def awaits(x: int) -> tuple[int, int]:
    return x, os.getpid()


@pytest.fixture
def scheduler(database_uri: str) -> Iterator[Scheduler]:
    with Scheduler(settings_for(database_uri)) as made:
        yield made


@pytest.fixture
def sqlite_uri(tmp_path: Path) -> str:
    """A database for what is the same on each: workers, and not who may have which row."""
    return f"sqlite:///{tmp_path / 'sqlite.db'}"


@pytest.fixture
def on_sqlite(sqlite_uri: str) -> Iterator[Scheduler]:
    with Scheduler(settings_for(sqlite_uri)) as made:
        yield made


def queues_of(uri: str) -> dict[str, set[str | None]]:
    """Return the queues of the recorded jobs, by the name of the task."""
    found: dict[str, set[str | None]] = {}
    with SqlBackend(uri) as backend, backend.reader() as reader:
        for job in reader.query(models.Job):
            found.setdefault(job.task.fullname, set()).add(job.queue)
    return found


# Which one it is


@pytest.mark.parametrize("task_named", [True, False])
@pytest.mark.parametrize("of_step", ["step", None])
@pytest.mark.parametrize("of_run", ["run", None])
def test_a_step_goes_before_the_task_and_the_task_before_the_run(
    scheduler: Scheduler,
    database_uri: str,
    task_named: bool,
    of_step: str | None,
    of_run: str | None,
) -> None:
    called = named if task_named else plain
    options = {} if of_step is None else {"queue": of_step}
    step = StepPin(0, called.fullname, None, None, options)
    uses = Uses(WorkflowPin("0" * 32, "", "w", 1, (step,)))

    scheduler.run(workflow_call(uses, 1), queue=of_run)  # type: ignore[arg-type]  # a number will do

    expected = of_step or ("decorated" if task_named else None) or of_run
    assert queues_of(database_uri)[called.fullname] == {expected}


def test_an_option_of_all_tasks_in_a_run_is_the_queue_of_those_that_name_none(
    scheduler: Scheduler, database_uri: str
) -> None:
    calls = [plain(1), named(1), plain.options(queue="said")(2)]

    scheduler.run(calls, options={"queue": "run", "retries": 1})

    found = queues_of(database_uri)
    assert found["queues.plain"] == {"run", "said"}
    assert found["queues.named"] == {"decorated"}
    assert found["taskgraph.root_task"] == {None}


def test_a_job_for_which_no_queue_is_named_has_none(
    scheduler: Scheduler, database_uri: str
) -> None:
    scheduler.run(plain(1))

    assert queues_of(database_uri) == {"queues.plain": {None}}


def test_a_cached_job_has_its_queue_as_well_and_the_queue_is_no_part_of_the_key(
    scheduler: Scheduler, database_uri: str
) -> None:
    first = scheduler.run(where(1), queue="one")

    assert scheduler.run(where(1), queue="two") == first
    assert queues_of(database_uri) == {"queues.where": {"one", "two"}}


def test_a_job_that_is_shown_while_it_runs_has_its_queue_then(
    scheduler: Scheduler, database_uri: str, tmp_path: Path
) -> None:
    @task(queue="slow")
    def looks_at_itself(uri: str) -> list[str | None]:
        end = time.monotonic() + 60
        while not (found := list(queues_of(uri).get("queues.looks_at_itself", ()))):
            assert time.monotonic() < end
        return found

    assert scheduler.run(looks_at_itself(database_uri)) == ["slow"]


@pytest.mark.parametrize("name", ["", "  ", "a,b", "a\nb", "q" * 501, 5, None, b"q"])
def test_what_is_no_name_of_a_queue_is_refused(name: Any) -> None:
    with pytest.raises(TaskOptionError, match="queue"):
        plain.options(queue=name)
    with Scheduler(backend=MemoryBackend()) as scheduler:
        with pytest.raises(TaskOptionError, match="queue"):
            scheduler.run(plain(1), options={"queue": name})
        if name is not None:
            with pytest.raises(TaskOptionError, match="queue"):
                scheduler.run(plain(1), queue=name)
    with pytest.raises(TaskOptionError, match="queue"):
        Scheduler(backend=MemoryBackend(), serves=[name])


def test_a_run_with_a_queue_is_found_by_it(scheduler: Scheduler, database_uri: str) -> None:
    scheduler.run(plain(1), queue="gpu")
    scheduler.run(plain(2))

    with taskgraph.open(database_uri) as tg:
        (found,) = tg.executions.list(F.queues(any=["gpu"])).rows
        assert found.tags["taskgraph.queue"] == ["gpu"]
        again = tg.executions.rerun(found.id, no_cache=True)
        assert again.tags["taskgraph.queue"] == ["gpu"]
    assert queues_of(database_uri) == {"queues.plain": {"gpu", None}}


def test_the_queue_of_a_job_moves_with_its_record(
    scheduler: Scheduler, database_uri: str, tmp_path: Path
) -> None:
    scheduler.run([named(1), plain(1)])

    with SqlBackend(database_uri) as backend, backend.reader() as reader:
        ids = [each.id for each in reader.query(models.Execution)]
        roots = [*ids, *backend.iter_record_ids(ids)]
        records = list(backend.get_records(dict.fromkeys(roots)))
    jobs = [each for each in records if each["_type"] == "Job"]
    # Libraries that know of no queues read the records of all other jobs.
    assert [each.get("queue", "none") for each in jobs].count("none") == len(jobs) - 1
    assert {each["queue"] for each in jobs if "queue" in each} == {"decorated"}
    # As some were written that had one without any.
    jobs[-1].setdefault("queue", None)
    with SqlBackend(f"sqlite:///{tmp_path / 'other.db'}") as other:
        other.put_records(records)
    found = queues_of(f"sqlite:///{tmp_path / 'other.db'}")
    assert found["queues.named"] == {"decorated"}
    assert found["queues.plain"] == {None}


def test_a_job_s_page_says_its_queue(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "from taskgraph import task\n"
        "taskgraph_namespace = 'flow'\n"
        "@task\n"
        "def one() -> int:\n    return 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'backend'}"}

    def command(*words: str) -> str:
        done = run_python(["-m", "taskgraph", *words], tmp_path, environment)
        assert done.code == 0, done.err
        return done.out

    command("run", "--queue", "night", "flow.py", "one")

    uri = f"sqlite:///{tmp_path / '.taskgraph' / 'taskgraph.db'}"
    with SqlBackend(uri) as backend, backend.reader() as reader:
        (job,) = reader.query(models.Job)
    assert "night" in command("log", job.id)
    assert '"queue": "night"' in command("log", job.id, "--json")
    assert "night" in command("execution", "show", job.execution_id)


# Where it runs


def test_without_an_executor_that_sends_it_a_call_runs_here(scheduler: Scheduler) -> None:
    assert scheduler.run([on_gpu(1), where(1)], queue="x") == [(1, os.getpid())] * 2


def test_the_executor_sends_a_call_to_the_workers_of_its_queue(
    scheduler: Scheduler, database_uri: str
) -> None:
    with serving(database_uri, "gpu", "default") as server:
        calls = [each.options(executor="queues")(1) for each in (on_gpu, where)]
        found = scheduler.run([*calls, where(2)])

        assert [x for x, _ in found] == [1, 1, 2]
        assert [pid == os.getpid() for _, pid in found] == [False, False, True]
        until(lambda: server.answered == 2)
    with SqlBackend(database_uri) as backend:
        assert rows_left(backend) == 0


def test_an_executor_of_another_name_is_one_of_the_settings(database_uri: str) -> None:
    tables = {"farm": {"type": "queues", "max_calls": 3}, "same": {"type": "alias", "of": "farm"}}
    settings = {"backend": {"db_uri": database_uri, "automigrate": True}, "executors": tables}

    with serving(database_uri, "gpu"), Scheduler(settings) as scheduler:
        calls = [on_gpu.options(executor=name)(n) for n in range(10) for name in ("farm", "same")]
        found = scheduler.run(calls)

    assert [x for x, _ in found] == [n for n in range(10) for _ in range(2)]
    assert os.getpid() not in {pid for _, pid in found}


def test_a_worker_s_scheduler_runs_its_own_queues_and_sends_others_to_theirs(
    database_uri: str,
) -> None:
    with (
        serving(database_uri, "gpu", "default"),
        Scheduler(settings_for(database_uri), serves=["cpu", "here"]) as scheduler,
    ):
        calls = [on_gpu(1), on_cpu(1), where(1), awaits(1)]
        own = [pid == os.getpid() for _, pid in scheduler.run(calls)]
        named_by_run = scheduler.run(where(2), queue="here")

    # What names no queue is of `default`; a coroutine stays with the loop that it may speak with.
    assert own == [False, True, False, True]
    assert named_by_run == (2, os.getpid())


def test_an_execution_that_came_by_a_queue_is_of_that_queue(
    database_uri: str, tg: taskgraph.Archive
) -> None:
    made = tg.executions.create("queues.where", {"x": 1}, queues=["here"]).execution

    with Scheduler(settings_for(database_uri), serves="here") as scheduler:
        assert scheduler.run_submitted(where(1), made) == (1, os.getpid())

    assert queues_of(database_uri) == {"queues.where": {"here"}}


# What is given and what comes back


@task(queue="gpu", executor="queues")
def enlarge(data: bytes, times: int) -> bytes:
    return data * times


def test_large_arguments_and_results_arrive(scheduler: Scheduler, database_uri: str) -> None:
    data = os.urandom(3_000_000)

    with serving(database_uri, "gpu"):
        made = scheduler.run(enlarge(data, 2))

    assert made == data * 2
    assert scheduler.run(enlarge(data, 2)) == made  # from the records: nobody serves any more


@task(queue="gpu", executor="queues")
def chance(size: int) -> bytes:
    return os.urandom(size)


def test_a_result_that_is_too_large_for_a_row_fails_and_its_server_goes_on(
    on_sqlite: Scheduler, sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "MOST_BYTES", 1_000_000)

    with serving(sqlite_uri, "gpu"):
        with pytest.raises(ExecutorError, match=r"What came of the call is .* 1,000,000 at most"):
            on_sqlite.run(chance(1_000_001))
        assert len(on_sqlite.run(chance(1_000))) == 1_000


@task(queue="gpu", executor="queues")
def fails(x: int) -> int:
    raise LookupError(f"not {x}")


def test_an_error_comes_back_as_it_is(on_sqlite: Scheduler, sqlite_uri: str) -> None:
    with serving(sqlite_uri, "gpu"), pytest.raises(LookupError, match="not 3") as caught:
        on_sqlite.run(fails(3))

    trace = caught.value.__taskgraph_trace__  # type: ignore[attr-defined]  # put there by the engine
    assert "fails" in str(trace)


@task(queue="gpu", executor="queues", timeout=0.3)
def never_ends() -> None:
    time.sleep(600)


def test_what_takes_too_long_fails(on_sqlite: Scheduler, sqlite_uri: str) -> None:
    with serving(sqlite_uri, "gpu"), pytest.raises(TaskTimeoutError, match="never_ends"):
        on_sqlite.run(never_ends())


@task(queue="gpu", executor="queues")
def says(text: str) -> None:
    print(text)


def test_what_it_prints_is_kept(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"

    with serving(uri, "gpu"), Scheduler(settings_for(uri)) as scheduler:
        scheduler.run(says("from afar"))

    with SqlBackend(uri) as backend, backend.reader() as reader:
        (job,) = reader.query(models.Job)
    output = read_output(f"{tmp_path / 'taskgraph.db'}-logs/{job.execution_id}", job.id)
    assert output is not None
    assert [each.text for each in output.lines] == ["from afar"]


@task(queue="gpu", executor="queues", cpus=2)
def is_wide(path: str, n: int) -> int:
    Path(path, f"{n}").touch()
    found = len(list(Path(path).iterdir()))
    time.sleep(0.05)
    Path(path, f"{n}").unlink()
    return found


def test_a_call_takes_as_many_slots_as_it_keeps_cores_busy(
    on_sqlite: Scheduler, sqlite_uri: str, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    busy.mkdir()

    with serving(sqlite_uri, "gpu", slots=2):
        found = on_sqlite.run([is_wide(str(busy), n) for n in range(6)])

    assert found == [1] * 6


FLOW = """
from taskgraph import task
taskgraph_namespace = "flow"

@task(queue="gpu", executor="queues")
def answer(x: int) -> int:
    return x + {amount}
"""
RUN = """
import sys
from flow import answer
from taskgraph import Scheduler
with Scheduler({"backend": {"db_uri": sys.argv[1], "automigrate": True}}) as scheduler:
    print(scheduler.run(answer(1)))
"""


def test_code_that_was_edited_is_loaded_anew_by_workers_that_go_on(
    sqlite_uri: str, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "backend")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    said = []

    with serving(sqlite_uri, "gpu", slots=1):
        for amount in (1, 10, 100):
            (tmp_path / "flow.py").write_text(FLOW.format(amount=amount))
            done = run_python(["-c", RUN, sqlite_uri], tmp_path, environment)
            said.append(done.out or done.err)

    assert said == ["2\n", "11\n", "101\n"]


# Nobody, and nobody who may


def rows_left(backend: SqlBackend) -> int:
    driver = backend.database.connect()
    try:
        (count,) = driver.execute("SELECT count(*) FROM routed_call").fetchone()
    finally:
        driver.close()
    return int(count)


def test_that_nobody_serves_a_queue_is_said_once_and_waited_for(
    sqlite_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "PATIENCE", 0.2)
    monkeypatch.setattr(queued, "_LOOK_EVERY", 0.1)
    settings = settings_for(sqlite_uri)
    backend = open_database(settings)
    server = CallServer(settings, backend, ["gpu"])
    said: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Warned):
            said.append(event.message)
            server.start()

    with Scheduler(settings, observers=[hear]) as scheduler:
        calls = [on_gpu.options(executor="queues")(n) for n in range(3)]
        found = scheduler.run(calls)
    server.stop()
    backend.close()

    assert [x for x, _ in found] == [0, 1, 2]
    (sentence,) = said
    assert sentence.startswith("No worker serves queue 'gpu', and 3 calls wait for one.")
    assert "taskgraph worker start --pool NAME --queues gpu" in sentence


def test_a_queue_that_somebody_serves_is_not_warned_of(
    sqlite_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(queued, "PATIENCE", 0.0)
    monkeypatch.setattr(queued, "_LOOK_EVERY", 0.05)
    said: Counter[type[Event]] = Counter()

    with (
        serving(sqlite_uri, "gpu", "other", slots=1),
        Scheduler(
            settings_for(sqlite_uri), observers=[lambda event: said.update([type(event)])]
        ) as scheduler,
    ):
        scheduler.run([is_wide(str(tmp_path), n) for n in range(5)])

    assert said[Warned] == 0


def test_a_database_in_memory_sends_nothing_anywhere() -> None:
    with (
        Scheduler(backend=MemoryBackend()) as scheduler,
        pytest.raises(ExecutorError, match="in memory, where no worker sees it"),
    ):
        scheduler.run(on_gpu.options(executor="queues")(1))
    with SqlBackend() as backend, Scheduler(backend=backend) as scheduler:
        with pytest.raises(ExecutorError, match="in memory, where no worker sees it"):
            scheduler.run(on_gpu.options(executor="queues")(1))
        server = CallServer(scheduler.settings, backend, ["gpu"])
        with pytest.raises(ExecutorError, match="this one is in memory"):
            server.start()


def test_where_only_data_is_trusted_no_code_travels_by_the_database(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(use_trust, current_trust()))
    uri = f"sqlite:///{tmp_path / 'taskgraph.db'}"
    settings = {"backend": {"db_uri": uri, "trust": "data"}}

    with Scheduler(settings) as scheduler:
        with pytest.raises(ExecutorError, match=r'backend\.trust = "data"'):
            scheduler.run(on_gpu.options(executor="queues")(1))
        with pytest.raises(ExecutorError, match="takes no calls"):
            CallServer(scheduler.settings, scheduler.backend, ["gpu"]).start()


def test_a_server_without_queues_or_slots_is_refused(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path / 'taskgraph.db'}")
    with open_database(settings) as backend:
        with pytest.raises(ValidationError, match="queues"):
            CallServer(settings, backend, [])
        with pytest.raises(ValidationError, match="slots"):
            CallServer(settings, backend, ["gpu"], slots=0)
        with pytest.raises(TaskOptionError, match="comma"):
            CallServer(settings, backend, ["a,b"])
