"""The front door: each name that users may rely on, written out, so that none goes unnoticed."""

from __future__ import annotations

import inspect

import pytest

import taskgraph

# A name that is added or removed here belongs in CHANGELOG.md.
PUBLIC = [
    "ContentDir",
    "ContentFile",
    "ContentStagingDir",
    "ContentStagingFile",
    "Dir",
    "FailedCall",
    "File",
    "FileSet",
    "Handle",
    "IDir",
    "IFile",
    "IStagingDir",
    "IStagingFile",
    "JobInfo",
    "PartialTask",
    "Scheduler",
    "StagingDir",
    "StagingFile",
    "Task",
    "__version__",
    "apply_tags",
    "cached",
    "catch",
    "catch_all",
    "cond",
    "evaluate",
    "explain",
    "exponential",
    "fork_thread",
    "get_context",
    "get_current_namespace",
    "get_current_scheduler",
    "get_task_registry",
    "join_thread",
    "lineage",
    "merge_handles",
    "namespace",
    "opaque",
    "plan",
    "release",
    "run",
    "scheduler_task",
    "script",
    "seq",
    "set_current_scheduler",
    "subrun",
    "task",
    "throw",
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


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tusk'"):
        taskgraph.tusk
