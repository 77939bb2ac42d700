"""Explanations in words, as pages and as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from taskgraph.provenance.explain import (
    Cause,
    Change,
    ChangeKind,
    CodeExplanation,
    CodePart,
    EarlierCall,
    ExecutionExplanation,
    ExplainedJob,
    Explanation,
    MadeBy,
    RootCause,
    TaskRuns,
    Verdict,
)
from taskgraph.provenance.explain_code import compare_parts, describe_parts, diff_of, explain_code
from taskgraph.provenance.explain_page import MissTeller, as_json, explanation_page
from taskgraph.provenance.explain_words import brief, headline
from taskgraph.provenance.page import plain_text, print_page

WHEN = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
JOB = ExplainedJob("a" * 32, "e" * 32, "COMPLETED", WHEN, 1.5)
AGAINST = EarlierCall("c" * 32, "d" * 32, WHEN)
GAVE = Cause("gave", "flow.g", "b" * 32, ran=True)
CALLED = Cause("called", "flow.main", "f" * 32, ran=True)


def miss(*changes: Change, **more: Any) -> Explanation:
    return Explanation(
        "flow.f", "1" * 32, Verdict.MISS, (("x", "1"),), JOB, AGAINST, changes, **more
    )


def argument(**more: Any) -> Change:
    return Change(ChangeKind.ARGUMENT, "x", **{"path": "x.y", "old": "1", "new": "2", **more})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(ChangeKind.FUNCTION, "helpers.scale", diff="@@"), "helpers.scale changed"),
        (Change(ChangeKind.CLASS, "models.Model", diff="@@"), "class models.Model changed"),
        (Change(ChangeKind.CONSTANT, "h.X", old="1", new="2"), "h.X changed from 1 to 2"),
        (Change(ChangeKind.CONSTANT, "h.X", new="2"), "h.X is new in its code"),
        (Change(ChangeKind.CONSTANT, "h.X", old="2"), "h.X is gone from its code"),
        (
            Change(ChangeKind.DEFAULT, "h.f: k", old="1", new="2"),
            "the default h.f: k changed from 1 to 2",
        ),
        (
            Change(ChangeKind.NAME, "flow.main: f", old="h.a", new="h.b"),
            "flow.main: f now stands for h.b",
        ),
        (
            Change(ChangeKind.PACKAGE, "numpy", old="1.0", new="2.0"),
            "package numpy changed from 1.0 to 2.0",
        ),
        (
            Change(ChangeKind.VERSION, "version", old="1", new="2"),
            "its version changed from 1 to 2",
        ),
        (Change(ChangeKind.VERSION, "version", new="2"), "it has a version now: 2"),
        (Change(ChangeKind.VERSION, "version", old="2"), "it has no version any more"),
        (
            Change(ChangeKind.OPTION, "nout", old="1", new="2"),
            "its option nout changed from 1 to 2",
        ),
        (argument(), "x.y changed from 1 to 2"),
        (argument(old=None), "x.y is new: 2"),
        (argument(new=None), "x.y is gone"),
        (argument(causes=(GAVE,)), "flow.g gave another x.y"),
        (argument(causes=(replace(GAVE, ran=False),)), "x.y changed from 1 to 2"),
        (Change(ChangeKind.ARGUMENT, "", detail="the order"), "the order"),
        (Change(ChangeKind.FILE, "a.txt", detail="content changed"), "file a.txt changed"),
        (Change(ChangeKind.FILE, "a.txt", detail="vanished"), "file a.txt vanished"),
        (Change(ChangeKind.FILE, "a.txt", causes=(GAVE,)), "flow.g gave another a.txt"),
        (
            Change(ChangeKind.OUTPUT, "o.txt", detail="it is not there any more"),
            "its output o.txt is not there any more",
        ),
        (
            Change(ChangeKind.OUTPUT, "o.txt", detail="its content changed"),
            "the content of its output o.txt changed",
        ),
        (
            Change(ChangeKind.OUTPUT, "folder", detail="a is newly there"),
            "its result no longer holds: folder: a is newly there",
        ),
        (Change(ChangeKind.SCOPE, "flow.f", detail="cache=False"), "its task has cache=False"),
        (Change(ChangeKind.CONTEXT, "a.b", old="1", new="2"), "context value a.b changed from"),
        (Change(ChangeKind.NEW, "flow.f"), "it was never called before"),
        (Change(ChangeKind.FAILED, "flow.f"), "it failed before, and errors are not replayed"),
        (Change(ChangeKind.CHILD, "flow.g", detail="it failed"), "flow.g (it failed)"),
    ],
)
def test_each_change_has_words(change: Change, words: str) -> None:
    assert brief(change).startswith(words)


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_no_kind_is_without_words(kind: ChangeKind) -> None:
    assert brief(Change(kind, "thing", detail="more"))


def test_records_cannot_colour_the_screen() -> None:
    evil = miss(argument(path="x\x1b[31m", old="\x1b[2J", new="\n\n"))

    text = headline(evil) + plain_text(explanation_page(evil))

    assert "\x1b" not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("explanation", "words"),
    [
        (miss(argument()), "flow.f ran again because x.y changed from 1 to 2"),
        (
            replace(miss(argument()), job=None, against=None),
            "flow.f would run because x.y changed from 1 to 2",
        ),
        (
            replace(miss(argument()), job=replace(JOB, state="RUNNING")),
            "flow.f runs again because x.y changed from 1 to 2",
        ),
        (
            miss(Change(ChangeKind.FUNCTION, "module.f", diff="@@")),
            "flow.f ran again because its code changed",
        ),
        (
            miss(argument(), argument(path="z")),
            "flow.f ran again because x.y changed from 1 to 2 and z changed from 1 to 2",
        ),
        (
            miss(argument(), argument(), argument()),
            "flow.f ran again because x.y changed from 1 to 2 and 2 other things changed",
        ),
        (
            miss(argument(), argument(causes=(GAVE,))),
            "flow.f ran again because x.y changed from 1 to 2",
        ),
        (
            miss(argument(), Change(ChangeKind.FUNCTION, "h.new", diff="@@", follows=True)),
            "flow.f ran again because x.y changed from 1 to 2",
        ),
    ],
)
def test_the_sentence_says_what_is_most_telling(explanation: Explanation, words: str) -> None:
    assert headline(explanation) == str(explanation) == words


def test_a_hit_names_its_maker() -> None:
    made = MadeBy("9" * 32, "8" * 32, WHEN, 2.0, "1" * 32, "def f(x): ...")
    hit = Explanation("flow.f", "1" * 32, Verdict.HIT, job=JOB, made_by=made)

    page = plain_text(explanation_page(hit))

    assert headline(hit).startswith("flow.f was not run: nothing changed since job 99999999 of")
    assert "def f(x): ..." in page
    same = replace(hit, made_by=replace(made, execution_id=JOB.execution_id))
    assert "of the same run made the same call" in headline(same)
    assert headline(replace(hit, made_by=None)) == "flow.f was not run: its result was there"


def test_a_diff_is_on_the_page_and_coloured_on_a_terminal() -> None:
    changed = miss(Change(ChangeKind.FUNCTION, "h.g", diff="@@ -1 +1 @@\n-old\n+new"))

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    print_page(explanation_page(changed), terminal)

    assert "    -old\n    +new" in plain_text(explanation_page(changed))
    assert "+new" in terminal.getvalue()


def test_while_a_run_goes_on_a_diff_is_shown_once() -> None:
    teller = MissTeller()
    changed = miss(Change(ChangeKind.FUNCTION, "h.g", diff="-old\n+new"))

    first, again = (plain_text(teller.blocks(changed)) for _ in range(2))

    assert first == "> flow.f ran again because h.g changed  aaaaaaaa\n    -old\n    +new\n"
    assert again == "> flow.f ran again because h.g changed  aaaaaaaa\n"


def test_an_execution_groups_its_causes() -> None:
    cause = RootCause(
        (Change(ChangeKind.FUNCTION, "h.g", diff="-old\n+new"),),
        (TaskRuns("flow.f", 5, ("a" * 32,)),),
        (TaskRuns("flow.join", 1, ("b" * 32,)),),
    )
    new = RootCause((Change(ChangeKind.NEW, "flow.n"),), (TaskRuns("flow.n", 1, ("c" * 32,)),), ())
    run = ExecutionExplanation("e" * 32, "flow.main", 9, 3, 7, (cause, new))

    page = plain_text(explanation_page(run))

    assert headline(run) == (
        "flow.main: 9 calls ran, 3 came from the cache, because h.g changed and 1 other thing"
    )
    assert "6 calls  h.g changed" in page
    assert "then flow.join  bbbbbbbb" in page
    assert "flow.n was never called before" in page
    assert "... and 2 more calls that are not explained here" in page
    assert page.count("+new") == 1
    nothing = ExecutionExplanation("e" * 32, "flow.main", 0, 3, 0, ())
    assert headline(nothing) == "flow.main: no call ran, 3 came from the cache"


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        ("FAILED", "It is gone.", "eeeeeeee: no call ran, it is FAILED: It is gone."),
        ("PENDING", None, "eeeeeeee: no call ran, it is PENDING"),
        ("DONE", None, "eeeeeeee: no call ran, 0 came from the cache"),
    ],
)
def test_what_ran_nothing_is_told_by_its_state(status: str, message: str | None, said: str) -> None:
    run = ExecutionExplanation("e" * 32, None, 0, 0, 0, (), status, message)

    assert headline(run) == said


def test_code_is_listed_with_what_cannot_be_followed_apart() -> None:
    code = explain_code(
        "flow.f",
        "1" * 32,
        "def f(): ...",
        [
            ("unfollowed", "flow.f, line 3", "globals()"),
            ("constant", "flow.X", "1"),
            ("function", "flow.f", "@task\ndef f():\n    return X"),
            ("novel", "flow.y", "?"),
        ],
    )

    page = plain_text(explanation_page(code))

    assert [part.kind for part in code.parts] == ["function", "constant", "novel"]
    assert code.unfollowed == (CodePart("unfollowed", "flow.f, line 3", "globals()"),)
    assert headline(code) == "flow.f: 3 parts count, and 1 cannot be followed"
    assert "def f():  (3 lines)" in page


@pytest.mark.parametrize(
    "explanation",
    [
        miss(argument(causes=(GAVE, CALLED))),
        ExecutionExplanation("e" * 32, None, 0, 0, 0, ()),
        CodeExplanation("flow.f", "1" * 32, "", (), ()),
    ],
)
def test_json_has_a_type_and_the_sentence(explanation: Any) -> None:
    record = json.loads(as_json(explanation))

    assert record["type"] in {"explanation", "execution_explanation", "code"}
    assert record["headline"] == headline(explanation)


class Row:
    def __init__(self, kind: str, name: str, part_hash: str) -> None:
        self.kind = kind
        self.name = name
        self.part_hash = part_hash


def told(old: list[Row], new: list[Row]) -> list[tuple[ChangeKind, str, bool]]:
    changes = describe_parts(compare_parts(old, new), lambda part_hash: f"text {part_hash}")
    return [(each.kind, each.name, each.follows) for each in changes]


def test_parts_are_compared_by_kind_and_name() -> None:
    old = [Row("function", "f", "1"), Row("constant", "X", "2"), Row("constant", "Y", "3")]
    new = [Row("function", "f", "1"), Row("constant", "X", "4"), Row("constant", "Y", "3")]

    assert told(old, new) == [(ChangeKind.CONSTANT, "X", False)]
    assert told(old, old) == []


def test_what_came_with_another_change_follows_it() -> None:
    old = [Row("function", "f", "1"), Row("function", "old_helper", "2")]
    new = [Row("function", "f", "3"), Row("function", "new_helper", "4"), Row("name", "n", "5")]

    assert told(old, new) == [
        (ChangeKind.FUNCTION, "f", False),
        (ChangeKind.FUNCTION, "new_helper", True),
        (ChangeKind.FUNCTION, "old_helper", True),
        (ChangeKind.NAME, "n", True),
    ]


def test_what_only_came_is_told_by_itself() -> None:
    assert told([], [Row("option", "nout", "1")]) == [(ChangeKind.OPTION, "nout", False)]
    assert told([Row("function", "f", "1")], []) == [(ChangeKind.FUNCTION, "f", False)]


def test_a_version_replaces_the_code() -> None:
    old = [Row("function", "f", "1"), Row("constant", "X", "2")]
    new = [Row("version", "version", "3"), Row("option", "nout", "4")]

    assert told(old, new) == [
        (ChangeKind.VERSION, "version", False),
        (ChangeKind.OPTION, "nout", False),
    ]


def test_unknown_kinds_are_told_generically() -> None:
    old, new = [Row("novel", "thing", "1")], [Row("novel", "thing", "2")]

    (change,) = describe_parts(compare_parts(old, new), lambda part_hash: part_hash)

    assert (change.kind, change.name, change.detail) == (ChangeKind.PART, "thing", "novel")


def test_lines_of_what_cannot_be_followed_may_move() -> None:
    old = [Row("function", "f", "1"), Row("unfollowed", "f, line 3", "2")]
    new = [Row("function", "f", "3"), Row("unfollowed", "f, line 4", "4")]

    assert told(old, new) == [(ChangeKind.FUNCTION, "f", False)]
    assert told(old[1:], new[1:])[0][0] is ChangeKind.UNFOLLOWED


def test_diffs_have_no_file_names() -> None:
    assert diff_of("a\nb\n", "a\nc\n") == "@@ -1,2 +1,2 @@\n a\n-b\n+c"
