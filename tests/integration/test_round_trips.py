"""How often a run asks a server that is far away: as often for many calls as for few."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from taskgraph import Scheduler, task
from taskgraph.config import BackendSettings, Settings
from taskgraph_backend.dialects.postgres.driver import PostgresDriver


@task(namespace="trips", version="1")
def inc(x: int) -> int:
    return x + 1


@task(namespace="trips", version="1")
def main(n: int) -> list[int]:
    return [inc(each) for each in range(n)]


def _named(sql: str) -> str:
    """Return the first words of a statement, and the table that it looks into."""
    table = sql.partition(" FROM ")[2].split(" ")[0]
    return (
        f"{' '.join(sql.split()[:2])} {table}".strip() if table else sql.split(";", maxsplit=1)[0]
    )


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was asked of servers, by the first words: each of it is waited for."""
    found: Counter[str] = Counter()

    def counted(name: str) -> None:
        method = getattr(PostgresDriver, name)

        def told(self: PostgresDriver, sql: str, *others: object) -> object:
            # What is sent in a pipeline is waited for once, as its last one is committed.
            found["recorded" if name == "executemany" else _named(sql)] += 1
            return method(self, sql, *others)

        monkeypatch.setattr(PostgresDriver, name, told)

    for name in ("execute", "executemany", "begin"):
        counted(name)
    return found


@pytest.mark.parametrize("is_flat", [True, False], ids=["a list", "a call"])
def test_calls_that_are_recorded_are_looked_up_in_a_few_questions(
    tmp_path: Path, postgres_uri: str, trips: Counter[str], is_flat: bool
) -> None:
    settings = Settings(config_dir=tmp_path, backend=BackendSettings(db_uri=postgres_uri))

    def run(n: int) -> Counter[str]:
        with Scheduler(settings, executor="inline") as scheduler:
            trips.clear()
            scheduler.run([inc(each) for each in range(n)] if is_flat else main(n))
            return Counter(trips)

    run(2_000)
    few, many = _looked_up(run(50)), _looked_up(run(2_000))

    # The call itself, and all that it calls: each is one question, whatever their number.
    assert few == many
    assert sum(many.values()) <= 8, many


@pytest.mark.parametrize("n", [50, 2_000])
def test_what_is_recorded_at_once_is_waited_for_twice(
    tmp_path: Path, postgres_uri: str, trips: Counter[str], n: int
) -> None:
    settings = Settings(config_dir=tmp_path, backend=BackendSettings(db_uri=postgres_uri))
    with Scheduler(settings, executor="inline") as scheduler:
        scheduler.run(main(n))
        trips.clear()
        scheduler.run(main(n))
    begun = sum(count for what, count in trips.items() if what.startswith("BEGIN"))

    # How many transactions there are is a matter of time: each 20 ms one. One that has new calls
    # looks once whether strangers' rows are in their place.
    assert trips["COMMIT"] == begun
    looks = trips["SELECT EXISTS foreign_record)"]
    assert looks <= begun
    assert sum(trips.values()) - trips["recorded"] - looks - 2 * begun <= 10, trips


def _looked_up(trips: Counter[str]) -> Counter[str]:
    return Counter({what: count for what, count in trips.items() if what.endswith(" evaluation")})
