"""Repos: other databases that records are pushed to and pulled from, by name.

They stand in ``repos.toml`` beside ``config.toml``. Commands write it, so that the file that people
write, with their comments, is never rewritten.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from taskgraph.errors import ConfigError, UnknownRepoError, without_password

FILE = "repos.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_HEAD = "# Written by `taskgraph repo`: where `taskgraph push` and `pull` go to.\n"


class Repo(NamedTuple):
    """A database elsewhere.

    Attributes:
        name: What it is called here.
        place: A URL, the path of a SQLite file, or the folder of a project.
    """

    name: str
    place: str

    @property
    def shown(self) -> str:
        """Its place without what may be secret in it."""
        return without_password(self.place)


def list_repos(config_dir: Path) -> list[Repo]:
    """Return the repos of a project by name.

    Raises:
        ConfigError: The file is not what it should be.
    """
    path = config_dir / FILE
    try:
        with path.open("rb") as opened:
            found = tomllib.load(opened).get("repos", {})
    except FileNotFoundError:
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"it is not TOML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ConfigError(str(path), "below [repos] stand names and their places as text")
    return [Repo(name, found[name]) for name in sorted(found)]


def find_repo(config_dir: Path, name: str) -> Repo:
    """Return a repo by its name.

    Raises:
        UnknownRepoError: There is none.
    """
    known = {each.name: each for each in list_repos(config_dir)}
    if name not in known:
        raise UnknownRepoError(name, list(known))
    return known[name]


def add_repo(config_dir: Path, repo: Repo) -> Repo:
    """Write a repo down, in place of one of the same name.

    Raises:
        ConfigError: It cannot be called so, or cannot be there.
    """
    if not _NAME.fullmatch(repo.name):
        raise ConfigError(
            "repo", f"{repo.name!r} is no name: use letters, digits, - and _ (not first)"
        )
    # Bytes that are no text come from a shell as half surrogates, which TOML has not.
    if not repo.place.isprintable() or not repo.place:
        raise ConfigError("repo", "its place is a URL, a SQLite file, or a project's folder")
    others = [each for each in list_repos(config_dir) if each.name != repo.name]
    _write(config_dir, sorted([*others, repo]))
    return repo


def remove_repo(config_dir: Path, name: str) -> Repo:
    """Forget a repo; what it holds stays as it is.

    Raises:
        UnknownRepoError: There is none.
    """
    found = find_repo(config_dir, name)
    _write(config_dir, [each for each in list_repos(config_dir) if each.name != name])
    return found


def _write(config_dir: Path, repos: list[Repo]) -> None:
    config_dir.mkdir(parents=True, exist_ok=True)
    # A basic string of TOML takes what JSON makes of text, without its surrogates.
    lines = [f"{each.name} = {json.dumps(each.place, ensure_ascii=False)}\n" for each in repos]
    path = config_dir / FILE
    part = path.with_suffix(".part")
    # There may be a password in a URL.
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(_HEAD + "[repos]\n" + "".join(lines))
    part.replace(path)
