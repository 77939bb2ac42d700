"""Which names a snippet reads, binds and defines."""

from __future__ import annotations

import ast
import threading
from functools import lru_cache, partial
from textwrap import dedent
from typing import Any

import pytest

from taskgraph import cached, task
from taskgraph.fingerprint.code import code_hash
from taskgraph.fingerprint.snippets import Snippet, is_code


def snippet_of(source: str) -> Snippet:
    return Snippet(dedent(source))


def read(source: str) -> set[str]:
    """The names that a snippet reads, of those that are no builtins."""
    return {each for each in snippet_of(source).reads if len(each) == 1}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = a + b", "ab"),
        ("x = 1; y = x", ""),
        ("x += 1", "x"),
        ("x.y = 1", "x"),
        ("x[i] = 1", "xi"),
        ("y = [x for x in a]", "a"),
        ("y = [x + b for x in a if c]", "abc"),
        ("y = {k: v for k, v in a}", "a"),
        ("y = lambda x: x + a", "a"),
        ("f'{a:{b}}'", "ab"),
        ("(y := a) + y", "a"),
        ("del a", ""),
        ("x: int = a", "a"),
        ("import a; a.b", ""),
        ("if a:\n  x = 1\nelse:\n  x = 2\nx", "a"),
        ("if a:\n  x = 1\nx", "ax"),
        ("if a:\n  x = 1", "ax"),
        ("if a:\n  x = 1\nelse:\n  raise e\nx", "ae"),
        ("for i in a:\n  x = i\nx + i", "a"),
        ("for i in a:\n  if b:\n    x = i", "ab"),
        ("while a:\n  x = 1\n  break\nelse:\n  y = b", "ab"),
        ("with a as b:\n  x = b\nx", "a"),
        ("try:\n  x = a\nexcept e:\n  x = b\nx", "aeb"),
        ("try:\n  x = a\nexcept E as e:\n  print(e)\nx", "aEx"),
        ("try:\n  x = 1\nfinally:\n  y = b\ny", "b"),
        ("match a:\n  case [x, *y]:\n    z = x\n  case _:\n    z = y\nz", "axy"),
        ("match a:\n  case b.C(x):\n    z = x\nz", "abxz"),
        ("def f(x=a):\n  return x + b\n", "a"),
        ("def f():\n  return b\nf()", "b"),
        ("def f():\n  return b\nb = 1\nf()", ""),
        ("def f():\n  return b\nf()\nb = 1", "b"),
        ("def f():\n  return b\ndef g():\n  return f()\ng()", "b"),
        ("@d\ndef f():\n  pass", "d"),
        ("class A(B):\n  x = c\n  y = x\n  def f(self):\n    return d\n", "Bc"),
        ("class A:\n  def f(self):\n    return d\nA()", "d"),
        ("def f():\n  global g\n  g = 1\nf()", ""),
        ("__name__; _", ""),
    ],
)
def test_a_snippet_reads_what_it_has_not_bound(source: str, names: str) -> None:
    assert read(source) == set(names)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x, (y, *z) = a", "xyz"),
        ("for i in a:\n  x = i", "ix"),
        ("import a.b, c as d", "ad"),
        ("from a import b as c", "c"),
        ("with a as b:\n  pass", "b"),
        ("def f():\n  x = 1", "f"),
        ("[x for x in a]", ""),
        ("x = 1; del x", "x"),
        ("_, x = a", "x"),
    ],
)
def test_a_snippet_binds_these(source: str, names: str) -> None:
    assert set(snippet_of(source).binds) == set(names)


def test_names_that_only_loops_bind_are_known() -> None:
    snippet = snippet_of("x = 1\nfor x in a:\n  y = x\nwhile b:\n  z = 1\n")

    assert snippet.loops == {"y", "z"}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a\nfrom b import c\nx = 1", {"a", "c"}),
        ("def f(): pass\nclass A: pass\ng = lambda: 1\nx = f()", {"f", "A", "g"}),
        ("x = 1\ndef f(y=x): pass", set()),
        ("base = make()\nclass A(base): pass", set()),
        ("class A: pass\nclass B(A): pass", {"A", "B"}),
        ("try:\n  import a\nexcept ImportError:\n  a = None", {"a"}),
        ("def f(): pass\nf = wrap(f)", set()),
        ("if a:\n  import b", set()),
    ],
)
def test_definitions_need_nothing_else_in_the_snippet(source: str, names: set[str]) -> None:
    assert snippet_of(source).defined == names


@pytest.mark.parametrize(
    ("source", "name"),
    [("x, y = a", "x_y"), ("a = b = c = d = 1", "a_b_c"), ("print(1)", ""), ("_ = 1", "")],
)
def test_a_snippet_is_called_by_what_it_binds(source: str, name: str) -> None:
    assert snippet_of(source).name == name


@task
def a_task() -> None: ...


@cached
def a_cached() -> None: ...


@lru_cache
def a_memo() -> None: ...


@pytest.mark.parametrize("value", [ast, int, len, [].append, a_task, a_cached, a_memo, read])
def test_code_is_no_input(value: Any) -> None:
    assert is_code(value)


@pytest.mark.parametrize("value", [1, "a", [], threading.Lock(), partial(int, "1")])
def test_values_are_inputs(value: Any) -> None:
    assert not is_code(value)


def test_code_that_a_snippet_binds_anew_is_an_input() -> None:
    assert snippet_of("f = wrap(f)").inputs({"f": len, "wrap": len}) == ["f"]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("x = a", "x = (a)  # the same", True),
        ("x = a", "x = a + 0", False),
        ("'text'", "", False),
        ("'''text'''\nx = a", "x = a", True),
        ("x = '''\n  a'''", "x = '''\n a'''", False),
        ("global x\nx = a", "x = a", True),
    ],
)
def test_the_function_of_a_snippet_says_what_the_snippet_does(
    one: str, other: str, is_same: bool
) -> None:
    assert (hash_of(one) == hash_of(other)) is is_same


def test_what_is_shown_counts() -> None:
    assert hash_of("x = 1\nx") != hash_of("x = 1\nx", is_shown=False)


def hash_of(source: str, *, is_shown: bool = True) -> str:
    """Return the hash of the function that stands for a snippet."""
    names: dict[str, Any] = {"__name__": "notebook"}
    return code_hash(snippet_of(source).as_function("snippet", ["a"], names, is_shown=is_shown))
