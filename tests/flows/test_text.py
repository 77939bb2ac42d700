"""The text of a data flow, as it is read; and the same as plain dicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import event, inspect

from taskgraph import File, task
from taskgraph_backend import models
from taskgraph_backend.dataflow.display import display_dataflow
from taskgraph_backend.dataflow.dom import make_dataflow_dom
from taskgraph_backend.dataflow.nodes import ArgumentValue, CallNodeValue, DataflowEdge
from taskgraph_backend.dataflow.serialize import serialize_dataflow
from taskgraph_backend.dataflow.walking import walk_dataflow
from taskgraph_backend.reader import Reader
from tests.flows.workflows import Lab, Labels, lab_with, samples


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: texts of values are cut, and have the paths of files in them."""
    with TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


def text_of(lab: Lab, reader: Reader, start: str, **options: Any) -> str:
    """Return the text with names in place of hashes that depend on where the test runs."""
    edges = walk_dataflow(reader, Labels(reader).find(start), all=True, **options)
    text = "\n".join(display_dataflow(make_dataflow_dom(edges)))
    text = text.replace(f"{lab.folder}/", "")
    seen: dict[str, str] = {}
    return re.sub(
        r"<([0-9a-f]{8})>|hash=[0-9a-f]{8}",
        lambda match: (
            "hash=..." if match[1] is None else seen.setdefault(match[0], f"<{len(seen) + 1:08}>")
        ),
        text,
    )


TEXTS: dict[tuple[str, str], str] = {
    # What everybody asks first: the third of three samples.
    ("samples", "s3.vcf in result of samples"): """
        value <-- result of <00000001> flows.samples(fastqs, ref)
              <-- result of <00000002> flows.call_variants_all(bams, ref)
              <-- <00000003> flows.call_variants(bam, ref)
          bam = <00000004> File(path=s3.bam, hash=...)
          ref = <00000005> File(path=ref, hash=...)

        bam <-- argument of <00000002> flows.call_variants_all(bams, ref)
            <-- result of <00000006> flows.align_all(fastqs, ref)
            <-- <00000007> flows.align(fastq, ref_2)
          fastq = <00000008> File(path=s3.fastq, hash=...)
          ref_2 = <00000005> File(path=ref, hash=...)

        fastq <-- argument of <00000006> flows.align_all(fastqs, ref)
              <-- argument of <00000001> flows.samples(fastqs, ref)
              <-- origin

        ref_2 <-- argument of <00000006> flows.align_all(fastqs, ref)
              <-- ref_3

        ref <-- argument of <00000002> flows.call_variants_all(bams, ref)
            <-- ref_3

        ref_3 <-- argument of <00000001> flows.samples(fastqs, ref)
              <-- origin
        """,
    # Two routes meet at one result.
    ("diamond", "result of diamond"): """
        value <-- result of <00000001> flows.diamond(x)
              <-- <00000002> flows.add(left, right)
          left  = <00000003> 7
          right = <00000004> 8

        left <-- <00000005> flows.increase(x, by)
          x  = <00000006> 6
          by = <00000007> 1

        by <-- origin

        right <-- <00000008> flows.increase(x_2, by_2)
          x_2  = <00000006> 6
          by_2 = <00000009> 2

        x <-- double_result

        x_2 <-- double_result

        double_result <-- <00000010> flows.double(x_3)
          x_3 = <00000011> 3

        x_3 <-- argument of <00000001> flows.diamond(x)
            <-- origin

        by_2 <-- origin
        """,
    # An operator: the result of a call is made of what its children gave.
    ("operator", "result of sum_of_two"): """
        value <-- <00000001> flows.sum_of_two(x)
          x               = <00000002> 3
          double_result   = <00000003> 6
          increase_result = <00000004> 4

        double_result <-- <00000005> flows.double(x_2)
          x_2 = <00000002> 3

        increase_result <-- <00000006> flows.increase(x_3, by)
          x_3 = <00000002> 3
          by  = <00000007> 1

        x_2 <-- x

        x_3 <-- x

        x <-- origin

        by <-- origin
        """,
    # A call without arguments.
    ("no arguments", "result of double"): """
        value <-- <00000001> flows.double(x)
          x = <00000002> 7

        x <-- <00000003> flows.no_arguments()
        """,
    # Tasks of the library itself are left out.
    ("cond", "result of large_or_double"): """
        value <-- result of <00000001> flows.large_or_double(x)
              <-- <00000002> flows.double(x)
          x = <00000003> 3

        x <-- argument of <00000001> flows.large_or_double(x)
          <-- origin
        """,
    ("map", "result of doubled"): """
        value <-- result of <00000001> flows.doubled(numbers)
              <-- <00000002> flows.total(numbers)
          numbers = <00000003> [2, 4]

        numbers <-- derives from
          double_result   = <00000004> 2
          double_result_2 = <00000005> 4

        double_result <-- <00000006> flows.double(x)
          x = <00000007> 1

        x <-- origin

        double_result_2 <-- <00000008> flows.double(x_2)
          x_2 = <00000004> 2

        x_2 <-- origin
        """,
    # A value that no call gave: it is made of others.
    ("copies put together", "value [a.txt, b.txt]"): """
        value <-- derives from
          value_2 = <00000001> File(path=a.txt, hash=...)
          value_3 = <00000002> File(path=b.txt, hash=...)

        value_2 <-- <00000003> flows.copy(source, to)
          source = <00000004> File(path=source, hash=...)
          to     = <00000005> 'a.txt'

        to <-- origin

        value_3 <-- <00000006> flows.copy(source_2, to_2)
          source_2 = <00000004> File(path=source, hash=...)
          to_2     = <00000007> 'b.txt'

        source <-- source_3

        source_2 <-- source_3

        source_3 <-- argument of <00000008> flows.read_copies(source, folder)
                 <-- origin

        to_2 <-- origin
        """,
    # A file joins two executions.
    ("two executions", "s1.vcf in result of in_place"): """
        value <-- result of <00000001> flows.in_place(bams, ref)
              <-- result of <00000002> flows.call_variants_all(bams, ref)
              <-- <00000003> flows.call_variants(bam, ref)
          bam = <00000004> File(path=s1.bam, hash=...)
          ref = <00000005> File(path=ref, hash=...)

        bam <-- argument of <00000002> flows.call_variants_all(bams, ref)
            <-- argument of <00000001> flows.in_place(bams, ref)
            <-- <00000004> File(path=s1.bam, hash=...)
            <-- <00000006> flows.align(fastq, ref_2)
          fastq = <00000007> File(path=s1.fastq, hash=...)
          ref_2 = <00000005> File(path=ref, hash=...)

        fastq <-- argument of <00000008> flows.align_all(fastqs, ref)
              <-- origin

        ref_2 <-- argument of <00000008> flows.align_all(fastqs, ref)
              <-- origin

        ref <-- argument of <00000002> flows.call_variants_all(bams, ref)
            <-- argument of <00000001> flows.in_place(bams, ref)
            <-- origin
        """,
}


@pytest.mark.parametrize(("workflow", "start"), TEXTS, ids=str)
def test_the_text_reads_like_this(folder: Path, workflow: str, start: str) -> None:
    with lab_with(workflow, folder) as lab, lab.backend.reader() as reader:
        text = text_of(lab, reader, start)

    assert text == dedent(TEXTS[workflow, start]).lstrip("\n")


def test_what_was_made_of_a_file_is_told_from_the_results_back_to_it(folder: Path) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        text = text_of(lab, reader, "value s2.fastq", down=True)

    assert "<-- origin" not in text
    assert text.startswith("samples_result <-- <00000001> flows.samples(fastqs, ref)")
    assert text.rstrip().endswith("<-- argument of <00000001> flows.samples(fastqs, ref)")


def test_a_text_says_how_much_it_leaves_out(folder: Path) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        edges = list(walk_dataflow(reader, Labels(reader).find("result of samples"), all=True))
        whole = sum(not line for line in display_dataflow(make_dataflow_dom(edges)))
        lines = list(display_dataflow(make_dataflow_dom(edges), most_sections=2))

    assert sum(not line for line in lines) == 2
    assert lines[-1] == f"... and {whole - 2} more sections"


def test_each_name_stands_for_one_value(folder: Path) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        edges = list(walk_dataflow(reader, Labels(reader).find("result of samples"), all=True))
        dom = list(make_dataflow_dom(edges))

    told = [section.assign.var_name for section in dom]
    given = [arg.var_name for section in dom for arg in section.args]
    assert len(set(told)) == len(told)
    assert len(set(given)) == len(given)
    assert set(given) <= set(told)


@pytest.mark.parametrize("name", ["value", "vcf"])
def test_what_was_asked_for_has_the_name_that_is_wanted(folder: Path, name: str) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        edges = walk_dataflow(reader, Labels(reader).find("value s3.vcf"), all=True)
        first = next(make_dataflow_dom(edges, new_varname=name))

    assert first.assign.var_name == name


def test_as_dicts_each_call_has_its_job(folder: Path) -> None:
    with lab_with("cached", folder) as lab, lab.backend.reader() as reader:
        edges = list(walk_dataflow(reader, Labels(reader).find("result of hand_on"), all=True))
        dom = list(make_dataflow_dom(edges))
        first, again = (serialize_dataflow(dom, each) for each in lab.executions)
        by_default = serialize_dataflow(dom)

    assert by_default == first
    assert {each["assign"]["execution_id"] for each in again} == {lab.executions[1]}
    assert first[0]["assign"] == {
        "var_name": "value",
        "prefix": "result of",
        "display": dom[0].assign.node_display,
        "hash": dom[0].assign.node.call_node.call_hash,  # type: ignore[union-attr]
        "job_id": first[0]["assign"]["job_id"],
        "execution_id": lab.executions[0],
    }
    assert first[0]["args"][0].keys() == {"var_name", "hash", "value_display"}
    assert first[-1]["routing"][-1] == {
        "prefix": "", "display": "origin", "hash": None, "job_id": None, "execution_id": None,
    }  # fmt: skip


def test_telling_takes_a_few_statements_however_long_the_text_is(folder: Path) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        files = [lab.file(f"t{number}.fastq", str(number)) for number in range(30)]
        lab.run(samples(files, lab.file("ref", "acgt")))
        execution = reader.get(models.Execution, lab.executions[-1])
        assert execution is not None
        assert execution.call_node is not None
        start = CallNodeValue(execution.call_node, execution.call_node.value)
        edges = list(walk_dataflow(reader, start, execution_id=lab.executions[-1]))
        statements: list[str] = []
        engine = reader.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

        dom = list(make_dataflow_dom(edges))
        told = len(statements)
        serialize_dataflow(dom)

    assert len(dom) > 150
    # The tasks at once; those that the session knows are fetched again one by one.
    assert told <= 6
    assert len(statements) - told <= 1 + len(dom) // 500


def test_telling_reads_no_value(folder: Path) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        edges = list(walk_dataflow(reader, Labels(reader).find("result of samples"), all=True))
        dom = list(make_dataflow_dom(edges))
        list(display_dataflow(dom))
        serialize_dataflow(dom)
        values = [arg.value for section in dom for arg in section.args]

        assert values
        assert all("value" in inspect(each).unloaded for each in values)


def test_ten_thousand_sections_are_told_one_after_another() -> None:
    edges = _long_chain(10_000)

    sections = sum(1 for _ in make_dataflow_dom(edges))

    assert sections >= 10_000


def _long_chain(length: int) -> list[DataflowEdge]:
    """Calls of one task, each on the result of the one before."""
    source = models.Task(hash=f"{0:032x}", name="step", namespace="", source="def step(x): ...")
    edges: list[DataflowEdge] = []
    behind: CallNodeValue | None = None
    for number in range(length):
        value = models.Value(value_hash=f"{number:032x}", type="int", preview=str(number))
        call = models.CallNode(call_hash=f"{number:032x}", task_name="step", task_hash=source.hash)
        call.__dict__["task"] = source
        argument = models.Argument(arg_hash=f"{number:032x}", arg_key="x", arg_position=0)
        argument.__dict__["call_node"] = call
        given = ArgumentValue(argument, value if behind is None else behind.value)
        result = CallNodeValue(call, value)
        edges += [
            DataflowEdge(result, call),
            DataflowEdge(call, given),
            DataflowEdge(given, behind),
        ]
        behind = result
    return edges[::-1]


@task(namespace="flows", version="1")
def _of_many(*files: File, **named: int) -> str:
    return "".join(each.read() for each in files)


def test_arguments_without_a_parameter_of_their_own_are_called_like_the_one_they_fell_to(
    folder: Path,
) -> None:
    with lab_with("samples", folder) as lab, lab.backend.reader() as reader:
        lab.run(_of_many(lab.file("a"), lab.file("b"), times=2))
        text = text_of(lab, reader, "result of _of_many")

    assert text.startswith(
        "value <-- <00000001> flows._of_many(files, files_2, times)\n"
        "  files   = <00000002> File(path=a, hash=...)\n"
        "  files_2 = <00000003> File(path=b, hash=...)\n"
        "  times   = <00000004> 2\n"
    )
