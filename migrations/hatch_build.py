"""Puts the migrations into wheels, inside `taskgraph_backend`.

An editable install finds them in the checkout; a copy made at install time would go stale.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MigrationsBuildHook(BuildHookInterface[Any]):
    """Adds the folder `migrations` to the wheel unless the build is editable."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build_data["force_include"]["migrations"] = "taskgraph_backend/migrations"
