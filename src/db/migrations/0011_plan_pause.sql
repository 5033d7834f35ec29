-- SPDX-License-Identifier: Apache-2.0
-- Plans whose schedules do not fire until they are resumed.

ALTER TABLE plans ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;
