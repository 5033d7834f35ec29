# SPDX-License-Identifier: Apache-2.0
"""From samples to numbers: medians over the repetitions, ratios within them, and the goals."""
from dataclasses import dataclass
from statistics import median

OWN = "holdfast"
MIB = 1 << 20


@dataclass
class Row:
    """One tool at one step."""
    tool: str
    wall: float
    cpu: float
    peak_mib: float
    stored: float       # bytes, or None
    wall_ratio: float   # of its time to Holdfast's, or None
    cpu_ratio: float
    extra: dict


@dataclass
class Goal:
    text: str
    wanted: str
    found: str
    met: bool


def pick(samples, scenario, step, tool):
    """{repetition: sample}"""
    return {s["repetition"]: s for s in samples
            if (s["scenario"], s["step"], s["tool"]) == (scenario, step, tool)}


def paired_ratio(mine, theirs, what):
    """The median, over the repetitions, of theirs to mine."""
    pairs = [theirs[n][what] / mine[n][what] for n in theirs if n in mine and mine[n][what] > 0]
    return median(pairs) if pairs else None


def row(samples, scenario, step, tool):
    theirs, mine = pick(samples, scenario, step, tool), pick(samples, scenario, step, OWN)
    if not theirs:
        return None
    def middle(what):
        values = [s[what] for s in theirs.values() if s[what] is not None]
        return median(values) if values else None
    extras = {name: median(s["extra"][name] for s in theirs.values())
              for name, value in next(iter(theirs.values()))["extra"].items() if isinstance(value, (int, float))}
    return Row(tool, middle("wall"), middle("cpu"), max(s["peak_mib"] for s in theirs.values()), middle("stored"),
               paired_ratio(mine, theirs, "wall"), paired_ratio(mine, theirs, "cpu"), extras)


def rows(results, scenario, step):
    tools = []
    for s in results["samples"]:
        if s["scenario"] == scenario and s["step"] == step and s["tool"] not in tools:
            tools.append(s["tool"])
    order = list(results["tools"])
    return [row(results["samples"], scenario, step, tool) for tool in sorted(tools, key=order.index)]


def first_backup_goals(samples):
    for tool, factor in (("borg", 2.5), ("restic", 4.0)):
        r = row(samples, "vm", "first", tool)
        if r and r.wall_ratio:
            yield Goal(f"first backup: time of {tool} to Holdfast's", f"≥ {factor}", f"{r.wall_ratio:.2f}",
                       r.wall_ratio >= factor)
            yield Goal(f"first backup: CPU of {tool} to Holdfast's", "> 1", f"{r.cpu_ratio:.2f}", r.cpu_ratio > 1)


def scattered_goals(samples, written):
    for scenario, step, how in (("scattered", "writes", "everything read"),
                                ("tracking", f"writes-{written // 65536}", "with change tracking")):
        r = row(samples, scenario, step, OWN)
        if r:
            yield Goal(f"{written / MIB:.1f} MiB of scattered writes, {how}: stored", "≤ 54 MiB",
                       f"{r.stored / MIB:.1f} MiB", r.stored <= 54 * MIB)
            if "read" in r.extra:
                yield Goal("the same: read from the disk", "≈ what was written", f"{r.extra['read'] / MIB:.1f} MiB",
                           r.extra["read"] <= 1.1 * written)


def restore_goals(samples):
    for step, how in (("restore-first", "from memory"), ("restore-first-cold", "from disk")):
        r = row(samples, "vm", step, "cp")
        if r and r.wall_ratio:
            yield Goal(f"restore: speed as a part of cp's, {how}", "≥ 0.70", f"{r.wall_ratio:.2f}", r.wall_ratio >= 0.7)


def memory_goal(samples):
    peaks = [s["peak_mib"] for s in samples if s["tool"] == OWN]
    if peaks:
        yield Goal("largest peak memory of Holdfast in any step", "≤ 256 MiB", f"{max(peaks):.0f} MiB",
                   max(peaks) <= 256)


def goals(results):
    samples = results["samples"]
    return [*first_backup_goals(samples), *scattered_goals(samples, results["written"]), *restore_goals(samples),
            *memory_goal(samples)]


def other_load(results):
    """The part of the machine that others used while something was measured: median and largest."""
    cores = results["machine"]["cores"]
    parts = [s["others"] / (s["wall"] * cores) for s in results["samples"] if s["wall"] > 0.5]
    return (median(parts), max(parts)) if parts else (0.0, 0.0)
