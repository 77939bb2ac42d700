"""Settings that cannot be used."""

from __future__ import annotations

from taskgraph.errors.base import TaskgraphError


class ConfigError(TaskgraphError):
    """A setting, or the file that it stands in, cannot be used."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class ObserverError(ConfigError):
    """An observer that the settings name cannot be made."""


class UnknownSettingError(ConfigError):
    """A setting has a name that is not known."""

    def __init__(self, place: str, key: str, nearest: str | None = None) -> None:
        hint = f" Did you mean {nearest!r}?" if nearest else ""
        super().__init__(place, f"unknown setting {key!r}.{hint}")
        self.args = (place, key, nearest)
        self.key = key
        self.nearest = nearest
