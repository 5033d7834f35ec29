-- SPDX-License-Identifier: Apache-2.0
-- What the last look at every stored byte of a repository found.

ALTER TABLE repositories ADD COLUMN verified_at BIGINT;		-- NULL: nobody looked yet
ALTER TABLE repositories ADD COLUMN damaged_objects BIGINT NOT NULL DEFAULT 0;
