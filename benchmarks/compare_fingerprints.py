"""Counts stale results and needless reruns over the corpus of edits, for taskgraph and others.

    make compare                                         all tools; writes the tables
    python benchmarks/compare_fingerprints.py --only taskgraph
    make compare ARGS="--only taskgraph --keep"    after a change of ours

Each case of `tests/fingerprint_corpus` is a project that is run, edited, and run again; a run with
an empty store says what is true after the edit. Counts go to `results/fingerprints.json`; the
tables into README.md (in all) and benchmarks/README.md (by construct).
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
sys.path[:0] = [str(HERE), str(CHECKOUT), str(CHECKOUT / "backend")]

import run  # noqa: E402

from tests.fingerprint_corpus.cases import (  # noqa: E402
    Case,
    edit_project,
    edited_cells,
    new_text,
    read_cases,
    write_project,
)

TOOLS = ("taskgraph", "redun", "joblib")
RESULTS = HERE / "results" / "fingerprints.json"
README = CHECKOUT / "README.md"
PAGE = HERE / "README.md"
BEGIN, END = "<!-- fingerprint table: begin -->", "<!-- fingerprint table: end -->"
# Tried with a project that no case has, so that a store is made before the first case.
_WARM = "from taskgraph import task\n\n\n@task\ndef main():\n    return 'warm'\n"
_PRIVATE = ("TASKGRAPH_", "REDUN_", "JOBLIB_", "PYTHONPATH")


class Verdict(NamedTuple):
    """What a tool did with a case.

    Attributes:
        case: The case's name.
        kind: ``semantic``, ``cosmetic`` or ``unfollowed``.
        place: ``task`` if the edit is in the text of a task's own function, else ``elsewhere``.
        construct: What its edit is about.
        word: ``right``, ``stale``, ``needless``, ``listed`` (stale, and the tool says beforehand
            what it cannot see), ``failed`` (the tool cannot run the project), ``left out``.
        detail: Results and tasks, or the error.
    """

    case: str
    kind: str
    place: str
    construct: str
    word: str
    detail: str = ""


class Driver:
    """A process of a tool's own Python that runs projects."""

    def __init__(self, tool: str, python: Path, scratch: Path) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_PRIVATE)}
        if tool == "taskgraph":
            kept["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "backend")])
        kept["XDG_CACHE_HOME"] = str(scratch / "cache")
        self._process = subprocess.Popen(
            [str(python), str(HERE / "workloads" / "fingerprints.py"), tool],
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a tool's process ended; run its driver by hand to see why")
        return json.loads(line)  # type: ignore[no-any-return]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def verdicts_of(tool: str, python: Path, cases: Iterable[Case], scratch: Path) -> list[Verdict]:
    """Run all cases with one tool."""
    driver = Driver(tool, python, scratch)
    warm = scratch / "warm"
    warm.mkdir()
    (warm / "flow.py").write_text(_WARM, encoding="utf-8")
    answer = driver.ask(folder=str(warm), store=str(scratch / "template"), how="module")
    if answer.get("result") != "'warm'":
        raise SystemExit(f"{tool} does not run: {answer}")
    found = []
    for case in cases:
        if case.only and tool != "taskgraph":
            place = place_of(case)
            found.append(
                Verdict(case.name, case.kind, place, case.construct, "left out", case.only)
            )
        else:
            found.append(_verdict(case, driver, scratch))
    driver.close()
    return found


def _verdict(case: Case, driver: Driver, scratch: Path) -> Verdict:
    place = scratch / case.name
    folder = place / "project"
    write_project(case, folder)
    template = str(scratch / "template")
    cells = {name: case.before[name] for name in case.cells}

    def ask(store: str, template: str = "") -> dict[str, Any]:
        where = {"folder": str(folder), "store": str(place / store), "template": template}
        return driver.ask(**where, how=case.how, cells=cells)

    first = ask("store", template)
    folder = edit_project(case, folder)
    cells |= edited_cells(case)
    second = ask("store")
    fresh = ask("fresh", template)
    word, detail = _judged(case, first, second, fresh)
    return Verdict(case.name, case.kind, place_of(case), case.construct, word, detail)


def place_of(case: Case) -> str:
    """Tell whether an edit is in the text of a task's own function, or elsewhere."""
    after = dict(case.before)
    for step in case.edit:
        if step.action in ("changed", "edited", "new"):
            after[step.file] = new_text(case, step)
    return "task" if _text_of_tasks(case.before) != _text_of_tasks(after) else "elsewhere"


def _text_of_tasks(files: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, text in files.items():
        if not name.endswith(".py") and not name.startswith("cell "):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and _is_task(node):
                found[node.name] = ast.get_source_segment(text, node) or ""
    return found


def _is_task(function: ast.FunctionDef) -> bool:
    called = [each.func if isinstance(each, ast.Call) else each for each in function.decorator_list]
    return any(isinstance(each, ast.Name) and each.id == "task" for each in called)


def _judged(
    case: Case, first: dict[str, Any], second: dict[str, Any], fresh: dict[str, Any]
) -> tuple[str, str]:
    for answer in (first, second, fresh):
        if "error" in answer:
            return "failed", answer["error"]
    if second["result"] != fresh["result"]:
        said = f"{second['result']} for {fresh['result']}".replace("\n", "")
        where, word = case.lists
        is_listed = any(where in each and word in each for each in first["listed"] if where)
        return ("listed" if is_listed else "stale"), said
    needless = set(second["ran"]) - (set(case.runs) - set(case.needless))
    if needless and case.kind == "cosmetic":
        return "needless", ", ".join(sorted(needless))
    return "right", ""


# Tables

# Kind and place of edits, the word that is counted, and what the row says.
_ROWS = (
    ("semantic", "task", "stale", "stale, though the task's own text was edited"),
    (
        "semantic",
        "elsewhere",
        "stale",
        "stale, as a helper, class or constant that it uses was edited",
    ),
    ("unfollowed", "", "stale", "stale, with nothing said, in code that cannot be followed"),
    ("cosmetic", "task", "needless", "needless rerun: only the looks of the task's text changed"),
    (
        "cosmetic",
        "elsewhere",
        "needless",
        "needless rerun: only looks, or what is not used, changed",
    ),
)


def summary(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the table of all cases together: a head, then rows."""
    rows = [["", *(f"{tool} {report['versions'][tool]}" for tool in report["tools"])]]
    for kind, place, bad, label in _ROWS:
        chosen = {
            tool: [each for each in verdicts if place in ("", each["place"])]
            for tool, verdicts in report["tools"].items()
        }
        rows.append([label, *(_cell(verdicts, kind, bad) for verdicts in chosen.values())])
    rows.append(
        ["not counted: of features that one tool has, or failed"]
        + [_count(report["tools"][tool], "left out", "failed") for tool in report["tools"]]
    )
    return rows


def by_construct(report: Mapping[str, Any], kind: str, bad: str) -> list[list[str]]:
    """Return the table of one kind of edits: a head, then a row for each construct."""
    rows = [["construct", *report["tools"]]]
    constructs = {
        verdict["construct"]
        for verdicts in report["tools"].values()
        for verdict in verdicts
        if verdict["kind"] == kind
    }
    for construct in sorted(constructs):
        mine = {
            tool: [each for each in verdicts if each["construct"] == construct]
            for tool, verdicts in report["tools"].items()
        }
        rows.append([construct, *(_cell(verdicts, kind, bad) for verdicts in mine.values())])
    return rows


def _cell(verdicts: Sequence[Mapping[str, str]], kind: str, bad: str) -> str:
    words = Counter(each["word"] for each in verdicts if each["kind"] == kind)
    ran = sum(words.values()) - words["left out"] - words["failed"]
    return f"{words[bad]} of {ran}" if ran else "-"


def _count(verdicts: Sequence[Mapping[str, str]], *words: str) -> str:
    return str(sum(each["word"] in words for each in verdicts))


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    return "\n".join(lines)


def write_between(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page} has no place for the table: {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def details(report: Mapping[str, Any]) -> str:
    """Return all tables of the page of benchmarks."""
    parts = [
        f"Counted on {report['when']} with Python {report['python']}.",
        "**Edits that change the result: stale results**",
        markdown(by_construct(report, "semantic", "stale")),
        "**Edits that change nothing: needless reruns**",
        markdown(by_construct(report, "cosmetic", "needless")),
        "**Edits of what cannot be followed: stale, and nothing says so**",
        markdown(by_construct(report, "unfollowed", "stale")),
    ]
    return "\n\n".join(parts)


def _kept(
    old: Mapping[str, Sequence[dict[str, str]]], cases: Sequence[Case]
) -> dict[str, list[dict[str, str]]]:
    """Return verdicts of last time, under what the cases say of themselves now."""
    kept = {}
    for tool, verdicts in old.items():
        by_name = {each["case"]: each for each in verdicts}
        missing = [case.name for case in cases if case.name not in by_name]
        if missing:
            raise SystemExit(f"{tool} was not run with {', '.join(missing)}: leave out --keep")
        kept[tool] = [
            by_name[case.name] | {"place": place_of(case), "construct": case.construct}
            for case in cases
        ]
    return kept


def _versions(tools: Sequence[str], pythons: Mapping[str, Path]) -> dict[str, str]:
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    found = {}
    for tool in tools:
        if tool == "taskgraph":
            version: dict[str, str] = {}
            exec((CHECKOUT / "taskgraph" / "_version.py").read_text(), version)
            found[tool] = version["__version__"]
        else:
            command = [str(pythons[tool]), "-c", code, tool]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[tool] = done.stdout.strip()
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(TOOLS), help="tools, with commas")
    parser.add_argument("--cases", default="", help="only cases whose names contain this")
    parser.add_argument("--peers-python", type=Path, help="instead of the one in .bench/peers")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the counts go")
    parser.add_argument("--keep", action="store_true", help="keep other tools' counts of last time")
    parser.add_argument("--write", action="store_true", help="write the tables into the pages")
    options = parser.parse_args(arguments)
    options.only = [tool for tool in TOOLS if tool in options.only.split(",")]
    if not options.only:
        parser.error(f"--only takes some of {', '.join(TOOLS)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    peers = None
    if options.only != ["taskgraph"]:
        peers = options.peers_python or run.peers_python()
    pythons = {tool: peers or Path(sys.executable) for tool in options.only}
    if "taskgraph" in pythons:
        pythons["taskgraph"] = Path(sys.executable)
    cases = [case for case in read_cases() if options.cases in case.name]
    print(f"{len(cases)} cases: a few minutes", file=sys.stderr)

    def count(tool: str) -> list[dict[str, str]]:
        with tempfile.TemporaryDirectory(prefix="fingerprints-") as scratch:
            verdicts = verdicts_of(tool, pythons[tool], cases, Path(scratch).resolve())
        return [verdict._asdict() for verdict in verdicts]

    with ThreadPoolExecutor(len(options.only)) as pool:  # nothing is timed here
        found = dict(zip(options.only, pool.map(count, options.only), strict=True))
    versions = _versions(options.only, pythons)
    if options.keep:
        old = json.loads(options.results.read_text(encoding="utf-8"))
        found = _kept(old["tools"], cases) | found
        versions = old["versions"] | versions
    report = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": sys.version.split()[0],
        "versions": {tool: versions[tool] for tool in TOOLS if tool in found},
        "cases": dict(Counter(case.kind for case in cases)),
        "tools": {tool: found[tool] for tool in TOOLS if tool in found},
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    table = markdown(summary(report))
    print(table)
    if options.write:
        write_between(README, f"{table}\n\nCounted on {report['when']}.")
        write_between(PAGE, details(report))


if __name__ == "__main__":
    main()
