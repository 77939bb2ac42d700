"""redun asked about files, through its documented functions; it has none that asks downstream."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from redun import File, Scheduler, task
from redun.backends.db import CallNode
from redun.backends.db import File as FileRow
from redun.backends.db.dataflow import walk_dataflow
from redun.backends.db.query import find_file
from redun.config import Config

redun_namespace = "bench"


@task()
def make(source: File, number: int) -> File:
    made = File(f"out/{number}.txt")
    made.write(f"{number}\n")
    return made


@task()
def report(files: list[File]) -> File:
    made = File("report.txt")
    made.write(f"{len(files)}\n")
    return made


@task()
def main(source: File, count: int) -> File:
    return report([make(source, number) for number in range(count)])


class Contestant:
    name = "redun"

    def __init__(self, folder: Path) -> None:
        logging.getLogger("redun").setLevel(logging.ERROR)
        sys.setrecursionlimit(100_000)
        uri = f"sqlite:///{folder.resolve() / 'redun.db'}"
        self.scheduler = Scheduler(config=Config({"backend": {"db_uri": uri}}))
        self.scheduler.load()

    def make_files(self, count: int) -> None:
        self.scheduler.run(main(File("source.txt"), count))

    def forget(self) -> None:
        # What an earlier question loaded is no part of the answer to the next one.
        self._session.expunge_all()

    def by_path(self, path: str) -> Any:
        return find_file(self._session, path)

    def upstream(self, path: str) -> dict[str, Any]:
        """Return the ways to ask, by their names."""
        row = self._session.query(FileRow).filter_by(path=path).one()
        return {"rows loaded": lambda: walk_dataflow(self.scheduler.backend, row.value)}

    def downstream(self, path: str) -> dict[str, Any]:
        return {}

    @staticmethod
    def calls(edges: Iterable[Any]) -> int:
        """Count the calls that edges lead to."""
        ends = [getattr(edge.dest, "call_node", edge.dest) for edge in edges]
        return len({end.call_hash for end in ends if isinstance(end, CallNode)})

    @property
    def _session(self) -> Any:
        return self.scheduler.backend.session

    def close(self) -> None:
        pass
