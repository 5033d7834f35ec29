# SPDX-License-Identifier: Apache-2.0
"""A guest: its definition in libvirt, its life, and commands that run inside it through the guest agent."""
import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import time
import uuid

import definition
import images
from waiting import wait_until

BOOT_SECONDS = 90
READY = re.compile(r"HF-GUEST-READY boots=(\d+) marker=(\S*)")


class Guest:
    def __init__(self, lab, name, folder, disks, **how):
        self.lab, self.name, self.folder = lab, name, pathlib.Path(folder)
        self.uuid = str(uuid.uuid4())
        self.disks = {d.name: d for d in disks}
        self.how = how
        self.serial = self.folder / f"{name}.serial"
        self.seen = 0  # of the serial log, when it was started

    def path(self, disk="vda"):
        return self.disks[disk].path

    # ---- life

    def define(self):
        self.lab.define(definition.domain(self.name, self.uuid, self.disks.values(), self.folder, **self.how))
        return self

    def forget_console(self):
        """From now on look only at what the guest says after this, as when somebody else starts it."""
        self.seen = self.serial.stat().st_size if self.serial.exists() else 0

    def start(self):
        self.forget_console()
        self.lab.virsh("start", self.name)
        return self

    def wait_ready(self, agent=True):
        """Wait for the guest's own word on its console, and for its agent."""
        wait_until(self.ready_line, BOOT_SECONDS, f"guest {self.name} is up", every=0.1)
        if agent:
            wait_until(lambda: self.agent("guest-ping", check=False) is not None, 30, "the agent answers")
        return self

    def boot(self, agent=True):
        self.start()
        return self.wait_ready(agent and self.how.get("agent", True))

    def ready_line(self):
        return READY.search(self.console())

    @property
    def boots(self):
        return int(self.ready_line().group(1))

    @property
    def marker(self):
        return self.ready_line().group(2)

    def console(self):
        """What the guest said since it was started."""
        if not self.serial.exists():
            return ""
        with open(self.serial, "rb") as f:
            f.seek(self.seen)
            return f.read().decode("utf-8", "replace").replace("\r", "")

    @property
    def state(self):
        return self.lab.virsh("domstate", self.name, check=False) or "gone"

    @property
    def running(self):
        return self.state == "running"

    @property
    def pid(self):
        return int((self.lab.folder / "run/libvirt/qemu" / f"{self.name}.pid").read_text())

    def destroy(self):
        """Power off. QEMU ends by itself, so its images are closed cleanly."""
        if self.state not in ("shut off", "gone"):
            self.lab.virsh("destroy", self.name, check=False)

    def shut_down(self):
        """The guest's own orderly way."""
        self.lab.virsh("shutdown", self.name)
        self.wait_off()

    def wait_off(self, seconds=60):
        wait_until(lambda: self.state in ("shut off", "gone"), seconds, f"guest {self.name} is off")

    def crash(self):
        """The hypervisor dies, as by a lack of memory on the host."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait_off()

    def undefine(self):
        self.destroy()
        if self.state != "gone":
            self.lab.virsh("undefine", self.name, "--checkpoints-metadata", "--nvram", "--managed-save")

    def remove(self):
        """Undefine it and delete its disks."""
        self.undefine()
        for disk in self.disks.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(disk.path)

    def cleanup(self):
        with contextlib.suppress(Exception):
            self.undefine()
        if self.state != "gone":
            print(f"guest {self.name} could not be removed; it is {self.state}")

    @contextlib.contextmanager
    def suspended(self):
        """Nothing changes inside; QEMU has flushed its images."""
        self.lab.virsh("suspend", self.name)
        try:
            yield
        finally:
            if self.state == "paused":
                self.lab.virsh("resume", self.name)

    def hold(self, disk, out):
        """An independent copy of what a disk holds while the guest is suspended or off."""
        return images.to_raw(self.path(disk), out, self.disks[disk].fmt)

    # ---- disks

    def attach(self, disk):
        """Add a disk, now and for good."""
        path = self.folder / f"{self.name}-{disk.name}.xml"
        path.write_text(disk.xml())
        self.lab.virsh("attach-device", self.name, path, "--persistent")
        self.disks[disk.name] = disk

    def poke(self, disk, offset, length, seed):
        """Write noise through the guest's own disk device, as the guest would; "" if that went well."""
        noise = self.folder / f"{self.name}.noise"
        noise.write_bytes(images.noise(length, f"{disk} {offset} {seed}"))
        pattern = f"-s {noise}"
        device = f"/machine/peripheral/virtio-disk{list(self.disks).index(disk)}/virtio-backend"
        return self.lab.virsh("qemu-monitor-command", self.name, "--hmp",
                              f'qemu-io -d {device} "write {pattern} {offset} {length}"').strip()

    # ---- inside

    def agent(self, command, arguments=None, check=True, seconds=20):
        text = {"execute": command}
        if arguments:
            text["arguments"] = arguments
        out = self.lab.virsh("qemu-agent-command", self.name, "--timeout", seconds, json.dumps(text),
                             seconds=seconds + 30, check=check)
        return None if out is None else json.loads(out)["return"]

    def sh(self, command, seconds=60, check=True):
        """Run a shell command in the guest; what it printed."""
        pid = self.agent("guest-exec", {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True})["pid"]

        def ended():
            status = self.agent("guest-exec-status", {"pid": pid})
            return status if status["exited"] else None

        status = wait_until(ended, seconds, f"in the guest: {command}", every=0.05)
        out = base64.b64decode(status.get("out-data", "")).decode("utf-8", "replace")
        said = base64.b64decode(status.get("err-data", "")).decode("utf-8", "replace")
        assert not check or status.get("exitcode") == 0, f"in the guest: {command}: {status} {out} {said}"
        return out.strip()

    def leave_behind(self, command, then=":"):
        """Have the guest run something that may end its agent, and wait until its console says that it did; it goes on
        with `then`."""
        command = f"(sleep 1; {command}; echo LEFT >/dev/ttyS0; {then}) >/dev/null 2>&1 &"
        before = self.console().count("LEFT")
        # Nobody asks the agent for its outcome, which it could not tell any more.
        self.agent("guest-exec", {"path": "/bin/sh", "arg": ["-c", command]})
        wait_until(lambda: self.console().count("LEFT") > before, 30, f"in the guest: {command}")

    def set_marker(self, text):
        self.sh(f"echo {text} >/data/marker && sync")

    def write_noise(self, path, mib):
        """Fill a file, or a device from its start, with bytes that do not compress."""
        self.sh(f"dd if=/dev/urandom of={path} bs=1M count={mib} conv=fsync 2>/dev/null", seconds=120)

    def freezes(self):
        """What the guest's own hook saw: 'freeze' and 'thaw', in order."""
        return [line.split()[0] for line in self.sh("cat /run/fsfreeze.log 2>/dev/null || true").splitlines()]

    def start_ticking(self):
        """From now on it writes to its disk ten times a second and says so on the console. Ends with the guest."""
        self.sh("(i=0; while :; do echo $i >/data/tick; sync; echo TICK $i >/dev/ttyS0; i=$((i+1)); usleep 100000;"
                " done) >/dev/null 2>&1 &")
        self.wait_tick()

    def ticks(self):
        found = re.findall(r"TICK (\d+)", self.console())
        return int(found[-1]) if found else -1

    def wait_tick(self, seconds=30):
        """A write in the guest goes through from now on: it is not frozen."""
        # The one that is under way may have passed its write before.
        after = self.ticks() + 2
        wait_until(lambda: self.ticks() >= after, seconds, "a write in the guest goes through")

    def is_still(self, seconds=1.0):
        """No write goes through for a while."""
        before = self.ticks()
        time.sleep(seconds)
        return self.ticks() <= before + 1

    # ---- libvirt's view

    def job(self):
        """The backup job that runs in QEMU, as XML, or None."""
        return self.lab.virsh("backup-dumpxml", self.name, check=False)

    def checkpoints(self):
        """Names of libvirt's checkpoints of this domain."""
        return self.lab.virsh("checkpoint-list", self.name, "--name").split()
