# SPDX-License-Identifier: Apache-2.0
"""Restoring a domain beside what is there: another name, other places, other networks; or only its definition."""
import os
import re
import signal
import xml.etree.ElementTree as ElementTree

import pytest

import images
from definition import Disk
from images import MIB

MAC = "52:54:00:12:34:56"
NET = f"<interface type='network'><mac address='{MAC}'/><source network='blue'/><model type='virtio'/></interface>"


def two_disks(folder):
    a = images.raw_file(folder / "a.raw", 24 * MIB, [(MIB, 8 * MIB, 1)])
    images.qemu_img("convert", "-O", "qcow2", a, folder / "a.qcow2")
    a.unlink()
    return [Disk("vda", folder / "a.qcow2"),
            Disk("vdb", images.raw_file(folder / "b.raw", 12 * MIB, [(4 * MIB, 3 * MIB, 2)]), "raw")]


def xml(lab, name, live=False):
    return ElementTree.fromstring(lab.virsh("dumpxml", name, *([] if live else ["--inactive"])))


def places(lab, name):
    """Where the disks of a domain are, as (format, path) by name."""
    disks = xml(lab, name).findall("devices/disk")
    return {d.find("target").get("dev"): (d.find("driver").get("type"),
                                          d.find("source").get("file") or d.find("source").get("dev"))
            for d in disks}


def holds(lab, name, held, folder):
    """Do the disks of a domain that is off equal these copies, and are there no others?"""
    now = places(lab, name)
    assert set(now) == set(held)
    for disk, (fmt, path) in now.items():
        assert images.same(images.to_raw(path, folder / "now.raw", fmt), held[disk]), f"{disk} of {name}"


@pytest.fixture
def case(guests, repo, folder):
    """A domain that is off, with a network, its checkpoint, and copies of its disks."""
    guest = guests.bare(two_disks(folder), agent=False, extra=NET)
    repo.protect(guest)
    guest.held = {name: guest.hold(name, folder / f"held-{name}.raw") for name in guest.disks}
    (folder / "to").mkdir()
    return guest


def test_beside_the_original(case, guests, repo, folder):
    """Another name in another folder: a domain of its own, that can run beside the original."""
    before = case.lab.virsh("dumpxml", case.name, "--inactive")
    copy = guests.restored("copy")
    done = repo.restore_domain("latest", "--name", copy.name, "--to", folder / "to", "--network", "blue=green",
                               "--network", "other=red").json
    assert done["restored"] == copy.name and done["content_bytes"] == 36 * MIB
    now = xml(case.lab, copy.name)
    assert now.find("uuid").text != case.uuid
    assert now.find("devices/interface/mac").get("address") != MAC
    assert now.find("devices/interface/source").get("network") == "green"
    assert places(case.lab, copy.name) == {"vda": ("qcow2", f"{folder}/to/copy-vda.qcow2"),
                                           "vdb": ("raw", f"{folder}/to/copy-vdb.raw")}
    holds(case.lab, copy.name, case.held, folder)
    assert case.lab.virsh("dumpxml", case.name, "--inactive") == before, "the original was changed"
    holds(case.lab, case.name, case.held, folder)


def test_both_run(guests, repo, folder):
    guest = guests.bare(two_disks(folder), agent=False).start()
    guest.poke("vda", 20 * MIB, MIB, 1)
    repo.protect(guest)
    copy = guests.restored("copy")
    (folder / "to").mkdir()
    repo.restore_domain(f"{guest.name}@latest", "--name", copy.name, "--to", folder / "to", "--start")
    assert guest.running and copy.running


def test_keeps_its_identity_under_another_name(case, guests, repo, folder):
    options = ["--name", "moved", "--to", folder / "to", "--keep-identity"]
    error = repo.restore_domain("latest", *options, code="exists").error
    assert "UUID" in error["message"] and "identity" in error["message"]
    assert not any((folder / "to").iterdir())
    case.undefine()
    moved = guests.restored("moved")
    repo.restore_domain("latest", *options)
    now = xml(case.lab, moved.name)
    assert now.find("uuid").text == case.uuid
    assert now.find("devices/interface/mac").get("address") == MAC
    assert now.find("devices/interface/source").get("network") == "blue"
    holds(case.lab, moved.name, case.held, folder)


def test_as_it_was(case, repo, folder):
    """All is lost: without options it comes back as it was."""
    case.remove()
    repo.restore_domain("latest")
    now = xml(case.lab, case.name)
    assert now.find("uuid").text == case.uuid
    assert now.find("devices/interface/mac").get("address") == MAC
    assert {name: path for name, (_, path) in places(case.lab, case.name).items()} == \
        {name: str(disk.path) for name, disk in case.disks.items()}
    holds(case.lab, case.name, case.held, folder)


def test_nothing_is_overwritten(case, repo):
    """Name or disks are still there: an error that names the ways out, and nothing changes."""
    message = repo.restore_domain("latest", code="exists").error["message"]
    assert case.name in message and "another name" in message and "in place" in message
    message = repo.restore_domain("latest", "--name", "copy", code="exists").error["message"]
    assert str(case.path()) in message and "directory" in message and "pool" in message
    assert case.lab.domains() == [case.name]
    assert images.same(images.to_raw(case.path(), case.folder / "now.raw"), case.held["vda"])


def test_into_a_pool(case, guests, repo, folder):
    """Volumes of the pool are made; after a failure they are gone again."""
    (folder / "pool").mkdir()
    case.lab.virsh("pool-create-as", "fast", "dir", "--target", folder / "pool")
    try:
        error = repo.restore_domain("latest", "--name", "copy", "--pool", "slow", code="not-found").error
        assert "'slow'" in error["message"]
        copy = guests.restored("copy")
        repo.restore_domain("latest", "--name", "copy", "--pool", "fast")
        assert {path for _, path in places(case.lab, "copy").values()} == \
            {f"{folder}/pool/copy-vda.qcow2", f"{folder}/pool/copy-vdb.raw"}
        holds(case.lab, copy.name, case.held, folder)
        for pack in repo.packs():
            repo.damage(pack)
        repo.restore_domain("latest", "--name", "third", "--pool", "fast", code="corrupt")
        assert "third" not in "".join(p.name for p in (folder / "pool").iterdir())
        assert "third" not in case.lab.virsh("vol-list", "fast") and "third" not in case.lab.domains()
    finally:
        case.lab.virsh("pool-destroy", "fast")


def test_only_some_disks(case, guests, repo, folder):
    repo.restore_domain("latest", "--name", "copy", "--to", folder / "to", "--disk", "vdx", code="invalid")
    copy = guests.restored("copy")
    repo.restore_domain("latest", "--name", "copy", "--to", folder / "to", "--disk", "vdb")
    holds(case.lab, copy.name, {"vdb": case.held["vdb"]}, folder)


def test_only_the_definition(case, guests, repo, folder):
    """No disk is written: the domain points at those that are there."""
    copy = guests.restored("copy")
    repo.restore_domain("latest", "--name", copy.name, "--definition-only", "--network", "blue=green")
    now = xml(case.lab, copy.name)
    assert now.find("uuid").text != case.uuid
    assert now.find("devices/interface/source").get("network") == "green"
    assert places(case.lab, copy.name) == places(case.lab, case.name)
    case.remove()
    repo.restore_domain("latest", "--definition-only")
    assert xml(case.lab, case.name).find("uuid").text == case.uuid
    assert not any(disk.path.exists() for disk in case.disks.values())


def test_damage_undoes_it(case, repo, folder):
    """A damaged block: the disk and what to do are named, and no half of a domain stays."""
    for pack in repo.packs():
        repo.damage(pack)
    error = repo.restore_domain("latest", "--name", "copy", "--to", folder / "to", code="corrupt").error
    assert re.search(r"disk vd[ab]", error["message"]), error["message"]
    assert not any((folder / "to").iterdir()) and case.lab.domains() == [case.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped(case, guests, repo, folder, number):
    """Ctrl-C leaves nothing; after SIGKILL there is no domain that could be started on half a disk."""
    run = repo.start("restore", "domain", "latest", "-c", case.lab.uri, "--name", "copy", "--to", folder / "to")
    run.stop_when(lambda: any((folder / "to").iterdir()), "it writes", run=0.004)
    if run.end(number):
        assert not any((folder / "to").iterdir())
    else:
        for left in (folder / "to").iterdir():
            left.unlink()
    assert case.lab.domains() == [case.name]
    copy = guests.restored("copy")
    repo.restore_domain("latest", "--name", "copy", "--to", folder / "to")
    holds(case.lab, copy.name, case.held, folder)


def test_no_room(case, repo, small_folder):
    """The place for the disks is too small: said so, and nothing stays there."""
    place = small_folder(8)
    error = repo.restore_domain("latest", "--name", "copy", "--to", place, code="no-space").error
    assert "disk vda" in error["message"]
    assert not any(place.iterdir()) and case.lab.domains() == [case.name]


def test_what_does_not_go(case, repo, folder):
    """Options that contradict each other, and checkpoints that hold no domain."""
    for options in (["--in-place", "--name", "x"], ["--in-place", "--to", folder], ["--in-place", "--pool", "p"],
                    ["--to", folder, "--pool", "p"], ["--stop"], ["--keep-old"], ["--network", "blue"],
                    ["--network", "=green"], ["--network", "blue="], ["--in-place", "--definition-only"]):
        message = repo.restore_domain("latest", *options, code="invalid").error["message"]
        assert options[0] in message or options[-1] in message
    stream = repo.protect_stdin("pg", b"dump")
    message = repo.restore_domain(stream, code="invalid").error["message"]
    assert "no domain" in message and "checkpoint cat" in message
    message = repo.restore_domain("nothing@latest", code="not-found").error["message"]
    assert "'nothing'" in message and "checkpoint list" in message
    message = repo.restore_domain(case.name + "@latest", "--to", folder / "missing", "--name", "copy",
                                  code="not-found").error["message"]
    assert f"{folder}/missing" in message


# ---- firmware variables

CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"


@pytest.fixture
def uefi(guests, folder):
    """A domain with UEFI firmware, off; its variables are a file of their own, with something in it."""
    if not os.path.exists(CODE):
        pytest.skip(f"there is no {CODE}: the package ovmf is not installed")
    variables = folder / "vars.fd"
    with open(VARIABLES, "rb") as f:
        content = bytearray(f.read())
    content[-4096:] = images.noise(4096, 1)
    variables.write_bytes(content)
    firmware = f"<loader readonly='yes' type='pflash'>{CODE}</loader><nvram>{variables}</nvram>"
    guest = guests.bare(two_disks(folder), agent=False, firmware=firmware)
    guest.variables = variables
    (folder / "to").mkdir()
    return guest


def nvram(lab, name):
    return xml(lab, name).find("os/nvram").text


def test_firmware_variables(uefi, guests, repo, folder):
    """They come back where they were; beside a domain that is still there they become a file of the new one."""
    uefi.start()
    point = repo.protect(uefi)
    assert "nvram" in {i["name"] for i in point.resource["items"]}
    uefi.destroy()
    point = repo.protect(uefi)
    held = uefi.variables.read_bytes()
    assert repo.run("checkpoint", "cat", point.id, "nvram").out == held

    copy = guests.restored("copy")
    repo.restore_domain("latest", "--name", "copy", "--to", folder / "to")
    assert nvram(uefi.lab, "copy") == f"{folder}/to/copy_VARS.fd"
    assert (folder / "to/copy_VARS.fd").read_bytes() == held
    copy.start()

    uefi.remove()
    assert not uefi.variables.exists()
    repo.restore_domain("latest")
    assert nvram(uefi.lab, uefi.name) == str(uefi.variables)
    assert uefi.variables.read_bytes() == held


def test_firmware_variables_in_place(uefi, repo, folder):
    """They go where the domain has them now, and the definition says so, too."""
    repo.protect(uefi)
    held = uefi.variables.read_bytes()
    moved = folder / "moved.fd"
    uefi.variables.rename(moved)
    moved.write_bytes(b"changed")
    uefi.how["firmware"] = uefi.how["firmware"].replace(str(uefi.variables), str(moved))
    uefi.define()
    repo.restore_domain("latest", "--in-place")
    assert nvram(uefi.lab, uefi.name) == str(moved)
    assert moved.read_bytes() == held and not uefi.variables.exists()


def test_firmware_variables_that_cannot_be_written(uefi, repo):
    """The last step of a restore in place fails: disks and definition are as they were before it."""
    point = repo.protect(uefi)
    uefi.variables.unlink()
    (uefi.variables / "in-the-way").mkdir(parents=True)
    uefi.how["extra"] = "<graphics type='vnc' passwd='secret'/>"
    uefi.define()
    definition = uefi.lab.virsh("dumpxml", uefi.name, "--inactive", "--security-info")
    assert "secret" in definition
    disks = {name: disk.path.stat().st_ino for name, disk in uefi.disks.items()}
    message = repo.restore_domain(point, "--in-place", code="invalid").error["message"]
    assert str(uefi.variables) in message
    assert uefi.lab.virsh("dumpxml", uefi.name, "--inactive", "--security-info") == definition
    assert {name: disk.path.stat().st_ino for name, disk in uefi.disks.items()} == disks


def test_definition_only_takes_no_firmware_variables(uefi, guests, repo):
    """Two domains never write to one file of variables."""
    repo.protect(uefi)
    copy = guests.restored("copy")
    repo.restore_domain("latest", "--name", "copy", "--definition-only")
    now = xml(uefi.lab, copy.name).find("os/nvram")
    assert now is None or now.text != str(uefi.variables)
    copy.undefine()
    assert uefi.variables.exists(), "removing the new domain removed the variables of the old one"


def test_firmware_variables_that_are_lost(uefi, repo):
    """They cannot be read: the backup says so and goes on."""
    uefi.variables.unlink()
    point = repo.protect(uefi)
    assert any("nvram" in w and str(uefi.variables) in w for w in point["warnings"]), point["warnings"]
