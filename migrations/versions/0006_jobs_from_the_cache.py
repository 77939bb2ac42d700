"""The jobs of an execution that took their results from the cache are found by an index.

Revision: 0006, after 0005.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
# Only an index: a library that knows 1.0 uses it as it used the other one.
version = "1.5"


def upgrade() -> None:
    op.drop_index("ix_job_execution_id", "job")
    op.create_index("ix_job_execution_id_cached", "job", ["execution_id", "cached"])


def downgrade() -> None:
    op.drop_index("ix_job_execution_id_cached", "job")
    op.create_index("ix_job_execution_id", "job", ["execution_id"])
