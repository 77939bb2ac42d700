"""What code needs from around it and what may count as well: distributions and executables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from taskgraph.fingerprint.parts import Part, PartKind, make_part
from taskgraph.hashing import digest_bytes

#: In place of names: all distributions that the followed code imports.
AUTO = "auto"

_TOOL_SECONDS = 60


def digest_file(path: str) -> str:
    """Return the digest of a file's content, or a word for one that cannot be read."""
    try:
        with open(path, "rb") as stream:
            return digest_bytes(stream.read())
    except OSError:
        return "unreadable"


def package_parts(packages: Sequence[str] | str, code: Iterable[Part]) -> list[Part]:
    """Return a part for each distribution that counts, with its version.

    Args:
        packages: Names of distributions, or ``"auto"`` for those that the code imports.
        code: The parts of the code.

    Raises:
        LookupError: There is no distribution of a name here.
    """
    if packages == AUTO:
        names: Sequence[str] = _imported(code)
    else:
        names = [packages] if isinstance(packages, str) else packages
    return [make_part(PartKind.PACKAGE, name, _version(name)) for name in sorted(set(names))]


# Imported where they are needed: hardly any task needs them, and they take their time.


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        raise LookupError(
            f"there is no distribution named {name!r} in this environment. Install it, or give "
            "its name as `pip list` shows it"
        ) from None


def _imported(code: Iterable[Part]) -> list[str]:
    modules = {each.name.partition(".")[0] for each in code if each.kind == PartKind.OUTSIDE}
    modules -= {*sys.stdlib_module_names, *sys.builtin_module_names, "taskgraph"}
    known = _distributions()
    return [name for module in modules for name in known.get(module, ())]


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, Sequence[str]]:
    from importlib import metadata

    # Looks at the files of every distribution: only for those who ask for it, and only once.
    return metadata.packages_distributions()


def tool_parts(tools: Sequence[str] | str) -> list[Part]:
    """Return a part for each executable that counts.

    Args:
        tools: A name or path stands for the content of the executable. With arguments, as
            ``"samtools --version"``, it is run and what it prints counts.

    Raises:
        LookupError: There is no such executable, or it fails.
    """
    given = [tools] if isinstance(tools, str) else tools
    return [_tool_part(each) for each in sorted(set(given))]


def _tool_part(tool: str) -> Part:
    import shlex
    import shutil

    words = shlex.split(tool)
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise LookupError(f"there is no executable {tool!r}. Install it, or put it on PATH")
    if len(words) == 1:
        return make_part(PartKind.TOOL, tool, f"content {digest_file(path)}")
    return make_part(PartKind.TOOL, tool, _output([path, *words[1:]]))


def _output(words: Sequence[str]) -> str:
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_TOOL_SECONDS, check=False, stdin=-3
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise LookupError(f"{shlex.join(words)!r} cannot be run: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-200:]
        raise LookupError(f"{shlex.join(words)!r} ended with code {done.returncode}: {said}")
    return (done.stdout + done.stderr).strip()
