# SPDX-License-Identifier: Apache-2.0
"""Increments of a running machine's disk, where QEMU's dirty bitmap says what changed.

A libvirtd of its own, with its whole state in the working folder, runs a guest that never executes an instruction: it
is started paused, and QEMU itself writes to its disk, through the same block layer and bitmap as a guest's writes.
"""
import json
import shutil

import content
import scattered
from measure import HERE, BenchError, Command, apparent_size
from scenario import Part, Scenario, Step, prepare, say
from summary import rows, writes_goals
from text import line, mib, seconds
from tools import KEY

SCRIPT = HERE.parent / "test" / "lab" / "libvirtd.sh"
NAME = "holdfast-bench"
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"
INCREMENTS = (0, 78, scattered.WRITES, 3124)
SOCKET_LIMIT = 100  # a unix socket's path has at most 107 bytes
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>{emulator}</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>
"""


WORDS = """## {title}

The disk of *Scattered writes* as a qcow2 image of a running, paused guest; QEMU's dirty bitmap says what changed since
the last backup. Between two backups noise is written to so many different blocks of 64 KiB. Only Holdfast does this,
so there is nothing to compare with but the rows above, where everything is read. *QEMU* is its own CPU time meanwhile;
the time that libvirt takes to begin and end a backup job is in *time*.

| step | written MiB | read MiB | stored MiB | time s | CPU s | QEMU CPU s | memory MiB |
|---|---:|---:|---:|---:|---:|---:|---:|
"""


class Tracking(Part):
    key, title, data = "tracking", "Increments with change tracking", ("scattered",)

    def why_not(self, run):
        for program, package in (("libvirtd", "libvirt-daemon"), ("virsh", "libvirt-clients"),
                                 ("qemu-system-x86_64", "qemu-system-x86")):
            if not shutil.which(program, path=run.bench.environment()["PATH"]):
                return f"{program} is missing (package {package})"
        if not SCRIPT.exists():
            return "the script that starts a private libvirtd is not there"
        if len(str(run.bench.path("lab", "run", "libvirt", "libvirt-sock"))) > SOCKET_LIMIT:
            return "the working folder's path is too long for a unix socket"
        return None

    def measure(self, run):
        folder, sizes, _ = prepare(run.bench, "scattered", [scattered.WRITES], scattered.make)
        steps = [Step("first", "first backup", "backup")]
        steps += [Step(f"writes-{n}", f"{n} blocks written" if n else "nothing written", "backup") for n in INCREMENTS]
        made = Scenario(self.key, self.title, folder, steps, run.tools[:1], sizes, {})
        run.add(made)
        with_libvirt(run.bench, run.options.repeat, lambda n: repetition(
            run.bench, run.binary, steps, n == 0, lambda step, sample: run.record(made, n, step, "holdfast", sample)))

    def section(self, results):
        lines = []
        for key, step in results["scenarios"][self.key]["steps"].items():
            written = int(key.split("-")[1]) * scattered.BLOCK if "-" in key else None
            for r in rows(results, self.key, key):
                lines.append(line(step["title"], mib(written), mib(r.extra["read"]), mib(r.stored), seconds(r.wall),
                                  seconds(r.cpu), seconds(r.extra.get("qemu_cpu")), f"{r.peak_mib:.0f}"))
        return WORDS.format(title=self.title) + "\n".join(lines) + "\n"

    def goals(self, results):
        step = f"writes-{results['written'] // scattered.BLOCK}"
        return list(writes_goals(results, self.key, step, "with change tracking"))


class Guest:
    """A paused machine with one qcow2 disk, and a repository for it."""

    def __init__(self, bench, holdfast, image):
        self.bench = bench
        self.holdfast = holdfast
        self.folder = bench.path("run", "tracking")
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "scratch").mkdir(parents=True)
        self.repo, self.disk, self.answer = (self.folder / n for n in ("repo", "disk.qcow2", "answer.json"))
        self.uri = bench.quietly(["bash", SCRIPT, "uri", bench.path("lab")]).strip()
        key = self.folder / "key"
        key.write_text(KEY + "\n", encoding="utf-8")
        self.env = {**bench.environment(), "HOLDFAST_TARGET": f"dir:{self.repo}", "HOLDFAST_KEY_FILE": str(key)}
        bench.quietly([holdfast, "target", "init"], env=self.env)
        bench.quietly(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", image, self.disk])

    def virsh(self, *commands):
        """Several commands in one session; a failing one ends in an exception."""
        return self.bench.quietly(["virsh", "-q", "-c", self.uri, "; ".join(commands)])

    def start(self):
        definition = self.folder / "domain.xml"
        emulator = shutil.which("qemu-system-x86_64", path=self.bench.environment()["PATH"])
        definition.write_text(DOMAIN.format(name=NAME, emulator=emulator, disk=self.disk), encoding="utf-8")
        self.virsh(f"define {definition}", f"start --paused {NAME}")

    def stop(self):
        """Also after a failure, when little of it may be there."""
        self.bench.quietly(["virsh", "-q", "-c", self.uri, "destroy", NAME], check=False)
        self.bench.quietly(["virsh", "-q", "-c", self.uri, "undefine", NAME, "--checkpoints-metadata"], check=False)

    def write(self, count):
        """Noise to `count` different blocks. The monitor says nothing when a write succeeds, and so must we not."""
        rng = content.generator("tracking", count)
        blocks = self.folder / "blocks"
        blocks.mkdir(exist_ok=True)
        script = []
        for place in scattered.places(count, f"tracking-{count}"):
            block = blocks / str(place)
            block.write_bytes(content.noise(rng, scattered.BLOCK))
            script.append(f"qemu-monitor-command {NAME} --hmp \"qemu-io -d {DEVICE} "
                          f"\\\"write -q -s {block} {place * scattered.BLOCK} {scattered.BLOCK}\\\"\"")
        said = self.bench.quietly(["virsh", "-q", "-c", self.uri], text="\n".join(script) + "\n")
        shutil.rmtree(blocks)
        if any(word in said.lower() for word in ("error", "failed", "cannot", "conflict")):
            raise BenchError(f"writing to the guest's disk failed:\n{said[-1000:]}")

    def qemu_seconds(self):
        for word in self.virsh(f"domstats --cpu-total {NAME}").split():
            if word.startswith("cpu.time="):
                return int(word.split("=")[1]) / 1e9
        return None

    def protect(self):
        """A measured backup. QEMU reads the disk and serves it, so its CPU time is taken too."""
        size, qemu = apparent_size(self.repo), self.qemu_seconds()
        sample = self.bench.measure([[Command(
            [self.holdfast, "protect", "domain", NAME, "--connect", self.uri, "--consistency", "off", "--compression",
             "1", "--scratch", self.folder / "scratch", "--output", "json"], stdout=self.answer)]],
            reads=[self.disk], env=self.env)
        after = self.qemu_seconds()
        answer = json.loads(self.answer.read_text(encoding="utf-8"))
        disk = answer["resources"][0]["disks"][0]
        sample.stored = apparent_size(self.repo) - size
        sample.extra = {"read": disk["stats"]["read_bytes"], "new": disk["stats"]["new_bytes"], "mode": disk["mode"],
                        "qemu_cpu": None if qemu is None or after is None else after - qemu}
        return sample

    def check(self):
        """The last checkpoint is what is on the disk."""
        restored = self.bench.path("out", "tracking.raw")
        restored.unlink(missing_ok=True)
        self.bench.quietly([self.holdfast, "restore", "disk", "latest", "vda", restored], env=self.env)
        self.bench.quietly(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", restored, self.disk])
        restored.unlink()


def repetition(bench, holdfast, steps, check, record):
    guest = Guest(bench, holdfast, bench.path("data", "scattered", "before.raw"))
    try:
        guest.start()
        record(steps[0], guest.protect())
        for step, count in zip(steps[1:], INCREMENTS):
            guest.write(count)
            sample = guest.protect()
            if sample.extra["mode"] != "incremental":
                raise BenchError(f"an increment was read as {sample.extra['mode']}")
            record(step, sample)
        guest.virsh(f"destroy {NAME}")
        if check:
            guest.check()
    finally:
        guest.stop()
        shutil.rmtree(guest.folder, ignore_errors=True)


def with_libvirt(bench, repeat, one):
    """All repetitions, one(number), with one libvirtd."""
    lab = bench.path("lab")
    say("starting a private libvirtd …")
    bench.quietly(["bash", SCRIPT, "start", lab])
    try:
        for number in range(repeat):
            one(number)
    finally:
        bench.quietly(["bash", SCRIPT, "stop", lab], check=False)
