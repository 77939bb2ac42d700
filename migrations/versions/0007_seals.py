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

HASH = sa.LargeBinary(16)
TABLES = ("call_node", "evaluation", "task_alias", "value")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("seal", HASH, nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "seal")
