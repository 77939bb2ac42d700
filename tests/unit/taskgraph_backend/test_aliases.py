"""Aliases belong to the tasks on either side of them."""

from __future__ import annotations

from taskgraph_backend import SqlBackend
from taskgraph_backend.aliases import Aliases, joined_with, with_aliases
from tests.rows import a_task, an_alias, key, together


def test_what_pairs_join_is_reached_from_any_of_it() -> None:
    pairs = [("a", "b"), ("b", "c"), ("x", "y")]

    assert joined_with({"c"}, pairs) == {"a", "b", "c"}
    assert joined_with({"a", "y"}, pairs) == {"a", "b", "c", "x", "y"}
    assert joined_with({"z"}, pairs) == {"z"}


def test_aliases_concern_the_tasks_of_their_chain() -> None:
    backend = SqlBackend()
    tasks = [a_task(number) for number in (1, 2, 3, 4, 5)]
    backend.record(together(*tasks, an_alias(1, 2), an_alias(2, 3), an_alias(4, 5)))
    with backend.reader() as session:
        every = Aliases.read(session)

    found = every.concerning({key(3)})

    assert every.tasks == {key(number) for number in (1, 2, 3, 4, 5)}
    assert found.tasks == {key(1), key(2), key(3)}
    assert len(found.records) == 2


def test_the_other_tasks_of_aliases_are_chosen_too() -> None:
    backend = SqlBackend()
    backend.record(together(a_task(1), a_task(2), a_task(3), an_alias(1, 2)))
    chosen = {key(1)}
    with backend.reader() as session:
        found = with_aliases(session, chosen)

    assert chosen == {key(1), key(2)}
    assert len(found.records) == 1
