from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.cli.main import EXIT_CODES, cli
from taskgraph.cli.options import ExitCode
from taskgraph.errors import NothingToCompareError, UnknownRecordError


@task(namespace="compared", version="1")
def one() -> int:
    return 1


def diff(folder: Path, *words: str) -> None:
    cli.main(["-c", str(folder), "diff", *words], standalone_mode=False)


def test_before_two_runs_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(NothingToCompareError, match="Nothing was run yet"):
        diff(tmp_path)
    with pytest.raises(UnknownRecordError):
        diff(tmp_path, "-")

    with Scheduler(backend=f"sqlite:///{tmp_path}/taskgraph.db") as scheduler:
        scheduler.load()
        scheduler.run(one())

    with pytest.raises(NothingToCompareError, match=r"no other one of compared\.one"):
        diff(tmp_path)
    with pytest.raises(NothingToCompareError):
        diff(tmp_path, "-")


def test_that_is_told_to_the_shell_as_not_found() -> None:
    assert dict(EXIT_CODES)[NothingToCompareError] is ExitCode.NOT_FOUND
