-- SPDX-License-Identifier: Apache-2.0
-- What the last look at every stored byte of a repository found; and a webhook's secret that still signs
-- beside the one that replaced it.

ALTER TABLE repositories ADD COLUMN verified_at BIGINT;		-- NULL: nobody looked yet
ALTER TABLE repositories ADD COLUMN damaged_objects BIGINT NOT NULL DEFAULT 0;

ALTER TABLE notifications ADD COLUMN old_secret_until BIGINT;	-- NULL: there is none
