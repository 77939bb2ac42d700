"""What is moved, and what is trusted, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskgraph import Scheduler, exchange, task
from taskgraph.config import Settings
from taskgraph.errors import RecordFileError, UnknownOriginError


@task(namespace="exchanged", version="1")
def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with records of its own, and some from a file."""
    there, here = Settings(config_dir=tmp_path / "there"), Settings(config_dir=tmp_path / "here")
    for each, x in ((there, 1), (here, 2)):
        each.config_dir.mkdir()
        with Scheduler(each, executor="inline") as scheduler:
            scheduler.run(double(x))
    file = str(tmp_path / "all.jsonl")
    exchange.export(there, (), file, everything=False)
    exchange.import_file(here, file, dry_run=False)
    return here


def test_an_origin_that_is_not_known_is_named_with_those_that_are(settings: Settings) -> None:
    (known,) = exchange.list_untrusted(settings)

    with pytest.raises(UnknownOriginError) as raised:
        exchange.trust_origins(settings, [known.origin, "nobody"])

    assert (raised.value.origin, raised.value.known) == ("nobody", (known.origin,))
    assert exchange.list_untrusted(settings) == [known]


@pytest.mark.parametrize(("name", "why"), [("gone.jsonl", "no such file"), (".", "is a folder")])
def test_what_is_no_file_makes_no_database(tmp_path: Path, name: str, why: str) -> None:
    settings = Settings(config_dir=tmp_path / "new")

    with pytest.raises(RecordFileError, match=why):
        exchange.import_file(settings, str(tmp_path / name), dry_run=False)

    assert not settings.config_dir.exists()


def test_all_origins_are_counted_together(settings: Settings) -> None:
    (known,) = exchange.list_untrusted(settings)

    done = exchange.trust_origins(settings, [known.origin])

    assert done.counts["executions"] == 1
    assert done.left == {}
    assert exchange.list_untrusted(settings) == []
