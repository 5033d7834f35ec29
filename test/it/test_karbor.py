# SPDX-License-Identifier: Apache-2.0
"""Debian's python3-karborclient, unchanged, against our server: every command of it, and one whole story."""
import shutil

import pytest

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
    restore = fields(karbor("restore-create", provider["id"], newest["id"]))["id"]
    wait_until(lambda: fields(karbor("restore-show", restore))["status"] != "in_progress", 180, "the restore ends", every=1)
    assert fields(karbor("restore-show", restore))["status"] == "success", karbor("restore-show", restore)
    guest.forget_console()
    guest.wait_ready()
    assert guest.marker == "before"
