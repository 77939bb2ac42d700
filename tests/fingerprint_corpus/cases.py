"""Reads the cases of the corpus and makes real projects of them, before and after the edit.

Standard library only: the benchmarks read the corpus too, for tools that live elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).resolve().parent
KINDS = ("semantic", "cosmetic", "unfollowed")

_TITLE = re.compile(r"== (?P<file>.+?)(?: \((?P<action>[^()]+)\))?")
_FIELD = re.compile(r"(?P<name>[a-z]+): *(?P<text>.*)")
_FIELDS = ("construct", "runs", "needless", "how", "only", "lists")
_WAYS = ("module", "script", "notebook")
# Bytecode is told from its source by size and whole seconds: an edit takes place a minute later.
_WRITTEN = 1_700_000_000
_EDITED = _WRITTEN + 60


class CaseError(Exception):
    """A case file is not written as tests/fingerprint_corpus/README.md says."""


class Step(NamedTuple):
    """One thing that the edit does.

    Attributes:
        file: What it is done to, as a path in the project.
        action: ``edited``, ``changed``, ``new``, ``deleted``, ``moved``, ``touched``.
        text: The new text or the patch; for a move where to.
        form: How the text is written: "", ``crlf``, ``bom`` or ``latin-1``.
    """

    file: str
    action: str
    text: str = ""
    form: str = ""


class Case(NamedTuple):
    """A small project, an edit, and what runs again after it.

    Attributes:
        name: The file's kind and stem, as ``semantic/helper_body``.
        says: What is edited, in a sentence.
        construct: What the edit is about, to count by.
        runs: The tasks that run again.
        needless: Those of them that need not, but do by design.
        how: ``module`` for a script that is loaded, ``script`` for one that is run, ``notebook``.
        only: The feature of taskgraph that the case is about, where others have no such thing.
        lists: For code that cannot be followed: where it is, and a word that says what it is.
        before: The project's files, or a notebook's cells, by name.
        edit: What the edit does, in order.
    """

    name: str
    says: str
    construct: str
    runs: tuple[str, ...]
    needless: tuple[str, ...]
    how: str
    only: str
    lists: tuple[str, str]
    before: Mapping[str, str]
    edit: tuple[Step, ...]

    @property
    def kind(self) -> str:
        """``semantic``, ``cosmetic`` or ``unfollowed``."""
        return self.name.partition("/")[0]

    @property
    def cells(self) -> list[str]:
        """The names of a notebook's cells, in the order of the notebook."""
        return [name for name in self.before if name.startswith("cell ")]


def read_cases(*kinds: str) -> list[Case]:
    """Return the cases of these kinds, or all, sorted by name."""
    paths = [path for kind in kinds or KINDS for path in sorted((CORPUS / kind).glob("*.case"))]
    return [read_case(path) for path in paths]


def read_case(path: Path) -> Case:
    """Read one case.

    Raises:
        CaseError: It is not written as it should be.
    """
    name = f"{path.parent.name}/{path.stem}"
    head, sections = _split(path.read_text(encoding="utf-8"))
    says, fields = _head(name, head)
    before: dict[str, str] = {}
    edit: list[Step] = []
    for title, text in sections:
        match = _TITLE.fullmatch(title)
        if match is None:
            raise CaseError(f"{name}: {title!r} is no title of a section")
        if match["action"] is None:
            before[match["file"]] = text
        else:
            edit.append(_step(name, match["file"], match["action"], text))
    case = Case(
        name=name,
        says=says,
        construct=fields["construct"],
        runs=_names(fields["runs"]),
        needless=_names(fields.get("needless", "")),
        how=fields.get("how", "module"),
        only=fields.get("only", ""),
        lists=_listed(fields.get("lists", "")),
        before=before,
        edit=tuple(edit),
    )
    _check(case)
    return case


def _split(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    head: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith("== "):
            sections.append((line, []))
        elif sections:
            sections[-1][1].append(line)
        else:
            head.append(line)
    return head, [(title, _text(lines)) for title, lines in sections]


def _text(lines: Sequence[str]) -> str:
    # Blank lines between two sections belong to neither.
    text = "\n".join(lines).rstrip("\n")
    return text + "\n" if text else ""


def _head(name: str, lines: Sequence[str]) -> tuple[str, dict[str, str]]:
    says: list[str] = []
    fields: dict[str, str] = {}
    for line in filter(None, lines):
        match = _FIELD.fullmatch(line)
        if match is None:
            says.append(line)
        elif match["name"] not in _FIELDS:
            raise CaseError(f"{name}: there is no field {match['name']!r}")
        else:
            fields[match["name"]] = match["text"]
    missing = [field for field in ("construct", "runs") if field not in fields]
    if missing or not says:
        raise CaseError(f"{name}: needs a sentence, 'construct:' and 'runs:'")
    return " ".join(says), fields


def _names(text: str) -> tuple[str, ...]:
    return () if text in ("", "nothing") else tuple(sorted(re.split(r",\s*", text)))


def _listed(text: str) -> tuple[str, str]:
    where, _, word = text.partition(", ")
    return where, word


def _step(name: str, file: str, action: str, text: str) -> Step:
    action, _, form = action.partition(", ")
    if action.startswith("moved to "):
        return Step(file, "moved", action.removeprefix("moved to "))
    if action not in ("edited", "changed", "new", "deleted", "touched"):
        raise CaseError(f"{name}: there is no action {action!r}")
    if form not in ("", "crlf", "bom", "latin-1"):
        raise CaseError(f"{name}: text cannot be written as {form!r}")
    return Step(file, action, text, form)


def _check(case: Case) -> None:
    if case.how not in _WAYS:
        raise CaseError(f"{case.name}: 'how' is one of {', '.join(_WAYS)}")
    if not set(case.needless) <= set(case.runs):
        raise CaseError(f"{case.name}: what is needless is among what runs")
    if (case.kind == "unfollowed") != bool(case.lists[0]):
        raise CaseError(f"{case.name}: 'lists' belongs to what cannot be followed")
    if not case.edit or not (case.cells or "flow.py" in case.before):
        raise CaseError(f"{case.name}: needs a flow.py or cells, and an edit")


# Projects


def write_project(case: Case, folder: Path) -> None:
    """Write the project as it is before the edit into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in case.before.items():
        if name not in case.cells:
            _write(folder / name, text.encode("utf-8"), _WRITTEN)


def edit_project(case: Case, folder: Path) -> Path:
    """Do what the edit says, and return the folder, which may be another one now."""
    for step in case.edit:
        if step.file == ".":
            folder = folder.rename(folder.with_name(step.text))
        elif not step.file.startswith("cell "):
            _do(case, step, folder)
    return folder


def edited_cells(case: Case) -> dict[str, str]:
    """Return the text of the cells that the edit changes, in order."""
    steps = [step for step in case.edit if step.file.startswith("cell ")]
    return {step.file: new_text(case, step) for step in steps}


def _do(case: Case, step: Step, folder: Path) -> None:
    path = folder / step.file
    match step.action:
        case "deleted":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        case "moved":
            (folder / step.text).parent.mkdir(parents=True, exist_ok=True)
            path.rename(folder / step.text)
        case "touched":
            os.utime(path, (_EDITED, _EDITED))
        case _:
            _write(path, _encoded(new_text(case, step), step.form), _EDITED)


def new_text(case: Case, step: Step) -> str:
    """Return the text of a file or cell after a step.

    Raises:
        CaseError: The step patches lines that are not there, or are there twice.
    """
    if step.action != "changed":
        return step.text
    text = "\n" + case.before[step.file]  # so that a line is found at its start only
    for old, new in _hunks(step.text):
        if text.count(old) != 1:
            raise CaseError(f"{case.name}: {step.file} does not have this just once:\n{old}")
        text = text.replace(old, new)
    return text.removeprefix("\n")


def _hunks(patch: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that go and those that come, for each hunk; hunks are parted by ``@@``."""
    for hunk in re.split(r"^@@\n", patch, flags=re.MULTILINE):
        lines = hunk.removesuffix("\n").split("\n")  # a form feed ends no line here
        old = [line[2:] for line in lines if line[:1] != "+"]
        new = [line[2:] for line in lines if line[:1] != "-"]
        yield "\n".join(["", *old, ""]), "\n".join(["", *new, ""])


def _encoded(text: str, form: str) -> bytes:
    match form:
        case "crlf":
            return text.replace("\n", "\r\n").encode("utf-8")
        case "bom":
            return text.encode("utf-8-sig")
        case "latin-1":
            return text.encode("latin-1")
        case _:
            return text.encode("utf-8")


def _write(path: Path, content: bytes, when: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (when, when))
