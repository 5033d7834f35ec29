# SPDX-License-Identifier: Apache-2.0
"""A domain with an emulated TPM: its state is kept and comes back with the domain."""
import shutil

import pytest

import images
from definition import Disk
from images import MIB
from runner import Holdfast
from target import Repo

TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"


class Case:
    def __init__(self, guest, folder, binary):
        lab = guest.lab
        self.guest = guest
        # Where libvirt keeps the state of TPMs is a folder of the host: be where it is this libvirtd's.
        self.env = {} if lab.root else {"XDG_CONFIG_HOME": str(lab.folder / "home")}
        self.repo = Repo(Holdfast(binary, lab.inside() if lab.root else ()), folder, lab).init()
        self.states = lab.folder / ("var/lib/libvirt/swtpm" if lab.root else "home/libvirt/qemu/swtpm")

    def state(self, name=None):
        uuid = self.guest.lab.virsh("domuuid", name or self.guest.name)
        return self.states / uuid / "tpm2" / "tpm2-00.permall"

    def protect(self):
        return self.repo.protect(self.guest, env=self.env)

    def restore(self, *options):
        self.repo.restore_domain("latest", *options, env=self.env)


@pytest.fixture
def case(guests, folder, holdfast):
    if not shutil.which("swtpm_setup"):
        pytest.skip("there is no swtpm_setup: the packages swtpm and swtpm-tools are not installed")
    disk = folder / "vda.raw"
    images.raw_file(disk, 8 * MIB, [(0, MIB, 1)])
    made = Case(guests.bare([Disk("vda", disk, "raw")], agent=False, extra=TPM), folder, holdfast.command[-1])
    made.guest.start()  # libvirt makes the state
    made.guest.destroy()
    return made


def test_new_domain(case, guests, folder):
    """A copy has the same state under its own UUID, and starts with it."""
    held = case.state().read_bytes()
    point = case.protect()
    assert "tpm/tpm2/tpm2-00.permall" in {i["name"] for i in point.resource["items"]}
    (folder / "to").mkdir()
    case.restore("--name", "copy", "--to", folder / "to")
    copy = guests.restored("copy")
    assert case.state("copy") != case.state()
    assert case.state("copy").read_bytes() == held
    copy.start()
    assert copy.running


def test_in_place(case):
    """The state goes back in time with the disks, and stays as it is when only a disk does."""
    held = case.state().read_bytes()
    case.protect()
    case.state().write_bytes(b"later")
    case.restore("--in-place", "--disk", "vda")
    assert case.state().read_bytes() == b"later"
    case.restore("--in-place")
    assert case.state().read_bytes() == held
    case.guest.start()
    assert case.guest.running
