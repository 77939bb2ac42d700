"""taskgraph asked about files, in both directions: by hashes, and with the rows at both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from taskgraph import File, Scheduler, task
from taskgraph_backend import SqlBackend
from taskgraph_backend.dataflow import walk_dataflow
from taskgraph_backend.dataflow.chart import Arrow, Asked, Place, ask
from taskgraph_backend.dataflow.rules import CALL, RESULT, VALUE
from taskgraph_backend.reader import Reader

taskgraph_namespace = "bench"

LOADED, BY_HASHES = "rows loaded", "by hashes"
Ways = dict[str, Callable[[], Iterable[Any]]]


@task
def make(source: File, number: int) -> File:
    made = File(f"out/{number}.txt")
    made.write(f"{number}\n")
    return made


@task
def report(files: list[File]) -> File:
    made = File("report.txt")
    made.write(f"{len(files)}\n")
    return made


@task
def main(source: File, count: int) -> Any:
    return report([make(source, number) for number in range(count)])


def ways(reader: Reader, path: str, *, down: bool = False) -> Ways:
    """Return the ways to ask where a file came from, in the execution that made or used it."""
    found = reader.find_file(path)
    if found is None:
        raise SystemExit(f"wrong result: {path} is not recorded")
    file, job, _ = found
    value, execution_id = file.value, job.execution_id
    key = bytes.fromhex(value.value_hash)
    start = (VALUE, key, key, key, key)
    walk = partial(walk_dataflow, reader, value, down=down, execution_id=execution_id)
    return {LOADED: walk, BY_HASHES: lambda: ask(reader, Asked(start, down, execution_id))}


def calls(edges: Iterable[Any]) -> int:
    """Count the calls at the ends of edges or arrows."""
    found = set()
    for edge in edges:
        for end in edge:
            if isinstance(edge, Arrow):
                if isinstance(end, Place) and end.kind in {RESULT, CALL}:
                    found.add(end.id.hex())
            elif end is not None:
                # Of results and arguments the call that they are of; a value has none.
                node = getattr(end, "call_node", end)
                found.add(getattr(node, "call_hash", None))
    return len(found - {None})


class Contestant:
    name = "taskgraph"

    def __init__(self, folder: Path) -> None:
        self._uri = f"sqlite:///{folder.resolve() / 'taskgraph.db'}"
        self._backend = SqlBackend(self._uri)
        self._backend.load()
        self._reader = self._backend.reader()

    def make_files(self, count: int) -> None:
        with Scheduler(backend=self._uri) as scheduler:
            scheduler.run(main(File("source.txt"), count))

    def forget(self) -> None:
        # What an earlier question loaded is no part of the answer to the next one.
        self._reader.expunge_all()

    def by_path(self, path: str) -> Any:
        return self._reader.find_file(path)

    def upstream(self, path: str) -> Ways:
        return ways(self._reader, path)

    def downstream(self, path: str) -> Ways:
        return ways(self._reader, path, down=True)

    @staticmethod
    def calls(edges: Iterable[Any]) -> int:
        return calls(edges)

    def close(self) -> None:
        self._reader.close()
        self._backend.close()
