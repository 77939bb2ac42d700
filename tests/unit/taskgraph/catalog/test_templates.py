"""A template names texts and nothing else: no code, no attribute, no format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.catalog.policy_rows import Notification
from taskgraph.catalog.states import State, StateType
from taskgraph.catalog.templates import DEFAULT_TEMPLATE, VARIABLES, checked_template, filled
from taskgraph.errors import SecretError, TemplateError, ValidationError

TOLD = Notification("1" * 32, "p", "", "ab" * 16, "nightly", "f.main", State(StateType.FAILED))


def test_each_variable_is_filled_in_and_documented() -> None:
    assert TOLD.variables().keys() == VARIABLES.keys()
    whole = checked_template(" ".join(f"{{{name}}}" for name in VARIABLES))
    assert "nightly" in filled(whole, TOLD.variables())
    assert TOLD.with_text(None).text == "nightly (abababab): Failed."
    assert "\n" not in DEFAULT_TEMPLATE


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{nmae}", "{nmae} stands for nothing"),
        ("{}", "{} stands for nothing"),
        ("{0}", "{0} stands for nothing"),
        ("{name.__class__}", "stands for nothing"),
        ("{name[0]}", "stands for nothing"),
        ("{name!r}", "a name alone, without a format"),
        ("{name:>1000000000}", "a name alone, without a format"),
        ("{name:{state}}", "a name alone, without a format"),
        ("{name", "this is no template"),
        ("name}", "this is no template"),
        ("  ", "expected text"),
        (None, "expected text"),
        ("x" * 10_001, "at most 10,000"),
    ],
)
def test_what_asks_for_more_is_refused_with_what_there_is(template: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        checked_template(template)

    assert isinstance(caught.value, ValidationError)
    assert reason in str(caught.value)
    assert "There are: execution_id, short_id, name" in str(caught.value)
    assert caught.value.known == tuple(VARIABLES)


def test_a_secret_in_a_template_is_refused() -> None:
    with pytest.raises(SecretError):
        checked_template("whsec_abcdefghijkl {name}")


@given(st.fixed_dictionaries({name: st.text() for name in VARIABLES}))
def test_what_texts_say_is_never_read_as_a_template(values: dict[str, str]) -> None:
    template = "{{x}} " + "|".join(f"{{{name}}}" for name in VARIABLES)

    said = "|".join(values[name] for name in VARIABLES)
    assert filled(template, values) == f"{{x}} {said}".strip()


@pytest.mark.parametrize(
    ("template", "said"),
    [("{name}: {mood}", "nightly: {mood}"), ("{name", "{name"), ("{name:>9}!", "nightly!")],
)
def test_what_a_newer_library_kept_costs_nobody_the_text(template: str, said: str) -> None:
    assert TOLD.with_text(template).text == said
