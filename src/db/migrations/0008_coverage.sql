-- SPDX-License-Identifier: Apache-2.0
-- How well things are protected, kept where it changes, so that nobody who asks goes through checkpoints
-- (core/coverage.h); what was stored for whom (core/usage.h); how full targets were (core/target_history.h).

-- What a plan takes in, by name or by its selectors, and how it does with each.
CREATE TABLE plan_resources (
	plan_id TEXT NOT NULL,
	project_id TEXT NOT NULL,
	type TEXT NOT NULL,
	resource_id TEXT NOT NULL,
	since BIGINT NOT NULL,		-- when it began to
	good_at BIGINT,			-- whose state the newest good checkpoint is; NULL: there is none
	made_at BIGINT,			-- when that was begun
	checkpoint_id TEXT,
	size_bytes BIGINT,
	due_at BIGINT,			-- late from then on; NULL: no schedule says so
	PRIMARY KEY (plan_id, type, resource_id)
);
CREATE INDEX plan_resources_resource ON plan_resources (project_id, type, resource_id);

ALTER TABLE plans ADD COLUMN selects INTEGER NOT NULL DEFAULT 0;	-- it has selectors, or all of its project
ALTER TABLE plans ADD COLUMN covered INTEGER NOT NULL DEFAULT 0;	-- 0: nobody has worked out what it takes in
ALTER TABLE plans ADD COLUMN good_at BIGINT;
ALTER TABLE plans ADD COLUMN due_at BIGINT;
ALTER TABLE plans ADD COLUMN failed_at BIGINT;	-- the newest attempt failed, and was begun then
ALTER TABLE plans ADD COLUMN failed_reason TEXT;
CREATE INDEX plans_selecting ON plans (project_id) WHERE selects = 1;
CREATE INDEX plans_uncovered ON plans (id) WHERE covered = 0;
CREATE INDEX plans_failing ON plans (project_id, failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX plans_due ON plans (project_id, due_at) WHERE due_at IS NOT NULL;

-- The same of a resource, by all plans that take it in.
ALTER TABLE resources ADD COLUMN plans TEXT NOT NULL DEFAULT '[]';	-- JSON array of {id, name}
ALTER TABLE resources ADD COLUMN n_plans BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN good_at BIGINT;
ALTER TABLE resources ADD COLUMN checkpoint_id TEXT;
ALTER TABLE resources ADD COLUMN size_bytes BIGINT;
ALTER TABLE resources ADD COLUMN due_at BIGINT;
ALTER TABLE resources ADD COLUMN failing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN failed_reason TEXT;
ALTER TABLE resources ADD COLUMN excluded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resources ADD COLUMN excluded_reason TEXT;
CREATE INDEX resources_coverage ON resources (project_id, platform_id, gone_at, n_plans, failing, due_at, good_at,
	excluded);
CREATE INDEX resources_seen ON resources (project_id, first_seen_at, id) WHERE gone_at IS NULL;
-- Lists by name, and searches: names are looked at without their rows.
CREATE INDEX resources_name ON resources (project_id, name, id) WHERE gone_at IS NULL;
CREATE INDEX plans_name ON plans (project_id, name, id);
CREATE INDEX triggers_name ON triggers (project_id, name, id);

ALTER TABLE checkpoints ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;	-- in usage_now: 0 never, 1 now, 2 once
CREATE INDEX checkpoints_good ON checkpoints (plan_id, instant_at, id)
	WHERE status = 'available' AND coalesce(verified_ok, 1) = 1;
CREATE INDEX checkpoints_failed ON checkpoints (plan_id, created_at) WHERE status = 'error' AND copy_of IS NULL;
CREATE INDEX checkpoints_damaged ON checkpoints (project_id, verified_at)
	WHERE status = 'available' AND verified_ok = 0;
CREATE INDEX checkpoints_by_project ON checkpoints (project_id, created_at, id) WHERE status <> 'deleted';
CREATE INDEX operations_by_end ON operations (project_id, ended_at, kind, state) WHERE ended_at IS NOT NULL;
CREATE INDEX operations_live_project ON operations (project_id, created_at, id) WHERE ended_at IS NULL;

-- What was done on a day (days since 1970, UTC). Stays when checkpoints go.
CREATE TABLE usage_days (
	project_id TEXT NOT NULL,
	day BIGINT NOT NULL,
	target_id TEXT NOT NULL,
	plan_id TEXT NOT NULL,
	type TEXT NOT NULL,
	resource_id TEXT NOT NULL,
	points BIGINT NOT NULL,
	logical_bytes BIGINT NOT NULL,
	read_bytes BIGINT NOT NULL,
	stored_bytes BIGINT NOT NULL,
	restores BIGINT NOT NULL,
	PRIMARY KEY (project_id, day, target_id, plan_id, type, resource_id)
);

-- What is kept now.
CREATE TABLE usage_now (
	project_id TEXT NOT NULL,
	target_id TEXT NOT NULL,
	plan_id TEXT NOT NULL,
	type TEXT NOT NULL,
	resource_id TEXT NOT NULL,
	points BIGINT NOT NULL,
	logical_bytes BIGINT NOT NULL,
	stored_bytes BIGINT NOT NULL,
	PRIMARY KEY (project_id, target_id, plan_id, type, resource_id)
);
CREATE INDEX usage_now_target ON usage_now (target_id, logical_bytes);

CREATE TABLE target_samples (
	target_id TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
	at BIGINT NOT NULL,
	daily INTEGER NOT NULL,		-- the first of its day: kept longer
	stored_bytes BIGINT,
	free_bytes BIGINT,
	total_bytes BIGINT,
	logical_bytes BIGINT NOT NULL,
	PRIMARY KEY (target_id, at)
);
CREATE INDEX target_samples_age ON target_samples (daily, at);
