"""What a run sees around it: folders, the project, what may be loaded, and who it is of."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskgraph.config import Settings
from taskgraph.fingerprint.code import frozen
from taskgraph.fingerprint.project import Project, use_project
from taskgraph.values.gate import Trust, use_trust
from taskgraph.values.places import FilePlaces, use_places

if TYPE_CHECKING:
    from taskgraph.tags import OwnTags


def places_of(settings: Settings) -> FilePlaces:
    """Return what files need to know of the settings."""
    return FilePlaces(
        {"project": settings.project_dir, **settings.roots},
        # In the settings the last glob that matches counts, in FilePlaces the first.
        tuple(reversed(list(settings.files.policies.items()))),
        ask_above=settings.files.ask_above,
    )


def project_of(settings: Settings) -> Project:
    """Return what the fingerprint needs to know of the settings."""
    return Project(settings.code.project, settings.code.strict)


def trust_of(settings: Settings) -> Trust:
    """Return what stored values may be when they are read."""
    wanted = settings.backend
    return Trust(wanted.trust == "data", wanted.trust_classes)


@contextmanager
def in_force(settings: Settings, places: FilePlaces) -> Iterator[None]:
    """Have files and code known as the settings say, and freeze code: what was read stays so."""
    before = use_places(places)
    project = use_project(project_of(settings))
    trust = use_trust(trust_of(settings))
    try:
        with frozen():
            yield
    finally:
        use_trust(trust)
        use_places(before)
        use_project(project)


def labels_of_run(
    settings: Settings, *, user: str | None, project: str | None, doc: str | None
) -> OwnTags:
    """Return the library's own tags of a run; see `taskgraph.engine.labels`."""
    from taskgraph.engine import labels

    who = user or author().rpartition("@")[0]
    return labels.labels_of_run(settings.project_dir, user=who, project=project, doc=doc)


def author(settings: Settings | None = None) -> str:
    """Return who does something that is written down: whom the settings name, or user and host.

    Args:
        settings: Those of the project; without them it is the user of this machine.
    """
    said = "" if settings is None else settings.user.email.strip()
    if said:
        return said
    try:
        import getpass

        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    return f"{user}@{platform.node()}"


__all__ = ["author", "in_force", "labels_of_run", "places_of", "project_of", "trust_of"]
