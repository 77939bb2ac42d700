"""Results can be retracted: calls are marked, and what was retracted by whom is kept.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
# A library that knows 1.0 records calls as before; what it looks up, it looks up as if nothing had
# been retracted.
version = "1.9"

#: What goes with the table, and a count of it. Tags go on saying which calls were meant, and count
#: again in a later version.
losses = (("retractions", "SELECT count(*) FROM retraction"),)

HASH = sa.LargeBinary(16)
# By the characters' numbers, as SQLite orders: the order of lists, and an index for prefixes.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "call_node",
        sa.Column("retracted", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    # Of a database that was taken back to a version before, and brought here again.
    op.execute(
        "UPDATE call_node SET retracted = TRUE WHERE call_hash IN (SELECT entity_id FROM tag"
        " WHERE key = 'taskgraph.retracted' AND is_current AND entity_type = 'CallNode')"
    )
    op.execute(
        "UPDATE execution SET retracted = TRUE WHERE id IN (SELECT entity_id FROM tag"
        " WHERE key = 'taskgraph.retracted' AND is_current AND entity_type = 'Execution')"
    )
    condition = sa.text("retracted")
    op.create_index(
        "ix_call_node_eval_hash_retracted",
        "call_node",
        ["eval_hash"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    op.create_table(
        "retraction",
        sa.Column("id", HASH, nullable=False),
        sa.Column("entity_type", TEXT, nullable=False),
        sa.Column("entity_id", HASH, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("cascades", sa.Boolean(), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_retraction"),
    )
    op.create_index("ix_retraction_entity_id", "retraction", ["entity_id"])


def downgrade() -> None:
    op.drop_table("retraction")
    op.drop_index("ix_call_node_eval_hash_retracted", "call_node")
    op.drop_column("call_node", "retracted")
