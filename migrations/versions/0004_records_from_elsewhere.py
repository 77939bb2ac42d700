"""What came from elsewhere is kept apart until somebody trusts it.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
# Only adds tables: a library that knows 1.0 leaves them alone.
version = "1.3"
# What a downgrade loses, and how much of it there is.
losses = (
    ("marks of where records came from", "SELECT count(*) FROM foreign_record"),
    ("cache entries from elsewhere", "SELECT count(*) FROM foreign_evaluation"),
    ("aliases from elsewhere", "SELECT count(*) FROM foreign_alias"),
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
    op.create_table(
        "foreign_record",
        sa.Column("id", HASH, nullable=False),
        sa.Column("entity_type", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_foreign_record"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "foreign_evaluation",
        sa.Column("eval_hash", HASH, nullable=False),
        sa.Column("task_hash", HASH, nullable=False),
        sa.Column("args_hash", HASH, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        reference("task_hash", "task.hash", "fk_foreign_evaluation_task_hash"),
        reference("value_hash", "value.value_hash", "fk_foreign_evaluation_value_hash"),
        sa.PrimaryKeyConstraint("eval_hash", name="pk_foreign_evaluation"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "foreign_alias",
        sa.Column("old_hash", HASH, nullable=False),
        sa.Column("new_hash", HASH, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("old_name", TEXT, nullable=False),
        sa.Column("new_name", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("end_time", TIME, nullable=True),
        sa.Column("end_author", TEXT, nullable=True),
        sa.Column("origin", TEXT, nullable=False),
        reference("old_hash", "task.hash", "fk_foreign_alias_old_hash"),
        reference("new_hash", "task.hash", "fk_foreign_alias_new_hash"),
        sa.PrimaryKeyConstraint("old_hash", "new_hash", "timestamp", name="pk_foreign_alias"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    # Values stay untrusted; what was offered as cache entries and aliases is gone.
    op.drop_table("foreign_alias")
    op.drop_table("foreign_evaluation")
    op.drop_table("foreign_record")
