"""Which groups datasets make: those with the same values of some facets are one group."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, product
from typing import Any, Final

from taskgraph.catalog.group_rows import Candidate, Derived
from taskgraph.catalog.uses import DatasetPin
from taskgraph.errors import ValidationError
from taskgraph.jsontext import to_json
from taskgraph.tags import parse_tag_value

#: The key of the one group that all datasets make where they are not told apart.
EVERYTHING: Final = "all"
_BARE: Final = re.compile(r"[^\s,=\"]+")


def derive(datasets: Iterable[Candidate], group_by: Sequence[str]) -> list[Derived]:
    """Return the groups that datasets make, by key.

    A dataset that lacks one of the facets is in no group; one that has several values of a facet is
    in a group of each.

    Args:
        datasets: The datasets.
        group_by: Facets: ``key`` of any type, or ``type.key`` of datasets of that type.
    """
    found: dict[str, tuple[dict[str, Any], dict[str, DatasetPin]]] = {}
    for each in datasets:
        choices = [facet_of(each, key) for key in group_by]
        for values in product(*choices):
            selectors = dict(sorted(zip(group_by, values, strict=True)))
            _, members = found.setdefault(key_of(selectors), (selectors, {}))
            members[each.pin.dataset_id] = each.pin
    return [
        Derived(uuid.uuid4().hex, key, selectors, _named_apart(members.values()))
        for key, (selectors, members) in sorted(found.items())
    ]


def facet_of(dataset: Candidate, key: str) -> list[Any]:
    """Return the values that a dataset has of a facet."""
    found = list(dataset.facets.get(key, ()))
    kind = f"{dataset.pin.type}."
    if key.startswith(kind):
        found += dataset.facets.get(key.removeprefix(kind), ())
    return list({to_json(each): each for each in found}.values())


def key_of(selectors: Mapping[str, Any]) -> str:
    """Return the text that tells facets with their values from all others, for people to read."""
    if not selectors:
        return EVERYTHING
    return ",".join(f"{key}={_word(value)}" for key, value in sorted(selectors.items()))


def _word(value: Any) -> str:
    is_bare = isinstance(value, str) and _BARE.fullmatch(value) is not None
    return value if is_bare and parse_tag_value(value) == value else to_json(value)


def _named_apart(pins: Iterable[DatasetPin]) -> tuple[DatasetPin, ...]:
    """Return the datasets of a group by name; two of one name are those of different studies."""
    every = sorted(pins, key=lambda each: (each.name, each.dataset_id))
    for one, other in pairwise(every):
        if one.name == other.name:
            raise ValidationError(
                "datasets",
                f"two of them are called {one.name!r}: plan those of one study at a time, as "
                "`datasets.list(F.study(NAME))`, or by --study.",
            )
    return tuple(every)


def checked_facets(given: Iterable[str]) -> tuple[str, ...]:
    """Return the facets by which datasets are told apart.

    Raises:
        ValidationError: One of them is no text, or is named twice.
    """
    if isinstance(given, str):
        raise ValidationError("group_by", f"expected a list of facets, not {given!r}.")
    found = tuple(given)
    for each in found:
        if not isinstance(each, str) or not each.strip() or "=" in each:
            raise ValidationError("group_by", f"expected a facet, not {each!r}.")
    if len(set(found)) < len(found):
        raise ValidationError("group_by", "a facet is named twice.")
    return found


__all__ = ["EVERYTHING", "checked_facets", "derive", "facet_of", "key_of"]
