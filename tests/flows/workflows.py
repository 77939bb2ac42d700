"""Small workflows with every way that a value can take, run on a database in memory.

`WORKFLOWS` has them by name; `lab_with` runs one.
What their edges are is written out in `test_edges`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from taskgraph import (
    Dir,
    File,
    FileSet,
    Scheduler,
    catch,
    cond,
    fork_thread,
    join_thread,
    script,
    seq,
    task,
)
from taskgraph.functools import map_
from taskgraph_backend import SqlBackend, models
from taskgraph_backend.dataflow.nodes import (
    ArgumentValue,
    CallNodeValue,
    DataflowEdge,
    DataflowNode,
)
from taskgraph_backend.reader import Reader


@dataclass
class Lab:
    """A database with what a workflow left in it.

    Attributes:
        folder: Where its files are.
        executions: The ids of its executions, in order.
    """

    folder: Path
    backend: SqlBackend
    scheduler: Scheduler
    executions: list[str] = field(default_factory=list)

    def run(self, expression: Any) -> Any:
        self.executions.append(f"{len(self.executions) + 1:032x}")
        return self.scheduler.run(expression, execution_id=self.executions[-1])

    def file(self, name: str, text: str = "text") -> File:
        """Return a file that somebody put there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return File(str(path))


@contextmanager
def lab_with(name: str, folder: Path, uri: str | None = None) -> Iterator[Lab]:
    """Run a workflow of `WORKFLOWS` in a folder, on a database in memory or another one."""
    with (
        SqlBackend(uri) as backend,
        Scheduler(backend=backend, executor="inline") as scheduler,
    ):
        lab = Lab(folder, backend, scheduler)
        WORKFLOWS[name](lab)
        yield lab


# Plain values.


@task(namespace="flows", version="1")
def double(x: int) -> int:
    return 2 * x


@task(namespace="flows", version="1")
def increase(x: int, by: int = 1) -> int:
    return x + by


@task(namespace="flows", version="1")
def add(left: int, right: int) -> int:
    return left + right


@task(namespace="flows", version="1")
def pair(x: int) -> list[int]:
    return [x, x + 100]


@task(namespace="flows", version="1")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task(namespace="flows", version="1")
def no_arguments() -> int:
    return 7


@task(namespace="flows", version="1")
def is_large(x: int) -> bool:
    return x > 10


@task(namespace="flows", version="1")
def fail(x: int) -> int:
    raise ValueError(x)


@task(namespace="flows", version="1")
def recover(error: Exception) -> int:
    return -1


@task(namespace="flows", version="1")
def double_twice(x: int) -> int:
    return double(double(x))


@task(namespace="flows", version="1")
def hand_on(x: int) -> int:
    return double_twice(x)


@task(namespace="flows", version="1")
def diamond(x: int) -> int:
    middle = double(x)
    return add(increase(middle), increase(middle, by=2))


@task(namespace="flows", version="1")
def sum_of_two(x: int) -> Any:
    return double(x) + increase(x)


@task(namespace="flows", version="1")
def second_of(x: int) -> Any:
    return double(pair(x)[1])


@task(namespace="flows", version="1")
def total_of(x: int) -> Any:
    return total([double(x), increase(x)])


@task(namespace="flows", version="1")
def total_of_own(x: int, y: int) -> Any:
    return total([x, y])


@task(namespace="flows", version="1")
def equal_values(x: int) -> Any:
    # Twice two and two and two are four, whoever asks.
    return add(double(x), increase(x, by=2))


@task(namespace="flows", version="1")
def large_or_double(x: int) -> Any:
    return cond(is_large(x), increase(x), double(x))


@task(namespace="flows", version="1")
def within_limits(x: int, limit: int) -> Any:
    inner = cond(is_large(limit), add(x, limit), double(x))
    return cond(is_large(x), catch(inner, ValueError, recover), increase(x))


@task(namespace="flows", version="1")
def caught(x: int) -> Any:
    return catch(fail(x), ValueError, recover)


@task(namespace="flows", version="1")
def nothing_caught(x: int) -> Any:
    return catch(double(x), ValueError, recover)


@task(namespace="flows", version="1")
def doubled(numbers: list[int]) -> Any:
    return total(map_(double, numbers))


@task(namespace="flows", version="1")
def one_after_another(x: int) -> Any:
    return total(seq([double(x), increase(x)]))


@task(namespace="flows", version="1")
def begin(x: int) -> Any:
    return fork_thread(double(x))


@task(namespace="flows", version="1")
def finish(thread: Any, y: int) -> Any:
    return add(y, join_thread(thread))


@task(namespace="flows", version="1")
def forked(x: int) -> Any:
    return finish(begin(x), x)


@task(namespace="flows", version="1", check_valid="shallow")
def shallow(x: int) -> Any:
    return increase(double(x))


@task(namespace="flows", version="1")
def above_shallow(x: int) -> Any:
    return add(shallow(x), 1)


# Files.


@task(namespace="flows", version="1")
def copy(source: File, to: str) -> File:
    file = File(to)
    file.write(source.read())
    return file


@task(namespace="flows", version="1")
def align(fastq: File, ref: File) -> File:
    file = File(fastq.path.replace(".fastq", ".bam"))
    file.write(f"{fastq.read()} on {ref.read()}")
    return file


@task(namespace="flows", version="1")
def align_all(fastqs: list[File], ref: File) -> Any:
    return [align(fastq, ref) for fastq in fastqs]


@task(namespace="flows", version="1")
def call_variants(bam: File, ref: File) -> File:
    file = File(bam.path.replace(".bam", ".vcf"))
    file.write(f"{bam.read()} against {ref.read()}")
    return file


@task(namespace="flows", version="1")
def call_variants_all(bams: list[File], ref: File) -> Any:
    return [call_variants(bam, ref) for bam in bams]


@task(namespace="flows", version="1")
def samples(fastqs: list[File], ref: File) -> Any:
    return call_variants_all(align_all(fastqs, ref), ref)


@dataclass
class Sample:
    """Files under names."""

    bam: File
    index: dict[str, list[File]]


@task(namespace="flows", version="1")
def nested(source: File, folder: str) -> Any:
    return Sample(copy(source, f"{folder}/deep.bam"), {"all": [copy(source, f"{folder}/deep.bai")]})


@task(namespace="flows", version="1")
def read_index(sample: Sample) -> Any:
    return read(sample.index["all"][0])


@task(namespace="flows", version="1")
def read(file: File) -> str:
    return file.read()


@task(namespace="flows", version="1")
def deep(source: File, folder: str) -> Any:
    return read_index(nested(source, folder))


@task(namespace="flows", version="1")
def read_all(files: list[File]) -> str:
    return "".join(each.read() for each in files)


@task(namespace="flows", version="1")
def read_both(first: File, second: File) -> Any:
    return read_all([first, second])


@task(namespace="flows", version="1")
def read_copies(source: File, folder: str) -> Any:
    return read_all([copy(source, f"{folder}/{each}.txt") for each in ("a", "b")])


@task(namespace="flows", version="1")
def write_folder(folder: str) -> Dir:
    for name in ("a", "b"):
        File(f"{folder}/{name}.part").write(name)
    return Dir(folder)


@task(namespace="flows", version="1")
def first_file(parts: Dir) -> Any:
    return read(sorted(parts, key=lambda each: each.path)[0])


@task(namespace="flows", version="1")
def in_a_folder(folder: str) -> Any:
    return first_file(write_folder(folder))


@task(namespace="flows", version="1")
def read_set(parts: FileSet) -> Any:
    return [read(each) for each in sorted(parts, key=lambda each: each.path)]


@task(namespace="flows", version="1")
def sort_lines(source: File, out: str) -> Any:
    return script(f"sort {source.path} > {out}", inputs=[source], outputs=File(out))


@task(namespace="flows", version="1", script=True)
def count_lines(source: File) -> str:
    return f"wc -l < {source.path}"


@task(namespace="flows", version="1")
def scripted(source: File, out: str) -> Any:
    return count_lines(sort_lines(source, out))


@task(namespace="flows", version="1")
def in_place(bams: list[File], ref: File) -> Any:
    return call_variants_all(bams, ref)


# An edit of `make` that changes nothing: two versions of one task.


@task(namespace="flows", name="make", version="1")
def make_first(x: int) -> int:
    return x + 5


@task(namespace="flows", name="make", version="2")
def make_second(x: int) -> int:
    return 5 + x


@task(namespace="flows", name="top", version="1")
def top_first(x: int) -> Any:
    return double(make_first(x))


@task(namespace="flows", name="top", version="2")
def top_second(x: int) -> Any:
    return double(make_second(x))


def _twice(lab: Lab, make: Callable[[], Any]) -> None:
    lab.run(make())
    lab.run(make())


def _three_samples(lab: Lab) -> tuple[list[File], File]:
    names = ("s1", "s2", "s3")
    return [lab.file(f"{name}.fastq", name) for name in names], lab.file("ref", "acgt")


def _in_place(lab: Lab) -> None:
    fastqs, ref = _three_samples(lab)
    bams = lab.run(align_all(fastqs[:2], ref))
    lab.run(in_place(bams, ref))


def _early_cut_off(lab: Lab) -> None:
    lab.run(top_first(1))
    lab.run(top_second(1))


def _file_set(lab: Lab) -> None:
    for name in ("a", "b"):
        lab.file(f"set/{name}.part", name)
    lab.run(read_set(FileSet(str(lab.folder / "set" / "*.part"))))


#: What is run for each name.
WORKFLOWS: dict[str, Callable[[Lab], object]] = {
    "nested calls": lambda lab: lab.run(hand_on(3)),
    "diamond": lambda lab: lab.run(diamond(3)),
    "no arguments": lambda lab: lab.run(double(no_arguments())),
    "operator": lambda lab: lab.run(sum_of_two(3)),
    "item": lambda lab: lab.run(second_of(3)),
    "list of results": lambda lab: lab.run(total_of(3)),
    "list of arguments": lambda lab: lab.run(total_of_own(3, 4)),
    "equal values": lambda lab: lab.run(equal_values(2)),
    "cond": lambda lab: lab.run(large_or_double(3)),
    "cond in catch in cond": lambda lab: lab.run(within_limits(11, 12)),
    "caught": lambda lab: lab.run(caught(3)),
    "nothing caught": lambda lab: lab.run(nothing_caught(3)),
    "map": lambda lab: lab.run(doubled([1, 2])),
    "seq": lambda lab: lab.run(one_after_another(3)),
    "forked": lambda lab: lab.run(forked(3)),
    "shallow": lambda lab: _twice(lab, lambda: above_shallow(3)),
    "cached": lambda lab: _twice(lab, lambda: hand_on(3)),
    "early cut-off": _early_cut_off,
    "samples": lambda lab: lab.run(samples(*_three_samples(lab))),
    "nested values": lambda lab: lab.run(deep(lab.file("source"), str(lab.folder))),
    "files put together": lambda lab: lab.run(read_both(lab.file("a"), lab.file("b"))),
    "copies put together": lambda lab: lab.run(read_copies(lab.file("source"), str(lab.folder))),
    "folder": lambda lab: lab.run(in_a_folder(str(lab.folder / "parts"))),
    "file set": _file_set,
    "scripts": lambda lab: lab.run(scripted(lab.file("in.txt", "b\na\n"), f"{lab.folder}/out.txt")),
    "two executions": _in_place,
}


class Labels:
    """Names for the nodes of a small database that a person can read and write.

    A call goes by the name of its task; with its arguments, or its result where these are long, if
    the task was called more than once. Files go by their names, other values by their previews.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._calls: dict[str, list[models.CallNode]] = {}
        for call in reader.scalars(select(models.CallNode).order_by(models.CallNode.timestamp)):
            self._calls.setdefault(call.task_name, []).append(call)

    def of(self, node: DataflowNode | None) -> str:
        match node:
            case None:
                return "origin"
            case CallNodeValue(call, value):
                part = "" if value is call.value else f"{self.of_value(value)} in "
                return f"{part}result of {self.of_call(call)}"
            case ArgumentValue(argument, value):
                part = "" if value is argument.value else f"{self.of_value(value)} in "
                return f"{part}{argument.arg_key} of {self.of_call(argument.call_node)}"
            case models.CallNode():
                return self.of_call(node)
            case models.Value():
                return f"value {self.of_value(node)}"

    def of_call(self, call: models.CallNode) -> str:
        short = call.task_name.rpartition(".")[2]
        alike = self._calls[call.task_name]
        if len(alike) == 1:
            return short
        label = f"{short}({', '.join(self.of_value(each.value) for each in call.arguments)})"
        if len({each.task_hash for each in alike}) > 1:
            versions = list(dict.fromkeys(each.task_hash for each in alike))
            label += f" v{versions.index(call.task_hash) + 1}"
        return label if len(label) < 60 else f"{short} giving {self.of_value(call.value)}"

    def of_value(self, value: models.Value) -> str:
        if value.file is not None:
            return Path(value.file.path).name
        if value.subfiles:
            return f"[{', '.join(sorted(Path(each.path).name for each in value.subfiles))}]"
        where, _, name = value.preview.rpartition("/")
        return f"'{name}" if where else name

    def find(self, label: str) -> DataflowNode:
        """Return the node of a label."""
        calls = [call for alike in self._calls.values() for call in alike]
        nodes: list[DataflowNode] = [*calls, *self._reader.scalars(select(models.Value))]
        for call in calls:
            nodes += [CallNodeValue(call, part) for part in [call.value, *call.value.children]]
            for argument in call.arguments:
                inside = [argument.value, *argument.value.children]
                nodes += [ArgumentValue(argument, part) for part in inside]
        (found,) = (node for node in nodes if self.of(node) == label)
        return found

    def lines(self, edges: Iterable[DataflowEdge]) -> list[str]:
        """Return edges as lines, sorted."""
        return sorted(f"{self.of(edge.src)} <- {self.of(edge.dest)}" for edge in edges)
