"""A second run takes everything from the cache."""

from __future__ import annotations

from typing import Any


def test_the_first_run_runs_every_call(flow: Any) -> None:
    done = flow("run", "flow.py", "main")

    assert (done.code, flow.ran()) == (0, ["clean in0.txt", "clean in1.txt", "join"])
    assert done.out.startswith("File(path=results/all.txt")
    assert done.summary.startswith("4 jobs: 4 done, 0 cached, 0 failed in ")
    assert (flow.folder / "results/all.txt").read_text() == "ONE\nTWO\n"


def test_a_second_run_runs_nothing(flow: Any) -> None:
    first = flow("run", "flow.py", "main")
    flow.ran()

    second = flow("run", "flow.py", "main")

    assert (second.code, flow.ran()) == (0, [])
    assert second.out == first.out
    assert second.summary.startswith("4 jobs: 0 done, 4 cached, 0 failed in ")


def test_without_the_cache_everything_runs(flow: Any) -> None:
    flow("run", "flow.py", "main")
    flow.ran()

    flow("run", "--no-cache", "flow.py", "main")

    assert flow.ran() == ["clean in0.txt", "clean in1.txt", "join"]


def test_a_dry_run_runs_nothing_and_says_what_would_run(flow: Any) -> None:
    done = flow("run", "--dryrun", "flow.py", "main")

    assert (done.code, flow.ran()) == (0, [])
    assert done.out.splitlines()[0] == "1 call would run next:"
    assert "flow.main" in done.out


def test_each_executor_gives_the_same(flow: Any) -> None:
    results = {
        executor: flow("run", "--no-cache", "--executor", executor, "flow.py", "main").out
        for executor in ("threads", "inline", "processes")
    }

    assert len(set(results.values())) == 1, results


def test_quiet_says_nothing_but_the_result(flow: Any) -> None:
    done = flow("run", "-q", "flow.py", "greet", "--name", "Ann", "--loud")

    assert (done.code, done.out, done.err) == (0, "ANN\n", "")


def test_a_module_is_run_by_its_dotted_name(flow: Any) -> None:
    done = flow("run", "flow", "greet", "--name", "Ann")

    assert (done.code, done.out) == (0, "Ann\n")


def test_another_config_directory_has_another_cache(flow: Any) -> None:
    flow("run", "flow.py", "greet", "--name", "Ann")

    other = flow("-c", "other/.taskgraph", "run", "flow.py", "greet", "--name", "Ann")

    assert "1 done, 0 cached" in other.summary
    assert (flow.folder / "other/.taskgraph/taskgraph.db").exists()
