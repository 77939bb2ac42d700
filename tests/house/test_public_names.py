"""The front door: each name that users may rely on, written out, so that none goes unnoticed."""

from __future__ import annotations

import inspect

import pytest

import taskgraph

# A name that is added or removed here belongs in CHANGELOG.md.
PUBLIC = [
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


def test_the_public_names_are_these() -> None:
    assert taskgraph.__all__ == PUBLIC


def test_the_names_are_sorted() -> None:
    assert sorted(PUBLIC) == PUBLIC


def test_tab_completion_offers_the_public_names() -> None:
    assert set(PUBLIC) <= set(dir(taskgraph))


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_documented(name: str) -> None:
    found = getattr(taskgraph, name)

    assert name == "__version__" or (inspect.getdoc(found) or "").strip()


def test_a_star_import_leaves_the_builtin_open_alone() -> None:
    names: dict[str, object] = {}

    exec("from taskgraph import *", names)

    assert "open" not in names
    assert "open" in dir(taskgraph)
    assert taskgraph.open is not open


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tusk'"):
        taskgraph.tusk
