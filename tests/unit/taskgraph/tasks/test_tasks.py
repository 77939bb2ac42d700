"""Tasks: names, signatures, options, hashes and the registry."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from taskgraph import Scheduler
from taskgraph.errors import TaskNameError, TaskOptionError, UnknownTaskError
from taskgraph.expression import SchedulerExpression, TaskExpression
from taskgraph.tasks.decorator import scheduler_task, task
from taskgraph.tasks.names import get_current_namespace, namespace
from taskgraph.tasks.options import CacheCheckValid, CacheResult, CacheScope
from taskgraph.tasks.partial import PartialTask
from taskgraph.tasks.registry import TaskRegistry, get_task_registry
from taskgraph.tasks.task import Task, _restore_task, get_tuple_type_length
from taskgraph.tasks.wrapping import wraps_task
from taskgraph.testing import MemoryBackend
from taskgraph.values.weigh import hash_value


class Pair(NamedTuple):
    a: int
    b: int


@task(namespace="unit")
def plain(x: int, y: int = 2) -> int:
    """Add up."""
    return x + y


def test_a_task_is_made_bare_and_with_arguments() -> None:
    @task
    def bare() -> None: ...

    @task(name="given", namespace="unit.more", version="3")
    def other() -> None: ...

    assert bare.fullname == "bare"
    assert other.fullname == "unit.more.given"
    assert get_task_registry().get("unit.more.given") is other


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a.b", "é", "<lambda>"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(TaskNameError, match="not valid"):
        task(name=name)(lambda: None)


@pytest.mark.parametrize("name", ["1a", "a..b", ".a", "a b"])
def test_a_namespace_that_is_not_made_of_identifiers_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        task(namespace=name)(plain.func)  # type: ignore[arg-type]


def test_the_namespace_is_the_explicit_one_then_that_in_force() -> None:
    namespace("unit.current")
    try:

        @task
        def inside() -> None: ...

        @task(namespace="")
        def outside() -> None: ...

        assert get_current_namespace() == "unit.current"
    finally:
        namespace()

    assert inside.fullname == "unit.current.inside"
    assert outside.fullname == "outside"


def test_calling_a_task_runs_nothing() -> None:
    ran = []

    @task(namespace="unit")
    def noisy() -> None:
        ran.append(1)

    expr: Any = noisy()

    assert isinstance(expr, TaskExpression)
    assert not ran


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1}), ((1,), {"x": 1})]
)
def test_a_call_with_wrong_arguments_fails_at_once(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError, match=r"unit\.plain\(x"):
        plain(*args, **kwargs)


def test_source_starts_at_def_and_keeps_its_indentation() -> None:
    @task(namespace="unit", version="1")
    def local() -> int:
        return 1

    assert local.source.startswith("    def local() -> int:\n        return 1")


def test_the_hash_follows_the_code_or_the_version() -> None:
    def make(source: str, **options: Any) -> Task[..., Any]:
        return task(name="made", namespace="unit", source=source, **options)(lambda x: x)

    one, same, other = (make(text) for text in ("def f(x): 1", "def f(x): 1", "def f(x): 2"))
    versioned, again = (make(text, version="1") for text in ("def f(x): 1", "def f(x): 2"))

    assert one.hash == same.hash
    assert one.hash != other.hash
    assert versioned.hash == again.hash
    assert versioned.hash != one.hash
    assert make("def f(x): 1", hash_includes=["a"]).hash != one.hash
    assert make("def f(x): 1", nout=2).hash != one.hash
    assert make("def f(x): 1", executor="inline", memory=3, cache=False).hash == one.hash


def test_closures_of_one_text_have_different_hashes() -> None:
    def make(amount: int) -> Task[..., Any]:
        @task(name="add", namespace="unit")
        def add(x: int) -> int:
            return x + amount

        return add

    assert make(1).hash != make(2).hash
    assert make(1).hash == make(1).hash


def test_options_are_brought_to_one_form() -> None:
    made = task(
        name="made", namespace="unit", cache=False, check_valid="shallow", config_args=["x"]
    )(lambda x: x)

    assert made.get_task_option("cache_scope") is CacheScope.CSE
    assert made.get_task_option("check_valid") is CacheCheckValid.SHALLOW
    assert made.has_task_option("config_args")
    assert made.get_task_option("absent", 3) == 3


@pytest.mark.parametrize(
    ("options", "good"),
    [
        ({"cache_scope": "NEVER"}, "BACKEND"),
        ({"check_valid": "some"}, "shallow"),
        ({"cache": "yes"}, "True"),
        ({"config_args": ["z"]}, "x"),
        ({"config_args": "x"}, "list"),
        ({"executor": 3}, "name"),
    ],
)
def test_a_bad_value_of_an_option_names_the_good_ones(options: Any, good: str) -> None:
    with pytest.raises(TaskOptionError, match=good):
        task(name="made", namespace="unit", **options)(lambda x: x)


@pytest.mark.parametrize("age", [timedelta(minutes=5), 300, 300.0])
def test_an_age_is_a_timedelta_or_seconds_and_is_nothing_to_the_hash(age: Any) -> None:
    aging = plain.options(max_age=age)

    assert aging.get_task_option("max_age") == timedelta(minutes=5)
    assert aging.hash == plain.hash


@pytest.mark.parametrize("age", [0, -1, timedelta(0), "1h", True, None, float("nan"), 1e300])
def test_what_is_no_age_is_refused(age: Any) -> None:
    with pytest.raises(TaskOptionError, match=r"max_age.*timedelta or a number of seconds"):
        plain.options(max_age=age)


@pytest.mark.parametrize("nout", [-1, "2", 1.5, True])
def test_nout_must_be_a_non_negative_integer(nout: Any) -> None:
    with pytest.raises(TypeError, match="nout"):
        task(name="made", namespace="unit", nout=nout)(lambda x: x)


@pytest.mark.parametrize(
    ("annotation", "length"),
    [
        (tuple[int, str], 2),
        (tuple[int, ...], None),
        (tuple[()], 0),
        (tuple, None),
        (Pair, 2),
        (list[int], None),
        (None, None),
    ],
)
def test_the_length_of_a_tuple_type_is_read(annotation: Any, length: int | None) -> None:
    assert get_tuple_type_length(annotation) == length


def test_nout_is_read_from_the_return_annotation() -> None:
    @task(namespace="unit")
    def both() -> tuple[int, int]:
        return 1, 2

    first, second = both()

    assert repr(first) == "unit.both()[0]"
    assert repr(second) == "unit.both()[1]"


def test_options_of_a_call_leave_the_task_alone() -> None:
    inline = plain.options(executor="inline")

    assert inline.get_task_option("executor") == "inline"
    assert not plain.has_task_option("executor")
    assert inline.hash == plain.hash
    assert repr(inline(1)) == "unit.plain(1)"


def test_partial_tasks_merge_their_arguments() -> None:
    partial = plain.partial(1).partial(y=2)

    assert repr(partial(y=5)) == "unit.plain(1, y=5)"
    assert partial.args == (1,)
    assert partial.kwargs == {"y": 2}


def test_a_task_travels_by_name_and_hash() -> None:
    again = pickle.loads(pickle.dumps(plain))

    assert again.func is plain.func
    assert again.hash == plain.hash
    assert again.fullname == plain.fullname


def test_a_task_without_a_definition_keeps_its_hash_and_cannot_be_run() -> None:
    registry = get_task_registry()
    made = task(name="gone", namespace="unit")(lambda: None)
    payload, hash = pickle.dumps(made), made.hash
    del registry._tasks["unit.gone"]

    again = pickle.loads(payload)

    assert again.hash == hash
    with pytest.raises(ValueError, match="not defined here"):
        _ = again.signature


def _state_of(made: Task[..., Any]) -> dict[str, Any]:
    """Return what is stored of a task."""
    _, (_, state) = made.__reduce__()  # type: ignore[misc]  # our own form of it
    found: dict[str, Any] = state
    return found


def test_what_is_stored_of_a_task_is_this() -> None:
    made = task(name="kept", namespace="unit", version="3", compat=["ab" * 16], script=True)(
        lambda: "true"
    )

    called = made.options(retries=2).export_options(executor="inline")

    assert _state_of(called) == {
        "name": "kept",
        "namespace": "unit",
        "version": "3",
        "hash": made.hash,
        "compat": ["ab" * 16],
        "script": True,
        "task_options": {"retries": 2},
        "export_options": {"executor": "inline"},
    }
    assert _state_of(made.update_context(a=1))["context"] == {"a": 1}


def test_a_task_that_an_older_version_stored_is_read() -> None:
    state = _state_of(plain.options(retries=1))
    for name in ("compat", "script", "export_options"):
        del state[name]

    again = _restore_task(Task, state)

    assert (again.hash, again.compat, again.script) == (plain.hash, (), False)
    assert again.get_task_option("retries") == 1
    assert again.is_valid()


@pytest.mark.parametrize("version", [None, "7"])
def test_of_a_task_without_a_definition_all_that_was_stored_is_there(version: str | None) -> None:
    made = task(name="gone", namespace="unit", version=version, compat=["cd" * 16], script=True)(
        lambda: "true"
    )
    called = made.options(retries=2).export_options(timeout=3).update_context(a=1)
    payload, before, hash = pickle.dumps(called), _state_of(called), made.hash
    del get_task_registry()._tasks["unit.gone"]

    again = pickle.loads(payload)

    assert _state_of(again) == before
    assert again.hash == again.get_hash() == hash
    assert (again.version, again.script, again.is_defined) == (version, True, False)
    assert not again.is_valid()
    with pytest.raises(ValueError, match=r"unit\.gone is not defined here; import its module"):
        again.func()
    assert pickle.loads(pickle.dumps(again)).hash == hash


def test_a_call_of_a_task_without_a_definition_says_what_to_do() -> None:
    made = task(name="away", namespace="unit", version="1")(lambda x: x)
    payload = pickle.dumps(made)
    del get_task_registry()._tasks["unit.away"]
    again = pickle.loads(payload)

    with (
        Scheduler(backend=MemoryBackend(), executor="inline") as scheduler,
        pytest.raises(ValueError, match=r"unit\.away is not defined here; import its module"),
    ):
        scheduler.run(again(1))


def test_source_has_no_decorators_and_keeps_its_indentation() -> None:
    class Steps:
        @task(
            namespace="unit",
            tags={"default": "no def here"},
        )
        @staticmethod
        def inner(x: int) -> int:
            # indented
            return x

    assert Steps.inner.source.splitlines() == [
        "        def inner(x: int) -> int:",
        "            # indented",
        "            return x",
    ]


def test_the_last_definition_of_a_full_name_wins() -> None:
    first = task(name="twice", namespace="unit", version="1")(lambda: 1)
    second = task(name="twice", namespace="unit", version="2")(lambda: 2)

    assert get_task_registry().get("unit.twice") is second
    assert (first()._task, second()._task) == (first, second)  # both can still be called


@pytest.mark.parametrize("option", ["cache_scope", "check_valid", "allowed_cache_results"])
def test_enums_are_known_by_name_and_by_value(option: str) -> None:
    choices: type[Any] = {
        "cache_scope": CacheScope,
        "check_valid": CacheCheckValid,
        "allowed_cache_results": CacheResult,
    }[option]
    for each in choices:
        for said in (each, each.name, each.value, each.name.lower()):
            found = plain.options(**{option: said}).get_task_option(option)
            assert found in (each, frozenset({each}))
    with pytest.raises(TaskOptionError) as error:
        plain.options(**{option: "sometimes"})
    assert all(repr(each.value) in str(error.value) for each in choices)


def test_cache_is_another_word_for_a_scope() -> None:
    assert plain.options(cache=True).get_task_option("cache_scope") is CacheScope.BACKEND
    assert plain.options(cache=False).get_task_option("cache_scope") is CacheScope.CSE


def test_iteration_needs_a_length() -> None:
    pair = task(name="pair", namespace="unit", nout=2)(lambda: (1, 2))

    first, second = pair()

    assert (repr(first), repr(second)) == ("unit.pair()[0]", "unit.pair()[1]")
    with pytest.raises(TypeError, match="nout"):
        list(plain(1))


def test_what_counts_of_options_is_what_changes_meaning() -> None:
    assert plain.options(retries=3, executor="inline", tags={"a": 1}).hash == plain.hash
    assert plain.options(nout=2).hash != plain.hash
    assert plain.options(script=True).hash != plain.hash


def test_options_are_asked_for_by_name() -> None:
    made = plain.options(retries=3)

    assert made.get_task_options() == {**plain.get_task_options(), "retries": 3}
    assert (made.has_task_option("retries"), plain.has_task_option("retries")) == (True, False)
    assert plain.get_task_option("retries", 7) == 7


def test_coroutine_functions_are_known() -> None:
    async def later() -> int:
        return 1

    assert task(name="later", namespace="unit")(later).is_async()
    assert not plain.is_async()


def test_code_that_names_partial_tasks_has_the_hash_that_it_always_had() -> None:
    assert PartialTask.__module__ == "taskgraph.tasks.task"
    assert hash_value(PartialTask) == "485812d1d68ac12bbe01279f0bf746f3"


def test_a_partial_task_hands_on_options_exports_and_context() -> None:
    made = plain.partial(1).options(retries=1).export_options(timeout=2).update_context(a=1)

    assert made.args == (1,)
    assert made.task.call_options["retries"] == 1
    assert "timeout" in made.task.call_exports
    assert made.task.call_context == {"a": 1}
    assert plain.partial(1, y=2).partial(y=3).kwargs == {"y": 3}
    assert repr(plain.partial(y=2)(1, y=4)) == "unit.plain(1, y=4)"


def test_a_wrapper_knows_the_task_inside_and_the_innermost_one() -> None:
    @wraps_task()
    def doubled(inner: Task[..., Any]) -> Any:
        return lambda *args: inner(*args) * 2

    @wraps_task(wrapper_name="shown")
    def told(inner: Task[..., Any]) -> Any:
        return lambda *args: inner(*args)

    @told
    @doubled
    @task(namespace="unit")
    def wrapped(x: int) -> int:
        return x

    outer: Any = wrapped
    assert outer.inner_task.fullname == "unit.shown.wrapped"
    assert outer.wrapped_task.fullname == "unit.doubled.wrapped"
    assert outer.inner_task.wrapped_task is outer.wrapped_task
    assert (plain.inner_task, plain.wrapped_task) == (None, None)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UnknownTaskError, match=r"unit\.plain"):
        get_task_registry().get("unit.plane")


def test_a_task_can_be_renamed_and_found_by_hash() -> None:
    registry = TaskRegistry()
    made = task(name="old", namespace="unit")(lambda: None)
    registry.add(made)

    registry.rename("unit.old", "unit.other", "new")

    assert "unit.old" not in registry
    assert registry.get("unit.other.new") is made
    assert registry.get(hash=made.hash) is made
    assert registry.task_hashes == {made.hash}
    assert len(registry) == 1


def test_a_scheduler_task_gives_a_scheduler_expression() -> None:
    @scheduler_task(namespace="unit")
    def twice(expr: Any) -> Any:
        value = yield expr
        return value * 2

    assert isinstance(twice(plain(1)), SchedulerExpression)


def test_config_args_of_a_call_must_be_parameters_as_well() -> None:
    with pytest.raises(TaskOptionError, match="no parameter named 'z'; there are: x, y"):
        plain.options(config_args=["z"])


def test_a_task_is_valid_while_its_code_is_what_is_registered() -> None:
    def define(version: str) -> Task[..., Any]:
        return task(name="aging", namespace="unit", version=version)(lambda: None)

    first = define("1")
    stored = pickle.dumps(first.options(nout=2))
    assert first.is_valid()
    assert pickle.loads(stored).is_valid()

    second = define("2")
    assert second.is_valid()
    assert not first.is_valid()
    assert not pickle.loads(stored).is_valid()

    define("1")
    assert pickle.loads(stored).is_valid()
    del get_task_registry()._tasks["unit.aging"]
    assert not first.is_valid()
    assert not pickle.loads(stored).is_valid()
