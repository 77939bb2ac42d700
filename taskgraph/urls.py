"""URLs of SQLite files: the file that one names, and the URL of a file.

What follows a question mark are options, and a percent sign begins a character that is written as
its number: who cuts a path out of a URL by himself will miss one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote

_SQLITE: Final = "sqlite:///"


def sqlite_file(url: str) -> Path | None:
    """Return the file that a URL names, which need not be there; None if it names none.

    Those of other databases name none, and neither do those of SQLite in memory.
    """
    if not url.startswith(_SQLITE):
        return None
    path = url.removeprefix(_SQLITE).partition("?")[0]
    return None if path in {"", ":memory:"} else Path(unquote(path))


def sqlite_url(path: Path, options: str = "") -> str:
    """Return the URL of a SQLite file.

    Args:
        path: The file.
        options: What follows the question mark, if anything does.
    """
    url = _SQLITE + str(path).replace("%", "%25").replace("?", "%3F")
    return f"{url}?{options}" if options else url
