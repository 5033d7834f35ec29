-- SPDX-License-Identifier: Apache-2.0
-- When something is done by itself, and what then.

CREATE TABLE triggers (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	type TEXT NOT NULL,		-- time, event
	properties TEXT NOT NULL,	-- JSON object
	token_hash TEXT,		-- of a webhook: SHA-256 of its token, in hexadecimal
	enabled INTEGER NOT NULL,
	last_at BIGINT NOT NULL,	-- firings up to this one are dealt with
	next_at BIGINT,			-- when a scheduler looks at it again; NULL: never
	claim TEXT,			-- of the scheduler that deals with it just now
	claim_until BIGINT NOT NULL,	-- from then on another one may
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX triggers_project ON triggers (project_id, created_at, id);
CREATE INDEX triggers_next ON triggers (next_at) WHERE enabled = 1 AND next_at IS NOT NULL;
CREATE INDEX triggers_claim ON triggers (claim) WHERE claim IS NOT NULL;
CREATE INDEX triggers_event ON triggers (project_id) WHERE type = 'event';

CREATE TABLE scheduled_operations (
	id TEXT PRIMARY KEY,
	project_id TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT,
	operation_type TEXT NOT NULL,	-- protect, retention_protect
	trigger_id TEXT NOT NULL REFERENCES triggers (id),
	plan_id TEXT REFERENCES plans (id),
	operation_definition TEXT NOT NULL,	-- JSON object
	enabled INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX scheduled_operations_project ON scheduled_operations (project_id, created_at, id);
CREATE INDEX scheduled_operations_trigger ON scheduled_operations (trigger_id);
CREATE INDEX scheduled_operations_plan ON scheduled_operations (plan_id);

-- Each firing once: the key decides who has it. An event has its own id besides.
CREATE TABLE firings (
	trigger_id TEXT NOT NULL REFERENCES triggers (id) ON DELETE CASCADE,
	at BIGINT NOT NULL,		-- the time by which it is named
	event_id TEXT,
	state TEXT NOT NULL,		-- pending (an event), fired, missed, skipped, failed
	reason TEXT NOT NULL,
	operations TEXT NOT NULL,	-- JSON: [{"scheduled_operation_id", "error"}]
	created_at BIGINT NOT NULL,
	PRIMARY KEY (trigger_id, at),
	UNIQUE (trigger_id, event_id)
);
CREATE INDEX firings_created ON firings (created_at);
