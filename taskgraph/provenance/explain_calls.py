"""Calls that missed the cache, held against the nearest call that was made before.

Nearest is the earlier call of the same task that differs in the fewest ingredients: parts of its
code and arguments. Between equals it is the one that stood at the same place below the same caller;
then that with the fewest differing arguments that came from no call which ran; then one that this
execution did not make as well; then the newest. Nothing is guessed: if no ingredient can be named,
the change is UNNAMED, and that is a bug.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, islice
from typing import Any, Final, NamedTuple

from taskgraph.errors import DamagedValueError
from taskgraph.fingerprint.parts import PartKind
from taskgraph.hashing import ArgsHash, TaskHash, hash_args, hash_eval
from taskgraph.provenance.difference import Difference, find_differences
from taskgraph.provenance.explain import (
    Cause,
    Change,
    ChangeKind,
    EarlierCall,
    ExplainedJob,
    Explanation,
    Verdict,
)
from taskgraph.provenance.explain_code import PartChange, compare_parts, describe_parts
from taskgraph.provenance.rows import (
    FileRow,
    GivenRow,
    HistoryReader,
    PartRow,
    PastCallRow,
    ValueRow,
)
from taskgraph.records import StoredResult
from taskgraph.values import codec
from taskgraph.values.contents import MISSING
from taskgraph.values.failures import ERROR_TYPE
from taskgraph.values.pack import pack
from taskgraph.values.preview import preview
from taskgraph.values.stored import EVICTED, UNSTORED

#: How many of the newest calls of a task, and how many of its versions, are looked at.
MOST_CALLS: Final = 200
MOST_VERSIONS: Final = 50
#: Values that are larger are not taken apart, whether for one call or for many.
MOST_BYTES: Final = 64_000_000
_MOST_BYTES_EACH: Final = 1_000_000
_MOST_CAUSES: Final = 3
_MOST_CHANGES: Final = 40
_MOST_SHOWN: Final = 50
# How many ways of leaving arguments out are tried to find which of them count.
_MOST_WAYS: Final = 4_000
_MOST_LEFT_OUT: Final = 4

#: What is stored of a value whose bytes were found to be damaged.
_DAMAGED: Final = "damaged"

# The names of the engine's reasons, as they are recorded with a job.
_REASONS: Final[Mapping[str, ChangeKind]] = {
    "SCOPE": ChangeKind.SCOPE,
    "DAMAGED": ChangeKind.DAMAGED,
    "EVICTED": ChangeKind.EVICTED,
    "INVALID": ChangeKind.OUTPUT,
    "UNPLANTED": ChangeKind.UNPLANTED,
    "REFUTED": ChangeKind.REFUTED,
    "REFUSED": ChangeKind.REFUSED,
    "AGE": ChangeKind.AGE,
    "UNTRUSTED": ChangeKind.UNTRUSTED,
    "RETRACTED": ChangeKind.RETRACTED,
}

# What the kind of files says of one that is not as it was, and what is said of it here.
_FILE_NEWS: Final[Mapping[str, str]] = {
    "it is not there any more": "vanished",
    "it is there now and was not": "appeared",
    "its content changed": "content changed",
}
_MOST_OUTPUTS: Final = 1_000

#: An argument's place: its position and its parameter's name, of which one may be None.
Label = tuple[int | None, str | None]


class Given(NamedTuple):
    """An argument by the hash of its value."""

    position: int | None
    key: str | None
    value_hash: str


class LivePart(NamedTuple):
    """A part of the code as it is now, which need not be recorded yet."""

    part_hash: str
    kind: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Question:
    """A call that missed, or would miss, and what is known of it.

    Attributes:
        task: Full name of its task.
        task_hash: Its code.
        eval_hash: Its key; None if an argument has no hash.
        args_hash: Its arguments that count.
        given: All its arguments; None if they are not recorded, as those of a job that runs.
        job: Its job.
        reason: The name of the engine's reason; "" if nothing was found.
        detail: More of the reason.
        caller: The call that wrote it down, to find its place there in earlier runs.
        called_by: The same as a cause.
        order: Its position among the calls of the caller.
        givers: The calls that its arguments came from, by the names of these.
        values: Arguments themselves by value hash, where they are at hand.
        parts: Its code, where that is not recorded.
        made: The keys of the calls of its execution, where that is not recorded.
    """

    task: str
    task_hash: str
    eval_hash: str | None
    args_hash: str | None
    given: tuple[Given, ...] | None
    job: ExplainedJob | None = None
    reason: str = ""
    detail: str = ""
    caller: Question | None = None
    called_by: Cause | None = None
    order: int | None = None
    givers: Mapping[str, Sequence[Cause]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[LivePart, ...] | None = None
    made: Container[str] | None = None


class _Answer(NamedTuple):
    """A question with what it is held against: an equal earlier call, or the nearest one."""

    question: Question
    equal: PastCallRow | None
    nearest: PastCallRow | None


class Explainer:
    """Explains calls of one execution.

    Args:
        reader: Where to look.
        before: Calls that were made later do not count: when the execution started.
        execution_id: The execution.
    """

    def __init__(
        self,
        reader: HistoryReader,
        before: datetime,
        execution_id: str | None = None,
    ) -> None:
        self._reader = reader
        self._before = before
        self._execution_id = execution_id
        self._versions: dict[str, Sequence[str]] = {}
        self._recent: dict[str, Sequence[PastCallRow]] = {}
        self._made_here: dict[str, set[str]] = {}
        self._by_key: dict[str, list[PastCallRow]] = {}
        self._arguments: dict[str, dict[Label, str]] = {}
        self._parts: dict[str, Sequence[PartRow]] = {}
        self._compared: dict[tuple[str, str], list[PartChange]] = {}
        self._texts: dict[str, str] = {}

    def explain(self, questions: Sequence[Question]) -> list[Explanation]:
        """Explain calls that missed, in a number of statements that is that for a few hundred."""
        callers = [each.caller for each in questions if each.caller is not None]
        self._load_keys([*questions, *callers])
        answers = self._answer(questions)
        differing = {
            given
            for answer in answers
            for pair in self._differing(answer).values()
            for given in pair
            if given is not None
        }
        shown = {each.value_hash for one in questions for each in (one.given or ())[:_MOST_SHOWN]}
        values = self._reader.values_of(sorted(differing | shown))
        most_bytes = MOST_BYTES if len(questions) == 1 else _MOST_BYTES_EACH
        stored = self._reader.trusted_values(sorted(differing), most_bytes)
        self._load_texts(answers)
        look = _Values(values, stored)
        return [self._explain(answer, look) for answer in answers]

    # What is held against what

    def _load_keys(self, questions: Sequence[Question]) -> None:
        for task in {each.task for each in questions} - self._versions.keys():
            self._versions[task] = self._reader.task_versions(task, MOST_VERSIONS)
        keys = {key for each in questions for key in self._keys(each)} - self._by_key.keys()
        self._by_key.update((key, []) for key in keys)
        for call in self._reader.calls_by_key(sorted(keys), self._before):
            self._by_key[call.eval_hash].append(call)
        versions = {each.task_hash for each in questions if each.parts is None}
        versions |= {call.task_hash for key in keys for call in self._by_key[key]}
        self._load_parts(versions)
        for each in questions:
            if each.parts is not None:
                self._parts[each.task_hash] = each.parts
                self._texts.update((part.part_hash, part.source) for part in each.parts)

    def _keys(self, question: Question) -> Iterable[str]:
        """Yield the keys that the call has, and had with each earlier version of the code."""
        if question.eval_hash is not None:
            yield question.eval_hash
        if question.args_hash is None:
            return
        for version in self._versions[question.task]:
            yield hash_eval(TaskHash(version), ArgsHash(question.args_hash))

    def _load_parts(self, versions: Iterable[str]) -> None:
        unknown = set(versions) - self._parts.keys()
        if unknown:
            self._parts.update(self._reader.parts_of(sorted(unknown)))

    def _load_texts(self, answers: Sequence[_Answer]) -> None:
        wanted = {
            part_hash
            for question, equal, nearest in answers
            if equal is None and nearest is not None
            for change in self._compare(nearest.task_hash, question.task_hash)
            for part_hash in (change.old_hash, change.new_hash)
            if part_hash is not None
        }
        unknown = wanted - self._texts.keys()
        self._texts.update(self._reader.texts_of_parts(sorted(unknown)))

    def _answer(self, questions: Sequence[Question]) -> list[_Answer]:
        equal = [self._equal(each) for each in questions]
        nearest = [
            self._nearest(each, ()) if same is None else None
            for each, same in zip(questions, equal, strict=True)
        ]
        # Only those that are not the same call under other code need a look at their callers.
        aligned = self._aligned(
            [
                each
                for each, same, near in zip(questions, equal, nearest, strict=True)
                if same is None and near is not None and near.args_hash != each.args_hash
            ]
        )
        return [
            _Answer(each, same, self._nearest(each, (aligned[id(each)],)))
            if id(each) in aligned
            else _Answer(each, same, near)
            for each, same, near in zip(questions, equal, nearest, strict=True)
        ]

    def _equal(self, question: Question) -> PastCallRow | None:
        """Return the newest earlier call with the very same key."""
        if question.eval_hash is None:
            return None
        return next(iter(self._by_key[question.eval_hash]), None)

    def _aligned(self, questions: Sequence[Question]) -> dict[int, PastCallRow]:
        """Return the calls that stood in the same place below the caller's own earlier call."""
        places: dict[int, tuple[str, int]] = {}
        callers: dict[int, PastCallRow | None] = {}
        for each in questions:
            if each.caller is None or each.order is None:
                continue
            if id(each.caller) not in callers:
                callers[id(each.caller)] = self._equal(each.caller) or self._nearest(
                    each.caller, ()
                )
            before = callers[id(each.caller)]
            if before is not None:
                places[id(each)] = (before.call_hash, each.order)
        found = self._reader.calls_at(sorted(set(places.values())))
        tasks = {id(each): each.task for each in questions}
        return {
            key: found[place]
            for key, place in places.items()
            if place in found and found[place].task_hash in self._versions[tasks[key]]
        }

    def _nearest(self, question: Question, aligned: Sequence[PastCallRow]) -> PastCallRow | None:
        keyed = [call for key in self._keys(question) for call in self._by_key[key]]
        best = min(
            keyed,
            key=lambda call: (
                self._count_parts(call.task_hash, question.task_hash),
                -call.timestamp.timestamp(),
            ),
            default=None,
        )
        if best is not None and self._count_parts(best.task_hash, question.task_hash) <= 1:
            return best
        recent = self._recent_calls(question.task)
        candidates = {call.call_hash: call for call in (*keyed, *aligned, *recent)}
        if not candidates:
            return None
        self._load_parts({call.task_hash for call in candidates.values()})
        self._load_arguments(list(candidates))
        counts = {key: self._count(question, call) for key, call in candidates.items()}
        fewest = min(counts.values())
        tied = [call for key, call in candidates.items() if counts[key] == fewest]
        if len(tied) == 1:
            return tied[0]
        made_here = self._made_in_execution(question, tied)
        places = {call.call_hash for call in aligned}
        return min(
            tied,
            key=lambda call: (
                call.call_hash not in places,
                self._count_unexplained(question, call),
                call.call_hash in made_here,
                -call.timestamp.timestamp(),
            ),
        )

    def _recent_calls(self, task: str) -> Sequence[PastCallRow]:
        if task not in self._recent:
            self._recent[task] = self._reader.newest_calls(
                self._versions[task], self._before, MOST_CALLS
            )
        return self._recent[task]

    def _made_in_execution(self, question: Question, calls: Sequence[PastCallRow]) -> set[str]:
        """Return which calls this execution made or reused too: they were replaced by nothing."""
        if question.made is not None:
            return {call.call_hash for call in calls if call.eval_hash in question.made}
        if self._execution_id is None:
            return set()
        task = question.task
        if task not in self._made_here:
            wanted = [call.call_hash for call in self._recent_calls(task)]
            self._made_here[task] = self._reader.calls_made_in(self._execution_id, wanted)
        return self._made_here[task]

    def _load_arguments(self, call_hashes: Sequence[str]) -> None:
        unknown = [each for each in call_hashes if each not in self._arguments]
        if unknown:
            for call_hash, given in self._reader.arguments_of(unknown).items():
                self._arguments[call_hash] = by_label(given)

    def _compare(self, old: str, new: str) -> list[PartChange]:
        if old == new:
            return []
        if (old, new) not in self._compared:
            changes = compare_parts(self._parts[old], self._parts[new])
            # Two versions without a part that differs differ all the same.
            self._compared[old, new] = changes or [PartChange("", "", None, None)]
        return self._compared[old, new]

    def _count(self, question: Question, call: PastCallRow) -> int:
        arguments = len(self._differing(_Answer(question, None, call)))
        return arguments + self._count_parts(call.task_hash, question.task_hash)

    def _count_unexplained(self, question: Question, call: PastCallRow) -> int:
        """Return how many arguments would differ that came from no call which ran."""
        differing = self._differing(_Answer(question, None, call))
        return sum(
            not any(cause.ran for cause in question.givers.get(name, ())) for name in differing
        )

    def _count_parts(self, old: str, new: str) -> int:
        return sum(not each.follows for each in self._compare(old, new))

    def _differing(self, answer: _Answer) -> dict[str, tuple[str | None, str | None]]:
        """Return the arguments that count and are not the same, as old and new value hash."""
        question, equal, nearest = answer
        if equal is not None or nearest is None or question.given is None:
            return {}
        if nearest.args_hash == question.args_hash:
            return {}
        self._load_arguments([nearest.call_hash])
        old, new = self._arguments[nearest.call_hash], by_label(question.given)
        ignored = uncounted(new, question.args_hash) | uncounted(old, nearest.args_hash)
        before = {_name(label): value_hash for label, value_hash in old.items()}
        after = {_name(label): value_hash for label, value_hash in new.items()}
        return {
            name: (before.get(name), after.get(name))
            for name in {**after, **before}
            if name not in ignored and before.get(name) != after.get(name)
        }

    # What is said of it

    def _explain(self, answer: _Answer, look: _Values) -> Explanation:
        question, equal, nearest = answer
        changes, is_cut = self._changes(answer, look)
        against = equal or nearest
        arguments = [
            (name_of(given), look.preview(question, given.value_hash))
            for given in (question.given or ())[:_MOST_SHOWN]
        ]
        return Explanation(
            question.task,
            question.task_hash,
            Verdict.MISS,
            tuple(arguments),
            question.job,
            against=None
            if against is None
            else EarlierCall(against.call_hash, against.task_hash, against.timestamp),
            changes=tuple(changes[:_MOST_CHANGES]),
            is_cut=is_cut or len(changes) > _MOST_CHANGES,
        )

    def _not_replayed(self, task: str, equal: PastCallRow) -> Change:
        """Return why an equal call that is recorded was of no use."""
        if equal.type == ERROR_TYPE:
            return Change(ChangeKind.FAILED, task)
        if equal.format == UNSTORED:
            return Change(ChangeKind.UNSTORED, task)
        if equal.format == EVICTED:
            return Change(ChangeKind.EVICTED, task)
        if equal.format == _DAMAGED:
            return Change(ChangeKind.DAMAGED, task)
        is_stepped = task.startswith("taskgraph.") or self._is_stepped(equal.task_hash)
        return Change(ChangeKind.STEPPED if is_stepped else ChangeKind.NOT_KEPT, task)

    def _is_stepped(self, version: str) -> bool:
        """Tell whether the text of a task says that it is a scheduler task: no row does."""
        self._load_parts([version])
        own = {each.part_hash for each in self._parts[version] if each.kind == PartKind.FUNCTION}
        self._texts.update(self._reader.texts_of_parts(sorted(own - self._texts.keys())))
        return any("scheduler_task" in self._texts[each].partition("\ndef ")[0] for each in own)

    def _changes(self, answer: _Answer, look: _Values) -> tuple[list[Change], bool]:
        question, equal, nearest = answer
        task = question.task
        if question.reason:
            return [self._recorded_reason(question, equal)], False
        if question.eval_hash is None:
            what = "an argument has no hash, so there is no key to look it up by"
            return [Change(ChangeKind.SCOPE, task, detail=what)], False
        if equal is not None:
            return [self._not_replayed(task, equal)], False
        caller = () if question.called_by is None else (question.called_by,)
        if nearest is None:
            return [Change(ChangeKind.NEW, task, causes=caller)], False
        parts = self._compare(nearest.task_hash, question.task_hash)
        changes = describe_parts([each for each in parts if each.kind], self._texts.__getitem__)
        is_cut = False
        for name, (old, new) in self._differing(answer).items():
            found, is_more = look.compare(question, old, new)
            causes = _causes(question, name)
            changes += [_argument_change(name, each, causes) for each in found]
            is_cut |= is_more
        # What follows from another call is told last.
        changes.sort(key=lambda change: (change.is_caused, change.follows))
        return changes or [_unnamed(question, nearest)], is_cut

    def _recorded_reason(self, question: Question, equal: PastCallRow | None) -> Change:
        kind = _REASONS.get(question.reason, ChangeKind.SCOPE)
        if kind is not ChangeKind.OUTPUT:
            return Change(kind, question.task, detail=question.detail)
        name, _, what = question.detail.rpartition(": ")
        # A recorded reduction holds the arguments of child calls too: such a file is no output.
        if equal is not None and what in _FILE_NEWS:
            outputs = self._reader.files_in(equal.value_hash, _MOST_OUTPUTS)
            if not any(f"/{name}".endswith(f"/{each.path}") for each in outputs):
                return Change(ChangeKind.FILE, name, detail=_FILE_NEWS[what])
        return Change(kind, name or question.task, detail=what)


class _Values:
    """Values by hash: previews, and the values themselves where they can be made again."""

    def __init__(self, rows: Mapping[str, ValueRow], stored: Mapping[str, Any]) -> None:
        self._rows = rows
        self._stored = stored

    def preview(self, question: Question, value_hash: str) -> str:
        if value_hash in question.values:
            return preview(question.values[value_hash])
        row = self._rows.get(value_hash)
        return "?" if row is None else row.preview

    def compare(
        self, question: Question, old: str | None, new: str | None
    ) -> tuple[list[Difference], bool]:
        """Return where an argument differs, and whether in more places than are named."""
        if old is None or new is None:
            shown = [None if each is None else self.preview(question, each) for each in (old, new)]
            return [Difference("", shown[0], shown[1])], False
        for read in (self._value, self._outline):
            try:
                found, is_more = find_differences(read(question, old), read(question, new))
            except Exception:
                # A wide net on purpose: the code of users' classes runs here, which may be gone
                # or may fail in any way; that the argument changed is known all the same.
                continue
            if found:
                return found, is_more
        return [self._by_rows(question, old, new)], False

    def _value(self, question: Question, value_hash: str) -> Any:
        if value_hash in question.values:
            return question.values[value_hash]
        stored = self._stored.get(value_hash)
        if stored is None or stored.format == UNSTORED:
            raise DamagedValueError(value_hash, "it is not stored")
        return codec.decode(*stored)

    def _outline(self, question: Question, value_hash: str) -> Any:
        """Return a value with stand-ins for objects whose classes are not here."""
        stored = self._stored.get(value_hash)
        if stored is None and value_hash in question.values:
            packed = pack(question.values[value_hash]).values[0]
            stored = StoredResult(*packed[:4], packed.content_digest)
        if stored is None:
            raise DamagedValueError(value_hash, "it is not stored")
        return codec.decode_outline(
            stored.value_hash, stored.format, stored.value, stored.content_digest
        )

    def _by_rows(self, question: Question, old: str, new: str) -> Difference:
        before, after = self._rows.get(old), self._rows.get(new)
        if before is not None and after is not None:
            of_file = _file_difference(before.file, after.file)
            if of_file is not None:
                return of_file
        shown = [self.preview(question, each) for each in (old, new)]
        return Difference("", shown[0], shown[1], "the values themselves cannot be read here")


def _file_difference(old: FileRow | None, new: FileRow | None) -> Difference | None:
    from taskgraph.provenance.difference import FileDifference

    if old is None or new is None or (old.root, old.path) != (new.root, new.path):
        return None
    shown = [
        None if each.content_hash == MISSING.content else f"{each.size:,} bytes"
        for each in (old, new)
    ]
    what = "appeared" if shown[0] is None else "vanished" if shown[1] is None else "content changed"
    return Difference("", shown[0], shown[1], what, FileDifference(new.root, new.path, what))


def _argument_change(name: str, found: Difference, causes: tuple[Cause, ...]) -> Change:
    path = name + found.path
    if found.file is None:
        return Change(
            ChangeKind.ARGUMENT, name, path, found.old, found.new, found.detail, causes=causes
        )
    root = "" if found.file.root in ("project", "") else f"{found.file.root}:"
    # What is on disk changed by itself, unless a call of the execution wrote it.
    causes = tuple(cause for cause in causes if cause.relation == "gave")
    return Change(
        ChangeKind.FILE,
        f"{root}{found.file.path}",
        path,
        found.old,
        found.new,
        found.detail,
        causes=causes,
    )


def _causes(question: Question, name: str) -> tuple[Cause, ...]:
    """Return where an argument came from: calls that ran first, and the caller if it ran."""
    givers = question.givers.get(name, ())
    ran = [cause for cause in givers if cause.ran]
    if ran:
        return tuple(ran[:_MOST_CAUSES])
    called_by = () if question.called_by is None else (question.called_by,)
    return (*givers[:_MOST_CAUSES], *called_by)


def _unnamed(question: Question, nearest: PastCallRow) -> Change:
    if question.given is None and nearest.task_hash == question.task_hash:
        return Change(ChangeKind.ARGUMENT, "", detail="arguments are recorded when the call ends")
    if nearest.task_hash != question.task_hash:
        return Change(ChangeKind.UNNAMED, question.task, detail="its code, in a part not recorded")
    if question.given is not None and nearest.args_hash != question.args_hash:
        # The same values by the same names, but bound to another signature of the same version.
        return Change(ChangeKind.ARGUMENT, "", detail="the order or kind of the parameters")
    return Change(ChangeKind.UNNAMED, question.task, detail="its key")


# Arguments


def name_of(given: GivenRow) -> str:
    """Return what an argument is called: ``x``, or ``*2`` for an item of ``*args``."""
    return _name((given.position, given.key))


def _name(label: Label) -> str:
    position, key = label
    return key if key is not None else f"*{position}"


def by_label(given: Iterable[GivenRow]) -> dict[Label, str]:
    """Return value hashes by place, in the order of the signature."""
    found = {(each.position, each.key): each.value_hash for each in given}
    return {label: found[label] for label in _in_order(found)}


def _in_order(labels: Iterable[Label]) -> list[Label]:
    """Sort places as a signature has them: items of ``*args`` before what must be named."""
    every = list(labels)
    star = min((p for p, key in every if key is None and p is not None), default=0)

    def place(label: Label) -> tuple[bool, int, bool, int, str]:
        position, key = label
        if position is None:
            return True, 0, False, 0, key or ""
        if key is None:
            return False, star, False, position, ""
        # Positions after `*args` are counted as if these were one.
        return False, position, True, 0, key

    return sorted(every, key=place)


def uncounted(given: Mapping[Label, str], args_hash: str | None) -> frozenset[str]:
    """Return the parameters that do not count in a hash of arguments: ``config_args``.

    They are not recorded as such, but their hash is: it tells which arguments it was made of.
    """
    if args_hash is None:
        return frozenset()
    labels = list(given)
    names = [key for position, key in labels if key is not None and position is not None]
    ways = (left_out for n in range(_MOST_LEFT_OUT + 1) for left_out in combinations(names, n))
    for left_out in islice(ways, _MOST_WAYS):
        counted = [
            (_hashed_label(label), given[label]) for label in labels if label[1] not in left_out
        ]
        if hash_args(counted) == args_hash:
            return frozenset(left_out)
    return frozenset()


def _hashed_label(label: Label) -> str:
    position, key = label
    if key is None:
        return "*"
    return key if position is not None else f"**{key}"


__all__ = ["MOST_CALLS", "Explainer", "Given", "Label", "LivePart", "Question", "name_of"]
