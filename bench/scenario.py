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
from dataclasses import dataclass

import database
import scattered
import vmimage
import yardsticks
from measure import BenchError, Command, files_below
from tools import Source

MIB = 1 << 20
GIB = 1 << 30


@dataclass
class Step:
    key: str
    title: str
    kind: str              # the method of the tool: backup, restore, discard, verify, list
    source: Source = None
    compared: bool = False  # with the yardsticks too
    cold: bool = False     # what is read is not in the page cache


@dataclass
class Scenario:
    key: str
    title: str
    folder: object
    steps: list
    tools: list
    sizes: dict            # what the data holds, in bytes
    digests: dict


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
    sizes = make(folder)
    digests = {p.name: digest(p) for p in sorted(folder.iterdir())}
    made.write_text(json.dumps({"parameters": parameters, "sizes": sizes, "digests": digests}), encoding="utf-8")
    return folder, sizes, digests


def vm(bench, tools, quick):
    size, data = (GIB, 500 * MIB) if quick else (4 * GIB, int(2.3 * GIB))
    folder, sizes, digests = prepare(bench, "vm", [size, data], lambda f: vmimage.make(bench, f, size, data))
    first = Source(folder / "first.raw", "first", "vm1")
    unchanged = Source(folder / "first.raw", "unchanged", "vm1")
    later = Source(folder / "next-day.raw", "next-day", "vm1")
    sibling = Source(folder / "sibling.raw", "sibling", "vm2")
    steps = [
        Step("first", "first backup", "backup", first, compared=True),
        Step("restore-first", "restore of the first, from memory", "restore", first, compared=True),
        Step("restore-first-cold", "the same, from disk", "restore", first, compared=True, cold=True),
        Step("discard-first", "the same, from memory, written nowhere", "discard", first),
        Step("verify-first", "verify, one backup", "verify"),
        Step("unchanged", "unchanged", "backup", unchanged),
        Step("next-day", "next day", "backup", later),
        Step("sibling", "sibling", "backup", sibling),
        Step("restore-next-day", "restore of the next day, from memory", "restore", later, compared=True),
        Step("verify-all", "verify, all four backups", "verify"),
        Step("list", "list the backups", "list"),
    ]
    extra = [yardsticks.QemuImg(bench), yardsticks.QemuImgZstd(bench), yardsticks.Zstd(bench), yardsticks.Cp(bench)]
    return Scenario("vm", "Disk images of a virtual machine", folder, steps, tools + extra, sizes, digests)


def scatter(bench, tools, _quick):
    folder, sizes, digests = prepare(bench, "scattered", [scattered.WRITES], scattered.make)
    before = Source(folder / "before.raw", "before", "disk")
    after = Source(folder / "after.raw", "after", "disk")
    steps = [Step("first", "first backup", "backup", before), Step("writes", "after the writes", "backup", after)]
    return Scenario("scattered", "Scattered writes", folder, steps, tools, sizes, digests)


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
    return Scenario("database", "Folder of a database", folder, steps, tools + [yardsticks.Zstd(bench)], sizes, digests)


# ---- one step of one tool ----

def check_restored(bench, tool, step, out):
    """What came back is what was backed up; not measured."""
    there = tool.restored(step.source, out)
    if step.source.path.is_dir():
        bench.quietly(["diff", "-r", step.source.path, there])
    else:
        bench.quietly(["cmp", step.source.path, there])


def do_restore(bench, tool, step, env):
    out = bench.path("out", tool.key)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    flush = ["sync", "-f", out] if step.source.path.is_dir() else ["sync", tool.restored(step.source, out)]
    stages = [*tool.restore(step.source, out), [Command(flush)]]
    sample = bench.measure(stages, reads=[getattr(tool, "repo", step.source.path)], env=env, cold=step.cold)
    check_restored(bench, tool, step, out)
    shutil.rmtree(out)
    return sample


def do(bench, tool, step):
    """Measure one step of one tool; None where the tool has no such thing."""
    if not hasattr(tool, step.kind) or (isinstance(tool, yardsticks.Yardstick) and not step.compared):
        return None
    env = tool.environment()
    if step.kind == "restore":
        return do_restore(bench, tool, step, env)
    if step.kind == "backup":
        before = tool.size()
        sample = bench.measure(tool.backup(step.source), reads=[step.source.path], env=env)
        sample.stored = tool.size() - before
        if not isinstance(tool, yardsticks.Yardstick):
            tool.note_backup(step.source)
        return sample
    stages = tool.discard(step.source) if step.kind == "discard" else getattr(tool, step.kind)()
    return bench.measure(stages, reads=[tool.repo], env=env)


def run(bench, scenario, repetition, record):
    """One repetition of all steps; record(step, tool, sample) is told of each."""
    for tool in scenario.tools:
        tool.fresh()
    turn = repetition % len(scenario.tools)
    order = scenario.tools[turn:] + scenario.tools[:turn]
    for step in scenario.steps:
        for tool in order:
            try:
                sample = do(bench, tool, step)
            except BenchError as error:
                raise BenchError(f"{scenario.title}, {step.title}, {tool.title}: {error}") from error
            if sample:
                record(step, tool, sample)
    for tool in scenario.tools:
        shutil.rmtree(tool.folder, ignore_errors=True)
