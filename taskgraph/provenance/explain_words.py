"""Explanations in words: one sentence that answers the question, and a change in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from taskgraph.provenance.explain import (
    AnyExplanation,
    Change,
    ChangeKind,
    CodeExplanation,
    ExecutionExplanation,
    Explanation,
    RootCause,
    Verdict,
)
from taskgraph.provenance.page import clean
from taskgraph.records import State

#: What the engine says of a run with ``--no-cache``.
SWITCHED_OFF: Final = "the run was asked not to use it"
_VALUE_WIDTH: Final = 40
_NAME_WIDTH: Final = 80
_ID_DIGITS: Final = 8

# What the engine and the kinds of values say of what is wrong with a result.
_OUTPUTS: Final[Mapping[str, str]] = {
    "it is not there any more": "its output {} is not there any more",
    "it is there now and was not": "{} is there now, and was not when it ran",
    "its content changed": "the content of its output {} changed",
}
_SCOPES: Final[Mapping[str, str]] = {
    "cache=False": "its task has cache=False",
    "cache_scope=NONE": "its task has cache_scope=NONE",
    SWITCHED_OFF: "the run was asked not to use the cache",
    "an argument has no hash of its own": "an argument has no hash of its own",
}
_FIXED: Final[Mapping[ChangeKind, str]] = {
    ChangeKind.NEW: "it was never called before",
    ChangeKind.AGE: "its result was too old",
    ChangeKind.DAMAGED: "its stored result is damaged",
    ChangeKind.UNPLANTED: "its recorded result calls what cannot be called any more",
    ChangeKind.UNTRUSTED: "its result came from elsewhere and is not trusted",
    ChangeKind.REFUSED: "its stored result is more than the data that the store is trusted with",
    ChangeKind.REFUTED: "calls that it awaits give other results",
    ChangeKind.FAILED: "it failed before, and errors are not replayed",
    ChangeKind.UNSTORED: "its earlier result could not be stored",
    ChangeKind.EVICTED: "its earlier result was given up to save space (taskgraph gc)",
    ChangeKind.NOT_KEPT: "its earlier result was not kept: a variable changed while it ran",
    ChangeKind.STEPPED: "it is a scheduler task: these are stepped through in every run",
    ChangeKind.UNNAMED: "its key is another one, and the records do not say why",
}
# What stands before the name of a part of the code.
_NOUNS: Final[Mapping[ChangeKind, str]] = {
    ChangeKind.CLASS: "class ",
    ChangeKind.DEFAULT: "the default ",
    ChangeKind.CLOSURE: "the closure ",
    ChangeKind.CODE: "the compiled code of ",
    ChangeKind.TASK: "task ",
    ChangeKind.PACKAGE: "package ",
    ChangeKind.TOOL: "tool ",
    ChangeKind.OPTION: "its option ",
    ChangeKind.UNFOLLOWED: "what cannot be followed: ",
}


_WHO_SAYS_SO = {"compat": "by compat in its @task", "bless": "for it was blessed"}


def headline(explanation: AnyExplanation) -> str:
    """Return the sentence that answers the question."""
    match explanation:
        case Explanation():
            return _of_call(explanation)
        case ExecutionExplanation():
            return _of_execution(explanation)
        case CodeExplanation():
            return _of_code(explanation)


def _of_call(explanation: Explanation) -> str:
    task = clean(explanation.task)
    if explanation.verdict is Verdict.HIT:
        return f"{task} {_of_hit(explanation)}"
    verb = _verb(explanation)
    again = "" if explanation.against is None else " again"
    return f"{task} {verb}{again} because {reason_of(explanation)}"


def reason_of(explanation: Explanation) -> str:
    """Return why a call ran, or would, in a few words."""
    first, *others = explanation.changes
    more = ""
    own = [each for each in others if each.is_caused == first.is_caused and not each.follows]
    if len(own) == 1 and not explanation.is_cut:
        more = f" and {brief(own[0])}"
    elif own:
        more = f" and {len(own)}{' or more' if explanation.is_cut else ''} other things changed"
    why = "its code changed" if _is_own_code(explanation.task, first) else brief(first)
    return f"{why}{more}"


def _verb(explanation: Explanation) -> str:
    if explanation.job is None:
        return "would run"
    return "runs" if explanation.job.state == State.RUNNING else "ran"


def _is_own_code(task: str, change: Change) -> bool:
    """Tell whether a change is one of the task's own function."""
    name = change.name.rpartition(".")[2]
    return change.kind is ChangeKind.FUNCTION and name == task.rpartition(".")[2]


def _of_hit(explanation: Explanation) -> str:
    made = explanation.made_by
    if explanation.changes:
        below = "; ".join(brief(each) for each in explanation.changes)
        return f"was not run again, but calls below it were: {below}"
    verb = "would not run" if explanation.job is None else "was not run"
    if made is None:
        return f"{verb}: its result was there"
    if explanation.job is not None and made.execution_id == explanation.job.execution_id:
        return f"{verb}: job {made.job_id[:_ID_DIGITS]} of the same run made the same call"
    if explanation.earlier is not None:
        who = _WHO_SAYS_SO.get(explanation.earlier, explanation.earlier)
        job, when = made.job_id[:_ID_DIGITS], f"{made.started.astimezone():%Y-%m-%d %H:%M:%S}"
        return f"{verb}: the result that earlier code gave in job {job} of {when} counts, {who}"
    when = f"{made.started.astimezone():%Y-%m-%d %H:%M:%S}"
    return f"{verb}: nothing changed since job {made.job_id[:_ID_DIGITS]} of {when}"


def _of_execution(explanation: ExecutionExplanation) -> str:
    calls = "call" if explanation.ran == 1 else "calls"
    task = clean(explanation.task or explanation.execution_id[:_ID_DIGITS])
    if not explanation.ran and not explanation.cached and explanation.status != "DONE":
        why = f": {clean(explanation.message)}" if explanation.message else ""
        return f"{task}: no call ran, it is {explanation.status}{why}"
    if not explanation.ran:
        return f"{task}: no call ran, {explanation.cached:,} came from the cache"
    text = f"{task}: {explanation.ran:,} {calls} ran, {explanation.cached:,} came from the cache"
    if not explanation.causes:
        return text
    first, *others = explanation.causes
    why = brief_of(first)
    more = f" and {len(others)} other {'thing' if len(others) == 1 else 'things'}"
    return f"{text}, because {why}{more if others else ''}"


def _of_code(explanation: CodeExplanation) -> str:
    parts = "part counts" if len(explanation.parts) == 1 else "parts count"
    text = f"{clean(explanation.task)}: {len(explanation.parts):,} {parts}"
    if explanation.unfollowed:
        text += f", and {len(explanation.unfollowed):,} cannot be followed"
    return text


def brief(change: Change) -> str:
    """Return a change in a few words: what it is that is not as it was."""
    if change.kind in _FIXED:
        return _FIXED[change.kind]
    special = _SPECIAL.get(change.kind)
    return _of_part(change) if special is None else special(change)


def brief_of(cause: RootCause) -> str:
    """Return what made calls run in a few words that need no subject."""
    text = brief(cause.change)
    for start in ("it ", "its "):
        if text.startswith(start):
            subject = clean(cause.tasks[0].task)
            text = f"{subject}{'' if start == 'it ' else ':'} {text.removeprefix('it ')}"
            break
    others = len(cause.changes) - 1
    if others == 1:
        return f"{text} and {brief(cause.changes[1])}"
    return f"{text} and {others} other things" if others else text


def _name_of(change: Change) -> str:
    return clean(change.name, _NAME_WIDTH)


def _of_part(change: Change) -> str:
    name = f"{_NOUNS.get(change.kind, '')}{_name_of(change)}"
    if change.diff or (change.old is None and change.new is None):
        return f"{name} changed"
    if change.old is None:
        return f"{name} is new in its code"
    if change.new is None:
        return f"{name} is gone from its code"
    return f"{name} changed{_from_to(change)}"


def _from_to(change: Change) -> str:
    if change.old is None or change.new is None or change.old == change.new:
        return ""
    old, new = clean(change.old, _VALUE_WIDTH), clean(change.new, _VALUE_WIDTH)
    return f" from {old} to {new}" if old != new else ""


def _of_version(change: Change) -> str:
    if change.old is None:
        return f"it has a version now: {clean(change.new or '', _VALUE_WIDTH)}"
    return "it has no version any more" if change.new is None else f"its version{_became(change)}"


def _became(change: Change) -> str:
    return f" changed{_from_to(change)}"


def _of_name(change: Change) -> str:
    if change.old is None or change.new is None:
        return _of_part(change)
    return f"{_name_of(change)} now stands for {clean(change.new, _NAME_WIDTH)}"


def _of_argument(change: Change) -> str:
    if not change.path:
        return change.detail or "its arguments changed"
    path = clean(change.path, _NAME_WIDTH)
    gave = next((each for each in change.causes if each.relation == "gave" and each.ran), None)
    if gave is not None:
        return f"{clean(gave.task)} gave another {path}"
    if change.old is None:
        return f"{path} is new: {clean(change.new or '', _VALUE_WIDTH)}"
    if change.new is None:
        return f"{path} is gone"
    return f"{path} changed{_from_to(change)}"


def _of_file(change: Change) -> str:
    gave = next((each for each in change.causes if each.relation == "gave" and each.ran), None)
    if gave is not None:
        return f"{clean(gave.task)} gave another {_name_of(change)}"
    what = "changed" if change.detail == "content changed" else change.detail
    return f"file {_name_of(change)} {what}"


def _of_output(change: Change) -> str:
    known = _OUTPUTS.get(change.detail)
    if known is not None:
        return known.format(_name_of(change))
    return f"its result no longer holds: {_name_of(change)}: {clean(change.detail, _NAME_WIDTH)}"


def _of_scope(change: Change) -> str:
    return _SCOPES.get(change.detail, f"the cache was not asked: {clean(change.detail)}")


def _of_retraction(change: Change) -> str:
    return f"its result was retracted {clean(change.detail)}".rstrip()


def _of_child(change: Change) -> str:
    return f"{_name_of(change)} ({clean(change.detail)})"


def _of_context(change: Change) -> str:
    return f"context value {_name_of(change)} changed{_from_to(change)}"


_SPECIAL: Final[Mapping[ChangeKind, Callable[[Change], str]]] = {
    ChangeKind.VERSION: _of_version,
    ChangeKind.NAME: _of_name,
    ChangeKind.ARGUMENT: _of_argument,
    ChangeKind.FILE: _of_file,
    ChangeKind.CONTEXT: _of_context,
    ChangeKind.OUTPUT: _of_output,
    ChangeKind.SCOPE: _of_scope,
    ChangeKind.CHILD: _of_child,
    ChangeKind.RETRACTED: _of_retraction,
}

__all__ = ["SWITCHED_OFF", "brief", "brief_of", "headline", "reason_of"]
