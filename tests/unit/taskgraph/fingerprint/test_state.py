"""Variables that code changes: what it leaves behind is taken for what it found, for itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskgraph.fingerprint import state
from taskgraph.fingerprint.code import Code, fingerprint, frozen, running
from taskgraph.fingerprint.state import Hold, Touch
from tests.unit.taskgraph.fingerprint.test_code import load

_numbers = itertools.count()


def module(tmp_path: Path, text: str) -> ModuleType:
    return load(tmp_path / f"state_{next(_numbers)}.py", text)


def run(made: ModuleType) -> str:
    with frozen():
        code_hash = fingerprint(made.f, "task").code_hash
        with running(made.f):
            made.f()
    return code_hash


@pytest.mark.parametrize(
    "text",
    [
        "log = []\ndef f(): log.append(1)",
        "memo = {}\ndef f(): memo[len(memo)] = 1",
        "seen = set()\ndef f(): seen.add(len(seen))",
        "count = 0\ndef f():\n    global count\n    count += 1",
        "class Stats:\n    n = 0\nstats = Stats()\ndef f(): stats.n += 1",
        "log = []\ndef g(): log.append(1)\ndef f(): g()",
        "def g(): g.calls += 1\ng.calls = 0\ndef f(): g()",
        "stats = {'f': {'n': 0}}\ndef f(): stats['f']['n'] += 1",
        "stats = {'f': [0]}\ndef f():\n    inner = stats['f']\n    stats['f'][0] += 1",
        "from collections import Counter\ncount = Counter()\ndef f(): count['f'] += 1",
        "from collections import defaultdict\nd = defaultdict(list)\ndef f(): d['f'].append(1)",
        "from collections import deque\nlast = deque(maxlen=2)\ndef f(): last.append(object)",
        "class Log:\n    def __init__(self): self.lines = []\nlog = Log()\n"
        "def f(): log.lines.append(1)",
        "class Log:\n    def __init__(self): self.lines = []\n"
        "    def add(self): self.lines.append(1)\nlog = Log()\ndef f(): log.add()",
        "class Log:\n    n = 0\n    def add(self): type(self).n += 1\nlog = Log()\n"
        "def f(): log.add(); Log.n += 1",
        "class Memo:\n    kept = {}\n    def add(self): self.kept[len(self.kept)] = 1\n"
        "def f(): Memo().add()",
        "class Memo:\n    kept = []\n    @classmethod\n    def add(cls): cls.kept.append(1)\n"
        "def f(): Memo.add()",
        "class Log:\n    __slots__ = ('n', '__memo')\n"
        "    def __init__(self): self.n = 0; self.__memo = {}\n"
        "    def add(self): self.n += 1; self.__memo[self.n] = 1\nlog = Log()\n"
        "def f(): log.add()",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass Log:\n    n: int = 0\n"
        "log = Log()\ndef f():\n    log.n += 1\n    return log.n",
        "def outer():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n    return g\n"
        "g = outer()\ndef f(): g()",
        "def g(memo={}): memo[len(memo)] = 1\ndef f(): g()",
        "kept = []\ndef add(to): to.append(1)\ndef f(): add(kept)",
        "kept = []\ndef f():\n    mine = kept\n    mine.append(1)",
        "kept = None\ndef f():\n    global kept\n    kept = kept or {}\n    kept[len(kept)] = 1",
        "kept = []\ndef f(): kept[len(kept):] = [1]",
        "kept = [1, 2, 3, 4]\ndef f(): del kept[0]",
        "import heapq\nkept = []\ndef f(): heapq.heappush(kept, 1)",
        "kept = []\ndef f(): [kept.append(x) for x in (1, 2)]",
        "kept = []\ndef f(): (lambda: kept.append(1))()",
        "kept = []\ndef deco(g):\n    def inner():\n        kept.append(1)\n        return g()\n"
        "    return inner\n@deco\ndef g(): pass\ndef f(): g()",
        "kept = {}\ndef f(): setattr(STATE, 'n', STATE.n + 1)\nclass S: n = 0\nSTATE = S()",
    ],
)
def test_what_a_run_leaves_behind_makes_nothing_run_again(tmp_path: Path, text: str) -> None:
    made = module(tmp_path, text)

    assert run(made) == run(made) == run(made)


def test_what_somebody_else_changes_counts(tmp_path: Path) -> None:
    made = module(tmp_path, "log = []\ndef f():\n    log.append(1)\n    return len(log)")
    first = run(made)

    made.log.append("by hand")

    assert run(made) != first


@pytest.mark.parametrize(
    "text",
    [
        "P = []\ndef f(): P.append(1)",
        "P = {}\ndef f(): P['f'] = 1",
        "P = {'f': 0}\ndef f(): P['f'] += 1",
        "P = 0\ndef f():\n    global P\n    P += 1",
        "P = set()\ndef g(): P.add(1)\ndef f(): g()",
        "def outer():\n    P = {'f': 0}\n    def f():\n        P['f'] += 1\n"
        "    return f, P\nf, P = outer()",
    ],
)
def test_what_is_only_written_counts_for_nothing(tmp_path: Path, text: str) -> None:
    made = module(tmp_path, text)
    first = run(made)

    if isinstance(made.P, int):
        made.P = 7
    elif isinstance(made.P, dict):
        made.P["f"] = 7
    else:
        made.P.clear()

    assert run(made) == first


@pytest.mark.parametrize(
    "text",
    [
        "P = []\ndef f():\n    P.append(1)\n    return P[0]",
        "P = []\ndef g(): return len(P)\ndef f():\n    P.append(1)\n    return g()",
        "P = {}\ndef f(): return P.setdefault('a', 1)",
        "P = [1]\ndef f(): P.sort(key=len); print(P)",
        "class L(list): pass\nP = L()\ndef f(): P.append(1)",
    ],
)
def test_what_is_written_and_looked_at_counts(tmp_path: Path, text: str) -> None:
    made = module(tmp_path, text)
    first = fingerprint(made.f, "task").code_hash

    if isinstance(made.P, dict):
        made.P["a"] = 2
    else:
        list.append(made.P, "x")

    assert fingerprint(made.f, "task").code_hash != first


def test_a_registered_function_that_is_replaced_counts(tmp_path: Path) -> None:
    made = module(
        tmp_path,
        "HELPERS = {}\n"
        "def register(g):\n    HELPERS[g.__name__] = g\n    return g\n"
        "@register\ndef scale(): return 1\n"
        "def f(): return HELPERS['scale']()",
    )
    first = run(made)

    assert run(made) == first
    made.HELPERS["scale"] = lambda: 2
    assert run(made) != first


def test_a_variable_that_nobody_changes_counts_by_its_value(tmp_path: Path) -> None:
    made = module(tmp_path, "SCALE = [1]\ndef f(): return SCALE")
    first = run(made)

    made.SCALE.append(2)

    assert run(made) != first


def touched_by(func: Any) -> Sequence[Touch]:
    code = Code(func)
    assert code.live_fingerprint
    return code.touches


def hashes_of_g(made: ModuleType) -> list[str]:
    """Return the hash of ``g`` before ``f`` has run, after it in the same run, and in the next."""
    hashes: list[str] = []
    with frozen():
        hashes.append(fingerprint(made.g, "task").code_hash)
        assert fingerprint(made.f, "task").code_hash
        with running(made.f):
            made.f()
        hashes.append(fingerprint(made.g, "task").code_hash)
        assert fingerprint(made.f, "task").code_hash
    with frozen():
        hashes.append(fingerprint(made.g, "task").code_hash)
    return hashes


POISONS = {
    "a number": ("N = 0", "global N; N += 1", "return N"),
    "an item": ("P = {}", "P['v'] = len(P)", "return P['v']"),
    "an item of an item": ("P = {'a': {}}", "P['a'][len(P['a'])] = 1", "return P['a']"),
    "an attribute": ("class S: n = 0\nP = S()", "P.n += 1", "return P.n"),
    "of a class": ("class S: n = 0", "S.n += 1", "return S.n"),
    "of a function": ("def h(): pass\nh.n = 0", "h.n += 1", "return h.n"),
    "an item of a list": ("P = [1]", "P.append(len(P))", "return P[0] + len(P)"),
    "handed on": ("P = [1]\ndef h(p): return p[0]", "P.append(len(P))", "return h(P)"),
    "in a counter": ("import collections\nP = collections.Counter()", "P['a'] += 1", "return P"),
}


@pytest.mark.parametrize("case", POISONS)
def test_what_one_function_changes_counts_for_another_that_looks(tmp_path: Path, case: str) -> None:
    first, change, look = POISONS[case]
    made = module(tmp_path, f"{first}\ndef f():\n    {change}\ndef g():\n    {look}")

    before, during, after = hashes_of_g(made)

    assert before != during == after


def test_who_shares_the_helper_that_keeps_a_memo_does_not_run_again(tmp_path: Path) -> None:
    made = module(
        tmp_path,
        "memo = {}\n"
        "def helper(x):\n    if x not in memo: memo[x] = x\n    return memo[x]\n"
        "def f(): helper(len(memo))\n"
        "def g(): helper(100 + len(memo))\n",
    )
    codes = [Code(made.f), Code(made.g)]
    first = [each.live_fingerprint.code_hash for each in codes]

    for code, func in zip(codes * 2, [made.f, made.g] * 2, strict=True):
        hold = Hold(code.touches)
        func()
        hold.release()

    assert [each.live_fingerprint.code_hash for each in codes] == first


def test_two_that_change_a_variable_by_themselves_see_what_the_other_did(tmp_path: Path) -> None:
    made = module(
        tmp_path, "P = {'a': 1}\ndef f(): P['a'] = 2\ndef g():\n    P['n'] = 1\n    return P['a']"
    )
    f, g = Code(made.f), Code(made.g)
    first = g.live_fingerprint.code_hash
    assert f.live_fingerprint
    hold = Hold(f.touches)
    made.f()
    hold.release()

    assert g.live_fingerprint.code_hash != first


def test_within_an_execution_code_stands_still_and_variables_do_not(tmp_path: Path) -> None:
    made = module(tmp_path, "SCALE = [1]\ndef h(): pass\ndef f(): return SCALE[0] + h()")
    hashes: list[Any] = []

    with frozen():
        hashes.append(fingerprint(made.f).code_hash)
        made.h = lambda: 1
        hashes.append(fingerprint(made.f).code_hash)
        made.SCALE.append(2)
        hashes.append(fingerprint(made.f).code_hash)

    assert hashes[0] == hashes[1] != hashes[2]


#: What one function does, and what another one that looks at the same is given by.
ACCESSED = {
    "an accessor that hands it out": (
        "P = [1]\ndef get(): return P\ndef f(): get().append(2)\ndef g(): return sum(get())"
    ),
    "a lazy thing that is changed through what returns it": (
        "P = None\ndef conf():\n    global P\n    if P is None: P = {'scale': 1}\n"
        "    return P\n"
        "def f(): conf()['scale'] = 5\ndef g(): return conf()['scale']"
    ),
    "a default that is changed through what returns it": (
        "P = {}\ndef conf(): return P.setdefault('scale', [1])\n"
        "def f():\n    found = conf()\n    found.append(2)\ndef g(): return conf()"
    ),
    "what a method returns": (
        "class C:\n    def __init__(self): self.p = {'scale': 1}; self.n = 0\n"
        "    def conf(self):\n        self.n += 1\n        return self.p\n"
        "P = C()\ndef f(): P.conf()['scale'] = 5\ndef g(): return P.conf()['scale']"
    ),
    "a copy that a shared helper changes": (
        "P = {'scale': 1}\ndef h():\n    c = P.copy()\n    c['x'] = 7\n"
        "def f():\n    h()\n    P['scale'] = 5\ndef g():\n    h()\n    return P['scale']"
    ),
    "another item deep inside": (
        "P = {'a': {'n': 0, 'scale': 1}}\ndef h(): P['a']['n'] += 1\n"
        "def f():\n    h()\n    P['a']['scale'] = 5\n"
        "def g():\n    h()\n    return P['a']['scale']"
    ),
    "an item that a shared helper may change too": (
        "P = {'scale': 1}\ndef h(k): P[k] = 0\n"
        "def f():\n    h('n')\n    P['scale'] = 5\n"
        "def g():\n    h('n')\n    return P['scale']"
    ),
    "a zero below zero": "P = 0.0\ndef f():\n    global P\n    P = -0.0\ndef g(): return P",
    "whether it can be written to": (
        "P = {}\ndef count(): P['f'] += 1\n"
        "def f(): P['f'] = 0\n"
        "def g():\n    try: count()\n    except KeyError: return 'none'"
    ),
    "a loop over what an accessor hands out": (
        "P = [[1]]\ndef get(): return P\n"
        "def f():\n    for each in get(): each.append(2)\ndef g(): return get()[0]"
    ),
    "a function from outside that is given it": (
        "import json\nP = {'a': [1]}\ndef dump(): return json.dumps(P)\n"
        "def f():\n    dump()\n    for each in P.values(): each.append(2)\n"
        "def g(): return dump()"
    ),
    "methods that set and that get": (
        "class C:\n    def __init__(self): self.scale = 1\n"
        "    def set(self, v): self.scale = v\n    def get(self): return self.scale\n"
        "P = C()\ndef f(): P.set(7)\ndef g(): return P.get()"
    ),
    "class methods that set and that get": (
        "class C:\n    scale = 1\n    @classmethod\n    def set(cls, v): cls.scale = v\n"
        "    @classmethod\n    def get(cls): return cls.scale\n"
        "def f(): C.set(7)\ndef g(): return C.get()"
    ),
    "a method that sets an attribute of the object alone": (
        "class C:\n    n = 1\n    def set(self, v): self.n = v\n"
        "def f():\n    C.n = 5\n    C().set(3)\ndef g(): return C().n"
    ),
    "another item than that which both change": (
        "P = {'calls': 0, 'scale': 1}\ndef tick(): P['calls'] += 1\n"
        "def f():\n    tick()\n    P['scale'] = 7\n"
        "def g():\n    tick()\n    return P['scale']"
    ),
    "another attribute than that which both change": (
        "class C:\n    def __init__(self): self.calls = 0; self.scale = 1\n"
        "    def tick(self): self.calls += 1\n"
        "P = C()\ndef f():\n    P.tick()\n    P.scale = 7\n"
        "def g():\n    P.tick()\n    return P.scale"
    ),
    "another name for it": "P = Q = [1]\ndef f(): Q.append(2)\ndef g(): return P",
    "a name that stood for nothing": (
        "def f():\n    global P\n    P = 1\n"
        "def g():\n    try: return P\n    except NameError: return None"
    ),
    "an error that tells what is there": (
        "P = {}\ndef f(): P['k'] = 1\ndef g():\n    try: P['k'] += 0\n    except KeyError: return 1"
    ),
    "a path": "from pathlib import Path\nP = Path('a')\ndef f():\n    global P\n    P = Path('b')\n"
    "def g(): return P.name",
    "a dictionary of another class": (
        "class D(dict): pass\nP = D(a=1)\ndef f(): P['a'] = 2\ndef g(): return P['a']"
    ),
}


@pytest.mark.parametrize("text", ACCESSED.values(), ids=ACCESSED.keys())
def test_what_one_function_changes_by_detours_counts_for_another(tmp_path: Path, text: str) -> None:
    made = module(tmp_path, text)

    before, during, after = hashes_of_g(made)

    assert before != during == after


def test_code_that_calls_itself_in_circles_is_followed_to_its_end(tmp_path: Path) -> None:
    number = 40
    helpers = "".join(
        f"def h{each}(p):\n"
        + "".join(f"    h{other}(p)\n" for other in range(number) if other != each)
        + f"    p.append({each})\n"
        for each in range(number)
    )
    made = module(
        tmp_path,
        f"P = []\n{helpers}"
        "class C:\n    n = 0\n    @classmethod\n    def a(cls): cls.b(); cls.n += 1\n"
        "    @classmethod\n    def b(cls): cls.a()\n"
        "    def one(self): self.two()\n    def two(self): self.one(); self.m = 1\n"
        "O = C()\ndef f():\n    h0(P)\n    C.a()\n    O.one()\n",
    )

    touches = {(each.name, each.code.partition(":")[0]) for each in touched_by(made.f)}

    home = made.__name__
    assert {("P", f"{home}.h0"), ("P", f"{home}.h1"), ("n", f"{home}.C.a")} <= touches
    assert ("O", f"{home}.C.two") in touches


def test_closures_without_end_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_MOST_VARIABLES", 5)
    monkeypatch.setattr(state, "_changes", {})
    made = module(
        tmp_path,
        "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n"
        "        return n\n    return f\n",
    )

    for func in [made.make() for _ in range(10)]:
        hold = Hold(touched_by(func))
        func()
        hold.release()

    assert len(state._changes) == 5
