"""The tasks of the small workflows; by import, so that worker processes find them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from typing import Any, NamedTuple

from taskgraph import FailedCall, JobInfo, scheduler_task, task

taskgraph_namespace = "language"


@task
def inc(x: int) -> int:
    return x + 1


@task
def double(x: int) -> int:
    return 2 * x


@task
def add(a: int, b: int = 10) -> int:
    return a + b


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def join(*parts: Any, **named: Any) -> str:
    given = [*map(str, parts), *(f"{name}={named[name]}" for name in sorted(named))]
    return " ".join(given)


@task
def pair(x: int) -> tuple[int, str]:
    return x, str(x)


@task
def is_even(x: int) -> bool:
    return x % 2 == 0


@task
def fail(message: str) -> int:
    raise ValueError(message)


@task
def fail_on(x: int, bad: int) -> int:
    if x == bad:
        raise KeyError(x)
    return x


@task
def describe(error: BaseException) -> str:
    return f"{type(error).__name__} {error.args[0]}"


@task
def describe_all(values: list[Any]) -> list[Any]:
    return [type(each).__name__ if isinstance(each, Exception) else each for each in values]


# Bodies that write calls down


@task
def twice_later(x: int) -> int:
    return double(x)


@task
def fan(n: int) -> list[int]:
    return [inc(each) for each in range(n)]


@task
def sum_of_fan(n: int) -> int:
    return total(fan(n))


@task
def factorial(n: int) -> int:
    return 1 if n <= 1 else times(n, factorial(n - 1))


@task
def times(a: int, b: int) -> int:
    return a * b


@task
def countdown(n: int) -> int:
    return 0 if n == 0 else countdown(n - 1)


@task
def fail_later(message: str) -> int:
    return fail(message)


# Tasks as arguments and results


@task
def choose_task(name: str) -> Any:
    return {"inc": inc, "double": double}[name]


@task
def call_with(func: Any, x: int) -> int:
    result: int = func(x)
    return result


@task
def adder(n: int) -> Any:
    return add.partial(n)


# Defaults, containers


@task
def with_lazy_default(x: int, y: int = inc(100)) -> int:
    return x + y


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Box:
    content: Any
    label: str = ""


@task
def norm(point: Point) -> int:
    return abs(point.x) + abs(point.y)


@task
def unbox(box: Box) -> Any:
    return box.content


@task
def boxed(x: int) -> Box:
    return Box(inc(x), f"box {x}")


@task
def keys_of(table: dict[Any, Any]) -> list[Any]:
    return sorted(table)


@task
def plain_record(x: int) -> dict[str, Any]:
    return {"x": x, "items": [x, x + 1]}


# Scheduler tasks of users


@scheduler_task()
def first_even(exprs: list[Any]) -> Generator[Any, Any, Any]:
    for expr in exprs:
        value = yield expr
        if value % 2 == 0:
            return value
    return None


@scheduler_task()
def retry_with(func: Any, values: list[int]) -> Generator[Any, Any, Any]:
    for value in values:
        try:
            return (yield func(value, 0))
        except KeyError:
            continue
    raise LookupError("all failed")


@scheduler_task()
def doubled_later(x: Any) -> Any:
    return double(x)


# Options


@task
def tags_below(x: int) -> int:
    return inc(x)


@task(export_options={"tags": {"from": "decorator"}})
def exporting(x: int) -> int:
    return inc(x)


@task(tags={"own": 1})
def tagged(x: int) -> int:
    return x


class Flaky(Exception):
    pass


@task
def fail_until(path: str, times: int, kind: str = "Flaky") -> int:
    """Fail so many times; the attempts are counted in a file, whatever process they are in."""
    with open(path, "a+", encoding="utf-8") as stream:
        stream.write(".")
        stream.seek(0)
        attempts = len(stream.read())
    if attempts <= times:
        raise {"Flaky": Flaky, "KeyError": KeyError}[kind](f"attempt {attempts}")
    return attempts


@task
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@task
def number(x: Any) -> Any:
    return x


@task(prov=False)
def unrecorded(x: int) -> int:
    return inc(x)


# What is known of the job


@task
def about_job(x: int, job: JobInfo = JobInfo()) -> JobInfo:
    return job


@task
def job_in_between(x: int, /, job: JobInfo = JobInfo(), *rest: int, y: int = 0) -> list[Any]:
    return [x, job.job_id, rest, y]


@task
async def about_job_async(job: JobInfo = JobInfo(), x: int = 1) -> str:
    return job.job_id


@task
def fail_with_job(path: str, job: JobInfo = JobInfo()) -> str:
    with open(path, "a+", encoding="utf-8") as stream:
        stream.write(f"{job.job_id}\n")
        stream.seek(0)
        ids = stream.read().split()
    if len(ids) < 3:
        raise Flaky(len(ids))
    return " ".join(sorted(set(ids)))


@scheduler_task()
def stepped_with_job(x: Any, job: JobInfo = JobInfo()) -> Generator[Any, Any, Any]:
    value = yield x
    return [value, job.job_id]


# After a failure


@task
def note_failure(error: BaseException, call: FailedCall, *, path: str, fails: bool = False) -> str:
    """Write down what is told of a failure; a line each."""
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(f"{type(error).__name__}: {error} in {call.task}\n")
    if fails:
        raise RuntimeError("nobody answers")
    return call.trace


@task
def note_failure_later(error: BaseException, call: FailedCall, *, path: str) -> Any:
    return inc(note_size(note_failure(error, call, path=path)))


@task
def note_size(text: str) -> int:
    return len(text)


@task
def note_failure_at_last(error: BaseException, call: FailedCall, *, path: str) -> int:
    return fail_until.func(path, 2)  # type: ignore[misc]  # a task that is defined has one
