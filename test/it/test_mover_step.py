# SPDX-License-Identifier: Apache-2.0
"""Steps: what each kind does, and that any of them can be killed at any time and run again."""
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

import images
from definition import Disk
from images import MIB
from mover import Mover, Step, program
from waiting import wait_until


@pytest.fixture
def mover(folder, request):
    lab = request.getfixturevalue("lab") if "lab" in request.fixturenames else None
    mover = Mover(folder, lab=lab)
    yield mover
    mover.stop()


@pytest.fixture
def off(lab, guests, mover, folder):
    """A domain that is off, with 24 MiB of noise, and a repository."""
    image = images.raw_file(folder / "a.raw", 48 * MIB, [(MIB, 24 * MIB, 1)])
    mover.init()
    return guests.bare([Disk("vda", image, "raw")], agent=False)


def new_id():
    return str(uuid.uuid4())


# ---- targets

def test_target(mover, folder):
    made = mover.on_target("target.init", label="mine").result
    assert made["created"] and made["url"] == mover.url
    again = mover.on_target("target.init").result
    assert again == {"id": made["id"], "url": mover.url, "created": False}
    seen = mover.on_target("target.check").result
    assert seen["id"] == made["id"] and seen["points"] == 0
    room = os.statvfs(folder)
    assert seen["total_bytes"] == room.f_blocks * room.f_frsize and 0 < seen["free_bytes"] <= seen["total_bytes"]
    assert mover.on_target("target.collect").result["removed_packs"] == 0
    assert mover.on_target("target.verify").result["damaged_objects"] == 0
    other = Mover.__new__(Mover)
    other.__dict__.update(mover.__dict__, key=os.urandom(32).hex())
    failed = other.on_target("target.init", error="wrong-key")
    assert "another key" in failed.error["message"]
    other.on_target("target.check", error="wrong-key")


def test_target_init_killed(mover, folder):
    """Killed anywhere, run again: one repository, whole."""
    for i, moment in enumerate((0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)):
        mover.url = f"dir:{folder}/t{i}"
        step = mover.start("target.init", {"target": mover.target})
        try:
            step.process.wait(moment)
        except subprocess.TimeoutExpired:
            pass
        step.kill()
        first = mover.on_target("target.init").result
        assert mover.on_target("target.check").result["id"] == first["id"]
        assert (folder / f"t{i}" / "holdfast").exists()


def test_absent_target(mover):
    mover.on_target("target.check", error="not-found")


# ---- what comes in

BAD = [
    (b"", "invalid", "no JSON"),
    (b"{", "invalid", "no JSON"),
    (b"[]", "invalid", "must be an object"),
    (b'{"step": "x", "kind": "platform.check", "input": {}}', "invalid", "step 'x' is no UUID"),
    ({"kind": "platform.check", "input": {}}, "invalid", "step is missing"),
    ({"step": new_id(), "input": {}}, "invalid", "kind is missing"),
    ({"step": new_id(), "kind": "platform.check"}, "invalid", "input is missing"),
    ({"step": new_id(), "kind": "platform.check", "input": []}, "invalid", "input must be an object"),
    ({"step": new_id(), "kind": "platform.check", "input": {}, "extra": 1}, "invalid", "extra: there is no such"),
    ({"step": new_id(), "kind": "nothing", "input": {}}, "unsupported", "'nothing'"),
    ({"step": new_id(), "kind": "platform.check", "input": {}}, "invalid", "platform is missing"),
    ({"step": new_id(), "kind": "platform.check", "input": {"platform": {"kind": "vmware"}}}, "invalid", "'vmware'"),
    ({"step": new_id(), "kind": "platform.check", "attempt": 0, "input": {}}, "invalid", "attempt is 0"),
    (b'{"step": 1, "step": 2}', "invalid", "no JSON"),
    (b'{"kind": "' + b"x" * (1 << 20) + b'"}', "limit", "longer than"),
    (b"[" * 5000, "invalid", "no JSON"),
]


@pytest.mark.parametrize("job,kind,message", BAD, ids=range(len(BAD)))
def test_bad_job(job, kind, message):
    assert message in Step(job).wait(kind).error["message"]


KEY = "00" * 32
BAD_TARGETS = [
    ({}, "invalid", "target.url is missing"),
    ({"url": "dir:/nowhere"}, "invalid", "either a key or a passphrase"),
    ({"url": "dir:/nowhere", "key": KEY, "passphrase": "x"}, "invalid", "either a key or a passphrase"),
    ({"url": "dir:/nowhere", "key": "abc"}, "invalid", "target.key"),
    ({"url": "dir:/nowhere", "key": "z" * 64}, "invalid", "key file is damaged"),
    ({"url": "dir:relative", "key": KEY}, "invalid", "the whole path"),
    ({"url": "/etc", "key": KEY}, "invalid", "the whole path"),
    ({"url": "ftp:x", "key": KEY}, "invalid", "write dir:/PATH"),
    ({"url": "dir:/nowhere", "key": KEY, "credentials": {}}, "invalid", "a directory takes none"),
    ({"url": "s3:bucket", "key": KEY}, "invalid", "access_key and secret_key"),
    ({"url": "s3:bucket", "key": KEY, "credentials": {"access_key": "a"}}, "invalid", "access_key and secret_key"),
    ({"url": "s3:bucket", "key": KEY, "credentials": {"access_key": "a", "secret_key": "b", "from_host": True}},
     "invalid", "from_host alone"),
    ({"url": "dir:/no\nwhere", "key": KEY}, "invalid", "control character"),
    ({"url": 5, "key": KEY}, "invalid", "target.url must be a text"),
    ({"url": "dir:/nowhere", "key": KEY, "more": 1}, "invalid", "target.more"),
    ({"url": "dir:/nowhere", "key": KEY}, "not-found", "/nowhere"),
]


@pytest.mark.parametrize("target,kind,message", BAD_TARGETS, ids=range(len(BAD_TARGETS)))
def test_bad_target(target, kind, message):
    job = {"step": new_id(), "kind": "target.check", "input": {"target": target}}
    done = Step(job, env={"AWS_ACCESS_KEY_ID": "of-the-host", "AWS_SECRET_ACCESS_KEY": "x"}).wait(kind)
    assert message in done.error["message"]
    assert KEY not in done.error["message"]


BAD_PROTECT = [
    ({"checkpoint": "x"}, "checkpoint 'x'"),
    ({"consistency": "maybe"}, "consistency 'maybe'"),
    ({"tags": {"holdfast.project": "other"}}, "holdfast.project"),
    ({"tags": {"a=b": "c"}}, "a=b"),
    ({"tags": {"a": 1}}, "tags.a"),
    ({"compression": 20}, "compression is 20"),
    ({"disks": ["vda", 7]}, "disks[1]"),
    ({"lock": {"mode": "forever", "seconds": 5}}, "lock.mode"),
    ({"lock": {"mode": "compliance"}}, "lock.seconds is missing"),
    ({"freeze_timeout_ms": 0}, "freeze_timeout_ms is 0"),
    ({"resources": [{"type": "pod", "id": new_id()}]}, "resources[0].type 'pod'"),
    ({"resources": [{"type": "domain", "id": "web1"}]}, "resources[0].id 'web1'"),
]


def test_bad_protect(lab, mover, off):
    for more, message in BAD_PROTECT:
        fields = {**mover.protect_input(off, new_id()), **more}
        done = mover.run("checkpoint.protect", fields, "invalid")
        assert message in done.error["message"]
    assert mover.points() == []


BAD_RESTORE = [
    ({"mode": "sideways"}, "mode 'sideways'"),
    ({"mode": "in_place", "name": "x"}, "in_place does not go with"),
    ({"stop": True}, "go with mode in_place only"),
    ({"directory": "here"}, "the whole path"),
    ({"directory": "/a", "pool": "b"}, "one of directory and pool"),
    ({"networks": {"a": 1}}, "networks.a"),
]


def test_bad_restore(lab, mover, off):
    point = mover.protect(off)
    for more, message in BAD_RESTORE:
        done = mover.run("checkpoint.restore", mover.restore_input(point, **more), "invalid")
        assert message in done.error["message"]
    missing = mover.run("checkpoint.restore", mover.restore_input({"id": new_id()}), "not-found")
    assert "points/" in missing.error["message"]


def test_usage():
    for words in (("what",), ("step", "--what"), ("step", "--state"), ("--what",), ("--config", "/dev/null")):
        done = subprocess.run([program(), *words], capture_output=True, timeout=30, check=False)
        assert done.returncode == 2 and done.stderr
    done = subprocess.run([program(), "--version"], capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith(b"holdfast-mover ")


# ---- platforms

def test_platform(lab, guests, mover, folder):
    off = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 8 * MIB))], agent=False)
    said = mover.run("platform.check", {"platform": mover.platform}).result
    assert said["hypervisor"] == "QEMU" and said["local"] and said["resources"] >= 1 and said["version"].count(".") == 2
    listed = mover.run("platform.list", {"platform": mover.platform}).result["resources"]
    ours = next(r for r in listed if r["id"] == off.uuid)
    assert (ours["type"], ours["name"], ours["state"]) == ("domain", off.name, "shut-off")
    assert ours["disks"] == [{"name": "vda", "source": str(off.path()), "format": "qcow2", "bytes": 8 * MIB}]
    gone = mover.run("platform.check", {"platform": {"kind": "libvirt",
                                                     "uri": f"qemu:///system?socket={folder}/no"}}, "unreachable")
    assert "connect to libvirt" in gone.error["message"]


# ---- protect

def test_protect_and_back(lab, mover, off, folder, guests):
    checkpoint = new_id()
    done = mover.run("checkpoint.protect", mover.protect_input(off, checkpoint, tags={"tier": "gold"}))
    point = done.result
    assert point["tags"] == {"holdfast.project": "p1", "holdfast.plan": "plan-1", "holdfast.plan_name": "web",
                             "holdfast.checkpoint": checkpoint, "holdfast.resource": off.uuid, "tier": "gold"}
    assert point["instant_us"] <= point["complete_us"]
    assert done.progress[-1]["bytes_done"] == done.progress[-1]["bytes_total"] == 48 * MIB
    assert [p.id for p in mover.points()] == [point["id"]]
    # The same step again: its result was lost.
    again = mover.run("checkpoint.protect", mover.protect_input(off, checkpoint), attempt=2)
    assert again.result["id"] == point["id"] and again.said("earlier attempt")
    # Another checkpoint is another point, that stores nothing.
    second = mover.protect(off)
    assert second.id != point["id"] and second["stats"]["new_bytes"] == 0
    for depth in ("structure", "content"):
        found = mover.on_target("checkpoint.verify", checkpoint=checkpoint, depth=depth).result
        assert (found["checkpoints"], found["damaged_checkpoints"], found["missing"]) == (1, 0, [])
    (folder / "to").mkdir()
    guests.restored("back")  # is removed after the test
    made = mover.run("checkpoint.restore", mover.restore_input(point, name="back", directory=str(folder / "to"))).result
    assert made["name"] == "back" and made["id"] == lab.virsh("domuuid", "back")
    assert images.same(folder / "to" / "back-vda.raw", off.path())


def test_protect_killed(lab, mover, off, folder):
    """kill -9 in the middle, and a cancel; then again: one point, nothing left over."""
    checkpoint = new_id()
    fields = mover.protect_input(off, checkpoint, bytes_per_s=8 * MIB)
    stored = folder / "target"

    def size():
        return sum(f.stat().st_size for f in stored.rglob("*") if f.is_file())

    for number in (signal.SIGKILL, signal.SIGTERM):
        before = size()
        step = mover.start("checkpoint.protect", fields)
        wait_until(lambda: size() > before + MIB or not step.alive, 60, "it stores")
        assert step.alive, "it was over before it could be stopped"
        step.signal(number)
        if number == signal.SIGKILL:
            step.kill()
        else:
            step.wait("cancelled")
        assert mover.points() == []
    point = mover.run("checkpoint.protect", {**fields, "bytes_per_s": 0}).result
    assert [p.id for p in mover.points()] == [point["id"]]
    assert mover.on_target("checkpoint.verify", checkpoint=checkpoint).result["damaged_ranges"] == 0
    assert not any(mover.scratch.iterdir())


def test_bandwidth(lab, mover, off):
    """24 MiB at 8 MiB/s take three seconds."""
    point = mover.protect(off, bytes_per_s=8 * MIB)
    assert 2.5 < point["stats"]["seconds"] < 30


def test_bandwidth_of_reading_back(lab, guests, mover, off, folder):
    """24 MiB at 24 MiB/s take a second, whether they are verified, copied or restored."""
    point = mover.protect(off)
    other = Mover.__new__(Mover)
    other.__dict__.update(mover.__dict__, key=os.urandom(32).hex(), url=f"dir:{folder}/other")
    other.init()
    (folder / "to").mkdir()
    guests.restored("slow")  # is removed after the test
    point_only = {"target": mover.target, "points": [point.id]}
    for kind, job in [("checkpoint.verify", point_only), ("checkpoint.copy", {**point_only, "to": other.target}),
                      ("checkpoint.restore", mover.restore_input(point, name="slow", directory=str(folder / "to")))]:
        began = time.monotonic()
        mover.run(kind, {**job, "bytes_per_s": 24 * MIB})
        assert time.monotonic() - began > 0.8, kind


def test_protect_undone(lab, mover, off):
    kept = mover.protect(off)
    fields = mover.protect_input(off, new_id())
    point = mover.run("checkpoint.protect", fields).result
    for deleted in ([point["id"]], []):
        assert mover.run("checkpoint.protect", fields, undo=True, result=point).result == {"deleted": deleted}
        assert [p.id for p in mover.points()] == [kept.id]


def test_guest_is_thawed(guests, mover):
    """A real guest: frozen for a moment; and thawed when the step is killed while it is frozen."""
    guest = guests.new()
    mover.init()
    point = mover.protect(guest, consistency="required")
    assert point.consistency["achieved"] == "quiesced" and guest.freezes() == ["freeze", "thaw"]
    step = mover.start("checkpoint.protect", mover.protect_input(guest, new_id(), consistency="required"))
    step.stop_when(lambda: any("freeze-guard" in c for c in commands_below(step.process.pid)), "it freezes the guest")
    step.signal(signal.SIGCONT)
    step.kill()
    guest.start_ticking()
    second = mover.protect(guest, consistency="required")
    assert second.consistency["achieved"] == "quiesced"
    assert mover.on_target("checkpoint.verify", points=[point.id, second.id]).result["damaged_ranges"] == 0


def commands_below(pid):
    """The command lines of a process's children."""
    said = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                said.append(pathlib.Path(f"/proc/{child}/cmdline").read_text())
            except FileNotFoundError:
                pass
    return said


# ---- checkpoints

def test_delete(lab, mover, off):
    checkpoint = new_id()
    first, second = mover.protect(off, checkpoint), mover.protect(off)
    ghost = new_id()
    assert mover.on_target("checkpoint.verify", points=[first.id, ghost]).result["missing"] == [ghost]
    for deleted in ([first.id], []):
        assert mover.on_target("checkpoint.delete", checkpoint=checkpoint).result["deleted"] == deleted
    gone = mover.on_target("checkpoint.delete", points=[second.id, ghost, first.id]).result
    assert gone["deleted"] == [second.id] and sorted(gone["absent"]) == sorted([ghost, first.id])
    mover.on_target("checkpoint.delete", error="invalid")
    mover.on_target("checkpoint.delete", error="invalid", points=["x"])
    collected = mover.on_target("target.collect").result
    assert collected["removed_bytes"] > 20 * MIB


def test_list_by_pages(lab, mover, off):
    made = sorted(mover.protect(off).id for _ in range(5))
    seen, after = [], None
    while True:
        page = mover.on_target("checkpoint.list", limit=2, **({"after": after} if after else {})).result
        seen += [p["id"] for p in page["points"]]
        after = page["next"]
        if not after:
            break
    assert seen == made


def test_copy(lab, mover, off, folder):
    points = [mover.protect(off).id for _ in range(2)]
    other = Mover.__new__(Mover)
    other.__dict__.update(mover.__dict__, key=os.urandom(32).hex(), url=f"dir:{folder}/other")
    other.init()
    first = mover.on_target("checkpoint.copy", to=other.target, points=points[:1]).result["copies"]
    assert [(c["from"], c["copied"]) for c in first] == [(points[0], True)]
    done = mover.on_target("checkpoint.copy", to=other.target, points=points).result
    assert [(c["from"], c["copied"]) for c in done["copies"]] == [(points[0], False), (points[1], True)]
    assert done["copies"][1]["point"]["copy_of"] == points[1]
    assert other.on_target("checkpoint.verify", points=[c["point"]["id"] for c in done["copies"]]
                           ).result["damaged_ranges"] == 0
    mover.on_target("checkpoint.copy", error="not-found", to=other.target, points=[new_id()])
    # Undone: only what it made.
    mover.on_target("checkpoint.copy", to=other.target, points=points, undo=True, result=done)
    assert [p["copy_of"] for p in other.points()] == [points[0]]


def test_damage_is_told(lab, mover, off, folder):
    point = mover.protect(off)
    pack = max((folder / "target" / "packs").rglob("*"), key=lambda f: f.stat().st_size if f.is_file() else 0)
    os.chmod(pack, 0o600)
    with open(pack, "r+b") as f:
        f.seek(MIB)
        f.write(bytes(MIB))
    found = mover.on_target("target.verify").result
    assert found["damaged_objects"] == 1 and found["findings"][0]["object"].startswith("packs/")
    hurt = mover.on_target("checkpoint.verify", points=[point.id]).result
    assert hurt["damaged_checkpoints"] == 1 and hurt["findings"][0]["point"] == point.id


# ---- restore

def test_restore_killed(lab, guests, mover, off, folder):
    """Killed in the middle of it: run again, the first attempt's files are gone and the domain is whole."""
    point = mover.protect(off)
    to = folder / "to"
    to.mkdir()
    fields = mover.restore_input(point, name="again", directory=str(to))
    step = mover.start("checkpoint.restore", fields, step=(which := new_id()))
    step.stop_when(lambda: any(to.iterdir()), "it writes")
    # Who takes over while it is still there is told to wait.
    busy = mover.run("checkpoint.restore", fields, "busy", step=which, attempt=2)
    assert "earlier attempt" in busy.error["message"]
    step.kill()
    assert [f.name.startswith("again-vda.raw") for f in to.iterdir()] == [True]
    done = mover.run("checkpoint.restore", fields, step=which, attempt=2)
    assert done.said("removing what an attempt left")
    guests.restored("again")
    assert [f.name for f in to.iterdir()] == ["again-vda.raw"]
    assert images.same(to / "again-vda.raw", off.path())
    # Its word was lost: the same result, and nothing is done.
    once_more = mover.run("checkpoint.restore", fields, step=which, attempt=3)
    assert once_more.result == done.result and once_more.said("earlier attempt")
    # Undone, twice.
    for _ in range(2):
        mover.run("checkpoint.restore", fields, step=which, undo=True, result=done.result)
        assert list(to.iterdir()) == [] and "again" not in lab.domains()
    assert off.name in lab.domains() and off.path().exists()


def test_restore_undone_elsewhere(lab, guests, mover, off, folder):
    """The journal is lost, the result is not."""
    point = mover.protect(off)
    (folder / "to").mkdir()
    fields = mover.restore_input(point, name="gone", directory=str(folder / "to"))
    done = mover.run("checkpoint.restore", fields).result
    mover.run("checkpoint.restore", fields, undo=True, result=done)
    assert list((folder / "to").iterdir()) == [] and "gone" not in lab.domains()


def test_restore_does_not_touch_what_is_there(lab, guests, mover, off, folder):
    """A file is in the way: it stays, also when the step is undone."""
    point = mover.protect(off)
    (folder / "to").mkdir()
    (folder / "to" / "there-vda.raw").write_text("precious")
    fields = mover.restore_input(point, name="there", directory=str(folder / "to"))
    which = new_id()
    mover.run("checkpoint.restore", fields, "exists", step=which)
    mover.run("checkpoint.restore", fields, step=which, undo=True)
    assert (folder / "to" / "there-vda.raw").read_text() == "precious"


def test_restore_in_place(lab, mover, off):
    point = mover.protect(off)
    was = off.path().read_bytes()
    images.write_into(off.path(), 0, images.noise(MIB, 9), "raw")
    fields = mover.restore_input(point, mode="in_place")
    done = mover.run("checkpoint.restore", fields).result
    assert (done["name"], done["id"]) == (off.name, off.uuid)
    assert off.path().read_bytes() == was
    assert mover.run("checkpoint.restore", fields, undo=True, result=done).said("stays as it is")
    assert off.name in lab.domains()


# ---- secrets

def test_secrets_stay_inside(lab, mover, off):
    """The key is in no argument, no variable of the environment, nothing that is said, and no core."""
    step = mover.start("checkpoint.protect", mover.protect_input(off, new_id(), bytes_per_s=12 * MIB))
    wait_until(lambda: pathlib.Path(f"/proc/{step.process.pid}/cmdline").exists(), 10, "it runs")
    proc = pathlib.Path(f"/proc/{step.process.pid}")
    for name in ("cmdline", "environ"):
        assert mover.key.encode() not in (proc / name).read_bytes()
    done = step.wait()
    assert mover.key not in str(done.lines)
    for file in mover.state.rglob("*"):
        assert mover.key.encode() not in file.read_bytes()
