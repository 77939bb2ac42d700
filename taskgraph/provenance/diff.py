"""What is not the same in two executions: calls that are new, gone or changed, and by what.

Everything is told by hashes and previews: no value is read. The number of statements is the same
for executions of any size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from taskgraph.provenance.diff_views import (
    DiffArgument,
    DiffCall,
    DiffChange,
    DiffCode,
    DiffTask,
    ExecutionsDiff,
    Ingredient,
    Some,
)
from taskgraph.provenance.explain_calls import Given, name_of
from taskgraph.provenance.explain_code import compare_parts, describe_parts
from taskgraph.provenance.pairing import Pairing, Side
from taskgraph.provenance.rows import DiffJobRow, DiffReader, ExecutionRow
from taskgraph.provenance.views import ExecutionView

_OWN: Final = "taskgraph."
#: How many versions of tasks are compared, how many parts of each, how many arguments of a call.
_MOST_CODES: Final = 50
_MOST_PARTS: Final = 10
_MOST_ARGUMENTS: Final = 5
_MOST_SHOWN_ARGUMENTS: Final = 8
_MOST_TASKS: Final = 50
#: How many calls of each kind are told of.
MOST_CALLS: Final = 20


def compare(
    reader: DiffReader, old: ExecutionRow, new: ExecutionRow, *, limit: int = MOST_CALLS
) -> ExecutionsDiff:
    """Hold two executions against each other.

    Args:
        reader: Where to look.
        old: One execution.
        new: The other.
        limit: At most so many calls of each kind are told of.
    """
    return _Comparison(reader, old, new).tell(limit)


class _Comparison:
    """Two executions and how their calls are paired."""

    def __init__(self, reader: DiffReader, old: ExecutionRow, new: ExecutionRow) -> None:
        self._reader = reader
        self._rows = old, new
        jobs = reader.compared_jobs(old.id, new.id)
        self._by_id = {each.id: each for each in jobs}
        self._files: dict[str, tuple[str | None, str]] = {}
        self._given: dict[str, dict[Any, str]] = {}
        self._givers: dict[tuple[str, Any], list[str]] = {}
        for each in reader.compared_arguments(old.id, new.id):
            self._given.setdefault(each.call_hash, {})[each.position, each.key] = each.value_hash
            if each.giver is not None:
                place = each.call_hash, (each.position, each.key)
                self._givers.setdefault(place, []).append(each.giver)
            if each.path is not None:
                self._files[each.value_hash] = each.root, each.path
        orders: dict[str, dict[str, list[int]]] = {}
        for parent, child, order in reader.compared_edges(old.id, new.id):
            orders.setdefault(parent, {}).setdefault(child, []).append(order)
        self._reads: dict[str, dict[str, str]] = {}
        for call, path, value in reader.compared_contexts(old.id, new.id):
            self._reads.setdefault(call, {})[path] = value
        self._old = Side([each for each in jobs if each.execution_id == old.id], orders)
        self._new = Side([each for each in jobs if each.execution_id == new.id], orders)
        self._pairing = Pairing(self._old, self._new, lambda call: self._given.get(call, {}))
        self._environment = _environments_differ(old, new)
        self._reused = self._unseen(self._old) | self._unseen(self._new)
        self._changed = [pair for pair in self._pairing.pairs if not _is_same(*pair)]
        self._changed_ids = {each.id for pair in self._changed for each in pair}
        # The calls of the new execution that changed or are new, with their tasks.
        self._other_calls = {
            each.call_hash: each.task_name
            for each in (*(new for _, new in self._changed), *self._new.unpaired.values())
            if each.call_hash is not None
        }

    def tell(self, limit: int) -> ExecutionsDiff:
        """Return the answer."""
        changed = [pair for pair in self._changed if not _is_internal(pair[1])]
        found = {new.id: self._ingredients(old, new) for old, new in changed}
        ranks = {new.id: self._rank(found[new.id], new) for _, new in changed}
        changed.sort(key=lambda pair: (ranks[pair[1].id], pair[1].start_time, pair[1].id))
        gone = self._alone(self._old)
        added = self._alone(self._new)
        by = Counter(each for id in found for each in found[id])
        same = [new for old, new in self._pairing.pairs if _is_same(old, new)]
        same = [each for each in same if not _is_internal(each)]
        shown = self._shown(changed[:limit], found, gone[:limit], added[:limit])
        tasks = _count_by_task(same, [new for _, new in changed], added, gone)
        return ExecutionsDiff(
            old=ExecutionView.of(self._rows[0], _counts(self._old.jobs)),
            new=ExecutionView.of(self._rows[1], _counts(self._new.jobs)),
            is_environment_changed=self._environment,
            same=len(same),
            changed=len(changed),
            added=len(added),
            gone=len(gone),
            reused=sum(not internal for internal in self._reused.values()),
            by={each.value: by[each] for each in Ingredient if by[each]},
            tasks=Some.of(tasks, _MOST_TASKS),
            codes=self._codes(changed),
            changes=Some(shown[0], max(0, len(changed) - limit)),
            added_calls=Some(shown[2], max(0, len(added) - limit)),
            gone_calls=Some(shown[1], max(0, len(gone) - limit)),
        )

    def _unseen(self, side: Side[DiffJobRow]) -> dict[str, bool]:
        """Return the jobs without a partner that are below a call which the other reused whole.

        By their ids; each with whether its task is one of the library's own.
        """
        found: dict[str, bool] = {}
        other = self._new if side is self._old else self._old
        for job in side.walk():
            above = self._by_id.get(job.parent_id or "")
            if job.id in self._pairing.partner or above is None:
                continue
            partner = self._pairing.partner.get(above.id)
            if partner is None:
                is_unseen = above.id in found
            else:
                is_same = partner.call_hash is not None and partner.call_hash == above.call_hash
                is_unseen = is_same or (partner.cached and not other.children.get(partner.id))
            if is_unseen:
                found[job.id] = _is_internal(job)
        return found

    def _alone(self, side: Side[DiffJobRow]) -> list[DiffJobRow]:
        return [
            each
            for each in side.jobs
            if each.id in side.unpaired and each.id not in self._reused and not _is_internal(each)
        ]

    # What of a call is not the same

    def _ingredients(self, old: DiffJobRow, new: DiffJobRow) -> tuple[Ingredient, ...]:
        found = set()
        if old.task_hash != new.task_hash:
            found.add(Ingredient.CODE)
        for label in self._differing(old, new):
            is_file = self._is_same_file(old, new, label)
            found.add(Ingredient.FILE if is_file else Ingredient.ARGUMENT)
        if not found and old.args_hash and new.args_hash and old.args_hash != new.args_hash:
            found.add(Ingredient.ARGUMENT)  # the same values in another order
        if self._contexts(old, new):
            found.add(Ingredient.CONTEXT)
        if old.state != new.state:
            found.add(Ingredient.STATE)
        if self._has_other_children(old, new):
            found.add(Ingredient.CHILDREN)
        if not found:
            found.add(Ingredient.ENVIRONMENT if self._environment else Ingredient.RESULT)
        return tuple(each for each in Ingredient if each in found)

    def _differing(self, old: DiffJobRow, new: DiffJobRow) -> list[Any]:
        """Return the places of arguments that are not the same, where those of both are known."""
        if old.call_hash is None or new.call_hash is None:
            return []
        before, after = self._given.get(old.call_hash, {}), self._given.get(new.call_hash, {})
        every = dict.fromkeys([*before, *after])
        labels = [each for each in every if before.get(each) != after.get(each)]
        return sorted(labels, key=lambda each: (each[0] is None, each[0] or 0, each[1] or ""))

    def _is_same_file(self, old: DiffJobRow, new: DiffJobRow, label: Any) -> bool:
        values = [self._given.get(each.call_hash or "", {}).get(label) for each in (old, new)]
        places = [self._files.get(each) if each is not None else None for each in values]
        return places[0] is not None and places[0] == places[1]

    def _contexts(self, old: DiffJobRow, new: DiffJobRow) -> list[str]:
        if old.call_hash is None or new.call_hash is None:
            return []
        before, after = self._reads.get(old.call_hash, {}), self._reads.get(new.call_hash, {})
        # What only one of them read follows from something else.
        return sorted(path for path in before.keys() & after if before[path] != after[path])

    def _has_other_children(self, old: DiffJobRow, new: DiffJobRow) -> bool:
        for own, other, side in ((old, new, self._old), (new, old, self._new)):
            for child in _calls_of(side, own):
                partner = self._pairing.partner.get(child.id)
                if partner is None:
                    if child.id not in self._reused:
                        return True
                elif child.id in self._changed_ids or self._caller(partner) != other.id:
                    return True
        return False

    def _caller(self, job: DiffJobRow) -> str | None:
        """Return the job that made a call; tasks of the library do not count."""
        above = self._by_id.get(job.parent_id or "")
        while above is not None and _is_internal(above):
            above = self._by_id.get(above.parent_id or "")
        return None if above is None else above.id

    def _rank(self, ingredients: Sequence[Ingredient], new: DiffJobRow) -> tuple[bool, int]:
        first = tuple(Ingredient).index(ingredients[0])
        follows = ingredients[0] is Ingredient.ARGUMENT and self._is_given(new)
        return follows or ingredients[0] is Ingredient.CHILDREN, first

    def _is_given(self, new: DiffJobRow) -> bool:
        """Tell whether what changed among the arguments are results of calls that changed."""
        old = self._pairing.partner[new.id]
        labels = self._differing(old, new)
        return bool(labels) and all(self._giver(new, each) is not None for each in labels)

    def _giver(self, job: DiffJobRow, label: Any) -> str | None:
        """Return the task of a call that is not as it was, and that an argument came from."""
        givers = self._givers.get((job.call_hash or "", label), ())
        return next((self._other_calls[each] for each in givers if each in self._other_calls), None)

    # What is shown

    def _codes(self, changed: Sequence[tuple[DiffJobRow, DiffJobRow]]) -> Some[DiffCode]:
        calls = Counter(
            (new.task_name, old.task_hash, new.task_hash)
            for old, new in changed
            if old.task_hash != new.task_hash
        )
        chosen = sorted(calls, key=lambda each: (-calls[each], each))[:_MOST_CODES]
        parts = self._reader.parts_of([key for _, *both in chosen for key in both])
        compared = {key: compare_parts(parts[key[1]], parts[key[2]]) for key in chosen}
        hashes = [
            each
            for changes in compared.values()
            for change in changes[:_MOST_PARTS]
            for each in (change.old_hash, change.new_hash)
            if each is not None
        ]
        texts = self._reader.texts_of_parts(hashes)
        codes = tuple(
            DiffCode(
                *key,
                calls[key],
                tuple(describe_parts(changes[:_MOST_PARTS], lambda part: texts.get(part, ""))),
                max(0, len(changes) - _MOST_PARTS),
            )
            for key, changes in compared.items()
        )
        return Some(codes, len(calls) - len(codes))

    def _shown(
        self,
        changed: Sequence[tuple[DiffJobRow, DiffJobRow]],
        ingredients: Mapping[str, tuple[Ingredient, ...]],
        gone: Sequence[DiffJobRow],
        added: Sequence[DiffJobRow],
    ) -> tuple[tuple[DiffChange, ...], tuple[DiffCall, ...], tuple[DiffCall, ...]]:
        """Return what is told of calls, with all previews read in one statement."""
        calls = [each.call_hash for each in (*gone, *added) if each.call_hash is not None]
        given = self._reader.arguments_of(calls)
        labels = {new.id: self._differing(old, new)[:_MOST_ARGUMENTS] for old, new in changed}
        wanted = {
            value
            for old, new in changed
            for job in (old, new)
            for value in (
                job.value_hash,
                *(self._given.get(job.call_hash or "", {}).get(each) for each in labels[new.id]),
            )
            if value is not None
        }
        wanted |= {each.value_hash for of in given.values() for each in of[:_MOST_SHOWN_ARGUMENTS]}
        values = self._reader.values_of(sorted(wanted))

        def preview(value_hash: str | None) -> str | None:
            found = None if value_hash is None else values.get(value_hash)
            return None if found is None else found.preview

        def call(job: DiffJobRow) -> DiffCall:
            of = given.get(job.call_hash or "", ())[:_MOST_SHOWN_ARGUMENTS]
            arguments = tuple((name_of(each), preview(each.value_hash) or "?") for each in of)
            return DiffCall(job.id, job.call_hash, job.task_name, _status(job), arguments)

        changes = []
        for old, new in changed:
            before = self._given.get(old.call_hash or "", {})
            after = self._given.get(new.call_hash or "", {})
            arguments = tuple(
                DiffArgument(
                    name_of(Given(each[0], each[1], "")),
                    preview(before.get(each)),
                    preview(after.get(each)),
                    self._is_same_file(old, new, each),
                    self._giver(new, each),
                )
                for each in labels[new.id]
            )
            changes.append(
                DiffChange(
                    new.task_name,
                    old.id,
                    new.id,
                    ingredients[new.id],
                    arguments,
                    tuple(self._contexts(old, new)[:_MOST_ARGUMENTS]),
                    _status(old),
                    _status(new),
                    preview(old.value_hash),
                    preview(new.value_hash),
                )
            )
        return tuple(changes), tuple(map(call, gone)), tuple(map(call, added))


def _calls_of(side: Side[DiffJobRow], job: DiffJobRow) -> Iterator[DiffJobRow]:
    """Yield the calls that a job made, itself or by way of tasks of the library."""
    waiting = list(side.children.get(job.id, ()))
    while waiting:
        child = waiting.pop()
        if _is_internal(child):
            waiting.extend(side.children.get(child.id, ()))
        else:
            yield child


def _is_same(old: DiffJobRow, new: DiffJobRow) -> bool:
    if old.call_hash is not None or new.call_hash is not None:
        return old.call_hash == new.call_hash
    # Neither has ended: what is known of them is what was to be computed.
    return (old.eval_hash, old.task_hash, old.state) == (new.eval_hash, new.task_hash, new.state)


def _is_internal(job: DiffJobRow) -> bool:
    return job.task_name.startswith(_OWN)


def _environments_differ(old: ExecutionRow, new: ExecutionRow) -> bool | None:
    if old.environment is None or new.environment is None:
        return None
    return old.environment.value_hash != new.environment.value_hash


_STATUSES: Final = {"CRASHED": "FAILED", "SCHEDULED": "PENDING"}


def _status(job: DiffJobRow) -> str:
    if job.state == "COMPLETED":
        return "CACHED" if job.cached else "DONE"
    return _STATUSES.get(job.state, job.state)


def _counts(jobs: Iterable[DiffJobRow]) -> dict[str, int]:
    return dict(Counter(map(_status, jobs)))


def _count_by_task(*kinds: Sequence[DiffJobRow]) -> list[DiffTask]:
    """Return the numbers by task: those with the most that are not the same first."""
    counts = [Counter(each.task_name for each in kind) for kind in kinds]
    names = dict.fromkeys(name for count in counts for name in count)
    tasks = [DiffTask(name, *(count[name] for count in counts)) for name in names]
    return sorted(tasks, key=lambda each: (-(each.changed + each.new + each.gone), each.task))


__all__ = ["MOST_CALLS", "compare"]
