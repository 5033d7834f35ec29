# SPDX-License-Identifier: Apache-2.0
"""Giving back the space of deleted backups, alone and beside a backup.

A repository of noise in streams: some that stay, and of each round one that goes, of which every other piece is also in
one that stays for a round longer. So half of what is freed lies in packs of its own, and half between what is needed,
which has to be moved. Each time a tenth of the repository is freed.
"""
import json
import shutil
import threading
import time
from dataclasses import dataclass

from measure import BenchError, Command
from scenario import Part, Scenario, Step, say
from summary import OWN, Goal, median, pick, row
from text import line, mib, ratio, seconds
from tools import Borg, Holdfast, Restic

KEPT = 8          # streams of two units that stay
LIMIT = 1.2       # how much slower a backup may be
WAIT_SECONDS = 600
ALONE, COLLECT, BESIDE, COLLECT_BESIDE = "backup", "collect", "backup-beside", "collect-beside"

WORDS = """## {title}

Repositories of noise, of which deleting some backups frees a tenth: half of that in packs of its own, half between what
is needed, in pieces of 4 MiB (which are whole packs to some: then less has to be moved). The deletion is part of what
is measured; with borg that is `borg delete` and `borg compact`, with restic `restic forget --prune`. *Back* is by how
much the repository shrank. *Beside*: a backup that begins while it runs: with Holdfast at the moment when it begins to
copy what is needed, which is its hardest work; with borg and restic once it has locked the repository, so the backup
has to wait: it is started again until it gets through. *Overlap* is the part of the backup's time in which the
collection was at work. borg and restic have only the small repository, because filling the large one takes them
minutes. Medians of {rounds} rounds, alone and beside in turns.

| repository | tool | collection s | CPU s | memory MiB | back MiB | backup alone s | beside s | × | overlap | back beside MiB |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


@dataclass
class Size:
    """A repository of about twenty units."""
    key: str
    unit: int  # MiB


class Collecting:
    """What the tools have in common: streams of noise that are stored and deleted."""

    def put(self, run, label, *names):
        mib_each = self.unit
        noise = Command([run.program("noise"), mib_each, *names])
        run.bench.cost([[noise, self.stream(label)]], self.environment())
        self.note(label)

    def note(self, label):
        """A stream was stored."""

    def freed(self, before):
        """What the last collection gave back, if the repository had so many bytes before."""
        return before - self.size()


class HoldfastCollecting(Collecting, Holdfast):
    def stream(self, label):
        return Command([self.binary, "protect", "stdin", "--name", label, "--output", "json"], stdout=self.answer())

    def note(self, label):
        self.ids[label] = json.loads(self.answer().read_text(encoding="utf-8"))["id"]

    def collect(self, labels):
        ids = [self.ids.pop(label) for label in labels]
        self.said, self.result = self.folder / "said", self.folder / "collected.json"
        self.said.unlink(missing_ok=True)
        return [[Command([self.binary, "checkpoint", "delete", "--yes", *ids])],
                [Command([self.binary, "target", "collect", "--output", "json"], stdout=self.result, stderr=self.said)]]

    def at_work(self):
        return self.said.exists() and "copying" in self.said.read_text(encoding="utf-8", errors="replace")

    def freed(self, _before):
        answer = json.loads(self.result.read_text(encoding="utf-8"))
        return answer["removed_bytes"] - answer["copied_bytes"]

    def backup_file(self, path, label):
        return [[Command([self.binary, "protect", "disk", path, "--name", label, "--output", "json"],
                         stdout=self.folder / "backup.json")]]


# borg would wait for a lock, but looks for it ever more rarely the longer it may wait; not every restic can wait.
AGAIN = "until \"$@\"; do sleep 0.2; done"


def again(*argv):
    """Until it gets through."""
    return ["timeout", WAIT_SECONDS, "sh", "-c", AGAIN, "sh", *argv]


class BorgCollecting(Collecting, Borg):
    def stream(self, label):
        return Command(["borg", "create", "--compression", "zstd,1", f"{self.repo}::{label}", "-"])

    def collect(self, labels):
        return [[Command(["borg", "delete", "--lock-wait", "10", self.repo, *labels])],
                [Command(["borg", "compact", "--lock-wait", "10", self.repo])]]

    def at_work(self):
        return (self.repo / "lock.exclusive").exists()

    def backup_file(self, path, label):
        return [[Command(again("borg", "create", "--compression", "zstd,1", "--files-cache", "disabled",
                               f"{self.repo}::{label}", path.name), cwd=path.parent)]]


class ResticCollecting(Collecting, Restic):
    def stream(self, label):
        return Command(["restic", "backup", "--quiet", "--compression", "auto", "--tag", label, "--stdin"])

    def collect(self, labels):
        found = json.loads(self.bench.quietly(["restic", "snapshots", "--json", *(w for label in labels for w in
                                                                                  ("--tag", label))],
                                              env=self.environment()))
        return [[Command(["restic", "forget", "--quiet", "--prune", *(s["id"] for s in found)])]]

    def at_work(self):
        return any((self.repo / "locks").iterdir())

    def backup_file(self, path, label):
        return [[Command(again("restic", "backup", "--quiet", "--force", "--compression", "auto", "--tag", label,
                               path.name), cwd=path.parent)]]


# ---- rounds ----

class Rounds:
    """One tool with one repository."""

    def __init__(self, run, tool, size):
        self.run, self.tool, self.size = run, tool, size
        tool.unit = size.unit
        self.count = 0    # of garbage made
        self.backups = 0  # of new noise
        self.image = run.bench.path("out", "noise.raw")

    def fill(self):
        say(f"filling a repository of {self.tool.title} with {20 * self.size.unit} MiB …")
        self.tool.fresh()
        for n in range(KEPT):
            self.tool.put(self.run, f"kept-{n}", f"kept-{n}-a", f"kept-{n}-b")
        self.tool.put(self.run, "half-0", "half-0")

    def make_garbage(self):
        """What the next collection is to free; labels."""
        self.count += 1
        half, other = f"half-{self.count}", f"other-{self.count}"
        self.tool.put(self.run, f"both-{self.count}", half, other)
        self.tool.put(self.run, half, half)
        return [f"both-{self.count}", f"half-{self.count - 1}"]

    def backup(self, name):
        """What makes a backup of so far unknown noise, a unit long."""
        self.backups += 1
        label = f"{name}-{self.backups}"
        self.run.bench.cost([[Command([self.run.program("noise"), self.size.unit, label], stdout=self.image)]])
        return self.tool.backup_file(self.image, label)

    def alone(self):
        stages = self.backup("alone")
        before = self.tool.size()
        sample = self.run.bench.measure(stages, reads=[self.image], env=self.tool.environment())
        sample.stored = self.tool.size() - before
        return {ALONE: sample}

    def collect(self):
        labels = self.make_garbage()
        before = self.tool.size()
        sample = self.run.bench.measure(self.tool.collect(labels), env=self.tool.environment())
        sample.extra = {"freed": self.tool.freed(before)}
        return {COLLECT: sample}

    def beside(self):
        """A collection, and a backup that begins while it is at work."""
        labels, stages, bench = self.make_garbage(), self.backup("beside"), self.run.bench
        before = self.tool.size()
        collecting = Background(bench, self.tool.collect(labels), self.tool.environment())
        bench.make_ready([self.image])
        with collecting:
            collecting.wait_for(self.tool.at_work)
            began = time.monotonic()
            backup = bench.cost(stages, self.tool.environment())
            ended = time.monotonic()
        collection = collecting.sample
        backup.extra = {"overlap": min(collecting.ended, ended) - began}
        backup.others = collection.others = None
        # A unit of noise, which no program makes smaller, came meanwhile.
        collection.extra = {"freed": self.tool.freed(before + (self.size.unit << 20))}
        return {BESIDE: backup, COLLECT_BESIDE: collection}

    def one(self, number):
        parts = [self.alone, self.collect, self.beside]
        return {step: sample for part in (parts if number % 2 == 0 else parts[::-1]) for step, sample in part().items()}


class Background:
    """A measured command beside others; `with` starts it and waits for its end."""

    def __init__(self, bench, stages, env):
        self.sample = self.error = self.ended = None
        self.thread = threading.Thread(target=self.work, args=(bench, stages, env))

    def work(self, bench, stages, env):
        try:
            self.sample = bench.cost(stages, env)
        except BenchError as error:
            self.error = error
        self.ended = time.monotonic()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.thread.join()
        if self.error and not kind:
            raise self.error

    def wait_for(self, at_work):
        while not at_work() and self.thread.is_alive():
            time.sleep(0.005)
        if not self.thread.is_alive():
            raise self.error or BenchError("the collection ended before a backup could begin beside it")


# ---- the part ----

class Collection(Part):
    key, title = "collection", "Collection, alone and beside a backup"

    def why_not(self, run):
        if not run.program("noise").exists():
            return "bench/noise is not built beside the given program: ninja bench/noise"
        return None

    def measure(self, run):
        large, small = (Size("large", 64), Size("small", 16)) if run.options.quick else \
            (Size("large", 1024), Size("small", 128))
        holdfast = HoldfastCollecting(run.bench, run.binary)
        peers = [BorgCollecting(run.bench), ResticCollecting(run.bench)]
        titles = {ALONE: "backup", COLLECT: "collection", BESIDE: "backup beside a collection",
                  COLLECT_BESIDE: "collection beside a backup"}
        steps = {size.key: {key: Step(f"{size.key}-{key}", f"{title}, {size.key} repository", key)
                            for key, title in titles.items()} for size in (small, large)}
        made = Scenario(self.key, self.title, None, [s for of in steps.values() for s in of.values()],
                        [holdfast, *peers], {}, {})
        rounds = max(2, run.options.repeat)
        run.add(made, rounds)
        self.rounds(run, made, rounds, steps["small"], [Rounds(run, tool, small) for tool in (holdfast, *peers)])
        self.rounds(run, made, rounds, steps["large"], [Rounds(run, HoldfastCollecting(run.bench, run.binary), large)])

    def rounds(self, run, made, count, steps, tools):
        for one in tools:
            one.fill()
        for number in range(count):
            first = number % len(tools)
            for one in tools[first:] + tools[:first]:
                for step, sample in one.one(number).items():
                    run.record(made, number, steps[step], one.tool.key, sample)
        for one in tools:
            shutil.rmtree(one.tool.folder)

    def section(self, results):
        lines = []
        for size in ("small", "large"):
            for tool, name in results["scenarios"][self.key]["tools"].items():
                if pick(results["samples"], self.key, f"{size}-{ALONE}", tool):
                    lines.append(cells(results, size, tool, f"**{name}**" if tool == OWN else name))
        return WORDS.format(title=self.title, rounds=results["scenarios"][self.key]["repeat"]) + "\n".join(lines) + "\n"

    def goals(self, results):
        alone = row(results["samples"], self.key, f"large-{COLLECT}", OWN)
        back = row(results["samples"], self.key, f"large-{COLLECT_BESIDE}", OWN)
        if not alone or not back:
            return []
        factor = slowdown(results, "large", OWN)
        dead = freed_by(results)
        return [Goal("a backup beside a collection: its time to that of one alone", f"≤ {LIMIT}", f"{factor:.2f}",
                     factor <= LIMIT),
                Goal("bytes back in that run, of those that were deleted", "≥ 90 %",
                     f"{100 * back.extra['freed'] / dead:.0f} %", back.extra["freed"] >= 0.9 * dead)]


def freed_by(results):
    """What is deleted before each collection of the large repository: two units."""
    stored = row(results["samples"], "collection", f"large-{ALONE}", OWN).stored
    return 2 * stored


def slowdown(results, size, tool):
    alone, beside = (pick(results["samples"], "collection", f"{size}-{step}", tool) for step in (ALONE, BESIDE))
    return median(beside[n]["wall"] / alone[n]["wall"] for n in beside if n in alone)


def cells(results, size, tool, name):
    alone, collect, beside, back = (row(results["samples"], "collection", f"{size}-{step}", tool)
                                    for step in (ALONE, COLLECT, BESIDE, COLLECT_BESIDE))
    stored = 20 * alone.stored / (1 << 30)
    overlap = max(0.0, min(1.0, beside.extra["overlap"] / beside.wall))
    return line(f"{stored:.1f} GiB", name, seconds(collect.wall), seconds(collect.cpu), f"{collect.peak_mib:.0f}",
                mib(collect.extra["freed"]), seconds(alone.wall), seconds(beside.wall),
                ratio(slowdown(results, size, tool)), f"{100 * overlap:.0f} %", mib(back.extra["freed"]))
