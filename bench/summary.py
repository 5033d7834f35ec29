# SPDX-License-Identifier: Apache-2.0
"""From samples to numbers: medians over the repetitions, ratios within them, and the goals."""
from dataclasses import dataclass
from statistics import median

OWN = "holdfast"
BORG = ("borg", "borg-fixed")
PEERS = (*BORG, "restic")  # what else does the same work; yardsticks do a part of it
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
    there = {s["tool"] for s in results["samples"] if s["scenario"] == scenario and s["step"] == step}
    return [row(results["samples"], scenario, step, tool)
            for tool in results["scenarios"][scenario]["tools"] if tool in there]


def beside(results, scenario, step, tools=PEERS):
    """Holdfast's row of a step, or None, and those of these tools."""
    found = {r.tool: r for r in rows(results, scenario, step)}
    return found.get(OWN), [r for tool, r in found.items() if tool in tools]


# ---- goals ----

def at_least(text, factor, found, decimals=1):
    return Goal(text, f"≥ {factor:.{decimals}f}", f"{found:.2f}", found >= factor)


def faster(results, scenario, step, text, factor, tools=PEERS):
    """Time of the better of these tools to Holdfast's."""
    _, theirs = beside(results, scenario, step, tools)
    if theirs:
        yield at_least(f"{text}: time of {best_name(results, scenario, theirs)} to Holdfast's", factor,
                       min(r.wall_ratio for r in theirs))


def best_name(results, scenario, theirs):
    best = min(theirs, key=lambda r: r.wall_ratio)
    name = results["scenarios"][scenario]["tools"][best.tool]
    return name if len(theirs) == 1 else f"the better ({name})"


def smaller(results, scenario, step, text, most):
    """What Holdfast stores, as a part of what the best peer stores."""
    mine, theirs = beside(results, scenario, step)
    if mine and theirs:
        part = mine.stored / min(r.stored for r in theirs)
        yield Goal(f"{text}: stored, as a part of what the best peer stores", f"≤ {100 * most:.0f} %",
                   f"{100 * part:.0f} %", part <= most)


def as_fast_as_cp(results, step, how):
    _, cp = beside(results, "vm", step, ("cp",))
    for r in cp:
        yield at_least(f"restore: speed as a part of cp's, {how}", 0.7, r.wall_ratio, decimals=2)


def vm_goals(results):
    return [*faster(results, "vm", "first", "first backup", 3, BORG),
            *faster(results, "vm", "first", "first backup", 5, ("restic",)),
            *faster(results, "vm", "unchanged", "unchanged, everything read", 5),
            *faster(results, "vm", "restore-first", "restore from memory", 2),
            *faster(results, "vm", "restore-first-cold", "restore from disk", 2),
            *faster(results, "vm", "restore-next-day", "restore of the next day", 2),
            *faster(results, "vm", "verify-first", "verify, one backup", 2),
            *faster(results, "vm", "verify-all", "verify, four backups", 2),
            *smaller(results, "vm", "next-day", "next day of the virtual machine", 0.45),
            *as_fast_as_cp(results, "restore-first", "from memory"),
            *as_fast_as_cp(results, "restore-first-cold", "from disk")]


def database_goals(results):
    return [*faster(results, "database", "restore", "restore of the database's folder", 2),
            *faster(results, "database", "verify", "verify, the database's folder", 2),
            *smaller(results, "database", "next-day", "next day of the database's folder", 0.15)]


def writes_goals(results, scenario, step, how):
    written = results["written"]
    r, _ = beside(results, scenario, step)
    if r:
        yield Goal(f"{written / MIB:.1f} MiB of scattered writes, {how}: stored", "≤ 54 MiB",
                   f"{r.stored / MIB:.1f} MiB", r.stored <= 54 * MIB)
        if "read" in r.extra:
            yield Goal("the same: read from the disk", "≈ what was written", f"{r.extra['read'] / MIB:.1f} MiB",
                       r.extra["read"] <= 1.1 * written)


def scattered_goals(results):
    return list(writes_goals(results, "scattered", "writes", "everything read"))


def every_row(results):
    """(what it is, theirs / mine of CPU, mine - theirs of memory) for each step of each peer that Holdfast has too."""
    for scenario, entry in results["scenarios"].items():
        for step in entry.get("steps", {}):
            mine, theirs = beside(results, scenario, step)
            for r in theirs if mine else []:
                name = f"{entry['title']}, {entry['steps'][step]['title']}: {entry['tools'][r.tool]}"
                yield name, r.cpu_ratio, mine.peak_mib, r.peak_mib


def not_below(results):
    """The rows in which CPU time, and those in which memory is not below the peer's; and how many rows there are."""
    compared = list(every_row(results))
    cpu = [f"{name} ({r:.2f} ×)" for name, r, _, _ in compared if r is not None and r <= 1]
    memory = [f"{name} ({theirs:.0f} MiB, Holdfast {mine:.0f})" for name, _, mine, theirs in compared if mine >= theirs]
    return cpu, memory, len(compared)


def overall_goals(results):
    cpu, memory, count = not_below(results)
    peaks = [s["peak_mib"] for s in results["samples"] if s["tool"] == OWN]
    if count:
        yield Goal("CPU time below that of every peer: rows", f"{count} of {count}", f"{count - len(cpu)}", not cpu)
        yield Goal("peak memory below that of every peer: rows", f"{count} of {count}", f"{count - len(memory)}",
                   not memory)
    if peaks:
        yield Goal("largest peak memory of Holdfast in any step", "≤ 256 MiB", f"{max(peaks):.0f} MiB",
                   max(peaks) <= 256)


def other_load(results):
    """The part of the machine that others used while something was measured: median and largest."""
    cores = results["machine"]["cores"]
    parts = [s["others"] / (s["wall"] * cores) for s in results["samples"]
             if s["wall"] > 0.5 and s["others"] is not None]
    return (median(parts), max(parts)) if parts else (0.0, 0.0)
