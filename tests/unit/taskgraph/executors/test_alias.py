"""Executors by other names, and executors of types that others bring."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taskgraph import AliasExecutor, Scheduler, register_executor, task
from taskgraph.errors import ConfigError, ExecutorError, LaunchError
from taskgraph.executors import types
from taskgraph.executors.alias import launch
from taskgraph.executors.inline import InlineExecutor
from taskgraph.executors.processes import ProcessExecutor
from taskgraph.executors.threads import ThreadExecutor
from taskgraph.ports import Call, Command
from taskgraph.testing import MemoryBackend
from tests.contracts.joblib_executor import JoblibExecutor

HERE = threading.get_ident()


@task(namespace="alias")
def where(number: int) -> tuple[int, str]:
    return number, threading.current_thread().name


@task(namespace="alias")
def together(parts: list[Any]) -> list[Any]:
    return parts


def made(executors: dict[str, Any], executor: str | None = None) -> Scheduler:
    return Scheduler({"executors": executors}, backend=MemoryBackend(), executor=executor)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_registered", {})


def test_an_alias_shares_the_workers_of_the_other() -> None:
    tables = {"few": {"type": "threads", "max_workers": 1}, "same": {"type": "alias", "of": "few"}}
    with made(tables) as scheduler:
        parts = [where.options(executor=["few", "same"][n % 2])(n) for n in range(10)]
        found = scheduler.run(together(parts))

    assert {name for _, name in found} == {"taskgraph-few-1"}


def test_calls_that_wait_are_not_lost_when_the_other_name_is_first_used() -> None:
    with made({"same": {"type": "alias", "of": "inline"}}) as scheduler:
        parts = [where.options(executor=["inline", "same"][n > 4])(n) for n in range(9)]
        assert len(scheduler.run(together(parts))) == 9


def test_an_alias_has_options_of_its_own_and_may_be_of_an_alias() -> None:
    @task(namespace="alias")
    def tried(path: str) -> int:
        with Path(path).open("a") as notes:
            notes.write("x")
        if len(Path(path).read_text()) < 3:
            raise ValueError
        return 3

    tables = {
        "one": {"type": "alias", "of": "two", "options": {"retries": 3}},
        "two": {"type": "alias", "of": "threads"},
    }
    with made(tables) as scheduler:
        notes = scheduler.settings.config_dir.parent / "notes"
        assert scheduler.executors["one"].gives_coroutines_to == "async"  # type: ignore[attr-defined]
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            notes = Path(folder) / "notes"
            assert scheduler.run(tried.options(executor="one")(str(notes))) == 3


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"a": {"type": "alias"}}, "of which executor"),
        ({"a": {"type": "alias", "of": "threads", "max_workers": 3}}, "of which executor"),
        ({"a": {"type": "alias", "of": "thraeds"}}, "no executor 'thraeds'"),
        ({"a": {"type": "alias", "of": "b"}, "b": {"type": "alias", "of": "a"}}, "no executor"),
        (
            {"a": {"type": "slurm"}},
            "no type 'slurm' of executors; there are: alias",
        ),
    ],
)
def test_what_no_executor_can_be_made_of_is_refused(tables: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        made(tables)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"class": "taskgraph.nowhere:Class"}, "cannot be imported"),
        ({"class": "taskgraph:__version__"}, "is no class"),
        ({"type": "dask", "address": "tcp://x", "n_workers": 2}, "has no n_workers"),
        ({"type": "dask", "resources": {"cores": "CPU"}}, "cpus, gpus and memory, not cores"),
        ({"type": "submitit", "cluster": "pbs"}, "pbs"),
        ({"type": "submitit", "max_jobs": -3}, "a whole number, 1 or more"),
        ({"class": f"{__name__}:Plain", "wrong": 1}, "unexpected keyword argument"),
        ({"class": f"{__name__}:leaving"}, "cannot be made: KeyError: 'no such queue'"),
        ({"class": f"{__name__}:lacking"}, "has no method submit, cancel, stop"),
        ({"class": f"{__name__}:Unwilling"}, "'a' does not take calls: RuntimeError: full"),
    ],
)
def test_what_cannot_be_made_fails_the_calls_that_want_it(
    table: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    if table.get("type") == "submitit":
        table = {**table, "folder": str(tmp_path)}
    with made({"a": table}) as scheduler:
        assert scheduler.run(where(1))[0] == 1
        with pytest.raises((ConfigError, ExecutorError), match=reason):
            scheduler.run(where.options(executor="a")(2))


class Plain(ThreadExecutor):
    """An executor of its own."""


class Unwilling(ThreadExecutor):
    def submit(self, calls: Sequence[Call]) -> None:
        raise RuntimeError("full")


class Staying(ThreadExecutor):
    def stop(self, is_now: bool = False) -> None:
        super().stop(is_now)
        raise RuntimeError("stays")


def leaving(name: str) -> ThreadExecutor:
    raise KeyError("no such queue")


def lacking(name: str) -> object:
    return threading.Thread()


def test_a_script_that_is_named_as_a_class_does_not_end_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_script_that_leaves.py").write_text("raise SystemExit('I leave')")
    monkeypatch.syspath_prepend(str(tmp_path))

    with (
        made({"a": {"class": "a_script_that_leaves:Class"}}, "a") as scheduler,
        pytest.raises(ConfigError, match="cannot be imported: I leave"),
    ):
        scheduler.run(where(1))


def test_an_executor_that_does_not_stop_takes_no_result_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with made({"a": {"class": f"{__name__}:Staying"}}, "a") as scheduler:
        assert scheduler.run(where(1))[0] == 1

    assert "executor 'a' could not be stopped: RuntimeError: stays" in caplog.text


def test_a_registered_type_that_raises_fails_the_calls_that_want_it() -> None:
    register_executor("leaving", leaving)

    with made({}, "leaving") as scheduler, pytest.raises(ConfigError, match="no such queue"):
        scheduler.run(where(1))


def test_an_executor_is_made_of_a_class_and_arguments() -> None:
    table = {"class": f"{__name__}:Plain", "max_workers": 1}
    with made({"plain": table}, "plain") as scheduler:
        assert scheduler.run(where(1)) == (1, "taskgraph-plain-1")


def test_what_is_registered_is_there_by_name_and_by_type() -> None:
    register_executor("mine", Plain)
    with made({"few": {"type": "mine", "max_workers": 1}}, "mine") as scheduler:
        assert scheduler.run(where(1))[1].startswith("taskgraph-mine-")
        assert scheduler.run(where.options(executor="few")(2)) == (2, "taskgraph-few-1")


@pytest.mark.parametrize(("name", "factory"), [("", Plain), (3, Plain), ("mine", "Plain")])
def test_only_classes_are_registered_under_names(name: Any, factory: Any) -> None:
    with pytest.raises(TypeError, match="register_executor takes"):
        register_executor(name, factory)


def test_another_package_brings_an_executor_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "farm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: farm\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taskgraph.executors]\nfarm = farming:Farm\n")
    (tmp_path / "farming.py").write_text(
        "from taskgraph.executors.threads import ThreadExecutor\n"
        "class Farm(ThreadExecutor):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with made({"field": {"type": "farm", "max_workers": 1}}, "field") as scheduler:
        assert "farming" not in sys.modules
        assert scheduler.run(where(1)) == (1, "taskgraph-field-1")


def test_executors_of_extras_are_not_imported_before_they_are_used() -> None:
    with made({"farm": {"type": "dask"}}) as scheduler:
        scheduler.run(where(1))
        alias = scheduler.executors["farm"]
        assert isinstance(alias, AliasExecutor)
        assert alias._made is None


def test_threads_that_need_an_executor_at_once_get_the_same_one() -> None:
    barrier = threading.Barrier(8)

    def make() -> ThreadExecutor:
        time.sleep(0.02)  # long enough for the others to come
        return ThreadExecutor()

    alias, found = AliasExecutor("same", make), []

    def ask() -> None:
        barrier.wait()
        found.append(alias.target)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({id(each) for each in found}) == 1


def test_an_executor_that_ends_with_this_process_launches_nothing() -> None:
    command = Command(("run",), ".", "log")
    for executor in (InlineExecutor(), AliasExecutor("same", ThreadExecutor())):
        with pytest.raises(LaunchError, match="cannot launch a run"):
            launch(executor, command)


class _Broken(JoblibExecutor):
    def open(self) -> None:
        raise OSError("no such place")


def test_a_pool_that_cannot_be_opened_fails_its_calls_and_the_run_ends() -> None:
    register_executor("broken", _Broken)
    with (
        made({}, "broken") as scheduler,
        pytest.raises(ExecutorError, match="cannot start a worker: OSError: no such place"),
    ):
        scheduler.run(together([where(n) for n in range(30)]))


class _Refusing(JoblibExecutor):
    def post(self, messages: list[bytes], calls: Sequence[Call]) -> Any:
        raise OSError("too long")


def test_a_message_that_cannot_be_sent_fails_its_own_calls() -> None:
    register_executor("refusing", _Refusing)
    with made({}, "refusing") as scheduler, pytest.raises(ExecutorError, match="too long"):
        scheduler.run(where(1))


def test_worker_processes_are_as_the_settings_say_and_loaded_when_they_are_needed() -> None:
    table = {"max_workers": 3, "start_method": "forkserver"}
    with made({"processes": table}, "threads") as scheduler:
        executor = scheduler.executors["processes"]

        assert isinstance(executor, AliasExecutor)
        assert executor._made is None
        target = executor.target
        assert isinstance(target, ProcessExecutor)
        assert (target.name, target.size, target._method) == ("processes", 3, "forkserver")
