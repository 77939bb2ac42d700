"""Links between the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for place in (ROOT.glob("*.md"), *((ROOT / name).rglob("*.md") for name in
                                       ("docs", "tests", "examples", "benchmarks")))
    for page in place
    if "work" not in page.parts[len(ROOT.parts):]
)  # fmt: skip
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = _LINK.findall(page.read_text(encoding="utf-8"))

    assert [each for each in targets if not (page.parent / each).exists()] == []
