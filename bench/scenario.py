# SPDX-License-Identifier: Apache-2.0
"""What is done with each data set, tool by tool, in turns.

Within a repetition every step is done by all tools, one right after the other, before the next step begins, and the
tool that goes first changes with the repetition. So whatever else the machine does meets all of them alike, and ratios
are taken within a repetition.
"""
import hashlib
import json
import shutil
import sys
import time
from dataclasses import dataclass

import access
import database
import scattered
import summary
import text
import vmimage
import yardsticks
from measure import BenchError, Command, apparent_size, files_below
from tools import Source

MIB = 1 << 20
GIB = 1 << 30


@dataclass
class Step:
    key: str
    title: str
    kind: str              # the method of the tool: backup, restore, discard, verify, read …
    source: Source = None
    compared: bool = False  # with the yardsticks too
    cold: bool = False     # what is read is not in the page cache
    size: int = 0          # of a read; 0: everything is read
    without: tuple = ()    # keys of tools of which it would tell nothing new


@dataclass
class Scenario:
    key: str
    title: str
    folder: object
    steps: list
    tools: list
    sizes: dict            # what the data holds, in bytes
    digests: dict


class Part:
    """A part of the benchmark, as bench/run knows it: a row in its table of scenarios."""
    key = title = None
    data = ()  # the data sets that it uses

    def why_not(self, run):
        """Why this cannot be measured here, or None."""

    def measure(self, run):
        """Tell `run` what is measured (add) and every sample (record)."""
        raise NotImplementedError

    def section(self, results):
        """Its part of the document."""
        return text.section(results, self.key)

    def goals(self, results):
        """The goals that it shows, each with what was found."""
        return []


class Comparison(Part):
    """Steps that all tools do in turns."""

    def __init__(self, key, title, make, goals):
        self.key, self.title, self.data = key, title, (key,)
        self.make = make
        self.goals = goals

    def measure(self, run):
        made = self.make(run.bench, run.tools, run.options.quick)
        made.title = self.title
        run.add(made)
        for number in range(run.options.repeat):
            turn(run.bench, made, number,
                 lambda step, tool, sample, n=number: run.record(made, n, step, tool.key, sample))


def say(text):
    print(text, file=sys.stderr, flush=True)


def file_digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256")


def digest(path):
    """SHA-256 of a file, as sha256sum prints it, or of a folder's names and files."""
    if path.is_file():
        return file_digest(path).hexdigest()
    whole = hashlib.sha256()
    for p in files_below(path):
        whole.update(str(p.relative_to(path)).encode() + b"\0" + file_digest(p).digest())
    return whole.hexdigest()


def prepare(bench, key, parameters, make):
    """The folder of a data set, made now or by an earlier run with the same parameters."""
    folder = bench.path("data", key)
    made = folder / "made.json"
    if made.exists():
        facts = json.loads(made.read_text(encoding="utf-8"))
        if facts["parameters"] == parameters:
            return folder, facts["sizes"], facts["digests"]
    say(f"making the data set: {key} …")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    sizes = make(folder)
    say(f"made in {time.monotonic() - began:.0f} s")
    digests = {p.name: digest(p) for p in sorted(folder.iterdir())}
    made.write_text(json.dumps({"parameters": parameters, "sizes": sizes, "digests": digests}), encoding="utf-8")
    return folder, sizes, digests


FIXED = ("borg-fixed",)


def vm_steps(folder):
    first = Source(folder / "first.raw", "first", "vm1")
    unchanged = Source(folder / "first.raw", "unchanged", "vm1")
    later = Source(folder / "next-day.raw", "next-day", "vm1")
    sibling = Source(folder / "sibling.raw", "sibling", "vm2")
    return [
        Step("first", "first backup", "backup", first, compared=True),
        Step("restore-first", "restore of the first, from memory", "restore", first, compared=True),
        Step("restore-first-cold", "the same, from disk", "restore", first, compared=True, cold=True, without=FIXED),
        Step("discard-first", "the same, from memory, written nowhere", "discard", first, without=FIXED),
        Step("read-all", "reading all of it where it lies", "read", first, compared=True, without=FIXED),
        Step("read-64k", f"{access.READS} reads of 64 KiB anywhere", "read", first, compared=True, size=65536,
             without=FIXED),
        Step("read-4k", f"{access.READS} reads of 4 KiB anywhere", "read", first, compared=True, size=4096,
             without=FIXED),
        Step("verify-first", "verify, one backup", "verify"),
        Step("copy-first", "copy to a second target, which is empty", "copy"),
        Step("unchanged", "unchanged", "backup", unchanged),
        Step("next-day", "next day", "backup", later),
        Step("sibling", "sibling", "backup", sibling),
        Step("copy-rest", "copy of the three others to the second target", "copy"),
        Step("restore-next-day", "restore of the next day, from memory", "restore", later, compared=True,
             without=FIXED),
        Step("verify-all", "verify, all four backups", "verify"),
        Step("scrub", "verify every stored byte, without keys", "scrub", without=FIXED),
        Step("list", "list the backups", "list", without=FIXED),
        Step("list-passphrase", "the same, opened by a passphrase", "list_by_passphrase"),
        Step("repair", "repair from the second target, a tenth of the packs damaged", "repair"),
    ]


def vm(bench, tools, quick):
    size, data = (GIB, 500 * MIB) if quick else (3 * GIB, int(1.6 * GIB))
    folder, sizes, digests = prepare(bench, "vm", [size, data], lambda f: vmimage.make(bench, f, size, data))
    extra = [yardsticks.QemuImg(bench), yardsticks.Zstd(bench), yardsticks.Cp(bench), yardsticks.QemuNbd(bench)]
    return Scenario("vm", None, folder, vm_steps(folder), tools + extra, sizes, digests)


def scatter(bench, tools, _quick):
    folder, sizes, digests = prepare(bench, "scattered", [scattered.WRITES], scattered.make)
    before = Source(folder / "before.raw", "before", "disk")
    after = Source(folder / "after.raw", "after", "disk")
    steps = [Step("first", "first backup", "backup", before), Step("writes", "after the writes", "backup", after)]
    return Scenario("scattered", None, folder, steps, tools, sizes, digests)


def tables(bench, tools, quick):
    size = 128 * MIB if quick else 512 * MIB
    folder, sizes, digests = prepare(bench, "database", [size], lambda f: database.make(f, size))
    first = Source(folder / "first", "first", "db")
    unchanged = Source(folder / "first", "unchanged", "db")
    later = Source(folder / "next-day", "next-day", "db")
    steps = [
        Step("first", "first backup", "backup", first, compared=True),
        Step("unchanged", "unchanged", "backup", unchanged),
        Step("next-day", "next day", "backup", later),
        Step("restore", "restore of the next day", "restore", later),
        Step("verify", "verify, all three backups", "verify"),
    ]
    tools = [t for t in tools if t.key != "borg-fixed"]  # its setting is for disk images
    return Scenario("database", None, folder, steps, tools + [yardsticks.Zstd(bench)], sizes, digests)


VM = Comparison("vm", "Disk images of a virtual machine", vm, summary.vm_goals)
SCATTERED = Comparison("scattered", "Scattered writes", scatter, summary.scattered_goals)
DATABASE = Comparison("database", "Folder of a database", tables, summary.database_goals)


# ---- one step of one tool ----

def check_restored(bench, tool, step, out):
    """What came back is what was backed up; not measured."""
    there = tool.restored(step.source, out)
    if step.source.path.is_dir():
        bench.quietly(["diff", "-r", step.source.path, there])
    else:
        bench.quietly(["cmp", step.source.path, there])


def do_restore(bench, tool, step, check):
    out = bench.path("out", tool.key)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    flush = ["sync", "-f", out] if step.source.path.is_dir() else ["sync", tool.restored(step.source, out)]
    stages = [*tool.restore(step.source, out), [Command(flush)]]
    sample = bench.measure(stages, reads=[tool.lies(step.source)], env=tool.environment(), cold=step.cold)
    if check:
        check_restored(bench, tool, step, out)
    shutil.rmtree(out)
    return sample


def do_backup(bench, tool, step):
    before = tool.size()
    sample = bench.measure(tool.backup(step.source), reads=[step.source.path], env=tool.environment())
    sample.stored = tool.size() - before
    if not isinstance(tool, yardsticks.Yardstick):
        tool.note_backup(step.source)
    return sample


def do_copy(bench, tool):
    tool.make_second()
    before = apparent_size(tool.second)
    sample = bench.measure(tool.copy(), reads=[tool.repo], env=tool.environment())
    sample.stored = apparent_size(tool.second) - before
    return sample


def do_repair(bench, tool, check):
    tool.damage()
    sample = bench.measure(tool.repair(), reads=[tool.repo, tool.second], env=tool.environment())
    if check:
        bench.cost(tool.verify(), tool.environment())
    return sample


def do_read(bench, tool, step):
    try:
        return access.measure(bench, tool, step.source, step.size)
    except access.Unavailable as why:
        bench.left_out[f"reading where it lies with {tool.title}"] = str(why)
        return None


METHODS = {"read": "serve"}  # of tools, where the step's kind is not the name


def do(bench, tool, step, check):
    """Measure one step of one tool; None where the tool has no such thing."""
    if not hasattr(tool, METHODS.get(step.kind, step.kind)) or tool.key in step.without or \
            (isinstance(tool, yardsticks.Yardstick) and not step.compared):
        return None
    if step.kind == "restore":
        return do_restore(bench, tool, step, check)
    if step.kind == "backup":
        return do_backup(bench, tool, step)
    if step.kind == "copy":
        return do_copy(bench, tool)
    if step.kind == "repair":
        return do_repair(bench, tool, check)
    if step.kind == "read":
        return do_read(bench, tool, step)
    stages = tool.discard(step.source) if step.kind == "discard" else getattr(tool, step.kind)()
    return bench.measure(stages, reads=[tool.repo], env=tool.environment())


def turn(bench, scenario, repetition, record):
    """One repetition of all steps; record(step, tool, sample) is told of each. What comes back is looked at the first
    time."""
    tools = [tool for tool in scenario.tools if repetition == 0 or not tool.once]
    for tool in tools:
        tool.fresh()
    first = repetition % len(tools)
    for step in scenario.steps:
        for tool in tools[first:] + tools[:first]:
            try:
                sample = do(bench, tool, step, repetition == 0)
            except BenchError as error:
                raise BenchError(f"{scenario.title}, {step.title}, {tool.title}: {error}") from error
            if sample:
                record(step, tool, sample)
    for tool in tools:
        shutil.rmtree(tool.folder, ignore_errors=True)
