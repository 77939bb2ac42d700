"""Executions are routed to workers; notifications, packages of tasks, operations and people.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
# New tables, and columns that may be left out: a library that knows 1.0 goes on as before.
version = "1.10"

#: What goes with a downgrade. Executions that wait for a worker stay, and wait for ever.
losses = (
    ("executions that wait for a worker", "SELECT count(DISTINCT execution_id) FROM queued"),
    ("workers", "SELECT count(*) FROM worker"),
    ("pools of workers", "SELECT count(*) FROM worker_pool"),
    ("policies of notifications", "SELECT count(*) FROM notification_policy"),
    ("packages of tasks", "SELECT count(*) FROM task_package"),
    ("operations", "SELECT count(*) FROM operation"),
    ("users", "SELECT count(*) FROM user_account"),
    ("groups of users", "SELECT count(*) FROM user_group"),
    ("members of groups of users", "SELECT count(*) FROM user_group_member"),
    (
        "types of steps of workflows",
        "SELECT count(*) FROM workflow_step WHERE input_type <> 'Any' OR output_type <> 'Any'",
    ),
)

HASH = sa.LargeBinary(16)
# By the characters' numbers, as SQLite orders: the order of lists, and an index for prefixes.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
JSON = sa.Text().with_variant(postgresql.JSONB(), "postgresql")


def reference(
    table: str, column: str, target: str, ondelete: str | None = None
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [target],
        name=f"fk_{table}_{column}",
        ondelete=ondelete,
        deferrable=True,
        initially="DEFERRED",
    )


def partial_index(name: str, table: str, columns: list[str], where: str, unique: bool) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def columns_of_step() -> list[sa.Column[object]]:
    any_type = sa.text("'Any'")
    return [
        sa.Column("input_type", TEXT, server_default=any_type, nullable=False),
        sa.Column("output_type", TEXT, server_default=any_type, nullable=False),
    ]


def upgrade() -> None:
    for column in columns_of_step():
        op.add_column("workflow_step", column)
    op.create_index("ix_state_timestamp", "state", ["timestamp"])
    _create_routing()
    _create_notifications()
    _create_people()
    _create_packages()


def _create_routing() -> None:
    op.create_table(
        "worker_pool",
        sa.Column("id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("queues", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker_pool"),
    )
    op.create_index("ix_worker_pool_name", "worker_pool", ["name"])
    op.create_table(
        "worker",
        sa.Column("id", HASH, nullable=False),
        sa.Column("pool_id", HASH, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("wish", TEXT, nullable=True),
        sa.Column("heartbeat_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("launch_cmd", TEXT, nullable=True),
        sa.Column("args", JSON, nullable=False),
        sa.Column("restart_count", sa.Integer(), nullable=False),
        reference("worker", "pool_id", "worker_pool.id", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
    )
    op.create_index("uq_worker_name", "worker", ["name"], unique=True)
    op.create_index("ix_worker_pool_id", "worker", ["pool_id"])
    op.create_table(
        "execution_pool",
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("pool_id", HASH, nullable=False),
        reference("execution_pool", "execution_id", "execution.id", "CASCADE"),
        reference("execution_pool", "pool_id", "worker_pool.id", "CASCADE"),
        sa.PrimaryKeyConstraint("execution_id", "pool_id", name="pk_execution_pool"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_execution_pool_pool_id", "execution_pool", ["pool_id"])
    op.create_table(
        "queued",
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due", TIME, nullable=False),
        reference("queued", "execution_id", "execution.id", "CASCADE"),
        sa.PrimaryKeyConstraint("execution_id", "queue", name="pk_queued"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_queued_queue_priority_due_execution_id",
        "queued",
        ["queue", "priority", "due", "execution_id"],
    )
    op.create_table(
        "assignment",
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("worker_id", HASH, nullable=True),
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        reference("assignment", "execution_id", "execution.id", "CASCADE"),
        reference("assignment", "worker_id", "worker.id", "SET NULL"),
        sa.PrimaryKeyConstraint("execution_id", name="pk_assignment"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_assignment_worker_id", "assignment", ["worker_id"])
    partial_index(
        "ix_assignment_taken_at", "assignment", ["taken_at"], "ended_at IS NULL", unique=False
    )
    op.create_table(
        "routed_call",
        sa.Column("id", HASH, nullable=False),
        sa.Column("execution_id", HASH, nullable=False),
        sa.Column("job_id", HASH, nullable=False),
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("task_name", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("worker_id", HASH, nullable=True),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("taken_at", TIME, nullable=True),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        # Last, for what asks for the others does not read past them.
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        reference("routed_call", "worker_id", "worker.id", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_routed_call"),
    )
    partial_index(
        "ix_routed_call_queue_created_at_id",
        "routed_call",
        ["queue", "created_at", "id"],
        "taken_at IS NULL",
        unique=False,
    )
    op.create_index("ix_routed_call_execution_id", "routed_call", ["execution_id"])
    op.create_index("ix_routed_call_worker_id", "routed_call", ["worker_id"])
    partial_index(
        "ix_routed_call_holder", "routed_call", ["holder"], "holder IS NOT NULL", unique=False
    )


def _create_notifications() -> None:
    op.create_table(
        "notification_policy",
        sa.Column("id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("state_names", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("template", TEXT, nullable=True),
        sa.Column("target", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notification_policy"),
    )
    op.create_index("uq_notification_policy_name", "notification_policy", ["name"], unique=True)
    op.create_table(
        "notification",
        sa.Column("id", HASH, nullable=False),
        sa.Column("policy_id", HASH, nullable=False),
        sa.Column("state_id", HASH, nullable=False),
        sa.Column("queued_at", TIME, nullable=False),
        sa.Column("due", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("given_up_at", TIME, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        reference("notification", "policy_id", "notification_policy.id", "CASCADE"),
        reference("notification", "state_id", "state.id", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
    )
    op.create_index(
        "uq_notification_policy_id_state_id", "notification", ["policy_id", "state_id"], unique=True
    )
    op.create_index("ix_notification_state_id", "notification", ["state_id"])
    partial_index(
        "ix_notification_due",
        "notification",
        ["due"],
        "delivered_at IS NULL AND given_up_at IS NULL",
        unique=False,
    )


def _create_people() -> None:
    op.create_table(
        "user_account",
        sa.Column("id", HASH, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("username", TEXT, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("superuser", sa.Boolean(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
    )
    op.create_index("uq_user_account_email", "user_account", ["email"], unique=True)
    partial_index(
        "uq_user_account_username",
        "user_account",
        ["username"],
        "username IS NOT NULL",
        unique=True,
    )
    op.create_table(
        "user_group",
        sa.Column("id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_group"),
    )
    op.create_index("uq_user_group_name", "user_group", ["name"], unique=True)
    op.create_table(
        "user_group_member",
        sa.Column("group_id", HASH, nullable=False),
        sa.Column("user_id", HASH, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        reference("user_group_member", "group_id", "user_group.id", "CASCADE"),
        reference("user_group_member", "user_id", "user_account.id", "CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_user_group_member"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_user_group_member_user_id", "user_group_member", ["user_id"])


def _create_packages() -> None:
    op.create_table(
        "task_package",
        sa.Column("id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("owner_id", HASH, nullable=True),
        sa.Column("user_group_id", HASH, nullable=True),
        sa.Column("requirements", JSON, nullable=False),
        sa.Column("frozen", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        reference("task_package", "owner_id", "user_account.id"),
        reference("task_package", "user_group_id", "user_group.id"),
        sa.PrimaryKeyConstraint("id", name="pk_task_package"),
    )
    partial_index(
        "uq_task_package_owner_id_name_version",
        "task_package",
        ["owner_id", "name", "version"],
        "owner_id IS NOT NULL",
        unique=True,
    )
    partial_index(
        "uq_task_package_user_group_id_name_version",
        "task_package",
        ["user_group_id", "name", "version"],
        "user_group_id IS NOT NULL",
        unique=True,
    )
    partial_index(
        "uq_task_package_name_version",
        "task_package",
        ["name", "version"],
        "owner_id IS NULL AND user_group_id IS NULL",
        unique=True,
    )
    op.create_table(
        "package_task",
        sa.Column("package_id", HASH, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("task_hash", HASH, nullable=True),
        sa.Column("version", TEXT, nullable=True),
        sa.Column("args_schema", JSON, nullable=True),
        sa.Column("input_type", TEXT, nullable=False),
        sa.Column("output_type", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        reference("package_task", "package_id", "task_package.id", "CASCADE"),
        reference("package_task", "task_hash", "task.hash"),
        sa.PrimaryKeyConstraint("package_id", "name", name="pk_package_task"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_package_task_name", "package_task", ["name"])
    partial_index(
        "ix_package_task_task_hash",
        "package_task",
        ["task_hash"],
        "task_hash IS NOT NULL",
        unique=False,
    )
    op.create_table(
        "operation",
        sa.Column("id", HASH, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("log", TEXT, nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_operation"),
    )
    op.create_index("ix_operation_started_at_id", "operation", ["started_at", "id"])


def downgrade() -> None:
    # What refers to others goes before them; the indexes of a table go with it.
    for table in (
        "operation",
        "package_task",
        "task_package",
        "user_group_member",
        "user_group",
        "user_account",
        "notification",
        "notification_policy",
        "routed_call",
        "assignment",
        "queued",
        "execution_pool",
        "worker",
        "worker_pool",
    ):
        op.drop_table(table)
    op.drop_index("ix_state_timestamp", "state")
    for column in columns_of_step():
        op.drop_column("workflow_step", column.name)
