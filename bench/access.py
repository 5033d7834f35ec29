# SPDX-License-Identifier: Apache-2.0
"""Reading a disk of a backup where it lies: over NBD, or as a file that is mounted.

What serves it runs beside what reads; its CPU time and memory count, its start does not.
"""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import content
from measure import BenchError, Command, data_ranges

READS = 1000
START_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """This machine cannot do it; the message says why."""


@dataclass
class Served:
    """What a tool has to run, in the foreground, and what there is to read then."""
    argv: list
    address: str  # an NBD URI, or the path of a file

    @property
    def is_nbd(self):
        return self.address.startswith("nbd")


def family(pid):
    """A process and all below it."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *(p for child in below for p in family(int(child)))]


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:13]))
    return total / TICKS


def peak_mib(pids):
    peaks = [0]
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
            peaks.append(int(found.group(1)) / 1024 if found else 0)
    return max(peaks)


class Server:
    """A tool that serves, from when it can be read until it ended; `with` starts and stops it."""

    def __init__(self, bench, served, folder, env):
        self.bench, self.served, self.folder, self.env = bench, served, folder, env
        self.log = bench.path("tmp", "server.log")
        self.process = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(a) for a in self.served.argv], env=self.env, cwd=self.bench.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def is_there(self):
        if self.served.is_nbd:
            return bool(self.bench.quietly(["nbdinfo", "--size", self.served.address], check=False))
        return Path(self.served.address).exists()

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.is_there():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(encoding="utf-8", errors="replace")[-500:].strip()
                raise Unavailable(f"{Path(self.served.argv[0]).name} does not serve it: {said or 'it says nothing'}")
            time.sleep(0.05)

    def stop(self):
        if not self.served.is_nbd:
            subprocess.run(["fusermount3", "-u", self.folder], stderr=subprocess.DEVNULL, check=False)
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def costs(self):
        pids = family(self.process.pid)
        return cpu_seconds(pids), peak_mib(pids)


def places(image, size):
    """Where reads of `size` bytes go: anywhere in the data of the image, always the same."""
    with open(image, "rb") as f:
        ranges = [(start, end) for start, end in data_ranges(f.fileno(), os.fstat(f.fileno()).st_size)
                  if end - start >= size]
    rng, picked = content.generator("reads", size), []
    while len(picked) < READS:
        at = content.below(rng, sum(end - start for start, end in ranges))
        for start, end in ranges:
            if at < end - start:
                picked.append(min(start + at // size * size, end - size))
                break
            at -= end - start
    return picked


def reading(bench, served, image, size):
    """The program that reads: everything from front to back, or pieces of `size` bytes one after the other."""
    if not size:
        argv = ["nbdcopy", served.address, "null:"] if served.is_nbd else \
            ["dd", f"if={served.address}", "of=/dev/null", "bs=1M", "status=none"]
        return Command(argv)
    script = bench.path("tmp", "reads")
    script.write_text("".join(f"read -q {at} {size}\n" for at in places(image, size)), encoding="ascii")
    return Command(["qemu-io", "-r", "-f", "raw", served.address], stdin=script, stdout=bench.path("tmp", "read"))


def check_reads(command):
    said = command.stdout.read_text(encoding="utf-8", errors="replace") if command.stdout else ""
    if "failed" in said or "error" in said.lower():
        raise BenchError(f"a read failed: {said[-500:]}")


def measure(bench, tool, source, size):
    """The cost of reading, with that of the server; raises Unavailable."""
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:  # a socket's path has to be short
        served = tool.serve(source, Path(folder))
        if not served.is_nbd and not shutil.which("fusermount3"):
            raise Unavailable("fusermount3 is missing (package fuse3)")
        bench.make_ready([tool.lies(source)])
        with Server(bench, served, folder, tool.environment()) as server:
            command = reading(bench, served, source.path, size)
            before, _ = server.costs()
            sample = bench.cost([[command]])
            after, peak = server.costs()
        check_reads(command)
    sample.cpu += after - before
    sample.others = max(0.0, sample.others - (after - before))
    sample.peak_mib = max(sample.peak_mib, peak)
    return sample
