"""Why a job missed the cache, and tasks whose earlier code means the same.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
# Only adds: a library that knows 1.0 leaves the column at NULL and the table alone.
version = "1.1"
# What a downgrade loses, and how much of it there is.
losses = (
    ("aliases of tasks", "SELECT count(*) FROM task_alias"),
    ("reasons why jobs were run", "SELECT count(*) FROM job WHERE miss IS NOT NULL"),
)

HASH = sa.LargeBinary(16)
# By the characters' numbers, as SQLite orders: the order of lists, and an index for prefixes.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def reference(column: str, target: str, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [target], name=name, deferrable=True, initially="DEFERRED"
    )


def upgrade() -> None:
    # NULL for the jobs that are there: why they ran was not written down.
    op.add_column("job", sa.Column("miss", TEXT, nullable=True))
    op.create_table(
        "task_alias",
        sa.Column("old_hash", HASH, nullable=False),
        sa.Column("new_hash", HASH, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("old_name", TEXT, nullable=False),
        sa.Column("new_name", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("end_time", TIME, nullable=True),
        sa.Column("end_author", TEXT, nullable=True),
        reference("old_hash", "task.hash", "fk_task_alias_old_hash"),
        reference("new_hash", "task.hash", "fk_task_alias_new_hash"),
        sa.PrimaryKeyConstraint("old_hash", "new_hash", "timestamp", name="pk_task_alias"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("task_alias")
    op.drop_column("job", "miss")
