"""Aliases: which earlier code, and which earlier names, count for which later ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.engine.aliases import MOST_EARLIER, Aliases
from taskgraph.hashing import TaskHash
from taskgraph.records import Micros, TaskAliasRecord


def alias(
    old: str, new: str, time: int = 0, end: int | None = None, names: tuple[str, str] = ("f", "f")
) -> TaskAliasRecord:
    ended = None if end is None else Micros(end)
    return TaskAliasRecord(TaskHash(old), TaskHash(new), Micros(time), *names, "me", "", ended)


def earlier(aliases: Aliases, new: str) -> list[str]:
    return [each.task_hash for each in aliases.earlier_than(TaskHash(new))]


def test_they_are_read_once_and_not_before_they_are_asked_for() -> None:
    reads: list[int] = []

    def load() -> list[TaskAliasRecord]:
        reads.append(1)
        return []

    aliases = Aliases(load)
    before = list(reads)
    aliases.earlier_than(TaskHash("a"))
    aliases.names_after("f")
    aliases.with_earlier([])

    assert (before, reads) == ([], [1])


def test_chains_are_followed_nearest_first() -> None:
    aliases = Aliases(lambda: [alias("a", "b"), alias("b", "c"), alias("x", "c", 5)])

    assert earlier(aliases, "c") == ["x", "b", "a"]
    assert earlier(aliases, "b") == ["a"]
    assert earlier(aliases, "a") == []


def test_what_ended_counts_no_more() -> None:
    aliases = Aliases(lambda: [alias("a", "b", 0, 3), alias("b", "c")])

    assert earlier(aliases, "c") == ["b"]


def test_what_was_taken_back_and_blessed_again_counts() -> None:
    aliases = Aliases(lambda: [alias("a", "b", 0, 3), alias("a", "b", 4)])

    assert earlier(aliases, "b") == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=20))
def test_cycles_end_and_never_name_the_task_itself(pairs: list[tuple[str, str]]) -> None:
    aliases = Aliases(lambda: [alias(old, new) for old, new in pairs])

    for each in "abcdef":
        found = earlier(aliases, each)
        assert each not in found
        assert len(found) == len(set(found))
        assert set(found) <= set("abcdef")


def test_a_long_chain_is_followed_so_far_and_no_further() -> None:
    aliases = Aliases(lambda: [alias(str(n), str(n + 1)) for n in range(100)])

    assert earlier(aliases, "100") == [str(99 - n) for n in range(MOST_EARLIER)]


def test_names_are_followed_too() -> None:
    aliases = Aliases(
        lambda: [
            alias("a", "b", names=("old.f", "f")),
            alias("b", "c", names=("f", "g")),
            alias("d", "e", names=("g", "old.f")),
        ]
    )

    assert aliases.names_after("old.f") == ["f", "g"]
    assert aliases.names_after("nothing") == []


def test_hashes_are_joined_by_all_that_count_for_them() -> None:
    aliases = Aliases(lambda: [alias("a", "b"), alias("x", "y")])

    assert aliases.with_earlier([TaskHash("b"), TaskHash("z")]) == {"a", "b", "z"}
