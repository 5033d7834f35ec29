-- SPDX-License-Identifier: Apache-2.0
-- Plans whose machines belong together, and what each machine's point is worth.

ALTER TABLE plans ADD COLUMN consistency_group BIGINT NOT NULL DEFAULT 0;

-- Rows of a checkpoint with one point_id are of one instant, or of a window of so many microseconds.
ALTER TABLE checkpoint_resources ADD COLUMN consistency_reason TEXT;
ALTER TABLE checkpoint_resources ADD COLUMN frozen_us BIGINT;
ALTER TABLE checkpoint_resources ADD COLUMN window_us BIGINT;
