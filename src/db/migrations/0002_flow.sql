-- SPDX-License-Identifier: Apache-2.0
-- Operations, their steps, and what is known about them. src/flow; DESIGN.md says how it works.
--
-- Every change of an operation or of its steps locks the operation's row first; so states need no
-- foreign keys, which would lock it once more for each step that is added.

CREATE TABLE operations (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	name TEXT NOT NULL,
	created_by TEXT NOT NULL,
	priority BIGINT NOT NULL,
	state TEXT NOT NULL,
	-- What it ends with when it is undoing: 'failed' or 'cancelled'. '' until then.
	ending TEXT NOT NULL,
	-- Undoing has begun: no step runs forward any more.
	undo_begun INTEGER NOT NULL CHECK (undo_begun IN (0, 1)),
	cancel_asked INTEGER NOT NULL CHECK (cancel_asked IN (0, 1)),
	-- Cancelled once more while undoing: undo steps that nobody takes are given up.
	give_up INTEGER NOT NULL CHECK (give_up IN (0, 1)),
	detail TEXT,
	-- Of all steps together, once it has ended.
	progress TEXT,
	reason TEXT,
	created_at BIGINT NOT NULL,
	not_before BIGINT NOT NULL,
	deadline_at BIGINT,
	started_at BIGINT,
	ended_at BIGINT,
	-- How many steps were added, and lines logged: the next one's number.
	steps_added BIGINT NOT NULL,
	log_lines BIGINT NOT NULL,
	-- Grows by one with each change of this operation.
	revision BIGINT NOT NULL,
	-- The number of the last change among those of all operations; see flow_changes().
	changed BIGINT NOT NULL
);
CREATE INDEX operations_by_project ON operations (project_id, created_at, id);
CREATE INDEX operations_by_time ON operations (created_at, id);
CREATE INDEX operations_by_subject ON operations (subject, created_at, id);
CREATE INDEX operations_by_change ON operations (changed);
CREATE INDEX operations_live ON operations (state, deadline_at) WHERE ended_at IS NULL;
CREATE INDEX operations_ended ON operations (ended_at) WHERE ended_at IS NOT NULL;

-- SQLite's number of the last change; PostgreSQL has the numbers of its transactions.
CREATE TABLE operation_changes (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
INSERT INTO operation_changes (id, n) VALUES (1, 0);

CREATE TABLE steps (
	id TEXT PRIMARY KEY,
	operation_id TEXT NOT NULL,
	position BIGINT NOT NULL,
	-- Copied from the operation, for choosing which one is next.
	project_id TEXT NOT NULL,
	priority BIGINT NOT NULL,
	queued_at BIGINT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	-- Who runs it, and who takes it now: undoing may be done by somebody else.
	place TEXT NOT NULL,
	queue TEXT NOT NULL,
	-- waiting, ready, running; done, failed, cancelled; undone, undo_failed.
	state TEXT NOT NULL,
	-- waiting, ready and running are about undoing it.
	undoing INTEGER NOT NULL CHECK (undoing IN (0, 1)),
	-- Steps are undone in waves, the highest first: what needs a step has a higher one than it.
	undo_wave BIGINT NOT NULL,
	-- How many of those that it needs are not done.
	unmet BIGINT NOT NULL,
	attempt BIGINT NOT NULL,
	given_back BIGINT NOT NULL,
	fence BIGINT NOT NULL,
	leased_by TEXT,
	lease_until BIGINT,
	lease_us BIGINT,
	deadline_at BIGINT,
	not_before BIGINT NOT NULL,
	ready_at BIGINT,
	input TEXT,
	result TEXT,
	progress TEXT,
	reason TEXT,
	started_at BIGINT,
	ended_at BIGINT,
	undo_started_at BIGINT,
	undo_ended_at BIGINT,
	-- The step whose settling added it.
	added_by TEXT
);
CREATE INDEX steps_by_operation ON steps (operation_id, position);
CREATE INDEX steps_ready ON steps (queue, not_before, priority, project_id, queued_at, position, operation_id, id,
	state) WHERE state = 'ready';
CREATE INDEX steps_running ON steps (lease_until) WHERE state = 'running';
CREATE INDEX steps_open ON steps (operation_id, state) WHERE state IN ('waiting', 'ready', 'running');

CREATE TABLE step_needs (
	step_id TEXT NOT NULL,
	needs_id TEXT NOT NULL,
	PRIMARY KEY (step_id, needs_id)
);
CREATE INDEX step_needs_of ON step_needs (needs_id, step_id);

CREATE TABLE step_limits (
	step_id TEXT NOT NULL,
	limit_key TEXT NOT NULL,
	PRIMARY KEY (step_id, limit_key)
);

-- `most` 0: no limit. NULL: a project's row that is only there to be locked; "project" is its limit.
CREATE TABLE flow_limits (limit_key TEXT PRIMARY KEY, most BIGINT);

-- What running steps count for: their limits, and "project:ID" for every one.
CREATE TABLE step_holds (
	limit_key TEXT NOT NULL,
	step_id TEXT NOT NULL,
	PRIMARY KEY (limit_key, step_id)
);
CREATE INDEX step_holds_of ON step_holds (step_id);

CREATE TABLE operation_log (
	operation_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	step_id TEXT,
	level TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (operation_id, seq)
);
