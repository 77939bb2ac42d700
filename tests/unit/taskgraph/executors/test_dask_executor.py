"""Runs whose calls are tasks of a Dask cluster."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

if not os.environ.get("CI"):
    pytest.importorskip("distributed")

from distributed import Client, LocalCluster
from distributed import Scheduler as DaskScheduler

from taskgraph import Scheduler, task
from taskgraph.errors import ExecutorError, LaunchError, TaskTimeoutError, WorkerLostError
from taskgraph.executors import code
from taskgraph.executors.dask.executor import DaskExecutor
from taskgraph.ports import Command
from taskgraph.testing import MemoryBackend

taskgraph_namespace = "on_dask"
SIZE = 100_000


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def spoiled(values: list[int]) -> int:
    """Change what it is given."""
    values.append(7)
    return len(values)


@task
def length(values: Any) -> int:
    return len(values) if isinstance(values, list) else sum(len(each) for each in values.values())


@task
def in_order(first: int, values: Any) -> int:
    return first + len(values)


@task
def pid(wanted: str = "") -> int:
    return os.getpid()


@task
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
def together(parts: list[Any]) -> list[Any]:
    return parts


# What Dask leaves open of a connection that broke is collected here, and not in another test.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def on_dask(dask_address: str) -> Iterator[Scheduler]:
    tables = {"dask": {"address": dask_address}}
    with Scheduler({"executors": tables}, backend=MemoryBackend(), executor="dask") as made:
        yield made


def executor_of(scheduler: Scheduler) -> DaskExecutor:
    found = scheduler.executors["dask"].target  # type: ignore[attr-defined]
    assert isinstance(found, DaskExecutor)
    return found


def test_a_large_result_stays_on_its_worker_and_no_call_sees_what_another_changed(
    on_dask: Scheduler,
) -> None:
    made = numbers(SIZE)

    found = on_dask.run(in_order(spoiled(made), made))
    again = on_dask.run(together([spoiled(numbers(SIZE + 1)), length({"a": numbers(SIZE + 1)})]))

    assert found == SIZE + 1 + SIZE
    assert again == [SIZE + 2, SIZE + 1]
    assert len(executor_of(on_dask)._held) == 1


def test_what_was_lost_with_its_workers_is_sent_again(
    on_dask: Scheduler, dask_address: str
) -> None:
    made = numbers(SIZE)
    executor = executor_of(on_dask)
    with Client(dask_address, set_as_default=False) as client:

        def lose(dask_scheduler: DaskScheduler | None = None) -> int:
            assert dask_scheduler is not None
            keys = [str(e) for e in dask_scheduler.tasks if str(e).startswith("taskgraph-value-")]
            for key in keys:
                for worker in list(dask_scheduler.tasks[key].who_has or ()):
                    dask_scheduler.remove_replica(dask_scheduler.tasks[key], worker)
                dask_scheduler.transitions({key: "released"}, "lost")
            return len(keys)

        first = on_dask.run(made)
        assert len(executor._held) == 1
        held = next(iter(executor._held.values()))
        assert held.value == first
        assert client.run_on_scheduler(lose) >= 1
        executor.start(executor._inbox)  # type: ignore[arg-type]  # the same run goes on
        from taskgraph.ports import Call, Returned
        from taskgraph.records import JobId
        from tests.contracts.test_executor import Inbox

        inbox = Inbox()
        executor._inbox = inbox
        executor.submit([Call(JobId("late"), "on_dask.length", length.func, (held.value,), {})])  # type: ignore[arg-type]
        inbox.wait(1)

    outcome = inbox.outcomes["late"]
    assert isinstance(outcome, Returned)
    assert outcome.value == SIZE


def test_a_worker_that_has_other_code_is_an_error_and_no_wrong_result(
    on_dask: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "edited_on_dask.py"
    text = (
        "from taskgraph import task\n"
        "def helper(x):\n    return x + 1\n"
        "@task(namespace='edited')\ndef use(x, y):\n    return helper(x)\n"
    )
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("edited_on_dask")
    assert on_dask.run(together([module.use(1, n) for n in range(8)])) == [2] * 8

    path.write_text(text.replace("x + 1", "x + 2000"))
    os.utime(path, (1, 1))
    del sys.modules["edited_on_dask"]
    importlib.invalidate_caches()
    module = importlib.import_module("edited_on_dask")
    by_value = lambda x: module.helper(x)  # noqa: E731 - a function without a name of its own
    for call in (module.use(1, 100), task(namespace="edited", name="other")(by_value)(1)):
        with pytest.raises(ExecutorError, match="other code"):
            on_dask.run(call)


def test_a_worker_that_cannot_import_the_task_says_so(
    on_dask: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gone_on_dask.py"
    path.write_text(
        "from taskgraph import task\n@task(namespace='gone')\ndef use(x):\n    return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("gone_on_dask")
    monkeypatch.setattr(code, "_is_importable", lambda module: True)
    path.unlink()

    with pytest.raises(ExecutorError, match="cannot import gone_on_dask"):
        on_dask.run(module.use(1))


@dataclasses.dataclass
class Pair:
    one: int
    other: list[int]


@task
def swapped(pair: Pair) -> Pair:
    return Pair(pair.other[0], [pair.one])


def test_values_of_classes_of_ones_own_travel_both_ways(on_dask: Scheduler) -> None:
    assert on_dask.run(swapped(swapped(Pair(1, [2])))) == Pair(1, [2])


def test_a_hint_that_no_worker_counts_is_left_out(on_dask: Scheduler) -> None:
    assert on_dask.run(pid.options(cpus=4, gpus=1, memory=1)("a")) != os.getpid()


def test_hints_are_resources_where_workers_count_them() -> None:
    resources = {"GPU": 1, "MEMORY": 2 * 1024**3}
    options: dict[str, Any] = {"n_workers": 1, "resources": resources, "processes": False}
    tables = {"dask": {**options, "resources": {"gpus": "GPU", "memory": "MEMORY"}}}
    del options["resources"]
    tables["dask"]["cluster"] = lambda **given: LocalCluster(
        dashboard_address=":0", **given, **{"resources": resources}
    )
    executor = DaskExecutor("dask", **tables["dask"])
    with Scheduler({}, backend=MemoryBackend()) as scheduler:
        scheduler.add_executor(executor)
        on_it = pid.options(executor="dask", gpus=1)
        assert scheduler.run(on_it("a")) == os.getpid()
        with pytest.raises(ExecutorError, match="wants gpus=2, and no worker has more than GPU=1"):
            scheduler.run(pid.options(executor="dask", gpus=2)("b"))


def test_a_call_that_takes_too_long_is_left_behind(on_dask: Scheduler) -> None:
    with pytest.raises(TaskTimeoutError):
        on_dask.run(sleep.options(timeout=0.1)(3.0))


def test_calls_whose_keys_are_cancelled_have_failed(on_dask: Scheduler, dask_address: str) -> None:
    async def cancel(dask_scheduler: DaskScheduler | None = None) -> bool:
        assert dask_scheduler is not None
        for _ in range(400):
            keys = [e for e in dask_scheduler.tasks if str(e).startswith("sleep-")]
            if keys:
                for client in list(dask_scheduler.clients):
                    await asyncio.sleep(0)
                    dask_scheduler.client_releases_keys(keys=keys, client=client)
                    dask_scheduler.report({"op": "cancelled-keys", "keys": keys})
                return True
            await asyncio.sleep(0.05)
        return False

    done: list[bool] = []

    def run() -> None:
        with Client(dask_address, set_as_default=False) as client:
            done.append(client.run_on_scheduler(cancel))

    thread = threading.Thread(target=run)
    thread.start()
    with pytest.raises(WorkerLostError):
        on_dask.run(sleep(5.0))
    thread.join()
    assert done == [True]
    assert on_dask.run(length(numbers(3))) == 3


def test_a_cluster_that_is_not_there_is_an_error() -> None:
    tables = {"dask": {"address": "tcp://127.0.0.1:9", "timeout": 0.5}}
    with (
        Scheduler({"executors": tables}, backend=MemoryBackend(), executor="dask") as scheduler,
        pytest.raises(ExecutorError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"),
    ):
        scheduler.run(together([length(numbers(n)) for n in range(5)]))


def test_a_cluster_that_nobody_asks_for_workers_is_an_error() -> None:
    class Empty:
        worker_spec: ClassVar[dict[str, Any]] = {}

        def close(self) -> None:
            """It has nothing to let go of."""

    executor = DaskExecutor(cluster=Empty)
    with pytest.raises(ExecutorError, match="Set n_workers, scale, or adapt"):
        executor.open()


def test_calls_of_a_cluster_that_has_no_workers_fail_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DaskExecutor, "pause", 0.1)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster:
        tables = {"dask": {"address": cluster.scheduler_address, "patience": 0.3}}
        with Scheduler({"executors": tables}, backend=MemoryBackend(), executor="dask") as run:
            with pytest.raises(WorkerLostError, match=r"no workers for 0\.3 seconds"):
                run.run(pid("nobody"))
            cluster.scale(1)
            assert run.run(pid("somebody")) == os.getpid()


def test_a_cluster_of_its_own_that_lost_its_workers_gets_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DaskExecutor, "pause", 0.1)
    tables = {"dask": {"n_workers": 1, "processes": False}}
    with Scheduler({"executors": tables}, backend=MemoryBackend(), executor="dask") as run:
        assert run.run(pid("first")) == os.getpid()
        cluster = executor_of(run)._cluster
        (name,) = cluster.workers
        cluster.sync(cluster.workers.pop(name).close)

        assert run.run(pid("second")) == os.getpid()


def test_a_cluster_by_its_class_alone_is_one_of_dask_s() -> None:
    table = {
        "class": "distributed:LocalCluster",
        **{"n_workers": 1, "processes": False, "dashboard_address": ":0"},
    }
    with Scheduler({"executors": {"local": table}}, backend=MemoryBackend()) as scheduler:
        assert scheduler.run(pid.options(executor="local")("c")) == os.getpid()


def test_a_cluster_of_slurm_is_asked_for_jobs_by_the_settings() -> None:
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    seen: list[Any] = []

    class Recorded(dask_jobqueue.SLURMCluster):  # type: ignore[misc]
        def adapt(self, *args: Any, **given: Any) -> Any:
            seen.append((self.job_script(), given))
            return super().adapt(*args, **given)

    executor = DaskExecutor(
        "slurm",
        cluster=Recorded,
        adapt={"minimum": 0, "maximum": 4},
        **{
            "cores": 8,
            "memory": "16GB",
            "queue": "long",
            "scheduler_options": {"dashboard_address": ":0"},
        },
    )
    executor.open()
    executor._is_stopping = True
    executor.close(False)

    ((script, adapted),) = seen
    assert "#SBATCH -p long" in script
    assert "--cpus-per-task=8" in script
    assert adapted == {"minimum": 0, "maximum": 4}


def test_a_cluster_of_its_own_launches_nothing() -> None:
    with pytest.raises(LaunchError, match="the cluster is its own"):
        DaskExecutor().launch(Command(("run",), ".", "log"))


def test_a_command_is_launched_on_a_cluster_that_is_there(
    dask_address: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    path = os.pathsep.join(sys.path)
    command = Command(("--version",), str(tmp_path), str(log), python_path=path)

    place = DaskExecutor(address=dask_address).launch(command)

    assert dask_address in place
    deadline = time.monotonic() + 60
    while "taskgraph " not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)


CLUSTER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(scheduler_port=int(sys.argv[1]), **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        time.sleep(600)
"""


def begun_cluster(path: Path, port: str) -> tuple[subprocess.Popen[str], str]:
    path.write_text(CLUSTER)
    words = [sys.executable, str(path), port]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.slow
def test_a_scheduler_of_the_cluster_that_dies_ends_the_run_and_the_next_one_connects_anew(
    tmp_path: Path,
) -> None:
    process, address = begun_cluster(tmp_path / "cluster.py", "0")
    tables = {"dask": {"address": address, "timeout": 5}}
    killer = threading.Timer(0, lambda: None)
    try:
        with Scheduler({"executors": tables}, backend=MemoryBackend(), executor="dask") as run:
            assert run.run(length(numbers(3))) == 3
            killer = threading.Timer(0.5, os.killpg, (process.pid, signal.SIGKILL))
            killer.start()
            with pytest.raises(ExecutorError):
                run.run(together([sleep(2 + n / 100) for n in range(8)]))
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            process, again = begun_cluster(tmp_path / "cluster.py", address.rpartition(":")[2])
            assert again == address
            assert run.run(length(numbers(4))) == 4
    finally:
        killer.join()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
