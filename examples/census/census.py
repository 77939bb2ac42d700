"""Take a census of a Python library: measure each file, gather by package, write three reports.

    taskgraph run examples/census/census.py main --source LIBRARY --out REPORTS

Content decides what runs again, not time: each source file is a ``File`` and each result a value.
``main`` takes the folder as a ``Dir``, whose hash covers its members, so that it is asked anew
when a file comes, goes or changes; the calls that it makes are cached one by one. ``summarise``,
``total`` and the writers depend on *measures*, not on files: an edit that changes no measure
(in a comment, say) runs ``measure`` for that file and nothing above it.
"""

from __future__ import annotations

import ast
import csv
import inspect
import warnings
from collections import Counter
from pathlib import PurePath
from typing import Any, TypedDict

import page

from taskgraph import Dir, File, task

taskgraph_namespace = "census"

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)


class Measure(TypedDict):
    """What is counted in one file; ``error`` says why the syntax tree's counts are missing."""

    lines: int
    code: int
    functions: int
    classes: int
    branches: int
    imports: dict[str, int]
    error: str


class Package(TypedDict):
    """The sums of a package, and which packages it imports how often."""

    package: str
    files: int
    lines: int
    code: int
    functions: int
    classes: int
    branches: int
    errors: int
    imports: dict[str, int]


@task
def main(source: Dir, out: str) -> dict[str, Any]:
    """Measure all Python files below a folder and write report.csv, imports.dot and report.html.

    Args:
        source: The folder of the library.
        out: The folder that the reports are written to.
    """
    members: dict[str, list[File]] = {}
    for file in sorted(source, key=lambda file: str(file.path)):
        inside = PurePath(source.rel_path(file.path))
        if inside.suffix == ".py":
            members.setdefault(inside.parts[0].removesuffix(".py"), []).append(file)
    summaries = {
        package: summarise(package, [measure(file) for file in files])
        for package, files in members.items()
    }
    packages = list(summaries.values())
    totals = total(packages)
    imports = {package: summary["imports"] for package, summary in summaries.items()}
    return {
        "totals": totals,
        "reports": [
            write_table(packages, f"{out}/report.csv"),
            write_imports(imports, f"{out}/imports.dot"),
            write_page(packages, totals, f"{out}/report.html"),
        ],
    }


@task
def measure(file: File) -> Measure:
    """Count what is in one file; one that is no valid Python has lines and an error only.

    Code lines are those that are neither blank nor a comment nor part of a docstring.
    """
    with file.open("rb") as stream:
        content: bytes = stream.read()
    lines = [line.strip() for line in content.splitlines()]
    plain = {number for number, line in enumerate(lines, start=1) if line and line[:1] != b"#"}
    found = Measure(
        lines=len(lines), code=len(plain), functions=0, classes=0, branches=0, imports={}, error=""
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # A result like any other: a standard library tests its parser with files such as these.
        found["error"] = type(error).__name__
        return found

    imports: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found["functions"] += 1
            case ast.ClassDef():
                found["classes"] += 1
            case ast.BoolOp():
                found["branches"] += len(node.values) - 1
            case ast.comprehension():
                found["branches"] += len(node.ifs)
            case ast.Import():
                imports.update(alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                imports[module.partition(".")[0]] += 1
            case _:
                found["branches"] += isinstance(node, _BRANCHES)
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            plain.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    found["code"] = len(plain)
    found["imports"] = dict(sorted(imports.items()))
    return found


@task
def summarise(package: str, measures: list[Measure]) -> Package:
    """Add up the measures of a package's files."""
    imports: Counter[str] = Counter()
    for each in measures:
        imports.update(each["imports"])
    imports.pop(package, None)
    return Package(
        package=package,
        files=len(measures),
        lines=sum(each["lines"] for each in measures),
        code=sum(each["code"] for each in measures),
        functions=sum(each["functions"] for each in measures),
        classes=sum(each["classes"] for each in measures),
        branches=sum(each["branches"] for each in measures),
        errors=sum(bool(each["error"]) for each in measures),
        imports=dict(sorted(imports.items())),
    )


@task
def total(packages: list[Package]) -> dict[str, int]:
    """Add up the packages."""
    return {
        "packages": len(packages),
        "files": sum(each["files"] for each in packages),
        "lines": sum(each["lines"] for each in packages),
        "code": sum(each["code"] for each in packages),
        "functions": sum(each["functions"] for each in packages),
        "classes": sum(each["classes"] for each in packages),
        "branches": sum(each["branches"] for each in packages),
        "errors": sum(each["errors"] for each in packages),
    }


@task
def write_table(packages: list[Package], path: str) -> File:
    """Write one line for each package, as CSV."""
    report = File(path)
    columns = [name for name in Package.__annotations__ if name != "imports"]
    with report.open("w") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(packages)
    return report


@task
def write_imports(imports: dict[str, dict[str, int]], path: str) -> File:
    """Write which package of the library imports which, as a graph for Graphviz."""
    report = File(path)
    lines = ["digraph imports {", "  rankdir=LR; node [shape=box, fontname=sans];"]
    for package, targets in imports.items():
        for target, count in targets.items():
            if target in imports:
                lines.append(f'  "{package}" -> "{target}" [weight={count}];')
    report.write("\n".join([*lines, "}", ""]))
    return report


# Of a task its own source counts; what it calls in another module is named here.
@task(hash_includes=[inspect.getsource(page)])
def write_page(packages: list[Package], totals: dict[str, int], path: str) -> File:
    """Write the page with the charts."""
    report = File(path)
    report.write(page.render_page(packages, totals))
    return report
