"""The newest calls of a task are found by an index.

Revision: 0003, after 0002.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
# Only an index: a library that knows 1.0 uses it as it used the other one.
version = "1.2"


def upgrade() -> None:
    op.drop_index("ix_call_node_task_hash", "call_node")
    op.create_index("ix_call_node_task_hash_timestamp", "call_node", ["task_hash", "timestamp"])


def downgrade() -> None:
    op.drop_index("ix_call_node_task_hash_timestamp", "call_node")
    op.create_index("ix_call_node_task_hash", "call_node", ["task_hash"])
