"""What a body may know of the job that it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class JobInfo:
    """What a body may know of its job: a parameter with the default ``JobInfo()`` is given it.

    It never counts in the key of the cache, and is not recorded as an argument. ::

        @task
        def train(rows: int, job: JobInfo = JobInfo()) -> str:
            return f"models/{job.job_id}"

    Attributes:
        execution_id: The run; empty where there is none, in a plain call of the function.
        job_id: The job; later attempts of the same call have the same.
        eval_hash: The call's key in the cache; None if it has none.
        args_hash: What its arguments have in it; None if they have no hash.
        options: The options in force, by name.
    """

    execution_id: str = ""
    job_id: str = ""
    eval_hash: str | None = None
    args_hash: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
