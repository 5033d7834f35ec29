# SPDX-License-Identifier: Apache-2.0
"""What goes wrong during the backup of a running domain: the guest is never harmed, and nothing is left behind."""
import signal
import time

import pytest

import images
from definition import Disk
from images import MIB
from waiting import wait_until

SIZE = 96 * MIB


@pytest.fixture
def bare(guests, folder):
    """A running domain without a guest system, with a disk that takes a while to read."""
    disk = images.raw_file(folder / "noise.raw", SIZE, [(0, 64 * MIB, 1)])
    images.qemu_img("convert", "-O", "qcow2", disk, folder / "a.qcow2")
    disk.unlink()
    return guests.bare([Disk("vda", folder / "a.qcow2")], agent=False).start()


def paused_midway(repo, guest, *options):
    """A backup that stands still while its job runs in QEMU and a part of the disk is read."""
    return repo.paused_midway(repo.start_protect(guest, *options), guest.job)


def nothing_left(repo, guest, checkpoints):
    """No job, no scratch files, no sockets, no change tracking but what was there, no session."""
    assert guest.job() is None
    assert guest.checkpoints() == checkpoints
    assert repo.scratch_is_clean(), list(repo.scratch.rglob("*"))
    assert repo.sessions() == []


def writes(guest, offset=80 * MIB):
    """A write of the guest goes through."""
    assert guest.poke("vda", offset, MIB, 5) == ""


def right_afterwards(repo, guest, folder, mode="incremental"):
    """The next backup is as if nothing had happened, and restores bit for bit."""
    writes(guest)
    with guest.suspended():
        point = repo.protect(guest)
        held = guest.hold("vda", folder / "after.raw")
    assert point.modes() == {"vda": mode}
    assert guest.checkpoints() == [point.disks["vda"]["tracking"]]
    assert repo.gives_back(point, "vda", held)
    assert guest.job() is None and repo.scratch_is_clean()
    return point


# ---- processes that end

def test_killed(bare, repo, folder):
    """SIGKILL in mid-backup: the next run ends the job, removes its checkpoint, and starts from the old one."""
    first = repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    with paused_midway(repo, bare) as run:
        run.kill()
    assert bare.job(), "the job died with its owner: this test shows nothing"
    assert len(bare.checkpoints()) == 2
    writes(bare)
    point = right_afterwards(repo, bare, folder)
    assert point["parent"] == first.id


def test_killed_and_domain_destroyed(bare, repo, folder):
    """The same, and the domain is off and on again before the next run."""
    repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    with paused_midway(repo, bare) as run:
        run.kill()
    bare.destroy()
    off = repo.protect(bare)
    assert off.modes() == {"vda": "incremental"}
    bare.start()
    right_afterwards(repo, bare, folder)
    bare.destroy()
    assert len(images.bitmaps(bare.path())) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_on_request(bare, repo, folder, number):
    """Ctrl-C: told as what it is, and everything is as before."""
    repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    before = bare.checkpoints()
    with paused_midway(repo, bare) as run:
        run.signal(number)
        run.resume()
        error = run.wait("cancelled").error
    assert error["kind"] == "cancelled"
    nothing_left(repo, bare, before)
    right_afterwards(repo, bare, folder)


def test_stopped_twice(bare, repo, folder):
    """The second Ctrl-C ends it at once; the next run clears up."""
    repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    with paused_midway(repo, bare) as run:
        bare.lab.signal(signal.SIGSTOP)  # so that ending in order takes long
        try:
            run.signal(signal.SIGINT)
            run.resume()
            time.sleep(0.5)
            # Two that come together are one: so until it had its turn in between.
            wait_until(lambda: not run.alive or run.signal(signal.SIGINT), 30, "it ends at once", every=0.5)
        finally:
            bare.lab.signal(signal.SIGCONT)
    assert run.process.returncode == 128 + signal.SIGINT
    right_afterwards(repo, bare, folder)


def test_two_at_once(bare, repo, make_repo, folder):
    """One backup of a domain at a time, whatever the repository; the second is told so at once."""
    other = make_repo()
    other.scratch = repo.scratch
    with paused_midway(repo, bare) as run:
        started = time.monotonic()
        error = repo.protect(bare, code="busy").error
        assert "another backup" in error["message"] and error["retryable"]
        assert other.protect(bare, code="busy").error["kind"] == "busy"
        assert time.monotonic() - started < 20
        assert bare.job(), "the job of the first was ended by the second"
        run.resume()
        run.wait()
    right_afterwards(repo, bare, folder)


def test_two_at_once_with_other_scratch(bare, repo, make_repo):
    """The same where their locks are in different places: the job itself says where."""
    with paused_midway(repo, bare) as run:
        other = make_repo()
        message = other.protect(bare, code="busy").error["message"]
        assert "another backup" in message and str(repo.scratch) in message
        run.resume()
        run.wait()


def test_libvirtd_restarted(bare, repo, folder):
    """An upgrade of libvirt in mid-backup: QEMU goes on, and so do we."""
    repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    with paused_midway(repo, bare) as run:
        bare.lab.restart()
        run.resume()
        point = run.wait().json
    assert bare.job() is None and repo.scratch_is_clean()
    assert bare.checkpoints() == [point["resources"][0]["disks"][0]["tracking"]], \
        "the old change tracking was not dropped"
    right_afterwards(repo, bare, folder)


def test_hypervisor_killed(bare, repo, folder):
    """QEMU dies in mid-backup: what is on its disks is read as it is."""
    repo.protect(bare)
    bare.poke("vda", 0, 32 * MIB, 3)
    with paused_midway(repo, bare) as run:
        bare.crash()
        run.resume()
        point = run.wait().json["resources"][0]
    assert point["consistency"]["achieved"] == "crash"
    assert repo.gives_back("latest", "vda", bare.hold("vda", folder / "held.raw"))
    assert repo.scratch_is_clean()
    bare.start()
    right_afterwards(repo, bare, folder, mode="full")


def test_crashed_is_not_shut_off(bare, repo):
    """After a crash of QEMU the disks are as after a power cut; "shut off" would promise more."""
    bare.crash()
    point = repo.protect(bare)
    assert point.consistency["achieved"] == "crash" and "crashed" in point.consistency["why_less"]
    message = repo.protect(bare, "--consistency", "required", code="unsupported").error["message"]
    assert bare.name in message and "start it" in message


def test_guest_shuts_itself_down(guests, repo, folder):
    """The guest's owner powers it off in mid-backup: it is read as it is then."""
    extra = Disk("vdb", images.raw_file(folder / "b.raw", SIZE, [(0, 64 * MIB, 1)]), "raw")
    guest = guests.new([extra])
    repo.protect(guest, "--disk", "vda")
    guest.set_marker("last-words")
    with paused_midway(repo, guest) as run:
        guest.lab.virsh("shutdown", guest.name)
        run.resume()
        # libvirt takes half a minute to see it: it waits for a lock that the backup has.
        point = run.wait().json["resources"][0]
    assert point["consistency"]["achieved"] == "shut-off"
    for disk in guest.disks:
        assert repo.gives_back("latest", disk, guest.hold(disk, folder / "held.raw")), disk
    assert repo.scratch_is_clean()
    guest.start()
    assert repo.protect(guest).modes()["vda"] == "incremental"
    assert len(guest.checkpoints()) == 1


def test_undefined_during_the_backup(bare, repo, folder):
    """The definition goes while the domain runs on: the backup is complete all the same."""
    with paused_midway(repo, bare) as run:
        bare.lab.virsh("undefine", bare.name, "--checkpoints-metadata")
        run.resume()
        run.wait()
    assert bare.job() is None and repo.scratch_is_clean()
    assert repo.verify()["damaged_ranges"] == 0
    bare.define()
    # Its bitmap is still in the image, and libvirt is told of it again.
    right_afterwards(repo, bare, folder)


def test_destroyed_and_undefined_during_the_backup(bare, repo):
    """Nothing is left of it: a clear error, and nothing left of ours either."""
    with paused_midway(repo, bare) as run:
        with run.slowed():
            # In this order: when it is off and still defined, its disks can be read.
            bare.lab.virsh("undefine", bare.name, "--checkpoints-metadata")
            bare.destroy()
        message = run.wait("unreachable").error["message"]
    assert bare.name in message and "nbd_poll" not in message, message
    assert repo.sessions() == [] and repo.points() == []
    assert repo.scratch_is_clean()


# ---- freezing

def test_required_without_an_agent(bare, repo):
    """Consistency is required and there is no way to it: no backup, and the reason."""
    error = repo.protect(bare, "--consistency", "required", code="unsupported").error
    assert "required" in error["message"] and "agent" in error["message"]
    nothing_left(repo, bare, [])
    point = repo.protect(bare, "--consistency", "best-effort")
    assert point.consistency["achieved"] == "crash" and "agent" in point.consistency["why_less"]
    assert point.consistency["frozen_seconds"] == 0


def test_agent_not_running(guests, repo, guest):
    """The channel is there, the agent is not."""
    guest.leave_behind("kill $(cat /run/qga.pid)")
    started = time.monotonic()
    error = repo.protect(guest, "--consistency", "required", code="timeout").error
    assert "agent" in error["message"]
    nothing_left(repo, guest, [])
    point = repo.protect(guest)
    assert point.consistency["achieved"] == "crash" and "agent" in point.consistency["why_less"]
    assert time.monotonic() - started < 60


def test_agent_is_silent(guest, repo):
    """The agent hangs: the wait is bounded by --freeze-timeout, and the guest goes on writing."""
    guest.start_ticking()
    guest.leave_behind("kill -STOP $(cat /run/qga.pid)")
    started = time.monotonic()
    error = repo.protect(guest, "--consistency", "required", "--freeze-timeout", "2s", code="timeout").error
    assert time.monotonic() - started < 20
    assert "freeze" in error["message"]
    guest.wait_tick()
    nothing_left(repo, guest, [])
    started = time.monotonic()
    point = repo.protect(guest, "--freeze-timeout", "2s")
    assert time.monotonic() - started < 30
    assert point.consistency["achieved"] == "crash" and point.consistency["why_less"]
    guest.wait_tick()


def test_agent_wakes_up_late(guest, repo):
    """The agent gets to the freeze only after we gave up: nobody would thaw it, so somebody must."""
    guest.start_ticking()
    guest.leave_behind("kill -STOP $(cat /run/qga.pid)", "sleep 9; kill -CONT $(cat /run/qga.pid); echo AWAKE >/dev/ttyS0")
    repo.protect(guest, "--freeze-timeout", "2s")
    wait_until(lambda: "AWAKE" in guest.console(), 60, "the agent goes on")
    time.sleep(1)
    guest.wait_tick(seconds=30)


def slow_freeze(guest, seconds):
    """From now on the guest's hook tells of a freeze and takes its time before it."""
    guest.sh(f"""printf '#!/bin/sh\necho "HOOK $1" >/dev/ttyS0\n[ $1 = freeze ] && sleep {seconds}\n"""
             """echo "$1 x" >>/run/fsfreeze.log\n' >/etc/qemu/fsfreeze-hook""")


def freeze_seen(guest, repo, *options):
    """Start a backup and stop libvirtd as soon as the guest is about to be frozen, long before it is thawed."""
    before = guest.console().count("HOOK freeze")
    run = repo.start_protect(guest, *options)
    wait_until(lambda: guest.console().count("HOOK freeze") > before, 60, "the guest freezes", every=0.01)
    guest.lab.signal(signal.SIGSTOP)
    return run


def test_killed_while_frozen(guest, repo):
    """SIGKILL between freeze and thaw: the guard thaws the guest."""
    guest.start_ticking()
    slow_freeze(guest, 1)
    run = freeze_seen(guest, repo)
    try:
        wait_until(lambda: guest.is_still(2), 9, "the guest is frozen")
        run.kill()
    finally:
        guest.lab.signal(signal.SIGCONT)
    guest.wait_tick(seconds=20)
    assert guest.freezes()[-1] == "thaw"
    assert repo.protect(guest).consistency["achieved"] == "quiesced"


def test_frozen_too_long(guest, repo):
    """Starting the job takes longer than the guest may stand still: it is thawed, and the checkpoint says less."""
    guest.start_ticking()
    slow_freeze(guest, 1)
    run = freeze_seen(guest, repo, "--freeze-timeout", "3s")
    try:
        wait_until(lambda: guest.is_still(2), 9, "the guest is frozen")
        time.sleep(2)
    finally:
        guest.lab.signal(signal.SIGCONT)
    point = run.wait().json["resources"][0]
    assert point["consistency"]["achieved"] == "crash" and point["consistency"]["why_less"]
    guest.wait_tick(seconds=20)
    run = freeze_seen(guest, repo, "--freeze-timeout", "3s", "--consistency", "required")
    try:
        wait_until(lambda: guest.is_still(2), 9, "the guest is frozen")
        time.sleep(2)
    finally:
        guest.lab.signal(signal.SIGCONT)
    run.wait("timeout")
    guest.wait_tick(seconds=20)
    assert guest.job() is None and len(guest.checkpoints()) == 1


def test_freeze_takes_too_long(guest, repo):
    """A hook in the guest is slow: we give up waiting, and the guest freezes only after that. It must be thawed."""
    guest.start_ticking()
    slow_freeze(guest, 5)
    point = repo.protect(guest, "--freeze-timeout", "2s")
    assert point.consistency["achieved"] == "crash" and point.consistency["why_less"]
    time.sleep(5)
    guest.wait_tick(seconds=30)


# ---- scratch space

@pytest.fixture
def small(small_folder):
    """A small file system for scratch files."""
    return small_folder(48)


def test_too_little_scratch_to_begin_with(bare, repo, small):
    """The way out is named."""
    error = repo.protect(bare, "--scratch", small, "--scratch-reserve", "40MiB", code="no-space").error
    for word in (str(small), "another scratch folder", "reserve"):
        assert word in error["message"]
    assert bare.job() is None and bare.checkpoints() == [] and not any(small.iterdir())


def test_scratch_fills_up(bare, repo, small, folder):
    """The guest overwrites much while it is read: the backup ends before a write of the guest can fail."""
    first = repo.protect(bare)
    run = repo.start_protect(bare, "--scratch", small, "--scratch-reserve", "20MiB", "--full")
    run.stop_when(bare.job, "its job runs")
    for number in range(60, 28, -1):
        assert bare.poke("vda", number * MIB, MIB, number) == "", "a write of the guest failed"
    assert images.free_bytes(small) < 20 * MIB, "there is still room: this test shows nothing"
    run.resume()
    error = run.wait("no-space").error
    assert str(small) in error["message"] and "guest" in error["message"]
    assert bare.running and bare.job() is None
    assert bare.checkpoints() == [first.disks["vda"]["tracking"]]
    assert not any(small.iterdir()) and repo.sessions() == []
    right_afterwards(repo, bare, folder)
