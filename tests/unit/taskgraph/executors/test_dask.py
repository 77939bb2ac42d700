"""`Cluster` by itself, on workers in this process: no engine and no store."""

from __future__ import annotations

import itertools
import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("CI"):
    # On CI a missing package is an error: these tests are never skipped in silence there.
    pytest.importorskip("distributed")

from distributed import Client, Future, LocalCluster

from taskgraph.errors import UnhashableValueError, WorkerCodeError
from taskgraph.executors.dask import Cluster, Finished, Found, key_of, with_options
from taskgraph.fingerprint.parts import Part, PartKind
from taskgraph.hashing import ValueHash
from taskgraph.outputs.place import LEAST_SIZE, OutputPlace
from taskgraph.outputs.reading import read_output
from taskgraph.ports import Call, Inbox, Outcome, Raised, Returned
from taskgraph.records import JobId
from taskgraph.tasks.functions import task_of
from taskgraph.values.remote import Remote
from taskgraph.values.weigh import hash_value

SECONDS = 30
numbers = itertools.count()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    options: dict[str, Any] = {"processes": False, "n_workers": 2, "threads_per_worker": 1}
    with LocalCluster(dashboard_address=":0", **options) as made, Client(made) as client:
        yield client


@pytest.fixture
def cluster(client: Client) -> Cluster:
    made = Cluster(client)
    made.connect()
    return made


class Caller:
    """Answers what it is told to, and keeps what it is told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.told: list[Finished] = []

    def decide(self) -> Found | Future[Any] | None:
        answer = self.answers.pop(0)
        return answer() if callable(answer) else answer

    def finish(self, finished: Finished) -> None:
        self.told.append(finished)

    @property
    def outcome(self) -> Outcome:
        (finished,) = self.told
        return finished.outcome


def call_of(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
    return Call(JobId(str(next(numbers))), f"tests.{func.__name__}", func, args, kwargs)


def submit(cluster: Cluster, caller: Caller, call: Call, **options: Any) -> Future[Any]:
    inputs = cluster.stand_in(call.args, call.kwargs)
    return cluster.submit(call, task_of(call.func).parts, caller, inputs, **options)


def double(x: int) -> int:
    return 2 * x


def total(values: Any) -> int:
    return sum(values)


def fail() -> None:
    raise ValueError("no")


def make_lock() -> Any:
    return threading.Lock()


begun, go = threading.Event(), threading.Event()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Until it is set, calls of `wait` do not end."""
    begun.clear()
    go.clear()
    yield go
    go.set()


def wait(x: int) -> int:
    begun.set()
    assert go.wait(SECONDS)
    return 2 * x


def chatter(x: int) -> int:
    print("on a worker", x)
    return x


def test_what_a_worker_prints_is_kept_where_it_has_the_folder(
    cluster: Cluster, tmp_path: Path
) -> None:
    here = OutputPlace(str(tmp_path / "here"), LEAST_SIZE, host=platform.node())
    elsewhere = OutputPlace(str(tmp_path / "elsewhere"), LEAST_SIZE, host="another machine")
    shared = OutputPlace(str(tmp_path / "shared"), LEAST_SIZE)
    calls = [call_of(chatter, 7)._replace(output=each) for each in (here, elsewhere, shared)]

    for call in calls:
        assert submit(cluster, Caller(), call).result(SECONDS) == 7

    for place, call in zip((here, elsewhere, shared), calls, strict=True):
        output = read_output(place.folder, call.job_id)
        lines = [] if output is None else [each.text for each in output.lines]
        assert lines == ([] if place is elsewhere else ["on a worker 7"])


def test_an_outcome_is_told_before_the_future_is_done(cluster: Cluster) -> None:
    caller = Caller()

    future = submit(cluster, caller, call_of(double, 21))

    assert future.result(SECONDS) == 42
    assert isinstance(caller.outcome, Returned)
    assert caller.outcome.packed is not None
    assert caller.outcome.packed.values[0].preview == "42"


def test_a_value_stays_on_its_worker(cluster: Cluster, client: Client) -> None:
    caller = Caller()
    future = submit(cluster, caller, call_of(make_lock))
    assert client.submit(repr, future).result(SECONDS).startswith("<unlocked")

    assert isinstance(caller.outcome, Returned)
    remote = caller.outcome.value
    assert isinstance(remote, Remote)
    assert (remote.name, remote.type_name) == (future.key, "_thread.lock")
    assert caller.outcome.unstored


def test_an_error_is_told_and_raised(cluster: Cluster) -> None:
    caller = Caller()

    with pytest.raises(ValueError, match="no"):
        submit(cluster, caller, call_of(fail)).result(SECONDS)

    assert isinstance(caller.outcome, Raised)
    assert [each.name for each in caller.outcome.frames] == ["fail"]


def test_each_attempt_is_told(cluster: Cluster, client: Client) -> None:
    caller = Caller()
    options = with_options(client, retries=2).options

    with pytest.raises(ValueError, match="no"):
        submit(cluster, caller, call_of(fail), options=options).result(SECONDS)

    assert len(caller.told) == 3


def test_a_result_that_was_lost_with_its_worker_is_told_again() -> None:
    options: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
    with LocalCluster(dashboard_address=":0", **options) as made, Client(made) as client:
        cluster, caller = Cluster(client), Caller()
        cluster.connect()
        future = submit(cluster, caller, call_of(double, 21))
        assert future.result(SECONDS) == 42
        (lost,) = made.workers.values()
        client.sync(lost.close)
        made.scale(2)

        until(lambda: len(caller.told) == 2)
        assert future.result(SECONDS) == 42


def test_what_goes_wrong_with_the_caller_fails_the_future(cluster: Cluster) -> None:
    caller = Caller(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        submit(cluster, caller, call_of(double, 1), is_decided=False).result(SECONDS)


def test_a_caller_is_asked_with_the_weights_of_what_is_only_there(
    cluster: Cluster, client: Client
) -> None:
    args = (client.submit(int, "21"), [client.submit(int, "22")])
    inputs = cluster.stand_in(args, {})
    remotes = [inputs.args[0], *inputs.args[1]]
    seen: list[ValueHash | None] = []
    caller = Caller(lambda: seen.extend(each.value_hash for each in remotes))

    call = call_of(lambda x, y: [x, *y], *args)
    future = cluster.submit(call, (), caller, inputs, is_decided=False)

    assert future.result(SECONDS) == [21, 22]
    assert not inputs.is_known
    assert seen == [hash_value(21), hash_value(22)]
    (finished,) = caller.told
    assert finished is not None
    assert [each.values[0].preview for each in finished.inputs] == ["21", "22"]


def test_a_value_that_the_caller_has_is_returned_in_place_of_a_run(cluster: Cluster) -> None:
    call = call_of(double, 1)
    caller = Caller(Found(key_of(call), "known", hash_value("known"), None))

    future = submit(cluster, caller, call, is_decided=False)

    assert future.result(SECONDS) == "known"
    assert caller.told == []
    assert cluster.stand_in([future], {}).args[0].value_hash == hash_value("known")


def test_a_call_that_waits_for_another_is_asked_again(
    cluster: Cluster, gate: threading.Event
) -> None:
    first = submit(cluster, Caller(), call_of(wait, 1))
    call = call_of(double, 1)
    known = Found(key_of(call), 2, hash_value(2), None)
    caller = Caller(first, lambda: known if first.done() else None)

    second = submit(cluster, caller, call, is_decided=False)
    gate.set()

    assert second.result(SECONDS) == 2
    assert caller.told == []


def test_the_inputs_of_a_call_are_known_when_theirs_are_finished(cluster: Cluster) -> None:
    class Knowing(Caller):
        def finish(self, finished: Finished) -> None:
            super().finish(finished)
            assert isinstance(self.outcome, Returned) and self.outcome.packed is not None
            self.outcome.value.know(self.outcome.packed.values[0].value_hash)

    future = submit(cluster, Knowing(), call_of(double, 21))
    inputs = cluster.stand_in([[future], 1], {"x": future})
    assert inputs.unweighed == []
    future.result(SECONDS)

    assert cluster.stand_in([future], {}).is_known
    assert inputs.args[0][0] is inputs.kwargs["x"]
    assert inputs.kwargs["x"].weight.value_hash == hash_value(42)


def test_values_that_are_known_are_put_there(cluster: Cluster) -> None:
    done = cluster.put([Found("one", 1, hash_value(1), None), Found("two", 2, hash_value(2), None)])

    assert {key: each.result(SECONDS) for key, each in done.items()} == {"one": 1, "two": 2}
    assert cluster.stand_in([[*done.values()]], {}).is_known
    assert submit(cluster, Caller(), call_of(total, [*done.values()])).result(SECONDS) == 3


def test_equal_calls_that_are_under_way_are_found(cluster: Cluster, gate: threading.Event) -> None:
    caller = Caller()
    ended: list[Any] = []
    assert cluster.find_equal("same") is None
    future = submit(cluster, caller, call_of(wait, 1), same="same")

    assert cluster.find_equal("same", then=ended.append) is future
    assert cluster.find_equal("other") is None
    gate.set()
    future.result(SECONDS)
    assert ended == [caller]
    assert cluster.find_equal("same") is None


def test_a_worker_that_imported_other_code_is_an_error(cluster: Cluster) -> None:
    other = Part("0" * 32, PartKind.FUNCTION, "os.getcwd", "")
    caller = Caller()

    with pytest.raises(WorkerCodeError, match=r"os\.getcwd"):
        inputs = cluster.stand_in((), {})
        cluster.submit(call_of(double, 1), [other], caller, inputs).result(SECONDS)
    assert caller.told == []


def test_a_future_where_dask_does_not_look_is_refused(cluster: Cluster, client: Client) -> None:
    with pytest.raises(UnhashableValueError, match="list, tuple, set or dict"):
        hash_value(slice(client.submit(int, "1")))


@pytest.mark.parametrize("let_go", [Future.cancel, Future.release])
def test_what_is_let_go_of_while_it_runs_is_told_with_its_outcome(
    cluster: Cluster, gate: threading.Event, let_go: Callable[[Future[Any]], None]
) -> None:
    # A future that is just being dropped has been released, and can still be got hold of.
    caller = Caller()
    future = submit(cluster, caller, call_of(wait, 1))
    assert begun.wait(SECONDS)
    let_go(future)
    until(future.cancelled)
    gate.set()
    until(lambda: bool(caller.told))

    assert isinstance(caller.outcome, Returned)


class Executor:
    """How an executor is made of a cluster."""

    name = "dask"

    def __init__(self, client: Client) -> None:
        self._cluster = Cluster(client)
        self._futures: dict[str, Future[Any]] = {}

    def start(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def submit(self, calls: Sequence[Call]) -> None:
        self._cluster.connect()
        for call in calls:
            args = tuple(self._futures[e.name] if isinstance(e, Remote) else e for e in call.args)
            sent, inputs = call._replace(args=args), self._cluster.stand_in(args, {})
            future = self._cluster.submit(sent, task_of(call.func).parts, self, inputs)
            self._futures[key_of(call)] = future

    def decide(self) -> None:
        raise AssertionError("the engine looked it up before")

    def finish(self, finished: Finished) -> None:
        self._inbox.deliver([finished.outcome])


class Delivered:
    """An inbox."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes.update({each.job_id: each for each in outcomes})

    def ask(self, job_id: JobId, asked: Any, answer: Callable[..., None]) -> None:
        raise AssertionError("no body here asks for anything")

    def when_idle(self, step: Callable[[], bool]) -> None:
        raise AssertionError("it has threads of its own")


def test_an_executor_is_little_more(client: Client) -> None:
    executor, inbox = Executor(client), Delivered()
    executor.start(inbox)
    first = call_of(double, 21)

    executor.submit([first])
    until(lambda: first.job_id in inbox.outcomes)
    made = inbox.outcomes[first.job_id]
    assert isinstance(made, Returned)
    second = call_of(double, made.value)
    executor.submit([second])
    until(lambda: second.job_id in inbox.outcomes)

    last = inbox.outcomes[second.job_id]
    assert isinstance(last, Returned) and last.packed is not None
    assert last.packed.values[0].preview == "84"


def until(is_so: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(SECONDS * 20):
        if is_so():
            return
        waited.wait(0.05)
    raise AssertionError("it did not come to be")
