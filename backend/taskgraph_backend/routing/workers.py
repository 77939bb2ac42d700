"""Pools and workers as rows; a worker lives as long as it beats and its process is there."""

from __future__ import annotations

from typing import Final

from taskgraph.catalog.worker_rows import ALIVE, NewWorker, Wish, WorkerStatus
from taskgraph.errors import WorkerInUseError
from taskgraph.jsontext import to_json
from taskgraph.records import LEASE_SECONDS, shown_host
from taskgraph_backend import claims
from taskgraph_backend.dialects import Driver
from taskgraph_backend.holders import earlier_name, host_name, is_here, process_started

_binary = bytearray.fromhex

_LEASE: Final = int(LEASE_SECONDS * 1_000_000)
_POOL: Final = (
    "INSERT INTO worker_pool (id, name, queues, created_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_NAMED: Final = "SELECT id, host, pid, status, heartbeat_at FROM worker WHERE name = ?"
_WORKER: Final = (
    "INSERT INTO worker (id, pool_id, name, host, pid, status, wish, heartbeat_at, started_at,"
    " launch_cmd, args, restart_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REVIVE: Final = (
    "UPDATE worker SET pool_id = ?, host = ?, pid = ?, status = ?, wish = NULL, heartbeat_at = ?,"
    " started_at = ?, launch_cmd = ?, args = ?, restart_count = restart_count + 1 WHERE id = ?"
)
_BEAT: Final = (
    "UPDATE worker SET heartbeat_at = ?,"
    " status = CASE WHEN status = 'stalled' THEN 'running' ELSE status END WHERE id = ?"
)
_STATUS: Final = "UPDATE worker SET status = ? WHERE id = ?"
_STOPPED: Final = "UPDATE worker SET status = ?, pid = NULL, wish = NULL WHERE id = ?"
_OWN: Final = " AND host IN (?, ?) AND pid = ?"
_EVERY: Final = "SELECT id, host, pid, status, heartbeat_at FROM worker WHERE status IN (?, ?)"
_ALIVE: Final = tuple(each.value for each in sorted(ALIVE))


def make_pool(driver: Driver, pool_id: str, name: str, queues: tuple[str, ...]) -> None:
    """Record a pool, unless it is there; within a transaction."""
    row = (_binary(pool_id), name, to_json(list(queues)), claims.clock(driver))
    driver.executemany(_POOL, [row])


def delete_pool(driver: Driver, pool_id: str) -> bool:
    """Delete a pool, and let go of it all that refers to it; within a transaction."""
    key = _binary(pool_id)
    driver.execute("UPDATE worker SET pool_id = NULL WHERE pool_id = ?", (key,))
    driver.execute("DELETE FROM execution_pool WHERE pool_id = ?", (key,))
    return driver.execute("DELETE FROM worker_pool WHERE id = ?", (key,)).rowcount > 0


def register(driver: Driver, wanted: NewWorker) -> str:
    """Record a worker, or revive the one of its name; within a transaction that is alone.

    Returns:
        Its id.

    Raises:
        WorkerInUseError: The one of that name lives, and is another process.
    """
    now = claims.clock(driver)
    row = driver.execute(_NAMED, (wanted.name,)).fetchone()
    args = to_json(dict(wanted.args))
    if row is None:
        status = WorkerStatus.RUNNING.value
        place = wanted.name, wanted.host, wanted.pid, status, None
        said = now, now, wanted.launch_cmd, args, 0
        driver.executemany(_WORKER, [(_binary(wanted.id), _binary(wanted.pool_id), *place, *said)])
        return wanted.id
    key, host, pid, status, heard = row
    are_here = is_here(host) and is_here(wanted.host)
    is_same = pid == wanted.pid and (host == wanted.host or are_here)
    if not is_same and _lives(host, pid, status, heard, now):
        raise WorkerInUseError(wanted.name, shown_host(host), pid)
    again = _binary(wanted.pool_id), wanted.host, wanted.pid, WorkerStatus.RUNNING.value
    driver.execute(_REVIVE, (*again, now, now, wanted.launch_cmd, args, key))
    return bytes(key).hex()


def _lives(host: str, pid: int | None, status: str, heard: int, now: int) -> bool:
    if status not in ALIVE or pid is None or heard < now - _LEASE:
        return False
    return not is_here(host) or process_started(pid) is not None


def find_stalled(driver: Driver) -> list[str]:
    """Return the workers that are said to live, and do not."""
    now = claims.clock(driver)
    return [
        bytes(key).hex()
        for key, host, pid, status, heard in driver.execute(_EVERY, _ALIVE).fetchall()
        if not _lives(host, pid, status, heard, now)
    ]


def mark_stalled(driver: Driver) -> None:
    """Have workers be stalled that are said to live, and do not; within a transaction alone."""
    for each in find_stalled(driver):
        driver.execute(_STATUS, (WorkerStatus.STALLED.value, _binary(each)))


def beat(driver: Driver, worker_id: str, pid: int | None) -> bool:
    """Say that a worker lives; within a transaction.

    Args:
        driver: The connection.
        worker_id: The worker.
        pid: Its process on this host, which must be the one that is known; None for whichever that
            is.

    Returns:
        Whether there is such a worker.
    """
    given = (claims.clock(driver), _binary(worker_id))
    if pid is None:
        return driver.execute(_BEAT, given).rowcount > 0
    return driver.execute(_BEAT + _OWN, (*given, host_name(), earlier_name(), pid)).rowcount > 0


def set_status(driver: Driver, worker_id: str, status: WorkerStatus) -> bool:
    """Say what is known of a worker; within a transaction. Returns whether there is such a one."""
    sql = _STOPPED if status is WorkerStatus.STOPPED else _STATUS
    return driver.execute(sql, (status.value, _binary(worker_id))).rowcount > 0


def end(driver: Driver, worker_id: str, pid: int) -> None:
    """Say that a process of this host is a worker no more, unless another one is by now."""
    given = WorkerStatus.STOPPED.value, _binary(worker_id), host_name(), earlier_name(), pid
    driver.execute(_STOPPED + _OWN, given)


def wish(driver: Driver, worker_id: str, asked: Wish) -> bool:
    """Ask something of a worker; within a transaction. Returns whether there is such a one."""
    sql = "UPDATE worker SET wish = ? WHERE id = ?"
    return driver.execute(sql, (asked.value, _binary(worker_id))).rowcount > 0


def wish_of(driver: Driver, worker_id: str) -> Wish | None:
    """Return what somebody asks of a worker."""
    sql = "SELECT wish FROM worker WHERE id = ?"
    row = driver.execute(sql, (_binary(worker_id),)).fetchone()
    return None if row is None or row[0] is None else Wish(row[0])


def delete(driver: Driver, worker_id: str) -> bool:
    """Delete a worker; within a transaction that is alone. Returns whether there was one.

    Raises:
        WorkerInUseError: It lives.
    """
    key = _binary(worker_id)
    sql = "SELECT name, host, pid, status, heartbeat_at FROM worker WHERE id = ?"
    row = driver.execute(sql, (key,)).fetchone()
    if row is None:
        return False
    name, host, pid, status, heard = row
    if _lives(host, pid, status, heard, claims.clock(driver)):
        raise WorkerInUseError(name, shown_host(host), pid)
    for table in ("assignment", "routed_call"):
        driver.execute(f"UPDATE {table} SET worker_id = NULL WHERE worker_id = ?", (key,))
    return driver.execute("DELETE FROM worker WHERE id = ?", (key,)).rowcount > 0


__all__ = [
    "beat",
    "delete",
    "delete_pool",
    "end",
    "find_stalled",
    "make_pool",
    "mark_stalled",
    "register",
    "set_status",
    "wish",
    "wish_of",
]
