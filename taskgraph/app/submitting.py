"""What a run says of itself when it is submitted: name, entrypoint, parameters, and a snapshot.

All of it goes with the first row of the execution. Some runs are written ahead, before they begin:
those with a study, a workspace or an idempotency key, for others may have been quicker, and those
of a user whom the settings name.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Final

from taskgraph.assembly.managing import create_execution, settle_execution, state_of_execution
from taskgraph.config import Settings
from taskgraph.engine.leasing import Assigned
from taskgraph.engine.options import RunOptions
from taskgraph.errors import AlreadySubmittedError, DatabaseError
from taskgraph.expression import TaskExpression
from taskgraph.jsontext import to_json
from taskgraph.ports import Backend
from taskgraph.records import Micros, State, Submission
from taskgraph.tags import RESERVED
from taskgraph.tasks.names import BUILT_IN
from taskgraph.tasks.task import Task
from taskgraph.values.pack import pack

# As much of the arguments as somebody reads; the whole of them is in the records of the call.
_MOST_ITEMS: Final = 200
_MOST_CHARACTERS: Final = 1_000
_DEEPEST: Final = 20
_MOST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to be known by.

    Attributes:
        name: What people call it.
        study: The name of its study.
        workspace: Its folder.
        idempotency_key: Under one key there is one execution of a task.
        submitted_by: Who asks for it.
        is_submitted: Whether it is written down already, with all of that.
        assigned: That a worker has taken it.
    """

    name: str | None = None
    study: str | None = None
    workspace: str | PathLike[str] | None = None
    idempotency_key: str | None = None
    submitted_by: str | None = None
    is_submitted: bool = False
    assigned: Assigned | None = None

    @property
    def others_may_have_it(self) -> bool:
        """Whether others may have been quicker."""
        return any(each is not None for each in (self.study, self.workspace, self.idempotency_key))


def submitter_of(settings: Settings, backend: Backend) -> str | None:
    """Return who submits what is run, if the settings say so and the backend keeps it."""
    return (settings.user.email.strip() or None) if hasattr(backend, "database") else None


def with_submission(root: TaskExpression, options: RunOptions, wanted: Wanted) -> RunOptions:
    """Return the options of a run with what is said of the execution in its first row."""
    entrypoint = root.task_name
    parameters = _parameters(root)
    name = wanted.name or entrypoint.rpartition(".")[2]
    own = [(key, value) for key, value in options.tags if not key.startswith(RESERVED)]
    said = {
        "version": 1,
        "entrypoint": entrypoint,
        "name": name,
        "parameters": parameters,
        "options": _object(options.options),
        "tags": [[key, _plain(value, [_MOST_ITEMS])] for key, value in own],
        "queues": [] if options.queue is None else [options.queue],
        "study": wanted.study,
        "workspace": None if wanted.workspace is None else str(wanted.workspace),
        "command": options.command_line,
    }
    snapshot = pack(said)
    submission = Submission(
        name,
        entrypoint,
        to_json(parameters),
        snapshot.values[0].value_hash,
        Micros(time.time_ns() // 1000),
    )
    tags = options.tags
    if options.queue is not None:
        from taskgraph.catalog.rows import QUEUE_TAG

        tags = (*tags, (QUEUE_TAG, options.queue))
    return replace(options, submission=submission, snapshot=snapshot, tags=tags)


def write_ahead(backend: Backend, options: RunOptions, wanted: Wanted) -> bool:
    """Write a run down before it begins, if others may have been quicker, or if it is somebody's.

    Returns:
        Whether it was written down, so that this run has to see to its end.

    Raises:
        AlreadySubmittedError: Another execution has its key.
        WorkspaceInUseError: Another execution has its folder.
        ValidationError: A name is blank.
        SchedulerError: The backend keeps no executions.
    """
    if wanted.is_submitted:
        # Of what a worker took, that one says how it ended.
        return wanted.assigned is None
    if options.is_dry or options.below is not None:
        return False
    is_named = wanted.submitted_by is not None and options.options.get("prov") is not False
    if not (wanted.others_may_have_it or is_named):
        return False
    import json

    from taskgraph.catalog import states
    from taskgraph.catalog.requests import (
        Request,
        checked_name,
        checked_submitter,
        tags_of,
        whole_path,
    )

    said = options.submission
    key = wanted.idempotency_key
    request = Request(
        id=options.execution_id,
        entrypoint=said.entrypoint,
        name=checked_name("name", said.name),
        parameters=json.loads(said.parameters),
        options={},
        tags=tags_of((), {}),
        queues=(),
        study=None if wanted.study is None else checked_name("study", wanted.study),
        workspace=whole_path(wanted.workspace),
        state=states.State(State.PENDING),
        idempotency_key=None if key is None else checked_name("key", key),
        parent_job_id=None,
        submitted_by=checked_submitter(wanted.submitted_by),
        code_version=None,
        args=options.command_line,
    )
    assert options.snapshot is not None
    holder = create_execution(backend, request, options.snapshot)
    if holder != options.execution_id:
        raise AlreadySubmittedError(str(key), holder, state_of_execution(backend, holder))
    return True


def settle(backend: Backend, execution_id: str, error: BaseException | None) -> None:
    """End what was written down before it began, if nothing of it was recorded.

    Args:
        backend: Where it is.
        execution_id: The execution.
        error: With what its run ended; that is what the caller is told, whatever happens here.

    Raises:
        DatabaseError: It could not be written, of a run that ended well.
    """
    state = State.COMPLETED if error is None else State.FAILED
    try:
        settle_execution(backend, execution_id, state)
    except DatabaseError:
        if error is None:
            raise


def _parameters(root: TaskExpression) -> dict[str, Any]:
    """Return the arguments of a call as JSON; what is none, or too much, by its type."""
    task = root._task
    if not isinstance(task, Task) or task.namespace == BUILT_IN:  # what stands for an expression
        return {}
    try:
        bound = task.binder.signature.bind(*root.args, **root.kwargs)
    except TypeError:  # which is said when it is called
        return {}
    return _object(bound.arguments)


def _object(given: Mapping[str, Any]) -> dict[str, Any]:
    room = [_MOST_ITEMS]
    return {str(key): _plain(value, room) for key, value in given.items()}


def _plain(value: Any, room: list[int], depth: int = 0) -> Any:
    """Return a value as JSON, as far as it is plain and there is room for it."""
    room[0] -= 1
    if room[0] < 0 or depth > _DEEPEST or not _is_plain(value, room[0]):
        kind = type(value)
        return {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(value, dict):
        return {key: _plain(each, room, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, room, depth + 1) for each in value]
    return value


def _is_plain(value: object, room: int) -> bool:
    """Tell whether a value is JSON by itself, whatever is inside of it."""
    if type(value) is str:
        return len(value) <= _MOST_CHARACTERS and _is_storable(value)
    if type(value) is int:
        return -_MOST < value < _MOST
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is dict:
        return len(value) <= room and all(type(e) is str and _is_storable(e) for e in value)
    if type(value) is list or type(value) is tuple:
        return len(value) <= room
    return value is None or type(value) is bool


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


__all__ = ["Wanted", "settle", "submitter_of", "with_submission", "write_ahead"]
