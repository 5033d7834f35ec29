# SPDX-License-Identifier: Apache-2.0
"""Machines that belong together: one instant for all of them, one point, all or none."""
import signal
import subprocess
import threading
import time

import pytest

import images
from definition import Disk
from images import MIB
from test_domain_faults import slow_freeze
from test_domain_live import ROOT_OFFSET
from waiting import wait_until


@pytest.fixture(scope="module")
def pair(module_guests):
    """Two real machines with agents; both boot at once."""
    pair = [module_guests.new(boot=False) for _ in "ab"]
    for guest in pair:
        guest.start()
    return [guest.wait_ready() for guest in pair]


@pytest.fixture
def bare(guests, folder):
    """Two running domains without guest systems, with disks that take a while to read."""
    disks = []
    for name in "ab":
        raw = images.raw_file(folder / "noise.raw", 96 * MIB, [(0, 32 * MIB, name)])
        images.qemu_img("convert", "-O", "qcow2", raw, folder / f"{name}.qcow2")
        disks.append(Disk("vda", folder / f"{name}.qcow2"))
    return [guests.bare([d], agent=False).start() for d in disks]


def nothing_left(repo, guests, point, points):
    """No job, no scratch files, no change tracking but the point's; so many points."""
    tracking = point.disks["vda"]["tracking"]
    for guest in guests:
        assert guest.job() is None
        assert [c for c in guest.checkpoints() if c.startswith(tracking.removesuffix(point.id))] == [tracking]
    assert repo.scratch_is_clean(), list(repo.scratch.rglob("*"))
    assert len(repo.run("checkpoint", "list").json) == points


class Orders:
    """An application on both machines: what the second knows, the first has written before, and flushed."""

    def __init__(self, pair):
        self.pair, self.n, self.ends = pair, 0, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ends:
            self.n += 1
            for guest in self.pair:
                self.write(guest)

    def write(self, guest):
        """The agent runs nothing and tells nothing while it is frozen."""
        command = {"path": "/bin/sh", "arg": ["-c", f"echo {self.n} >/data/order; sync"]}
        self.until(lambda: guest.agent("guest-exec", command, check=False), "pid")
        started = self.answer["pid"]
        self.until(lambda: guest.agent("guest-exec-status", {"pid": started}, check=False), "exited")

    def until(self, ask, what):
        self.answer = None
        while not self.answer or not self.answer[what]:
            time.sleep(0.02)
            self.answer = ask()

    def __enter__(self):
        self.thread.start()
        self.goes_on()
        return self

    def goes_on(self):
        first = self.n
        wait_until(lambda: self.n > first + 1, 60, "both write", every=0.05)

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()


def order_in(repo, point, guest, folder):
    disk = f"{guest.name}:vda" if len(point["resources"]) > 1 else "vda"
    raw = repo.restore_disk(point, disk, folder / "order.raw")
    done = subprocess.run(["debugfs", "-R", "cat /data/order", f"{raw}?offset={ROOT_OFFSET}"], capture_output=True,
                          text=True, check=True, timeout=60)
    raw.unlink()
    return int(done.stdout)


def test_one_instant(pair, repo, folder):
    """Worth its time: the one thing that a group is for, on real file systems; the second is slow to freeze."""
    slow_freeze(pair[1], 1)
    with Orders(pair) as orders:
        point = repo.protect(pair, "--consistency", "required")
        orders.goes_on()
        # Without a group, what the second knows is not in the first.
        apart = [repo.protect(pair[0], "--consistency", "off")]
        orders.goes_on()
        apart.append(repo.protect(pair[1], "--consistency", "off"))
    assert [r["consistency"]["achieved"] for r in point["resources"]] == ["quiesced"] * 2
    assert 0 < point["window_seconds"] < 10 and [r["name"] for r in point["resources"]] == [g.name for g in pair]
    first, second = (order_in(repo, point, guest, folder) for guest in pair)
    assert second <= first <= second + 1
    first, second = (order_in(repo, p, guest, folder) for p, guest in zip(apart, pair))
    assert first < second, "nothing was ordered between the two: this test shows nothing"
    assert all(p["window_seconds"] == 0 for p in apart)


def test_killed_while_all_are_frozen(pair, repo):
    """SIGKILL in the window: both are thawed, and the next attempt is as if there had been none."""
    for guest in pair:
        slow_freeze(guest, 1)
        guest.start_ticking()
    before = pair[0].console().count("HOOK freeze")
    run = repo.start_protect(pair)
    wait_until(lambda: pair[0].console().count("HOOK freeze") > before, 60, "they freeze", every=0.01)
    pair[0].lab.signal(signal.SIGSTOP)
    try:
        time.sleep(3)
        assert all(guest.is_still() for guest in pair), "they are not frozen: this test shows nothing"
        run.kill()
    finally:
        pair[0].lab.signal(signal.SIGCONT)
    for guest in pair:
        guest.wait_tick(seconds=30)
        assert guest.freezes()[-1] == "thaw"
    point = repo.protect(pair)
    assert [r["consistency"]["achieved"] for r in point["resources"]] == ["quiesced"] * 2
    nothing_left(repo, pair, point, 1)


def test_killed_while_it_reads(bare, repo, folder):
    """Both jobs are ended by the next attempt, which starts both from the point before."""
    repo.protect(bare)
    for guest in bare:
        guest.poke("vda", 40 * MIB, 24 * MIB, 7)
    run = repo.start_protect(bare)
    with repo.paused_midway(run, lambda: all(guest.job() for guest in bare)):
        run.kill()
    assert all(guest.job() for guest in bare), "the jobs ended by themselves: this test shows nothing"
    for guest in bare:
        guest.lab.virsh("suspend", guest.name)
    point = repo.protect(bare)
    assert [d["mode"] for r in point["resources"] for d in r["disks"]] == ["incremental"] * 2
    for guest in bare:
        held = guest.hold("vda", folder / f"{guest.name}.raw")
        assert repo.gives_back(point, f"{guest.name}:vda", held)
    nothing_left(repo, bare, point, 2)


def test_one_cannot_begin(bare, repo, folder):
    """All or none: the other's job is ended again, its change tracking stays where it was."""
    repo.protect(bare[0])
    tracking = bare[0].checkpoints()
    bare[1].lab.virsh("blockcopy", bare[1].name, "vda", folder / "copy.qcow2", "--transient-job")
    repo.protect(bare, code="io")
    assert bare[0].checkpoints() == tracking and bare[0].job() is None
    bare[1].lab.virsh("blockjob", bare[1].name, "vda", "--abort")
    point = repo.protect(bare)
    assert [d["mode"] for r in point["resources"] for d in r["disks"]] == ["incremental", "full"]
    nothing_left(repo, bare, point, 2)


def test_some_cannot_freeze(bare, pair, guests, repo, folder):
    """One without an agent, one that is off: the same instant, and it is told what each is worth."""
    off = guests.bare([Disk("vda", images.create(folder / "off.qcow2", 16 * MIB))], agent=False)
    members = [pair[0], bare[0], off]
    frozen = len(pair[0].freezes())
    assert "agent" in repo.protect(members, "--consistency", "required", code="unsupported").error["message"]
    assert pair[0].freezes()[frozen:] == ["freeze", "thaw"]
    point = repo.protect(members)
    assert [r["consistency"]["achieved"] for r in point["resources"]] == ["quiesced", "crash", "shut-off"]
    assert "agent" in point["resources"][1]["consistency"]["why_less"]
    assert repo.verify()["damaged_ranges"] == 0
    repo.protect([off, off], code="invalid")
