"""`F`: criteria as people write them, ``F.state("RUNNING") & ~F.name(like="smoke")``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from taskgraph.catalog.criteria import All, Criteria
from taskgraph.catalog.reading import leaf
from taskgraph.catalog.states import StateType


class F:
    """Makes criteria: ``F.state("RUNNING") & ~F.name(like="smoke")``."""

    @staticmethod
    def all() -> Criteria:
        """All executions."""
        return Criteria()

    @staticmethod
    def state(*types: str | StateType, name: str | None = None) -> Criteria:
        """Those in a state of some types, or of a name."""
        found: Criteria = Criteria()
        if types:
            found &= leaf("state.type", "any_", [str(each) for each in types])
        return found if name is None else found & leaf("state.name", "any_", name)

    @staticmethod
    def status(*statuses: str) -> Criteria:
        """Those of some statuses, as ``taskgraph log`` shows them."""
        return leaf("status", "any_", statuses)

    @staticmethod
    def tags(
        *,
        all: Any = None,
        any: Any = None,
        not_any: Any = None,
        is_null: bool | None = None,
    ) -> Criteria:
        """Those with all tags, any of them, or none of them; or without any tag."""
        given = {"all_": all, "any_": any, "not_any_": not_any, "is_null_": is_null}
        return _together("tags", given)

    @staticmethod
    def queues(*, all: Any = None, any: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that were declared for queues."""
        return _together("queues", {"all_": all, "any_": any, "is_null_": is_null})

    @staticmethod
    def id(*ids: str) -> Criteria:
        """Those of some ids."""
        return leaf("id", "any_", ids)

    @staticmethod
    def name(*names: str, like: str | None = None) -> Criteria:
        """Those of some names, or with a part in their name, whatever the case."""
        return _together("name", {"any_": names or None, "like_": like})

    @staticmethod
    def entrypoint(*names: str, like: str | None = None) -> Criteria:
        """Those that run something of this name."""
        return _together("entrypoint", {"any_": names or None, "like_": like})

    @staticmethod
    def task(*names: str) -> Criteria:
        """Those that run a task, by its full or its bare name."""
        return leaf("task", "any_", names)

    @staticmethod
    def study(*names: str, like: str | None = None, is_null: bool | None = None) -> Criteria:
        """Those of some studies, by name; or of none."""
        given = {"any_": names or None, "like_": like, "is_null_": is_null}
        return _together("study", given)

    @staticmethod
    def workspace(*folders: str, like: str | None = None, is_null: bool | None = None) -> Criteria:
        """Those whose workspace is one of some folders."""
        given = {"any_": folders or None, "like_": like, "is_null_": is_null}
        return _together("workspace", given)

    @staticmethod
    def workflow(*names: str, is_null: bool | None = None) -> Criteria:
        """Those of some workflows, by full or bare name, as ``name@version`` or by id."""
        return _together("workflow", {"any_": names or None, "is_null_": is_null})

    @staticmethod
    def group(*keys: str, is_null: bool | None = None) -> Criteria:
        """Those of some execution groups, by key or id."""
        return _together("group", {"any_": keys or None, "is_null_": is_null})

    @staticmethod
    def created(*, before: Any = None, after: Any = None) -> Criteria:
        """Those that were created in a time; both ends are part of it."""
        return _together("created", {"before_": before, "after_": after})

    @staticmethod
    def started(*, before: Any = None, after: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that began to run in a time; or never did."""
        given = {"before_": before, "after_": after, "is_null_": is_null}
        return _together("started", given)

    @staticmethod
    def ended(*, before: Any = None, after: Any = None, is_null: bool | None = None) -> Criteria:
        """Those that ended in a time; or have not."""
        given = {"before_": before, "after_": after, "is_null_": is_null}
        return _together("ended", given)

    @staticmethod
    def jobs(criteria: Criteria | Mapping[str, Any]) -> Criteria:
        """Those with a job for which all holds that is asked of jobs."""
        return leaf("jobs", "exists_", criteria)

    @staticmethod
    def facet(key: str, *values: Any, any: Any = None, not_any: Any = None) -> Criteria:
        """Datasets with a facet, or executions that read such.

        Args:
            key: The facet, of datasets of any type; ``type.key`` only of those of that type.
            values: What it may be; without any, it is enough that there is one.
            any: More of them.
            not_any: What it may not be.
        """
        found: Criteria = Criteria()
        wanted = [*values, *_each(any)]
        if wanted or not_any is None:
            labels: list[object] = [{"key": key, "value": each} for each in wanted]
            found &= leaf("facet", "any_", labels or [{"key": key}])
        if not_any is not None:
            unwanted = [{"key": key, "value": each} for each in _each(not_any)]
            found &= leaf("facet", "not_any_", unwanted)
        return found.parts[0] if isinstance(found, All) and len(found.parts) == 1 else found

    @staticmethod
    def type(*types: str, like: str | None = None) -> Criteria:
        """Datasets of some types."""
        return _together("type", {"any_": types or None, "like_": like})

    @staticmethod
    def dataset(*names: str, role: str | None = None) -> Criteria:
        """Executions that use a dataset of one of some names, as ``input`` or ``output``."""
        asked: dict[str, Any] = {"name": {"any_": list(names)}} if names else {}
        return F.datasets({**asked, "role": {"any_": [role]}} if role is not None else asked)

    @staticmethod
    def datasets(criteria: Criteria | Mapping[str, Any]) -> Criteria:
        """Executions with a dataset for which all holds that is asked of datasets, and of roles."""
        return leaf("datasets", "exists_", criteria)

    @staticmethod
    def where(key: str, operator: str, value: Any) -> Criteria:
        """One thing that is asked of an execution, or of a dataset, as JSON says it."""
        return leaf(key, operator, value)


def _each(given: Any) -> list[Any]:
    """Return values one by one: a text is one of them."""
    if given is None:
        return []
    is_many = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    return list(given) if is_many else [given]


def _together(key: str, given: Mapping[str, Any]) -> Criteria:
    found: Criteria = Criteria()
    for operator, value in given.items():
        if value is not None:
            found &= leaf(key, operator, value)
    if isinstance(found, All) and len(found.parts) == 1:
        return found.parts[0]
    return found


__all__ = ["F"]
