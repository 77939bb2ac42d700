"""Leases as rows, and what becomes of executions whose process holds theirs no more.

Each function is given a connection; those that change rows, one with a transaction. Nobody else
changes leases in it, but that others may take, prolong and release those of calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from taskgraph.catalog.queueing import UNCLAIMED
from taskgraph.records import (
    ACTIVE,
    ALL_CALLS,
    CALLS_WANTED,
    LEASE_SECONDS,
    MAX_LOSSES,
    ExecutionId,
    LeaseRecord,
    Micros,
    State,
    execution_lease,
    is_assigned,
    is_call_lease,
    is_server_lease,
    revoked_holder,
)
from taskgraph_backend import statements
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.holders import is_gone

_binary = bytearray.fromhex

# A process: its host, its number, its start, and whether its scripts count as part of it.
_Place = tuple[str, int, Micros, bool]
#: Tells, within a transaction or a question, whether the silence of others says that they are dead.
Judge = Callable[[Driver], bool]

# How long a lease lives without a heartbeat: microseconds.
_LEASE = int(LEASE_SECONDS * 1_000_000)
_OF_EXECUTIONS = "execution:"
# A lease that ended so long ago is nobody's, on whatever host it was taken: microseconds.
_LONG_AGO = 24 * 3600 * 1_000_000


def always(driver: Driver) -> bool:
    """Tell that who was not heard of for as long as a lease lives is dead."""
    return True


def take(driver: Driver, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
    """Take each lease that is free or over; see `SqlBackend.take`."""
    refused: dict[str, LeaseRecord] = {}
    calls = [each for each in leases if is_call_lease(each.key)]
    if calls:
        other = _leader_of_all(driver, calls[0].holder)
        if other is not None:
            _wish(driver, calls[0]._replace(key=CALLS_WANTED))
            refused = {each.key: other for each in calls}
    for lease in leases:
        if lease.key == ALL_CALLS:
            other = _leader_of_some(driver, lease.holder)
            if other is not None:
                refused[lease.key] = other
    wanted = [each for each in leases if each.key not in refused]
    answers = iter(_take(driver, wanted))
    return [refused[each.key] if each.key in refused else next(answers) for each in leases]


def _take(driver: Driver, leases: Sequence[LeaseRecord]) -> list[LeaseRecord | None]:
    if not leases:
        return []
    inserted = driver.executemany(statements.LEASE, leases).rowcount
    if inserted == len(leases):
        return [None] * len(leases)
    held = _find(driver, [lease.key for lease in leases])
    gone: dict[_Place, bool] = {}
    answers: list[LeaseRecord | None] = []
    again: list[int] = []
    for lease in leases:
        other, is_over = held.get(lease.key, (None, False))
        if other is None:
            # Given back since: who takes calls need not be alone.
            again.append(len(answers))
            answers.append(None)
            continue
        if other.holder != lease.holder and not is_over and not _is_gone(other, gone):
            answers.append(other)
            continue
        _, *fields = lease
        given = (*fields, lease.key, other.holder)
        if driver.execute(statements.LEASE_TAKE_OVER, given).rowcount:
            held[lease.key] = (lease, False)
        else:
            again.append(len(answers))  # somebody else did
        answers.append(None)
    for index, answer in zip(again, _take(driver, [leases[each] for each in again]), strict=True):
        answers[index] = answer
    return answers


def _wish(driver: Driver, wish: LeaseRecord) -> None:
    """Ask for calls, unless a living one has asked already: the wish of a dead one is not heard."""
    if driver.executemany(statements.LEASE, [wish]).rowcount:
        return
    found = _find(driver, [wish.key]).get(wish.key)
    if found is None:
        return  # answered since: the wisher asks again
    other, is_over = found
    if is_over or is_gone(other):
        _, *fields = wish
        driver.execute(statements.LEASE_TAKE_OVER, (*fields, wish.key, other.holder))


def _leader_of_all(driver: Driver, holder: str) -> LeaseRecord | None:
    """Return the lease of another one who leads all calls; that of a dead one is removed."""
    found = _find(driver, [ALL_CALLS]).get(ALL_CALLS)
    if found is None or found[0].holder == holder:
        return None
    other, is_over = found
    if is_over or is_gone(other):
        driver.execute(statements.LEASE_RELEASE, (ALL_CALLS, other.holder))
        return None
    return other


def _leader_of_some(driver: Driver, holder: str) -> LeaseRecord | None:
    """Return a lease of another one who leads some calls; those of dead ones are removed."""
    rows = driver.execute(statements.LEASE_LEADERS.format(now=NOW), (holder,)).fetchall()
    gone: dict[_Place, bool] = {}
    for name, host, pid, started, is_over in rows:
        other = LeaseRecord(ALL_CALLS, name, host, pid, started, Micros(0))
        if not is_over and not _is_gone(other, gone):
            return other
    for name in {row[0] for row in rows}:
        driver.execute(statements.LEASE_FORGET_CALLS, (name,))
    return None


def living(driver: Driver, keys: Sequence[str]) -> dict[str, LeaseRecord]:
    """Return those of the leases that living processes hold."""
    gone: dict[_Place, bool] = {}
    return {
        key: lease
        for key, (lease, is_over) in _find(driver, keys).items()
        if not is_over and not _is_gone(lease, gone)
    }


def clock(driver: Driver) -> Micros:
    """Return the database's own time."""
    (time,) = driver.execute(f"SELECT {NOW}").fetchone()
    return Micros(time)


def heartbeat(driver: Driver, holder: str, expires: Micros) -> int:
    """Prolong all leases of a holder; returns how many it still has."""
    return driver.execute(statements.LEASE_HEARTBEAT, (expires, holder)).rowcount


def release(driver: Driver, holder: str, keys: Sequence[str]) -> None:
    """Give leases back; those that the holder does not have are left alone."""
    driver.executemany(statements.LEASE_RELEASE, [(key, holder) for key in sorted(keys)])


def revoke(driver: Driver, execution_id: ExecutionId) -> None:
    """Take an execution from the worker that has it; within a transaction that is alone.

    Who had it sees that at its next heartbeat and ends, and writes nothing more of it. Its leases
    stay in its way: nobody runs what it runs before it has ended.
    """
    row = driver.execute(statements.LEASE_OF, (execution_lease(execution_id),)).fetchone()
    if row is not None and is_assigned(row[0]):
        driver.execute(statements.LEASE_RENAME, (revoked_holder(row[0]), row[0]))


def dead(driver: Driver, may_judge: Judge = always) -> list[LeaseRecord]:
    """Return the leases that nobody can hold: of processes that ended here, or were long silent.

    Args:
        driver: The connection.
        may_judge: Asked at most once, and only if one was long silent: whether that says
            anything.
    """
    long_ago = clock(driver) - _LONG_AGO
    rows = driver.execute("SELECT key, holder, host, pid, started, expires FROM lease").fetchall()
    gone: dict[_Place, bool] = {}
    found: list[LeaseRecord] = []
    silent: list[LeaseRecord] = []
    for row in rows:
        lease = LeaseRecord(*row)
        if _is_gone(lease, gone):
            found.append(lease)
        elif lease.expires < long_ago:
            silent.append(lease)
    return found + silent if silent and may_judge(driver) else found


def forget(driver: Driver, leases: Sequence[LeaseRecord]) -> None:
    """Remove leases; those that somebody else has taken over are left alone."""
    for each in leases:
        key = _execution_of(each)
        if key is not None:
            _end_jobs_of_ended(driver, key, each)
            # Nobody waits for what it had sent to workers.
            driver.execute(statements.ROUTED_FORGET, (key,))
    rows = sorted((each.key, each.holder) for each in leases)
    driver.executemany(statements.LEASE_RELEASE, rows)


def _execution_of(lease: LeaseRecord) -> bytearray | None:
    """Return the execution whose lease it is; None where it is that of something else."""
    if not lease.key.startswith(_OF_EXECUTIONS):
        return None
    try:
        return _binary(lease.key.removeprefix(_OF_EXECUTIONS))
    except ValueError:  # no id: it is of nobody's execution
        return None


def _end_jobs_of_ended(driver: Driver, key: bytearray, lease: LeaseRecord) -> None:
    """End the jobs of an execution that somebody else had ended, and whose process is gone since.

    One that is said to run is marked as crashed, or somebody else has taken it up.
    """
    row = driver.execute("SELECT state_type FROM execution WHERE id = ?", (key,)).fetchone()
    if row is not None and row[0] not in ACTIVE:
        end_jobs(driver, key, lease.expires - _LEASE, State.CRASHED)


def running(driver: Driver) -> list[ExecutionId]:
    """Return the executions that are said to run, and those that a run has claimed long ago.

    A claim comes before the first row of a run: for longer than a lease it stays alone only where
    the process is gone.
    """
    # What others run, and only keep the state of here, has neither a job nor a heartbeat; what they
    # are to run has no command line: it is `UNCLAIMED`.
    latest = time.time_ns() // 1_000 - _LEASE
    rows = driver.execute(
        "SELECT id FROM execution WHERE (state_type = ?"
        " AND (job_id IS NOT NULL OR updated_time IS NOT NULL))"
        " OR (state_type = ? AND args <> ? AND state_time < ?)",
        (State.RUNNING.value, State.PENDING.value, UNCLAIMED, latest),
    )
    return [ExecutionId(id.hex()) for (id,) in rows]


def unheld(
    driver: Driver,
    executions: Sequence[ExecutionId],
    may_judge: Judge = always,
) -> list[ExecutionId]:
    """Return those of the executions whose lease no living process holds, whatever became of them.

    Args:
        driver: The connection.
        executions: The executions.
        may_judge: Asked at most once, and only if the lease of one is over whose process is not
            known to have ended: whether that says anything.
    """
    over = gone(driver, [execution_lease(each) for each in executions], may_judge)
    return [each for each in executions if execution_lease(each) in over]


def gone(driver: Driver, keys: Sequence[str], may_judge: Judge = always) -> set[str]:
    """Return those of the leases that no living process holds.

    Args:
        driver: The connection.
        keys: The leases.
        may_judge: Asked at most once, and only if one is over whose process is not known to have
            ended: whether that says anything.
    """
    held = _find(driver, keys)
    known: dict[_Place, bool] = {}
    ended = {each for each in keys if each not in held or _is_gone(held[each][0], known)}
    silent = {each for each in keys if each not in ended and held[each][1]}
    return ended | silent if silent and may_judge(driver) else ended


def mark_crashed(
    driver: Driver,
    executions: Sequence[ExecutionId],
    max_losses: int = MAX_LOSSES,
    may_judge: Judge = always,
) -> list[ExecutionId]:
    """Mark those of the executions that crashed, with their running jobs; return their ids.

    What a worker had taken goes back to its queues, and is none of these, unless so many workers
    were lost with it.
    """
    from taskgraph_backend.catalog.changing import mark_crashed as mark
    from taskgraph_backend.routing.losing import Fate, give_back

    marked = []
    for execution_id, end in last_alive(driver, unheld(driver, executions, may_judge)).items():
        fate = give_back(driver, execution_id, max_losses)
        if fate is None:
            mark(driver, execution_id, "its process ended without a word", end)
        if fate in (None, Fate.CRASHED):
            marked.append(execution_id)
    return marked


def end_jobs(driver: Driver, execution: bytearray, end: int, state: State) -> int:
    """Mark the jobs of an execution that have no end; returns how many."""
    return driver.execute(
        "UPDATE job SET state_type = ?, end_time = max(start_time, ?)"
        " WHERE execution_id = ? AND state_type IN (?, ?)",
        (state.value, end, execution, State.RUNNING.value, State.PENDING.value),
    ).rowcount


def last_alive(driver: Driver, executions: Sequence[ExecutionId]) -> dict[ExecutionId, Micros]:
    """Return when executions that crashed were last heard of: when they did is not known."""
    leases = _find(driver, [execution_lease(each) for each in executions]) if executions else {}
    moment = clock(driver) if leases else Micros(0)
    found = {}
    for execution_id in executions:
        lease, _ = leases.get(execution_lease(execution_id), (None, True))
        beat = 0 if lease is None else min(lease.expires - _LEASE, moment)
        found[execution_id] = Micros(max(beat, _last_heard(driver, _binary(execution_id))))
    return found


def _last_heard(driver: Driver, execution: bytearray) -> int:
    """Return when an execution last wrote something."""
    rows = driver.execute(
        "SELECT coalesce(updated_time, state_time) FROM execution WHERE id = ?"
        " UNION ALL SELECT max(start_time) FROM job WHERE execution_id = ?"
        " UNION ALL SELECT max(end_time) FROM job WHERE execution_id = ?",
        (execution, execution, execution),
    )
    return max((moment for (moment,) in rows if moment is not None), default=0)


def close_jobs(driver: Driver, execution_id: ExecutionId, end: Micros) -> int:
    """Mark the jobs of an execution CANCELLED that have no end; returns how many."""
    return end_jobs(driver, _binary(execution_id), end, State.CANCELLED)


def _find(driver: Driver, keys: Sequence[str]) -> dict[str, tuple[LeaseRecord, bool]]:
    found = {}
    for piece in statements.padded(keys):
        for row in driver.execute(statements.leases(len(piece)).format(now=NOW), piece):
            *fields, is_over = row
            lease = LeaseRecord(*fields)
            found[lease.key] = (lease, bool(is_over))
    return found


def _is_gone(lease: LeaseRecord, known: dict[_Place, bool]) -> bool:
    """Tell whether the holder has ended, with its scripts; a process is looked for once."""
    # What these ran, others run as soon as they are gone.
    has_scripts = is_assigned(lease.holder) or is_server_lease(lease.key)
    place = (lease.host, lease.pid, lease.started, has_scripts)
    if place not in known:
        known[place] = is_gone(lease) and not (has_scripts and _is_being_ended(lease.pid))
    return known[place]


def _is_being_ended(pid: int) -> bool:
    """Tell whether scripts of a worker, or of a server of calls, still run: they end soon."""
    from taskgraph.scripting.groups import is_guarded

    return is_guarded(pid)


__all__ = [
    "Judge",
    "always",
    "clock",
    "close_jobs",
    "dead",
    "end_jobs",
    "forget",
    "gone",
    "heartbeat",
    "last_alive",
    "living",
    "mark_crashed",
    "release",
    "revoke",
    "running",
    "take",
    "unheld",
]
