# SPDX-License-Identifier: Apache-2.0
"""The whole server when what it stands on fails: its database is away, its disk is full, its clock jumps."""
import contextlib
import os
import pathlib
import signal
import time
import uuid

import pytest

import images
from definition import Disk
from images import MIB
from server import Refused, Server
from waiting import wait_until


def slow_plan(server, lab, guests, folder, rate):
    """A plan of a machine that is off, with 24 MiB that are read no faster than `rate`; (provider, plan)."""
    image = images.raw_file(folder / "a.raw", 48 * MIB, [(MIB, 24 * MIB, 1)])
    guest = guests.bare([Disk("vda", image, "raw")], agent=False)
    provider = server.provider(folder / "repo")["id"]
    server.platform(lab.uri)
    policy = server.post("policies", {"policy": {"name": "slow", "spec": {"limits": {"bandwidth": rate}}}})["policy"]
    return provider, server.post("plans", {"plan": {
        "name": "web", "provider_id": provider, "policy_id": policy["id"], "parameters": {},
        "resources": [{"id": guest.uuid, "type": "OS::Nova::Server", "name": guest.name}]}})["plan"]["id"]


def begin(server, provider, plan):
    """A protect that reads its disk at this moment."""
    made = server.post(f"providers/{provider}/checkpoints", {"checkpoint": {"plan_id": plan}})["checkpoint"]
    wait_until(lambda: (server.operation(made["operation_id"])["progress"] or {}).get("bytes_read"), 90,
               lambda: f"it reads\n{server.log_text()}", every=0.1)
    return made


def finish(server, provider, made):
    """It ends well, in one attempt of each step."""
    operation = server.wait_operation(made["operation_id"])
    assert server.get(f"providers/{provider}/checkpoints/{made['id']}")["checkpoint"]["status"] == "available"
    assert [s["attempt"] for s in operation["steps"]] == [1] * len(operation["steps"])


# ---- the database

def processes_of(postgres):
    main = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    children = pathlib.Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [main, *map(int, children)]


def test_database_is_away(holdfast, lab, guests, folder, postgres):
    """PostgreSQL dies and comes back, and stands still for a while, while a machine is protected: nothing is lost."""
    url = postgres.new_database()
    with Server(holdfast, folder, url + ("&" if "?" in url else "?") + "patience=2") as server:
        provider, plan = slow_plan(server, lab, guests, folder, "6MiB")
        made = begin(server, provider, plan)
        postgres.call("crash")
        try:
            with pytest.raises(Refused) as no:
                server.get("plans")
            assert no.value.status in (502, 503, 504)
            time.sleep(4)  # longer than it is patient, and until the mover is done
        finally:
            postgres.call("again")
        wait_until(lambda: server.ask("GET", f"/v1/{server.project}/plans").status == 200, 60, "it answers again")
        finish(server, provider, made)

        made = begin(server, provider, plan)
        stopped = processes_of(postgres)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(4)
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        finish(server, provider, made)


# ---- the disk

def test_disk_is_full(holdfast, folder, small_folder):
    """No room for the server's state: what was acknowledged is there, what was not is told, and it goes on with room."""
    small = small_folder(24)
    with Server(holdfast, folder, state={"directory": small / "state"}) as server:
        server.state = small / "state"
        server.password = (server.state / "first-password").read_text().strip()
        with open(small / "ballast", "wb") as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(65536))
        names, refused = [], None
        while not refused and len(names) < 2000:
            name = str(uuid.uuid4())
            answer = server.ask("POST", f"/v1/{server.project}/policies", {"policy": {
                "name": name, "description": "x" * 250, "spec": {}}})
            if answer.status == 201:
                names.append(name)
            else:
                refused = answer
        assert refused and refused.status == 507 and "make room" in refused.text
        assert server.get("policies?limit=1")["policies"] or not names, "it can still be read"
        (small / "ballast").unlink()
        names.append(str(uuid.uuid4()))
        server.post("policies", {"policy": {"name": names[-1], "spec": {}}})
        server.kill()
        server.start()
        seen, marker = set(), ""
        while True:
            page = server.get(f"policies?limit=1000{marker}")["policies"]
            seen |= {p["name"] for p in page}
            if len(page) < 1000:
                break
            marker = f"&marker={page[-1]['id']}"
        assert set(names) <= seen


# ---- the clock

def test_clock_jumps(wrong_clocks, lab, guests, folder, monkeypatch):
    """A day and ten years on and back, while a machine is protected: no lease is lost, nothing fires twice or never."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    offset = folder / "offset"

    def jump(days):
        # At once, and not empty in between.
        (folder / "next").write_text(f"{days:+}d\n")
        (folder / "next").rename(offset)
        time.sleep(1.5)

    (folder / "offset").write_text("+0\n")
    for name, value in [("LD_PRELOAD", str(library)), ("FAKETIME_TIMESTAMP_FILE", str(offset)),
                        ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]:
        monkeypatch.setenv(name, value)
    with Server(wrong_clocks[0], folder) as server:
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE"):
            monkeypatch.delenv(name)
        provider, plan = slow_plan(server, lab, guests, folder, "2MiB")
        token = server.post("/v1/tokens", {"token": {"name": "t", "days": 1, "project_id": server.project}})["token"]
        empty = server.post("plans", {"plan": {"name": "empty", "provider_id": provider, "resources": [], "selectors": [
            {"type": "OS::Nova::Server", "name": "none of that name"}]}})["plan"]["id"]
        trigger = server.post("triggers", {"trigger_info": {"name": "daily", "type": "time", "properties": {
            "format": "crontab", "pattern": "0 12 * * *"}}})["trigger_info"]
        server.post("scheduled_operations", {"scheduled_operation": {
            "name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
            "operation_definition": {"provider_id": provider, "plan_id": empty}}})

        def fired():
            found = server.get(f"triggers/{trigger['id']}/firings")["firings"]
            return [f["at"] for f in found if f["state"] == "fired"]

        made = begin(server, provider, plan)
        jump(1)
        wait_until(lambda: len(fired()) == 1, 30, "the day that was left out is made up for", every=0.2)
        jump(3652)
        wait_until(lambda: len(fired()) == 2, 30, "so are ten years, once", every=0.2)
        jump(0)
        soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
        wait_until(lambda: server.get(f"triggers/{trigger['id']}")["trigger_info"]["next_at"][:10] <= soon, 30,
                   lambda: f"it is to fire tomorrow, not in ten years\n{server.log_text()}", every=0.2)
        jump(-3652)
        finish(server, provider, made)
        jump(0)
        assert len(fired()) == len(set(fired())) == 2
        # What the wrong clock took for old is still there: the session, and what was done.
        known = server.ask("GET", f"/v1/{server.project}/plans", user=None, headers={"X-Auth-Token": token["token"]})
        assert known.status == 200
        assert server.operation(made["operation_id"])
