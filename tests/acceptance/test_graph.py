"""What led to a file, and what was made of it, as a graph; and told in the log."""

from __future__ import annotations

import json
import re
from textwrap import dedent
from typing import Any

import pytest

from tests.graphviz import needs_graphviz


@pytest.fixture
def genome(space: Any) -> Any:
    """Three samples, aligned to one genome and called against it."""
    space.write(
        "genome.py",
        """
        from taskgraph import File, task

        taskgraph_namespace = "genome"

        @task
        def align_reads(fastq: File, ref_genome: File) -> File:
            out = File(fastq.path.replace(".fastq", ".bam"))
            out.write(fastq.read() + ref_genome.read())
            return out

        @task
        def align_reads_all(fastqs: list[File], ref_genome: File) -> list[File]:
            return [align_reads(each, ref_genome) for each in fastqs]

        @task
        def call_variants(bam: File, ref_genome: File, quality: int) -> File:
            out = File(bam.path.replace(".bam", ".vcf"))
            out.write(f"{bam.read()}{ref_genome.read()}{quality}")
            return out

        @task
        def call_variants_all(bams: list[File], ref_genome: File, quality: int) -> list[File]:
            return [call_variants(each, ref_genome, quality) for each in bams]

        @task
        def main(quality: int = 30) -> list[File]:
            fastqs = [File(f"sample{number}.fastq") for number in (1, 2, 3)]
            ref_genome = File("ref_genome")
            bams = align_reads_all(fastqs, ref_genome)
            return call_variants_all(bams, ref_genome, quality)

        @task
        def count(vcf: File = File("sample3.vcf")) -> int:
            return len(vcf.read())
        """,
    )
    for number in (1, 2, 3):
        space.write(f"sample{number}.fastq", f"{number}\n")
    space.write("ref_genome", "acgt\n")
    assert space("run", "genome.py", "main").code == 0
    return space


def without_hashes(text: str) -> str:
    """Return a text with a number for each hash, in the order in which they are met."""
    seen: dict[str, str] = {}
    return re.sub(
        r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])",
        lambda match: seen.setdefault(match[0], f"h{len(seen) + 1}"),
        text,
    )


def shown(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_file_is_drawn_with_what_led_to_it(genome: Any) -> None:
    done = genome("graph", "sample3.vcf")

    assert (done.code, done.err) == (0, "")
    assert without_hashes(done.out) == shown("""
        sample3.vcf h1 <- genome.call_variants(quality=30) h2
        ├── bam: sample3.bam h3 <- genome.align_reads h4
        │   ├── fastq: sample3.fastq h5
        │   └── ref_genome: ref_genome h6
        └── ref_genome: ref_genome h6  (seen above)
        """)


def test_a_file_is_drawn_with_what_was_made_of_it(genome: Any) -> None:
    done = genome("graph", "sample3.fastq", "--down", "--type", "File")

    assert without_hashes(done.out) == shown("""
        sample3.fastq h1
        └── as fastq: genome.align_reads h2 -> sample3.bam h3
            ├── as bam: genome.call_variants h4 -> sample3.vcf h5
            └── as bams: genome.call_variants_all h6
        """)


def test_files_are_followed_from_one_execution_to_another_if_that_is_wanted(genome: Any) -> None:
    genome("run", "genome.py", "count")

    within = genome("graph", "-")
    across = genome("graph", "-", "--all")

    assert without_hashes(within.out) == shown("""
        14 h1 <- genome.count h2
        └── vcf: sample3.vcf h3
        """)
    assert "sample3.fastq" in across.out


def test_the_path_of_a_file_that_nobody_recorded_is_not_found(genome: Any) -> None:
    done = genome("graph", "absent.txt")

    assert done.code == 3
    assert "Nothing is recorded under 'absent.txt'" in done.err


def test_what_has_no_value_has_no_lineage(genome: Any) -> None:
    done = genome("graph", "genome.main")

    assert done.code == 3
    assert "There is no lineage of genome.main: it is a task" in done.err


def test_before_any_run_nothing_is_found_and_nothing_is_made(space: Any) -> None:
    assert space("graph", "-").code == 3
    assert list(space.folder.iterdir()) == []


def test_a_graph_goes_as_far_as_is_wanted(genome: Any) -> None:
    near = genome("graph", "sample3.vcf", "--depth", "1")
    small = genome("graph", "-", "--limit", "3")

    assert "align_reads" not in near.out
    assert "more node" in near.out
    assert len(small.out.splitlines()) < 9


def test_json_has_nodes_and_arrows(genome: Any) -> None:
    found = json.loads(genome("graph", "sample3.vcf", "--format", "json").out)

    labels = {node["id"]: node["label"] for node in found["nodes"]}
    arrows = {
        (labels[each["source"]], labels[each["target"]], each["kind"], each["name"])
        for each in found["arrows"]
    }
    assert found["direction"] == "upstream"
    assert found["execution_id"] == genome.json("log")[0]["id"]
    assert {
        ("genome.call_variants", "sample3.vcf", "result", ""),
        ("sample3.bam", "genome.call_variants", "argument", "bam"),
        ("genome.align_reads", "sample3.bam", "result", ""),
        ("sample3.fastq", "genome.align_reads", "argument", "fastq"),
        ("ref_genome", "genome.align_reads", "argument", "ref_genome"),
        ("ref_genome", "genome.call_variants", "argument", "ref_genome"),
    } <= arrows


def test_dot_is_what_graphviz_reads(genome: Any) -> None:
    done = genome("graph", "sample3.bam", "-o", "flow.dot")

    text = (genome.folder / "flow.dot").read_text()
    assert done.out == "wrote flow.dot\n"
    assert without_hashes(text).splitlines()[4:] == [
        '  n1 [label="sample3.bam\\nh1", shape=note, penwidth=2];',
        '  n2 [label="genome.align_reads\\nh2", shape=box, fillcolor="#dbe7f6"];',
        '  n3 [label="sample3.fastq\\nh3", shape=note];',
        '  n4 [label="ref_genome\\nh4", shape=note];',
        "  n2 -> n1;",
        '  n3 -> n2 [label="fastq"];',
        '  n4 -> n2 [label="ref_genome"];',
        "}",
    ]


def test_mermaid_is_a_flowchart(genome: Any) -> None:
    done = genome("graph", "sample3.bam", "--format", "mermaid")

    assert without_hashes(done.out) == shown("""
        flowchart LR
          n1[/"sample3.bam<br/>h1"/]
          n2["genome.align_reads<br/>h2"]
          n3[/"sample3.fastq<br/>h3"/]
          n4[/"ref_genome<br/>h4"/]
          n2 --> n1
          n3 -->|"fastq"| n2
          n4 -->|"ref_genome"| n2
          classDef start stroke-width:3px
          class n1 start
        """)


@needs_graphviz
def test_svg_is_drawn_by_graphviz(genome: Any) -> None:
    done = genome("graph", "sample3.bam", "-o", "flow.svg")

    assert done.code == 0
    assert "<svg" in (genome.folder / "flow.svg").read_text()


def test_without_graphviz_a_picture_is_an_error_that_says_what_to_do(genome: Any) -> None:
    done = genome("graph", "sample3.bam", "--format", "svg", PATH="/nowhere")

    assert (done.code, done.out) == (1, "")
    assert "apt install graphviz" in done.err


def test_the_log_of_a_file_tells_where_it_came_from(genome: Any) -> None:
    done = genome("log", "sample3.vcf")
    detail = genome.json("log", "sample3.vcf")

    told = without_hashes(done.out[done.out.index("Data flow") :])
    assert told.startswith(
        shown("""
        Data flow
            value <-- <h1> genome.call_variants(bam, ref_genome, quality)
              bam        = <h2> File(path=sample3.bam, hash=h2)
              ref_genome = <h3> File(path=ref_genome, hash=h3)
              quality    = <h4> 30

            bam <-- argument of <h5> genome.call_variants_all(bams, ref_genome, quality)
                <-- result of <h6> genome.align_reads_all(fastqs, ref_genome)
                <-- <h7> genome.align_reads(fastq, ref_genome_2)
              fastq        = <h8> File(path=sample3.fastq, hash=h8)
              ref_genome_2 = <h3> File(path=ref_genome, hash=h3)

            fastq <-- argument of <h6> genome.align_reads_all(fastqs, ref_genome)
                  <-- origin
        """)
    )
    assert detail["data_flow"]["sections_left_out"] == 0
    assert detail["data_flow"]["sections"][0]["assign"]["var_name"] == "value"


def test_the_log_of_a_job_tells_where_its_result_came_from(genome: Any) -> None:
    job = next(
        each for each in genome.json("log", "-")["jobs"] if each["task"] == "genome.call_variants"
    )

    done = genome("log", job["id"])

    assert "Data flow\n    value <-- <" in done.out


def test_what_came_from_no_call_has_no_data_flow_in_the_log(genome: Any) -> None:
    done = genome("log", "ref_genome")

    assert "Data flow" not in done.out
    assert genome.json("log", "ref_genome")["data_flow"] is None


def test_a_long_data_flow_is_cut_in_the_log(genome: Any) -> None:
    result = genome.json("log", "-")["jobs"][0]["id"]

    done = genome("log", result)

    assert "more; taskgraph graph draws all of it" in done.out
