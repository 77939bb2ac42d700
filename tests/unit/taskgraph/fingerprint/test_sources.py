"""Sources: the outline of a function belongs to the code that is loaded, and is remembered."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

from taskgraph.fingerprint import sources
from taskgraph.fingerprint.sources import files_at_rest, outline_of, outline_of_class
from taskgraph.values.places import FilePlaces, use_places
from tests.unit.taskgraph.fingerprint.test_code import load


@pytest.fixture
def memory(tmp_path: Path) -> object:
    before = use_places(FilePlaces({}, cache_dir=tmp_path / "cache"))
    yield tmp_path / "cache" / "outlines"
    use_places(before)


def test_lambdas_on_one_line_are_told_apart(tmp_path: Path) -> None:
    made = load(tmp_path / "lambdas_of_a_line.py", "a, b = (lambda x: x + 1), (lambda x: x + 2)\n")

    one, other = outline_of(made.a), outline_of(made.b)

    assert one is not None and other is not None
    assert one.syntax != other.syntax


def test_lambdas_inside_of_lambdas_are_told_apart(tmp_path: Path) -> None:
    made = load(tmp_path / "lambda_in_lambda.py", "a = lambda x: (lambda y: x + y)\n")

    outer, inner = outline_of(made.a), outline_of(made.a(1))

    assert outer is not None and inner is not None
    assert (outer.name, inner.name) == ("<lambda>", "<lambda>.<locals>.<lambda>")


def test_a_cell_of_a_notebook_has_its_text_in_the_line_cache() -> None:
    name = "<ipython-input-1-abc>"
    text = "async def f(x):\n    return x + 1\nawait_me = 1\n"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, object] = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)

    found = outline_of(space["f"])  # type: ignore[arg-type]

    assert found is not None
    assert found.text == "async def f(x):\n    return x + 1\n"


def test_a_sum_of_thousands_of_terms_is_read(tmp_path: Path) -> None:
    text = "def f(x):\n    return " + " + ".join(["x"] * 2_000) + "\n"

    found = outline_of(load(tmp_path / "long_sum.py", text).f)

    assert found is not None


def test_outlines_are_remembered_by_the_content_of_the_file(memory: Path, tmp_path: Path) -> None:
    text = "def remembered(x):\n    return x\n"
    first = outline_of(load(tmp_path / "remembered_one.py", text).remembered)
    kept = [each for each in memory.rglob("*") if each.is_file()]

    second = outline_of(load(tmp_path / "remembered_two.py", text).remembered)

    assert first == second
    assert len(kept) == 1
    assert [each for each in memory.rglob("*") if each.is_file()] == kept


def test_a_damaged_memory_is_not_believed(memory: Path, tmp_path: Path) -> None:
    text = "def damaged(x):\n    return x + 41\n"
    first = outline_of(load(tmp_path / "damaged_one.py", text).damaged)
    for each in memory.rglob("*"):
        if each.is_file():
            content = bytearray(each.read_bytes())
            content[-1] ^= 1
            each.write_bytes(bytes(content))

    second = outline_of(load(tmp_path / "damaged_two.py", text).damaged)

    assert first == second


def test_without_a_place_to_remember_it_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = use_places(FilePlaces({}, cache_dir=tmp_path / "file"))
    try:
        made = load(tmp_path / "nowhere_to_keep.py", "def f(x):\n    return x\n")
        assert outline_of(made.f) is not None
    finally:
        use_places(before)


def test_a_class_is_found_by_its_name_and_its_methods(tmp_path: Path) -> None:
    made = load(
        tmp_path / "two_classes.py",
        "if True:\n    class A:\n        def f(self): return 1\n"
        "else:\n    class A:\n        def f(self): return 2\n",
    )

    found = outline_of_class(made.A)

    assert found is not None
    assert "return 1" in found.text


def test_a_class_whose_file_was_edited_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "edited_class.py"
    made = load(path, "class A:\n    def f(self): return 1\n")
    path.write_text("# edited\nclass A:\n    def f(self): return 2\n")

    assert outline_of_class(made.A) is None


def test_the_digest_of_code_has_its_positions(tmp_path: Path) -> None:
    made = load(tmp_path / "twins.py", "def f(): return 1\ndef g(): return 1\ng.__name__ = 'f'\n")

    assert sources.digest_code(made.f.__code__) != sources.digest_code(made.g.__code__)


def test_what_is_remembered_holds_for_copies_of_the_file(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(x):\n    return [each for each in x if each in {'a', 'b', 'c'}]\n"
    assert outline_of(load(tmp_path / "original_of_copies.py", text).f) is not None
    monkeypatch.setattr("taskgraph.fingerprint.syntax.Reader", None)

    copied = outline_of(load(tmp_path / "copy_of_another_name.py", text).f)

    assert copied is not None and copied.name == "f"


def test_a_file_is_looked_at_once_while_files_are_at_rest(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "edited_while_at_rest.py"
    made = load(path, "def f(x):\n    return x\ndef g(x):\n    return x\n")
    with files_at_rest():
        assert outline_of(made.f) is not None
        path.write_text("# Edited in the meantime.\n")
        assert outline_of(made.g) is not None
    again = load(path, "def f(x):\n    return x + 1\n")

    found = outline_of(again.f)

    assert found is not None and "x + 1" in found.text
