"""A report as one page of HTML that stands by itself: no script, and nothing of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from taskgraph.jsontext import to_json
from taskgraph.provenance.html import STYLE, details, fragment, line_html
from taskgraph.provenance.page import (
    Block,
    Column,
    Diff,
    Facts,
    Grid,
    Line,
    Note,
    Source,
    Span,
    clean,
    line,
)
from taskgraph.provenance.render import (
    byte_size,
    duration,
    execution_calls,
    execution_summary,
    file_line,
    job_page,
    short_id,
    story_blocks,
)
from taskgraph.provenance.report import Report, Some, TaskTimeView
from taskgraph.provenance.tag_page import tag_facts
from taskgraph.provenance.timeline import timeline
from taskgraph.provenance.views import FileView, JobDetail

_PAGE_STYLE: Final = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 1000px; padding: 1.5em; background: Canvas; color: CanvasText; }
h1 { font: 600 1.5em/1.3 system-ui, sans-serif; margin: 0 0 .3em; }
h2 { font: 600 1.15em/1.3 system-ui, sans-serif; margin: 1.8em 0 .4em; padding-top: .8em;
  border-top: 1px solid rgba(128,128,128,.35); }
.taskgraph .timeline { overflow-x: auto; } .timeline svg { min-width: 640px; }
svg text { font: 11px system-ui, sans-serif; }
summary { cursor: pointer; padding: .1em 0; }
details > pre { margin-left: 1em; }
nav { font: 13px system-ui, sans-serif; } nav a { margin-right: 1.2em; color: LinkText; }
.taskgraph table { max-width: 100%; }
@media print { nav { display: none; } }
"""
_VALUE_WIDTH: Final = 300


def report_html(report: Report) -> str:
    """Return a whole document."""
    execution = report.execution.execution
    name = clean(execution.task or "Execution")
    sections = [(title, body) for title, body in _sections(report) if body]
    links = "".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title, _ in sections)
    body = "".join(
        f'<h2 id="{_anchor(title)}">{escape(title)}</h2>\n{inner}\n' for title, inner in sections
    )
    summary = execution_summary(report.execution)[1:]  # the heading is the page's
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(name)} {execution.id[:8]}</title>\n"
        f"<style>{STYLE}{_PAGE_STYLE}</style>\n</head>\n"
        f'<body class="taskgraph">\n<h1>{escape(name)} '
        f"{line_html(line(short_id(execution.id)))}</h1>\n{fragment(summary)}\n"
        f"<nav>{links}</nav>\n{body}</body>\n</html>\n"
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _sections(report: Report) -> Iterator[tuple[str, str]]:
    yield "Failures", _failures(report.failures)
    yield "Timeline", _timeline(report)
    yield "Tasks", _tasks(report.tasks)
    yield "Calls", fragment(execution_calls(report.execution)[1:])
    yield "Files given", _files(report.given)
    yield "Files made", _files(report.made)
    yield "Result", fragment(_result(report))
    yield "Tags", fragment(tag_facts(report.tags))
    yield "Environment", _environment(report.environment)


def _failures(failures: Some[JobDetail]) -> str:
    shown = []
    for number, detail in enumerate(failures.shown):
        call = detail.call
        error = "" if call is None else clean(call.result.preview, _VALUE_WIDTH)
        summary = line(Span("✗ ", "failed"), Span(clean(detail.job.task), "task"), "  ", error)
        shown.append(details(summary, job_page(detail), is_open=number == 0))
    return "".join(shown) + _more(failures)


def _timeline(report: Report) -> str:
    execution, jobs = report.execution.execution, report.longest.shown
    ends = [each.ended for each in jobs if each.ended is not None]
    if execution.started is None or not ends:
        return ""
    drawn = timeline(jobs, execution.started, max(ends))
    note = Note(line(Span(f"The {len(jobs):,} jobs that took longest.", "dim")))
    more = fragment([note]) if report.longest.is_cut else ""
    return f'<div class="timeline">{drawn}</div>{more}'


def _tasks(tasks: Some[TaskTimeView]) -> str:
    columns = [
        Column("task", may_shrink=True),
        *(Column(name, is_right=True) for name in ("ran", "cached", "time", "longest")),
    ]
    rows = [
        [
            line(Span(clean(each.task), "task"), "  ", short_id(each.task_hash)),
            line(f"{each.ran:,}"),
            line(f"{each.cached:,}"),
            duration(each.seconds),
            duration(each.longest),
        ]
        for each in tasks.shown
    ]
    if not rows:
        return ""
    codes = "".join(
        details(line(Span(clean(each.task), "task"), "  ", short_id(each.task_hash)), [code])
        for each in tasks.shown
        if (code := Source(each.source)).text
    )
    return fragment([Grid(columns, rows)]) + _more(tasks) + codes


def _files(files: Some[FileView]) -> str:
    if not files.shown:
        return ""
    columns = [Column("path", may_shrink=True), Column("size", is_right=True), Column("content")]
    rows = [
        [
            file_line(each),
            line(byte_size(each.size)),
            line(Span(clean(each.content_hash)[:16], "id")),
        ]
        for each in files.shown
    ]
    return fragment([Grid(columns, rows)]) + _more(files)


def _result(report: Report) -> Iterator[Block]:
    if report.root is not None:
        yield Note(line(clean(report.root.result.preview, _VALUE_WIDTH)))
        yield from story_blocks(report.story)


def _facts(facts: Mapping[str, Any]) -> Iterator[Block]:
    if facts:
        yield Facts([(clean(name), _said(each)) for name, each in facts.items()])


def _said(value: Any) -> Line:
    return line(clean(value if isinstance(value, str) else to_json(value), _VALUE_WIDTH))


def _environment(environment: Mapping[str, Any]) -> str:
    plain = {name: each for name, each in environment.items() if isinstance(each, str | int)}
    git = environment.get("git")
    diff = ""
    if isinstance(git, Mapping):
        plain |= {name: each for name, each in git.items() if name != "diff"}
        diff = str(git.get("diff") or "")
    drawn = fragment(_facts(plain))
    if diff:
        drawn += details(line("Changes that were not committed"), [Diff(diff)])
    installed = environment.get("distributions")
    if isinstance(installed, Mapping) and installed:
        drawn += details(line(f"{len(installed):,} distributions"), list(_facts(installed)))
    return drawn


def _more(some: Some[Any]) -> str:
    return fragment([Note(line(Span("... and more", "dim")))]) if some.is_cut else ""
