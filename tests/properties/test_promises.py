"""Promises: whatever is done in whatever order, they come to what their definitions say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskgraph import Promise, wait_promises

ERROR = KeyError("one error for all: which comes first is a matter of order")
PENDING = "pending"
FAILED = "failed"


@dataclass
class Model:
    """What a promise is, as rules: it has the value of the first one that holds."""

    rule: tuple[Any, ...] = ("unsettled",)
    is_own: bool = True  # nobody but the test settles it
    found: Any = field(default=PENDING)


def value_of(rule: tuple[Any, ...], models: list[Model]) -> Any:
    """Apply a rule to what is known of the others by now."""
    match rule:
        case ("unsettled",):
            return PENDING
        case "value", value:
            return value
        case ("failed",):
            return FAILED
        case "same", other:
            return models[other].found
        case "then", other, on_value, on_error:
            found = models[other].found
            if found == PENDING:
                return PENDING
            act = on_error if found == FAILED else on_value
            return found if act is None else value_of(act, models)
        case "all", others:
            parts = [models[each].found for each in others]
            if FAILED in parts:
                return FAILED
            return PENDING if PENDING in parts else tuple(parts)
        case "ended", others:
            return PENDING if PENDING in [models[each].found for each in others] else "ended"
    raise AssertionError(rule)


def solve(models: list[Model]) -> list[Any]:
    """Apply all rules until nothing changes."""
    before = None
    while before != [each.found for each in models]:
        before = [each.found for each in models]
        for each in models:
            if each.found == PENDING:
                each.found = value_of(each.rule, models)
    return [each.found for each in models]


def act_of(data: st.DataObject, count: int) -> tuple[Any, ...] | None:
    kind = data.draw(st.sampled_from(["pass", "value", "failed", "same"]))
    match kind:
        case "pass":
            return None
        case "value":
            return "value", data.draw(st.integers(0, 5))
        case "same":
            return "same", data.draw(st.integers(0, count - 1))
    return (kind,)


def callback(act: tuple[Any, ...] | None, promises: list[Promise[Any]]) -> Any:
    if act is None:
        return None

    def call(given: Any) -> Any:
        if act[0] == "failed":
            raise ERROR
        return promises[act[1]] if act[0] == "same" else act[1]

    return call


def read(promise: Promise[Any]) -> Any:
    if promise.is_pending:
        return PENDING
    if promise.is_rejected:
        return FAILED
    return as_tuples(promise.value)


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


@given(st.data())
def test_promises_come_to_what_their_rules_say(data: st.DataObject) -> None:
    promises: list[Promise[Any]] = [Promise()]
    models = [Model()]
    for _ in range(data.draw(st.integers(1, 25))):
        count = len(promises)
        index = data.draw(st.integers(0, count - 1))
        match data.draw(st.sampled_from(["new", "value", "failed", "same", "then", "all", "end"])):
            case "new":
                promises.append(Promise())
                models.append(Model())
            case "then":
                acts = act_of(data, count), act_of(data, count)
                calls = [callback(act, promises) for act in acts]
                promises.append(promises[index].then(*calls))
                models.append(Model(("then", index, *acts), is_own=False))
            case "all":
                chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=3))
                promises.append(Promise.all(promises[each] for each in chosen))
                models.append(Model(("all", chosen), is_own=False))
            case "end":
                chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=3))
                waiting = wait_promises(promises[each] for each in chosen)
                promises.append(waiting.then(lambda ended: "ended"))
                models.append(Model(("ended", chosen), is_own=False))
            case settling:
                model = models[index]
                other = data.draw(st.integers(0, count - 1))
                if not model.is_own:
                    continue
                rule = {
                    "value": ("value", other),
                    "failed": ("failed",),
                    "same": ("failed",) if other == index else ("same", other),
                }[settling]
                if settling == "failed":
                    promises[index].do_reject(ERROR)
                else:
                    promises[index].do_resolve(promises[other] if settling == "same" else other)
                if model.rule == ("unsettled",):
                    model.rule = rule

    assert [read(each) for each in promises] == solve(models)
