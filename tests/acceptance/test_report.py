"""A report is one page that stands by itself, with what ran, from what, and how it ended."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self._at = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._at = tag
        self.tags.add(tag)
        # Nothing of a network, and nothing that runs.
        for name, value in attrs:
            assert not name.startswith("on")
            if name in {"href", "src"}:
                assert value is not None
                assert value.startswith("#")

    def handle_data(self, data: str) -> None:
        if self._at == "h2" and data.strip():
            self.titles.append(data)
        if self._at != "style":
            self.text += data


def test_a_report_says_what_ran_and_from_what(flow: Any) -> None:
    flow("run", "--tag", "why=a first try", "flow.py", "main")

    done = flow("report", "-o", "run.html")

    assert (done.code, done.out) == (0, "wrote run.html\n")
    text = (flow.folder / "run.html").read_text()
    page = Page(text)
    assert page.titles == [
        *("Timeline", "Tasks", "Calls", "Files given", "Files made", "Result", "Tags"),
        "Environment",
    ]
    assert "script" not in page.tags
    assert not re.search(r"https?://", text)
    for said in ("flow.main", "def clean(", "in0.txt", "why", "a first try", "CPython"):
        assert said in page.text, said


def test_a_failure_comes_first_with_its_trace_and_arguments(flow: Any) -> None:
    flow("run", "flow.py", "halves", "2", "3")

    page = Page(flow("report").out)

    assert page.titles[0] == "Failures"
    assert "Files made" not in page.titles
    assert re.search(r"Arguments.*n.*3", page.text, re.DOTALL)


def test_text_of_records_is_text(space: Any) -> None:
    space.write(
        "flow.py",
        """
        from taskgraph import task

        taskgraph_namespace = "flow"

        @task
        def main(x: str = "<script>alert(1)</script>") -> str:
            raise ValueError(x + "</style><img src=http://example.com>")
        """,
    )
    space("run", "--tag", "<i>=<script>", "flow.py", "main")

    page = Page(space("report", "-").out)

    assert {"script", "img", "i"}.isdisjoint(page.tags)
    assert "<script>alert(1)</script>" in page.text


def test_many_jobs_make_no_large_page(flow: Any) -> None:
    flow("run", "flow.py", "halves", *[str(2 * number) for number in range(700)])

    page = Page(flow("report").out)

    assert "The 400 jobs that took longest." in page.text
    assert "... and 401 more jobs" in page.text


def test_what_is_no_execution_is_refused(flow: Any) -> None:
    assert flow("report").code == 3
    flow("run", "flow.py", "main")
    job = flow.json("log", "-")["jobs"][0]

    of_task = flow("report", "flow.main")

    assert of_task.code == 2
    assert "flow.main is a task, and reports are on executions" in of_task.err
    assert flow("report", job["id"]).code == 0  # of its execution
    assert flow("report", "ffffffff").code == 3
