# SPDX-License-Identifier: Apache-2.0
"""A repository of a hundred million blocks and a hundred thousand checkpoints: what each operation needs.

bench/synthesize makes its metadata: index, nodes and points are real, packs of data are holes of the right size. A disk
of real data goes in beside them. There are no peers: filling a repository of theirs takes days.
"""
import json
import random
import shutil

from measure import BenchError, Command
from scenario import Part, Scenario, Step, say
from summary import MIB, OWN, Goal, row
from text import line, mib, seconds
from tools import Holdfast

MEMORY = 256 << 20
DELETED = 1000  # checkpoints, the newest ones: each has a pack of its own
DISK = 256      # MiB
CHANGES = 400   # blocks

STEPS = {"list": "list the checkpoints", "json": "the same as JSON", "first": "first backup of a disk",
         "increment": "increment of it", "restore": "restore of it",
         "structure": "verify the structure of all checkpoints", "delete": "delete {deleted} checkpoints",
         "dry": "collect, dry run", "collect": "collect"}

WORDS = """## {title}

The metadata of {blocks:,} blocks of 64 KiB and {points:,} checkpoints of {machines:,} machines, made by
`bench/synthesize` in {made:.0f} s: index, nodes and points are real ({index} MiB of index), packs of data are holes of
the right size, because nothing here reads them. A disk of {disk} MiB of noise is protected beside them, changed in
{changes} blocks, protected again and restored. One run. *Removed* is what the collection gave back of the packs.

| operation | time s | CPU s | memory MiB | stored MiB | removed MiB |
|---|---:|---:|---:|---:|---:|
"""


class Large(Holdfast):
    """The repository that bench/synthesize made, and its key."""
    key = OWN

    def __init__(self, run, blocks, points):
        super().__init__(run.bench, run.binary)
        self.run, self.blocks, self.points = run, blocks, points
        self.key_file = run.bench.path("tmp", "scale.key")
        self.made = None

    def environment(self):
        return {**self.bench.environment(), "HOLDFAST_TARGET": f"dir:{self.repo}", "HOLDFAST_KEY_FILE": str(self.key_file)}

    def make(self):
        say(f"making the metadata of {self.blocks:,} blocks and {self.points:,} checkpoints …")
        self.key_file.unlink(missing_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made = self.bench.cost([[Command([self.run.program("synthesize"), self.repo, self.key_file, self.blocks,
                                               self.points])]])

    def command(self, *words):
        return [[Command([self.binary, *words, "--output", "json"], stdout=self.answer())]]

    def said(self):
        return json.loads(self.answer().read_text(encoding="utf-8"))


class Scale(Part):
    key, title = "scale", "A hundred million blocks"

    def why_not(self, run):
        if not run.program("synthesize").exists():
            return "bench/synthesize is not built beside the given program: ninja bench/synthesize"
        return None

    def measure(self, run):
        large = Large(run, *((1_000_000, 2000) if run.options.quick else (100_000_000, 100_000)))
        deleted = DELETED // 10 if run.options.quick else DELETED
        steps = [Step(key, title.format(deleted=f"{deleted:,}"), key) for key, title in STEPS.items()]
        made = Scenario(self.key, self.title, None, steps, [large], {}, {})
        run.add(made, 1)
        large.make()
        entry = run.entry(made)
        entry.update(blocks=large.blocks, points=large.points, made=large.made.wall)
        for step in steps:
            sample = Operations(run, large, entry, deleted).measure(step.key)
            run.record(made, 0, step, OWN, sample)
        shutil.rmtree(large.folder)

    def section(self, results):
        entry = results["scenarios"][self.key]
        lines = []
        for key, step in entry["steps"].items():
            r = row(results["samples"], self.key, key, OWN)
            lines.append(line(step["title"], seconds(r.wall), seconds(r.cpu), f"{r.peak_mib:.0f}", mib(r.stored),
                              mib(r.extra.get("removed"))))
        return WORDS.format(title=self.title, blocks=entry["blocks"], points=entry["points"],
                            machines=entry["machines"], made=entry["made"], index=mib(entry["index"]), disk=DISK,
                            changes=CHANGES) + "\n".join(lines) + "\n"

    def goals(self, results):
        entry = results["scenarios"][self.key]
        most = max(row(results["samples"], self.key, key, OWN).peak_mib for key in entry["steps"])
        return [Goal(f"{entry['blocks']:,} blocks, {entry['points']:,} checkpoints: largest peak memory", "≤ 256 MiB",
                     f"{most:.0f} MiB", most * MIB <= MEMORY)]


class Operations:
    """One operation after the other on it; some need what an earlier one said."""

    def __init__(self, run, large, entry, deleted):
        self.bench, self.large, self.entry, self.deleted = run.bench, large, entry, deleted
        self.disk, self.back = run.bench.path("out", "scale.raw"), run.bench.path("out", "scale.back")

    def measure(self, key):
        return getattr(self, key)()

    def cost(self, *words, reads=()):
        return self.bench.measure(self.large.command(*words), reads=reads, env=self.large.environment())

    def list(self):
        return self.bench.measure([[Command([self.large.binary, "checkpoint", "list"],
                                            stdout=self.bench.path("out", "scale.list"))]],
                                  env=self.large.environment())

    def json(self):
        sample = self.cost("checkpoint", "list")
        points = self.large.said()
        if len(points) != self.large.points:
            raise BenchError(f"{len(points)} checkpoints are listed, and {self.large.points} were made")
        self.entry["machines"] = len({p["resources"][0]["id"] for p in points})
        self.entry["newest"] = [p["id"] for p in points[-self.deleted:]]
        return sample

    def protect(self):
        sample = self.cost("protect", "disk", self.disk, reads=[self.disk])
        sample.stored = self.large.said()["stats"]["stored_bytes"]
        return sample

    def first(self):
        rng = random.Random("scale")
        with open(self.disk, "wb") as f:
            for _ in range(DISK):
                f.write(rng.randbytes(MIB))
        return self.protect()

    def increment(self):
        rng = random.Random("changes")
        with open(self.disk, "r+b") as f:
            for block in rng.sample(range(DISK * MIB // 65536), CHANGES):
                f.seek(block * 65536)
                f.write(rng.randbytes(65536))
        return self.protect()

    def restore(self):
        sample = self.cost("restore", "disk", f"{self.disk.name}@latest", "disk", self.back)
        self.bench.quietly(["cmp", self.disk, self.back])
        self.disk.unlink()
        self.back.unlink()
        return sample

    def structure(self):
        sample = self.cost("checkpoint", "verify", "--all", "--structure")
        if self.large.said()["damaged_checkpoints"]:
            raise BenchError("verify found damage in a repository that has none")
        return sample

    def delete(self):
        return self.cost("checkpoint", "delete", "--yes", *self.entry.pop("newest"))

    def dry(self):
        sample = self.cost("target", "collect", "--dry-run")
        self.entry["index"] = sum(p.stat().st_size for p in (self.large.repo / "index").iterdir())
        return sample

    def collect(self):
        sample = self.cost("target", "collect")
        said = self.large.said()
        if said["removed_packs"] < self.deleted:
            raise BenchError(f"{said['removed_packs']} packs were removed, and {self.deleted} were to be")
        sample.extra = {"removed": said["removed_bytes"]}
        return sample
