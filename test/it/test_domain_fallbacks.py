# SPDX-License-Identifier: Apache-2.0
"""Change tracking that cannot be trusted: the backup goes on with a wider read, says why, and stores nothing twice."""
import json

import pytest

import images
from definition import Disk
from images import MIB

SIZE = 48 * MIB
STORED_TWICE = 3 * MIB  # far less than what the disks hold, more than what a test changes


class Case:
    """A domain without a guest system on a disk of noise, and its repository; written to as a guest would."""

    def __init__(self, guest, repo, folder):
        self.guest, self.repo, self.folder = guest, repo, folder
        self.held = []

    def protect(self, *options):
        """A checkpoint, with an independent copy of the same instant put beside it."""
        off = self.guest.state == "shut off"
        if off:
            point = self.repo.protect(self.guest, *options)
            self.keep(point)
        else:
            with self.guest.suspended():
                point = self.repo.protect(self.guest, *options)
                self.keep(point)
        return point

    def keep(self, point):
        self.held.append((point, self.guest.hold("vda", self.folder / f"{point.id}.raw")))

    def fell_back(self, *words):
        """The next checkpoint reads all, says why in these words, and stores only what is new."""
        point = self.protect()
        disk = point.disks["vda"]
        assert disk["mode"] == "full" and disk["reason"], disk
        assert any(w in disk["reason"] for w in words), disk["reason"]
        assert point.stored < STORED_TWICE, "what was stored already was stored again"
        return point

    def all_restore(self):
        for point, copy in self.held:
            assert self.repo.gives_back(point, "vda", copy), f"checkpoint {self.held.index((point, copy))}"


@pytest.fixture
def case(guests, repo, folder):
    disk = images.raw_file(folder / "noise.raw", SIZE, [(0, 12 * MIB, 1)])
    images.qemu_img("convert", "-O", "qcow2", disk, folder / "a.qcow2")
    guest = guests.bare([Disk("vda", folder / "a.qcow2")], agent=False).start()
    case = Case(guest, repo, folder)
    yield case
    case.all_restore()


def tracks_again(case):
    """After the fallback, increments work as before."""
    case.guest.poke("vda", 20 * MIB, 65536, 99)
    point = case.protect()
    assert point.modes() == {"vda": "incremental"} and point.disks["vda"]["stats"]["read_bytes"] < 4 * MIB


def test_hypervisor_crash(case):
    """kill -9 of QEMU leaves bitmaps that say nothing."""
    case.protect()
    case.guest.destroy()
    case.guest.start()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.crash()
    assert "in-use" in str(images.bitmaps(case.guest.path())), "the crash did no harm: this test shows nothing"
    case.guest.start()
    case.fell_back("missing or broken")
    tracks_again(case)
    assert len(case.guest.checkpoints()) == 1, "checkpoints without a bitmap are left behind"


def test_hypervisor_crash_without_a_saved_bitmap(case):
    """The bitmap never reached the image: libvirt knows of it, and nothing is there."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.crash()
    assert images.bitmaps(case.guest.path()) == {}
    case.guest.start()
    case.fell_back("missing or broken")
    tracks_again(case)
    assert len(case.guest.checkpoints()) == 1, "checkpoints without a bitmap are left behind"


def test_hypervisor_crash_then_shut_off(case):
    """After a crash the domain stays off: its bitmaps are no base for reading it off either."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.crash()
    case.fell_back("missing or broken")


def test_libvirt_forgot(case):
    """libvirt's knowledge of the checkpoint is lost, its bitmap is not: it is told again."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    name, = case.guest.checkpoints()
    case.guest.lab.virsh("checkpoint-delete", case.guest.name, name, "--metadata")
    point = case.protect()
    disk = point.disks["vda"]
    assert (disk["mode"], disk["reason"]) == ("incremental", None)
    assert disk["stats"]["read_bytes"] < 4 * MIB
    tracks_again(case)
    assert len(case.guest.checkpoints()) == 1
    case.guest.destroy()
    assert len(images.bitmaps(case.guest.path())) == 1, "bitmaps that nobody knows pile up in the image"


def test_libvirt_forgot_while_off(case):
    """The same through undefine and define of a domain that is off, as some cloud managers do at every start."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.destroy()
    case.guest.lab.virsh("undefine", case.guest.name, "--checkpoints-metadata")
    case.guest.define()
    case.guest.start()
    case.guest.poke("vda", 3 * MIB, MIB, 2)
    point = case.protect()
    disk = point.disks["vda"]
    assert disk["mode"] == "incremental" or disk["reason"]
    assert point.stored < STORED_TWICE
    tracks_again(case)
    case.guest.destroy()
    assert len(images.bitmaps(case.guest.path())) == 1, "bitmaps that nobody knows pile up in the image"


def test_bitmap_removed(case):
    """Somebody removed the bitmap while the domain was off."""
    point = case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.destroy()
    images.qemu_img("bitmap", "--remove", case.guest.path(), point.disks["vda"]["tracking"])
    case.guest.start()
    case.fell_back("missing or broken")
    tracks_again(case)


def test_bitmap_removed_and_off(case):
    point = case.protect()
    case.guest.destroy()
    images.qemu_img("bitmap", "--remove", case.guest.path(), point.disks["vda"]["tracking"])
    images.write_into(case.guest.path(), 2 * MIB, images.noise(MIB, 5))
    case.fell_back("missing or broken")


def test_disk_replaced(case):
    """The same name, another file."""
    case.protect()
    case.guest.destroy()
    case.guest.disks["vda"] = Disk("vda", case.folder / "other.qcow2")
    images.qemu_img("convert", "-O", "qcow2", case.folder / "a.qcow2", case.guest.path())
    images.write_into(case.guest.path(), 30 * MIB, images.noise(MIB, 6))
    case.guest.define()
    case.guest.start()
    case.fell_back("another disk", "missing or broken")
    tracks_again(case)


def test_disk_replaced_in_its_place(case):
    """Another file under the same path."""
    case.protect()
    case.guest.destroy()
    images.qemu_img("convert", "-O", "qcow2", case.guest.path(), case.folder / "new.qcow2")
    images.write_into(case.folder / "new.qcow2", 30 * MIB, images.noise(MIB, 6))
    (case.folder / "new.qcow2").rename(case.guest.path())
    case.guest.start()
    case.fell_back("missing or broken")
    tracks_again(case)


def test_external_snapshot(case):
    """A snapshot puts an overlay on top: increments go on through it, and through its removal."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.lab.virsh("snapshot-create-as", case.guest.name, "--disk-only", "--no-metadata",
                         "--diskspec", f"vda,file={case.folder}/overlay.qcow2")
    case.guest.poke("vda", 3 * MIB, MIB, 2)
    base = case.guest.disks["vda"]
    case.guest.disks["vda"] = Disk("vda", case.folder / "overlay.qcow2")
    point = case.protect()
    disk = point.disks["vda"]
    assert disk["mode"] == "incremental" or disk["reason"]
    assert point.stored < STORED_TWICE
    tracks_again(case)
    case.guest.lab.virsh("blockcommit", case.guest.name, "vda", "--active", "--pivot", "--wait", seconds=120)
    case.guest.disks["vda"] = base
    case.guest.poke("vda", 6 * MIB, MIB, 3)
    point = case.protect()
    assert point.disks["vda"]["mode"] == "incremental" or point.disks["vda"]["reason"]
    assert point.stored < STORED_TWICE
    tracks_again(case)


def test_external_snapshot_and_off(case):
    """Off, on an overlay: what was written before and after the snapshot is in the checkpoint."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.lab.virsh("snapshot-create-as", case.guest.name, "--disk-only", "--no-metadata",
                         "--diskspec", f"vda,file={case.folder}/overlay.qcow2")
    case.guest.poke("vda", 3 * MIB, MIB, 2)
    case.guest.disks["vda"] = Disk("vda", case.folder / "overlay.qcow2")
    case.guest.destroy()
    point = case.protect()
    assert point.disks["vda"]["mode"] == "incremental" or point.disks["vda"]["reason"]
    assert point.stored < STORED_TWICE


@pytest.mark.parametrize("between", [False, True], ids=["at-once", "after-a-backup"])
def test_snapshot_reverted(case, between):
    """The overlay is thrown away: the disk goes back in time, with or without a checkpoint in the lost time."""
    base = case.guest.disks["vda"]
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    case.guest.lab.virsh("snapshot-create-as", case.guest.name, "--disk-only", "--no-metadata",
                         "--diskspec", f"vda,file={case.folder}/overlay.qcow2")
    case.guest.poke("vda", 3 * MIB, MIB, 2)
    if between:
        case.guest.disks["vda"] = Disk("vda", case.folder / "overlay.qcow2")
        case.protect()
        case.guest.poke("vda", 9 * MIB, MIB, 3)
    case.guest.destroy()
    case.guest.disks["vda"] = base
    case.guest.define()
    case.guest.start()
    case.guest.poke("vda", 5 * MIB, MIB, 4)
    point = case.protect()
    assert point.disks["vda"]["mode"] == "incremental" or point.disks["vda"]["reason"]
    assert point.stored < STORED_TWICE
    tracks_again(case)


def test_base_deleted(case):
    """The point that the bitmap starts from is gone: an older one is compared with."""
    case.protect()
    case.guest.poke("vda", MIB, MIB, 1)
    second = case.protect()
    case.repo.run("checkpoint", "delete", second.id, "--yes")
    case.held.pop()
    case.guest.poke("vda", 3 * MIB, MIB, 2)
    case.fell_back("still here")
    tracks_again(case)
    assert len(case.guest.checkpoints()) == 1


def test_all_deleted(case):
    """All points are gone: a first backup again, but what is stored is found."""
    case.protect()
    case.repo.run("checkpoint", "delete", "latest", "--yes")
    case.held.clear()
    point = case.protect()
    assert point.modes() == {"vda": "full"} and point["parent"] is None
    assert point.stored < STORED_TWICE
    assert len(case.guest.checkpoints()) == 1


def host_offsets(path):
    """Where an image keeps the clusters of its content: (guest offset, length, offset in the file)."""
    extents = json.loads(images.qemu_img("map", "-f", "qcow2", "--output=json", path))
    return [(e["start"], e["length"], e["offset"]) for e in extents if e["data"] and "offset" in e]


def test_bitmap_that_lies(case):
    """Content changed behind QEMU's back: the sample that is read all the same notices."""
    case.protect()
    case.guest.destroy()
    with open(case.guest.path(), "r+b") as f:
        for start, length, offset in host_offsets(case.guest.path()):
            f.seek(offset)
            f.write(images.noise(length, start + 1000))
    case.guest.start()
    with case.guest.suspended():
        point = case.repo.protect(case.guest)
        case.keep(point)
    assert point.modes() == {"vda": "full"} and "change tracking says" in point.disks["vda"]["reason"]


def test_image_without_bitmaps(guests, repo, folder):
    """qcow2 version 2 cannot hold a bitmap; that is said, and not in a way that is wrong for other qcow2 images."""
    images.create(folder / "a.qcow2", 16 * MIB, options="compat=0.10")
    guest = guests.bare([Disk("vda", folder / "a.qcow2")], agent=False).start()
    guest.poke("vda", MIB, MIB, 1)
    case = Case(guest, repo, folder)
    first = case.protect()
    assert first.disks["vda"]["tracking"] is None and guest.checkpoints() == []
    guest.poke("vda", 3 * MIB, MIB, 2)
    second = case.protect()
    assert second.modes() == {"vda": "full"} and second["parent"] == first.id
    assert second.disks["vda"]["stats"]["new_bytes"] <= 2 * MIB
    reason = second.disks["vda"]["reason"]
    assert "cannot track changes" in reason and reason != "qcow2 images cannot track changes", reason
    case.all_restore()
