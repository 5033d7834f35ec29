# SPDX-License-Identifier: Apache-2.0
"""Domains that do not run: read through qemu-nbd, which keeps them from being started meanwhile."""
import pytest

import images
from definition import Disk
from images import MIB
from lab import VirshError


def qcow2(path, size, pieces=(), options=None):
    images.raw_file(f"{path}.raw", size, pieces)
    images.qemu_img("convert", "-O", "qcow2", *(["-o", options] if options else []), f"{path}.raw", path)
    return path


def test_never_started(guests, repo, folder):
    """Every kind of disk of a domain that has never run."""
    disks = [Disk("vda", qcow2(folder / "a.qcow2", 24 * MIB, [(MIB, 2 * MIB, 1)])),
             Disk("vdb", images.raw_file(folder / "b.raw", 8 * MIB + 512, [(4 * MIB, MIB, 2)]), "raw"),
             Disk("vdc", qcow2(folder / "c.qcow2", 8 * MIB, [(0, MIB, 3)], "compat=0.10")),
             Disk("vdd", images.create(folder / "d.qcow2", 8 * MIB))]
    guest = guests.bare(disks)
    point = repo.protect(guest, "--consistency", "required")
    assert point.consistency == {"asked": "required", "achieved": "shut-off", "why_less": None, "frozen_seconds": 0}
    assert set(point.modes().values()) == {"full"}
    assert point.disks["vda"]["stats"]["read_bytes"] <= 3 * MIB, "the allocation map was not used"
    for name in guest.disks:
        assert repo.gives_back(point, name, guest.hold(name, folder / name)), name
    again = repo.protect(guest)
    assert again["parent"] == point.id and again["stats"]["new_bytes"] == 0
    assert repo.scratch_is_clean()


def test_incremental_while_off(guests, repo, folder):
    """Bitmaps go on after a clean shutdown, and while somebody writes to the image with QEMU's tools."""
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 64 * MIB))], agent=False).start()
    guest.poke("vda", 0, 16 * MIB, 1)
    first = repo.protect(guest)
    guest.poke("vda", 20 * MIB, MIB, 2)
    guest.destroy()

    def protect_held():
        point = repo.protect(guest)
        return point, guest.hold("vda", folder / f"{point.id}.raw")

    second, held_second = protect_held()
    images.write_into(guest.path(), 30 * MIB, images.noise(MIB, 7))
    third, held_third = protect_held()
    for point in (second, third):
        assert point.modes() == {"vda": "incremental"} and point.consistency["achieved"] == "crash"
        assert "switched off" in point.consistency["why_less"]
        assert point.disks["vda"]["stats"]["read_bytes"] < 6 * MIB
        assert point.disks["vda"]["tracking"] is None, "a domain that is off gets no new bitmap"
    assert third["parent"] == second.id
    guest.start()
    guest.poke("vda", 40 * MIB, MIB, 3)
    with guest.suspended():
        fourth, held_fourth = protect_held()
    assert fourth.modes() == {"vda": "incremental"}
    assert guest.checkpoints() == [fourth.disks["vda"]["tracking"]]
    assert repo.gives_back(second, "vda", held_second)
    assert repo.gives_back(third, "vda", held_third)
    assert repo.gives_back(fourth, "vda", held_fourth)
    assert repo.verify()["damaged_ranges"] == 0 and first.id != fourth.id


def test_real_guest_shut_down(guest, repo, folder):
    """A guest that was shut down in its own way: its increment is small, and its file system whole."""
    repo.protect(guest)
    guest.set_marker("before-the-end")
    guest.shut_down()
    point = repo.protect(guest)
    assert point.modes() == {"vda": "incremental"} and point.consistency["achieved"] == "shut-off"
    assert point.disks["vda"]["stats"]["read_bytes"] < 16 * MIB
    assert repo.gives_back(point, "vda", guest.hold("vda", folder / "held.raw"))
    guest.remove()
    guest.forget_console()
    repo.restore_domain("latest", "--start")
    guest.wait_ready()
    assert guest.marker == "before-the-end"


@pytest.mark.parametrize("fmt", ["qcow2", "raw"])
def test_cannot_be_started_while_read(guests, repo, folder, fmt):
    """All images are locked before the first byte is read, until the last is: here the last is tried."""
    disk = images.raw_file(folder / "b.raw", 16 * MIB)
    if fmt == "qcow2":
        disk = images.create(folder / "b.qcow2", 16 * MIB)
    # The first disk is larger, so that the other one is not read yet; it is of no use to the second domain.
    first = Disk("vda", qcow2(folder / "a.qcow2", 64 * MIB, [(0, 48 * MIB, 1)]))
    guest = guests.bare([first, Disk("vdb", disk, fmt)], agent=False)
    other = guests.bare([Disk("vda", disk, fmt)], agent=False)
    with repo.paused_midway(repo.start_protect(guest)) as run:
        with pytest.raises(VirshError, match="lock"):
            guest.start()
        with pytest.raises(VirshError, match="lock"):
            other.start()
        run.resume()
        run.wait()
    guest.start()


@pytest.mark.parametrize("fmt", ["qcow2", "raw"])
def test_in_use_by_another(guests, repo, folder, fmt):
    """A disk that another domain writes to is not read as if it stood still: the error says so."""
    guest = guests.bare([Disk("vda", images.create(folder / "disk", 4 * MIB, fmt), fmt)], agent=False)
    other = guests.bare([Disk("vda", guest.path(), fmt)], agent=False).start()
    done = repo.protect(guest, code="busy")
    assert "lock" in done.error["message"]
    assert "lock" in repo.protect_disk(guest.path(), "--format", fmt, code="busy").error["message"]
    other.destroy()
    repo.protect(guest)
    repo.protect_disk(guest.path(), "--format", fmt)


def test_volume_of_a_pool(guests, repo, folder):
    """A disk that names a volume of a pool can be read while the domain runs, and when it is off left out."""
    (folder / "pool").mkdir()
    images.create(folder / "pool/v.qcow2", 16 * MIB)
    lab = guests.lab
    lab.virsh("pool-create-as", "volumes", "dir", "--target", folder / "pool")
    try:
        disk = ("<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>"
                "<source pool='volumes' volume='v.qcow2'/><target dev='vdb' bus='virtio'/></disk>")
        guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 8 * MIB))], agent=False, extra=disk)
        error = repo.protect(guest, code="unsupported").error
        assert "vdb" in error["message"] and "leave the disk out" in error["message"]
        assert set(repo.protect(guest, "--except", "vdb").modes()) == {"vda"}
        guest.start()
        point = repo.protect(guest)
        assert set(point.modes()) == {"vda", "vdb"}
        assert "pool/volumes.xml" in {i["name"] for i in point.resource["items"]}
        guest.destroy()
    finally:
        lab.virsh("pool-destroy", "volumes")


def test_no_disks_and_no_domain(guests, repo, folder):
    """What cannot be protected, and what is not there."""
    guest = guests.bare([], agent=False)
    assert "no disk" in repo.protect(guest, code="invalid").error["message"]
    error = repo.protect("no-such-domain", code="not-found").error
    assert "resource list" in error["message"]


def test_image_is_gone(guests, repo, folder):
    """The definition names a file that is not there."""
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", MIB))], agent=False)
    guest.path().unlink()
    error = repo.protect(guest, code="not-found").error
    assert str(guest.path()) in error["message"]
    assert repo.sessions() == [] and repo.scratch_is_clean()


def test_empty_drives_are_no_disks(guests, repo, folder):
    """CD-ROMs and floppies are not protected, with or without a medium."""
    iso = images.raw_file(folder / "cd.iso", MIB, [(0, 4096, 1)])
    extra = (f"<disk type='file' device='cdrom'><source file='{iso}'/><target dev='hda' bus='ide'/><readonly/></disk>"
             "<disk type='file' device='cdrom'><target dev='hdb' bus='ide'/><readonly/></disk>")
    guest = guests.bare([Disk("vda", images.create(folder / "a.qcow2", 4 * MIB))], agent=False, extra=extra)
    assert set(repo.protect(guest).modes()) == {"vda"}
    guest.start()
    assert set(repo.protect(guest).modes()) == {"vda"}
