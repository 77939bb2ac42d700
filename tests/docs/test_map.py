"""The map of the modules is complete and up to date."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Pages for readers of the code.
_PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "docs/reference/words.md"]
_PAGES += sorted((ROOT / "docs" / "decisions").glob("*.md"))


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_map", ROOT / "docs" / "make_map.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_map_is_what_make_docs_would_write(maker: ModuleType) -> None:
    written = maker.MAP.read_text(encoding="utf-8")

    assert written == maker.make_map(), "run `make docs`"


def test_each_module_says_its_purpose_in_one_line(maker: ModuleType) -> None:
    lines = {
        str(module.relative_to(ROOT)): maker.first_line(module)
        for root in maker._ROOTS
        for module in maker.list_modules(root)
    }

    assert [path for path, line in lines.items() if not line.endswith(".")] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_the_modules_that_a_page_names_are_there(page: Path) -> None:
    rooms = sorted(each.name for each in (ROOT / "taskgraph").iterdir() if each.is_dir())
    names = re.findall(rf"`(?:taskgraph[./])?((?:{'|'.join(rooms)})[./][a-z_]+)", page.read_text())

    places = [ROOT / "taskgraph" / name.replace(".", "/") for name in names]

    assert [str(e) for e in places if not e.is_dir() and not e.with_suffix(".py").is_file()] == []
