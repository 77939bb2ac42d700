"""Write docs/reference/map.md: each module with the first line of its docstring."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "reference" / "map.md"
_ROOTS = (ROOT / "taskgraph", ROOT / "backend" / "taskgraph_backend")
_INTRODUCTION = """\
# Map of the modules

Made by `make docs` from the first line of each module's docstring. How the rooms are stacked is in
[ARCHITECTURE.md](../../ARCHITECTURE.md).
"""


def list_modules(root: Path) -> list[Path]:
    """Return the modules of a package, each package before what is in it."""
    found = [path.relative_to(root) for path in root.rglob("*.py")]
    found.sort(key=lambda path: (*path.parts[:-1], "" if path.stem == "__init__" else path.stem))
    return [root / path for path in found]


def first_line(module: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def dotted_name(module: Path, root: Path) -> str:
    """Return the name under which a module is imported."""
    parts = module.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def make_map() -> str:
    """Return the text of the page."""
    lines = [_INTRODUCTION]
    for root in _ROOTS:
        lines += [f"## {root.name}", "", "| module | purpose |", "|---|---|"]
        for module in list_modules(root):
            purpose = first_line(module).replace("|", "\\|")
            lines.append(f"| `{dotted_name(module, root)}` | {purpose} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    MAP.parent.mkdir(parents=True, exist_ok=True)
    MAP.write_text(make_map(), encoding="utf-8")
