-- SPDX-License-Identifier: Apache-2.0
-- Who may do what (src/auth), secrets, and the audit log. Times are microseconds since 1970, UTC.

-- A tenant. Ids are 32 hexadecimal digits, as in OpenStack.
CREATE TABLE projects (
	id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	description TEXT NOT NULL,
	quota_class TEXT NOT NULL,
	source TEXT NOT NULL, -- 'local', 'keystone', 'oidc'
	enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
	created_at BIGINT NOT NULL
);

CREATE TABLE users (
	id TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	email TEXT NOT NULL,
	source TEXT NOT NULL, -- 'local', 'oidc'
	password TEXT, -- $argon2id$…
	enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
	created_at BIGINT NOT NULL,
	last_login_at BIGINT
);

-- The project '*' means everywhere, so there is no foreign key for it.
CREATE TABLE grants (
	user_id TEXT NOT NULL REFERENCES users (id),
	project_id TEXT NOT NULL,
	role TEXT NOT NULL,
	source TEXT NOT NULL, -- 'local', or 'oidc': as the provider said at the last login
	PRIMARY KEY (user_id, project_id, role, source)
);
CREATE INDEX grants_by_project ON grants (project_id);

-- Of users and of movers. The hash is SHA-256 of the token's text, which is nowhere.
CREATE TABLE tokens (
	id TEXT NOT NULL PRIMARY KEY,
	hash BYTEA NOT NULL UNIQUE,
	user_id TEXT NOT NULL,
	project_id TEXT, -- NULL: wherever the user may be
	roles INTEGER NOT NULL, -- bits: at most these; 0: all that the user has
	name TEXT NOT NULL,
	kind TEXT NOT NULL, -- 'api', 'session', 'mover', 'join'
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	last_used_at BIGINT,
	revoked_at BIGINT
);
CREATE INDEX tokens_by_user ON tokens (user_id, created_at);
CREATE INDEX tokens_by_time ON tokens (created_at, id);
CREATE INDEX tokens_by_end ON tokens (expires_at);

-- Sealed with the server key. The place, "table/row/name", is part of what is sealed.
CREATE TABLE secrets (
	place TEXT NOT NULL PRIMARY KEY,
	key_id TEXT NOT NULL,
	value BYTEA NOT NULL
);
CREATE INDEX secrets_by_key ON secrets (key_id);

-- seq, hash: NULL until the line is linked to the chain.
CREATE TABLE audit (
	id TEXT NOT NULL PRIMARY KEY,
	seq BIGINT UNIQUE,
	at BIGINT NOT NULL,
	project_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	user_name TEXT NOT NULL,
	address TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	outcome TEXT NOT NULL,
	detail TEXT NOT NULL,
	mac BYTEA NOT NULL,
	hash BYTEA
);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_project ON audit (project_id, at, id);
CREATE INDEX audit_unlinked ON audit (at, id) WHERE seq IS NULL;

CREATE TABLE audit_head (
	one INTEGER NOT NULL PRIMARY KEY,
	seq BIGINT NOT NULL,
	hash BYTEA NOT NULL,
	mac BYTEA NOT NULL
);

CREATE TABLE settings (
	name TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
);

-- Logins that have gone to the OpenID provider, and are not back yet.
CREATE TABLE oidc_logins (
	state TEXT NOT NULL PRIMARY KEY,
	nonce TEXT NOT NULL,
	verifier TEXT NOT NULL,
	redirect TEXT NOT NULL,
	expires_at BIGINT NOT NULL
);
