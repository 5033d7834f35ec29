# SPDX-License-Identifier: Apache-2.0
"""Restoring a domain in its place: the old disks stay until the new ones are complete, whatever happens."""
import signal

import pytest

import images
from definition import Disk
from images import MIB

SIZE = 48 * MIB


def filled(path, seed):
    images.raw_file(f"{path}.raw", SIZE, [(0, 16 * MIB, seed), (32 * MIB, 8 * MIB, seed + 100)])
    images.qemu_img("convert", "-O", "qcow2", f"{path}.raw", path)
    return path


class Case:
    """A domain that is off: how it was when it was protected, and how it is now."""

    def __init__(self, guest, repo, folder):
        self.guest, self.repo, self.folder = guest, repo, folder
        self.point = repo.protect(guest)
        self.then = self.copies("then")
        self.definition = guest.lab.virsh("dumpxml", guest.name, "--inactive")
        for disk in guest.disks.values():
            images.write_into(disk.path, 5 * MIB, images.noise(MIB, 50), disk.fmt)
        self.now = self.copies("now")

    def copies(self, when):
        return {name: self.guest.hold(name, self.folder / f"{when}-{name}.raw") for name in self.guest.disks}

    def holds(self, held):
        return all(images.same(self.guest.hold(name, self.folder / "is.raw"), held[name]) for name in self.guest.disks)

    def restore(self, *options, **how):
        return self.repo.restore_domain(self.point, "--in-place", *options, **how)

    def start(self):
        return self.repo.start("restore", "domain", self.point.id, "-c", self.guest.lab.uri, "--in-place")

    def beside(self):
        """Files that are neither disks nor ours."""
        disks = {disk.path for disk in self.guest.disks.values()}
        return [p.name for disk in disks for p in disk.parent.glob(f"{disk.name}*")
                if p not in disks and p.suffix != ".raw"]

    def untouched(self):
        assert self.holds(self.now), "an old disk is gone"
        assert self.beside() == []
        assert self.guest.lab.virsh("dumpxml", self.guest.name, "--inactive") == self.definition


@pytest.fixture
def case(guests, repo, folder):
    disks = [Disk(name, filled(folder / f"{name}.qcow2", seed)) for seed, name in enumerate(("vda", "vdb"), 1)]
    return Case(guests.bare(disks, agent=False), repo, folder)


def test_back_in_time(case):
    """Disks and definition are those of the checkpoint; owner and permissions of the files stay."""
    lab, name = case.guest.lab, case.guest.name
    case.guest.path().chmod(0o640)
    case.guest.how["memory"] = 256
    case.guest.define()
    assert lab.virsh("dumpxml", name, "--inactive") != case.definition
    case.restore()
    assert case.holds(case.then) and case.beside() == []
    assert lab.virsh("dumpxml", name, "--inactive") == case.definition
    assert case.guest.path().stat().st_mode & 0o7777 == 0o640
    case.guest.start()
    # What the bitmaps in the old images said is of no use for the new ones.
    point = case.repo.protect(case.guest)
    assert set(point.modes().values()) == {"full"} and point.stored < 2 * MIB


def test_running_guest(guests, repo):
    """--stop shuts a running guest down in its own way; without it nothing happens to it."""
    guest = guests.new()
    guest.set_marker("then")
    repo.protect(guest)
    guest.set_marker("now")
    message = repo.restore_domain("latest", "--in-place", code="busy").error["message"]
    assert guest.name in message and "stop it" in message
    assert guest.running
    guest.forget_console()
    repo.restore_domain("latest", "--in-place", "--stop", "--start")
    guest.wait_ready()
    assert (guest.marker, guest.boots) == ("then", 2)
    # Its change tracking went with its old disk, and starts anew.
    assert repo.protect(guest).modes() == {"vda": "full"}
    guest.set_marker("later")
    assert repo.protect(guest).modes() == {"vda": "incremental"}
    assert len(guest.checkpoints()) == 1


def test_old_disks_are_kept(case):
    case.restore("--keep-old")
    assert case.holds(case.then)
    for name, disk in case.guest.disks.items():
        old = images.to_raw(f"{disk.path}.old", case.folder / "is.raw")
        assert images.same(old, case.now[name])
    case.restore("--keep-old")
    for name, disk in case.guest.disks.items():
        for kept, what in ((".old", case.now), (".old.2", case.then)):
            old = images.to_raw(f"{disk.path}{kept}", case.folder / "is.raw")
            assert images.same(old, what[name]), "an old disk that was kept before is gone"


def test_one_disk(case):
    """The others, and the definition, stay as they are."""
    case.restore("--disk", "vdx", code="invalid")
    case.restore("--disk", "vdb")
    assert case.holds({"vda": case.now["vda"], "vdb": case.then["vdb"]})
    assert case.guest.lab.virsh("dumpxml", case.guest.name, "--inactive") == case.definition


def test_old_disk_is_lost(case):
    """What is not there any more need not be kept."""
    case.guest.path("vdb").unlink()
    case.restore()
    assert case.holds(case.then) and case.beside() == []


def test_damage(case):
    """The second disk cannot be restored: the first one is as it was as well."""
    pack, = case.repo.packs()
    case.repo.damage(pack, part=0.75)  # blocks lie in the order of the disks
    message = case.restore(code="corrupt").error["message"]
    assert "disk vdb" in message
    case.untouched()


def test_libvirt_is_lost_after_the_exchange(case):
    """The definition cannot be put back: disks that were exchanged already are exchanged back."""
    lab = case.guest.lab
    run = case.start()
    run.stop_when(case.beside, "it writes")
    try:
        lab.signal(signal.SIGKILL)
        run.resume()
        message = run.wait("io").error["message"]
    finally:
        lab.start()
    assert case.guest.name in message
    case.untouched()
    case.restore()
    assert case.holds(case.then)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped(case, number):
    """Ctrl-C leaves nothing; what SIGKILL leaves does no harm and goes with the next try."""
    run = case.start()
    run.stop_when(case.beside, "it writes")
    if run.end(number):
        case.untouched()
    else:
        assert case.holds(case.now), "an old disk is gone"
    case.restore()
    assert case.holds(case.then)


def test_started_meanwhile(case):
    """Somebody starts the domain while its disks are written: it keeps the old ones."""
    run = case.start()
    run.stop_when(case.beside, "it writes")
    case.guest.start()
    run.resume()
    message = run.wait("busy").error["message"]
    assert case.guest.name in message and "started" in message
    assert case.guest.running
    case.guest.destroy()
    case.untouched()


def test_no_room(guests, repo, folder, small_folder):
    """The file system has no room for old and new: told, and the old one stays."""
    place = small_folder(40)
    filled(folder / "a.qcow2", 1).rename(folder / "b.qcow2")
    images.copy(folder / "b.qcow2", place / "a.qcow2")
    case = Case(guests.bare([Disk("vda", place / "a.qcow2")], agent=False), repo, folder)
    message = case.restore(code="no-space").error["message"]
    assert "disk vda" in message and str(place) in message
    case.untouched()


def test_not_there(case):
    """Nothing to replace: the way out is named."""
    case.guest.undefine()
    error = case.restore(code="not-found").error
    assert case.guest.uuid in error["message"]


def test_disk_was_removed(case):
    """The domain has no such disk any more."""
    case.guest.disks.pop("vdb")
    case.guest.define()
    message = case.restore(code="not-found").error["message"]
    assert "vdb" in message and "other disks" in message
    case.restore("--disk", "vda")
