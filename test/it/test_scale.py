# SPDX-License-Identifier: Apache-2.0
"""A repository with the metadata of years: a million blocks, two thousand checkpoints, made by bench/synthesize.

What bench/ does with a hundred million, short enough for every day. Memory is measured, so the program is one without
sanitizers: HOLDFAST_PLAIN, in its build folder, where bench/synthesize is, too.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

BLOCKS, CHECKPOINTS = 1_000_000, 2000
MEMORY_MAX = 128 << 20  # bytes; a tenth of it are marks and lists that grow with the repository
MIB = 1 << 20
FULL_PACK = 64 + 1900 * 33000  # as bench/synthesize.c makes them of a first backup
# A small parent: the peak that the kernel tells of a process is at least its parent's memory when it was started.
LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as peak:
    peak.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Large:
    def __init__(self, binary, folder):
        self.binary, self.folder = pathlib.Path(binary), folder
        self.url, self.key = f"dir:{folder}/target", folder / "key"

    def make(self):
        synthesize = self.binary.parent.parent / "bench/synthesize"
        subprocess.run([synthesize, self.folder / "target", self.key, str(BLOCKS), str(CHECKPOINTS)], check=True,
                       timeout=300)
        return self

    def run(self, *args):
        """Standard output; the peak of memory is looked at."""
        peak = self.folder / "peak"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCH, peak, self.binary, *args, "-t", self.url, "-k",
                               self.key, "-o", "json"], capture_output=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        kib = int(peak.read_text(encoding="ascii"))
        assert kib * 1024 < MEMORY_MAX, f"{' '.join(map(str, args))}: {kib // 1024} MiB"
        return done.stdout

    def json(self, *args):
        return json.loads(self.run(*args))


@pytest.fixture(scope="module")
def large(session_folder):
    binary = os.environ.get("HOLDFAST_PLAIN")
    if not binary:
        pytest.skip("memory cannot be measured under sanitizers: set HOLDFAST_PLAIN to a program without")
    folder = session_folder / "large"
    folder.mkdir()
    return Large(binary, folder).make()


def test_everything_in_bounded_memory(large):
    """R10: increment, list, restore, verify the structure, collect."""
    points = large.json("checkpoint", "list")
    assert len(points) == CHECKPOINTS
    assert [p["time"] for p in points] == sorted(p["time"] for p in points)

    disk, back = large.folder / "disk.raw", large.folder / "back.raw"
    disk.write_bytes(random.Random(7).randbytes(24 * MIB))
    first = large.json("protect", "disk", disk)
    with disk.open("r+b") as f:
        f.seek(5 * MIB)
        f.write(b"changed")
    second = large.json("protect", "disk", disk)
    assert first["stats"]["stored_bytes"] > 24 * MIB and second["stats"]["stored_bytes"] < MIB
    large.run("restore", "disk", second["id"], "disk", back)
    assert back.read_bytes() == disk.read_bytes()

    assert large.json("checkpoint", "verify", "--all", "--structure")["damaged_checkpoints"] == 0

    gone = [p["id"] for p in points[-40:]]
    large.run("checkpoint", "delete", "--yes", *gone)
    done = large.json("target", "collect")
    assert done["removed_packs"] >= len(gone)
    assert large.json("checkpoint", "verify", "--all", "--structure")["damaged_checkpoints"] == 0
    assert len(large.json("checkpoint", "list")) == CHECKPOINTS + 2 - len(gone)


def test_a_missing_pack_is_told_of_everyone_it_hurts(large):
    """What nearly all checkpoints of a machine share is lost: found in one pass, and told of each."""
    pack = next(p for p in sorted((large.folder / "target/packs").glob("*/*")) if p.stat().st_size == FULL_PACK)
    moved = large.folder / "moved"
    pack.rename(moved)
    try:
        process = subprocess.run([large.binary, "checkpoint", "verify", "--all", "--structure", "-t", large.url, "-k",
                                  large.key, "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 check=False, timeout=300)
        assert process.returncode == 7, process.stderr.decode()
        found = json.loads(process.stdout)
        assert CHECKPOINTS / 20 < found["damaged_checkpoints"] < CHECKPOINTS
        assert len(found["findings"]) < 20 * found["damaged_checkpoints"]
        assert found["damaged_checkpoints"] == len({f["checkpoint"] for f in found["findings"]})
    finally:
        moved.rename(pack)
    assert large.json("checkpoint", "verify", "--all", "--structure")["damaged_checkpoints"] == 0
