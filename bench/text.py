# SPDX-License-Identifier: Apache-2.0
"""Numbers and tables as the document has them."""
from summary import MIB, OWN, rows

COLUMNS = ("| step | tool | time s | CPU s | memory MiB | stored MiB | × time | × CPU |\n"
           "|---|---|---:|---:|---:|---:|---:|---:|\n")


def mib(n):
    return "" if n is None else f"{n / MIB:.0f}" if n >= 100 * MIB else f"{n / MIB:.1f}" if n >= MIB else f"{n / MIB:.2f}"


def seconds(n):
    return "" if n is None else f"{n:.1f}" if n >= 10 else f"{n:.2f}"


def ratio(n):
    return "" if n is None else f"{n:.2f}"


def line(*cells):
    return f"| {' | '.join(cells)} |"


def sizes(made):
    held = ", ".join(f"{mib(n)} MiB of {name}" for name, n in made.items() if n)
    return f"Holds {held}."


def table(results, scenario):
    """Steps and tools, each beside Holdfast."""
    lines, entry = [], results["scenarios"][scenario]
    for key, step in entry["steps"].items():
        for number, r in enumerate(rows(results, scenario, key)):
            own = r.tool == OWN
            name = entry["tools"][r.tool]
            lines.append(line("" if number else step["title"], f"**{name}**" if own else name, seconds(r.wall),
                              seconds(r.cpu), f"{r.peak_mib:.0f}", mib(r.stored), "" if own else ratio(r.wall_ratio),
                              "" if own else ratio(r.cpu_ratio)))
    return COLUMNS + "\n".join(lines) + "\n"


def section(results, scenario, words=""):
    entry = results["scenarios"][scenario]
    held = sizes(entry["sizes"]) + "\n\n" if entry["sizes"] else ""
    return f"## {entry['title']}\n\n{held}{words}{table(results, scenario)}"
