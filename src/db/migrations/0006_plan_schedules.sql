-- SPDX-License-Identifier: Apache-2.0
-- Which triggers and scheduled operations a plan has because of its policies.

CREATE TABLE plan_schedules (
	plan_id TEXT NOT NULL,
	name TEXT NOT NULL,		-- of the schedule in the policy
	properties TEXT NOT NULL,	-- JSON: the trigger's, as the policy had them
	trigger_id TEXT NOT NULL,
	scheduled_operation_id TEXT NOT NULL,
	PRIMARY KEY (plan_id, name)
);
