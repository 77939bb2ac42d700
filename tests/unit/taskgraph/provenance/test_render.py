"""What rows of pages say, in few words that can be read."""

from __future__ import annotations

import pytest

from taskgraph.provenance.page import plain_text
from taskgraph.provenance.render import execution_page, more_of, preview
from taskgraph.provenance.views import ExecutionDetail, ExecutionView


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("File(path=out/a, b.txt, hash=0123abcd)", "out/a, b.txt"),
        ("'File(path=out/a.txt, hash=0123abcd)'", "'File(path=out/a.txt, hash=0123abcd)'"),
        ("[File(path=a, hash=0123abcd)]", "[File(path=a, hash=0123abcd)]"),
        ("File(path=a\x1b[2J, hash=0123abcd)", "a\\x1b[2J"),
        ("x" * 50, "x" * 37 + "..."),
    ],
)
def test_a_file_in_a_row_is_shown_by_its_path(text: str, shown: str) -> None:
    assert preview(text, 40) == shown


@pytest.mark.parametrize(
    ("count", "what", "said"),
    [
        (2, "calls", "... and 2 more calls"),
        (1, "changed calls", "... and 1 more changed call"),
        (1, "tasks with other code", "... and 1 more task with other code"),
        (1_000, "lines", "... and 1,000 more lines"),
    ],
)
def test_one_is_not_many(count: int, what: str, said: str) -> None:
    assert more_of(count, what) == said


def test_the_task_of_an_execution_is_not_obeyed_by_a_terminal() -> None:
    view = ExecutionView("a" * 32, "a\x1b[2Jb", "DONE", None, None, ("x\x1b[31m",), {})

    shown = plain_text(execution_page(ExecutionDetail(view, (), 0, ())))

    assert "\x1b" not in shown and "a\\x1b[2Jb" in shown
