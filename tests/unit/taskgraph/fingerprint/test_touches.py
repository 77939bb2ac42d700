"""What is done to what names stand for, as the text tells it."""

from __future__ import annotations

import ast
import textwrap

import pytest

from taskgraph.fingerprint.touches import deeds_in

CASES = {
    "P = 1": {("P", "bound", "")},
    "P[0] = 1": {("P", "written", "[0]")},
    "P['a']['b'] = 1": {("P", "stored", "['a']")},
    "P[k] = 1": {("P", "written", "[?]")},
    "P.a = 1": {("P.a", "written", "")},
    "P[0].a = 1": {("P", "stored", "[0]")},
    "P += 1": {("P", "stored", "")},
    "P['a'] += 1": {("P", "stored", "['a']")},
    "del P['a']": {("P", "stored", "[?]")},
    "P.append(1)": {("P.append", "added to", "")},
    "x = P.append(1)": {("P.append", "called", ""), ("x", "bound", "")},
    "P['a'].append(1)": {("P", "stored", "['a']")},
    "P.step(1)": {("P.step", "called", "")},
    "f(P)": {("P", "given", "0 f")},
    "m.f(1, k=P.a)": {("P.a", "given", "k m.f"), ("m.f", "called", "")},
    "len(P)": set(),
    "print(P, *P)": set(),
    "P == 1 or P[0] + 1": set(),
    "setattr(P, 'a', 1)": {("P", "stored", "")},
    "for v in P: v.n = 1": {("v", "bound", ""), ("v.n", "written", ""), ("P", "stored", "[?]")},
    "for k, v in P.items(): v.append(1)": {
        ("P.items", "called", ""),
        ("k", "bound", ""),
        ("v", "bound", ""),
        ("v.append", "added to", ""),
        ("P", "stored", "[?]"),
    },
    "x = P\nx[0] = 1": {("x", "bound", ""), ("x", "written", "[0]"), ("P", "stored", "[?]")},
    "x = y = P['a']\ny.add(1)": {
        ("x", "bound", ""),
        ("y", "bound", ""),
        ("y.add", "added to", ""),
        ("P", "stored", "[?]"),
    },
    "x = P['n']\nx += 1": {("x", "bound", ""), ("x", "stored", "")},
    "f().append(1)": {("f.()", "stored", "[?]")},
    "x = m.f()\nx['a'] = 1": {
        ("m.f", "called", ""),
        ("x", "bound", ""),
        ("x", "written", "['a']"),
        ("m.f.()", "stored", "[?]"),
    },
    "return P": {("P", "returned", "")},
    "return P['a'] if x else Q": {("P", "returned", ""), ("Q", "returned", "")},
    "with P: pass": {("P.__enter__", "called", ""), ("P.__exit__", "called", "")},
    "try:\n    P['a'] = 1\nexcept KeyError: pass": {("P", "stored", "['a']")},
    "(P := 1)": {("P", "bound", "")},
    "(lambda: P.append(1))()": {("P.append", "called", "")},
    "[P.append(1) for x in y]": {("P.append", "called", ""), ("x", "bound", "")},
    "P[...] = 1": {("P", "written", "[?]")},
}


@pytest.mark.parametrize("text", CASES)
def test_what_is_done_is_told(text: str) -> None:
    body = textwrap.indent(text, "    ")
    found, _ = deeds_in(ast.parse(f"def g():\n{body}\n"))

    told = {
        (".".join(each.chain), each.done, each.detail) for deeds in found.values() for each in deeds
    }

    assert told == CASES[text]


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("P = 1", ["P"]),
        ("P[0] = P[1]", ["P"]),
        ("P['a'] += 1", ["P"]),
        ("P.append(1)", ["P.append"]),
        ("x = P.append(1)", ["x"]),
        ("try: P.append(1)\n    except E: pass", []),
        ("P.pop()", []),
        ("del P[0]", []),
    ],
)
def test_what_is_not_even_looked_at_is_told(text: str, unread: list[str]) -> None:
    _, found = deeds_in(ast.parse(f"def g():\n    {text}\n"))

    assert sorted(map(ast.unparse, found)) == unread
