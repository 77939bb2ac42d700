"""A case that is not written as it should be is refused, and a good one makes the files it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fingerprint_corpus.cases import (
    Case,
    CaseError,
    edit_project,
    edited_cells,
    read_case,
    read_cases,
    write_project,
)

HEAD = "What is edited.\n\nconstruct: function\nruns: main\n\n"
FLOW = "== flow.py\nfirst\n\nsecond\n\n"


def case_of(folder: Path, text: str) -> Case:
    path = folder / "semantic" / "tried.case"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return read_case(path)


def files_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_head_says_what_is_edited_and_what_runs(tmp_path: Path) -> None:
    case = case_of(tmp_path, HEAD + FLOW + "== flow.py (edited)\nthird\n")

    assert (case.kind, case.says) == ("semantic", "What is edited.")
    assert (case.construct, case.runs, case.needless) == ("function", ("main",), ())


def test_a_patch_replaces_lines_and_keeps_the_others(tmp_path: Path) -> None:
    case = case_of(
        tmp_path, HEAD + FLOW + "== flow.py (changed)\n- first\n+ one\n+\n@@\n  second\n+ third\n"
    )

    write_project(case, tmp_path / "project")
    folder = edit_project(case, tmp_path / "project")

    assert files_of(folder) == {"flow.py": b"one\n\n\nsecond\nthird\n"}


def test_files_come_go_and_move(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        HEAD
        + FLOW
        + "== old.py\nold\n\n== gone.py\ngone\n\n== old.py (moved to tools/new.py)\n\n"
        + "== gone.py (deleted)\n\n== come.py (new)\ncome\n\n== . (moved to elsewhere)\n",
    )

    write_project(case, tmp_path / "project")
    folder = edit_project(case, tmp_path / "project")

    assert folder == tmp_path / "elsewhere"
    assert files_of(folder) == {
        "flow.py": b"first\n\nsecond\n",
        "tools/new.py": b"old\n",
        "come.py": b"come\n",
    }


@pytest.mark.parametrize(
    ("form", "content"),
    [("crlf", b"\xc3\xa9\r\n"), ("bom", b"\xef\xbb\xbf\xc3\xa9\n"), ("latin-1", b"\xe9\n")],
)
def test_text_is_written_in_the_form_that_is_named(
    form: str, content: bytes, tmp_path: Path
) -> None:
    case = case_of(tmp_path, HEAD + FLOW + f"== flow.py (edited, {form})\né\n")

    write_project(case, tmp_path / "project")
    edit_project(case, tmp_path / "project")

    assert (tmp_path / "project" / "flow.py").read_bytes() == content


def test_an_edit_is_later_than_what_was_there(tmp_path: Path) -> None:
    case = case_of(tmp_path, HEAD + FLOW + "== flow.py (touched)\n")
    write_project(case, tmp_path / "project")
    before = (tmp_path / "project" / "flow.py").stat().st_mtime

    edit_project(case, tmp_path / "project")

    assert (tmp_path / "project" / "flow.py").stat().st_mtime > before + 1


def test_cells_are_no_files(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        HEAD.replace("\n\n", "\n\nhow: notebook\n", 1)
        + "== cell 1\none\n\n== cell 2\ntwo\n\n== cell 2 (changed)\n- two\n+ three\n",
    )

    write_project(case, tmp_path / "project")

    assert files_of(tmp_path / "project") == {}
    assert (case.cells, edited_cells(case)) == (["cell 1", "cell 2"], {"cell 2": "three\n"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("construct: function\nruns: main\n\n" + FLOW, "needs a sentence"),
        ("What.\n\nruns: main\n\n" + FLOW, "needs a sentence"),
        (HEAD.replace("runs", "rums") + FLOW, "no field 'rums'"),
        (HEAD + FLOW, "needs a flow.py or cells, and an edit"),
        (HEAD + FLOW + "== flow.py (edted)\n", "no action 'edted'"),
        (HEAD + FLOW + "== flow.py (edited, utf-7)\n", "written as 'utf-7'"),
        (HEAD.replace("runs", "needless: child\nruns") + FLOW, "what is needless"),
        (HEAD.replace("runs", "lists: flow.main, eval\nruns") + FLOW, "'lists' belongs"),
        (HEAD.replace("runs", "how: cells\nruns") + FLOW, "'how' is one of"),
    ],
)
def test_a_case_with_a_mistake_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=says):
        case_of(tmp_path, text)


@pytest.mark.parametrize("patch", ["- third\n+ fourth\n", "- s\n+ t\n"])
def test_a_patch_of_lines_that_are_not_there_is_refused(patch: str, tmp_path: Path) -> None:
    case = case_of(tmp_path, HEAD + FLOW + "== flow.py (changed)\n" + patch)
    write_project(case, tmp_path / "project")

    with pytest.raises(CaseError, match="just once"):
        edit_project(case, tmp_path / "project")


def test_each_kind_has_the_cases_that_it_needs() -> None:
    counts = {kind: len(read_cases(kind)) for kind in ("semantic", "cosmetic", "unfollowed")}

    assert counts["semantic"] >= 200
    assert counts["cosmetic"] >= 100
    assert counts["unfollowed"] >= 20
