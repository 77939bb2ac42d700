"""Records that were damaged are not taken elsewhere, where nobody could tell any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import Scheduler, exchange, task
from taskgraph.config import BackendSettings, Settings
from taskgraph_backend import SqlBackend


@task(namespace="damage_moves", version="1", executor="inline")
def word(text: str) -> str:
    return text * 5


def _settings(folder: Path, uri: str) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(folder, backend=BackendSettings(db_uri=uri, automigrate=True))


_DAMAGES = {
    "values swapped": "UPDATE value SET (type, format, value, size, content_digest) ="
    " (SELECT o.type, o.format, o.value, o.size, o.content_digest FROM value o"
    " WHERE o.value_hash <> value.value_hash AND o.type = 'builtins.str' AND o.size > 38"
    " ORDER BY o.value_hash LIMIT 1) WHERE type = 'builtins.str' AND size > 38",
    "results swapped": "UPDATE evaluation SET value_hash = (SELECT c.value_hash FROM call_node c"
    " WHERE c.eval_hash <> evaluation.eval_hash AND c.task_name LIKE '%word' LIMIT 1)",
    "bytes of values": "UPDATE value SET value = ? WHERE size > 38",
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_what_was_damaged_is_no_result_elsewhere(
    damage: str, tmp_path: Path, database_uri: str
) -> None:
    here = _settings(tmp_path / "here", database_uri)
    there = _settings(tmp_path / "there", f"sqlite:///{tmp_path / 'there' / 'taskgraph.db'}")
    words = ["first", "other"]
    wanted = [each * 5 for each in words]
    with Scheduler(here) as scheduler:
        assert scheduler.run([word(each) for each in words]) == wanted
    with SqlBackend(database_uri) as backend:
        given = (b"\x00",) if "?" in _DAMAGES[damage] else ()
        backend._connection().execute(_DAMAGES[damage], given)

    exchange.export(here, (), str(tmp_path / "records.jsonl"), everything=False)
    exchange.import_file(there, str(tmp_path / "records.jsonl"), dry_run=False)
    exchange.trust_origins(there, ())

    with Scheduler(there) as scheduler:
        assert scheduler.run([word(each) for each in words]) == wanted
