"""Rows that decide results are sealed: one that was changed by damage is used for nothing.

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
# Columns that may be empty: a library that knows 1.0 writes rows without seals, which are taken as
# they are.
version = "1.6"
# What a downgrade loses, and how much of it there is. A seal says nothing that its row does not.
losses = (("rows that a repair put aside", "SELECT count(*) FROM quarantine"),)

SEAL = sa.LargeBinary(8)
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
TABLES = ("call_node", "evaluation", "part", "task", "task_alias", "value")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("seal", SEAL, nullable=True))
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("table_name", TEXT, nullable=False),
        sa.Column("row_key", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("content", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
    )


def downgrade() -> None:
    op.drop_table("quarantine")
    for table in TABLES:
        op.drop_column(table, "seal")
