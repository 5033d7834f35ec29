-- SPDX-License-Identifier: Apache-2.0
-- Movers, and invitations by which new ones register. src/link; of tokens only hashes are kept.

CREATE TABLE movers (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	host TEXT NOT NULL,
	version TEXT NOT NULL,
	kinds TEXT NOT NULL,		-- JSON array: of steps that it can take
	capacity BIGINT NOT NULL,	-- steps at once
	token_hash BYTEA NOT NULL,	-- SHA-256
	drain INTEGER NOT NULL CHECK (drain IN (0, 1)),
	created_by TEXT NOT NULL,	-- who invited it
	created_at BIGINT NOT NULL,
	last_seen_at BIGINT NOT NULL,
	revoked_at BIGINT
);
CREATE UNIQUE INDEX movers_by_token ON movers (token_hash);
CREATE INDEX movers_by_name ON movers (name, id);

CREATE TABLE mover_invitations (
	token_hash BYTEA PRIMARY KEY,
	name TEXT NOT NULL,		-- of the mover that it is for
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	mover_id TEXT			-- who used it
);
CREATE INDEX mover_invitations_by_time ON mover_invitations (expires_at);
