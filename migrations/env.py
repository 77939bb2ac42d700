"""How alembic reaches the database: by a connection handed to it, or by the URL of `-x db=`.

`taskgraph_backend.schema` hands over a connection on which the transaction has begun, so that a
migration happens whole or not at all.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, MetaData


def run(connection: Connection, metadata: MetaData | None = None) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        # The caller owns the transaction.
        transactional_ddl=False,
    )
    context.run_migrations()


def run_from_command_line() -> None:
    # The models are for drafting migrations; running them does without, and without the ORM.
    from taskgraph_backend.dialects import open_database
    from taskgraph_backend.models import Base

    uri = context.get_x_argument(as_dictionary=True).get("db", "sqlite://")
    with open_database(uri).engine.begin() as connection:
        run(connection, Base.metadata)


handed_over = context.config.attributes.get("connection")
if handed_over is None:
    run_from_command_line()
else:
    run(handed_over)
