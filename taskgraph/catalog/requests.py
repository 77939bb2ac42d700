"""What is asked for when an execution is created, checked before anything is written."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from taskgraph.catalog.states import State, StateType, checked_time
from taskgraph.catalog.uses import NO_USES, StepPin, Uses
from taskgraph.errors import TaskOptionError, ValidationError
from taskgraph.hashing import hash_record
from taskgraph.jsontext import mark_floats, to_json
from taskgraph.tags import Tags, checked_tags
from taskgraph.tasks.options import checked_queue

# Two of them are in one index, of which PostgreSQL takes 2,704 bytes.
_LONGEST_NAME: Final = 1_000
_LONGEST_PATH: Final = 2_500
# Characters of these kinds are control characters, line ends, and marks that nobody sees.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
# What is between letters of Persian or Sinhala, and after which kinds of characters.
_JOINERS: Final = "\u200c\u200d"
_JOINED: Final = frozenset({"Lo", "Mn", "Mc"})
# What any database can count to.
_MOST_ROWS: Final = 2**62
#: The keys of a snapshot that its readers can rely on.
SNAPSHOT_VERSION: Final = 1
#: The option of an execution that says from what is paid.
ACCOUNT: Final = "account"
#: The option of an execution that says in which file its tasks are.
SCRIPT: Final = "script"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms something is submitted: held against what is there as it is written.

    Attributes:
        min_interval: How many seconds lie between two of a workflow on one output; 0 for any.
        account: In whose name what it uses is paid, or None.
        steps: What is run of a workflow, also of one that is not there any more.
    """

    min_interval: float = 0.0
    account: str | None = None
    steps: tuple[StepPin, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """An execution that is wanted.

    Attributes:
        id: Its id, if it is to be new.
        entrypoint: What is to be run.
        name: What people call it.
        parameters: As JSON.
        options: As JSON.
        tags: Those of users.
        queues: Where its jobs may run.
        study: The name of its study.
        workspace: Its folder, as a whole path.
        state: The first state.
        idempotency_key: Under which there is one for its entrypoint.
        args: The command line as a JSON list.
        uses: Workflow, datasets and group, pinned.
        terms: What is checked besides as it is written; None for nothing.
    """

    id: str
    entrypoint: str
    name: str
    parameters: Any
    options: Mapping[str, Any]
    tags: Tags
    queues: tuple[str, ...]
    study: str | None
    workspace: str | None
    state: State
    idempotency_key: str | None
    parent_job_id: str | None
    submitted_by: str | None
    code_version: str | None
    args: str = "[]"
    uses: Uses = NO_USES
    terms: Terms | None = None

    def hash(self) -> str:
        """Return what tells it from other requests under the same key."""
        said = self.snapshot()
        for name in ("submitted_by", "code_version", "version"):
            del said[name]
        # Where its code is, is for who runs it, and which code that is for information.
        said["options"].pop(SCRIPT, None)
        for step in (said.get("workflow") or {}).get("steps", ()):
            del step["code_hash"]
        return hash_record("request", to_json(mark_floats(said)))

    def snapshot(self) -> dict[str, Any]:
        """Return all that is submitted, to be frozen as a value."""
        return {
            "version": SNAPSHOT_VERSION,
            "entrypoint": self.entrypoint,
            "name": self.name,
            "parameters": self.parameters,
            "options": dict(self.options),
            "tags": [[key, value] for key, value in self.tags],
            "queues": list(self.queues),
            "study": self.study,
            "workspace": self.workspace,
            "parent_job": self.parent_job_id,
            "submitted_by": self.submitted_by,
            "code_version": self.code_version,
            **self.uses.to_json(),
        }


def checked_name(what: str, given: str, most: int = _LONGEST_NAME) -> str:
    """Return a name that is to be kept.

    Raises:
        ValidationError: It is blank, no text, or longer than an index of any database takes.
    """
    if not isinstance(given, str) or not given.strip():
        raise ValidationError(what, f"expected a name, not {given!r}.")
    if len(given.encode("utf-8", "replace")) > most:
        raise ValidationError(what, f"{given[:40]!r}... is too long: at most {most:,} bytes.")
    return checked_json(what, given.strip())  # type: ignore[no-any-return]  # as it was


def checked_title(what: str, given: str, most: int = _LONGEST_NAME) -> str:
    """Return a name that people tell each other, in the one form that it is kept in.

    Raises:
        ValidationError: It is no name, or has characters in it that nobody sees.
    """
    found = checked_name(what, one_form(given) if isinstance(given, str) else given, most)
    if any(_is_unseen(found, at) for at in range(len(found))):
        said = "there are line ends, control characters or others in it that nobody sees."
        raise ValidationError(what, f"{found[:40]!r}: {said}")
    return found


def _is_unseen(text: str, at: int) -> bool:
    """Tell whether nobody sees a character; those that join letters are part of how some write."""
    if text[at] in _JOINERS and 0 < at < len(text) - 1:
        return unicodedata.category(text[at - 1]) not in _JOINED
    return unicodedata.category(text[at]) in _UNSEEN


def checked_submitter(given: str | None) -> str | None:
    """Return who submits something, in the one form that it is kept in; None for nobody.

    Raises:
        ValidationError: It is no name.
    """
    return None if given is None else checked_title("submitted_by", given)


def one_form(text: str) -> str:
    """Return a name without blanks around it, with letters and their accents as one character."""
    return unicodedata.normalize("NFC", text).strip()


def checked_json(what: str, given: Any) -> Any:
    """Return what is to be kept as JSON. Any: as it was given.

    Raises:
        ValidationError: It is none.
    """
    try:
        to_json(given)
    except ValueError as error:
        raise ValidationError(what, f"{error}.") from error
    return given


def checked_text(what: str, given: str | None) -> str | None:
    """Return a text that is to be kept, or None.

    Raises:
        ValidationError: It is neither, or cannot be stored.
    """
    if given is not None and not isinstance(given, str):
        raise ValidationError(what, f"expected text, not {given!r}.")
    return checked_json(what, given)  # type: ignore[no-any-return]  # as it was


def checked_state(given: State | StateType | str, message: str | None = None) -> State:
    """Return a state that is proposed, with what there is to say of it.

    Raises:
        InvalidStateError: It is none.
        ValidationError: Something of it cannot be kept, or it is scheduled for no time.
    """
    found = State.parse(given)
    if message is not None:
        found = replace(found, message=message)
    checked_text("name of a state", found.name)
    checked_text("message", found.message)
    checked_object("details of a state", found.details)
    if found.scheduled_time is not None:
        checked_time(datetime.fromisoformat(found.details["scheduled_time"]))
    return found


def check_page(limit: int | None, offset: int) -> None:
    """Check that a list can be cut so; None is for all of it.

    Raises:
        ValidationError: It cannot.
    """
    counts: list[tuple[str, Any, int]] = [("limit", limit, 1), ("offset", offset, 0)]
    for what, count, least in counts if limit is not None else counts[1:]:
        check_between(what, count, least, _MOST_ROWS - 1)


def check_between(what: str, given: Any, least: int, most: int) -> None:
    """Check that something is a whole number within bounds.

    Raises:
        ValidationError: It is none, or too small, or too large.
    """
    if isinstance(given, bool) or not isinstance(given, int):
        expected = "a whole number"
    elif given < least:
        expected = f"{least} or more"
    elif given > most:
        expected = f"{most} at most"
    else:
        return
    raise ValidationError(what, f"expected {expected}, not {given!r}.")


def checked_object(what: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a JSON object that is to be kept.

    Raises:
        ValidationError: It is none.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ValidationError(what, f"expected names with values, not {given!r}.")
    return checked_json(what, dict(given or {}))  # type: ignore[no-any-return]  # as it was


def tags_of(
    given: Iterable[tuple[str, Any]] | Mapping[str, Any] | None, extra: Mapping[str, Any]
) -> Tags:
    """Return tags as pairs, each once.

    Raises:
        TagKeyError: A key is none.
        ValidationError: A value is not JSON.
    """
    wanted = [*pairs_of(given), *extra.items()]
    for key, value in wanted:
        checked_json(f"tag {key!r}", value)
    tags = checked_tags(wanted)
    return tuple({(key, to_json(value)): (key, value) for key, value in tags}.values())


def pairs_of(
    given: Iterable[tuple[str, Any]] | Mapping[str, Any] | None,
) -> list[tuple[str, Any]]:
    """Return tags as pairs, as they were given.

    Raises:
        ValidationError: They are none.
    """
    every: Any = given.items() if isinstance(given, Mapping) else given or ()
    if isinstance(every, str) or not isinstance(every, Iterable):
        raise ValidationError("tags", f"expected keys with values, not {given!r}.")
    found = list(every)
    for each in found:
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise ValidationError("tags", f"expected a key with a value, not {each!r}.")
    return [(key, value) for key, value in found]


def checked_queues(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of queues, each once.

    Raises:
        ValidationError: They are no list of names.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValidationError("queues", f"expected a list of names, not {given!r}.")
    try:
        return tuple(sorted({checked_queue(each) for each in given}))
    except TaskOptionError as error:
        raise ValidationError("queue", f"{error.reason}.") from None


def whole_path(folder: str | os.PathLike[str] | None) -> str | None:
    """Return the one text that a folder is known by."""
    if folder is None:
        return None
    text = os.fspath(folder)
    checked_text("workspace", text)
    return checked_name("workspace", os.path.realpath(os.path.expanduser(text)), _LONGEST_PATH)


__all__ = [
    "ACCOUNT",
    "SCRIPT",
    "Request",
    "Terms",
    "check_between",
    "check_page",
    "checked_json",
    "checked_name",
    "checked_object",
    "checked_queues",
    "checked_state",
    "checked_submitter",
    "checked_text",
    "checked_title",
    "one_form",
    "pairs_of",
    "tags_of",
    "whole_path",
]
