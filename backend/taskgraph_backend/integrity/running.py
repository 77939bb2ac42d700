"""Whether what is said to run does: executions with living leases, and leases of such."""

from __future__ import annotations

from collections.abc import Iterator

from taskgraph_backend import claims
from taskgraph_backend.dialects import NOW, Driver
from taskgraph_backend.integrity.problems import Change, Finding, Remove, found

_LEASE = "a lease is of an execution that runs"


def executions(driver: Driver) -> Iterator[Finding]:
    """Give the executions that are said to run, and whose process is gone."""
    rule = "an execution that runs has a lease of a living process"
    crashed = claims.unheld(driver, claims.running(driver))
    for execution_id, end in claims.last_alive(driver, crashed).items():
        key = bytes.fromhex(execution_id)
        (state,) = driver.execute(
            "SELECT state_type FROM execution WHERE id = ?", (key,)
        ).fetchone()
        jobs = driver.execute(
            "SELECT id, start_time FROM job WHERE execution_id = ?"
            " AND state_type IN ('RUNNING', 'PENDING')",
            (key,),
        ).fetchall()
        closed = [
            Change("job", {"id": job}, {"state_type": "CRASHED", "end_time": max(start, end)})
            for job, start in jobs
        ]
        columns = {"state_type": "CRASHED", "state_time": end}
        steps = (*closed, Change("execution", {"id": key}, columns, {"state_type": state}))
        yield found(rule, "execution", key, "nobody holds its lease", "it is closed", *steps)


def leases(driver: Driver) -> Iterator[Finding]:
    """Give the leases that are over, of executions that run no more or are not there."""
    for key, pid in driver.execute(
        f"SELECT key, pid FROM lease WHERE expires < {NOW} AND key LIKE 'execution:%'"
    ).fetchall():
        name = key.partition(":")[2]
        is_one = len(name) == 32 and set(name) <= set("0123456789abcdef")
        row = None
        if is_one:
            row = driver.execute(
                "SELECT state_type FROM execution WHERE id = ?", (bytes.fromhex(name),)
            ).fetchone()
        if row is None or row[0] not in ("RUNNING", "PENDING", "SCHEDULED"):
            step = Remove("lease", {"key": key}, {"pid": pid})
            yield found(_LEASE, "lease", key, "it is over", "it is put aside", step)


__all__ = ["executions", "leases"]
