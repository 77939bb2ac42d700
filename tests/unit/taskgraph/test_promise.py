"""Promises: the first to settle one wins, and what follows has run when that returns."""

from __future__ import annotations

from typing import Any

import pytest

from taskgraph import Promise, wait_promises


def resolved(value: Any) -> Promise[Any]:
    return Promise(lambda resolve, reject: resolve(value))


def rejected(error: BaseException) -> Promise[Any]:
    return Promise(lambda resolve, reject: reject(error))


def test_a_new_promise_is_pending() -> None:
    promise: Promise[int] = Promise()

    assert (promise.is_pending, promise.is_fulfilled, promise.is_rejected) == (True, False, False)
    with pytest.raises(ValueError, match="pending"):
        _ = promise.value
    with pytest.raises(ValueError, match="pending"):
        _ = promise.error


def test_a_resolved_promise_has_its_value_and_no_error() -> None:
    promise = resolved(1)

    assert (promise.is_pending, promise.is_fulfilled, promise.is_rejected) == (False, True, False)
    assert promise.value == 1
    with pytest.raises(ValueError, match="fulfilled: it has no error"):
        _ = promise.error


def test_a_rejected_promise_has_its_error_and_raises_it_for_a_value() -> None:
    error = KeyError("x")
    promise = rejected(error)

    assert (promise.is_pending, promise.is_fulfilled, promise.is_rejected) == (False, False, True)
    assert promise.error is error
    with pytest.raises(KeyError) as raised:
        _ = promise.value
    assert raised.value is error


@pytest.mark.parametrize("first", ["value", "error", "promise"])
def test_the_first_that_settles_it_wins(first: str) -> None:
    promise: Promise[Any] = Promise()
    other: Promise[Any] = Promise()
    settle = {
        "value": lambda: promise.do_resolve(1),
        "error": lambda: promise.do_reject(KeyError()),
        "promise": lambda: promise.do_resolve(other),
    }

    settle.pop(first)()
    for late in settle.values():
        late()
    other.do_resolve(2)

    found = {1: "value", 2: "promise"}.get(promise.value) if promise.is_fulfilled else "error"
    assert found == first


def test_what_the_function_raises_rejects_it() -> None:
    def fail(resolve: Any, reject: Any) -> None:
        raise KeyError("x")

    assert isinstance(Promise(fail).error, KeyError)


def test_callbacks_have_run_when_settling_returns() -> None:
    seen: list[str] = []
    promise: Promise[int] = Promise()
    promise.then(lambda value: seen.append(f"first {value}"))
    promise.then(lambda value: seen.append(f"second {value}"))

    promise.do_resolve(1)
    promise.then(lambda value: seen.append(f"late {value}"))

    assert seen == ["first 1", "second 1", "late 1"]


def test_no_callback_runs_inside_of_another() -> None:
    seen: list[str] = []
    other: Promise[int] = Promise()
    other.then(lambda value: seen.append("followed"))

    def settle_other(value: int) -> None:
        other.do_resolve(value)
        seen.append("ended")

    resolved(1).then(settle_other)

    assert seen == ["ended", "followed"]


def test_what_a_callback_returns_is_the_value_of_the_next() -> None:
    assert resolved(1).then(lambda x: x + 1).then(lambda x: x * 10).value == 20


def test_a_promise_that_a_callback_returns_is_waited_for() -> None:
    later: Promise[int] = Promise()
    promise = resolved(1).then(lambda x: later)

    assert promise.is_pending
    later.do_resolve(7)

    assert promise.value == 7


def test_an_error_goes_on_until_somebody_catches_it() -> None:
    seen: list[Any] = []
    promise = rejected(KeyError("x")).then(seen.append).then(seen.append)

    assert isinstance(promise.error, KeyError)
    assert promise.catch(lambda error: type(error).__name__).value == "KeyError"
    assert seen == []


def test_a_value_passes_by_what_catches() -> None:
    assert resolved(1).catch(lambda error: 2).value == 1


def test_what_a_callback_raises_is_for_the_next_and_not_for_its_own_rejector() -> None:
    promise = resolved(0).then(lambda x: 1 / x, lambda error: "own")

    assert isinstance(promise.error, ZeroDivisionError)
    assert promise.catch(lambda error: "next").value == "next"


def test_a_promise_that_is_resolved_with_itself_is_rejected() -> None:
    promise: Promise[Any] = Promise()

    promise.do_resolve(promise)

    assert isinstance(promise.error, TypeError)


def test_all_gives_values_in_order_whatever_the_order_of_settling() -> None:
    parts: list[Promise[int]] = [Promise() for _ in range(3)]
    every = Promise.all(parts)

    for number in (2, 0, 1):
        assert every.is_pending
        parts[number].do_resolve(number)

    assert every.value == [0, 1, 2]


def test_all_of_nothing_is_there_at_once() -> None:
    assert Promise.all([]).value == []


def test_all_fails_with_the_first_error_and_does_not_wait_for_the_rest() -> None:
    error = KeyError()

    every = Promise.all([Promise(), rejected(error), rejected(ValueError())])

    assert every.error is error


def test_wait_promises_waits_for_errors_too() -> None:
    parts: list[Promise[int]] = [Promise(), rejected(KeyError())]
    waiting = wait_promises(parts)

    assert waiting.is_pending
    parts[0].do_resolve(1)

    assert waiting.value == parts


def test_wait_promises_of_nothing_is_there_at_once() -> None:
    assert wait_promises([]).value == []


def test_a_chain_of_a_hundred_thousand_promises() -> None:
    first: Promise[int] = Promise()
    last = first
    for _ in range(100_000):
        last = last.then(lambda x: x + 1)

    first.do_resolve(0)

    assert last.value == 100_000


def test_a_hundred_thousand_promises_become_what_one_becomes() -> None:
    first: Promise[int] = Promise()
    last = first
    for _ in range(100_000):
        last = resolved(last)

    first.do_resolve(1)

    assert last.value == 1


def test_a_ctrl_c_in_a_callback_ends_what_would_have_followed() -> None:
    seen: list[int] = []
    promise: Promise[int] = Promise()

    def interrupt(value: int) -> None:
        raise KeyboardInterrupt

    promise.then(interrupt)
    promise.then(seen.append)
    with pytest.raises(KeyboardInterrupt):
        promise.do_resolve(1)

    assert seen == []
    assert resolved(2).then(lambda x: x).value == 2


def test_it_shows_what_became_of_it() -> None:
    assert repr(Promise()) == "<Promise pending>"
    assert repr(resolved(1)) == "<Promise fulfilled 1>"
    assert repr(rejected(KeyError("x"))) == "<Promise rejected KeyError('x')>"


class NeedsMoreError(Exception):
    def __init__(self, what: str) -> None:
        super().__init__(what)


@pytest.mark.parametrize(
    ("given", "kind"),
    [(KeyError, KeyError), (NeedsMoreError, TypeError), (5, TypeError), (int, TypeError)],
)
def test_it_is_rejected_with_an_error_whatever_is_given(given: Any, kind: type) -> None:
    promise: Promise[int] = Promise()

    promise.do_reject(given)

    assert type(promise.error) is kind
