"""A cache entry names the call that gave its value.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
# A column that may be empty: a library that knows 1.0 looks for the call as it did before.
version = "1.7"

HASH = sa.LargeBinary(16)


def upgrade() -> None:
    op.add_column("evaluation", sa.Column("call_hash", HASH, nullable=True))
    op.drop_index("ix_call_node_eval_hash_timestamp_call_hash", "call_node")
    op.create_index("ix_call_node_eval_hash_timestamp", "call_node", ["eval_hash", "timestamp"])


def downgrade() -> None:
    op.drop_index("ix_call_node_eval_hash_timestamp", "call_node")
    op.create_index(
        "ix_call_node_eval_hash_timestamp_call_hash",
        "call_node",
        ["eval_hash", "timestamp", "call_hash"],
    )
    op.drop_column("evaluation", "call_hash")
