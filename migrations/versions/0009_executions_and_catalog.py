"""Executions can be managed: their states, studies, groups, workflows, datasets and artifacts.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
# New tables, and columns that may be left out: a library that knows 1.0 writes executions without
# them, which are completed when executions are next listed.
version = "1.8"
# What a downgrade loses, and how much of it there is. Of each execution the state it is in stays.
losses = (
    ("states that executions were in", "SELECT count(*) FROM state"),
    ("studies", "SELECT count(*) FROM study"),
    ("workflows", "SELECT count(*) FROM workflow"),
    ("groups of executions", "SELECT count(*) FROM execution_group"),
    ("datasets", "SELECT count(*) FROM dataset"),
    ("artifacts", "SELECT count(*) FROM artifact"),
    ("keys of the vocabulary", "SELECT count(*) FROM tag_key"),
    (
        "executions with a study, a workspace or a key",
        "SELECT count(*) FROM execution WHERE study_id IS NOT NULL OR workspace IS NOT NULL"
        " OR idempotency_key IS NOT NULL",
    ),
    (
        "executions that were created and not run",
        "SELECT count(*) FROM execution WHERE state_type IN ('SCHEDULED', 'PENDING')",
    ),
)

HASH = sa.LargeBinary(16)
# By the characters' numbers, as SQLite orders: the order of lists, and an index for prefixes.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")

# What a start is where none was written down, and what an end is: those of the root job.
_BACK_FILL = """
UPDATE execution SET
    start_time = coalesce((SELECT start_time FROM job WHERE job.id = execution.job_id), state_time),
    end_time = CASE WHEN state_type IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')
        THEN state_time END,
    created_at = coalesce((SELECT start_time FROM job WHERE job.id = execution.job_id), state_time),
    run_count = 1,
    entrypoint = coalesce((
        SELECT CASE task.namespace WHEN '' THEN task.name
            ELSE task.namespace || '.' || task.name END
        FROM job JOIN task ON task.hash = job.task_hash WHERE job.id = execution.job_id), '')
"""


def reference(
    column: str, target: str, name: str, ondelete: str | None = None
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [target], name=name, ondelete=ondelete, deferrable=True, initially="DEFERRED"
    )


def partial_index(name: str, table: str, columns: list[str], where: str, unique: bool) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def columns_of_execution() -> list[sa.Column[object]]:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    epoch = sa.text("0" if is_sqlite else "'1970-01-01 00:00:00+00'")
    empty, none, zero = sa.text("''"), sa.text("'{}'"), sa.text("0")
    return [
        sa.Column("name", TEXT, server_default=empty, nullable=False),
        sa.Column("entrypoint", TEXT, server_default=empty, nullable=False),
        sa.Column("workflow_id", HASH, nullable=True),
        sa.Column("study_id", HASH, nullable=True),
        sa.Column("group_id", HASH, nullable=True),
        sa.Column("parent_job_id", HASH, nullable=True),
        sa.Column("idempotency_key", TEXT, nullable=True),
        sa.Column("request_hash", HASH, nullable=True),
        sa.Column("parameters", JSON, server_default=none, nullable=False),
        sa.Column("snapshot_hash", HASH, nullable=True),
        sa.Column("dataset_hash", HASH, nullable=True),
        sa.Column("first_step", sa.Integer(), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=True),
        sa.Column("workspace", TEXT, nullable=True),
        sa.Column("output_path", TEXT, nullable=True),
        sa.Column("code_version", TEXT, nullable=True),
        sa.Column("submitted_by", TEXT, nullable=True),
        sa.Column("options", JSON, server_default=none, nullable=False),
        sa.Column("state_name", TEXT, server_default=empty, nullable=False),
        sa.Column("run_count", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("expected_start_time", TIME, nullable=True),
        sa.Column("next_scheduled_start_time", TIME, nullable=True),
        sa.Column("start_time", TIME, nullable=True),
        sa.Column("end_time", TIME, nullable=True),
        sa.Column("total_run_time", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("retracted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", TIME, server_default=epoch, nullable=False),
    ]


def columns_of_job() -> list[sa.Column[object]]:
    # All of them empty for the jobs of a plain run.
    return [
        sa.Column("state_name", TEXT, nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=True),
        sa.Column("dynamic_key", TEXT, nullable=True),
        sa.Column("queue", TEXT, nullable=True),
        sa.Column("step_position", sa.Integer(), nullable=True),
    ]


def upgrade() -> None:
    for column in columns_of_execution():
        op.add_column("execution", column)
    for column in columns_of_job():
        op.add_column("job", column)
    op.execute(_BACK_FILL)
    _index_executions()
    _create_studies_and_workflows()
    _create_datasets()


def _index_executions() -> None:
    op.create_index("ix_execution_created_at_id", "execution", ["created_at", "id"])
    partial_index(
        "uq_execution_entrypoint_idempotency_key",
        "execution",
        ["entrypoint", "idempotency_key"],
        "idempotency_key IS NOT NULL",
        unique=True,
    )
    partial_index(
        "uq_execution_group_id_dataset_hash",
        "execution",
        ["group_id", "dataset_hash"],
        "group_id IS NOT NULL AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING')",
        unique=True,
    )
    partial_index(
        "uq_execution_workspace", "execution", ["workspace"], "workspace IS NOT NULL", unique=True
    )
    for column in ("study_id", "group_id"):
        partial_index(
            f"ix_execution_{column}_created_at",
            "execution",
            [column, "created_at"],
            f"{column} IS NOT NULL",
            unique=False,
        )
    partial_index(
        "uq_job_execution_id_task_hash_dynamic_key",
        "job",
        ["execution_id", "task_hash", "dynamic_key"],
        "dynamic_key IS NOT NULL",
        unique=True,
    )
    op.create_table(
        "state",
        sa.Column("id", HASH, nullable=False),
        sa.Column("execution_id", HASH, nullable=True),
        sa.Column("job_id", HASH, nullable=True),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.CheckConstraint("(execution_id IS NULL) <> (job_id IS NULL)", name="ck_state_of_one"),
        reference("execution_id", "execution.id", "fk_state_execution_id", "CASCADE"),
        reference("job_id", "job.id", "fk_state_job_id", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_state"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_state_execution_id_timestamp", "state", ["execution_id", "timestamp"])
    partial_index(
        "ix_state_job_id_timestamp",
        "state",
        ["job_id", "timestamp"],
        "job_id IS NOT NULL",
        unique=False,
    )


def _create_studies_and_workflows() -> None:
    op.create_table(
        "study",
        sa.Column("id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("meta", JSON, nullable=False),
        sa.Column("owner_id", HASH, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
    )
    op.create_index("uq_study_name", "study", ["name"], unique=True)
    op.create_table(
        "workflow",
        sa.Column("id", HASH, nullable=False),
        sa.Column("study_id", HASH, nullable=True),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("meta", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        reference("study_id", "study.id", "fk_workflow_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_workflow"),
    )
    op.create_index(
        "uq_workflow_namespace_name_version",
        "workflow",
        ["namespace", "name", "version"],
        unique=True,
    )
    partial_index(
        "uq_workflow_namespace_name", "workflow", ["namespace", "name"], "promoted", unique=True
    )
    op.create_table(
        "workflow_step",
        sa.Column("id", HASH, nullable=False),
        sa.Column("workflow_id", HASH, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("task_name", TEXT, nullable=False),
        sa.Column("task_hash", HASH, nullable=True),
        sa.Column("args", JSON, nullable=True),
        sa.Column("options", JSON, nullable=False),
        reference("task_hash", "task.hash", "fk_workflow_step_task_hash"),
        reference("workflow_id", "workflow.id", "fk_workflow_step_workflow_id", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_step"),
    )
    op.create_index(
        "ix_workflow_step_workflow_id_position", "workflow_step", ["workflow_id", "position"]
    )
    op.create_table(
        "execution_group",
        sa.Column("id", HASH, nullable=False),
        sa.Column("workflow_id", HASH, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("selectors", JSON, nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("dirty_reason", TEXT, nullable=True),
        sa.Column("planned_dataset_hash", HASH, nullable=True),
        sa.Column("recompute", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        reference("workflow_id", "workflow.id", "fk_execution_group_workflow_id"),
        sa.PrimaryKeyConstraint("id", name="pk_execution_group"),
    )
    op.create_index(
        "uq_execution_group_workflow_id_key", "execution_group", ["workflow_id", "key"], unique=True
    )


def _create_datasets() -> None:
    op.create_table(
        "dataset",
        sa.Column("id", HASH, nullable=False),
        sa.Column("study_id", HASH, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("meta", JSON, nullable=False),
        sa.Column("retracted", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        reference("study_id", "study.id", "fk_dataset_study_id"),
        reference("value_hash", "value.value_hash", "fk_dataset_value_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
    )
    partial_index(
        "uq_dataset_study_id_name",
        "dataset",
        ["study_id", "name"],
        "study_id IS NOT NULL",
        unique=True,
    )
    partial_index("uq_dataset_name", "dataset", ["name"], "study_id IS NULL", unique=True)
    op.create_index("ix_dataset_value_hash", "dataset", ["value_hash"])
    op.create_table(
        "execution_dataset",
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("dataset_id", HASH, nullable=True),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        reference("dataset_id", "dataset.id", "fk_execution_dataset_dataset_id", "SET NULL"),
        reference("execution_id", "execution.id", "fk_execution_dataset_execution_id", "CASCADE"),
        reference("value_hash", "value.value_hash", "fk_execution_dataset_value_hash"),
        sa.PrimaryKeyConstraint("execution_id", "role", "name", name="pk_execution_dataset"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_execution_dataset_dataset_id", "execution_dataset", ["dataset_id"])
    op.create_index("ix_execution_dataset_value_hash", "execution_dataset", ["value_hash"])
    partial_index(
        "uq_execution_dataset_dataset_id",
        "execution_dataset",
        ["dataset_id"],
        "role = 'output' AND in_use",
        unique=True,
    )
    op.create_table(
        "artifact",
        sa.Column("id", HASH, nullable=False),
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=True),
        sa.Column("value_hash", HASH, nullable=True),
        sa.Column("title", TEXT, nullable=True),
        sa.Column("description", TEXT, nullable=True),
        reference("execution_id", "execution.id", "fk_artifact_execution_id", "CASCADE"),
        reference("value_hash", "value.value_hash", "fk_artifact_value_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_artifact"),
    )
    op.create_index(
        "uq_artifact_execution_id_kind_key",
        "artifact",
        ["execution_id", "kind", "key"],
        unique=True,
    )
    partial_index(
        "ix_artifact_value_hash",
        "artifact",
        ["value_hash"],
        "value_hash IS NOT NULL",
        unique=False,
    )
    op.create_table(
        "tag_key",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("allowed_values", JSON, nullable=True),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_tag_key"),
    )


_TAGGED = (
    "SELECT id FROM dataset UNION SELECT id FROM artifact UNION SELECT id FROM execution_group"
)


def downgrade() -> None:
    # Nobody would ever run what was only created, and an older library takes it for an open run.
    op.execute(
        "UPDATE execution SET state_type = 'CANCELLED' WHERE state_type IN ('SCHEDULED', 'PENDING')"
    )
    # What is tagged goes, so its tags go first, with what says which superseded which.
    for column in ("parent_id", "child_id"):
        op.execute(
            f"DELETE FROM tag_edit WHERE {column} IN"
            f" (SELECT tag_hash FROM tag WHERE entity_id IN ({_TAGGED}))"
        )
    op.execute(f"DELETE FROM tag WHERE entity_id IN ({_TAGGED})")
    # The indexes of a table go with it.
    for table in (
        "tag_key",
        "artifact",
        "execution_dataset",
        "dataset",
        "execution_group",
        "workflow_step",
        "workflow",
        "study",
        "state",
    ):
        op.drop_table(table)
    op.drop_index("uq_job_execution_id_task_hash_dynamic_key", "job")
    for name in (
        "ix_execution_group_id_created_at",
        "ix_execution_study_id_created_at",
        "uq_execution_workspace",
        "uq_execution_group_id_dataset_hash",
        "uq_execution_entrypoint_idempotency_key",
        "ix_execution_created_at_id",
    ):
        op.drop_index(name, "execution")
    for column in columns_of_job():
        op.drop_column("job", column.name)
    for column in columns_of_execution():
        op.drop_column("execution", column.name)
