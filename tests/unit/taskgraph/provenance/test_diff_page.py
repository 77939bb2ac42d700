# ruff: noqa: E501 - what is drawn stays on its lines

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from taskgraph.provenance.diff_page import as_json, diff_page
from taskgraph.provenance.diff_views import (
    DiffArgument,
    DiffCall,
    DiffChange,
    DiffCode,
    DiffTask,
    ExecutionsDiff,
    Ingredient,
    Some,
)
from taskgraph.provenance.explain import Change, ChangeKind
from taskgraph.provenance.page import plain_text, print_on
from taskgraph.provenance.views import ExecutionView

OLD = ExecutionView("a" * 32, "flow.main", "DONE", None, None, (), {"DONE": 12})
NEW = ExecutionView("b" * 32, "flow.main", "FAILED", None, None, (), {"DONE": 12_344, "FAILED": 1})
DIFF = ExecutionsDiff(
    OLD,
    NEW,
    is_environment_changed=True,
    same=5,
    changed=1_234,
    added=2,
    gone=1,
    reused=3,
    by={"code": 1_200, "argument": 30, "children": 4},
    tasks=Some((DiffTask("flow.clean", 5, 1_230, 2, 0), DiffTask("flow.old", 0, 0, 0, 1)), 1),
    codes=Some(
        (
            DiffCode(
                "flow.clean",
                "c" * 32,
                "d" * 32,
                1_200,
                (
                    Change(ChangeKind.FUNCTION, "flow.shout", diff="@@ -1 +1 @@\n-old\n+new"),
                    Change(ChangeKind.CONSTANT, "flow.LIMIT", old="1", new="2"),
                ),
                4,
            ),
        ),
        0,
    ),
    changes=Some(
        (
            DiffChange(
                *("flow.clean", "1" * 32, "2" * 32, (Ingredient.CODE,), (), ()),
                *("DONE", "CACHED", "'one'", "'two'"),
            ),
            DiffChange(
                *("flow.clean", "3" * 32, "4" * 32),
                (Ingredient.FILE, Ingredient.ARGUMENT, Ingredient.CONTEXT, Ingredient.STATE),
                (
                    DiffArgument("source", "File(in.txt)", "File(in.txt)", True, None),
                    DiffArgument("parts", "[1, 2]", "[1, 2, 3]", False, "flow.part"),
                    DiffArgument("*2", None, "'\x1b[31m" + "long " * 20 + "'", False, None),
                ),
                ("reference.genome",),
                *("DONE", "FAILED", None, None),
            ),
        ),
        1_232,
    ),
    added_calls=Some(
        (DiffCall("5" * 32, "6" * 32, "flow.clean", "DONE", (("x", "1"), ("*1", "'two'"))),), 1
    ),
    gone_calls=Some((DiffCall("7" * 32, None, "flow.old", "CANCELLED", ()),), 0),
)
NOTHING = ExecutionsDiff(
    *(OLD, OLD, None, 12, 0, 0, 0, 0, {}, Some((), 0), Some((), 0)),
    *(Some((), 0), Some((), 0), Some((), 0)),
)


def drawn(diff: ExecutionsDiff, width: int) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, color_system=None, highlight=False, emoji=False, markup=False
    )
    print_on(console, diff_page(diff))
    return "".join(f"{each.rstrip()}\n" for each in stream.getvalue().splitlines())


PLAIN = """\
Execution aaaaaaaa against bbbbbbbb
     id        task       status    started    jobs
old  aaaaaaaa  flow.main  ✓ done    -            12
new  bbbbbbbb  flow.main  ✗ failed  -        12,345

Calls
same         5
changed      1,234  (code 1,200, arguments 30, calls below 4)
new          2
gone         1
not made     3  below calls that the other execution took whole from the records
environment  not the same: `taskgraph report` shows it

By task
task        same  changed  new  gone
flow.clean     5    1,230    2     -
flow.old       -        -    -     1
... and 1 more task

Code of flow.clean cccccccc -> dddddddd  1,200 calls
flow.shout changed
    @@ -1 +1 @@
    -old
    +new
flow.LIMIT changed from 1 to 2
... and 4 more parts (taskgraph explain shows more)

Changed
task        by                                        what                                                                                                                                                                         old job   new job
flow.clean  code                                      result 'one' -> 'two'                                                                                                                                                        11111111  22222222
flow.clean  a file, arguments, context, how it ended  source: content of File(in.txt); parts: [1, 2] -> [1, 2, 3] from flow.part; *2: - -> '\\x1b[31mlong long long long long lon...; context reference.genome; ✓ done -> ✗ failed  33333333  44444444
... and 1,232 more changed calls (--limit shows more)

New
call                    status  job
flow.clean(x=1, 'two')  ✓ done  55555555
... and 1 more call (--limit shows more)

Gone
call        status       job
flow.old()  ⊘ cancelled  77777777
"""

AT_80 = """\
Execution aaaaaaaa against bbbbbbbb
      id         task        status     started     jobs
────────────────────────────────────────────────────────
old   aaaaaaaa   flow.main   ✓ done     -             12
new   bbbbbbbb   flow.main   ✗ failed   -         12,345

Calls
same         5
changed      1,234  (code 1,200, arguments 30, calls below 4)
new          2
gone         1
not made     3  below calls that the other execution took whole from the records
environment  not the same: `taskgraph report` shows it

By task
task         same   changed   new   gone
────────────────────────────────────────
flow.clean      5     1,230     2      -
flow.old        -         -     -      1
... and 1 more task

Code of flow.clean cccccccc -> dddddddd  1,200 calls
flow.shout changed
    @@ -1 +1 @@
    -old
    +new
flow.LIMIT changed from 1 to 2
... and 4 more parts (taskgraph explain shows more)

Changed
task         by                      what                    old job    new job
────────────────────────────────────────────────────────────────────────────────
flow.clean   code                    result 'one' -> 'two'   11111111   22222222
flow.clean   a file, arguments, c…   source: content of F…   33333333   44444444
... and 1,232 more changed calls (--limit shows more)

New
call                     status   job
──────────────────────────────────────────
flow.clean(x=1, 'two')   ✓ done   55555555
... and 1 more call (--limit shows more)

Gone
call         status        job
───────────────────────────────────
flow.old()   ⊘ cancelled   77777777
"""

AT_200 = """\
Execution aaaaaaaa against bbbbbbbb
      id         task        status     started     jobs
────────────────────────────────────────────────────────
old   aaaaaaaa   flow.main   ✓ done     -             12
new   bbbbbbbb   flow.main   ✗ failed   -         12,345

Calls
same         5
changed      1,234  (code 1,200, arguments 30, calls below 4)
new          2
gone         1
not made     3  below calls that the other execution took whole from the records
environment  not the same: `taskgraph report` shows it

By task
task         same   changed   new   gone
────────────────────────────────────────
flow.clean      5     1,230     2      -
flow.old        -         -     -      1
... and 1 more task

Code of flow.clean cccccccc -> dddddddd  1,200 calls
flow.shout changed
    @@ -1 +1 @@
    -old
    +new
flow.LIMIT changed from 1 to 2
... and 4 more parts (taskgraph explain shows more)

Changed
task         by                                         what                                                                                                                         old job    new job
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
flow.clean   code                                       result 'one' -> 'two'                                                                                                        11111111   22222222
flow.clean   a file, arguments, context, how it ended   source: content of File(in.txt); parts: [1, 2] -> [1, 2, 3] from flow.part; *2: - -> '\\x1b[31mlong long long long long lo…   33333333   44444444
... and 1,232 more changed calls (--limit shows more)

New
call                     status   job
──────────────────────────────────────────
flow.clean(x=1, 'two')   ✓ done   55555555
... and 1 more call (--limit shows more)

Gone
call         status        job
───────────────────────────────────
flow.old()   ⊘ cancelled   77777777
"""


def test_in_a_pipe_nothing_is_cut() -> None:
    assert plain_text(diff_page(DIFF)) == PLAIN


@pytest.mark.parametrize(("width", "page"), [(80, AT_80), (200, AT_200)])
def test_on_a_terminal_it_fits_the_width(width: int, page: str) -> None:
    assert drawn(DIFF, width) == page
    assert max(map(len, page.splitlines())) <= width


def test_where_nothing_differs_that_is_said() -> None:
    assert plain_text(diff_page(NOTHING)).splitlines()[-1] == (
        "Nothing that was called is new, gone or changed."
    )


def test_json_has_all_that_is_known() -> None:
    found = json.loads(as_json(DIFF))

    assert found["type"] == "diff"
    assert found["changes"]["left_out"] == 1_232
    assert found["changes"]["shown"][1]["ingredients"] == ["file", "argument", "context", "state"]
    assert found["codes"]["shown"][0]["changes"][0]["kind"] == "function"


def test_json_of_times_is_iso() -> None:
    view = ExecutionView("a" * 32, None, "DONE", datetime(2026, 1, 1, tzinfo=UTC), None, (), {})
    diff = ExecutionsDiff(
        *(view, OLD, None, 0, 0, 0, 0, 0, {}, Some((), 0), Some((), 0)),
        *(Some((), 0), Some((), 0), Some((), 0)),
    )

    assert json.loads(as_json(diff))["old"]["started"] == "2026-01-01T00:00:00+00:00"
