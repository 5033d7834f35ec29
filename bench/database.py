# SPDX-License-Identifier: Apache-2.0
"""The folder of a database: tables as files of 8 KiB pages, and the same a day later."""
import shutil

import content
from content import PAGE

MIB = 1 << 20
CHANGED = 0.03  # of the pages: half of them anywhere, half near the end of a table, where the new rows are
GROWN = 0.01
RECENT = 0.10   # the part of a table that counts as its end
PART = 4 * MIB
# The tables by their part of the whole.
TABLES = {"16401": 0.40, "16407": 0.25, "16413": 0.15, "16419": 0.12, "16425": 0.08}


def write_tables(folder, size):
    jobs = []
    for name, share in TABLES.items():
        total = int(size * share) // PART * PART
        for offset in range(0, total, PART):
            jobs.append((str(folder / name), offset, "pages", PART, ("database", name, offset // PAGE)))
    content.write_parts(jobs)


def change_table(path, name):
    rng = content.generator("database", name, "next day")
    count = path.stat().st_size // PAGE
    recent = int(count * RECENT)
    picked = {content.below(rng, count) for _ in range(int(count * CHANGED / 2))}
    picked |= {count - 1 - content.below(rng, recent) for _ in range(int(count * CHANGED / 2))}
    with open(path, "r+b") as f:
        for number in sorted(picked):
            f.seek(number * PAGE)
            old = f.read(PAGE)
            f.seek(number * PAGE)
            f.write(content.change_page(rng, old))
        f.seek(0, 2)
        f.write(content.pages(rng, int(count * GROWN) * PAGE, count))


def make(folder, size):
    """Folders first/ and next-day/ with about `size` bytes each."""
    first, later = folder / "first", folder / "next-day"
    for base in (first, later):
        shutil.rmtree(base, ignore_errors=True)
    (first / "base").mkdir(parents=True)
    write_tables(first / "base", size)
    (first / "PG_VERSION").write_text("15\n", encoding="ascii")
    shutil.copytree(first, later)
    for name in TABLES:
        change_table(later / "base" / name, name)
    return {"pages": sum(p.stat().st_size for p in (first / "base").iterdir())}
