"""The library's own tags of a run that somebody started: by whom, of what, and from which code."""

from __future__ import annotations

import re
from pathlib import Path

from taskgraph._version import __version__
from taskgraph.engine.environment import ask_git
from taskgraph.tags import RESERVED, OwnTags

# Who may read the records need not know what fetches the code.
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


def labels_of_run(
    folder: Path, *, user: str, project: str | None = None, doc: str | None = None
) -> OwnTags:
    """Return the tags of a run.

    Args:
        folder: The project's folder; its git commit and origin are among them.
        user: Who runs it.
        project: What it is for; by default the name of the folder.
        doc: What there is to say of it.
    """
    commit = ask_git(folder, "rev-parse", "HEAD")
    origin = ask_git(folder, "config", "--get", "remote.origin.url") if commit else None
    said = {
        "version": __version__,
        "user": user,
        "project": project or folder.resolve().name,
        "doc": doc,
        "git_commit": commit,
        "git_origin": _CREDENTIALS.sub("", origin) if origin else None,
    }
    return OwnTags((f"{RESERVED}{name}", each) for name, each in said.items() if each)
