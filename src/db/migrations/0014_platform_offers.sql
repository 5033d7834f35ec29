-- SPDX-License-Identifier: Apache-2.0
-- What a restore to a platform can name, as it was when the platform was last looked at.

ALTER TABLE platforms ADD COLUMN offers TEXT;	-- JSON {"networks", "pools"}; NULL: not known
