"""The first schema.

Revision: 0001, after nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
# The version that people see. Minor steps only add what older libraries may leave alone.
version = "1.0"

# Written out here, and not taken from the models: a migration stays what it was.
HASH = sa.LargeBinary(16)
# By the characters' numbers, as SQLite orders: the order of lists, and an index for prefixes.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")


def reference(column: str, target: str, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [target], name=name, deferrable=True, initially="DEFERRED"
    )


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("expires", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_lease"),
    )
    op.create_table(
        "part",
        sa.Column("part_hash", HASH, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("part_hash", name="pk_part"),
    )
    op.create_table(
        "tag",
        sa.Column("tag_hash", HASH, nullable=False),
        sa.Column("entity_type", TEXT, nullable=False),
        sa.Column("entity_id", HASH, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tag_hash", name="pk_tag"),
    )
    op.create_index("ix_tag_entity_id", "tag", ["entity_id"])
    op.create_index("ix_tag_key", "tag", ["key"])
    op.create_table(
        "taskgraph_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_taskgraph_version"),
    )
    op.create_table(
        "value",
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("preview", TEXT, nullable=False),
        sa.Column("content_digest", HASH, nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("value_hash", name="pk_value"),
    )
    op.create_table(
        "execution",
        sa.Column("id", HASH, nullable=False),
        sa.Column("args", TEXT, nullable=False),
        sa.Column("job_id", HASH, nullable=True),
        sa.Column("updated_time", TIME, nullable=True),
        sa.Column("state_type", TEXT, nullable=False),
        sa.Column("state_time", TIME, nullable=False),
        sa.Column("environment_hash", HASH, nullable=True),
        reference("environment_hash", "value.value_hash", "fk_execution_environment_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_execution"),
    )
    op.create_index("ix_execution_state_type", "execution", ["state_type"])
    op.create_table(
        "file",
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("root", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        reference("value_hash", "value.value_hash", "fk_file_value_hash"),
        sa.PrimaryKeyConstraint("value_hash", name="pk_file"),
    )
    op.create_index("ix_file_path_root", "file", ["path", "root"])
    op.create_table(
        "handle",
        sa.Column("hash", HASH, nullable=False),
        sa.Column("fullname", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        reference("value_hash", "value.value_hash", "fk_handle_value_hash"),
        sa.PrimaryKeyConstraint("hash", name="pk_handle"),
    )
    op.create_index("ix_handle_value_hash", "handle", ["value_hash"])
    op.create_table(
        "subvalue",
        sa.Column("parent_value_hash", HASH, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        reference("parent_value_hash", "value.value_hash", "fk_subvalue_parent_value_hash"),
        reference("value_hash", "value.value_hash", "fk_subvalue_value_hash"),
        sa.PrimaryKeyConstraint("parent_value_hash", "value_hash", name="pk_subvalue"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_subvalue_value_hash", "subvalue", ["value_hash"])
    op.create_table(
        "tag_edit",
        sa.Column("parent_id", HASH, nullable=False),
        sa.Column("child_id", HASH, nullable=False),
        reference("child_id", "tag.tag_hash", "fk_tag_edit_child_id"),
        reference("parent_id", "tag.tag_hash", "fk_tag_edit_parent_id"),
        sa.PrimaryKeyConstraint("parent_id", "child_id", name="pk_tag_edit"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tag_edit_child_id", "tag_edit", ["child_id"])
    op.create_table(
        "task",
        sa.Column("hash", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        reference("hash", "value.value_hash", "fk_task_hash"),
        sa.PrimaryKeyConstraint("hash", name="pk_task"),
    )
    op.create_index("ix_task_name", "task", ["name"])
    op.create_table(
        "call_node",
        sa.Column("call_hash", HASH, nullable=False),
        sa.Column("eval_hash", HASH, nullable=False),
        sa.Column("task_name", TEXT, nullable=False),
        sa.Column("task_hash", HASH, nullable=False),
        sa.Column("args_hash", HASH, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        reference("task_hash", "task.hash", "fk_call_node_task_hash"),
        reference("value_hash", "value.value_hash", "fk_call_node_value_hash"),
        sa.PrimaryKeyConstraint("call_hash", name="pk_call_node"),
    )
    op.create_index(
        "ix_call_node_eval_hash_timestamp_call_hash",
        "call_node",
        ["eval_hash", "timestamp", "call_hash"],
    )
    op.create_index("ix_call_node_task_hash", "call_node", ["task_hash"])
    op.create_index("ix_call_node_value_hash", "call_node", ["value_hash"])
    op.create_table(
        "evaluation",
        sa.Column("eval_hash", HASH, nullable=False),
        sa.Column("task_hash", HASH, nullable=False),
        sa.Column("args_hash", HASH, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("timestamp", TIME, nullable=False),
        reference("task_hash", "task.hash", "fk_evaluation_task_hash"),
        reference("value_hash", "value.value_hash", "fk_evaluation_value_hash"),
        sa.PrimaryKeyConstraint("eval_hash", name="pk_evaluation"),
    )
    op.create_table(
        "handle_edge",
        sa.Column("parent_id", HASH, nullable=False),
        sa.Column("child_id", HASH, nullable=False),
        reference("child_id", "handle.hash", "fk_handle_edge_child_id"),
        reference("parent_id", "handle.hash", "fk_handle_edge_parent_id"),
        sa.PrimaryKeyConstraint("parent_id", "child_id", name="pk_handle_edge"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_handle_edge_child_id", "handle_edge", ["child_id"])
    op.create_table(
        "task_part",
        sa.Column("task_hash", HASH, nullable=False),
        sa.Column("part_hash", HASH, nullable=False),
        reference("part_hash", "part.part_hash", "fk_task_part_part_hash"),
        reference("task_hash", "task.hash", "fk_task_part_task_hash"),
        sa.PrimaryKeyConstraint("task_hash", "part_hash", name="pk_task_part"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "argument",
        sa.Column("arg_hash", HASH, nullable=False),
        sa.Column("call_hash", HASH, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        sa.Column("arg_position", sa.Integer(), nullable=True),
        sa.Column("arg_key", TEXT, nullable=True),
        reference("call_hash", "call_node.call_hash", "fk_argument_call_hash"),
        reference("value_hash", "value.value_hash", "fk_argument_value_hash"),
        sa.PrimaryKeyConstraint("arg_hash", name="pk_argument"),
    )
    op.create_index("ix_argument_call_hash", "argument", ["call_hash"])
    op.create_index("ix_argument_value_hash", "argument", ["value_hash"])
    op.create_table(
        "call_context",
        sa.Column("call_hash", HASH, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("value_hash", HASH, nullable=False),
        reference("call_hash", "call_node.call_hash", "fk_call_context_call_hash"),
        reference("value_hash", "value.value_hash", "fk_call_context_value_hash"),
        sa.PrimaryKeyConstraint("call_hash", "path", name="pk_call_context"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_edge",
        sa.Column("parent_id", HASH, nullable=False),
        sa.Column("call_order", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("child_id", HASH, nullable=False),
        reference("child_id", "call_node.call_hash", "fk_call_edge_child_id"),
        reference("parent_id", "call_node.call_hash", "fk_call_edge_parent_id"),
        sa.PrimaryKeyConstraint("parent_id", "call_order", "child_id", name="pk_call_edge"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_call_edge_child_id", "call_edge", ["child_id"])
    op.create_table(
        "call_subtree_task",
        sa.Column("call_hash", HASH, nullable=False),
        sa.Column("task_hash", HASH, nullable=False),
        reference("call_hash", "call_node.call_hash", "fk_call_subtree_task_call_hash"),
        reference("task_hash", "task.hash", "fk_call_subtree_task_task_hash"),
        sa.PrimaryKeyConstraint("call_hash", "task_hash", name="pk_call_subtree_task"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job",
        sa.Column("id", HASH, nullable=False),
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("parent_id", HASH, nullable=True),
        sa.Column("task_hash", HASH, nullable=False),
        sa.Column("eval_hash", HASH, nullable=True),
        sa.Column("call_hash", HASH, nullable=True),
        sa.Column("start_time", TIME, nullable=False),
        sa.Column("end_time", TIME, nullable=True),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("state_type", TEXT, nullable=False),
        reference("call_hash", "call_node.call_hash", "fk_job_call_hash"),
        reference("execution_id", "execution.id", "fk_job_execution_id"),
        reference("parent_id", "job.id", "fk_job_parent_id"),
        reference("task_hash", "task.hash", "fk_job_task_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_call_hash", "job", ["call_hash"])
    op.create_index("ix_job_execution_id", "job", ["execution_id"])
    op.create_index("ix_job_parent_id", "job", ["parent_id"])
    op.create_table(
        "argument_result",
        sa.Column("arg_hash", HASH, nullable=False),
        sa.Column("result_call_hash", HASH, nullable=False),
        reference("arg_hash", "argument.arg_hash", "fk_argument_result_arg_hash"),
        reference("result_call_hash", "call_node.call_hash", "fk_argument_result_result_call_hash"),
        sa.PrimaryKeyConstraint("arg_hash", "result_call_hash", name="pk_argument_result"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_argument_result_result_call_hash", "argument_result", ["result_call_hash"])


def downgrade() -> None:
    # The indexes of a table go with it.
    for table in (
        "argument_result",
        "job",
        "call_subtree_task",
        "call_edge",
        "call_context",
        "argument",
        "task_part",
        "handle_edge",
        "evaluation",
        "call_node",
        "task",
        "tag_edit",
        "subvalue",
        "handle",
        "file",
        "execution",
        "value",
        "taskgraph_version",
        "tag",
        "part",
        "lease",
    ):
        op.drop_table(table)
