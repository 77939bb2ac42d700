from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from taskgraph.provenance.pairing import Pairing, Side

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A job of a test: its call is named by its task, its arguments and an edit."""

    id: str
    parent_id: str | None
    task_name: str
    call_hash: str | None
    args_hash: str | None
    start_time: datetime


def jobs(prefix: str, *calls: tuple[str, str | None, str]) -> list[Row]:
    """Make jobs of (id, parent, call); a call is ``task:arguments`` and what else counts."""
    made = []
    for number, (id, parent, call) in enumerate(calls):
        name, _, rest = call.partition(":")
        made.append(
            Row(
                prefix + id,
                None if parent is None else prefix + parent,
                name,
                call if rest else None,
                rest.partition("/")[0] or None,
                START + timedelta(seconds=number),
            )
        )
    return made


def paired(old: list[Row], new: list[Row]) -> set[tuple[str, str]]:
    def arguments(call: str) -> dict[object, str]:
        given = call.partition(":")[2].partition("/")[0]
        return dict(enumerate(given.split(",")))

    pairing = Pairing(Side(old, {}), Side(new, {}), arguments)
    return {(a.id[1:], b.id[1:]) for a, b in pairing.pairs}


def test_equal_calls_are_paired_wherever_they_stand() -> None:
    old = jobs("o", ("r", None, "main:1"), ("a", "r", "f:1"), ("b", "r", "f:2"))
    new = jobs(
        "n", ("r", None, "main:2"), ("m", "r", "mid:0"), ("b", "r", "f:2"), ("a", "m", "f:1")
    )

    assert paired(old, new) == {("r", "r"), ("a", "a"), ("b", "b")}


def test_what_was_edited_is_paired_by_its_arguments_before_its_place() -> None:
    old = jobs("o", ("r", None, "main:1"), ("a", "r", "f:1"), ("b", "r", "f:2"))
    new = jobs(
        "n",
        *(("r", None, "main:1/edit"), ("x", "r", "f:9/edit")),
        *(("a", "r", "f:1/edit"), ("b", "r", "f:2/edit")),
    )

    assert paired(old, new) == {("r", "r"), ("a", "a"), ("b", "b")}


def test_what_has_other_arguments_is_paired_by_its_place() -> None:
    old = jobs("o", ("r", None, "main:1"), ("a", "r", "f:1"), ("b", "r", "f:2"), ("c", "r", "g:3"))
    new = jobs("n", ("r", None, "main:2"), ("a", "r", "f:3"), ("c", "r", "g:1"), ("b", "r", "f:4"))

    assert paired(old, new) == {("r", "r"), ("a", "a"), ("b", "b"), ("c", "c")}


def test_an_equal_call_elsewhere_is_not_taken_for_another() -> None:
    old = jobs("o", ("r", None, "main:1"), ("m", "r", "mid:1"), ("a", "r", "f:1"))
    new = jobs(
        "n", ("r", None, "main:2"), ("b", "r", "f:2"), ("m", "r", "mid:2"), ("a", "m", "f:1")
    )

    assert ("a", "a") in paired(old, new)
    assert ("a", "b") not in paired(old, new)


def test_elsewhere_the_call_with_the_most_equal_arguments_is_meant() -> None:
    old = jobs("o", ("r", None, "one:1"), ("a", "r", "f:1,2,3"), ("b", "r", "f:7,8,9"))
    new = jobs("n", ("r", None, "two:1"), ("b", "r", "f:7,8,0"), ("a", "r", "f:1,2,0"))

    assert paired(old, new) == {("a", "a"), ("b", "b")}


def test_calls_with_nothing_in_common_are_not_paired() -> None:
    old = jobs("o", ("r", None, "one:1"), ("a", "r", "f:1"), ("b", "r", "f:2"))
    new = jobs("n", ("r", None, "two:1"), ("a", "r", "f:3"), ("b", "r", "f:4"))

    assert paired(old, new) == set()


def test_calls_that_have_not_ended_are_paired_by_their_place() -> None:
    old = jobs("o", ("r", None, "main"), ("a", "r", "f"))
    new = jobs("n", ("r", None, "main:1"), ("a", "r", "f:1"))

    assert paired(old, new) == {("r", "r"), ("a", "a")}


def test_a_chain_of_any_depth_is_paired() -> None:
    deep = [("0", None, "f:0")] + [(str(n), str(n - 1), f"f:{n}") for n in range(1, 5_000)]
    edited = [(id, parent, f"{call}/edit") for id, parent, call in deep]

    assert len(paired(jobs("o", *deep), jobs("n", *edited))) == 5_000


_calls = st.sampled_from(["f:1", "f:2", "f:1/e", "f:1,2", "g:1", "g", "g:2/e", "h:1"])
_trees = st.lists(st.tuples(st.integers(0, 8), _calls), min_size=1, max_size=9)


def _tree(prefix: str, drawn: list[tuple[int, str]]) -> list[Row]:
    rows = [("0", None, drawn[0][1])]
    rows += [
        (str(number), str(min(above, number - 1)), call)
        for number, (above, call) in enumerate(drawn[1:], 1)
    ]
    return jobs(prefix, *rows)


@given(_trees, _trees)
def test_each_job_has_one_partner_and_equal_calls_are_never_left(
    old: list[tuple[int, str]], new: list[tuple[int, str]]
) -> None:
    before, after = _tree("o", old), _tree("n", new)

    pairs = paired(before, after)

    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    names = {each.id[1:]: each.task_name for each in after}
    assert all(each.task_name == names[b] for each in before for a, b in pairs if a == each.id[1:])
    for call in {each.call_hash for each in before if each.call_hash}:
        own = [each.id[1:] for each in before if each.call_hash == call]
        theirs = [each.id[1:] for each in after if each.call_hash == call]
        equal = [pair for pair in pairs if pair[0] in own and pair[1] in theirs]
        assert len(equal) == min(len(own), len(theirs))


@given(_trees)
def test_an_execution_is_the_same_as_itself(drawn: list[tuple[int, str]]) -> None:
    before, after = _tree("o", drawn), _tree("n", drawn)
    calls = {each.id[1:]: each.call_hash for each in before}

    pairs = paired(before, after)

    assert all(calls[a] == calls[b] for a, b in pairs if calls[a] and calls[b])
    assert len(pairs) >= sum(1 for each in before if each.call_hash)
