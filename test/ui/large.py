# SPDX-License-Identifier: Apache-2.0
"""A catalogue of years, written straight into the SQLite file of a server that does not run: 1,000 machines, each with
a plan and a hundred checkpoints."""
import sqlite3
import time

MACHINES, CHECKPOINTS = 1000, 100
HOUR = 3600 * 1_000_000

# An id is made of a kind (one digit) and a number, so that rows find each other without being looked up.
ID = "printf('%08x-0000-4{kind}00-8000-%012x', {n}, {n})"


def _id(kind, n):
    return ID.format(kind=kind, n=n)


def fill(database, project, provider, platform, repository):
    now = time.time_ns() // 1000
    given = {"now": now, "hour": HOUR, "project": project, "provider": provider, "platform": platform,
             "repository": repository, "machines": MACHINES, "each": CHECKPOINTS}
    resource = "json_array(json_object('id', " + _id(1, "n") + ", 'type', 'OS::Nova::Server', 'name', " \
               "printf('vm-%04d', n), 'extra_info', json_object()))"
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {to}) "
    to_machines, to_all = numbers.format(to=":machines"), numbers.format(to=":machines * :each")
    machine = "((n - 1) % :machines + 1)"
    at = "(:now - ((:machines * :each - n) / :machines) * :hour - :hour)"
    status = "CASE WHEN n % 97 = 0 THEN 'error' ELSE 'available' END"
    statements = [
        to_machines + f"""INSERT INTO resources (platform_id, type, id, project_id, name, state, extra_info, first_seen_at,
            seen_at) SELECT :platform, 'OS::Nova::Server', {_id(1, 'n')}, :project, printf('vm-%04d', n), 'running', '{{}}',
            :now, :now FROM numbers""",
        to_machines + f"""INSERT INTO plans (id, project_id, name, description, status, provider_id, policy_id, resources,
            selectors, parameters, created_by, created_at, updated_at) SELECT {_id(2, 'n')}, :project,
            printf('plan-%04d', n), '', 'started', :provider, NULL, {resource}, '[]', '{{}}', 'test', :now - n, :now
            FROM numbers""",
        to_all + f"""INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, reason, extra_info, made_by,
            hold, instant_at, created_at, ended_at, bytes_total, bytes_read, bytes_new, bytes_stored)
            SELECT {_id(3, 'n')}, :project, :provider, {_id(2, machine)}, json_object('id', {_id(2, machine)}, 'name',
            printf('plan-%04d', {machine}), 'resources', json_array(), 'provider_id', :provider), {status},
            CASE WHEN n % 97 = 0 THEN 'the host did not answer' END, '{{}}', 'hourly', 0, {at}, {at}, {at} + 9000000,
            10737418240, 104857600, 52428800, 26214400 FROM numbers""",
        to_all + f"""INSERT INTO checkpoint_resources (checkpoint_id, platform_id, type, id, name, extra_info, repository_id,
            point_id, status, consistency, instant_at, bytes_total, bytes_read, bytes_new, bytes_stored)
            SELECT {_id(3, 'n')}, :platform, 'OS::Nova::Server', {_id(1, machine)}, printf('vm-%04d', {machine}), '{{}}',
            :repository, {_id(4, 'n')}, {status}, 'frozen', {at}, 10737418240, 104857600, 52428800, 26214400 FROM numbers""",
    ]
    connection = sqlite3.connect(database)
    with connection:
        for statement in statements:
            connection.execute(statement, given)
    connection.close()


def repository(database, target, project, url):
    """The id of a new row for it."""
    connection = sqlite3.connect(database)
    now = time.time_ns() // 1000
    id = "00000000-0000-4000-8000-00000000cafe"
    with connection:
        connection.execute("INSERT INTO repositories (id, target_id, project_id, url, created_at) VALUES (?, ?, ?, ?, ?)",
                           (id, target, project, url, now))
    connection.close()
    return id
