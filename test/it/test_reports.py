# SPDX-License-Identifier: Apache-2.0
"""Coverage, overview, usage, search, history, over a machine that is never started: it can be protected while its image
is there."""
import csv
import io
import uuid

import pytest

from server import Refused
from waiting import wait_until

SERVER = "OS::Nova::Server"


DOMAIN = """<domain type='qemu'><name>test</name><uuid>{uuid}</uuid><memory>32768</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='{image}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""


@pytest.fixture
def found(server, lab, folder):
    """A server that knows one machine, called "test", whose image is not there."""
    server.provider_id = server.provider(folder / "repo")["id"]
    server.image, server.machine = folder / "vda", str(uuid.uuid4())
    lab.define(DOMAIN.format(uuid=server.machine, image=server.image))
    server.platform(lab.uri, name="=cmd|calc")
    yield server
    lab.virsh("undefine", "test")


def coverage(server, query=""):
    return server.get(f"coverage{query}")["coverage"]


def only(server, query=""):
    [one] = coverage(server, query)
    return one


def plan(server, name="nightly", **what):
    what = what or {"selectors": [{"type": SERVER, "name": "te*"}]}
    return server.post("plans", {"plan": {"name": name, "provider_id": server.provider_id, "resources": [],
                                          **what}})["plan"]["id"]


def test_coverage(found):
    """From unprotected to failing, by what plans, people and attempts do; each with its reason."""
    server = found
    one = only(server)
    assert one["protection"] == "unprotected" and one["reason"] == "No plan takes it in." and one["plans"] == []
    overview = server.get("overview")["overview"]
    assert overview["resources"]["unprotected"] == overview["resources"]["total"] == 1
    assert [a["kind"] for a in overview["attention"]] == ["resources_unprotected"]

    excluded = server.do("PUT", f"coverage/{one['id']}", {"coverage": {"excluded": True, "reason": "a toy"}})["coverage"]
    assert excluded["protection"] == "excluded" and excluded["reason"].endswith("a toy")
    assert server.get("overview")["overview"]["attention"] == []
    assert coverage(server, "?protection=unprotected") == [] and only(server, "?protection=excluded")["excluded"]

    id = plan(server)
    now = only(server, "?name=test&sort=protection:asc")
    assert now["plans"] == [{"id": id, "name": "nightly"}] and now["protection"] == "excluded"
    server.do("PUT", f"coverage/{one['id']}", {"coverage": {"excluded": False}})
    assert only(server)["reason"].endswith("has no schedule: start it by hand.")

    # A schedule promises: the first is due some time after its next firing.
    trigger = server.post("triggers", {"trigger_info": {"name": "t", "type": "time", "properties": {
        "format": "crontab", "pattern": "0 3 * * *"}}})["trigger_info"]["id"]
    scheduled = server.post("scheduled_operations", {"scheduled_operation": {
        "name": "s", "operation_type": "protect", "trigger_id": trigger,
        "operation_definition": {"plan_id": id, "provider_id": server.provider_id}}})["scheduled_operation"]["id"]
    assert only(server)["due_by"].endswith("T03:15:00Z")
    server.do("PUT", f"triggers/{trigger}", {"trigger_info": {"properties": {
        "format": "crontab", "pattern": "0 4 * * *", "window": 3600}}})
    assert only(server)["due_by"].endswith("T05:00:00Z") and only(server)["protection"] == "unprotected"
    server.do("PUT", f"scheduled_operations/{scheduled}", {"scheduled_operation": {"enabled": False}})
    assert only(server)["due_by"] is None
    server.do("DELETE", f"scheduled_operations/{scheduled}")

    checkpoints = f"providers/{server.provider_id}/checkpoints"
    made = server.post(checkpoints, {"checkpoint": {"plan_id": id}})["checkpoint"]
    server.wait_operation(made["operation_id"], state="failed")
    failing = only(server)
    assert failing["protection"] == "failing" and "Plan nightly: " in failing["reason"]
    overview = server.get("overview")["overview"]
    assert overview["resources"]["failing"] == 1 and overview["plans"][0]["state"] == "failing"
    assert overview["attention"][0]["kind"] == "plan_failing" and overview["attention"][0]["subject"]["id"] == id
    assert sum(day["failed"] for day in server.get("overview/history?days=2")["history"]) == 1

    # An attempt that is deleted is forgotten, and one that is good takes its place.
    server.do("DELETE", f"{checkpoints}/{made['id']}")
    wait_until(lambda: only(server)["protection"] == "unprotected", 60, "the failed attempt is gone")
    server.image.write_bytes(b"holdfast" * 200000)
    made = server.post(checkpoints, {"checkpoint": {"plan_id": id}})["checkpoint"]
    server.wait_operation(made["operation_id"])
    good = only(server)
    assert good["protection"] == "protected" and good["newest_checkpoint_id"] == made["id"]
    target = server.get("targets")["targets"][0]["id"]
    for word, options in (("verify", {"depth": "content"}), ("verify", {"all_projects": True}), ("collect", {"dry_run": True})):
        done = server.wait_operation(server.post(f"targets/{target}/{word}", {word: options})["operation_id"])
        assert done["steps"][0]["result"] and done["about"]["target"] == target
    assert good["size_bytes"] >= 1600000 and good["newest_good_at"] and good["due_by"] is None
    assert server.get("overview")["overview"]["storage"]["logical_bytes"] == good["size_bytes"]
    [row] = server.get("usage")["usage"]
    assert (row["points"], row["kept_points"], row["plan_name"], row["resource_name"]) == (1, 1, "nightly", "test")
    assert row["logical_bytes"] == good["size_bytes"] and 0 < row["stored_bytes"] < 1600000

    # It goes, and what was done is still known.
    wait_until(lambda: not server.get("operations?live=true&kind=collect")["operations"], 60, "nothing is collected")
    server.wait_operation(server.ask("DELETE", f"/v1/{server.project}/{checkpoints}/{made['id']}").body["operation_id"])
    assert only(server)["newest_good_at"] is None
    [row] = server.get("usage?by=target")["usage"]
    assert (row["points"], row["kept_points"], row["kept_stored_bytes"]) == (1, 0, 0) and row["plan_id"] is None
    days = server.get("overview/history?days=2")["history"]
    assert sum(day["logical_bytes"] for day in days) == row["logical_bytes"] and sum(day["succeeded"] for day in days) >= 2

    server.do("PUT", f"plans/{id}", {"plan": {"selectors": [{"type": SERVER, "name": "other*"}]}})
    assert only(server)["plans"] == []
    server.do("PUT", f"plans/{id}", {"plan": {"resources": [{"type": SERVER, "id": one["id"], "name": "test"}],
                                              "selectors": []}})
    assert [p["id"] for p in only(server)["plans"]] == [id]
    server.do("DELETE", f"plans/{id}")
    assert only(server)["plans"] == []


def test_search_usage_targets(found):
    server = found
    id = plan(server, "Nightly of the web")
    hits = {r["type"]: r for r in server.get("search?q=nIGHTLY")["results"]}
    assert hits["plan"]["id"] == id and "resource" not in hits
    assert {r["type"] for r in server.get("search?q=test")["results"]} == {"resource"}
    assert [r["id"] for r in server.get(f"search?q={id[:13].upper()}")["results"]] == [id]
    for query, words in [("", "1 to 255"), ("q=a&limit=0", "positive"), ("q=a&what=1", "no parameter 'what'")]:
        with pytest.raises(Refused, match=words):
            server.get(f"search?{query}")

    assert server.get("usage?by=plan&from=2026-01-01&to=2026-01-31") == {
        "usage": [], "from": "2026-01-01", "to": "2026-01-31", "more": False}
    answer = server.ask("GET", f"/v1/{server.project}/usage", headers={"Accept": "text/csv"})
    [head] = csv.reader(io.StringIO(answer.text))
    assert head[0] == "project_id" and head[-1] == "kept_stored_bytes" and answer.text.endswith("\r\n")
    for query, words in [("by=day", "project, target, plan or resource"), ("from=yesterday", "write it as"),
                         ("from=2026-02-01&to=2026-01-01", "before from"), ("limit=100001", "at most")]:
        with pytest.raises(Refused, match=words):
            server.get(f"usage?{query}")

    target = server.get("targets")["targets"][0]["id"]
    with pytest.raises(Refused, match="Nothing is stored"):
        server.post(f"targets/{target}/verify", {"verify": {}})
    server.wait_operation(server.post(f"targets/{target}/check")["operation_id"])
    seen = server.get(f"targets/{target}")["target"]
    assert seen["status"] == "available" and seen["total_bytes"] > seen["free_bytes"] > 0 and seen["stored_bytes"] == 0
    # The server looks after it every few seconds.
    wait_until(lambda: server.get(f"targets/{target}/history")["history"], 60, "there is a sample")
    [sample] = server.get(f"targets/{target}/history?days=1")["history"]
    assert sample["total_bytes"] == seen["total_bytes"] and sample["logical_bytes"] == 0
    assert server.get("overview")["overview"]["targets"][0]["full_at"] is None


def test_parameters(found):
    """Of instance lists, as Karbor's client sends them: looked at, never passed over."""
    path = f"protectables/{SERVER}/instances"
    for text, n in [("{'name': 'test'}", 1), ("{'name': u'other'}", 0), ('{"platform": "=cmd|calc"}', 1),
                    ("{}", 1), ("{'platform': 'x', 'name': 'test'}", 0)]:
        quoted = text.replace("{", "%7B").replace("}", "%7D").replace(" ", "+").replace("'", "%27").replace('"', "%22")
        assert len(found.get(f"{path}?parameters={quoted.replace('|', '%7C')}")["instances"]) == n, text
    assert "test" in found.karbor("protectable-list-instances", SERVER, "--parameters", "name=test")
    assert "region_name" in found.karbor("protectable-list-instances", SERVER, "--parameters", "region_name=x", check=False)
    for text in ("5", "[]", "{'a'", "{'name': 5}"):
        with pytest.raises(Refused):
            found.get(f"{path}?parameters={text.replace(chr(39), '%27').replace('{', '%7B').replace('}', '%7D').replace(' ', '')}")
