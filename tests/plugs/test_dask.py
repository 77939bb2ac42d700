"""`cached_submit` on real clusters: in threads of this process, and in processes of their own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("CI"):
    # On CI a missing package is an error: these tests are never skipped in silence there.
    pytest.importorskip("distributed")

from distributed import Client, Event, Future, LocalCluster, fire_and_forget

from taskgraph import File
from taskgraph.errors import UnhashableValueError, WorkerCodeError, WorkerProjectError
from taskgraph.executors.dask import Cluster
from taskgraph.plug.dask import cached_map, cached_submit, with_options
from taskgraph.plug.execution import close_executions
from taskgraph.plug.memo import cached
from taskgraph.testing.plug_in import MODULE, PlugInContract, Result, Step, edit, job_states
from taskgraph.values.valuestore import ValueStore

SECONDS = 30
ROOTS = [Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[2] / "backend"]


@contextmanager
def cluster_of(**options: Any) -> Iterator[LocalCluster]:
    with LocalCluster(dashboard_address=":0", **options) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def in_threads() -> Iterator[LocalCluster]:
    """Two workers of one thread each, in this process."""
    with cluster_of(processes=False, n_workers=2, threads_per_worker=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def in_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two workers in processes of their own."""
    folder = str(tmp_path_factory.mktemp("workers"))
    options = {"n_workers": 2, "threads_per_worker": 1, "local_directory": folder}
    with cluster_of(processes=True, **options) as cluster:
        yield cluster


def forget_modules() -> None:
    for name in (MODULE, "helpers"):
        sys.modules.pop(name, None)


def begin_session(folder: str) -> None:
    """Make a worker what one is that was started in a folder just now."""
    import importlib

    os.chdir(folder)
    sys.path[:] = [folder, *[each for each in sys.path if not Path(each, "steps.py").exists()]]
    for name in ("steps", "helpers"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


@contextmanager
def session(cluster: LocalCluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a new client, and the module of steps as it is now."""
    import importlib

    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        forget_modules()
        importlib.invalidate_caches()
        with Client(cluster) as client:
            try:
                yield client, importlib.import_module(MODULE)
            finally:
                close_executions()
                forget_modules()


class DaskContract(PlugInContract):
    """The contract, where each session is a client of its own."""

    @pytest.fixture(autouse=True)
    def _kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def run_on(self, cluster: LocalCluster, folder: Path, steps: Sequence[Step]) -> list[Any]:
        with session(cluster, folder, self.monkeypatch) as (client, module):
            self.begin(client, folder)
            futures: list[Future[Any]] = []
            for name, args in steps:
                given = [futures[each.step] if isinstance(each, Result) else each for each in args]
                futures.append(cached_submit(client, getattr(module, name), *given))
            return [self.gather(client, each) for each in futures]

    def begin(self, client: Client, folder: Path) -> None:
        pass

    def gather(self, client: Client, future: Future[Any]) -> Any:
        return future.result(timeout=SECONDS)


class TestThreads(DaskContract):
    """Workers in this process."""

    @pytest.fixture(autouse=True)
    def _cluster(self, in_threads: LocalCluster) -> None:
        self.cluster = in_threads

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        return self.run_on(self.cluster, folder, steps)


class TestProcesses(DaskContract):
    """Workers in processes: functions, arguments and results are pickled."""

    @pytest.fixture(autouse=True)
    def _cluster(self, in_processes: LocalCluster) -> None:
        self.cluster = in_processes

    def begin(self, client: Client, folder: Path) -> None:
        client.run(begin_session, str(folder))

    def gather(self, client: Client, future: Future[Any]) -> Any:
        try:
            return super().gather(client, future)
        except TypeError as error:
            # A lock is on its worker, for other tasks to use there; no process can send it away.
            assert "Could not serialize object of type lock" in str(error)
            return client.submit(repr, future).result(timeout=SECONDS)

    def run(self, folder: Path, steps: Sequence[Step]) -> list[Any]:
        return self.run_on(self.cluster, folder, steps)


STEPS = """
import time
from distributed import Event
from helpers import factor


def ran(name):
    with open({folder!r} + "/ran.txt", "a") as file:
        file.write(name + "\\n")


def scale(x):
    ran("scale")
    return x * factor()


def held(x, event):
    ran("held")
    Event("started-" + event).set()
    Event(event).wait(30)
    return x * factor()


def draw():
    ran("draw")
    with open({folder!r} + "/ran.txt") as file:
        return file.read().count("draw")


def add(x, y):
    return x + y


def total(values, workers=0):
    ran("total")
    return sum(values) + workers


def fail(x):
    ran("fail")
    raise ValueError(f"not {{x}}")


def fail_once(path):
    ran("fail_once")
    try:
        open(path, "x").close()
    except FileExistsError:
        return "done"
    raise OSError("the first time")


def lock(x):
    import threading
    ran("lock")
    return threading.Lock()


def is_lock(value):
    ran("is_lock")
    return "lock" in repr(value)


async def later(x):
    ran("later")
    return x + 1
"""


class Session:
    """A client on a cluster, and a project with the module of steps."""

    def __init__(self, client: Client, steps: Any, folder: Path) -> None:
        self.client = client
        self.steps = steps
        self.folder = folder

    def submit(self, name: str, *args: Any, **kwargs: Any) -> Future[Any]:
        return cached_submit(self.client, getattr(self.steps, name), *args, **kwargs)

    @property
    def has_run(self) -> list[str]:
        """The functions that have begun; to be looked at while others are beginning."""
        path = self.folder / "ran.txt"
        return path.read_text().split() if path.exists() else []

    def ran(self) -> list[str]:
        names = self.has_run
        (self.folder / "ran.txt").unlink(missing_ok=True)
        return names

    def event(self, name: str) -> Event:
        return Event(name, client=self.client)

    def states(self) -> Counter[tuple[str, str]]:
        close_executions()
        return job_states(self.folder)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with steps in it, which is the working directory."""
    (tmp_path / ".taskgraph").mkdir()
    (tmp_path / "helpers.py").write_text("def factor():\n    return 2\n")
    (tmp_path / "steps.py").write_text(STEPS.format(folder=str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGRAPH_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def begin(in_threads: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin a session with a new client, in threads of this process."""

    @contextmanager
    def begin() -> Iterator[Session]:
        with session(in_threads, project, monkeypatch) as (client, module):
            yield Session(client, module, project)

    return begin


@pytest.fixture
def here(begin: Any) -> Iterator[Session]:
    """One session in threads of this process."""
    with begin() as made:
        yield made


# Futures


def test_a_recorded_result_is_a_future_that_is_done(begin: Any) -> None:
    with begin() as first:
        first.submit("scale", 21).result(SECONDS)

    with begin() as second:
        future = second.submit("scale", 21)

        assert future.done()
        assert second.client.submit(lambda x: x + 1, future).result(SECONDS) == 43


def test_a_call_is_recorded_before_its_future_is_done(here: Session) -> None:
    future = here.submit("scale", 21)
    future.result(SECONDS)

    assert here.states() == Counter({("scale", "DONE"): 1})


def test_it_returns_at_once_while_an_input_is_not_there(here: Session) -> None:
    held = here.submit("held", 1, "one")
    after = here.submit("scale", held)
    native = here.client.submit(lambda x: x + 1, after)

    assert [each.status for each in (held, after, native)] == ["pending"] * 3
    here.event("one").set()
    assert native.result(SECONDS) == 5


def test_what_an_unchanged_input_leads_to_does_not_run(begin: Any) -> None:
    with begin() as first:
        first.submit("scale", first.client.submit(int, "21")).result(SECONDS)
        assert first.ran() == ["scale"]

    with begin() as second:
        assert second.submit("scale", second.client.submit(int, "21")).result(SECONDS) == 42
        assert second.submit("scale", 21).done()
        assert second.ran() == []


def test_futures_in_lists_and_dicts_count_by_their_values(begin: Any) -> None:
    for expected in (["scale", "scale", "total"], []):
        with begin() as each:
            ones = cached_map(each.client, each.steps.scale, [1, 2])
            plain = each.client.submit(int, "5")
            total = each.submit("total", [*ones, 7, plain], workers=ones[0])

            assert total.result(SECONDS) == 2 + 4 + 7 + 5 + 2
            assert sorted(each.ran()) == expected


def test_another_value_of_a_future_in_a_list_is_another_call(here: Session) -> None:
    totals = [here.submit("total", [here.submit("scale", x), 1]) for x in (1, 2)]

    assert here.client.gather(totals) == [3, 5]


def test_a_value_that_was_an_input_first_is_kept_as_a_result_later(begin: Any) -> None:
    with begin() as first:
        plain = first.client.submit(lambda: [6, 7])
        first.submit("total", plain).result(SECONDS)
        first.submit("held", plain, "none")
        first.event("none").set()
    with begin() as second:
        second.submit("scale", [6, 7]).result(SECONDS)

    with begin() as third:
        assert third.submit("scale", [6, 7]).done()


def test_what_takes_an_unstored_result_runs_again(begin: Any) -> None:
    for _ in range(2):
        with begin() as each:
            assert each.submit("is_lock", each.submit("lock", 1)).result(SECONDS)
            assert each.ran() == ["lock", "is_lock"]


def test_async_functions_run(here: Session) -> None:
    assert here.submit("later", 1).result(SECONDS) == 2


def test_many_calls_are_submitted_together(begin: Any) -> None:
    with begin() as first:
        made = cached_map(first.client, first.steps.scale, range(20))
        assert first.client.gather(made) == list(range(0, 40, 2))

    with begin() as second:
        assert all(each.done() for each in cached_map(second.client, second.steps.scale, range(20)))


def test_options_of_dask_do_not_clash_with_arguments(here: Session) -> None:
    (address, *_) = here.client.nthreads()
    chosen = with_options(here.client, workers=[address])

    future = cached_submit(chosen, here.steps.total, [1], workers=5)

    assert future.result(SECONDS) == 6
    assert [list(each) for each in here.client.who_has([future]).values()] == [[address]]


def test_an_option_that_would_change_what_is_remembered_is_refused(here: Session) -> None:
    with pytest.raises(TypeError, match="no option pure"):
        with_options(here.client, pure=False)


def test_a_future_where_dask_does_not_look_is_refused(here: Session) -> None:
    with pytest.raises(UnhashableValueError, match=r"args\.x"):
        here.submit("scale", {1: slice(here.client.submit(int, "1"))})


def test_a_lazy_collection_is_refused(here: Session) -> None:
    import dask

    with pytest.raises(TypeError, match=r"client\.compute"):
        here.submit("scale", dask.delayed(int)("1"))


# Single flight


def test_equal_calls_at_once_run_once(here: Session) -> None:
    futures = [here.submit("held", 1, "flight") for _ in range(3)]
    here.event("flight").set()

    assert here.client.gather(futures) == [2, 2, 2]
    assert here.ran() == ["held"]
    assert here.states() == Counter({("held", "DONE"): 1, ("held", "CACHED"): 2})


def test_calls_that_turn_out_to_be_equal_run_once(here: Session) -> None:
    texts = ["1".rjust(width) for width in range(1, 13)]
    inputs = [here.client.submit(lambda text: int(text), text) for text in texts]
    futures = [here.submit("held", each, "late") for each in [1, *inputs]]
    here.event("started-late").wait(SECONDS)
    here.event("late").set()

    assert here.client.gather(futures) == [2] * 13
    assert here.ran() == ["held"]


def test_equal_calls_for_the_same_future_are_one(here: Session) -> None:
    plain = here.client.submit(int, "1")
    first, second = (here.submit("held", plain, "same") for _ in range(2))
    here.event("same").set()

    assert first.key == second.key
    assert first.result(SECONDS) == 2
    assert here.states() == Counter({("held", "DONE"): 1, ("held", "CACHED"): 1})


def test_two_clients_do_not_stand_in_each_others_way(here: Session, begin: Any) -> None:
    with Client(here.client.cluster) as other:
        mine = here.submit("held", 1, "both")
        yours = cached_submit(other, here.steps.held, 1, "both")
        here.event("both").set()

        assert (mine.result(SECONDS), yours.result(SECONDS)) == (2, 2)


# What goes wrong


def test_what_needs_a_failed_input_fails_and_is_not_recorded(here: Session) -> None:
    after = here.submit("scale", here.submit("fail", 1))

    with pytest.raises(ValueError, match="not 1"):
        after.result(SECONDS)
    assert here.states() == Counter({("fail", "FAILED"): 1})


def test_each_attempt_is_recorded(here: Session) -> None:
    again = with_options(here.client, retries=2)

    future = cached_submit(again, here.steps.fail_once, str(here.folder / "tried"))

    assert future.result(SECONDS) == "done"
    assert here.states() == Counter({("fail_once", "FAILED"): 1, ("fail_once", "DONE"): 1})


def test_a_failed_call_runs_again_when_it_is_submitted_again(here: Session) -> None:
    for _ in range(2):
        future = here.submit("fail", 1)
        with pytest.raises(ValueError, match="not 1"):
            future.result(SECONDS)

    assert here.ran() == ["fail"] * 2


def test_what_a_cancelled_call_returned_all_the_same_is_kept(begin: Any) -> None:
    with begin() as first:
        future = first.submit("held", 1, "cancelled")
        first.event("started-cancelled").wait(SECONDS)
        future.cancel()
        first.event("cancelled").set()
        first.client.submit(int, "1").result(SECONDS)
        # Without an end of the execution, as by `states`: what had not been told is lost then.
        wait_until(lambda: ("held", "DONE") in job_states(first.folder))

    with begin() as second:
        assert second.submit("held", 1, "cancelled").done()


def test_a_call_that_is_cancelled_before_it_begins_has_no_result(begin: Any) -> None:
    with begin() as first:
        before = first.submit("held", 1, "before")
        first.event("started-before").wait(SECONDS)
        future = first.submit("scale", before)
        wait_until(lambda: future.key in first.client.run_on_scheduler(_keys))
        future.cancel()
        wait_until(lambda: future.key not in first.client.run_on_scheduler(_keys))
        first.event("before").set()
        before.result(SECONDS)
        first.client.submit(int, "1").result(SECONDS)
        assert first.ran() == ["held"]

    with begin() as second:
        done = second.submit("held", 1, "before")
        assert done.done()
        assert not second.submit("scale", done).done()


def test_what_is_fired_and_forgotten_is_recorded(here: Session) -> None:
    future = here.submit("held", 1, "forgotten")
    fire_and_forget(future)
    del future
    here.event("forgotten").set()

    done = Counter({("held", "DONE"): 1})
    wait_until(lambda: TestThreads().states(here.folder) == done)


def test_a_worker_is_not_held_by_a_client_that_is_gone(
    here: Session, begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin() as other:
        # One that hears nothing any more, as if its process stood still.
        monkeypatch.setattr(Cluster, "_hear", lambda self, event: None)
        stuck = [other.submit("scale", x) for x in range(4)]
        wait_until(lambda: len(other.has_run) == 2)
        assert {each.status for each in stuck} == {"pending"}

    assert here.client.submit(int, "1").result(SECONDS) == 1


def test_a_worker_that_was_taken_over_by_another_project_says_so(
    there: Session, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert there.submit("scale", 1).result(SECONDS) == 2
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with Client(there.client.cluster) as other:
        foreign = cached(config_dir=elsewhere / ".taskgraph")(there.steps.total)
        assert cached_submit(other, foreign, [3]).result(SECONDS) == 3

    with pytest.raises(WorkerProjectError, match="another project"):
        there.submit("scale", 2).result(SECONDS)


def test_recorded_results_are_given_where_no_worker_is_there_yet(
    begin: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin() as first:
        first.submit("scale", 1).result(SECONDS)

    with (
        cluster_of(processes=False, n_workers=0) as empty,
        session(empty, project, monkeypatch) as (client, steps),
    ):
        future = cached_submit(client, steps.scale, 1)
        empty.scale(1)
        assert future.result(SECONDS) == 2


def test_an_input_that_was_lost_counts_by_what_it_is_when_it_was_made_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        cluster_of(processes=False, n_workers=2, threads_per_worker=1) as cluster,
        session(cluster, project, monkeypatch) as (client, steps),
    ):
        lost, other = cluster.workers.values()
        anywhere = with_options(client, workers=[lost.address], allow_other_workers=True)
        drawn = cached_submit(anywhere, steps.draw)
        assert drawn.result(SECONDS) == 1
        held = cached_submit(with_options(client, workers=[other.address]), steps.held, 1, "lost")
        after = cached_submit(client, steps.add, drawn, held)
        del drawn
        assert Event("started-lost", client=client).wait(SECONDS)
        client.sync(lost.close)
        Event("lost", client=client).set()

        assert after.result(SECONDS) == 2 + 2
        assert cached_submit(client, steps.add, 2, 2).done()
        assert not cached_submit(client, steps.add, 1, 2).done()


# Workers in processes of their own


@pytest.fixture
def there(
    in_processes: LocalCluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """A session on workers in processes of their own."""
    with session(in_processes, project, monkeypatch) as (client, module):
        client.run(begin_session, str(project))
        yield Session(client, module, project)


def loaded_anew(there: Session) -> Any:
    """Return the module of steps as it is on disk; the workers have what they imported."""
    import importlib

    forget_modules()
    importlib.invalidate_caches()
    there.steps = importlib.import_module(MODULE)
    return there.steps


def test_a_worker_with_other_code_is_an_error_until_it_is_restarted(there: Session) -> None:
    assert there.submit("scale", 21).result(SECONDS) == 42
    warm = there.client.submit(there.steps.scale, 1, workers=list(there.client.nthreads()))
    warm.result(SECONDS)
    there.client.run(__import__, "steps")
    edit(there.folder / "helpers.py", "return 2", "return 333")
    loaded_anew(there)
    there.ran()

    with pytest.raises(WorkerCodeError, match=r"steps.scale .*helpers\.factor.*restart"):
        there.submit("scale", 21).result(SECONDS)
    assert there.ran() == []

    there.client.run(begin_session, str(there.folder))
    assert there.submit("scale", 21).result(SECONDS) == 21 * 333


def test_a_function_that_is_sent_by_content_is_checked_by_what_it_imports(there: Session) -> None:
    path = there.folder / "script.py"
    path.write_text("from helpers import factor\ndef script(x):\n    return x + factor()\n")
    made: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    exec(compile(path.read_text(), path, "exec"), made)
    assert cached_submit(there.client, made["script"], 1).result(SECONDS) == 3
    there.client.run(__import__, "helpers")
    edit(there.folder / "helpers.py", "return 2", "return 333")
    made["factor"] = loaded_anew(there).factor

    with pytest.raises(WorkerCodeError, match=r"helpers\.factor"):
        cached_submit(there.client, made["script"], 1).result(SECONDS)


@pytest.mark.parametrize("how", ["cached", "closure", "lambda", "method"])
def test_functions_of_all_kinds_pass_the_check(there: Session, how: str) -> None:
    with open(there.folder / "steps.py", "a") as file:
        file.write(
            "from taskgraph.plug.memo import cached\n"
            "kept = cached(scale)\n"
            "@cached\n"
            "def twice(x):\n    return scale(x) + scale(x)\n"
            "def closure(y):\n    def add(x):\n        return scale(x) + y\n    return add\n"
            "triple = lambda x: scale(x) * 3\n"
            "class Kept:\n    @staticmethod\n    def method(x):\n        return scale(x) + 1\n"
        )
    there.client.run(begin_session, str(there.folder))
    steps = loaded_anew(there)
    func, expected = {
        "cached": (steps.twice, 8),
        "closure": (steps.closure(5), 9),
        "lambda": (steps.triple, 12),
        "method": (steps.Kept.method, 5),
    }[how]

    results = [cached_submit(there.client, func, 2).result(SECONDS) for _ in range(2)]

    assert results == [expected] * 2
    assert len(set(there.ran())) == 1


def test_code_that_changes_while_inputs_are_awaited_is_recorded_as_it_ran(there: Session) -> None:
    held = there.submit("held", 1, "change")
    after = there.submit("scale", held)
    factor, there.steps.factor = there.steps.factor, lambda: 100
    there.event("change").set()
    assert after.result(SECONDS) == 4

    there.steps.factor = factor
    assert there.submit("scale", 2).done()


def test_files_inside_of_the_project_travel(there: Session) -> None:
    (there.folder / "in.txt").write_text("abc")
    code = "def copy(source, name):\n    from taskgraph import File\n    file = File(name)\n"
    code += "    file.write(source.read() + '!')\n    return file\n"
    with open(there.folder / "steps.py", "a") as file:
        file.write(code)
    there.client.run(begin_session, str(there.folder))
    loaded_anew(there)

    first = there.submit("copy", File("in.txt"), "one.txt")
    second = there.submit("copy", first, "two.txt")

    assert second.result(SECONDS).read() == "abc!!"
    said = subprocess.run(
        [sys.executable, "-m", "taskgraph", "log", "two.txt"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))},
    )
    assert "steps.copy" in said.stdout and "one.txt" in said.stdout


def test_the_worker_is_named_with_its_times(there: Session) -> None:
    there.submit("scale", 1).result(SECONDS)
    close_executions()

    database = sqlite3.connect(there.folder / ".taskgraph" / "taskgraph.db")
    with closing(database):
        ((value,),) = database.execute("SELECT value FROM tag WHERE key = 'host'").fetchall()

    assert json.loads(value) in there.client.nthreads()


def test_another_process_finds_what_this_one_recorded(there: Session) -> None:
    there.submit("scale", 21).result(SECONDS)
    program = f"""
        from distributed import Client
        from taskgraph.plug.dask import cached_submit
        import steps
        with Client({there.client.scheduler.address!r}) as client:
            future = cached_submit(client, steps.scale, 21)
            print(future.done(), future.result())
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [there.folder, *ROOTS]))},
    )

    assert done.stdout == "True 42\n", done.stderr
    assert there.submit("scale", 22).result(SECONDS) == 44


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_large_results_are_put_in_the_value_store_by_who_reaches_it(
    place: str, project: Path, in_processes: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder by the worker that made them; this process's memory by this process."""
    url = str(project / "large") if place == "folder" else f"memory://{project.name}"
    (project / ".taskgraph" / "config.toml").write_text(f'[backend]\nvalue_store = "{url}"\n')
    store = ValueStore(url)

    for expected in (["scale"], []):
        with session(in_processes, project, monkeypatch) as (client, module):
            client.run(begin_session, str(project))
            made = Session(client, module, project)
            assert made.submit("scale", "x" * 2_000_000).result(SECONDS) == "x" * 4_000_000
            assert made.ran() == expected

    # The argument and the result.
    sizes = sorted(each.size for each in store.entries())
    assert [size // 1_000_000 for size in sizes] == [2, 4]
    assert all(store.check(each.digest) is None for each in store.entries())


def _keys(dask_scheduler: Any) -> list[str]:
    return list(dask_scheduler.tasks)


def wait_until(is_so: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(SECONDS * 20):
        if is_so():
            return
        waited.wait(0.05)
    raise AssertionError("it did not come to be")
