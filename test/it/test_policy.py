# SPDX-License-Identifier: Apache-2.0
"""Policies over the API: what is refused and how, who may mandate, what a change would do, and why a checkpoint stays."""
import datetime
import sqlite3
import uuid

import pytest

from server import Refused

NIGHTLY = {"schedules": [{"name": "nightly", "trigger": {"format": "crontab", "pattern": "0 2 * * *"},
                          "retention": {"daily": 7, "weekly": 4}}], "timezone": "Europe/Berlin"}


def make(server, spec, **more):
    return server.post("policies", {"policy": {"name": "n", "spec": spec, **more}})["policy"]


def execute(server, statements):
    """Run them in the database of a server that is stopped meanwhile."""
    server.stop()
    if server.database:
        psycopg2 = pytest.importorskip("psycopg2")
        db = psycopg2.connect(server.database)
    else:
        db = sqlite3.connect(next(server.state.glob("**/*.db")))
    with db:
        cursor = db.cursor()
        for sql, values in statements:
            cursor.execute(sql.replace("?", "%s") if server.database else sql, values)
    db.close()
    server.start()


def checkpoints(server, plan, maker, days):
    """One for each of the last days, the oldest first; their ids."""
    now = datetime.datetime.now(datetime.timezone.utc)
    ids, statements = [], []
    for day in range(days, 0, -1):
        at = int((now - datetime.timedelta(days=day)).timestamp() * 1e6)
        ids.append(str(uuid.uuid4()))
        statements.append((
            "INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, extra_info, made_by, hold, "
            "instant_at, created_at, ended_at, bytes_total, bytes_read, bytes_new, bytes_stored) VALUES "
            "(?, ?, ?, ?, '{}', 'available', '{}', ?, 0, ?, ?, ?, 0, 0, 0, 0)",
            (ids[-1], server.project, plan["provider_id"], plan["id"], maker, at, at, at)))
    execute(server, statements)
    return ids


@pytest.fixture
def plan(server, folder):
    provider = server.provider(folder / "repo")
    policy = make(server, NIGHTLY)
    return server.post("plans", {"plan": {
        "name": "web", "provider_id": provider["id"], "policy_id": policy["id"],
        "resources": [], "selectors": [{"type": "OS::Nova::Server", "name": "web*"}]}})["plan"]


def test_policies(server):
    policy = make(server, NIGHTLY, description="d")
    assert policy["spec"]["schedules"][0]["trigger"]["timezone"] == "Europe/Berlin"
    assert policy["mandatory"] is False and policy["project_id"] == server.project
    one = f"policies/{policy['id']}"
    assert server.get(one)["policy"] == policy
    assert [p["id"] for p in server.get("policies")["policies"]] == [policy["id"]]
    changed = server.do("PUT", one, {"policy": {"spec": {"minimum": 3}}})["policy"]
    assert changed["spec"] == {"minimum": 3} and changed["name"] == "n" and changed["description"] == "d"
    server.do("DELETE", one)
    with pytest.raises(Refused) as no:
        server.get(one)
    assert no.value.status == 404


@pytest.mark.parametrize("spec, words", [
    ({"schedules": [{"name": "a", "retention": {"dayly": 1}}]},
     'schedules[0].retention.dayly: there is no such field; did you mean "daily"?'),
    ({"schedules": [{"name": "a", "trigger": {"format": "crontab", "pattern": "61 * * * *"}}]},
     "schedules[0].trigger: pattern"),
    ({"minimum": 0}, "minimum: 0 is not a whole number from 1 to 1000"),
    ({"timezone": "Mars/Base"}, "timezone: "),
    ({"copy": {"provider_id": str(uuid.uuid4())}}, "copy[0].provider_id: there is no provider"),
    ([], "policy.spec"),
])
def test_bad_documents(server, spec, words):
    with pytest.raises(Refused) as no:
        make(server, spec)
    assert no.value.status == 400 and words in no.value.message
    assert server.get("policies")["policies"] == []


def test_mandatory_is_for_administrators(server):
    law = make(server, {"minimum": 5}, mandatory=True)
    shared = make(server, {"minimum": 2}, shared=True)
    assert law["mandatory"] is True and shared["project_id"] is None
    user = server.post("/v1/users", {"user": {"name": "bob", "password": "correct horse battery"}})["user"]
    server.post("/v1/grants", {"grant": {"user_id": user["id"], "project_id": server.project, "role": "member"}})
    bob = {"user": "bob", "password": "correct horse battery"}
    mine = server.post("policies", {"policy": {"name": "m", "spec": {}}}, **bob)["policy"]
    for method, path, policy, status in [
            ("POST", "policies", {"name": "x", "spec": {}, "mandatory": True}, 403),
            ("POST", "policies", {"name": "x", "spec": {}, "shared": True}, 403),
            ("PUT", f"policies/{mine['id']}", {"mandatory": True}, 403),
            ("PUT", f"policies/{law['id']}", {"mandatory": False}, 403),
            ("DELETE", f"policies/{law['id']}", None, 403),
            ("DELETE", f"policies/{shared['id']}", None, 404)]:
        with pytest.raises(Refused) as no:
            server.do(method, path, policy and {"policy": policy}, **bob)
        assert no.value.status == status, (method, path, no.value)
    assert len(server.get("policies", **bob)["policies"]) == 3
    server.do("DELETE", f"policies/{mine['id']}", **bob)


def test_why_and_what_if(server, plan):
    ids = checkpoints(server, plan, "nightly", 40)
    told = server.get(f"plans/{plan['id']}/retention")["retention"]
    newest = told["checkpoints"][0]
    assert newest["id"] == ids[-1] and newest["keep"] and newest["goes_at"]
    assert {r["rule"] for r in newest["reasons"]} == {"newest", "daily", "weekly"}
    assert told["kept"] + told["going"] == 40 and 8 <= told["kept"] <= 11 and told["timezone"] == "Europe/Berlin"
    oldest = server.get(f"plans/{plan['id']}/retention?checkpoint_id={ids[0]}")["retention"]["checkpoints"][0]
    assert not oldest["keep"] and "nightly: daily" in oldest["reasons"][0]["text"]
    less = {**NIGHTLY, "schedules": [{**NIGHTLY["schedules"][0], "retention": {"daily": 2}}]}
    would = server.post("policy_simulations", {"policy_simulation": {
        "spec": less, "policy_id": plan["policy_id"], "days": 30}})["policy_simulation"]
    assert [p["plan_id"] for p in would["plans"]] == [plan["id"]] and would["more"] is False
    assert len(would["plans"][0]["going_now"]) == told["kept"] - 2 and would["plans"][0]["staying_now"] == []
    assert would["plans"][0]["timeline"][-1]["checkpoints"] == 2
    all_of_them = {"manual": {"days": 3}, "others": {"last": "all"}}
    would = server.post("policy_simulations", {"policy_simulation": {"spec": all_of_them, "plan_id": plan["id"]}})
    assert len(would["policy_simulation"]["plans"][0]["staying_now"]) == told["going"]
    assert len(would["policy_simulation"]["plans"][0]["lives"]) == 40
    would = server.post("policy_simulations", {"policy_simulation": {"spec": less, "days": 10}})["policy_simulation"]
    lives = would["plans"][0]["lives"]  # of a plan that is not there yet
    assert would["plans"][0]["checkpoints"] == 0 and len(lives) == 10 and not would["plans"][0]["more_lives"]
    assert all(x["foretold"] and x["made_by"] == "nightly" for x in lives)
    assert [x["until"] for x in lives] == [x["at"] for x in lives[2:]] + [None, None]
    for body, status in [({}, 400), ({"spec": {"minimun": 1}, "plan_id": plan["id"]}, 400),
                         ({"spec": {}, "plan_id": str(uuid.uuid4())}, 404)]:
        with pytest.raises(Refused) as no:
            server.post("policy_simulations", {"policy_simulation": body})
        assert no.value.status == status
    with pytest.raises(Refused) as no:
        server.do("DELETE", f"policies/{plan['policy_id']}")
    assert no.value.status == 409 and "is used by 1 plans" in no.value.message


def test_schedule_previews(server):
    def preview(**schedule):
        return server.post("schedule_previews", {"schedule_preview": schedule})["schedule_preview"]

    told = preview(format="crontab", pattern="30 2 * * *", timezone="Europe/Berlin", count=3,
                   start_time="2030-03-29T12:00:00Z")
    assert told == {"words": "every day at 02:30 (Europe/Berlin)", "firings": [
        "2030-03-30T01:30:00Z", "2030-03-31T01:30:00Z", "2030-04-01T00:30:00Z"]}
    told = preview(format="calendar", pattern="RRULE:FREQ=HOURLY;COUNT=4", count=100)
    assert len(told["firings"]) in (3, 4) and told["words"].endswith(", 4 times")
    assert len(preview(format="crontab", pattern="@hourly")["firings"]) == 10
    for schedule, words in [({"format": "crontab", "pattern": "61 * * * *"}, "schedule_preview: pattern"),
                            ({"format": "crontab", "pattern": "@daily", "count": 101}, "schedule_preview.count"),
                            ({"format": "crontab", "pattern": "@daily", "cuont": 1}, "cuont"),
                            ({"pattern": "@daily"}, "format"), ([], "schedule_preview")]:
        with pytest.raises(Refused) as no:
            server.post("schedule_previews", {"schedule_preview": schedule})
        assert no.value.status == 400 and words in no.value.message
