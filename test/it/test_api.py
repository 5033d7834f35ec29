# SPDX-License-Identifier: Apache-2.0
"""The API without a platform: what it refuses, what it keeps apart, what it does once. Every answer is held against
openapi.yaml by server.py."""
import concurrent.futures
import contextlib
import http.client
import json
import re
import threading
import time

import pytest

import contract
from server import Refused
from waiting import wait_until

SERVER = "OS::Nova::Server"


@pytest.fixture
def plan(server, folder):
    """A provider, and a body for a plan."""
    provider = server.provider(folder / "repo")
    return {"plan": {"name": "p", "provider_id": provider["id"], "parameters": {},
                     "resources": [{"id": "1", "type": SERVER, "name": "x"}]}}


def user(server, name, role, project=None):
    made = server.post("/v1/users", {"user": {"name": name, "password": "a long password"}})["user"]
    if role:
        server.post("/v1/grants", {"grant": {"user_id": made["id"], "project_id": project or server.project,
                                             "role": role}})
    return {"user": name, "password": "a long password"}


def refused(server, method, path, body=None, **how):
    answer = server.ask(method, path if path.startswith("/") else f"/v1/{server.project}/{path}", body, **how)
    assert answer.status >= 400, answer.text
    return answer.status, next(iter(answer.body.values()))["message"]


BAD_PLANS = [
    ({}, "JSON object 'plan'"),
    ({"plan": []}, "JSON object 'plan'"),
    ({"plan": {"name": ""}}, "name"),
    ({"plan": {"name": "x" * 256}}, "255"),
    ({"plan": {"name": "a\nb"}}, "control characters"),
    ({"plan": {"provider_id": "5"}}, "UUID"),
    ({"plan": {"resources": []}}, "needs resources or selectors"),
    ({"plan": {"resources": {}}}, "array"),
    ({"plan": {"resources": [{"id": "1"}]}}, "id, type and name"),
    ({"plan": {"resources": [{"id": "1", "type": "OS::No", "name": "x"}]}}, "Invalid protectable type"),
    ({"plan": {"parameters": {SERVER: {"bogus": 1}}}}, "no such option"),
    ({"plan": {"parameters": {"OS::No": {}}}}, "TYPE"),
    ({"plan": {"bogus": 1}}, "no such field"),
    ({"plan": {"policy_id": "00000000-0000-0000-0000-000000000000"}}, "policy could not be found"),
    ({"plan": {"provider_id": "00000000-0000-0000-0000-000000000000"}}, "provider could not be found"),
]


def test_bad_plans(server, plan):
    """The field is named, and nothing changes."""
    for change, says in BAD_PLANS:
        body = change if not isinstance(change.get("plan"), dict) else {"plan": {**plan["plan"], **change["plan"]}}
        status, message = refused(server, "POST", "plans", body)
        assert status == 400 and says in message, (change, message)
    assert server.get("plans") == {"plans": []}


def test_bad_bodies(server):
    path = f"/v1/{server.project}/plans"
    for body, headers, status in [(b"{", {}, 400), (b'{"a": 1, "a": 2}', {}, 400), (b"\xff\xfe", {}, 400), (b"[]", {}, 400),
                                  (b"{}", {"Content-Type": "text/plain"}, 415), (b"x" * (3 << 20), {}, 413),
                                  (b'{"plan": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}, 400)]:
        answer = server.ask("POST", path, body, headers={"Content-Type": "application/json", **headers})
        assert answer.status == status, (body[:40], answer.status, answer.text)


def test_bad_lists(server):
    for query, says in [("limit=0", "positive"), ("limit=x", "integer"), ("offset=-1", "0 or more"), ("sort=nope", "sorted"),
                        ("sort=name:up", "asc or desc"), ("bogus=1", "no parameter"), ("all_tenants=maybe", "true or false"),
                        ("marker=00000000-0000-0000-0000-000000000000", "list again"), ("sort=name&sort_key=id", "cannot go")]:
        status, message = refused(server, "GET", f"plans?{query}")
        assert status == 400 and says in message, (query, message)


def test_lists(server, plan):
    """Sorted, filtered, and paged by marker, whatever goes on in between."""
    names = [f"plan {i % 5} {i:02}" for i in range(23)]
    for name in names:
        server.post("plans", {"plan": {**plan["plan"], "name": name}})
    seen, path = [], f"/v1/{server.project}/plans?limit=5&sort=name:asc"
    while path:
        page = server.get(path)
        seen += [p["name"] for p in page["plans"]]
        link = page.get("plans_links", [{}])[0].get("href")
        path = link and link[len(server.url):]
    assert seen == sorted(names)
    assert [p["name"] for p in server.get("plans")["plans"]] == names[::-1], "the newest first"
    assert len(server.get("plans?name=plan%203")["plans"]) == 4
    assert server.get("plans?status=started") == {"plans": []}


def test_changes_at_any_time(server, plan):
    made = server.post("plans", plan)["plan"]
    path = f"plans/{made['id']}"
    assert server.do("PUT", path, {"plan": {"status": "started"}})["plan"]["status"] == "started"
    changed = server.do("PUT", path, {"plan": {"name": "new", "description": "d"}})["plan"]
    assert (changed["name"], changed["description"], changed["status"]) == ("new", "d", "started")
    assert refused(server, "PUT", path, {"plan": {}})[0] == 400
    server.do("DELETE", path)
    assert refused(server, "GET", path)[0] == 404
    assert refused(server, "DELETE", path)[0] == 404


def test_etags(server, plan):
    made = server.post("plans", plan)["plan"]
    path = f"/v1/{server.project}/plans/{made['id']}"
    tag = server.ask("GET", path).headers["etag"]
    assert server.ask("GET", path, headers={"If-None-Match": tag}).status == 304
    body = {"plan": {"name": "first"}}
    assert server.ask("PUT", path, body, headers={"If-Match": tag}).status == 200
    assert server.ask("PUT", path, {"plan": {"name": "second"}}, headers={"If-Match": tag}).status == 412
    assert server.get(path)["plan"]["name"] == "first"
    assert server.ask("DELETE", path, headers={"If-Match": tag}).status == 412


def test_once(server, plan):
    """The same request again, also many times at once and after a restart, is done once."""
    key = {"Idempotency-Key": "k1"}
    path = f"/v1/{server.project}/plans"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.ask("POST", path, plan, headers=key), range(8)))
    assert {a.status for a in answers} == {201} and len({a.text for a in answers}) == 1
    server.kill()
    server.start()
    assert server.ask("POST", path, plan, headers=key).text == answers[0].text
    assert len(server.get("plans")["plans"]) == 1
    other = {"plan": {**plan["plan"], "name": "other"}}
    assert server.ask("POST", path, other, headers=key).status == 422


def test_quotas(server, plan):
    server.do("PUT", f"quotas/{server.project}", {"quota": {"plans": 2}})
    for _ in range(2):
        server.post("plans", plan)
    status, message = refused(server, "POST", "plans", plan)
    assert status == 413 and "Maximum number of plans allowed (2) exceeded" in message
    detail = server.get(f"quotas/{server.project}/detail")["quota"]["plans"]
    assert detail == {"limit": 2, "in_use": 2, "reserved": 0}
    server.do("PUT", f"quotas/{server.project}", {"quota": {"plans": -1}})
    server.post("plans", plan)


def test_strangers(server):
    """Without a word of who one is, no route says anything but 401; with a stranger's, nothing of others."""
    other = server.post("/v1/projects", {"project": {"name": "other"}})["project"]["id"]
    stranger = user(server, "stranger", "admin", other)
    ids = {"project_id": server.project}
    asked = 0
    for method, path, _, operation in contract.operations():
        real = re.sub(r"\{(\w+)\}", lambda m: ids.get(m.group(1), "00000000-0000-0000-0000-000000000000"), path)
        body = b"{}" if method in ("POST", "PUT") else None
        if operation.get("security") == []:
            continue
        headers = {"Content-Type": "application/json"}
        assert server.ask(method, real, body, user=None, headers=headers).status == 401, (method, path)
        if "{project_id}" in path:
            answer = server.ask(method, real, body, headers=headers, **stranger)
            assert answer.status in (400, 403), (method, path, answer.status, answer.text)
            asked += 1
    assert asked > 60


def test_roles(server, plan):
    """Who only looks changes nothing; who only restores makes no plans."""
    made = server.post("plans", plan)["plan"]
    viewer, restorer = user(server, "viewer", "viewer"), user(server, "restorer", "restore-only")
    assert server.get(f"plans/{made['id']}", **viewer)["plan"]["id"] == made["id"]
    for who in viewer, restorer:
        for method, path, body in [("POST", "plans", plan), ("DELETE", f"plans/{made['id']}", None),
                                   ("POST", "targets", {"target": {"name": "t", "url": "dir:/x"}})]:
            status, message = refused(server, method, path, body, **who)
            assert status == 403, (method, path, message)
    denied = [line for line in server.get("audit?outcome=denied")["audit"] if line["user_name"] == "viewer"]
    assert len(denied) == 3, "what was refused is in the audit log"
    assert len(server.get("plans")["plans"]) == 1


def test_what_touches_hosts(server, plan):
    """Directories and URIs are the mover's host's: only an administrator names them."""
    operator = user(server, "operator", "operator")
    nothing = "00000000-0000-0000-0000-000000000000"
    for path, body in [("targets", {"target": {"name": "t", "url": "dir:/etc"}}),
                       ("targets", {"target": {"name": "t", "url": "s3:b/x?region=r&arbiter=dir:/etc"}}),
                       ("targets", {"target": {"name": "t", "url": "s3:b/x?region=arbiter=s3:b&arbiter=dir:/etc"}}),
                       ("targets", {"target": {"name": "t", "url": "s3:b", "credentials": {"from_host": True}}}),
                       ("targets", {"target": {"name": "t", "url": "s3:b/x", "shared": True}}),
                       ("platforms", {"platform": {"name": "p", "kind": "libvirt",
                                                   "uri": "qemu+ext:///system?command=/bin/true"}}),
                       ("restores", {"restore": {"provider_id": nothing, "checkpoint_id": nothing,
                                                 "parameters": {SERVER: {"directory": "/etc"}}}})]:
        status, message = refused(server, "POST", path, body, **operator)
        assert status == 400 and "Only an administrator" in message, (path, body, message)


def test_other_projects_things(server, folder, plan):
    """Ids of another project's things are as good as none."""
    made = server.post("plans", plan)["plan"]
    other = server.post("/v1/projects", {"project": {"name": "other"}})["project"]["id"]
    member = user(server, "member", "member", other)
    for method in "GET", "PUT", "DELETE":
        answer = server.ask(method, f"/v1/{other}/plans/{made['id']}", b"{}", headers={"Content-Type": "application/json"},
                            **member)
        assert answer.status == 404, (method, answer.text)
    mine = {"plan": {**plan["plan"]}}
    status, message = refused(server, "POST", f"/v1/{other}/plans", mine, **member)
    assert status == 400 and "provider could not be found" in message
    assert server.get(f"/v1/{other}/plans", **member) == {"plans": []}


def test_tokens_and_sessions(server):
    who = user(server, "worker", "member")
    made = server.post("/v1/tokens", {"token": {"name": "ci", "days": 1}}, **who)["token"]
    path = f"/v1/{server.project}/plans"
    with_token = {"user": None, "headers": {"X-Auth-Token": made["token"]}}
    assert server.ask("GET", path, **with_token).status == 200
    server.do("DELETE", f"/v1/tokens/{made['id']}", **who)
    assert server.ask("GET", path, **with_token).status == 401, "a revoked token does not count from then on"
    login = server.post("/v1/login", {"login": {"name": "worker", "password": "a long password"}}, user=None)["session"]
    bearer = {"user": None, "headers": {"Authorization": f"Bearer {login['token']}"}}
    assert server.ask("GET", path, **bearer).status == 200
    assert server.ask("POST", "/v1/logout", **bearer).status == 204
    assert server.ask("GET", path, **bearer).status == 401
    assert refused(server, "POST", "/v1/login", {"login": {"name": "worker", "password": "wrong"}}, user=None)[0] == 401


def test_secrets_are_not_shown(server, folder):
    """Credentials go in and never come out, neither over HTTP nor as text in the database."""
    secret = "very-secret-key-0815"
    made = server.post("targets", {"target": {"name": "s3", "url": "s3:bucket/x", "credentials": {
        "access_key": "AK", "secret_key": secret}}})["target"]
    assert secret not in json.dumps(server.get(f"targets/{made['id']}")) + json.dumps(server.get("audit"))
    server.stop()
    for path in server.state.iterdir():
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    assert secret not in server.log.read_text()
    server.start()


def test_policy_schedules(server, plan):
    """A plan's policy makes its triggers; they follow it, and go with the plan."""
    spec = {"schedules": [{"name": "nightly", "trigger": {"format": "crontab", "pattern": "0 2 * * *"},
                           "retention": {"daily": 7}}]}
    policy = server.post("policies", {"policy": {"name": "gold", "spec": spec}})["policy"]
    made = server.post("plans", {"plan": {**plan["plan"], "policy_id": policy["id"]}})["plan"]
    triggers = server.get("triggers")["triggers"]
    assert [t["properties"]["pattern"] for t in triggers] == ["0 2 * * *"]
    spec["schedules"][0]["trigger"]["pattern"] = "30 3 * * *"
    server.do("PUT", f"policies/{policy['id']}", {"policy": {"spec": spec}})
    assert [t["properties"]["pattern"] for t in server.get("triggers")["triggers"]] == ["30 3 * * *"]
    assert len(server.get("scheduled_operations")["operations"]) == 1
    server.do("DELETE", f"plans/{made['id']}")
    assert server.get("triggers")["triggers"] == [] and server.get("scheduled_operations")["operations"] == []


def test_pause(server, plan):
    """A plan that is paused does not fire, whatever becomes of its policy; and fires again."""
    spec = {"schedules": [{"name": "hourly", "trigger": {"format": "crontab", "pattern": "0 * * * *"}}]}
    policy = server.post("policies", {"policy": {"name": "p", "spec": spec}})["policy"]
    made = server.post("plans", {"plan": {**plan["plan"], "policy_id": policy["id"]}})["plan"]
    assert made["next_at"] and not made["paused"] and not made["running"] and made["newest_good_at"] is None
    path = f"plans/{made['id']}"
    paused = server.do("PUT", path, {"plan": {"paused": True}})["plan"]
    assert paused["paused"] and paused["next_at"] is None
    spec["schedules"].append({"name": "nightly", "trigger": {"format": "crontab", "pattern": "30 2 * * *"}})
    server.do("PUT", f"policies/{policy['id']}", {"policy": {"spec": spec}})
    assert server.get(path)["plan"]["next_at"] is None
    assert server.do("PUT", path, {"plan": {"paused": False}})["plan"]["next_at"] == made["next_at"]


def test_key_of_a_repository(server, plan):
    """Who may, gets it, and again for the same Idempotency-Key, for which nobody reads it in the database; others do not."""
    path = f"providers/{plan['plan']['provider_id']}/key"
    key = server.post(path)["repository"]
    assert re.fullmatch(r"holdfast-key-1:[0-9a-f]{64}", key["key"]) and key["url"].endswith(server.project)
    for _ in range(2):
        assert server.post(path, headers={"Idempotency-Key": "keys"})["repository"] == key
    for file in server.state.glob("holdfast.db*"):
        assert key["key"].encode() not in file.read_bytes()
    assert refused(server, "POST", path, **user(server, "mem", "member"))[0] == 403
    assert any(line["action"] == "provider:key" for line in server.get("audit")["audit"])


def test_triggers(server, plan):
    made = server.post("plans", plan)["plan"]
    for properties, says in [({"format": "crontab"}, "pattern"), ({"format": "x", "pattern": "* * * * *"}, "format"),
                             ({"format": "crontab", "pattern": "61 * * * *"}, "61"),
                             ({"format": "calendar", "pattern": "RRULE:FREQ=SECONDLY"}, "SECONDLY")]:
        status, message = refused(server, "POST", "triggers", {"trigger_info": {
            "name": "t", "type": "time", "properties": properties}})
        assert status == 400 and says in message, (properties, message)
    trigger = server.post("triggers", {"trigger_info": {"name": "t", "type": "time", "properties": {
        "format": "crontab", "pattern": "0 2 * * *", "timezone": "Europe/Vienna"}}})["trigger_info"]
    assert trigger["next_at"]
    definition = {"plan_id": made["id"], "provider_id": made["provider_id"]}
    body = {"scheduled_operation": {"name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
                                    "operation_definition": definition}}
    scheduled = server.post("scheduled_operations", body)["scheduled_operation"]
    assert refused(server, "DELETE", f"triggers/{trigger['id']}")[0] == 409
    assert refused(server, "DELETE", f"plans/{made['id']}")[0] == 409
    server.do("DELETE", f"scheduled_operations/{scheduled['id']}")
    server.do("DELETE", f"triggers/{trigger['id']}")
    server.do("DELETE", f"plans/{made['id']}")


def test_webhook(server, plan):
    """A call with the right token starts what hangs on it, once for each event."""
    made = server.post("plans", plan)["plan"]
    trigger = server.post("triggers", {"trigger_info": {"name": "hook", "type": "event",
                                                        "properties": {"event": "webhook"}}})["trigger_info"]
    server.post("scheduled_operations", {"scheduled_operation": {
        "name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
        "operation_definition": {"plan_id": made["id"], "provider_id": made["provider_id"]}}})
    path = f"/v1/hooks/{trigger['id']}"
    assert server.ask("POST", path, {}, user=None, headers={"X-Holdfast-Token": "wrong"}).status == 401
    token = {"X-Holdfast-Token": trigger["token"]}
    for _ in range(3):
        assert server.ask("POST", path, {"event": {"id": "e1"}}, user=None, headers=token).status == 202
    wait_until(lambda: server.get("operations?kind=protect")["operations"], 30, "the operation is started", every=0.2)
    assert len(server.get("operations?kind=protect")["operations"]) == 1


def test_retry(server, plan):
    """What failed is run again, as long as it is still about the same thing."""
    made = server.post("plans", plan)["plan"]
    path = f"providers/{made['provider_id']}/checkpoints"
    first = server.post(path, {"checkpoint": {"plan_id": made["id"]}})["checkpoint"]
    operation = server.wait_operation(first["operation_id"], state="failed")
    for filters, n in [("", 1), (f"plan_id={made['id']}", 1), ("made_by=manual&hold=no", 1), ("hold=yes", 0),
                       (f"provider_id={made['id']}", 0), ("resource_id=1", 0)]:
        assert len(server.get(f"checkpoints?{filters}")["checkpoints"]) == n, filters
    for filters, n in [(f"about={made['id']}", 1), (f"about={first['id']}", 1), ("resource_id=1", 0)]:
        assert len(server.get(f"operations?{filters}")["operations"]) == n, filters
    server.post(f"operations/{operation['id']}/retry")
    again = server.wait_operation(operation["id"], state="failed")
    assert again["steps"][0]["attempt"] >= 1 and again["revision"] > operation["revision"]
    assert server.get(f"{path}/{first['id']}")["checkpoint"]["status"] == "error"
    server.do("DELETE", f"{path}/{first['id']}")
    assert server.get(f"{path}/{first['id']}")["checkpoint"]["status"] == "deleted"
    status, message = refused(server, "POST", f"operations/{operation['id']}/retry")
    assert status == 409 and "not error any more" in message
    assert refused(server, "POST", f"operations/{operation['id']}/cancel")[0] == 409


def test_after_an_operation(server, plan):
    """The end of one operation starts another: once, and not itself."""
    made = server.post("plans", plan)["plan"]
    other = server.post("plans", {"plan": {**plan["plan"], "name": "other"}})["plan"]
    trigger = server.post("triggers", {"trigger_info": {"name": "after", "type": "event", "properties": {
        "event": "operation", "kind": "protect", "state": "failed", "plan_id": made["id"]}}})["trigger_info"]
    server.post("scheduled_operations", {"scheduled_operation": {
        "name": "then", "operation_type": "protect", "trigger_id": trigger["id"],
        "operation_definition": {"plan_id": other["id"], "provider_id": other["provider_id"]}}})
    path = f"providers/{made['provider_id']}/checkpoints"
    first = server.post(path, {"checkpoint": {"plan_id": made["id"]}})["checkpoint"]
    server.wait_operation(first["operation_id"], state="failed")  # its machine is nowhere
    wait_until(lambda: len(server.get("operations?kind=protect")["operations"]) == 2, 30, "the other is started", every=0.2)
    second = server.get("operations?kind=protect")["operations"][0]
    server.wait_operation(second["id"], state="failed")
    assert server.operation(second["id"])["about"]["plan"] == other["id"]
    assert len(server.get("operations?kind=protect")["operations"]) == 2


def test_services(server, plan):
    """What is disabled takes no new work, says why, and goes on when it is enabled."""
    told = server.get("os-services")
    assert told["server"]["database"] in ("sqlite", "postgresql") and told["server"]["certificate_ends_at"] is None
    services = {s["role"]: s for s in told["services"]}
    assert {s["binary"] for s in services.values()} == {"karbor-api", "karbor-operationengine", "karbor-protection",
                                                        "holdfast-conductor"}
    assert {(s["status"], s["state"], s["disabled_reason"]) for s in services.values()} == {("enabled", "up", None)}
    status, message = refused(server, "PUT", f"os-services/{services['api']['id']}", {"status": "disabled"})
    assert status == 400 and "cannot be disabled" in message
    for role in "scheduler", "worker", "conductor":
        body = {"status": "disabled", "disabled_reason": f"{role} is mended"}
        assert server.do("PUT", f"os-services/{services[role]['id']}", body)["service"]["disabled_reason"] == f"{role} is mended"
        wait_until(lambda r=role: f"{r} is mended" in server.log_text(), 30, f"the {role} says why", every=0.1)
    made = server.post("plans", plan)["plan"]
    trigger = server.post("triggers", {"trigger_info": {"name": "hook", "type": "event",
                                                        "properties": {"event": "webhook"}}})["trigger_info"]
    server.post("scheduled_operations", {"scheduled_operation": {
        "name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
        "operation_definition": {"plan_id": made["id"], "provider_id": made["provider_id"]}}})
    assert server.ask("POST", f"/v1/hooks/{trigger['id']}", {}, user=None, headers={"X-Holdfast-Token": trigger["token"]}).status == 202
    wanted = {"scheduler": None,
              "worker": server.post(f"providers/{made['provider_id']}/checkpoints",
                                    {"checkpoint": {"plan_id": made["id"]}})["checkpoint"]["operation_id"],
              "conductor": server.post("platforms", {"platform": {"name": "none", "kind": "libvirt",
                                                                  "uri": "test:///default"}})["platform"]["operation_id"]}
    time.sleep(3)  # longer than who waits for work looks again
    kinds = [o["kind"] for o in server.get("operations")["operations"]]
    assert sorted(kinds) == ["discover", "protect"], "nothing was started by the trigger"
    for operation in filter(None, wanted.values()):
        assert {s["state"] for s in server.operation(operation)["steps"]} <= {"ready", "waiting"}
    for role in "conductor", "worker", "scheduler":
        server.do("PUT", f"os-services/{services[role]['id']}", {"status": "enabled"})
        if wanted[role]:
            server.wait_operation(wanted[role], 30, state="failed")  # neither machine nor platform is there
    wait_until(lambda: len(server.get("operations?kind=protect")["operations"]) == 2, 30, "the trigger fires", every=0.2)


class Stream:
    """What a listener to a project's events is told."""

    def __init__(self, server, project, name, password):
        token = server.post("/v1/login", {"login": {"name": name, "password": password}}, user=None)["session"]["token"]
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.connection.request("GET", f"/v1/{project}/events", headers={"X-Auth-Token": token})
        self.stream = self.connection.getresponse()
        assert self.stream.status == 200 and self.stream.headers["Content-Type"].startswith("text/event-stream")
        self.operations, self.changed = [], []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the connection is closed under it
            while line := self.stream.readline():
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    if "operation" in event:
                        self.operations.append(event["operation"])
                    else:
                        self.changed.append(event["kinds"])

    def hears(self, kinds):
        wait_until(lambda: kinds in self.changed, 10, lambda: f"{kinds} is told: {self.changed}", every=0.1)


def test_events(server, folder):
    """What changes is told as it changes; what belongs to no project, in each to those who may see it."""
    elsewhere = server.post("/v1/projects", {"project": {"name": "elsewhere"}})["project"]["id"]
    tenant = user(server, "tenant", "member", elsewhere)
    here = Stream(server, server.project, "admin", server.password)
    there, theirs = Stream(server, elsewhere, "admin", server.password), Stream(server, elsewhere, **{
        "name": tenant["user"], "password": tenant["password"]})
    server.post("platforms", {"platform": {"name": "none", "kind": "libvirt", "uri": "test:///default"}})
    wait_until(lambda: [o for o in here.operations if o["state"] == "failed"], 60,
               lambda: f"the end is told: {here.operations}")
    assert {o["kind"] for o in here.operations} == {"discover"} and not theirs.operations
    server.post("policies", {"policy": {"name": "told", "spec": {}}})
    here.hears(["policies"])
    server.post(f"/v1/{elsewhere}/triggers", {"trigger_info": {"name": "theirs", "type": "time", "properties": {
        "format": "crontab", "pattern": "0 9 * * *"}}})
    theirs.hears(["triggers"])
    server.post("policies", {"policy": {"name": "told last", "spec": {}}})
    wait_until(lambda: here.changed.count(["policies"]) == 2, 10, lambda: f"once each: {here.changed}")
    assert ["triggers"] not in here.changed, "what others do in another project is not told"
    assert ["policies"] not in there.changed + theirs.changed

    server.post("policies", {"policy": {"name": "everybody's", "spec": {}, "shared": True}})
    user(server, "new", None)
    server.post("/v1/tokens", {"token": {"name": "mine"}}, user=tenant["user"], password=tenant["password"])
    mover = server.get("movers")["movers"][0]["id"]
    server.do("PUT", f"movers/{mover}", {"mover": {"drain": True}})
    for kinds in ["policies"], ["users"], ["tokens"], ["movers"]:
        there.hears(kinds)
    for kinds in ["policies"], ["tokens"]:
        theirs.hears(kinds)
    assert ["users"] not in theirs.changed and ["movers"] not in theirs.changed, theirs.changed
    for stream in here, there, theirs:
        stream.connection.close()


def test_platform_that_fails(server):
    """The exact reason why a platform cannot be reached is with the platform."""
    made = server.post("platforms", {"platform": {"name": "bad", "kind": "libvirt",
                                                  "uri": "qemu+unix:///system?socket=/nowhere"}})["platform"]
    server.wait_operation(made["operation_id"], state="failed")
    shown = server.get(f"platforms/{made['id']}")["platform"]
    assert shown["status"] == "error" and "/nowhere" in shown["reason"], shown


def test_audit_is_whole(server, plan):
    server.post("plans", plan)
    wait_until(lambda: server.post("/v1/audit/verify")["audit"]["waiting"] == 0, 30, "all is linked", every=0.2)
    checked = server.post("/v1/audit/verify")["audit"]
    assert checked["whole"] and checked["lines"] > 0
    assert "plan:create" in {line["action"] for line in server.get("audit")["audit"]}


def test_metrics(server, plan):
    """For Prometheus: names and labels as its format wants them; only for who may watch everything."""
    server.post("plans", {"plan": {**plan["plan"], "name": 'odd "name\\'}})
    text = server.ask("GET", "/metrics").text
    line = re.compile(r'[a-z_]+\{([a-z]+="([^"\\\n]|\\[\\"n])*",?)+\} -?\d+$')
    for row in text.splitlines():
        assert row.startswith("# ") or line.match(row), row
    assert 'holdfast_plan_without_checkpoint{' in text and 'name="odd \\"name\\\\"' in text
    assert server.ask("GET", "/metrics", user=None).status == 401
    assert server.ask("GET", "/metrics", **user(server, "viewer", "viewer")).status == 403


def test_documents(server):
    assert server.ask("GET", "/openapi.yaml", user=None).text == contract.FILE.read_text()
    assert server.ask("GET", "/openapi.json", user=None).body == contract.document()
    page = server.ask("GET", "/docs", user=None)
    assert page.status == 200 and "createPlan" in page.text
    assert server.ask("GET", "/", user=None).status == 300


def test_last_administrator_stays(server):
    me = server.get("/v1/identity")["identity"]
    status, message = refused(server, "DELETE", f"/v1/users/{me['user_id']}")
    assert status == 409 and "administrator" in message
    with pytest.raises(Refused):
        server.do("PUT", f"/v1/users/{me['user_id']}", {"user": {"enabled": False}})
