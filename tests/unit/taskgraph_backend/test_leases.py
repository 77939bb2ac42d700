"""Whose pids are whose: a name that two machines have does not make one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskgraph.records import shown_host
from taskgraph_backend import SqlBackend, leases
from taskgraph_backend.leases import earlier_name, host_name, is_here
from tests.rows import FOREVER, a_lease


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that says which start of which machine this is; names are made anew of it."""
    file = tmp_path / "boot_id"
    file.write_text("0623e2cf-9652-421f-b60f-a2d1ae55d9b9\n")
    monkeypatch.setattr(leases, "_BOOT", str(file))
    yield file
    host_name.cache_clear()
    earlier_name.cache_clear()


def name_anew() -> str:
    host_name.cache_clear()
    return host_name()


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_machines_of_one_name_are_told_apart(machine: Path) -> None:
    here = name_anew()
    machine.write_text("ffffffff-9652-421f-b60f-a2d1ae55d9b9\n")
    there = name_anew()

    assert here != there
    assert here.startswith(f"{os.uname().nodename}/0623e2cf9652")
    assert shown_host(here) == shown_host(there) == shown_host(earlier_name())
    assert is_here(there) and not is_here(here)


def test_so_are_containers_of_one_machine(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for namespace in ("pid:[4026531836]", "pid:[4026532281]", "pid:[4026532282]"):
        monkeypatch.setattr(leases, "_pid_namespace", lambda namespace=namespace: namespace)
        names.add(name_anew())
    assert len(names) == 3
    assert {shown_host(each) for each in names} == {os.uname().nodename}


def test_where_no_machine_is_told_a_host_is_its_name(machine: Path) -> None:
    machine.unlink()
    assert name_anew() == earlier_name()
    machine.write_text("")
    assert name_anew() == earlier_name()


def test_a_process_of_another_machine_is_not_looked_for_here(
    sql_backend: SqlBackend, machine: Path, gone: int
) -> None:
    """Of one that an earlier library has named nothing more is known: it is looked for."""
    elsewhere = name_anew()
    machine.write_text("ffffffff-9652-421f-b60f-a2d1ae55d9b9\n")
    hosts = {"a": name_anew(), "b": elsewhere, "c": earlier_name()}
    sql_backend.take(
        [a_lease(each, each, host=host, pid=gone, expires=FOREVER) for each, host in hosts.items()]
    )
    assert set(sql_backend.find_leases(list(hosts))) == {"b"}
