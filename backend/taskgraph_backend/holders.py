"""Who holds a lease: a process, named so that one can tell whether it is still there.

A process is named by host, pid and start time, so that a pid that was given out again is not
mistaken for the one that held it.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import NamedTuple

from taskgraph.records import LeaseRecord, Micros

# The pid namespace that is not a container's, on every Linux.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
# What is another one each time that a machine is started; there is none but on Linux.
_BOOT = "/proc/sys/kernel/random/boot_id"
_DIGITS = 12


class Place(NamedTuple):
    """Where a process runs: the fields of a lease that name it."""

    host: str
    pid: int
    started: Micros


def this_process() -> Place:
    """Return the place of this process."""
    pid = os.getpid()
    started = process_started(pid)
    return Place(host_name(), pid, Micros(0) if started is None else started)


@cache
def host_name() -> str:
    """Return what tells the pids of this host from those of others.

    After the name that people gave it, which another machine may have as well, it says which start
    of which machine this is, and in a container whose pids are meant.
    """
    try:
        with open(_BOOT, "rb") as stream:
            boot = stream.read().decode("ascii", "replace").strip().replace("-", "")[:_DIGITS]
    except OSError:
        boot = ""
    if not boot:
        return earlier_name()
    namespace = _pid_namespace()
    own = "" if namespace == _FIRST_PID_NAMESPACE else f"-{namespace[5:-1]}"
    return f"{os.uname().nodename}/{boot}{own}"


@cache
def earlier_name() -> str:
    """Return what an earlier library calls this host, which does not know of machines."""
    host = os.uname().nodename  # what `socket` says too, which takes its time to load
    namespace = _pid_namespace()
    return host if namespace == _FIRST_PID_NAMESPACE else f"{host}/{namespace}"


def is_here(host: str) -> bool:
    """Tell whether pids of a host are those of this one."""
    return host in (host_name(), earlier_name())


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return _FIRST_PID_NAMESPACE


def process_started(pid: int) -> Micros | None:
    """Return when a process of this host started, or None if there is none.

    The time is by a clock of the host that is never set (ticks since it was booted), where there
    is one: only compare it.
    """
    if sys.platform == "linux":
        return _started_linux(pid)
    return _started_posix(pid)


def is_gone(lease: LeaseRecord) -> bool:
    """Tell whether the holder of a lease ran on this host and ended."""
    return is_here(lease.host) and is_gone_process(lease.pid, lease.started)


def is_gone_process(pid: int, started: int) -> bool:
    """Tell whether a process of this host ended."""
    return process_started(pid) != started


def _started_linux(pid: int) -> Micros | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The second field is the command in parentheses and may hold anything.
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in {b"Z", b"X"}:  # ended, and its parent has not asked for it yet
        return None
    return Micros(int(fields[19]) * 1_000_000 // os.sysconf("SC_CLK_TCK"))


def _started_posix(pid: int) -> Micros | None:
    """Ask `ps`, as on macOS: whole seconds, which is enough to tell two owners of a pid apart."""
    import subprocess
    from datetime import UTC, datetime

    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    ).stdout.strip()
    if not shown:
        return None
    when = datetime.strptime(" ".join(shown.split()), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return Micros(int(when.timestamp()) * 1_000_000)
