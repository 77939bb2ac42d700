"""What a scheduler tells: its settings, its limits, how many jobs are where, what it warns of."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from taskgraph.app.parts import Parts
from taskgraph.config import Settings
from taskgraph.engine.statuses import report_of
from taskgraph.events import Warned
from taskgraph.tasks.registry import TaskRegistry, get_task_registry

if TYPE_CHECKING:
    from taskgraph.values.types import TypeRegistry

# How many tasks a warning names.
_MOST_NAMES = 10


class Reports(Parts):
    """What a scheduler knows of itself, and what it logs."""

    @property
    def config(self) -> Settings:
        """The settings."""
        return self.settings

    @property
    def task_registry(self) -> TaskRegistry:
        """All tasks that are defined here."""
        return get_task_registry()

    @property
    def type_registry(self) -> TypeRegistry:
        """What is known of the values of each type."""
        from taskgraph.values.types import get_type_registry

        return get_type_registry()

    @property
    def limits(self) -> dict[str, int]:
        """How many units there are of each limit that the settings name; of others there is one."""
        return dict(self.settings.limits)

    @property
    def limits_used(self) -> dict[str, int]:
        """How many units of each limit calls of this scheduler hold; none when no run goes on."""
        engine = self._engine
        used = self._limits_used if engine is None else engine.limits_used
        return {**dict.fromkeys(self.settings.limits, 0), **used}

    def log(self, *messages: object, indent: int = 0, level: int = logging.INFO) -> None:
        """Log messages, one after the other on a line.

        Args:
            messages: What is said; lines of text stay lines.
            indent: How many spaces go before each line.
            level: The level of the logger that it has.
        """
        text = " ".join(map(str, messages))
        for line in text.split("\n"):
            self.logger.log(level, "%s%s", " " * indent, line)

    def get_job_status_report(self) -> list[str]:
        """Return the lines of a table: how many jobs are where, in all and of each task.

        They are those of the run that goes on, or else of the last one: PENDING, RUNNING, FAILED,
        CACHED or DONE.
        """
        engine = self._engine
        return report_of(self._counts if engine is None else engine.job_counts)

    def log_job_statuses(self) -> None:
        """Log how many jobs are where."""
        for line in self.get_job_status_report():
            self.log(line)

    def _shown_interval(self) -> float | None:
        """Return after how many seconds statuses are logged; None if nobody would see that."""
        is_seen = self.logger.isEnabledFor(logging.INFO) and not sys.stderr.isatty()
        return self._interval if is_seen else None

    def _say_where_results_go(self) -> None:
        if self._in_memory:
            self._in_memory = False
            self._notify(
                Warned(
                    "Results are kept in memory and end with this process. Use taskgraph.run(), or "
                    "Scheduler(load_settings()), to keep them in the project's database."
                )
            )

    def _warn_of_names(self) -> None:
        """Warn of tasks without a namespace, once: two of one name would be one task."""
        if self._has_looked_at_names or "namespace" in self.ignore_warnings:
            return
        self._has_looked_at_names = True
        names = sorted(each.name for each in get_task_registry() if not each.namespace)
        if names:
            shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
            self.logger.warning(
                "These tasks have no namespace: %s. Set taskgraph_namespace in their module, so "
                "that no other module's task of the same name takes their place, or "
                'ignore_warnings = "namespace" in the section [scheduler] of the settings.',
                shown,
            )
