-- SPDX-License-Identifier: Apache-2.0
-- What policies ask for besides making and keeping checkpoints. src/core/duties.h.

-- When it first became available; NULL: it never was. A copy that was there once is not made anew
-- when its retention has removed it.
ALTER TABLE checkpoints ADD COLUMN good_at BIGINT;
UPDATE checkpoints SET good_at = ended_at WHERE status <> 'error';
