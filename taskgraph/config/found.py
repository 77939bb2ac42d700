"""Settings as they were found: in files, in the environment, in code; what is later wins."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from taskgraph.config.kinds import Kind
from taskgraph.config.sections import SECTION_NAMES, setting_names
from taskgraph.config.template import CONFIG_FILE_NAME
from taskgraph.errors import ConfigError, UnknownSettingError

ENVIRONMENT_PREFIX: Final = "TASKGRAPH_"
CONFIG_VARIABLE: Final = "TASKGRAPH_CONFIG"
#: Says who works with the records, in short.
USER_VARIABLE: Final = "TASKGRAPH_USER"

_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")


def tables_of_files(config_dir: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what the files say, expanded; the later ones win."""
    pyproject = config_dir.parent / "pyproject.toml"
    tool = load_toml(pyproject).get("tool", {})
    table = tool.get("taskgraph", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(str(pyproject), "tool.taskgraph: expected a table")
    yield f"{pyproject} [tool.taskgraph]", _expanded(table, str(pyproject), "")
    own = config_dir / CONFIG_FILE_NAME
    yield str(own), _expanded(load_toml(own), str(own), "")


def load_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file says; nothing if there is none.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"this is not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error


def _expanded(value: Any, place: str, key: str) -> Any:
    """Return a value with ``${VAR}`` filled in from the environment; ``$${`` stands for ``${``."""
    if isinstance(value, dict):
        return {
            name: _expanded(inner, place, f"{key}.{name}" if key else name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_expanded(inner, place, key) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        filled = os.environ.get(match[1])
        if filled is None:
            raise ConfigError(
                place,
                f"{key}: the environment variable {match[1]!r} is not set. "
                "Set it, or write $${ for a literal ${.",
            )
        return filled

    return _VARIABLE.sub(fill, value)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with dotted keys as nested tables."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        table = nested
        for step in path:
            table = table.setdefault(step, {})
        if isinstance(value, Mapping):
            table.setdefault(last, {}).update(value)
        else:
            table[last] = value
    return nested


class Found:
    """Settings as they were found: for each path of keys, the value that wins and its place."""

    def __init__(self) -> None:
        self.leaves: dict[tuple[str, ...], tuple[str, Any]] = {}

    def add(self, place: str, table: Mapping[str, Any], path: tuple[str, ...] = ()) -> None:
        """Add a table; its values win over those that are there."""
        for name, value in table.items():
            here = (*path, name)
            if not path and name not in SECTION_NAMES:
                raise unknown(place, name, SECTION_NAMES)
            if isinstance(value, dict) and (value or len(here) == 1):
                self.add(place, value, here)
            elif not path:
                raise ConfigError(place, f"{name}: expected a table [{name}]")
            else:
                self.leaves[here] = (place, value)

    def add_environment(self, variables: Mapping[str, str]) -> None:
        """Add the variables that stand for settings, as ``TASKGRAPH_BACKEND__DB_URI``."""
        for variable, text in variables.items():
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
                continue
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            path = tuple(name.split("__"))
            if variable == USER_VARIABLE:
                path = ("user", "email")
            if len(path) > 1:
                self._add_text(f"environment variable {variable}", path, text)
            elif name.partition("_")[0] in SECTION_NAMES:
                # One underscore where two are meant; all other variables are somebody else's.
                names = [each.replace(".", "__") for each in setting_names()]
                raise unknown(
                    "the environment",
                    variable,
                    [ENVIRONMENT_PREFIX + each.upper() for each in names],
                )

    def _add_text(self, place: str, path: tuple[str, ...], text: str) -> None:
        if path[0] not in SECTION_NAMES:
            raise unknown(place, path[0], SECTION_NAMES)
        self.leaves[path] = (place, _Text(text))

    def below(self, *path: str) -> dict[tuple[str, ...], tuple[str, Any]]:
        """Return what was found below a path, by the rest of each path."""
        depth = len(path)
        return {
            keys[depth:]: found
            for keys, found in self.leaves.items()
            if keys[:depth] == path and len(keys) > depth
        }


class _Text(str):
    """A value from the environment, where everything is text."""

    __slots__ = ()


def unknown(place: str, key: str, known: Iterable[str]) -> UnknownSettingError:
    """Return the error of a key that there is none of.

    Args:
        place: Where it stands.
        key: The key.
        known: The keys that there are, of which the nearest is named.
    """
    import difflib  # only here, for it takes its time

    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return UnknownSettingError(place, key, nearest[0] if nearest else None)


def read(kind: Kind, place: str, key: str, value: Any) -> Any:
    """Return a value as its kind reads it. Any: as it was found, and as it is read.

    Raises:
        ConfigError: It is none of its kind.
    """
    try:
        return kind.read(kind.from_text(value) if isinstance(value, _Text) else value)
    except ValueError:
        shown = repr(str(value)) if isinstance(value, str) else repr(value)
        raise ConfigError(place, f"{key}: expected {kind.expected}, not {shown}") from None
