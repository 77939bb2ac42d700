"""Outlines: what of a text counts, and which names it reaches out to."""

from __future__ import annotations

import ast
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.fingerprint.outline import Outline
from taskgraph.fingerprint.syntax import Reader


def outlines(text: str) -> dict[str, Outline]:
    plain = textwrap.dedent(text)
    return {each.name: each for _, each in Reader(plain).read(ast.parse(plain))}


def outline(text: str) -> Outline:
    return list(outlines(text).values())[-1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x + 1", "def f(x):\n    # why\n    return (x  +  1)"),
        ("def f(): return 'a' 'b'", 'def f(): return "ab"'),
        ("def f(): return 1_000", "def f(): return 0x3E8"),
        ("def f():\n    'doc'\n    return 1", "def f(): return 1"),
        ("def f():\n    'doc'", "def f(): pass"),
        ("def f(x: int) -> str: return x", "def f(x): return x"),
        ("def f():\n    x: int = 1\n    return x", "def f():\n    x = 1\n    return x"),
        ("def f():\n    x: int\n    x = 1", "def f():\n    x = 1"),
        ("def f(x=1): return x", "def f(x=2): return x"),
        ("def f(): return f'{a}' 'b'", "def f(): return f'{a}b'"),
        ("def f(): return f'{a:}'", "def f(): return f'{a}'"),
        ("@g\ndef f(): return 1", "@h(3)\ndef f(): return 1"),
    ],
)
def test_what_python_does_not_need_to_run_the_code_does_not_count(one: str, other: str) -> None:
    assert outline(one).syntax == outline(other).syntax


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(): return 1", "def f(): return 1.0"),
        ("def f(): return 1", "def f(): return True"),
        ("def f(): return 'a'", "def f(): return b'a'"),
        ("def f(): return 0.0", "def f(): return -0.0"),
        ("def f(x): return x", "def f(*x): return x"),
        ("def f(x): return x", "def f(x, /): return x"),
        ("def f(): return [x for x in y]", "def f(): return {x for x in y}"),
        ("def f(): return f'{a}'", "def f(): return f'{a!r}'"),
        ("def f(): return f'{a}'", "def f(): return '{a}'"),
        ("def f(): yield", "def f(): return"),
        ("def f():\n    if a:\n        b\n    c", "def f():\n    if a:\n        b\n        c"),
        ("class A:\n    x: int = 1", "class A:\n    x: str = 1"),
        ("def f():\n    def g(*, a=1, b): ...", "def f():\n    def g(*, a, b=1): ..."),
        ("async def f(): return 1", "def f(): return 1"),
    ],
)
def test_what_changes_what_the_code_does_counts(one: str, other: str) -> None:
    assert outline(one).syntax != outline(other).syntax


def test_docstrings_and_annotations_are_kept_apart() -> None:
    one = outline("def f(x: int):\n    'one'\n    return x")
    other = outline("def f(x: str):\n    'other'\n    return x")

    assert one.syntax == other.syntax
    assert one.docs != other.docs
    assert one.annotations != other.annotations


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("def f(x):\n    y = x\n    return y", []),
        ("def f(x): return np.mean(x)", [("np", "mean")]),
        ("def f(): return a.b.c(1).d", [("a", "b", "c")]),
        ("def f(): return [x + K for x in R]", [("K",), ("R",)]),
        ("def f():\n    [y := x for x in R]\n    return y", [("R",)]),
        ("def f():\n    def g(): return y\n    y = 1\n    return g", []),
        ("def f():\n    global y\n    y = 1", []),
        ("def f():\n    global y\n    y += 1\n    return y", [("@global:y",)]),
        ("def f():\n    y = 1\n    def g():\n        global y\n        return y", [("@global:y",)]),
        ("def f():\n    import a.b as c\n    return c.d", [("@import:0:a.b:", "d")]),
        ("def f():\n    import a.b\n    return a.b.d", [("@import:0:a:", "b", "d")]),
        ("def f():\n    from .a import b\n    return b(1)", [("@import:1:a:b",)]),
        ("def f():\n    try: a\n    except E as e: e", [("E",), ("a",)]),
        ("def f(m):\n    match m:\n        case P(x=y): return y", [("P",)]),
        ("def f(): return getattr(m, 'x')", [("getattr",), ("m", "x")]),
        ("def f(): return lambda x: x + y", [("y",)]),
        ("class A(B):\n    k = K\n    def f(self): return k", [("B",), ("K",)]),
    ],
)
def test_references_are_the_names_that_are_bound_outside(
    text: str, references: list[tuple[str, ...]]
) -> None:
    assert sorted(outline(text).references) == references


def test_names_of_a_class_body_may_be_those_around_it() -> None:
    found = outline("class A:\n    rate = rate + 1")

    assert found.references == ()
    assert found.optional == (("rate",),)


def test_definitions_inside_of_others_have_outlines_of_their_own() -> None:
    found = outlines(
        """
        def outer(n):
            @wrap
            def inner(x):
                return x + n + K
            return inner
        """
    )

    assert list(found) == ["outer.<locals>.inner", "outer"]
    assert found["outer.<locals>.inner"].references == (("K",), ("n",))
    assert found["outer"].references == (("K",), ("wrap",))
    assert found["outer"].inner_decorators == (("wrap",),)


def test_the_text_begins_with_the_first_decorator() -> None:
    found = outline("x = 1\n@a\n@b(2)\ndef f():\n    return 1\ny = 2\n")

    assert found.text == "@a\n@b(2)\ndef f():\n    return 1\n"
    assert (found.first, found.last) == (2, 5)


def test_a_form_feed_does_not_shift_lines() -> None:
    found = outline("x = 1\n\x0c\ndef f():\n    return 1\n")

    assert found.text == "def f():\n    return 1\n"


@given(st.text(alphabet=" #abc\t", max_size=20), st.integers(0, 3))
def test_a_comment_and_blank_lines_never_count(comment: str, blank: int) -> None:
    plain = "def f(x):\n    y = x\n    return y\n"
    noisy = plain.replace("\n    return", "\n" * (blank + 1) + f"    # {comment}\n    return")

    assert outline(noisy).syntax == outline(plain).syntax


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with 3.12")
def test_type_parameters_count_as_annotations_do() -> None:
    assert outline("def f[T](x: T) -> T: return x").syntax == outline("def f(x): return x").syntax
