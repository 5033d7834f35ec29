# SPDX-License-Identifier: Apache-2.0
"""A first backup beside what its stages take at least: hashing, compressing, sealing, by the same functions."""
import json
import os
import shutil
import tempfile
from pathlib import Path

from measure import Command
from scenario import Part, Scenario, Step, vm
from summary import OWN, Goal, pick, row
from text import line, mib, seconds
from tools import Holdfast

SHARE = 0.8
MEMORY = Path("/dev/shm")

WORDS = """## {title}

`bench/stages` reads the image *first* into memory, then hashes its blocks and compresses and seals those that are new, on
all cores, with the functions that a backup uses, and writes nothing: the sum of the stages. A backup also reads the
image, looks blocks up, packs them and writes them to disk; the part of the limit is the sum of the stages to the
backup's time, taken within a repetition.

| | time s | MiB/s | part of the limit |
|---|---:|---:|---:|
"""


class Placed(Holdfast):
    """A repository that lies where it is told to."""
    key = "pipeline"

    def __init__(self, bench, binary, folder):
        super().__init__(bench, binary)
        self.repo = folder / "repo"


def part(results, step):
    """The sum of the stages to the time of a backup, the median over the repetitions."""
    samples = results["samples"]
    stages, backups = pick(samples, "pipeline", "stages", "stages"), pick(samples, "pipeline", step, OWN)
    parts = sorted(stages[n]["extra"]["sum"] / backups[n]["wall"] for n in backups if n in stages)
    return parts[len(parts) // 2] if parts else None


class Pipeline(Part):
    key, title, data = "pipeline", "The pipeline, and what its stages take at least", ("vm",)

    def why_not(self, run):
        if not run.program("stages").exists():
            return "bench/stages is not built beside the given program: ninja bench/stages"
        return None

    def measure(self, run):
        data = vm(run.bench, [], run.options.quick)
        source = data.steps[0].source
        steps = [Step("stages", "sum of the stages", "stages"), Step("backup", "first backup, to disk", "backup")]
        places = {"backup": run.bench.path("run")}
        if has_memory(run.bench, source):
            steps.append(Step("memory", "first backup, to memory (tmpfs)", "backup"))
            places["memory"] = MEMORY
        made = Scenario(self.key, self.title, data.folder, steps, run.tools[:1], data.sizes, {})
        run.add(made)
        for number in range(run.options.repeat):
            first = number % len(steps)
            for step in steps[first:] + steps[:first]:
                if step.kind == "stages":
                    run.record(made, number, step, "stages", stages(run, source))
                else:
                    run.record(made, number, step, OWN, backup(run, source, places[step.key]))

    def section(self, results):
        limit = row(results["samples"], self.key, "stages", "stages")
        titles = {"hash": "hash", "compress": "compress (zstd 1)", "seal": "seal", "sum": "sum of the stages"}
        lines = [line(titles[name], seconds(limit.extra[name]), mib(limit.extra["bytes"] / limit.extra[name]), "")
                 for name in titles]
        for key, step in results["scenarios"][self.key]["steps"].items():
            r = row(results["samples"], self.key, key, OWN)
            if r:
                lines.append(line(step["title"], seconds(r.wall), mib(limit.extra["bytes"] / r.wall),
                                  f"{100 * part(results, key):.0f} %"))
        return WORDS.format(title=self.title) + "\n".join(lines) + "\n"

    def goals(self, results):
        found = part(results, "backup")
        if found is None:
            return []
        return [Goal("pipeline: first backup's speed as a part of the stages' alone", f"≥ {100 * SHARE:.0f} %",
                     f"{100 * found:.0f} %", found >= SHARE)]


def has_memory(bench, source):
    """Is there a file system in memory that takes a repository?"""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 * source.path.stat().st_blocks * 512:
        return True
    bench.left_out["a first backup to memory"] = f"{MEMORY} is not there, or too small"
    return False


def backup(run, source, place):
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=place) as folder:
        tool = Placed(run.bench, run.binary, Path(folder))
        tool.fresh()
        sample = run.bench.measure(tool.backup(source), reads=[source.path], env=tool.environment())
        sample.stored = tool.size()
    return sample


def stages(run, source):
    answer = run.bench.path("tmp", "stages.json")
    sample = run.bench.measure([[Command([run.program("stages"), source.path], stdout=answer)]], reads=[source.path])
    sample.extra = json.loads(answer.read_text(encoding="utf-8"))
    return sample
