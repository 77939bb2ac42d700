"""What must hold of a database after whatever was done to those who wrote to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from taskgraph.records import LeaseRecord
from taskgraph_backend import SqlBackend
from taskgraph_backend.holders import is_gone
from taskgraph_backend.integrity import check
from taskgraph_backend.models import Base
from tests.torture.workflow import LEAVES, calls, expected

# Calls that ended well; those whose worker was killed are recorded as failed ones besides.
_GOOD = (
    "(SELECT c.* FROM call_node c JOIN value v ON v.value_hash = c.value_hash"
    " WHERE v.type <> 'taskgraph.ErrorValue')"
)
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


def _rows(backend: SqlBackend, sql: str, given: Sequence[object] = ()) -> list[tuple[object, ...]]:
    return [tuple(row) for row in backend._connection().execute(sql, given)]


def dangling(backend: SqlBackend) -> dict[str, int]:
    """Count the rows that refer to none, whatever the database itself believes."""
    found = {}
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            column, other = key.parent.name, key.column.table.name
            ((count,),) = _rows(
                backend,
                f"SELECT count(*) FROM {table.name} AS child WHERE child.{column} IS NOT NULL"
                f" AND NOT EXISTS (SELECT 1 FROM {other} AS parent"
                f" WHERE parent.{key.column.name} = child.{column})",
            )
            if count:
                found[f"{table.name}.{column} to {other}"] = int(str(count))
    return found


def assert_whole(backend: SqlBackend) -> None:
    """Assert that nothing is half there, and nothing there twice."""
    assert check(backend) == []
    assert dangling(backend) == {}
    query = "SELECT state_type, count(*) FROM execution GROUP BY 1"
    states = {str(state): int(str(count)) for state, count in _rows(backend, query)}
    assert set(states) <= set(_ENDED), states
    # What was taken in the moment before its holder was killed is nobody's.
    leases = _rows(backend, "SELECT key, holder, host, pid, started, expires FROM lease")
    assert [row for row in leases if not is_gone(LeaseRecord(*row))] == []  # type: ignore[arg-type]
    # Calls of here are pure: one made twice gives the same row, and other rows are other results.
    twice = f"SELECT eval_hash FROM {_GOOD} c GROUP BY 1 HAVING count(*) > 1"
    assert _rows(backend, twice) == []
    # A call that is recorded has all that it owns.
    halves = (
        f"SELECT c.task_name, count(*) FROM {_GOOD} c LEFT JOIN argument a"
        " ON a.call_hash = c.call_hash WHERE a.arg_hash IS NULL GROUP BY 1",
        f"SELECT c.task_name, count(*) FROM {_GOOD} c LEFT JOIN evaluation e"
        " ON e.eval_hash = c.eval_hash WHERE e.eval_hash IS NULL GROUP BY 1",
    )
    for query in halves:
        assert _rows(backend, query) == []


def assert_complete(backend: SqlBackend, seeds: Iterable[int], groups: int) -> None:
    """Assert that all of each workflow is there: results, calls, edges and arguments."""
    count = len(set(seeds))
    names = Counter(
        {
            str(name): int(str(number))
            for name, number in _rows(
                backend, f"SELECT task_name, count(*) FROM {_GOOD} c GROUP BY 1"
            )
        }
    )
    assert names == Counter(
        {
            "torture.main": count,
            "torture.group": count * groups,
            "torture.total": count * groups,
            "torture.leaf": count * groups * LEAVES,
        }
    )
    query = (
        f"SELECT c.task_name, count(*) FROM call_edge e JOIN {_GOOD} c"
        " ON c.call_hash = e.parent_id GROUP BY 1"
    )
    edges = {str(name): int(str(number)) for name, number in _rows(backend, query)}
    assert edges == {"torture.main": count * groups, "torture.group": count * groups * (LEAVES + 1)}
    # Each sum came from its leaves.
    query = (
        "SELECT count(*) FROM argument_result r JOIN argument a ON a.arg_hash = r.arg_hash"
        f" JOIN {_GOOD} c ON c.call_hash = a.call_hash"
    )
    ((routes,),) = _rows(backend, query)
    assert routes == count * groups * LEAVES
    done = _rows(
        backend,
        "SELECT (SELECT count(*) FROM job j WHERE j.execution_id = x.id"
        " AND j.state_type = 'COMPLETED'), (SELECT count(*) FROM job j"
        " WHERE j.execution_id = x.id) FROM execution x WHERE x.state_type = 'COMPLETED'",
    )
    assert set(done) <= {(calls(groups), calls(groups))}, Counter(done)


def assert_results(told: str, groups: int) -> None:
    """Assert that all that a process said that it got is right."""
    for line in told.splitlines():
        if line.startswith("done ") and "[" in line:
            _, seed, result = line.split(" ", 2)
            assert result == str(expected(int(seed), groups)), line


def assert_recorded(backend: SqlBackend, number: int, turns: int, told: int) -> None:
    """Assert what must be of the program `recorder`.

    Args:
        backend: Its database.
        number: The number of the process.
        turns: How many turns it was to make.
        told: How many it said that it had made.
    """
    from taskgraph.records import CacheQuery
    from tests.rows import key
    from tests.torture.recorder import PER_TURN, first, imported, job

    for turn in range(turns):
        keys = [CacheQuery(key(first(number, turn) + each), True) for each in range(PER_TURN)]
        found = [
            bool(each.evaluation) and len(each.calls) == 1 for each in backend.check_cache(keys)
        ]
        assert len(set(found)) == 1, f"half of turn {turn} of {number} is there"
        if turn < told:
            assert found[0], f"turn {turn} of {number} was confirmed, and is not there"
    tags = backend.get_tags([key(job(number))])[key(job(number))]
    values = tags.get("turn", [])
    assert len(values) <= 1
    if told:
        assert values[0] >= told - 1
    assert len(tags.get("gone", [])) <= (0 if told == turns else 1)
    there = backend.has_records(imported(number, turn) for turn in range(told))
    assert len(there) == told
