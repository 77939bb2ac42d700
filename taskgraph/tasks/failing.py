"""What is called when a call has failed: the option ``on_failure``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taskgraph.tasks.partial import PartialTask


@dataclass(frozen=True)
class FailedCall:
    """A call that failed for good, as what its ``on_failure`` is told of it.

    Attributes:
        task: The full name of the task.
        arguments: What it was given: names and previews.
        error: The exception in one line.
        trace: The calls from the root of the run to where it arose, with your lines of code.
        attempts: How often its body was begun.
        execution_id: The run.
        job_id: The job: ``taskgraph log`` shows it.
    """

    task: str
    arguments: tuple[tuple[str, str], ...]
    error: str
    trace: str
    attempts: int
    execution_id: str
    job_id: str


def read_on_failure(value: Any) -> Callable[..., Any] | None:
    """Read the option ``on_failure``: a task or function of an error and a `FailedCall`.

    None is for calls that are not to have what is handed on to them.

    Raises:
        ValueError: It is none, or cannot be called with two arguments.
    """
    from taskgraph.tasks.task import Task  # which reads options

    if value is None:
        return None
    if not callable(value) or isinstance(value, type):
        raise ValueError(f"must be a task or a function of an error and a call, not {value!r}")
    given: tuple[Any, ...] = (None, None)
    names: dict[str, Any] = {}
    function: Any = value
    if isinstance(value, PartialTask):
        function, given, names = value.task, (*value.args, *given), value.kwargs
    if isinstance(function, Task) and not function.is_defined:
        return function  # not defined here; its call says so
    try:
        if isinstance(function, Task):
            function.signature.bind(*given, **names)
        else:
            inspect.signature(function).bind(*given)
    except TypeError as error:
        raise ValueError(
            f"must take two arguments, the error and the call that failed: {error}"
        ) from None
    except ValueError:  # a builtin that does not say what it takes
        pass
    handler: Callable[..., Any] = value
    return handler
