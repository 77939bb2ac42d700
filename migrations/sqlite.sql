CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE lease (
	"key" TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid BIGINT NOT NULL, 
	started BIGINT NOT NULL, 
	expires BIGINT NOT NULL, 
	CONSTRAINT pk_lease PRIMARY KEY ("key")
);
CREATE TABLE part (
	part_hash BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	source TEXT NOT NULL, seal BLOB, 
	CONSTRAINT pk_part PRIMARY KEY (part_hash)
);
CREATE TABLE tag (
	tag_hash BLOB NOT NULL, 
	entity_type TEXT NOT NULL, 
	entity_id BLOB NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	is_current BOOLEAN NOT NULL, 
	CONSTRAINT pk_tag PRIMARY KEY (tag_hash)
);
CREATE INDEX ix_tag_entity_id ON tag (entity_id);
CREATE INDEX ix_tag_key ON tag ("key");
CREATE TABLE taskgraph_version (
	id INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	CONSTRAINT pk_taskgraph_version PRIMARY KEY (id)
);
CREATE TABLE value (
	value_hash BLOB NOT NULL, 
	type TEXT NOT NULL, 
	format TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	preview TEXT NOT NULL, 
	content_digest BLOB NOT NULL, 
	trusted BOOLEAN NOT NULL, 
	value BLOB NOT NULL, seal BLOB, 
	CONSTRAINT pk_value PRIMARY KEY (value_hash)
);
CREATE TABLE execution (
	id BLOB NOT NULL, 
	args TEXT NOT NULL, 
	job_id BLOB, 
	updated_time BIGINT, 
	state_type TEXT NOT NULL, 
	state_time BIGINT NOT NULL, 
	environment_hash BLOB, name TEXT DEFAULT '' NOT NULL, entrypoint TEXT DEFAULT '' NOT NULL, workflow_id BLOB, study_id BLOB, group_id BLOB, parent_job_id BLOB, idempotency_key TEXT, request_hash BLOB, parameters TEXT DEFAULT '{}' NOT NULL, snapshot_hash BLOB, dataset_hash BLOB, first_step INTEGER, last_step INTEGER, workspace TEXT, output_path TEXT, code_version TEXT, submitted_by TEXT, options TEXT DEFAULT '{}' NOT NULL, state_name TEXT DEFAULT '' NOT NULL, run_count INTEGER DEFAULT 0 NOT NULL, expected_start_time BIGINT, next_scheduled_start_time BIGINT, start_time BIGINT, end_time BIGINT, total_run_time BIGINT DEFAULT 0 NOT NULL, retracted BOOLEAN DEFAULT 0 NOT NULL, created_at BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_execution PRIMARY KEY (id), 
	CONSTRAINT fk_execution_environment_hash FOREIGN KEY(environment_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_execution_state_type ON execution (state_type);
CREATE TABLE file (
	value_hash BLOB NOT NULL, 
	root TEXT NOT NULL, 
	path TEXT NOT NULL, 
	content_hash TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	CONSTRAINT pk_file PRIMARY KEY (value_hash), 
	CONSTRAINT fk_file_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_file_path_root ON file (path, root);
CREATE TABLE handle (
	hash BLOB NOT NULL, 
	fullname TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value_hash BLOB NOT NULL, 
	is_valid BOOLEAN NOT NULL, 
	CONSTRAINT pk_handle PRIMARY KEY (hash), 
	CONSTRAINT fk_handle_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_handle_value_hash ON handle (value_hash);
CREATE TABLE subvalue (
	parent_value_hash BLOB NOT NULL, 
	value_hash BLOB NOT NULL, 
	CONSTRAINT pk_subvalue PRIMARY KEY (parent_value_hash, value_hash), 
	CONSTRAINT fk_subvalue_parent_value_hash FOREIGN KEY(parent_value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_subvalue_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_subvalue_value_hash ON subvalue (value_hash);
CREATE TABLE tag_edit (
	parent_id BLOB NOT NULL, 
	child_id BLOB NOT NULL, 
	CONSTRAINT pk_tag_edit PRIMARY KEY (parent_id, child_id), 
	CONSTRAINT fk_tag_edit_child_id FOREIGN KEY(child_id) REFERENCES tag (tag_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_tag_edit_parent_id FOREIGN KEY(parent_id) REFERENCES tag (tag_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_tag_edit_child_id ON tag_edit (child_id);
CREATE TABLE task (
	hash BLOB NOT NULL, 
	name TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	source TEXT NOT NULL, seal BLOB, 
	CONSTRAINT pk_task PRIMARY KEY (hash), 
	CONSTRAINT fk_task_hash FOREIGN KEY(hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_task_name ON task (name);
CREATE TABLE call_node (
	call_hash BLOB NOT NULL, 
	eval_hash BLOB NOT NULL, 
	task_name TEXT NOT NULL, 
	task_hash BLOB NOT NULL, 
	args_hash BLOB NOT NULL, 
	value_hash BLOB NOT NULL, 
	timestamp BIGINT NOT NULL, seal BLOB, retracted BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_call_node PRIMARY KEY (call_hash), 
	CONSTRAINT fk_call_node_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_call_node_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_call_node_value_hash ON call_node (value_hash);
CREATE TABLE evaluation (
	eval_hash BLOB NOT NULL, 
	task_hash BLOB NOT NULL, 
	args_hash BLOB NOT NULL, 
	value_hash BLOB NOT NULL, 
	timestamp BIGINT NOT NULL, seal BLOB, call_hash BLOB, 
	CONSTRAINT pk_evaluation PRIMARY KEY (eval_hash), 
	CONSTRAINT fk_evaluation_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_evaluation_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE handle_edge (
	parent_id BLOB NOT NULL, 
	child_id BLOB NOT NULL, 
	CONSTRAINT pk_handle_edge PRIMARY KEY (parent_id, child_id), 
	CONSTRAINT fk_handle_edge_child_id FOREIGN KEY(child_id) REFERENCES handle (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_handle_edge_parent_id FOREIGN KEY(parent_id) REFERENCES handle (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_handle_edge_child_id ON handle_edge (child_id);
CREATE TABLE task_part (
	task_hash BLOB NOT NULL, 
	part_hash BLOB NOT NULL, 
	CONSTRAINT pk_task_part PRIMARY KEY (task_hash, part_hash), 
	CONSTRAINT fk_task_part_part_hash FOREIGN KEY(part_hash) REFERENCES part (part_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_task_part_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE TABLE argument (
	arg_hash BLOB NOT NULL, 
	call_hash BLOB NOT NULL, 
	value_hash BLOB NOT NULL, 
	arg_position INTEGER, 
	arg_key TEXT, 
	CONSTRAINT pk_argument PRIMARY KEY (arg_hash), 
	CONSTRAINT fk_argument_call_hash FOREIGN KEY(call_hash) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_argument_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_argument_call_hash ON argument (call_hash);
CREATE INDEX ix_argument_value_hash ON argument (value_hash);
CREATE TABLE call_context (
	call_hash BLOB NOT NULL, 
	path TEXT NOT NULL, 
	value_hash BLOB NOT NULL, 
	CONSTRAINT pk_call_context PRIMARY KEY (call_hash, path), 
	CONSTRAINT fk_call_context_call_hash FOREIGN KEY(call_hash) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_call_context_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE TABLE call_edge (
	parent_id BLOB NOT NULL, 
	call_order INTEGER NOT NULL, 
	child_id BLOB NOT NULL, 
	CONSTRAINT pk_call_edge PRIMARY KEY (parent_id, call_order, child_id), 
	CONSTRAINT fk_call_edge_child_id FOREIGN KEY(child_id) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_call_edge_parent_id FOREIGN KEY(parent_id) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_call_edge_child_id ON call_edge (child_id);
CREATE TABLE call_subtree_task (
	call_hash BLOB NOT NULL, 
	task_hash BLOB NOT NULL, 
	CONSTRAINT pk_call_subtree_task PRIMARY KEY (call_hash, task_hash), 
	CONSTRAINT fk_call_subtree_task_call_hash FOREIGN KEY(call_hash) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_call_subtree_task_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE TABLE job (
	id BLOB NOT NULL, 
	execution_id BLOB NOT NULL, 
	parent_id BLOB, 
	task_hash BLOB NOT NULL, 
	eval_hash BLOB, 
	call_hash BLOB, 
	start_time BIGINT NOT NULL, 
	end_time BIGINT, 
	cached BOOLEAN NOT NULL, 
	state_type TEXT NOT NULL, miss TEXT, state_name TEXT, run_count INTEGER, dynamic_key TEXT, queue TEXT, step_position INTEGER, 
	CONSTRAINT pk_job PRIMARY KEY (id), 
	CONSTRAINT fk_job_call_hash FOREIGN KEY(call_hash) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_job_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_job_parent_id FOREIGN KEY(parent_id) REFERENCES job (id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_job_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_job_parent_id ON job (parent_id);
CREATE TABLE argument_result (
	arg_hash BLOB NOT NULL, 
	result_call_hash BLOB NOT NULL, 
	CONSTRAINT pk_argument_result PRIMARY KEY (arg_hash, result_call_hash), 
	CONSTRAINT fk_argument_result_arg_hash FOREIGN KEY(arg_hash) REFERENCES argument (arg_hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_argument_result_result_call_hash FOREIGN KEY(result_call_hash) REFERENCES call_node (call_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_argument_result_result_call_hash ON argument_result (result_call_hash);
CREATE TABLE task_alias (
	old_hash BLOB NOT NULL, 
	new_hash BLOB NOT NULL, 
	timestamp BIGINT NOT NULL, 
	old_name TEXT NOT NULL, 
	new_name TEXT NOT NULL, 
	author TEXT NOT NULL, 
	why TEXT NOT NULL, 
	end_time BIGINT, 
	end_author TEXT, seal BLOB, 
	CONSTRAINT pk_task_alias PRIMARY KEY (old_hash, new_hash, timestamp), 
	CONSTRAINT fk_task_alias_old_hash FOREIGN KEY(old_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_task_alias_new_hash FOREIGN KEY(new_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_call_node_task_hash_timestamp ON call_node (task_hash, timestamp);
CREATE TABLE foreign_record (
	id BLOB NOT NULL, 
	entity_type TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	CONSTRAINT pk_foreign_record PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE foreign_evaluation (
	eval_hash BLOB NOT NULL, 
	task_hash BLOB NOT NULL, 
	args_hash BLOB NOT NULL, 
	value_hash BLOB NOT NULL, 
	timestamp BIGINT NOT NULL, 
	origin TEXT NOT NULL, 
	CONSTRAINT pk_foreign_evaluation PRIMARY KEY (eval_hash), 
	CONSTRAINT fk_foreign_evaluation_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_foreign_evaluation_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE TABLE foreign_alias (
	old_hash BLOB NOT NULL, 
	new_hash BLOB NOT NULL, 
	timestamp BIGINT NOT NULL, 
	old_name TEXT NOT NULL, 
	new_name TEXT NOT NULL, 
	author TEXT NOT NULL, 
	why TEXT NOT NULL, 
	end_time BIGINT, 
	end_author TEXT, 
	origin TEXT NOT NULL, 
	CONSTRAINT pk_foreign_alias PRIMARY KEY (old_hash, new_hash, timestamp), 
	CONSTRAINT fk_foreign_alias_old_hash FOREIGN KEY(old_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_foreign_alias_new_hash FOREIGN KEY(new_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_job_call_hash_execution_id ON job (call_hash, execution_id);
CREATE INDEX ix_job_execution_id_cached ON job (execution_id, cached);
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	timestamp BIGINT NOT NULL, 
	table_name TEXT NOT NULL, 
	row_key TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	content TEXT NOT NULL, 
	CONSTRAINT pk_quarantine PRIMARY KEY (id)
);
CREATE INDEX ix_call_node_eval_hash_timestamp ON call_node (eval_hash, timestamp);
CREATE INDEX ix_execution_created_at_id ON execution (created_at, id);
CREATE UNIQUE INDEX uq_execution_entrypoint_idempotency_key ON execution (entrypoint, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX uq_execution_group_id_dataset_hash ON execution (group_id, dataset_hash) WHERE group_id IS NOT NULL AND state_type IN ('SCHEDULED', 'PENDING', 'RUNNING');
CREATE UNIQUE INDEX uq_execution_workspace ON execution (workspace) WHERE workspace IS NOT NULL;
CREATE INDEX ix_execution_study_id_created_at ON execution (study_id, created_at) WHERE study_id IS NOT NULL;
CREATE INDEX ix_execution_group_id_created_at ON execution (group_id, created_at) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX uq_job_execution_id_task_hash_dynamic_key ON job (execution_id, task_hash, dynamic_key) WHERE dynamic_key IS NOT NULL;
CREATE TABLE state (
	id BLOB NOT NULL, 
	execution_id BLOB, 
	job_id BLOB, 
	type TEXT NOT NULL, 
	name TEXT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	message TEXT, 
	details TEXT NOT NULL, 
	CONSTRAINT pk_state PRIMARY KEY (id), 
	CONSTRAINT ck_state_of_one CHECK ((execution_id IS NULL) <> (job_id IS NULL)), 
	CONSTRAINT fk_state_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_state_job_id FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_state_execution_id_timestamp ON state (execution_id, timestamp);
CREATE INDEX ix_state_job_id_timestamp ON state (job_id, timestamp) WHERE job_id IS NOT NULL;
CREATE TABLE study (
	id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	meta TEXT NOT NULL, 
	owner_id BLOB, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_study PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_study_name ON study (name);
CREATE TABLE workflow (
	id BLOB NOT NULL, 
	study_id BLOB, 
	namespace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	promoted BOOLEAN NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	meta TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_workflow PRIMARY KEY (id), 
	CONSTRAINT fk_workflow_study_id FOREIGN KEY(study_id) REFERENCES study (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_workflow_namespace_name_version ON workflow (namespace, name, version);
CREATE UNIQUE INDEX uq_workflow_namespace_name ON workflow (namespace, name) WHERE promoted;
CREATE TABLE workflow_step (
	id BLOB NOT NULL, 
	workflow_id BLOB NOT NULL, 
	position INTEGER NOT NULL, 
	task_name TEXT NOT NULL, 
	task_hash BLOB, 
	args TEXT, 
	options TEXT NOT NULL, input_type TEXT DEFAULT 'Any' NOT NULL, output_type TEXT DEFAULT 'Any' NOT NULL, 
	CONSTRAINT pk_workflow_step PRIMARY KEY (id), 
	CONSTRAINT fk_workflow_step_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_workflow_step_workflow_id FOREIGN KEY(workflow_id) REFERENCES workflow (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_workflow_step_workflow_id_position ON workflow_step (workflow_id, position);
CREATE TABLE execution_group (
	id BLOB NOT NULL, 
	workflow_id BLOB NOT NULL, 
	"key" TEXT NOT NULL, 
	selectors TEXT NOT NULL, 
	dirty BOOLEAN NOT NULL, 
	dirty_reason TEXT, 
	planned_dataset_hash BLOB, 
	recompute BOOLEAN NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_execution_group PRIMARY KEY (id), 
	CONSTRAINT fk_execution_group_workflow_id FOREIGN KEY(workflow_id) REFERENCES workflow (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_execution_group_workflow_id_key ON execution_group (workflow_id, "key");
CREATE TABLE dataset (
	id BLOB NOT NULL, 
	study_id BLOB, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	value_hash BLOB NOT NULL, 
	read_only BOOLEAN NOT NULL, 
	meta TEXT NOT NULL, 
	retracted BOOLEAN NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_dataset PRIMARY KEY (id), 
	CONSTRAINT fk_dataset_study_id FOREIGN KEY(study_id) REFERENCES study (id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_dataset_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_dataset_study_id_name ON dataset (study_id, name) WHERE study_id IS NOT NULL;
CREATE UNIQUE INDEX uq_dataset_name ON dataset (name) WHERE study_id IS NULL;
CREATE INDEX ix_dataset_value_hash ON dataset (value_hash);
CREATE TABLE execution_dataset (
	execution_id BLOB NOT NULL, 
	role TEXT NOT NULL, 
	name TEXT NOT NULL, 
	dataset_id BLOB, 
	value_hash BLOB NOT NULL, 
	in_use BOOLEAN NOT NULL, 
	CONSTRAINT pk_execution_dataset PRIMARY KEY (execution_id, role, name), 
	CONSTRAINT fk_execution_dataset_dataset_id FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_execution_dataset_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_execution_dataset_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_execution_dataset_dataset_id ON execution_dataset (dataset_id);
CREATE INDEX ix_execution_dataset_value_hash ON execution_dataset (value_hash);
CREATE UNIQUE INDEX uq_execution_dataset_dataset_id ON execution_dataset (dataset_id) WHERE role = 'output' AND in_use;
CREATE TABLE artifact (
	id BLOB NOT NULL, 
	execution_id BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	path TEXT, 
	value_hash BLOB, 
	title TEXT, 
	description TEXT, 
	CONSTRAINT pk_artifact PRIMARY KEY (id), 
	CONSTRAINT fk_artifact_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_artifact_value_hash FOREIGN KEY(value_hash) REFERENCES value (value_hash) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_artifact_execution_id_kind_key ON artifact (execution_id, kind, "key");
CREATE INDEX ix_artifact_value_hash ON artifact (value_hash) WHERE value_hash IS NOT NULL;
CREATE TABLE tag_key (
	scope TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	description TEXT NOT NULL, 
	allowed_values TEXT, 
	CONSTRAINT pk_tag_key PRIMARY KEY (scope, "key")
);
CREATE INDEX ix_call_node_eval_hash_retracted ON call_node (eval_hash) WHERE retracted;
CREATE TABLE retraction (
	id BLOB NOT NULL, 
	entity_type TEXT NOT NULL, 
	entity_id BLOB NOT NULL, 
	target TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	author TEXT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	cascades BOOLEAN NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_retraction PRIMARY KEY (id)
);
CREATE INDEX ix_retraction_entity_id ON retraction (entity_id);
CREATE INDEX ix_state_timestamp ON state (timestamp);
CREATE TABLE worker_pool (
	id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	queues TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_worker_pool PRIMARY KEY (id)
);
CREATE INDEX ix_worker_pool_name ON worker_pool (name);
CREATE TABLE worker (
	id BLOB NOT NULL, 
	pool_id BLOB, 
	name TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid BIGINT, 
	status TEXT NOT NULL, 
	wish TEXT, 
	heartbeat_at BIGINT NOT NULL, 
	started_at BIGINT NOT NULL, 
	launch_cmd TEXT, 
	args TEXT NOT NULL, 
	restart_count INTEGER NOT NULL, 
	CONSTRAINT pk_worker PRIMARY KEY (id), 
	CONSTRAINT fk_worker_pool_id FOREIGN KEY(pool_id) REFERENCES worker_pool (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_worker_name ON worker (name);
CREATE INDEX ix_worker_pool_id ON worker (pool_id);
CREATE TABLE execution_pool (
	execution_id BLOB NOT NULL, 
	pool_id BLOB NOT NULL, 
	CONSTRAINT pk_execution_pool PRIMARY KEY (execution_id, pool_id), 
	CONSTRAINT fk_execution_pool_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_execution_pool_pool_id FOREIGN KEY(pool_id) REFERENCES worker_pool (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_execution_pool_pool_id ON execution_pool (pool_id);
CREATE TABLE queued (
	execution_id BLOB NOT NULL, 
	queue TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	due BIGINT NOT NULL, 
	CONSTRAINT pk_queued PRIMARY KEY (execution_id, queue), 
	CONSTRAINT fk_queued_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_queued_queue_priority_due_execution_id ON queued (queue, priority, due, execution_id);
CREATE TABLE assignment (
	execution_id BLOB NOT NULL, 
	worker_id BLOB, 
	queue TEXT NOT NULL, 
	taken_at BIGINT NOT NULL, 
	losses INTEGER NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_assignment PRIMARY KEY (execution_id), 
	CONSTRAINT fk_assignment_execution_id FOREIGN KEY(execution_id) REFERENCES execution (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_assignment_worker_id FOREIGN KEY(worker_id) REFERENCES worker (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_assignment_worker_id ON assignment (worker_id);
CREATE INDEX ix_assignment_taken_at ON assignment (taken_at) WHERE ended_at IS NULL;
CREATE TABLE routed_call (
	id BLOB NOT NULL, 
	execution_id BLOB NOT NULL, 
	job_id BLOB NOT NULL, 
	queue TEXT NOT NULL, 
	task_name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	worker_id BLOB, 
	holder TEXT, 
	taken_at BIGINT, 
	losses INTEGER NOT NULL, 
	ended_at BIGINT, 
	message BLOB NOT NULL, 
	answer BLOB, 
	CONSTRAINT pk_routed_call PRIMARY KEY (id), 
	CONSTRAINT fk_routed_call_worker_id FOREIGN KEY(worker_id) REFERENCES worker (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_routed_call_queue_created_at_id ON routed_call (queue, created_at, id) WHERE taken_at IS NULL;
CREATE INDEX ix_routed_call_execution_id ON routed_call (execution_id);
CREATE INDEX ix_routed_call_worker_id ON routed_call (worker_id);
CREATE INDEX ix_routed_call_holder ON routed_call (holder) WHERE holder IS NOT NULL;
CREATE TABLE notification_policy (
	id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	active BOOLEAN NOT NULL, 
	state_names TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	template TEXT, 
	target TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	seen_until BIGINT NOT NULL, 
	CONSTRAINT pk_notification_policy PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_notification_policy_name ON notification_policy (name);
CREATE TABLE notification (
	id BLOB NOT NULL, 
	policy_id BLOB NOT NULL, 
	state_id BLOB NOT NULL, 
	queued_at BIGINT NOT NULL, 
	due BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	delivered_at BIGINT, 
	given_up_at BIGINT, 
	error TEXT, 
	CONSTRAINT pk_notification PRIMARY KEY (id), 
	CONSTRAINT fk_notification_policy_id FOREIGN KEY(policy_id) REFERENCES notification_policy (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_notification_state_id FOREIGN KEY(state_id) REFERENCES state (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_notification_policy_id_state_id ON notification (policy_id, state_id);
CREATE INDEX ix_notification_state_id ON notification (state_id);
CREATE INDEX ix_notification_due ON notification (due) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE TABLE user_account (
	id BLOB NOT NULL, 
	email TEXT NOT NULL, 
	username TEXT, 
	active BOOLEAN NOT NULL, 
	superuser BOOLEAN NOT NULL, 
	verified BOOLEAN NOT NULL, 
	settings TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_user_account PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_user_account_email ON user_account (email);
CREATE UNIQUE INDEX uq_user_account_username ON user_account (username) WHERE username IS NOT NULL;
CREATE TABLE user_group (
	id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_user_group PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_user_group_name ON user_group (name);
CREATE TABLE user_group_member (
	group_id BLOB NOT NULL, 
	user_id BLOB NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_user_group_member PRIMARY KEY (group_id, user_id), 
	CONSTRAINT fk_user_group_member_group_id FOREIGN KEY(group_id) REFERENCES user_group (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_user_group_member_user_id FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_user_group_member_user_id ON user_group_member (user_id);
CREATE TABLE task_package (
	id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	active BOOLEAN NOT NULL, 
	owner_id BLOB, 
	user_group_id BLOB, 
	requirements TEXT NOT NULL, 
	frozen TEXT, 
	created_at BIGINT NOT NULL, 
	last_used_at BIGINT, 
	CONSTRAINT pk_task_package PRIMARY KEY (id), 
	CONSTRAINT fk_task_package_owner_id FOREIGN KEY(owner_id) REFERENCES user_account (id) DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_task_package_user_group_id FOREIGN KEY(user_group_id) REFERENCES user_group (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_task_package_owner_id_name_version ON task_package (owner_id, name, version) WHERE owner_id IS NOT NULL;
CREATE UNIQUE INDEX uq_task_package_user_group_id_name_version ON task_package (user_group_id, name, version) WHERE user_group_id IS NOT NULL;
CREATE UNIQUE INDEX uq_task_package_name_version ON task_package (name, version) WHERE owner_id IS NULL AND user_group_id IS NULL;
CREATE TABLE package_task (
	package_id BLOB NOT NULL, 
	name TEXT NOT NULL, 
	task_hash BLOB, 
	version TEXT, 
	args_schema TEXT, 
	input_type TEXT NOT NULL, 
	output_type TEXT NOT NULL, 
	description TEXT NOT NULL, 
	CONSTRAINT pk_package_task PRIMARY KEY (package_id, name), 
	CONSTRAINT fk_package_task_package_id FOREIGN KEY(package_id) REFERENCES task_package (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, 
	CONSTRAINT fk_package_task_task_hash FOREIGN KEY(task_hash) REFERENCES task (hash) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
CREATE INDEX ix_package_task_name ON package_task (name);
CREATE INDEX ix_package_task_task_hash ON package_task (task_hash) WHERE task_hash IS NOT NULL;
CREATE TABLE operation (
	id BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	status TEXT NOT NULL, 
	data TEXT NOT NULL, 
	log TEXT, 
	started_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_operation PRIMARY KEY (id)
);
CREATE INDEX ix_operation_started_at_id ON operation (started_at, id);
INSERT INTO alembic_version VALUES ('0011');
