"""PostgreSQL, for teams: the same SQL and the same rows, over psycopg."""

from __future__ import annotations

from taskgraph_backend.dialects.postgres.database import PostgresDatabase

__all__ = ["PostgresDatabase"]
