"""Every way that a value can take, with its edges written out, in both directions.

A line reads "this came from that". Names are those of `Labels`: ``bam of call_variants`` is an
argument, ``s3.bam in result of align_all`` a part of a result, ``value s3.bam`` a value by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from textwrap import dedent
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from sqlalchemy import select

from taskgraph_backend import models
from taskgraph_backend.dataflow import routes
from taskgraph_backend.dataflow.nodes import DataflowEdge, DataflowNode
from taskgraph_backend.dataflow.walking import walk_dataflow
from tests.flows.naive import all_edges, edges_upstream, key_of, keys_of, walk_naively
from tests.flows.workflows import WORKFLOWS, Lab, Labels, lab_with
from tests.postgres import Server

Walk = Callable[..., Iterator[DataflowEdge]]
Labs = Callable[[str], Lab]


def walk_in_one_statement(*args: Any, **options: Any) -> Iterator[DataflowEdge]:
    """Walk as where it goes deep: by the recursive query, and not step by step."""
    with patch.object(routes, "MOST_STEPS", 0):
        yield from walk_dataflow(*args, **options)


#: Those that walk, with the signature of `walk_dataflow`.
WALKERS = [walk_naively, walk_dataflow, walk_in_one_statement]


class Case(NamedTuple):
    """A workflow, a node in it, and the edges that are reached from there.

    Attributes:
        scope: The first execution, the last one, or all.
        down: Whether to ask what was made of the node.
    """

    workflow: str
    start: str
    edges: str
    scope: str = "all"
    down: bool = False

    @property
    def label(self) -> str:
        way = "down" if self.down else "up"
        return f"{self.workflow}: {way} from {self.start}, {self.scope}"

    @property
    def lines(self) -> list[str]:
        return sorted(dedent(self.edges).strip().splitlines())


CASES = [
    Case(
        "nested calls",
        "result of hand_on",
        r"""
        result of hand_on <- result of double_twice
        result of double_twice <- result of double(6)
        result of double(6) <- double(6)
        double(6) <- x of double(6)
        x of double(6) <- result of double(3)
        result of double(3) <- double(3)
        double(3) <- x of double(3)
        x of double(3) <- x of double_twice
        x of double_twice <- x of hand_on
        x of hand_on <- origin
        """,
    ),
    Case(
        "nested calls",
        "x of hand_on",
        r"""
        x of double_twice <- x of hand_on
        hand_on <- x of hand_on
        x of double(3) <- x of double_twice
        double_twice <- x of double_twice
        double(3) <- x of double(3)
        result of double(3) <- double(3)
        x of double(6) <- result of double(3)
        double(6) <- x of double(6)
        result of double(6) <- double(6)
        result of double_twice <- result of double(6)
        result of hand_on <- result of double_twice
        """,
        down=True,
    ),
    Case(
        "diamond",
        "result of diamond",
        r"""
        result of diamond <- result of add
        result of add <- add
        add <- left of add
        add <- right of add
        left of add <- result of increase(6, 1)
        right of add <- result of increase(6, 2)
        result of increase(6, 1) <- increase(6, 1)
        result of increase(6, 2) <- increase(6, 2)
        increase(6, 1) <- x of increase(6, 1)
        increase(6, 1) <- by of increase(6, 1)
        increase(6, 2) <- x of increase(6, 2)
        increase(6, 2) <- by of increase(6, 2)
        x of increase(6, 1) <- result of double
        by of increase(6, 1) <- origin
        x of increase(6, 2) <- result of double
        by of increase(6, 2) <- origin
        result of double <- double
        double <- x of double
        x of double <- x of diamond
        x of diamond <- origin
        """,
    ),
    Case(
        "diamond",
        "result of double",
        r"""
        x of increase(6, 1) <- result of double
        x of increase(6, 2) <- result of double
        increase(6, 1) <- x of increase(6, 1)
        increase(6, 2) <- x of increase(6, 2)
        result of increase(6, 1) <- increase(6, 1)
        result of increase(6, 2) <- increase(6, 2)
        left of add <- result of increase(6, 1)
        right of add <- result of increase(6, 2)
        add <- left of add
        add <- right of add
        result of add <- add
        result of diamond <- result of add
        """,
        down=True,
    ),
    Case(
        "no arguments",
        "result of double",
        r"""
        result of double <- double
        double <- x of double
        x of double <- result of no_arguments
        result of no_arguments <- no_arguments
        no_arguments <- origin
        """,
    ),
    Case(
        "operator",
        "result of sum_of_two",
        r"""
        result of sum_of_two <- sum_of_two
        result of sum_of_two <- result of double
        result of sum_of_two <- result of increase
        sum_of_two <- x of sum_of_two
        result of double <- double
        result of increase <- increase
        x of sum_of_two <- origin
        double <- x of double
        increase <- x of increase
        increase <- by of increase
        x of double <- x of sum_of_two
        x of increase <- x of sum_of_two
        by of increase <- origin
        """,
    ),
    Case(
        "item",
        "result of second_of",
        r"""
        result of second_of <- result of double
        result of double <- double
        double <- x of double
        x of double <- result of pair
        result of pair <- pair
        pair <- x of pair
        x of pair <- x of second_of
        x of second_of <- origin
        """,
    ),
    Case(
        "item",
        "pair",
        r"""
        result of pair <- pair
        x of double <- result of pair
        double <- x of double
        result of double <- double
        result of second_of <- result of double
        """,
        down=True,
    ),
    Case(
        "list of results",
        "result of total_of",
        r"""
        result of total_of <- result of total
        result of total <- total
        total <- numbers of total
        numbers of total <- result of increase
        numbers of total <- result of double
        result of increase <- increase
        result of double <- double
        increase <- x of increase
        increase <- by of increase
        double <- x of double
        x of increase <- x of total_of
        by of increase <- origin
        x of double <- x of total_of
        x of total_of <- origin
        """,
    ),
    Case(
        "list of arguments",
        "result of total_of_own",
        r"""
        result of total_of_own <- result of total
        result of total <- total
        total <- numbers of total
        numbers of total <- origin
        """,
    ),
    Case(
        "list of arguments",
        "x of total_of_own",
        r"""
        total_of_own <- x of total_of_own
        """,
        down=True,
    ),
    Case(
        "equal values",
        "result of equal_values",
        r"""
        result of equal_values <- result of add
        result of add <- add
        add <- left of add
        add <- right of add
        left of add <- result of double
        right of add <- result of increase
        result of double <- double
        result of increase <- increase
        double <- x of double
        increase <- x of increase
        increase <- by of increase
        x of double <- x of equal_values
        x of increase <- x of equal_values
        by of increase <- x of equal_values
        x of equal_values <- origin
        """,
    ),
    Case(
        "cond",
        "result of large_or_double",
        r"""
        result of large_or_double <- result of cond
        result of cond <- result of double
        result of double <- double
        double <- x of double
        x of double <- x of large_or_double
        x of large_or_double <- origin
        """,
    ),
    # What a branch was given lies in no argument of cond: it is the caller's all the same.
    Case(
        "cond",
        "x of large_or_double",
        r"""
        large_or_double <- x of large_or_double
        x of is_large <- x of large_or_double
        is_large <- x of is_large
        result of is_large <- is_large
        x of double <- x of large_or_double
        double <- x of double
        result of double <- double
        result of cond <- result of double
        result of large_or_double <- result of cond
        """,
        down=True,
    ),
    # Both calls of cond give 23: from catch the one, from add the other.
    Case(
        "cond in catch in cond",
        "result of within_limits",
        r"""
        result of within_limits <- result of cond giving 23
        result of cond giving 23 <- result of catch
        result of catch <- result of cond giving 23
        result of cond giving 23 <- result of add
        result of add <- add
        add <- left of add
        add <- right of add
        left of add <- x of within_limits
        right of add <- limit of within_limits
        x of within_limits <- origin
        limit of within_limits <- origin
        """,
    ),
    Case(
        "cond in catch in cond",
        "limit of within_limits",
        r"""
        within_limits <- limit of within_limits
        x of is_large(12) <- limit of within_limits
        is_large(12) <- x of is_large(12)
        result of is_large(12) <- is_large(12)
        right of add <- limit of within_limits
        add <- right of add
        result of add <- add
        result of cond giving 23 <- result of add
        result of catch <- result of cond giving 23
        result of cond giving 23 <- result of catch
        result of within_limits <- result of cond giving 23
        """,
        down=True,
    ),
    Case(
        "caught",
        "result of caught",
        r"""
        result of caught <- result of catch
        result of catch <- result of recover
        result of recover <- recover
        recover <- error of recover
        error of recover <- origin
        """,
    ),
    Case(
        "nothing caught",
        "result of nothing_caught",
        r"""
        result of nothing_caught <- result of catch
        result of catch <- result of double
        result of double <- double
        double <- x of double
        x of double <- x of nothing_caught
        x of nothing_caught <- origin
        """,
    ),
    Case(
        "map",
        "result of doubled",
        r"""
        result of doubled <- result of total
        result of total <- total
        total <- numbers of total
        numbers of total <- result of map_
        result of map_ <- map_
        result of map_ <- result of double(1)
        result of map_ <- result of double(2)
        map_ <- func of map_
        map_ <- values of map_
        result of double(1) <- double(1)
        result of double(2) <- double(2)
        func of map_ <- origin
        values of map_ <- numbers of doubled
        double(1) <- x of double(1)
        double(2) <- x of double(2)
        numbers of doubled <- origin
        x of double(1) <- origin
        x of double(2) <- origin
        """,
    ),
    Case(
        "seq",
        "result of one_after_another",
        r"""
        result of one_after_another <- result of total
        result of total <- total
        total <- numbers of total
        numbers of total <- result of seq
        result of seq <- seq
        result of seq <- result of double
        result of seq <- result of increase
        seq <- exprs of seq
        result of double <- double
        result of increase <- increase
        exprs of seq <- origin
        double <- x of double
        increase <- x of increase
        increase <- by of increase
        x of double <- x of one_after_another
        x of increase <- x of one_after_another
        by of increase <- origin
        x of one_after_another <- origin
        """,
    ),
    # Forked calls belong to who joins them, in a run as in the flow of all executions.
    Case(
        "forked",
        "x of double",
        r"""
        x of double <- y of finish
        y of finish <- x of forked
        x of forked <- origin
        """,
        scope="last",
    ),
    Case(
        "shallow",
        "result of above_shallow",
        r"""
        result of above_shallow <- result of add
        result of add <- add
        add <- left of add
        add <- right of add
        left of add <- result of shallow
        right of add <- origin
        result of shallow <- result of increase
        result of increase <- increase
        increase <- x of increase
        increase <- by of increase
        x of increase <- result of double
        by of increase <- origin
        result of double <- double
        double <- x of double
        x of double <- x of shallow
        x of shallow <- x of above_shallow
        x of above_shallow <- origin
        """,
        scope="last",
    ),
    Case(
        "shallow",
        "double",
        r"""
        result of double <- double
        x of increase <- result of double
        increase <- x of increase
        result of increase <- increase
        result of shallow <- result of increase
        left of add <- result of shallow
        add <- left of add
        result of add <- add
        result of above_shallow <- result of add
        """,
        scope="last",
        down=True,
    ),
    Case(
        "cached",
        "result of hand_on",
        r"""
        result of hand_on <- result of double_twice
        result of double_twice <- result of double(6)
        result of double(6) <- double(6)
        double(6) <- x of double(6)
        x of double(6) <- result of double(3)
        result of double(3) <- double(3)
        double(3) <- x of double(3)
        x of double(3) <- x of double_twice
        x of double_twice <- x of hand_on
        x of hand_on <- origin
        """,
        scope="last",
    ),
    Case(
        "early cut-off",
        "result of top(1) v2",
        r"""
        result of top(1) v2 <- result of double
        result of double <- double
        double <- x of double
        x of double <- result of make(1) v2
        result of make(1) v2 <- make(1) v2
        make(1) v2 <- x of make(1) v2
        x of make(1) v2 <- x of top(1) v2
        x of top(1) v2 <- origin
        """,
        scope="last",
    ),
    Case(
        "early cut-off",
        "result of double",
        r"""
        result of double <- double
        double <- x of double
        x of double <- result of make(1) v2
        x of double <- result of make(1) v1
        result of make(1) v2 <- make(1) v2
        result of make(1) v1 <- make(1) v1
        make(1) v2 <- x of make(1) v2
        make(1) v1 <- x of make(1) v1
        x of make(1) v2 <- x of top(1) v2
        x of make(1) v1 <- x of top(1) v1
        x of top(1) v2 <- origin
        x of top(1) v1 <- origin
        """,
    ),
    Case(
        "samples",
        "s3.vcf in result of samples",
        r"""
        s3.vcf in result of samples <- s3.vcf in result of call_variants_all
        s3.vcf in result of call_variants_all <- result of call_variants(s3.bam, ref)
        result of call_variants(s3.bam, ref) <- call_variants(s3.bam, ref)
        call_variants(s3.bam, ref) <- bam of call_variants(s3.bam, ref)
        call_variants(s3.bam, ref) <- ref of call_variants(s3.bam, ref)
        bam of call_variants(s3.bam, ref) <- s3.bam in bams of call_variants_all
        ref of call_variants(s3.bam, ref) <- ref of call_variants_all
        s3.bam in bams of call_variants_all <- s3.bam in result of align_all
        ref of call_variants_all <- ref of samples
        s3.bam in result of align_all <- result of align(s3.fastq, ref)
        ref of samples <- origin
        result of align(s3.fastq, ref) <- align(s3.fastq, ref)
        align(s3.fastq, ref) <- fastq of align(s3.fastq, ref)
        align(s3.fastq, ref) <- ref of align(s3.fastq, ref)
        fastq of align(s3.fastq, ref) <- s3.fastq in fastqs of align_all
        ref of align(s3.fastq, ref) <- ref of align_all
        s3.fastq in fastqs of align_all <- s3.fastq in fastqs of samples
        ref of align_all <- ref of samples
        s3.fastq in fastqs of samples <- origin
        """,
    ),
    Case(
        "samples",
        "value s3.vcf",
        r"""
        value s3.vcf <- result of call_variants(s3.bam, ref)
        result of call_variants(s3.bam, ref) <- call_variants(s3.bam, ref)
        call_variants(s3.bam, ref) <- bam of call_variants(s3.bam, ref)
        call_variants(s3.bam, ref) <- ref of call_variants(s3.bam, ref)
        bam of call_variants(s3.bam, ref) <- s3.bam in bams of call_variants_all
        ref of call_variants(s3.bam, ref) <- ref of call_variants_all
        s3.bam in bams of call_variants_all <- s3.bam in result of align_all
        ref of call_variants_all <- ref of samples
        s3.bam in result of align_all <- result of align(s3.fastq, ref)
        ref of samples <- origin
        result of align(s3.fastq, ref) <- align(s3.fastq, ref)
        align(s3.fastq, ref) <- fastq of align(s3.fastq, ref)
        align(s3.fastq, ref) <- ref of align(s3.fastq, ref)
        fastq of align(s3.fastq, ref) <- s3.fastq in fastqs of align_all
        ref of align(s3.fastq, ref) <- ref of align_all
        s3.fastq in fastqs of align_all <- s3.fastq in fastqs of samples
        ref of align_all <- ref of samples
        s3.fastq in fastqs of samples <- origin
        """,
    ),
    Case(
        "samples",
        "value s2.fastq",
        r"""
        align_all <- fastqs of align_all
        fastqs of align_all <- fastqs of samples
        result of align_all <- align_all
        samples <- fastqs of samples
        align(s2.fastq, ref) <- fastq of align(s2.fastq, ref)
        fastq of align(s2.fastq, ref) <- s2.fastq in fastqs of align_all
        s2.fastq in fastqs of align_all <- s2.fastq in fastqs of samples
        result of align(s2.fastq, ref) <- align(s2.fastq, ref)
        result of align_all <- result of align(s2.fastq, ref)
        s2.bam in result of align_all <- result of align(s2.fastq, ref)
        bams of call_variants_all <- result of align_all
        s2.bam in bams of call_variants_all <- s2.bam in result of align_all
        call_variants_all <- bams of call_variants_all
        bam of call_variants(s2.bam, ref) <- s2.bam in bams of call_variants_all
        result of call_variants_all <- call_variants_all
        call_variants(s2.bam, ref) <- bam of call_variants(s2.bam, ref)
        result of samples <- result of call_variants_all
        result of call_variants(s2.bam, ref) <- call_variants(s2.bam, ref)
        result of call_variants_all <- result of call_variants(s2.bam, ref)
        s2.vcf in result of call_variants_all <- result of call_variants(s2.bam, ref)
        s2.vcf in result of samples <- s2.vcf in result of call_variants_all
        """,
        down=True,
    ),
    Case(
        "nested values",
        "result of deep",
        r"""
        result of deep <- result of read_index
        result of read_index <- result of read
        result of read <- read
        read <- file of read
        file of read <- deep.bai in sample of read_index
        deep.bai in sample of read_index <- deep.bai in result of nested
        deep.bai in result of nested <- result of copy(source, 'deep.bai')
        result of copy(source, 'deep.bai') <- copy(source, 'deep.bai')
        copy(source, 'deep.bai') <- source of copy(source, 'deep.bai')
        copy(source, 'deep.bai') <- to of copy(source, 'deep.bai')
        source of copy(source, 'deep.bai') <- source of nested
        to of copy(source, 'deep.bai') <- origin
        source of nested <- source of deep
        source of deep <- origin
        """,
    ),
    Case(
        "nested values",
        "value deep.bam",
        r"""
        result of nested <- result of copy(source, 'deep.bam')
        deep.bam in result of nested <- result of copy(source, 'deep.bam')
        deep.bam in sample of read_index <- deep.bam in result of nested
        sample of read_index <- result of nested
        read_index <- sample of read_index
        """,
        down=True,
    ),
    Case(
        "folder",
        "result of in_a_folder",
        r"""
        result of in_a_folder <- result of first_file
        result of first_file <- result of read
        result of read <- read
        read <- file of read
        file of read <- a.part in parts of first_file
        a.part in parts of first_file <- a.part in result of write_folder
        a.part in result of write_folder <- write_folder
        write_folder <- folder of write_folder
        folder of write_folder <- folder of in_a_folder
        folder of in_a_folder <- origin
        """,
    ),
    Case(
        "file set",
        "result of read_set",
        r"""
        result of read_set <- read_set
        result of read_set <- result of read(a.part)
        result of read_set <- result of read(b.part)
        read_set <- parts of read_set
        result of read(a.part) <- read(a.part)
        result of read(b.part) <- read(b.part)
        parts of read_set <- origin
        read(a.part) <- file of read(a.part)
        read(b.part) <- file of read(b.part)
        file of read(a.part) <- a.part in parts of read_set
        file of read(b.part) <- b.part in parts of read_set
        a.part in parts of read_set <- origin
        b.part in parts of read_set <- origin
        """,
    ),
    Case(
        "scripts",
        "result of scripted",
        r"""
        result of scripted <- result of count_lines
        result of count_lines <- result of script giving b'2\n'
        result of script giving b'2\n' <- script giving b'2\n'
        script giving b'2\n' <- command of script giving b'2\n'
        script giving b'2\n' <- inputs of script giving b'2\n'
        script giving b'2\n' <- outputs of script giving b'2\n'
        script giving b'2\n' <- tempdir of script giving b'2\n'
        script giving b'2\n' <- as_mount of script giving b'2\n'
        script giving b'2\n' <- because of script giving b'2\n'
        script giving b'2\n' <- where of script giving b'2\n'
        command of script giving b'2\n' <- origin
        inputs of script giving b'2\n' <- source of count_lines
        outputs of script giving b'2\n' <- origin
        tempdir of script giving b'2\n' <- origin
        as_mount of script giving b'2\n' <- origin
        because of script giving b'2\n' <- origin
        where of script giving b'2\n' <- origin
        source of count_lines <- result of sort_lines
        result of sort_lines <- result of script giving out.txt
        result of script giving out.txt <- script giving out.txt
        script giving out.txt <- command of script giving out.txt
        script giving out.txt <- inputs of script giving out.txt
        script giving out.txt <- outputs of script giving out.txt
        script giving out.txt <- tempdir of script giving out.txt
        script giving out.txt <- as_mount of script giving out.txt
        script giving out.txt <- because of script giving out.txt
        script giving out.txt <- where of script giving out.txt
        command of script giving out.txt <- origin
        inputs of script giving out.txt <- source of sort_lines
        outputs of script giving out.txt <- origin
        tempdir of script giving out.txt <- origin
        as_mount of script giving out.txt <- origin
        because of script giving out.txt <- origin
        where of script giving out.txt <- origin
        source of sort_lines <- source of scripted
        source of scripted <- origin
        """,
    ),
    Case(
        "scripts",
        "value in.txt",
        r"""
        inputs of script giving out.txt <- source of sort_lines
        in.txt in inputs of script giving out.txt <- source of sort_lines
        sort_lines <- source of sort_lines
        source of sort_lines <- source of scripted
        scripted <- source of scripted
        script giving out.txt <- inputs of script giving out.txt
        result of script giving out.txt <- script giving out.txt
        result of sort_lines <- result of script giving out.txt
        source of count_lines <- result of sort_lines
        inputs of script giving b'2\n' <- source of count_lines
        out.txt in inputs of script giving b'2\n' <- source of count_lines
        count_lines <- source of count_lines
        script giving b'2\n' <- inputs of script giving b'2\n'
        result of script giving b'2\n' <- script giving b'2\n'
        result of count_lines <- result of script giving b'2\n'
        result of scripted <- result of count_lines
        """,
        down=True,
    ),
    Case(
        "two executions",
        "s1.vcf in result of in_place",
        r"""
        s1.vcf in result of in_place <- s1.vcf in result of call_variants_all
        s1.vcf in result of call_variants_all <- result of call_variants(s1.bam, ref)
        result of call_variants(s1.bam, ref) <- call_variants(s1.bam, ref)
        call_variants(s1.bam, ref) <- bam of call_variants(s1.bam, ref)
        call_variants(s1.bam, ref) <- ref of call_variants(s1.bam, ref)
        bam of call_variants(s1.bam, ref) <- s1.bam in bams of call_variants_all
        ref of call_variants(s1.bam, ref) <- ref of call_variants_all
        s1.bam in bams of call_variants_all <- s1.bam in bams of in_place
        ref of call_variants_all <- ref of in_place
        s1.bam in bams of in_place <- origin
        ref of in_place <- origin
        """,
        scope="last",
    ),
    Case(
        "two executions",
        "s1.vcf in result of in_place",
        r"""
        s1.vcf in result of in_place <- s1.vcf in result of call_variants_all
        s1.vcf in result of call_variants_all <- result of call_variants(s1.bam, ref)
        result of call_variants(s1.bam, ref) <- call_variants(s1.bam, ref)
        call_variants(s1.bam, ref) <- bam of call_variants(s1.bam, ref)
        call_variants(s1.bam, ref) <- ref of call_variants(s1.bam, ref)
        bam of call_variants(s1.bam, ref) <- s1.bam in bams of call_variants_all
        ref of call_variants(s1.bam, ref) <- ref of call_variants_all
        s1.bam in bams of call_variants_all <- s1.bam in bams of in_place
        ref of call_variants_all <- ref of in_place
        s1.bam in bams of in_place <- value s1.bam
        ref of in_place <- origin
        value s1.bam <- result of align(s1.fastq, ref)
        result of align(s1.fastq, ref) <- align(s1.fastq, ref)
        align(s1.fastq, ref) <- fastq of align(s1.fastq, ref)
        align(s1.fastq, ref) <- ref of align(s1.fastq, ref)
        fastq of align(s1.fastq, ref) <- s1.fastq in fastqs of align_all
        ref of align(s1.fastq, ref) <- ref of align_all
        s1.fastq in fastqs of align_all <- origin
        ref of align_all <- origin
        """,
    ),
    Case(
        "two executions",
        "value s1.fastq",
        r"""
        align_all <- fastqs of align_all
        result of align_all <- align_all
        align(s1.fastq, ref) <- fastq of align(s1.fastq, ref)
        fastq of align(s1.fastq, ref) <- s1.fastq in fastqs of align_all
        result of align(s1.fastq, ref) <- align(s1.fastq, ref)
        result of align_all <- result of align(s1.fastq, ref)
        s1.bam in result of align_all <- result of align(s1.fastq, ref)
        """,
        scope="first",
        down=True,
    ),
    Case(
        "two executions",
        "value s1.fastq",
        r"""
        align_all <- fastqs of align_all
        result of align_all <- align_all
        align(s1.fastq, ref) <- fastq of align(s1.fastq, ref)
        fastq of align(s1.fastq, ref) <- s1.fastq in fastqs of align_all
        result of align(s1.fastq, ref) <- align(s1.fastq, ref)
        result of align_all <- result of align(s1.fastq, ref)
        s1.bam in result of align_all <- result of align(s1.fastq, ref)
        value s1.bam <- result of align(s1.fastq, ref)
        bams of in_place <- value s1.bam
        s1.bam in bams of in_place <- value s1.bam
        bams of call_variants_all <- bams of in_place
        in_place <- bams of in_place
        s1.bam in bams of call_variants_all <- s1.bam in bams of in_place
        call_variants_all <- bams of call_variants_all
        bam of call_variants(s1.bam, ref) <- s1.bam in bams of call_variants_all
        result of call_variants_all <- call_variants_all
        call_variants(s1.bam, ref) <- bam of call_variants(s1.bam, ref)
        result of in_place <- result of call_variants_all
        result of call_variants(s1.bam, ref) <- call_variants(s1.bam, ref)
        result of call_variants_all <- result of call_variants(s1.bam, ref)
        s1.vcf in result of call_variants_all <- result of call_variants(s1.bam, ref)
        s1.vcf in result of in_place <- s1.vcf in result of call_variants_all
        """,
        down=True,
    ),
    Case(
        "files put together",
        "result of read_both",
        r"""
        result of read_both <- result of read_all
        result of read_all <- read_all
        read_all <- files of read_all
        files of read_all <- first of read_both
        files of read_all <- second of read_both
        first of read_both <- origin
        second of read_both <- origin
        """,
    ),
    Case(
        "files put together",
        "first of read_both",
        r"""
        files of read_all <- first of read_both
        a in files of read_all <- first of read_both
        read_both <- first of read_both
        read_all <- files of read_all
        result of read_all <- read_all
        result of read_both <- result of read_all
        """,
        down=True,
    ),
    Case(
        "copies put together",
        "value [a.txt, b.txt]",
        r"""
        value [a.txt, b.txt] <- value a.txt
        value [a.txt, b.txt] <- value b.txt
        value a.txt <- result of copy(source, 'a.txt')
        value b.txt <- result of copy(source, 'b.txt')
        result of copy(source, 'a.txt') <- copy(source, 'a.txt')
        result of copy(source, 'b.txt') <- copy(source, 'b.txt')
        copy(source, 'a.txt') <- source of copy(source, 'a.txt')
        copy(source, 'a.txt') <- to of copy(source, 'a.txt')
        copy(source, 'b.txt') <- source of copy(source, 'b.txt')
        copy(source, 'b.txt') <- to of copy(source, 'b.txt')
        source of copy(source, 'a.txt') <- source of read_copies
        to of copy(source, 'a.txt') <- origin
        source of copy(source, 'b.txt') <- source of read_copies
        to of copy(source, 'b.txt') <- origin
        source of read_copies <- origin
        """,
    ),
]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    """Each workflow, run once for all tests that ask for it."""
    yield from _labs(tmp_path_factory, None)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def labs_on_both(request: pytest.FixtureRequest) -> Iterator[Labs]:
    """The same, on each database in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("labs")
    else:
        server = request.getfixturevalue("postgres_server")
        yield from _labs(request.getfixturevalue("tmp_path_factory"), server)


def _labs(folders: pytest.TempPathFactory, server: Server | None) -> Iterator[Labs]:
    made: dict[str, Lab] = {}
    with ExitStack() as stack:

        def get(name: str) -> Lab:
            if name not in made:
                folder = folders.mktemp("lab")
                uri = None if server is None else server.make_database()
                made[name] = stack.enter_context(lab_with(name, folder, uri))
            return made[name]

        yield get


def _scope(lab: Lab, scope: str) -> dict[str, Any]:
    if scope == "all":
        return {"all": True}
    return {"execution_id": lab.executions[0 if scope == "first" else -1]}


@pytest.mark.parametrize("walk", WALKERS, ids=lambda walk: str(walk.__name__))
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.label))
def test_edges_are_those_that_were_written_down(labs_on_both: Labs, case: Case, walk: Walk) -> None:
    lab = labs_on_both(case.workflow)

    with lab.backend.reader() as reader:
        labels = Labels(reader)
        start = labels.find(case.start)
        edges = list(walk(reader, start, down=case.down, **_scope(lab, case.scope)))
        found = labels.lines(edges)

    assert found == case.lines


@pytest.mark.parametrize("walk", WALKERS, ids=lambda walk: str(walk.__name__))
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_what_is_upstream_of_each_node_agrees_with_the_rules(
    labs: Labs, workflow: str, walk: Walk
) -> None:
    lab = labs(workflow)

    with lab.backend.reader() as reader:
        for scope in (*lab.executions, None):
            every = all_edges(reader, scope)
            for start in {key_of(edge.src): edge.src for edge in every}.values():
                found = walk(reader, start, all=scope is None, execution_id=scope)

                assert keys_of(found) == keys_of(edges_upstream(reader, start, scope))


@pytest.mark.parametrize("walk", WALKERS, ids=lambda walk: str(walk.__name__))
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_downstream_is_upstream_read_backwards(labs: Labs, workflow: str, walk: Walk) -> None:
    lab = labs(workflow)

    with lab.backend.reader() as reader:
        for scope in (*lab.executions, None):
            every = all_edges(reader, scope)
            reached = {}
            for edge in every:
                upstream = keys_of(edges_upstream(reader, edge.src, scope))
                reached[key_of(edge.src)] = {dest for _, dest in upstream if dest is not None}
            for start in {key_of(edge.src): edge.src for edge in every}.values():
                if isinstance(start, models.Value):
                    continue
                found = keys_of(
                    walk(reader, start, down=True, all=scope is None, execution_id=scope)
                )

                above = {src for src, _ in found}
                assert above == {src for src, dests in reached.items() if key_of(start) in dests}


@pytest.mark.parametrize("walk", WALKERS, ids=lambda walk: str(walk.__name__))
def test_a_walk_ends_after_so_many_edges_one_after_another(labs: Labs, walk: Walk) -> None:
    lab = labs("samples")

    with lab.backend.reader() as reader:
        labels = Labels(reader)
        start = labels.find("s3.vcf in result of samples")
        found = labels.lines(walk(reader, start, all=True, depth=2))

    assert found == [
        "s3.vcf in result of call_variants_all <- result of call_variants(s3.bam, ref)",
        "s3.vcf in result of samples <- s3.vcf in result of call_variants_all",
    ]


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_short_walk_gives_the_nearest_edges_of_a_long_one(
    labs: Labs, workflow: str, down: bool
) -> None:
    lab = labs(workflow)

    with lab.backend.reader() as reader:
        every = all_edges(reader)
        starts: dict[tuple[str, ...], DataflowNode] = {key_of(edge.src): edge.src for edge in every}
        starts |= {("V", value.value_hash): value for value in reader.scalars(select(models.Value))}
        for start in [*starts.values()][::2]:
            whole = list(walk_dataflow(reader, start, down=down, all=True))
            for depth in (1, 2):
                short = list(walk_dataflow(reader, start, down=down, all=True, depth=depth))

                assert keys_of(short) == keys_of(whole[: len(short)])
                further = walk_naively(reader, start, down=down, all=True, depth=depth)
                assert keys_of(short) == keys_of(further)
