-- SPDX-License-Identifier: Apache-2.0
-- Who is told of what, what he was told, and what is on its way.

CREATE TABLE notifications (
	id TEXT PRIMARY KEY,
	project_id TEXT,		-- NULL: an administrator's, of all projects and of the server
	name TEXT NOT NULL,
	description TEXT NOT NULL,
	kind TEXT NOT NULL,		-- webhook, mail, slack
	enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
	url TEXT,			-- as much of it as is no secret; all of it is sealed: 0001
	recipients TEXT NOT NULL,	-- JSON array of mail addresses
	events TEXT NOT NULL,		-- JSON array; empty: every kind of trouble
	severity TEXT NOT NULL,		-- at least: info, warning, error, critical
	plan_ids TEXT NOT NULL,		-- JSON array; empty: of all plans, and what is about none
	remind_hours BIGINT NOT NULL,	-- told again after so long while it goes on; 0: never
	status TEXT NOT NULL,		-- unknown, working, failing
	reason TEXT,			-- of failing
	sent_at BIGINT,			-- when something was delivered
	busy_until BIGINT NOT NULL,	-- somebody delivers for it: the lease
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
CREATE INDEX notifications_project ON notifications (project_id, created_at, id);

-- Troubles that somebody was told of and that go on.
CREATE TABLE notification_troubles (
	notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
	trouble TEXT NOT NULL,		-- what it is: "late:PLAN"
	message TEXT NOT NULL,		-- JSON: as it was told
	opened_at BIGINT NOT NULL,
	told_at BIGINT NOT NULL,
	times BIGINT NOT NULL,
	PRIMARY KEY (notification_id, trouble)
);
CREATE INDEX notification_troubles_of ON notification_troubles (trouble);

-- The outbox, and afterwards the log.
CREATE TABLE deliveries (
	id TEXT PRIMARY KEY,		-- also what a receiver knows a repetition by
	notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
	event TEXT NOT NULL,
	severity TEXT NOT NULL,
	title TEXT NOT NULL,
	message TEXT NOT NULL,		-- JSON, core/notify.h
	state TEXT NOT NULL,		-- pending, delivered, failed
	attempts BIGINT NOT NULL,
	attempts_most BIGINT NOT NULL,
	code BIGINT,			-- of the last answer: HTTP's or SMTP's
	reason TEXT,			-- why the last attempt failed
	log TEXT NOT NULL,		-- JSON array of attempts: at, ms, code, text
	next_at BIGINT,			-- when it is tried (again)
	created_at BIGINT NOT NULL,
	ended_at BIGINT
);
CREATE INDEX deliveries_notification ON deliveries (notification_id, created_at, id);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'pending';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
