# SPDX-License-Identifier: Apache-2.0
"""The server with a real guest: protect, restore, verify, copy, delete, and what happens when something dies."""
import datetime

import pytest

import images
from definition import Disk
from images import MIB
from server import Refused
from waiting import wait_until

SERVER = "OS::Nova::Server"


@pytest.fixture
def cloud(server, lab, guests, folder):
    """A server that knows one guest, with a provider and a plan for it."""
    return Cloud(server, lab, guests.new(), folder)


class Cloud:
    def __init__(self, server, lab, guest, folder):
        self.server, self.lab, self.guest, self.folder = server, lab, guest, folder
        self.provider = server.provider(folder / "repo")["id"]
        self.platform = server.platform(lab.uri)["id"]
        self.plan = server.post("plans", {"plan": {
            "name": "web", "provider_id": self.provider, "parameters": {},
            "resources": [{"id": guest.uuid, "type": SERVER, "name": guest.name}]}})["plan"]["id"]

    @property
    def path(self):
        return f"providers/{self.provider}/checkpoints"

    def protect(self, state="succeeded"):
        made = self.server.post(self.path, {"checkpoint": {"plan_id": self.plan}})["checkpoint"]
        assert made["status"] == "protecting"
        self.server.wait_operation(made["operation_id"], state=state)
        return self.checkpoint(made["id"])

    def checkpoint(self, id):
        return self.server.get(f"{self.path}/{id}")["checkpoint"]

    def start_restore(self, checkpoint, **options):
        parameters = {SERVER: options} if options else {}
        return self.server.post("restores", {"restore": {
            "provider_id": self.provider, "checkpoint_id": checkpoint, "parameters": parameters}})["restore"]

    def restore(self, checkpoint, **options):
        made = self.start_restore(checkpoint, **options)
        self.server.wait_operation(made["operation_id"])
        return self.server.get(f"restores/{made['id']}")["restore"]


def test_protect_and_restore(cloud):
    """Twice protected, destroyed, restored: it runs again as it was, and everything is told on the way."""
    guest, server = cloud.guest, cloud.server
    guest.set_marker("one")
    first = cloud.protect()
    assert first["status"] == "available" and first["bytes_read"] > 0 and first["resource_graph"]
    assert first["resources"][0]["consistency"]
    guest.set_marker("two")
    second = cloud.protect()
    assert 0 < second["bytes_read"] < first["bytes_read"], "the second reads what changed only"
    of_it = server.get(f"checkpoints?resource_id={guest.uuid}")["checkpoints"]
    assert [[r["bytes_read"] for r in k["resources"]] for k in of_it] == [[second["bytes_read"]], [first["bytes_read"]]]
    assert len(server.get(f"operations?resource_id={guest.uuid}")["operations"]) == 2
    guest.remove()
    guest.forget_console()
    restored = cloud.restore(second["id"])
    assert restored["status"] == "success"
    assert list(restored["resources_status"].values()) == ["success"]
    guest.wait_ready()
    assert guest.marker == "two"
    operation = server.operation(second["operation_id"])
    assert [s["state"] for s in operation["steps"]] == ["done"] * len(operation["steps"])
    log = server.get(f"operations/{second['operation_id']}/log")["log"]
    assert all(line["text"] for line in log)


def test_verify_copy_delete(cloud):
    """A checkpoint is verified, copied to another target, deleted; the copy restores, and space comes back."""
    guest, server = cloud.guest, cloud.server
    guest.set_marker("copied")
    made = cloud.protect()
    v = server.post("verifications", {"verification": {"provider_id": cloud.provider, "checkpoint_id": made["id"]}})
    server.wait_operation(v["verification"]["operation_id"])
    assert server.get(f"verifications/{v['verification']['id']}")["verification"]["status"] == "success"
    assert cloud.checkpoint(made["id"])["verified_ok"] is True
    other = server.provider(cloud.folder / "other", "other")["id"]
    answer = server.post(f"{cloud.path}/action",
                         {"copy": {"plan_id": cloud.plan, "parameters": {"provider_id": other}}})["copy"]
    copy = answer["checkpoint_id"][0]["checkpoint_copy_id"]
    wait_until(lambda: server.get(f"providers/{other}/checkpoints/{copy}")["checkpoint"]["status"] == "available", 90,
               lambda: f"the copy is there\n{server.log_text()}", every=0.3)
    gone = server.do("DELETE", f"{cloud.path}/{made['id']}")
    server.wait_operation(gone["operation_id"])
    assert cloud.checkpoint(made["id"])["status"] == "deleted"
    assert server.get(cloud.path)["checkpoints"] == []
    guest.remove()
    guest.forget_console()
    restore = server.post("restores", {"restore": {"provider_id": other, "checkpoint_id": copy, "parameters": {}}})
    server.wait_operation(restore["restore"]["operation_id"])
    guest.wait_ready()
    assert guest.marker == "copied"


def test_killed_in_the_middle(cloud):
    """The server, with its mover, dies by kill -9 while it protects and while it restores: both end well."""
    guest, server = cloud.guest, cloud.server
    guest.set_marker("survives")
    made = server.post(cloud.path, {"checkpoint": {"plan_id": cloud.plan}})["checkpoint"]
    wait_until(lambda: server.operation(made["operation_id"])["state"] == "running", 60, "it runs", every=0.05)
    server.kill()
    server.start()
    server.wait_operation(made["operation_id"], 240)
    assert cloud.checkpoint(made["id"])["status"] == "available"
    guest.remove()
    guest.forget_console()
    restore = cloud.start_restore(made["id"])
    wait_until(lambda: server.operation(restore["operation_id"])["state"] == "running", 60, "it runs", every=0.05)
    server.kill()
    server.start()
    server.wait_operation(restore["operation_id"], 240)
    guest.wait_ready()
    assert guest.marker == "survives"


def test_deleted_while_it_is_made(cloud):
    """Whatever state a checkpoint is in, its owner can delete it."""
    server = cloud.server
    made = server.post(cloud.path, {"checkpoint": {"plan_id": cloud.plan}})["checkpoint"]
    server.do("DELETE", f"{cloud.path}/{made['id']}")
    wait_until(lambda: cloud.checkpoint(made["id"])["status"] == "deleted", 120,
               lambda: f"it is gone: {cloud.checkpoint(made['id'])}\n{server.log_text()}", every=0.3)
    assert cloud.protect()["status"] == "available", "nothing stays behind that would be in the way"


def test_a_guest_that_is_gone(cloud):
    """A plan whose machine is not there fails, says which one, and leaves nothing. A look tells what else is there."""
    cloud.guest.remove()
    cloud.lab.virsh("pool-create-as", "fast", "dir", "--target", cloud.folder)
    cloud.server.wait_operation(cloud.server.post(f"platforms/{cloud.platform}/discover")["operation_id"])
    cloud.lab.virsh("pool-destroy", "fast")
    offers = cloud.server.get(f"platforms/{cloud.platform}")["platform"]["offers"]
    pool, = offers["pools"]
    assert (pool["name"], pool["path"]) == ("fast", str(cloud.folder)) and 0 < pool["free_bytes"] < pool["bytes"]
    assert offers["networks"] == []
    failed = cloud.protect(state="failed")
    assert failed["status"] == "error" and cloud.guest.name in failed["reason"], failed


def test_restore_beside_the_original(cloud, guests):
    """While the machine is there, a restore needs another name, and says so."""
    made = cloud.protect()
    refused = cloud.start_restore(made["id"])
    cloud.server.wait_operation(refused["operation_id"], state="failed")
    copy = guests.restored("beside")
    (cloud.folder / "to").mkdir()
    restored = cloud.restore(made["id"], restore_name="beside", directory=str(cloud.folder / "to"), start=True)
    assert restored["status"] == "success"
    copy.forget_console()
    assert copy.state == "running"


def test_wrong_parameters(cloud):
    """Options that nobody has are refused, and nothing is started."""
    server = cloud.server
    made = cloud.protect()
    for parameters, says in [({SERVER: {"bogus": 1}}, "bogus"), ({"Nonsense": {}}, "Nonsense"),
                             ({f"{SERVER}#00000000-0000-0000-0000-000000000000": {}}, "None of the resources")]:
        with pytest.raises(Refused) as refused:
            server.post("restores", {"restore": {"provider_id": cloud.provider, "checkpoint_id": made["id"],
                                                 "parameters": parameters}})
        assert refused.value.status == 400 and says in refused.value.message
    assert server.get("restores")["restores"] == []


def test_what_a_policy_asks_for(cloud):
    """Copied and verified by themselves, and kept until then; outside of its window only people begin."""
    server = cloud.server
    other = server.provider(cloud.folder / "other", "other")["id"]
    spec = {"schedules": [{"name": "s", "retention": {"last": 1}}], "manual": {"last": 1}, "consistency": "off",
            "verify": {"after": 1}, "limits": {"bandwidth": "200MiB", "concurrent": 1},
            "copy": {"provider_id": other, "retention": {"last": 9}, "keep_until_copied": True}}
    policy = server.post("policies", {"policy": {"name": "p", "spec": spec}})["policy"]
    server.do("PUT", f"plans/{cloud.plan}", {"plan": {"policy_id": policy["id"]}})
    made = server.post(cloud.path, {"checkpoint": {"plan_id": cloud.plan}})["checkpoint"]
    copies = f"providers/{other}/checkpoints"
    server.wait_operation(made["operation_id"])
    assert cloud.checkpoint(made["id"])["resources"][0]["consistency"] == "crash", "it was not frozen"
    second = cloud.protect()
    wait_until(lambda: [c["status"] for c in server.get(copies)["checkpoints"]] == ["available"] * 2, 120,
               lambda: f"both are copied\n{server.log_text()}", every=0.3)
    wait_until(lambda: cloud.checkpoint(second["id"])["verified_ok"] and
               cloud.checkpoint(made["id"])["status"] == "deleted", 120,
               lambda: f"it is verified, and the first went after it was copied\n{server.log_text()}", every=0.3)
    kinds = [o["kind"] for o in server.get("operations")["operations"] if o["created_by"] == "policy"]
    assert kinds.count("copy") == 2 and "verify" in kinds

    now = datetime.datetime.now(datetime.timezone.utc)
    window = {"start": f"{(now.hour + 2) % 24:02}:00", "end": f"{(now.hour + 3) % 24:02}:00"}
    server.do("PUT", f"policies/{policy['id']}", {"policy": {"spec": {"window": window}}})
    trigger = server.post("triggers", {"trigger_info": {"name": "t", "type": "event",
                                                        "properties": {"event": "webhook"}}})["trigger_info"]
    server.post("scheduled_operations", {"scheduled_operation": {
        "name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
        "operation_definition": {"provider_id": cloud.provider, "plan_id": cloud.plan}}})

    def fire():
        server.post(f"/v1/hooks/{trigger['id']}", {}, headers={"X-Holdfast-Token": trigger["token"]}, user=None)
        firings = f"triggers/{trigger['id']}/firings"
        wait_until(lambda: server.get(firings)["firings"][0]["state"] != "pending", 30, "it fires", every=0.1)
        return server.get(firings)["firings"][0]

    assert fire()["state"] == "fired"
    waiting = server.get("operations?state=queued")["operations"]
    assert len(waiting) == 1
    waiting = waiting[0]["id"]
    wait_until(lambda: any("waits for the window" in x["text"] for x in server.get(f"operations/{waiting}/log")["log"]),
               30, "it waits", every=0.1)
    again = fire()
    assert again["state"] == "skipped" and "wait for it" in again["reason"]
    cloud.protect()
    assert server.operation(waiting)["state"] == "queued"
    server.post(f"operations/{waiting}/cancel")
    server.wait_operation(waiting, state="cancelled")


def test_machines_that_belong_together(server, lab, guests, folder):
    """A consistency group: one point of both; one of them is restored, all is verified, copied and deleted."""
    pair = [guests.bare([Disk("vda", images.raw_file(folder / f"{n}.raw", 24 * MIB, [(0, 8 * MIB, n)]), "raw")],
                        agent=False).start() for n in "ab"]
    cloud = Cloud(server, lab, pair[0], folder)
    both = [{"id": g.uuid, "type": SERVER, "name": g.name} for g in pair]
    plan = server.do("PUT", f"plans/{cloud.plan}", {"plan": {
        "consistency_group": True, "resources": both, "parameters": {f"{SERVER}#{pair[1].uuid}": {"consistency": "off"}},
    }})["plan"]
    assert plan["consistency_group"] is True
    made = cloud.protect()
    assert made["protection_plan"]["consistency_group"] is True
    instant, = made["instants"]
    assert set(instant["resources"]) == {g.uuid for g in pair} and instant["frozen"] is False
    assert 0 < instant["window_us"] < 10_000_000 and instant["at"] == made["instant_at"]
    first, second = sorted(made["resources"], key=lambda r: r["id"] == pair[1].uuid)
    assert first["point_id"] == second["point_id"] == instant["point_id"]
    assert "agent" in first["consistency_reason"] and second["consistency_reason"] is None
    assert [first["bytes_read"], second["bytes_read"]] == [8 * MIB] * 2 and made["bytes_read"] == 16 * MIB
    v = server.post("verifications", {"verification": {"provider_id": cloud.provider, "checkpoint_id": made["id"]}})
    server.wait_operation(v["verification"]["operation_id"])
    shown = server.get(f"verifications/{v['verification']['id']}")["verification"]
    assert set(shown["resources_status"].values()) == {"success"} and len(shown["resources_status"]) == 2
    other = server.provider(folder / "other", "other")["id"]
    server.post(f"{cloud.path}/action", {"copy": {"plan_id": cloud.plan, "parameters": {"provider_id": other}}})
    wait_until(lambda: [k["status"] for k in server.get(f"providers/{other}/checkpoints")["checkpoints"]] ==
               ["available"], 90, lambda: f"it is copied\n{server.log_text()}", every=0.3)
    copy = server.get(f"providers/{other}/checkpoints")["checkpoints"][0]
    copied, = server.get(f"providers/{other}/checkpoints/{copy['id']}")["checkpoint"]["instants"]
    assert {**copied, "point_id": instant["point_id"]} == instant and copied["point_id"] != instant["point_id"]
    held = images.to_raw(pair[1].path(), folder / "held.raw", "raw")
    pair[1].remove()
    one = server.post("restores", {"restore": {"provider_id": cloud.provider, "checkpoint_id": made["id"], "parameters": {
        f"{SERVER}#{pair[1].uuid}": {"start": False}}}})["restore"]
    server.wait_operation(one["operation_id"])
    assert list(server.get(f"restores/{one['id']}")["restore"]["resources_status"].values()) == ["success"]
    assert images.same(pair[1].path(), held)
    server.wait_operation(server.do("DELETE", f"{cloud.path}/{made['id']}")["operation_id"])
