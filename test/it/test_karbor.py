# SPDX-License-Identifier: Apache-2.0
"""Debian's python3-karborclient, unchanged, against our server: every command of it, and one whole story."""
import shutil

import pytest

import images
from definition import Disk
from osc import Openstack
from waiting import wait_until

SERVER = "OS::Nova::Server"
pytestmark = pytest.mark.skipif(not shutil.which("karbor"), reason="this release has no python3-karborclient")


def rows(table):
    """The rows of a table that the client printed, as dictionaries."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row)) for row in cells[1:]]


def fields(table):
    """What `show` printed: property to value."""
    return {r["Property"]: r["Value"] for r in rows(table)}


@pytest.fixture
def story(server, lab, guests, folder):
    """A server that knows a guest, with a provider."""
    guest = guests.new()
    provider = server.provider(folder / "repo")
    server.platform(lab.uri)
    return server, guest, provider


def test_whole_story(story):
    """A plan for a real guest, two checkpoints by schedule, the guest destroyed, and brought back running."""
    server, guest, provider = story
    karbor = server.karbor
    guest.set_marker("before")
    instances = rows(karbor("protectable-list-instances", SERVER))
    assert [i["Id"] for i in instances if i["Id"]] == [guest.uuid]  # a row may take several lines
    plan = fields(karbor("plan-create", "web", provider["id"], f"{guest.uuid}={SERVER}={guest.name}"))["id"]
    trigger = fields(karbor("trigger-create", "often", "time", "format=crontab,pattern=* * * * *"))["id"]
    karbor("scheduledoperation-create", "keep two", "retention_protect", trigger,
           f"plan_id={plan},provider_id={provider['id']},max_backups=2,retention_duration=10")

    def available():
        found = rows(karbor("checkpoint-list", provider["id"], "--plan_id", plan))
        return [r for r in found if r["Status"] == "available"]

    wait_until(lambda: len(available()) >= 2, 200, lambda: f"two checkpoints by schedule\n{server.log_text()}", every=2)
    newest = server.get(f"providers/{provider['id']}/checkpoints?plan_id={plan}&status=available")["checkpoints"][0]
    assert newest["made_by"] != "manual"
    guest.remove()
    guest.forget_console()
    restore = fields(karbor("restore-create", provider["id"], newest["id"]))["id"]
    wait_until(lambda: fields(karbor("restore-show", restore))["status"] != "in_progress", 180, "the restore ends", every=1)
    assert fields(karbor("restore-show", restore))["status"] == "success", karbor("restore-show", restore)
    guest.wait_ready()
    assert guest.marker == "before"


@pytest.fixture
def stack(server):
    """The other client, with a token of ours in place of Keystone's."""
    token = server.post("/v1/tokens", {"token": {"name": "cli"}})["token"]["token"]
    with Openstack("--os-auth-type", "admin_token", "--os-endpoint", f"{server.url}/v1/{server.project}",
                   "--os-token", token) as stack:
        yield stack


def test_openstack_commands(server, lab, guests, folder, stack):
    """Every `openstack data protection` command, over a machine that is shut off."""
    images.create(folder / "a.qcow2", 4 << 20)
    guest = guests.bare([Disk("vda", folder / "a.qcow2")], agent=False)
    provider = server.provider(folder / "repo")["id"]
    server.platform(lab.uri)
    assert [p["Id"] for p in stack.json("provider", "list")] == [provider]
    assert stack.json("provider", "show", provider)["name"] == "local"
    assert {"Protectable type": SERVER} in stack.json("protectable", "list")
    assert stack.json("protectable", "show", SERVER)["name"] == SERVER
    assert [i["Id"] for i in stack.json("protectable", "instance", "list", SERVER)] == [guest.uuid]
    assert stack.json("protectable", "instance", "show", SERVER, guest.uuid)["name"] == guest.name
    plan = stack.json("plan", "create", "web", provider, f"{guest.uuid}={SERVER}={guest.name}", "--description", "d")["id"]
    assert stack.json("plan", "show", "web")["id"] == plan, "also by its name"
    stack("plan", "update", plan, "--name", "web2", "--status", "started")
    assert [p["Name"] for p in stack.json("plan", "list", "--all-projects", "--sort", "name:asc")] == ["web2"]
    # The client's own defects: it takes the properties for an object, and needs them for each change.
    assert "has no attribute 'get'" in stack.fails("trigger", "create", "t", "time", "format=crontab,pattern=0 2 * * *")
    trigger = fields(server.karbor("trigger-create", "often", "time", "format=crontab,pattern=0 2 * * *"))["id"]
    assert "'properties'" in stack.fails("trigger", "update", trigger, "--name", "t2")
    stack("trigger", "update", trigger, "--name", "t2", "--properties", "pattern=0 3 * * *,format=crontab")
    assert [t["Name"] for t in stack.json("trigger", "list")] == ["t2"]
    assert "0 3 * * *" in str(stack.json("trigger", "show", trigger)["properties"])
    scheduled = stack.json("scheduledoperation", "create", "s", "protect", trigger,
                           f"plan_id={plan},provider_id={provider}")["id"]
    assert [s["Id"] for s in stack.json("scheduledoperation", "list")] == [scheduled]
    assert plan in str(stack.json("scheduledoperation", "show", scheduled))
    checkpoint = stack.json("checkpoint", "create", provider, plan, "--extra_info", "a=b")["id"]
    wait_until(lambda: stack.json("checkpoint", "show", provider, checkpoint)["status"] == "available", 60,
               "the checkpoint is available", every=0.5)
    assert [c["Id"] for c in stack.json("checkpoint", "list", provider, "--plan_id", plan)] == [checkpoint]
    guest.remove()
    for kind in "verification", "restore":
        made = stack.json(kind, "create", provider, checkpoint)["id"]
        wait_until(lambda k=kind, m=made: stack.json(k, "show", m)["status"] == "success", 60, f"{kind} ends", every=0.5)
        assert [x["Id"] for x in stack.json(kind, "list")] == [made]
    logs = stack.json("operationlog", "list")
    assert {log["Operation Type"] for log in logs} == {"protect", "verify", "restore"}
    stack("operationlog", "show", logs[0]["Id"])
    stack("quotas", "update", server.project, "--plans", "7")
    assert stack.json("quotas", "show", "--tenant", server.project)["plans"] == 7
    assert stack.json("quotas", "default", "--tenant", server.project)["plans"] != 7
    stack("quotaclass", "update", "default", "--plans", "8")
    assert stack.json("quotaclass", "show", "default")["plans"] == 8
    [service] = stack.json("service", "list", "--binary", "karbor-operationengine")
    assert stack.json("service", "disable", service["Id"], "--reason", "mended")["disabled_reason"] == "mended"
    assert stack.json("service", "enable", service["Id"])["status"] == "enabled"
    stack("scheduledoperation", "delete", scheduled)
    stack("trigger", "delete", trigger)
    stack("checkpoint", "reset", "state", provider, checkpoint, "--available")
    stack("checkpoint", "delete", provider, checkpoint)
    stack("plan", "delete", plan)
    assert "No plan" in stack.fails("plan", "show", "web2")
