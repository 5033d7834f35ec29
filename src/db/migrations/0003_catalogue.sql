-- SPDX-License-Identifier: Apache-2.0
-- What is protected, where it is kept, and what was made of it. Secrets are sealed elsewhere: 0001.

CREATE TABLE targets (
	id TEXT PRIMARY KEY,
	project_id TEXT,		-- NULL: every project's
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	url TEXT NOT NULL,		-- dir:/srv/backup, s3:https://host/bucket/prefix
	options TEXT NOT NULL,		-- JSON object
	mover_id TEXT,			-- who reaches it; NULL: any
	status TEXT NOT NULL,		-- unknown, available, error
	reason TEXT,
	total_bytes BIGINT,
	free_bytes BIGINT,
	stored_bytes BIGINT,
	checked_at BIGINT,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX targets_url ON targets (url);

-- A repository lies in a target, under the id of its project.
CREATE TABLE repositories (
	id TEXT PRIMARY KEY,
	target_id TEXT NOT NULL REFERENCES targets (id),
	project_id TEXT NOT NULL,
	url TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	made_at BIGINT,			-- NULL: nothing was ever stored there
	UNIQUE (target_id, project_id)
);

CREATE TABLE providers (
	id TEXT PRIMARY KEY,
	project_id TEXT,		-- NULL: every project's
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	target_id TEXT NOT NULL REFERENCES targets (id),
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX providers_target ON providers (target_id);

CREATE TABLE platforms (
	id TEXT PRIMARY KEY,
	project_id TEXT,		-- whose its resources are; NULL: an administrator gives them to projects
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	kind TEXT NOT NULL,		-- libvirt
	uri TEXT NOT NULL,
	mover_id TEXT,			-- who reaches it; NULL: any
	status TEXT NOT NULL,		-- unknown, available, error
	reason TEXT,
	version TEXT,
	checked_at BIGINT,
	discover_at BIGINT,		-- when its resources are listed next
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

-- Everything that was found on a platform. What is not there any more stays, with gone_at.
CREATE TABLE resources (
	platform_id TEXT NOT NULL REFERENCES platforms (id) ON DELETE CASCADE,
	type TEXT NOT NULL,		-- OS::Nova::Server
	id TEXT NOT NULL,		-- as the platform names it
	project_id TEXT,
	name TEXT NOT NULL,
	state TEXT NOT NULL,
	extra_info TEXT NOT NULL,	-- JSON object
	first_seen_at BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	gone_at BIGINT,
	PRIMARY KEY (platform_id, type, id)
);
CREATE INDEX resources_project ON resources (project_id, type, id);
CREATE INDEX resources_id ON resources (id);

CREATE TABLE policies (
	id TEXT PRIMARY KEY,
	project_id TEXT,		-- NULL: every project's
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	spec TEXT NOT NULL,		-- JSON object, core/policy.h
	mandatory INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE plans (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT,
	status TEXT NOT NULL,		-- suspended, started
	provider_id TEXT NOT NULL REFERENCES providers (id),
	policy_id TEXT REFERENCES policies (id),
	resources TEXT NOT NULL,	-- JSON array of {id, type, name, extra_info}
	selectors TEXT NOT NULL,	-- JSON array, core/plan.h
	parameters TEXT NOT NULL,	-- JSON object
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX plans_project ON plans (project_id, created_at, id);
CREATE INDEX plans_provider ON plans (provider_id);
CREATE INDEX plans_policy ON plans (policy_id);

CREATE TABLE checkpoints (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	provider_id TEXT NOT NULL,
	plan_id TEXT NOT NULL,		-- the plan may be gone
	plan TEXT NOT NULL,		-- JSON object: the plan as it was
	status TEXT NOT NULL,		-- protecting, available, error, deleting, deleted, error-deleting, copying
	reason TEXT,
	extra_info TEXT NOT NULL,	-- JSON object
	made_by TEXT NOT NULL,		-- manual, or the name of a schedule
	copy_of TEXT,			-- the checkpoint that this is a copy of
	hold INTEGER NOT NULL,
	hold_reason TEXT,
	instant_at BIGINT,		-- whose state it is
	created_at BIGINT NOT NULL,
	ended_at BIGINT,		-- when it became available, or failed
	verified_at BIGINT,
	verified_ok INTEGER,
	bytes_total BIGINT NOT NULL,
	bytes_read BIGINT NOT NULL,
	bytes_new BIGINT NOT NULL,
	bytes_stored BIGINT NOT NULL
);
CREATE INDEX checkpoints_provider ON checkpoints (project_id, provider_id, created_at, id);
CREATE INDEX checkpoints_plan ON checkpoints (plan_id, created_at, id);
CREATE INDEX checkpoints_copy ON checkpoints (copy_of);
CREATE INDEX checkpoints_provider_all ON checkpoints (provider_id, created_at, id);

-- One point in a repository for each resource.
CREATE TABLE checkpoint_resources (
	checkpoint_id TEXT NOT NULL REFERENCES checkpoints (id) ON DELETE CASCADE,
	platform_id TEXT NOT NULL,
	type TEXT NOT NULL,
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	extra_info TEXT NOT NULL,
	repository_id TEXT NOT NULL REFERENCES repositories (id),
	point_id TEXT,
	status TEXT NOT NULL,		-- protecting, available, error, deleted
	reason TEXT,
	consistency TEXT,
	instant_at BIGINT,
	bytes_total BIGINT NOT NULL,
	bytes_read BIGINT NOT NULL,
	bytes_new BIGINT NOT NULL,
	bytes_stored BIGINT NOT NULL,
	PRIMARY KEY (checkpoint_id, type, id)
);
CREATE INDEX checkpoint_resources_id ON checkpoint_resources (id, type);

CREATE TABLE restores (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	provider_id TEXT NOT NULL,
	checkpoint_id TEXT NOT NULL,
	restore_target TEXT,
	parameters TEXT NOT NULL,
	status TEXT NOT NULL,		-- in_progress, success, fail
	reason TEXT,
	resources_status TEXT NOT NULL,
	resources_reason TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at BIGINT
);
CREATE INDEX restores_project ON restores (project_id, created_at, id);
CREATE INDEX restores_checkpoint ON restores (checkpoint_id);

CREATE TABLE verifications (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	provider_id TEXT NOT NULL,
	checkpoint_id TEXT NOT NULL,
	parameters TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT,
	resources_status TEXT NOT NULL,
	resources_reason TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at BIGINT
);
CREATE INDEX verifications_project ON verifications (project_id, created_at, id);
CREATE INDEX verifications_checkpoint ON verifications (checkpoint_id);

-- What an operation is about: plan, checkpoint, provider, restore, verification, target, platform …
CREATE TABLE operation_links (
	operation_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	PRIMARY KEY (operation_id, kind, id)
);
CREATE INDEX operation_links_id ON operation_links (id, kind);

CREATE TABLE quotas (
	project_id TEXT NOT NULL,	-- or "class:NAME"
	resource TEXT NOT NULL,		-- plans, checkpoints
	most BIGINT NOT NULL,		-- -1: no limit
	PRIMARY KEY (project_id, resource)
);

-- The processes of holdfastd.
CREATE TABLE services (
	id TEXT PRIMARY KEY,
	host TEXT NOT NULL,
	role TEXT NOT NULL,
	status TEXT NOT NULL,		-- enabled, disabled
	disabled_reason TEXT,
	updated_at BIGINT NOT NULL,
	UNIQUE (host, role)
);

-- Answers to requests with an Idempotency-Key, for a day; sealed, as there may be a token in one.
CREATE TABLE idempotency (
	project_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	idempotency_key TEXT NOT NULL,
	request BYTEA NOT NULL,		-- SHA-256 of method, path and body
	status INTEGER NOT NULL,
	body BYTEA,			-- NULL: there was none
	created_at BIGINT NOT NULL,
	PRIMARY KEY (project_id, user_id, idempotency_key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
