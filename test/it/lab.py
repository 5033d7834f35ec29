# SPDX-License-Identifier: Apache-2.0
"""A private libvirtd for one run of the tests, driven with virsh."""
import os
import signal
import subprocess

from service import Service
from waiting import wait_until


class VirshError(Exception):
    pass


class Lab(Service):
    """libvirtd with all its state in `folder`, whose path must be short: unix sockets have 107 bytes."""

    script = "libvirtd.sh"

    def __init__(self, folder):
        super().__init__(folder)
        self.root = os.geteuid() == 0
        self.uri = self.call("uri")

    @property
    def pid(self):
        return int((self.folder / "libvirtd.self").read_text())

    def signal(self, number):
        os.kill(self.pid, number)

    def restart(self):
        """End libvirtd alone, as an upgrade of its package does: domains run on."""
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not _runs(pid), 30, "libvirtd ends")
        self.start()

    def virsh(self, *args, seconds=60, check=True):
        """Standard output of virsh; VirshError with what it said, or None without `check`."""
        done = subprocess.run(["virsh", "-q", "-c", self.uri, *map(str, args)], capture_output=True, text=True,
                              timeout=seconds, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        if check:
            raise VirshError(f"virsh {' '.join(map(str, args))}: {done.stderr.strip()}")
        return None

    def domains(self):
        return self.virsh("list", "--all", "--name").split()

    def define(self, xml):
        """Define a domain from text."""
        path = self.folder / "define.xml"
        path.write_text(xml)
        self.virsh("define", path)

    def inside(self, *argv):
        """A command that sees the file system as libvirtd does; as root it has a mount namespace of its own."""
        return ["nsenter", "-m", "-t", str(self.pid), *argv] if self.root else list(argv)


def _runs(pid):
    """A dead child of a container's init may stay a zombie for ever."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
