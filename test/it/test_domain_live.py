# SPDX-License-Identifier: Apache-2.0
"""Running domains: one instant, only what changed, and every checkpoint whole."""
import subprocess

import images
from definition import Disk
from images import MIB

# Where mkguest.sh puts the root file system on the guest's disk.
ROOT_OFFSET = 41 * MIB


def features(raw):
    """The features of the ext4 file system inside a raw disk of a guest."""
    done = subprocess.run(["debugfs", "-R", "features", f"{raw}?offset={ROOT_OFFSET}"], capture_output=True, text=True,
                          check=True, timeout=60)
    return next(line for line in done.stdout.splitlines() if line.startswith("Filesystem features:")).split()[2:]


def fsck(raw):
    """What e2fsck says about it without repairing anything; 0: clean."""
    return subprocess.run(["e2fsck", "-fn", f"{raw}?offset={ROOT_OFFSET}"], capture_output=True, check=False,
                          timeout=60).returncode


def test_freeze_full_incremental_and_back(guests, repo):
    """The whole story: protect, change, protect, change, protect; lose everything; restore; boot."""
    guest = guests.new()
    guest.set_marker("one")
    full = repo.protect(guest)
    assert full.modes() == {"vda": "full"} and full.disks["vda"]["reason"] is None
    assert full.consistency["achieved"] == "quiesced" and full.consistency["why_less"] is None
    assert 0 < full.consistency["frozen_seconds"] < 10
    assert guest.freezes() == ["freeze", "thaw"]

    guest.set_marker("two")
    guest.write_noise("/data/noise", 4)
    second = repo.protect(guest)
    assert second.modes() == {"vda": "incremental"} and second.disks["vda"]["reason"] is None
    assert second["parent"] == full.id
    assert 4 * MIB <= second.disks["vda"]["stats"]["read_bytes"] < 24 * MIB
    assert guest.freezes() == ["freeze", "thaw"] * 2

    guest.set_marker("three")
    third = repo.protect(guest)
    assert third.modes() == {"vda": "incremental"}
    assert third.disks["vda"]["stats"]["read_bytes"] < 12 * MIB
    assert guest.checkpoints() == [third.disks["vda"]["tracking"]]
    assert repo.scratch_is_clean()

    uuid, name = guest.uuid, guest.name
    guest.remove()
    assert repo.verify()["damaged_ranges"] == 0
    for point, marker in ((full, "one"), (third, "three")):
        guest.forget_console()
        repo.restore_domain(point, "--start")
        guest.wait_ready(agent=False)
        assert (guest.marker, guest.boots) == (marker, 2)
        assert guest.lab.virsh("domuuid", name) == uuid
        guest.remove()


def test_mixed_disks(guests, repo, folder):
    """A qcow2 disk that grows, one that is plugged in between, a raw one: each is read in the way it can be."""
    vdb = Disk("vdb", images.create(folder / "b.qcow2", 96 * MIB))
    vdc = Disk("vdc", images.raw_file(folder / "c.raw", 40 * MIB, [(5 * MIB, 3 * MIB, 1)]), "raw")
    guest = guests.new([vdb, vdc])
    guest.write_noise("/dev/vdb", 20)

    def protect_held():
        with guest.suspended():
            point = repo.protect(guest, "--consistency", "off")
            return point, {name: guest.hold(name, folder / f"{point.id}.{name}") for name in guest.disks}

    first, held = protect_held()
    assert first.modes() == {"vda": "full", "vdb": "full", "vdc": "full"}
    assert [d["reason"] for d in first.disks.values()] == [None] * 3
    assert first.consistency["achieved"] == "crash" and first.consistency["frozen_seconds"] == 0
    assert first.disks["vdb"]["stats"]["read_bytes"] < 32 * MIB, "the allocation map was not used"
    everything = {first.id: (first, held)}

    guest.attach(Disk("vdd", images.create(folder / "d.qcow2", 32 * MIB)))
    guest.lab.virsh("blockresize", guest.name, "vdb", 128 * 1024)
    guest.sh("dd if=/dev/urandom of=/dev/vdb bs=1M count=2 seek=120 conv=notrunc,fsync;"
             "dd if=/dev/urandom of=/dev/vdb bs=1M count=1 seek=3 conv=notrunc,fsync;"
             "dd if=/dev/urandom of=/dev/vdc bs=1M count=2 seek=20 conv=notrunc,fsync;"
             "dd if=/dev/urandom of=/dev/vdd bs=1M count=4 seek=1 conv=notrunc,fsync;"
             "echo more >/data/more; sync")
    second, held = protect_held()
    assert second.modes() == {"vda": "incremental", "vdb": "incremental", "vdc": "full", "vdd": "full"}
    assert "raw" in second.disks["vdc"]["reason"] and second.disks["vdd"]["reason"] == "it is new"
    assert second.disks["vda"]["reason"] is None and second.disks["vdb"]["reason"] is None
    assert second.disks["vdb"]["size_bytes"] == 128 * MIB
    assert second.disks["vdb"]["stats"]["read_bytes"] < 12 * MIB
    assert second.disks["vdc"]["stats"]["new_bytes"] <= 4 * MIB, "what was stored already was stored again"
    everything[second.id] = (second, held)

    guest.sh("blkdiscard -o 8388608 -l 4194304 /dev/vdb; dd if=/dev/zero of=/dev/vdd bs=1M count=2 conv=fsync")
    third, held = protect_held()
    assert third.modes() == {"vda": "incremental", "vdb": "incremental", "vdc": "full", "vdd": "incremental"}
    assert third.disks["vdb"]["stats"]["new_bytes"] == 0, "zeros are not content"
    everything[third.id] = (third, held)

    for point, held in everything.values():
        for name, copy in held.items():
            assert repo.gives_back(point, name, copy), f"{name} of {point.modes()}"
    with open(everything[third.id][1]["vdb"], "rb") as f:
        f.seek(8 * MIB)
        assert not any(f.read(4 * MIB)), "the guest's discard did not reach the disk: this test shows nothing"


def test_quiesced_file_system_is_clean(guest, repo, folder):
    """With the agent the file system in the checkpoint needs no recovery; without it, under load, it does."""
    guest.start_ticking()
    quiesced = repo.protect(guest, "--consistency", "required")
    crash = repo.protect(guest, "--consistency", "off")
    assert (quiesced.consistency["achieved"], quiesced.consistency["asked"]) == ("quiesced", "required")
    assert (crash.consistency["achieved"], crash.consistency["asked"]) == ("crash", "off")
    assert guest.freezes() == ["freeze", "thaw"]
    guest.wait_tick()
    raw = repo.restore_disk(quiesced, "vda", folder / "q.raw")
    assert "needs_recovery" not in features(raw) and fsck(raw) == 0
    raw = repo.restore_disk(crash, "vda", folder / "c.raw")
    assert "needs_recovery" in features(raw), "the guest did not write: this test shows nothing"


def test_only_some_disks(guests, repo, folder):
    """--disk and --except; a disk that was left out once is not called new, and keeps its change tracking."""
    disks = [Disk(n, images.create(folder / f"{n}.qcow2", 16 * MIB)) for n in ("vda", "vdb", "vdc")]
    guest = guests.bare(disks, agent=False).start()
    for number, disk in enumerate(guest.disks, 1):
        guest.poke(disk, MIB, MIB, number)
    repo.protect(guest)
    part = repo.protect(guest, "--disk", "vda", "--disk", "vdc")
    assert part.modes() == {"vda": "incremental", "vdc": "incremental"}
    part = repo.protect(guest, "--except", "vda", "--except", "vdc")
    assert set(part.modes()) == {"vdb"}
    guest.poke("vda", 3 * MIB, MIB, 9)
    with guest.suspended():
        whole = repo.protect(guest)
        held = {name: guest.hold(name, folder / name) for name in guest.disks}
    assert set(whole.modes()) == {"vda", "vdb", "vdc"}
    for name, disk in whole.disks.items():
        assert repo.gives_back(whole, name, held[name])
        assert disk["reason"] != "it is new", f"{name} was protected before"
        assert disk["stats"]["new_bytes"] <= (2 * MIB if name == "vda" else 0), name
    repo.protect(guest, "--disk", "vdx", code="invalid")
    repo.protect(guest, *[f"--except=vd{n}" for n in "abc"], code="invalid")


def test_neighbours_are_left_alone(guests, make_repo, folder):
    """Checkpoints of other tools, and two repositories that protect one domain side by side."""
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 32 * MIB))], agent=False).start()
    one, other = make_repo(), make_repo()
    guest.poke("vda", MIB, 2 * MIB, 1)
    guest.lab.virsh("checkpoint-create-as", guest.name, "nightly", "--diskspec", "vda,checkpoint=bitmap")
    # A name like ours that is not one of ours.
    guest.lab.virsh("checkpoint-create-as", guest.name, "holdfast-mine", "--diskspec", "vda,checkpoint=bitmap")
    theirs = {"nightly", "holdfast-mine"}

    def protect(repo):
        with guest.suspended():
            point = repo.protect(guest)
            held = guest.hold("vda", folder / f"{point.id}.raw")
        return point, held

    first, held_first = protect(one)
    guest.poke("vda", 4 * MIB, MIB, 2)
    second, held_second = protect(other)
    assert second.modes() == {"vda": "full"} and second["parent"] is None
    guest.poke("vda", 8 * MIB, MIB, 3)
    third, held_third = protect(one)
    assert third.modes() == {"vda": "incremental"}
    # What both wrote since the first: 1 MiB before and 1 MiB after the other's backup.
    assert 2 * MIB <= third.disks["vda"]["stats"]["read_bytes"] < 6 * MIB
    guest.poke("vda", 12 * MIB, MIB, 4)
    fourth, held_fourth = protect(other)
    assert fourth.modes() == {"vda": "incremental"}
    assert set(guest.checkpoints()) == theirs | {p.disks["vda"]["tracking"] for p in (third, fourth)}
    assert one.gives_back(first, "vda", held_first) and one.gives_back(third, "vda", held_third)
    assert other.gives_back(second, "vda", held_second) and other.gives_back(fourth, "vda", held_fourth)


def test_old_tracking_goes_only_after_the_commit(guests, repo, folder):
    """While a backup reads, both checkpoints are there; afterwards only the new one."""
    size = 64 * MIB
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", size))], agent=False).start()
    first = repo.protect(guest)
    guest.poke("vda", 0, size // 2, 7)
    run = repo.start_protect(guest)
    run.stop_when(guest.job, "its job runs")
    assert first.disks["vda"]["tracking"] in guest.checkpoints() and len(guest.checkpoints()) == 2
    run.resume()
    second = run.wait().json
    assert guest.checkpoints() == [second["resources"][0]["disks"][0]["tracking"]]


def test_another_programs_backup_job(guests, repo, folder):
    """A backup job that is not ours is not touched: we are told to wait, and it goes on."""
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 16 * MIB))], agent=False).start()
    xml = folder / "backup.xml"
    xml.write_text(f"<domainbackup mode='pull'><server transport='unix' socket='{folder}/other'/></domainbackup>")
    guest.lab.virsh("backup-begin", guest.name, xml)
    error = repo.protect(guest, code="busy").error
    assert "another program" in error["message"] and error["retryable"]
    assert f"{folder}/other" in guest.job() and guest.checkpoints() == []
    guest.lab.virsh("domjobabort", guest.name)
    repo.protect(guest)


def test_by_uuid_full_tags_and_items(guest, repo):
    """What a checkpoint says about itself."""
    repo.protect(guest, "--tag", "why=test")
    point = repo.protect(guest.uuid, "--full", "--tag", "why=test", "--tag", "a=b=c", "--compression", "19")
    assert point["tags"] == ["why=test", "a=b=c"]
    assert point.modes() == {"vda": "full"} and "was asked for" in point.disks["vda"]["reason"]
    assert point.stored < 4 * MIB
    assert (point.resource["type"], point.resource["id"], point.resource["name"]) == \
        ("domain", guest.uuid, guest.name)
    assert {i["name"] for i in point.resource["items"]} >= {"domain.xml", "domain-live.xml"}
    assert repo.protect(guest).modes() == {"vda": "incremental"}, "a --full one tracks changes as well"
    listed = repo.run("resource", "list", "-c", repo.lab.uri).json
    mine = next(r for r in listed if r["name"] == guest.name)
    assert mine["state"] == "running" and mine["disks"][0]["size_bytes"] == 192 * MIB
