"""``@task(compat=[...])``: a task says itself which earlier code of it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskgraph import Scheduler, task
from taskgraph.engine import blessing
from taskgraph.errors import TaskOptionError
from taskgraph.records import CacheAnswer
from taskgraph.tasks.registry import AnyTask, get_task_registry
from taskgraph.testing import MemoryBackend
from taskgraph_backend import SqlBackend
from taskgraph_backend.integrity import check as check_soundness

ran: list[str] = []


class CountingBackend(MemoryBackend):
    """Counts the questions that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def check_cache(self, queries: Any) -> list[CacheAnswer]:
        """Answer, and take note."""
        self.asked.append(f"cache {len(queries)}")
        return super().check_cache(queries)

    def load_values(self, value_hashes: Any) -> Any:
        """Answer, and take note."""
        self.asked.append(f"values {len(value_hashes)}")
        return super().load_values(value_hashes)


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    """Each test begins with nothing that ran, and leaves no task that says something of itself."""
    ran.clear()
    yield
    registry = get_task_registry()
    for each in registry.compatible:
        del registry._tasks[each.fullname]
    registry.compatible = ()


@pytest.fixture
def backend() -> CountingBackend:
    return CountingBackend()


@pytest.fixture
def scheduler(backend: CountingBackend) -> Iterator[Scheduler]:
    with Scheduler(backend=backend, executor="inline") as scheduler:
        yield scheduler


def define(name: str, func: Callable[..., Any], **options: Any) -> AnyTask:
    """Define a task whose code is its version: what is said to change does, and nothing else."""
    return task(name=name, namespace="compat", **options)(func)


def inc(x: int) -> int:
    ran.append(f"inc {x}")
    return x + 1


def test_results_of_earlier_code_count(scheduler: Scheduler, backend: CountingBackend) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("f", inc, version="2", compat=[first.hash])

    assert scheduler.run([second(1), second(2)]) == [2, 3]

    assert ran == ["inc 1", "inc 2"]
    used, made = (
        [each for each in backend.jobs.values() if each.task_hash == first.hash],
        [each for each in backend.jobs.values() if each.task_hash == second.hash],
    )
    assert [each.cached for each in used] == [False, True]
    assert [each.cached for each in made] == [False]


def test_it_does_not_count_in_the_hash() -> None:
    plain = define("f", inc, version="1")
    compatible = define("f", inc, version="1", compat=["0" * 32])

    assert compatible.hash == plain.hash
    assert compatible.compat == ("0" * 32,)


def test_chains_are_followed_and_what_has_no_record_is_not_asked_for(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("g", inc, version="2", compat=[first.hash])
    third = define("f", inc, version="3", compat=[second.hash, "0" * 32])
    backend.asked.clear()

    scheduler.run(third(1))
    assert ran == ["inc 1", "inc 1"]  # the second one was never recorded: nothing joins them

    scheduler.run([second(1), second(5)])
    scheduler.run(third(5))
    assert ran == ["inc 1", "inc 1", "inc 5"]


def test_a_run_that_finds_everything_asks_for_nothing_more(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    second = define("f", inc, version="2", compat=[first.hash])
    scheduler.run([first(1), second(1)])
    backend.asked.clear()

    scheduler.run(second(1))

    assert backend.asked == ["cache 1"]


def test_all_calls_of_a_tick_cost_one_more_question(
    scheduler: Scheduler, backend: CountingBackend
) -> None:
    first = define("f", inc, version="1")
    scheduler.run([first(n) for n in range(20)])
    second = define("f", inc, version="2", compat=[first.hash])
    backend.asked.clear()

    scheduler.run([second(n) for n in range(20)])

    assert len(ran) == 20
    assert backend.asked == ["cache 20", "values 1", "cache 20"]


def test_it_ends_when_it_is_taken_away(scheduler: Scheduler) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    scheduler.run(define("f", inc, version="2", compat=[first.hash])(1))

    scheduler.run(define("f", inc, version="2")(1))

    assert ran == ["inc 1", "inc 1"]


def test_it_speaks_of_this_code_and_these_options_alone(scheduler: Scheduler) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("f", inc, version="2", compat=[first.hash])

    assert second.options(nout=3).compat == ()
    assert second.options(executor="inline").compat == second.compat
    scheduler.run(second.options(nout=3)(1))
    assert ran == ["inc 1", "inc 1"]
    scheduler.run(second.options(retries=1)(1))
    assert ran == ["inc 1", "inc 1"]


def test_a_task_may_have_had_another_name(scheduler: Scheduler) -> None:
    first = define("old_name", inc, version="1")
    main = define("main", lambda: first(1), version="1")
    scheduler.run(main())
    del get_task_registry()._tasks["compat.old_name"]

    define("new_name", inc, version="2", compat=[first.hash])

    # The recorded result of main calls the old name.
    assert scheduler.run(define("main", lambda: None, version="1")()) == 2
    assert ran == ["inc 1"]


def test_whole_calls_count_as_well(scheduler: Scheduler) -> None:
    first = define("f", inc, version="1")
    outer = define("outer", lambda x: first(x), version="1", check_valid="shallow")
    scheduler.run(outer(1))
    second = define("f", inc, version="2", compat=[first.hash])

    again = define("outer", lambda x: second(x), version="1", check_valid="shallow")

    assert scheduler.run(again(1)) == 2
    assert ran == ["inc 1"]


def test_a_task_without_a_hash_disturbs_nobody(scheduler: Scheduler) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    define("broken", inc, version="1", tools=["no-such-program"], compat=[first.hash])
    second = define("f", inc, version="2", compat=[first.hash])

    assert scheduler.run(second(1)) == 2

    assert ran == ["inc 1"]


@pytest.mark.parametrize(
    "compat",
    ["0" * 32, ["abc"], [3], 5, ["g" * 32], ["A" * 32], [None], ["0" * 33]],
)
def test_what_is_no_list_of_hashes_is_refused(compat: Any) -> None:
    with pytest.raises(TaskOptionError, match="compat"):
        define("f", inc, compat=compat)


def test_explain_says_so_of_blessed_results_too(tmp_path: Path) -> None:
    backend = SqlBackend(f"sqlite:///{tmp_path}/a.db")
    backend.load()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        first = define("blessed", inc, version="1")
        scheduler.run(first(1))
        second = define("blessed", inc, version="2")
        old, new = blessing.defined(first), blessing.defined(second)
        blessing.bless(backend, old, new, "me@here", "")

        scheduler.run(second(1))

        with scheduler.reading() as reader:
            newest = reader.jobs_of_task(first.hash, 1)[0].id
        for asked in (second(1), newest):
            told = scheduler.explain(asked)
            assert told.earlier == "bless"
            assert str(told).endswith("counts, for it was blessed")
    assert ran == ["inc 1"]


def test_both_ways_of_saying_it_go_together(scheduler: Scheduler, backend: CountingBackend) -> None:
    first = define("f", inc, version="1")
    scheduler.run(first(1))
    second = define("g", inc, version="2")
    scheduler.run(second(2))
    blessing.bless(backend, blessing.defined(first), blessing.defined(second), "me@here", "renamed")
    third = define("g", inc, version="3", compat=[second.hash])

    assert scheduler.run([third(1), third(2)]) == [2, 3]

    assert ran == ["inc 1", "inc 2"]


def test_explain_and_plan_say_that_it_was_used(tmp_path: Path) -> None:
    backend = SqlBackend(f"sqlite:///{tmp_path}/a.db")
    backend.load()
    with Scheduler(backend=backend, executor="inline") as scheduler:
        first = define("f", inc, version="1")
        scheduler.run(first(1))
        made = scheduler.explain("compat.f").job
        second = define("f", inc, version="2", compat=[first.hash])

        asked = scheduler.explain(second(1))
        planned = scheduler.plan(second(1))
        scheduler.run(second(1))
        told = scheduler.explain("-")
        with scheduler.reading() as reader:
            newest = reader.jobs_of_task(first.hash, 1)[0].id
        job = scheduler.explain(newest)

        assert planned.calls == ()
        assert (asked.verdict, asked.earlier, asked.task_hash) == ("hit", "compat", first.hash)
        assert asked.made_by.job_id == made.id
        assert "would not run: the result that earlier code gave in job" in str(asked)
        assert str(asked).endswith("counts, by compat in its @task")
        assert (job.earlier, job.made_by.job_id) == ("compat", made.id)
        assert "was not run" in str(job)
        assert (told.ran, told.cached) == (0, 1)
        assert scheduler.explain(made.id).earlier is None
    assert check_soundness(SqlBackend(f"sqlite:///{tmp_path}/a.db")) == []
    assert ran == ["inc 1"]
