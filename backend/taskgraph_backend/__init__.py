"""The archive: where calls are remembered, on SQLAlchemy.

Importing it, opening a database and writing to it load neither the ORM nor the migrations: those
are imported when someone reads rows as objects, or when a schema must be made or changed.
"""

from taskgraph_backend.store import SqlBackend

__all__ = ["SqlBackend"]
