"""taskgraph: workflows of plain Python functions that remember every result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from taskgraph._version import __version__

if TYPE_CHECKING:
    from taskgraph.app import (
        Scheduler,
        explain,
        get_current_scheduler,
        hash_args_eval,
        lineage,
        plan,
        release,
        run,
        set_current_scheduler,
    )
    from taskgraph.archive import Archive, executions
    from taskgraph.archive import open as open
    from taskgraph.catalog.policy_rows import Notification
    from taskgraph.catalog.states import State
    from taskgraph.catalog.targets import Callback, Command, Webhook
    from taskgraph.catalog.writing import F
    from taskgraph.combinators.control import (
        apply_tags,
        catch,
        catch_all,
        cond,
        fork_thread,
        get_context,
        join_thread,
        seq,
        throw,
    )
    from taskgraph.combinators.handles import merge_handles
    from taskgraph.engine.callers import Job
    from taskgraph.executors.alias import AliasExecutor
    from taskgraph.executors.pooled import PooledExecutor
    from taskgraph.executors.types import register_executor
    from taskgraph.expression import evaluate, quote
    from taskgraph.fingerprint.opaque import opaque
    from taskgraph.moments import utcnow
    from taskgraph.plug.memo import cached
    from taskgraph.promise import Promise, wait_promises
    from taskgraph.scripting.calls import script
    from taskgraph.subruns import subrun
    from taskgraph.tasks.context import get_context_value
    from taskgraph.tasks.decorator import scheduler_task, task
    from taskgraph.tasks.failing import FailedCall
    from taskgraph.tasks.names import get_current_namespace, namespace
    from taskgraph.tasks.options import CacheCheckValid, CacheResult, CacheScope
    from taskgraph.tasks.partial import PartialTask
    from taskgraph.tasks.registry import get_task_registry
    from taskgraph.tasks.retrying import exponential
    from taskgraph.tasks.standing import JobInfo
    from taskgraph.tasks.task import Task, get_tuple_type_length
    from taskgraph.tasks.wrapping import wraps_task
    from taskgraph.tracebacks import Frame, Traceback
    from taskgraph.values.directories import Dir
    from taskgraph.values.failures import ErrorValue
    from taskgraph.values.file_cache import FileCache
    from taskgraph.values.file_policies import (
        ContentDir,
        ContentFile,
        ContentStagingDir,
        ContentStagingFile,
        IDir,
        IFile,
        IStagingDir,
        IStagingFile,
    )
    from taskgraph.values.files import File
    from taskgraph.values.filesets import FileSet
    from taskgraph.values.handles import Handle
    from taskgraph.values.staging import StagingDir, StagingFile
    from taskgraph.values.types import get_type_registry
    from taskgraph.values.unknown import is_unknown_function
    from taskgraph.values.value import ProxyValue, Value

__all__ = [
    "AliasExecutor",
    "Archive",
    "CacheCheckValid",
    "CacheResult",
    "CacheScope",
    "Callback",
    "Command",
    "ContentDir",
    "ContentFile",
    "ContentStagingDir",
    "ContentStagingFile",
    "Dir",
    "ErrorValue",
    "F",
    "FailedCall",
    "File",
    "FileCache",
    "FileSet",
    "Frame",
    "Handle",
    "IDir",
    "IFile",
    "IStagingDir",
    "IStagingFile",
    "Job",
    "JobInfo",
    "Notification",
    "PartialTask",
    "PooledExecutor",
    "Promise",
    "ProxyValue",
    "Scheduler",
    "StagingDir",
    "StagingFile",
    "State",
    "Task",
    "Traceback",
    "Value",
    "Webhook",
    "__version__",
    "apply_tags",
    "cached",
    "catch",
    "catch_all",
    "cond",
    "evaluate",
    "executions",
    "explain",
    "exponential",
    "fork_thread",
    "get_context",
    "get_context_value",
    "get_current_namespace",
    "get_current_scheduler",
    "get_task_registry",
    "get_tuple_type_length",
    "get_type_registry",
    "hash_args_eval",
    "is_unknown_function",
    "join_thread",
    "lineage",
    "merge_handles",
    "namespace",
    "opaque",
    "plan",
    "quote",
    "register_executor",
    "release",
    "run",
    "scheduler_task",
    "script",
    "seq",
    "set_current_scheduler",
    "subrun",
    "task",
    "throw",
    "utcnow",
    "wait_promises",
    "wraps_task",
]

# Where each name is at home; it is loaded when it is first asked for, so that `import taskgraph`
# stays quick.
_HOMES = {
    "AliasExecutor": "taskgraph.executors.alias",
    "Archive": "taskgraph.archive",
    "CacheCheckValid": "taskgraph.tasks.options",
    "CacheResult": "taskgraph.tasks.options",
    "CacheScope": "taskgraph.tasks.options",
    "Callback": "taskgraph.catalog.targets",
    "Command": "taskgraph.catalog.targets",
    "ContentDir": "taskgraph.values.file_policies",
    "ContentFile": "taskgraph.values.file_policies",
    "ContentStagingDir": "taskgraph.values.file_policies",
    "ContentStagingFile": "taskgraph.values.file_policies",
    "Dir": "taskgraph.values.directories",
    "ErrorValue": "taskgraph.values.failures",
    "F": "taskgraph.catalog.writing",
    "FailedCall": "taskgraph.tasks.failing",
    "File": "taskgraph.values.files",
    "FileCache": "taskgraph.values.file_cache",
    "FileSet": "taskgraph.values.filesets",
    "Frame": "taskgraph.tracebacks",
    "Handle": "taskgraph.values.handles",
    "IDir": "taskgraph.values.file_policies",
    "IFile": "taskgraph.values.file_policies",
    "IStagingDir": "taskgraph.values.file_policies",
    "IStagingFile": "taskgraph.values.file_policies",
    "Job": "taskgraph.engine.callers",
    "JobInfo": "taskgraph.tasks.standing",
    "Notification": "taskgraph.catalog.policy_rows",
    "PartialTask": "taskgraph.tasks.task",
    "ProxyValue": "taskgraph.values.value",
    "PooledExecutor": "taskgraph.executors.pooled",
    "Promise": "taskgraph.promise",
    "Scheduler": "taskgraph.app",
    "StagingDir": "taskgraph.values.staging",
    "StagingFile": "taskgraph.values.staging",
    "State": "taskgraph.catalog.states",
    "Task": "taskgraph.tasks.task",
    "Traceback": "taskgraph.tracebacks",
    "Value": "taskgraph.values.value",
    "Webhook": "taskgraph.catalog.targets",
    "apply_tags": "taskgraph.combinators.control",
    "cached": "taskgraph.plug.memo",
    "catch": "taskgraph.combinators.control",
    "catch_all": "taskgraph.combinators.control",
    "cond": "taskgraph.combinators.control",
    "evaluate": "taskgraph.expression",
    "executions": "taskgraph.archive",
    "explain": "taskgraph.app",
    "exponential": "taskgraph.tasks.retrying",
    "fork_thread": "taskgraph.combinators.control",
    "get_context": "taskgraph.combinators.control",
    "get_context_value": "taskgraph.tasks.context",
    "get_current_namespace": "taskgraph.tasks.names",
    "get_current_scheduler": "taskgraph.app",
    "get_task_registry": "taskgraph.tasks.registry",
    "get_tuple_type_length": "taskgraph.tasks.task",
    "hash_args_eval": "taskgraph.app",
    "get_type_registry": "taskgraph.values.types",
    "is_unknown_function": "taskgraph.values.unknown",
    "join_thread": "taskgraph.combinators.control",
    "lineage": "taskgraph.app",
    "load_ipython_extension": "taskgraph.plug.jupyter",  # called by IPython's %load_ext
    "merge_handles": "taskgraph.combinators.handles",
    "namespace": "taskgraph.tasks.names",
    "opaque": "taskgraph.fingerprint.opaque",
    "open": "taskgraph.archive",  # not in __all__: `import *` must not hide the builtin
    "plan": "taskgraph.app",
    "quote": "taskgraph.expression",
    "register_executor": "taskgraph.executors.types",
    "release": "taskgraph.app",
    "run": "taskgraph.app",
    "scheduler_task": "taskgraph.tasks.decorator",
    "script": "taskgraph.scripting.calls",
    "seq": "taskgraph.combinators.control",
    "set_current_scheduler": "taskgraph.app",
    "subrun": "taskgraph.subruns",
    "task": "taskgraph.tasks.decorator",
    "throw": "taskgraph.combinators.control",
    "utcnow": "taskgraph.moments",
    "wait_promises": "taskgraph.promise",
    "wraps_task": "taskgraph.tasks.wrapping",
}


def __getattr__(name: str) -> Any:  # any public name
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'taskgraph' has no attribute {name!r}")
    found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])
