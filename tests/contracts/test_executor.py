"""What every executor must do, run for each of them."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from taskgraph import task
from taskgraph.errors import ExecutorError, RemoteTaskError, WorkerLostError
from taskgraph.executors.code import reference_to
from taskgraph.executors.dask.executor import DaskExecutor
from taskgraph.executors.eventloop import LoopExecutor
from taskgraph.executors.inline import InlineExecutor
from taskgraph.executors.pooled import PooledExecutor
from taskgraph.executors.processes import ProcessExecutor
from taskgraph.executors.submitit import SubmititExecutor
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.ports import Call, Executor, Outcome, Raised, Returned
from taskgraph.records import JobId
from tests.contracts.joblib_executor import JoblibExecutor
from tests.contracts.queue_executor import served_executor

ALL = bool(os.environ.get("TASKGRAPH_TORTURE"))


class Inbox:
    """Collects outcomes; steps those who work when the scheduler is idle."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.count = 0
        self._changed = threading.Condition()
        self._steps: list[Callable[[], bool]] = []

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        with self._changed:
            self.count += len(outcomes)
            self.outcomes.update({each.job_id: each for each in outcomes})
            self._changed.notify_all()

    def ask(self, job_id: JobId, asked: Any, answer: Callable[..., None]) -> None:
        raise AssertionError("no body here asks for anything")

    def when_idle(self, step: Callable[[], bool]) -> None:
        self._steps.append(step)

    def wait(self, count: int) -> None:
        while any(step() for step in self._steps):
            pass
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, timeout=60)


@pytest.fixture(
    scope="module",
    params=[
        *("inline", "threads", "async", "processes", "forkserver", "loky", "joblib", "dask"),
        "queues",
        # A call is a process there: two seconds each.
        pytest.param("submitit", marks=pytest.mark.skipif(not ALL, reason="TASKGRAPH_TORTURE=1")),
    ],
)
def executor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Executor]:
    """One of each for all tests, for workers take their time to start."""
    made: Executor
    match request.param:
        case "inline":
            made = InlineExecutor()
        case "threads":
            made = ThreadExecutor(max_workers=2)
        case "async":
            made = LoopExecutor()
        case "joblib":
            made = JoblibExecutor("joblib", 2)
        case "queues":
            with served_executor(tmp_path_factory.mktemp("queues")) as made:
                yield made
            return
        case "dask":
            made = DaskExecutor(address=request.getfixturevalue("dask_address"))
        case "submitit":
            folder = str(tmp_path_factory.mktemp("jobs"))
            made = SubmititExecutor(folder=folder, cluster="local", max_jobs=2)
        case "processes":
            made = ProcessExecutor(max_workers=2)
        case method:
            made = ProcessExecutor(max_workers=2, start_method=method)
    yield made
    made.stop()


@pytest.fixture
def inbox(executor: Executor) -> Inbox:
    inbox = Inbox()
    executor.start(inbox)
    return inbox


def in_processes(executor: Executor) -> bool:
    return isinstance(executor, PooledExecutor)


def call(name: str, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
    return Call(JobId(name), f"contract.{func.__name__}", func, args, kwargs)


def double(x: int) -> int:
    return 2 * x


def shout(message: str) -> None:
    raise ValueError(message)


def die() -> None:
    os._exit(7)


def leave() -> None:
    raise SystemExit("left")


def make_lock() -> Any:
    return threading.Lock()


class Awkward(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.two = two


class Stays(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def raise_what_stays() -> None:
    raise Stays("it stays here")


def spring(ends: type[BaseException]) -> None:
    raise ends("when it was read")


class Trap:
    def __init__(self, ends: type[BaseException]) -> None:
        self.ends = ends

    def __reduce__(self) -> Any:
        return spring, (self.ends,)

    def __mul__(self, other: object) -> None:
        raise TypeError("it is a trap")

    __rmul__ = __mul__


def make_trap(ends: type[BaseException]) -> Trap:
    return Trap(ends)


def interrupt() -> None:
    raise KeyboardInterrupt


def fork_and(returns: bool) -> int:
    """Return how a copy of this process ended, that goes on with this body."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that it has not
        copy = os.fork()
    if copy:
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if not returns:
        raise ValueError("in the copy")
    return 0


def raise_awkwardly() -> None:
    raise Awkward(1, 2)


def test_a_result_comes_back_packed(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", double, 21)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Returned)
    assert outcome.value == 42
    assert outcome.packed is not None
    assert outcome.packed.values[0].preview == "42"
    assert 0 < outcome.started <= outcome.ended


def test_keyword_arguments_arrive(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", double, x=4)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Returned)
    assert outcome.value == 8


def test_an_error_comes_back_with_the_user_s_frames(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", shout, "no")])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, ValueError)
    assert str(outcome.error) == "no"
    assert [each.name for each in outcome.frames] == ["shout"]
    assert outcome.frames[0].line == "raise ValueError(message)"


def test_sys_exit_ends_the_call_and_not_the_worker(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", leave), call("b", double, 1)])
    inbox.wait(2)

    assert isinstance(inbox.outcomes["a"], Raised)
    assert isinstance(inbox.outcomes["b"], Returned)


def test_a_thousand_tiny_calls_have_one_outcome_each(executor: Executor, inbox: Inbox) -> None:
    if isinstance(executor, SubmititExecutor):
        pytest.skip("each is a process of its own, which takes a second")
    executor.submit([call(str(number), double, number) for number in range(1000)])
    inbox.wait(1000)

    values = {name: each.value for name, each in inbox.outcomes.items()}  # type: ignore[union-attr]
    assert inbox.count == 1000
    assert values == {str(number): 2 * number for number in range(1000)}


def test_a_result_that_cannot_be_pickled_does_not_hang(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", make_lock)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    if in_processes(executor):
        assert isinstance(outcome, Raised)
        assert isinstance(outcome.error, ExecutorError)
    else:
        assert isinstance(outcome, Returned)
        assert outcome.packed is None
        assert outcome.unstored is not None


def test_an_error_whose_class_wants_other_arguments_is_still_of_that_class(
    executor: Executor, inbox: Inbox
) -> None:
    executor.submit([call("a", raise_awkwardly)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Raised)
    assert isinstance(outcome.error, Awkward)
    assert str(outcome.error) == "1 and 2"
    assert outcome.error.two == 2


def test_an_error_that_cannot_be_pickled_keeps_its_text(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", raise_what_stays)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Raised)
    assert "it stays here" in str(outcome.error)
    assert isinstance(outcome.error, RemoteTaskError if in_processes(executor) else Stays)


@pytest.mark.parametrize("ends", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_is_raised_when_a_result_is_read_is_the_error_of_its_call(
    executor: Executor, inbox: Inbox, ends: type[BaseException]
) -> None:
    executor.submit([call("a", make_trap, ends), call("b", double, 1)])
    inbox.wait(2)

    assert isinstance(inbox.outcomes["a"], Raised if in_processes(executor) else Returned)
    assert isinstance(inbox.outcomes["b"], Returned)


def test_what_is_raised_when_an_argument_is_read_is_the_error_of_its_call(
    executor: Executor, inbox: Inbox
) -> None:
    executor.submit([call("a", double, Trap(KeyboardInterrupt)), call("b", double, 1)])
    inbox.wait(2)

    assert isinstance(inbox.outcomes["a"], Raised)
    assert isinstance(inbox.outcomes["b"], Returned)


def test_an_interrupt_that_a_body_raises_is_its_own(executor: Executor, inbox: Inbox) -> None:
    if isinstance(executor, InlineExecutor | LoopExecutor):
        pytest.skip("on the thread of the scheduler, or of the loop, it is a Ctrl-C")
    executor.submit([call("z", double, 1)])
    inbox.wait(1)

    count = 1 if isinstance(executor, SubmititExecutor) else 100
    executor.submit([call(str(number), double, number) for number in range(count)])
    executor.submit([call("a", interrupt)])
    executor.submit([call(str(-number), double, number) for number in range(1, count + 1)])
    inbox.wait(2 * count + 2)

    assert isinstance(inbox.outcomes.pop("a"), Raised)
    assert {type(each) for each in inbox.outcomes.values()} == {Returned}


def test_a_copy_of_the_process_that_a_body_forks_ends_with_the_body(
    executor: Executor, inbox: Inbox
) -> None:
    executor.submit([call("returns", fork_and, True), call("raises", fork_and, False)])
    inbox.wait(2)

    returns, raises = inbox.outcomes["returns"], inbox.outcomes["raises"]
    assert isinstance(returns, Returned)
    assert isinstance(raises, Returned)
    assert (returns.value, raises.value) == (0, 1)


def test_arguments_that_cannot_travel_fail_their_own_call_only(
    executor: Executor, inbox: Inbox
) -> None:
    executor.submit([call("a", double, threading.Lock()), call("b", double, 1)])
    inbox.wait(2)

    first = inbox.outcomes["a"]
    assert isinstance(first, Raised)
    assert isinstance(first.error, ExecutorError if in_processes(executor) else TypeError)
    assert isinstance(inbox.outcomes["b"], Returned)


def test_functions_that_cannot_be_imported_travel_all_the_same(
    executor: Executor, inbox: Inbox
) -> None:
    amount = 5

    def add(x: int) -> int:
        return x + amount

    executor.submit([call("a", add, 1), call("b", lambda x: x * amount, 2)])
    inbox.wait(2)

    assert inbox.outcomes["a"].value == 6  # type: ignore[union-attr]
    assert inbox.outcomes["b"].value == 10  # type: ignore[union-attr]


def test_calls_that_have_not_started_can_be_cancelled(executor: Executor, inbox: Inbox) -> None:
    count = (
        6
        if isinstance(executor, SubmititExecutor)
        else 200
        if isinstance(executor, DaskExecutor)
        else 40
    )
    calls = [call(str(number), time.sleep, 0.05) for number in range(count)]
    if isinstance(executor, LoopExecutor):  # which begins all at once, if nothing holds it up
        calls.append(call("held", hold_the_loop))
        executor.submit(calls[-1:])
        assert loop_is_held.wait(60)
    executor.submit([each for each in calls if each.job_id != "held"])
    if isinstance(executor, PooledExecutor):
        inbox.wait(1)  # it has been opened by then

    dropped = executor.cancel([each.job_id for each in calls])
    inbox.wait(len(calls) - len(dropped))

    assert dropped
    assert not set(dropped) & set(inbox.outcomes)
    assert len(inbox.outcomes) == len(calls) - len(dropped)


loop_is_held = threading.Event()


async def hold_the_loop() -> None:
    loop_is_held.set()
    time.sleep(0.3)  # as no coroutine should: nothing else begins meanwhile


def test_it_can_be_started_and_used_again(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", double, 1)])
    inbox.wait(1)
    again = Inbox()

    executor.start(again)
    executor.submit([call("b", double, 2)])
    again.wait(1)

    assert set(inbox.outcomes) == {"a"}
    assert set(again.outcomes) == {"b"}


def test_stopping_twice_is_stopping_once(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", double, 1)])
    inbox.wait(1)

    executor.stop()
    executor.stop()

    assert set(inbox.outcomes) == {"a"}


@pytest.mark.parametrize("method", ["spawn", "forkserver", "loky"])
def test_a_worker_that_dies_fails_its_call_and_the_next_ones_run(method: str) -> None:
    executor = ProcessExecutor(max_workers=1, start_method=method)
    inbox = Inbox()
    executor.start(inbox)

    executor.submit([call("a", die)])
    inbox.wait(1)
    executor.submit([call("b", double, 3)])
    inbox.wait(2)
    executor.stop()

    first, second = inbox.outcomes["a"], inbox.outcomes["b"]
    assert isinstance(first, Raised)
    assert isinstance(first.error, WorkerLostError)
    assert "contract.die" in str(first.error)
    assert isinstance(second, Returned)


@pytest.mark.parametrize("method", ["spawn", "loky"])
def test_a_worker_that_dies_takes_none_along_that_it_had_not_begun(method: str) -> None:
    executor = ProcessExecutor(max_workers=1, start_method=method)
    inbox = Inbox()
    executor.start(inbox)
    executor.submit([call("first", double, 1)])  # it is known from now on that these are short
    inbox.wait(1)

    calls = [call(str(number), double, number) for number in range(400)]
    deadly = call("deadly", die)._replace(fullname="contract.double")
    executor.submit([*calls[:200], deadly, *calls[200:]])
    inbox.wait(402)
    executor.stop()

    assert isinstance(inbox.outcomes.pop("deadly"), Raised)
    assert {type(each) for each in inbox.outcomes.values()} == {Returned}


def test_forking_is_refused() -> None:
    with pytest.raises(ExecutorError, match="spawn"):
        ProcessExecutor(start_method="fork")


@task(namespace="contract")
def importable(x: int) -> int:
    return x


def test_a_task_of_an_importable_module_travels_by_name() -> None:
    reference = reference_to("contract.importable", importable.func)  # type: ignore[arg-type]

    assert reference is not None
    assert reference.module == __name__
    assert reference_to("contract.importable", double) is None


def test_a_result_that_is_too_large_is_not_packed(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("a", bytes, 5_000)._replace(max_value_size=1_000)])
    inbox.wait(1)

    outcome = inbox.outcomes["a"]
    assert isinstance(outcome, Returned)
    assert len(outcome.value) == 5_000
    assert outcome.packed is None
    assert "max_value_size" in str(outcome.unstored)


class Treacherous:
    """Can be sent, and cannot be made again."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("not here")


def test_an_argument_that_cannot_be_made_again_fails_its_own_call_only() -> None:
    executor = ProcessExecutor(max_workers=1)
    inbox = Inbox()
    executor.start(inbox)

    executor.submit([call("a", double, Treacherous()), call("b", double, 1)])
    inbox.wait(2)
    executor.stop()

    assert isinstance(inbox.outcomes["a"], Raised)
    assert isinstance(inbox.outcomes["b"], Returned)


def test_what_is_stopped_at_once_can_be_used_again(executor: Executor, inbox: Inbox) -> None:
    executor.submit([call("late", time.sleep, 1.0)._replace(timeout=60.0)])
    executor.stop(is_now=True)
    again = Inbox()

    executor.start(again)
    for number in range(3):
        executor.submit([call(str(number), double, number)._replace(timeout=60.0)])
        again.wait(number + 1)

    assert {name: each.value for name, each in again.outcomes.items()} == {  # type: ignore[union-attr]
        str(number): 2 * number for number in range(3)
    }
