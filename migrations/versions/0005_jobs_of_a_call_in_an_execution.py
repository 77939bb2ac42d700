"""The jobs of a call in one execution are found by an index.

Revision: 0005, after 0004.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
# Only an index: a library that knows 1.0 uses it as it used the other one.
version = "1.4"


def upgrade() -> None:
    op.drop_index("ix_job_call_hash", "job")
    op.create_index("ix_job_call_hash_execution_id", "job", ["call_hash", "execution_id"])


def downgrade() -> None:
    op.drop_index("ix_job_call_hash_execution_id", "job")
    op.create_index("ix_job_call_hash", "job", ["call_hash"])
