"""Where files are: named roots, the policy for each file, and the folder for caches.

A file inside a root is only ever named by that root and the path below it, never by where the root
happens to lie: the same project at another place, or for another user, gives the same names and so
the same hashes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from taskgraph.errors import UnknownRootError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::|://)")
_LOCAL_URL = re.compile(r"(?:file|local)://(?:localhost(?=/))?")


class Policy(StrEnum):
    """How the content of a file is known.

    Attributes:
        CONTENT: By reading it; a remote file by what its store says of it (ETag, version).
        STAT: By size and time of change only.
        IMMUTABLE: By being there: a file of this name is taken never to change.
    """

    CONTENT = "content"
    STAT = "stat"
    IMMUTABLE = "immutable"


class Place(NamedTuple):
    """The portable name of a path: a root's name ("" for none) and the path below it, or a URL."""

    root: str
    path: str


def user_cache_folder() -> str:
    """Return where this user's caches of taskgraph are.

    On Linux that is what platformdirs would say, which takes longer to load than a cache to use.
    """
    if sys.platform == "linux":
        named, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
        if os.path.isabs(named):
            return os.path.join(named, "taskgraph")
        if os.path.isabs(home):
            return os.path.join(home.rstrip("/") or "/", ".cache", "taskgraph")
    import platformdirs

    return platformdirs.user_cache_dir("taskgraph")


def is_url(path: str) -> bool:
    """Tell whether a path is a URL, or a chain of them as in ``zip://a.csv::s3://bucket/b.zip``."""
    return not path.startswith("/") and _URL.match(path) is not None


def locate(path: str | os.PathLike[str], folder: str | None = None) -> str:
    """Return the absolute path (or URL) that a path stands for.

    Links on the way are left alone, and so is one at the end: the path as given is what names a
    file. Only where ``..`` follows a link, where text cannot tell, is the file system asked.

    Args:
        path: As it was given.
        folder: What a relative path is relative to; by default the working directory.
    """
    text = os.fspath(path)
    if is_url(text):
        local = _LOCAL_URL.match(text)
        if local is None:
            return text.rstrip("/")
        text = unquote(text[local.end() :])
    if not text.startswith("/"):
        text = os.path.join(folder or os.getcwd(), text)
    if "/.." in text:
        parent, name = os.path.split(text.rstrip("/"))
        if name == "..":
            return os.path.realpath(text)
        text = os.path.join(os.path.realpath(parent), name)
    # POSIX gives two slashes at the start a meaning of their own; no system we run on does.
    return "/" + os.path.normpath(text).lstrip("/")


def printable(path: str) -> str:
    r"""Return a path as text that can be stored and shown, bytes that are no UTF-8 as ``\xff``."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return path


@lru_cache(maxsize=512)
def _compile_glob(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if pattern.startswith("**/", position):
            parts.append("(?:.*/)?")
            position += 3
        elif pattern.startswith("**", position):
            parts.append(".*")
            position += 2
        elif char == "*":
            parts.append("[^/]*")
            position += 1
        elif char == "?":
            parts.append("[^/]")
            position += 1
        elif char == "[" and (end := pattern.find("]", position + 2)) > 0:
            inside = pattern[position + 1 : end].replace("\\", "\\\\")
            parts.append(f"[^{inside[1:]}]" if inside[0] == "!" else f"[{inside}]")
            position = end + 1
        else:
            parts.append(re.escape(char))
            position += 1
    return re.compile("".join(parts), re.DOTALL)


def _matches(pattern: str, place: Place, location: str) -> bool:
    glob = _compile_glob(pattern)
    if "/" not in pattern:
        return glob.fullmatch(place.path.rsplit("/", 1)[-1]) is not None
    return glob.fullmatch(place.path) is not None or glob.fullmatch(location) is not None


@dataclass(frozen=True)
class FilePlaces:
    """The settings for files, as plain data that is sent to worker processes.

    Attributes:
        roots: Folders by name. The longest one that a path lies in names it.
        policies: Pairs of a glob and a policy; the first that matches counts, and without one it is
            ``content``. A glob without a slash is matched with the file's name, one with a slash
            with the path below the root or the whole path or URL. ``*`` stops at slashes, ``**``
            does not.
        ask_above: From how many bytes on it is announced how long reading for hashes will take.
        cache_dir: The folder for this machine's caches; None is the user's cache folder.
    """

    roots: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[tuple[str, Policy], ...] = ()
    ask_above: int = 100_000_000_000
    cache_dir: str | None = None
    _prefixes: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        roots: Mapping[str, str | os.PathLike[str]] | None = None,
        policies: Iterable[tuple[str, Policy | str]] = (),
        ask_above: int = 100_000_000_000,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        folders = {name: locate(path) for name, path in (roots or {}).items()}
        # A root is known by its real path as well: the working directory is always a real path.
        prefixes = {(folder, name) for name, folder in folders.items()}
        prefixes |= {(os.path.realpath(folder), name) for name, folder in folders.items()}
        longest = sorted(prefixes, key=lambda pair: (-len(pair[0]), pair))
        settings = {
            "roots": folders,
            "policies": tuple((glob, Policy(policy)) for glob, policy in policies),
            "ask_above": ask_above,
            "cache_dir": None if cache_dir is None else locate(cache_dir),
            "_prefixes": tuple(longest),
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash((tuple(self.roots.items()), self.policies, self.ask_above, self.cache_dir))

    def name(self, location: str) -> Place:
        """Return the portable name of an absolute path or URL."""
        if not location.startswith("/"):
            return Place("", location)
        for folder, name in self._prefixes:
            if location == folder:
                return Place(name, ".")
            prefix = folder if folder == "/" else folder + "/"
            if location.startswith(prefix):
                return Place(name, location[len(prefix) :])
        return Place("", location)

    def name_inside(self, path: str) -> Place | None:
        """Return the portable name of a path inside a root, None of any other path.

        A path with ``..`` in it has none: where that leads, its text cannot tell.
        """
        if not self._prefixes or not path.startswith("/"):
            return None
        place = self.name(path)
        return place if place.root and ".." not in path.split("/") else None

    def find(self, place: Place) -> str:
        """Return the absolute path or URL that a portable name stands for on this machine.

        Raises:
            UnknownRootError: No root of this name is declared here.
        """
        if not place.root:
            return place.path
        folder = self.roots.get(place.root)
        if folder is None:
            raise UnknownRootError(place.root, place.path, tuple(self.roots))
        return folder if place.path == "." else os.path.join(folder, place.path)

    def policy(self, location: str) -> Policy:
        """Return how the content of the file at an absolute path or URL is to be known."""
        if self.policies:
            place = self.name(location)
            for pattern, policy in self.policies:
                if _matches(pattern, place, location):
                    return policy
        return Policy.CONTENT


_current = FilePlaces()


def use_places(places: FilePlaces) -> FilePlaces:
    """Make these the settings for files of this process; returns those until now."""
    global _current
    before, _current = _current, places
    return before


def current_places() -> FilePlaces:
    """Return the settings for files of this process."""
    return _current
