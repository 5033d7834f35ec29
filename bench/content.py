# SPDX-License-Identifier: Apache-2.0
"""Content from a seed: text, logs, database pages and noise, the same on every machine.

Only what random.Random promises to keep from version to version is used: random(), getrandbits() and randbytes().
"""
import os
import random
import struct
from array import array
from concurrent.futures import ProcessPoolExecutor

SEED = "holdfast-bench-1"
PAGE = 8192
VOCABULARY = 20000
SLOTS = 65536
EPOCH = 1700000000  # what is "now" in every data set


def generator(*names):
    """A random number generator for one purpose, independent of all others."""
    return random.Random("/".join((SEED, *map(str, names))))


def below(rng, n):
    return int(rng.random() * n)


def make_words():
    """Made-up words whose frequencies follow Zipf's law, as those of real text do: the table has as many slots for a
    word as it is frequent."""
    rng = generator("words")
    onsets = "b c d f g h j k l m n p r s t v w st tr pl ch sh".split()
    vowels = "a e i o u ea ou ai".split()
    codas = ["", "", "n", "r", "s", "t", "l", "nd", "ck", "ing", "er"]
    words, seen = [], set()
    while len(words) < VOCABULARY:
        syllables = 1 + min(3, below(rng, 2 + len(words) // 4000))
        word = "".join(onsets[below(rng, len(onsets))] + vowels[below(rng, len(vowels))] for _ in range(syllables))
        word += codas[below(rng, len(codas))]
        if word not in seen:
            seen.add(word)
            words.append(word.encode())
    total = sum(1 / (rank + 2) for rank in range(VOCABULARY))
    table = []
    for rank, word in enumerate(words):
        table += [word] * max(1, round(SLOTS * 0.75 / total / (rank + 2)))
    table = table[:SLOTS]
    return table + words[:SLOTS - len(table)]


WORDS = make_words()


def text(rng, size):
    """Something like prose."""
    out, have = [], 0
    while have < size:
        picks = array("H", rng.randbytes(2 * 400))
        line = b" ".join(map(WORDS.__getitem__, picks))
        line = line[:1].upper() + line[1:].replace(b" the ", b", ") + b".\n"
        out.append(line)
        have += len(line)
    return b"".join(out)[:size]


LOG_LINES = (
    b"%s web1 nginx[812]: 10.%d.%d.%d - - \"GET /%s/%s HTTP/1.1\" 200 %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
    b"%s web1 app[2210]: INFO request %d.%d.%d handled by %s.%s in %d us\n",
    b"%s web1 kernel: audit: type=1400 audit(%d.%d:%d): op=%s profile=\"%s\" pid=%d\n",
    b"%s web1 postgres[990]: [%d-%d] %d LOG: checkpoint %s: wrote %s buffers in %d ms\n",
)


def logs(rng, size):
    """Lines as system logs have them: few forms, rising times, numbers."""
    out, have, now = [], 0, EPOCH - 86400
    while have < size:
        a, b, c, d, e, f, g, h = array("H", rng.randbytes(16))
        now += a & 1
        stamp = b"Nov %02d %02d:%02d:%02d" % (1 + now // 86400 % 28, now // 3600 % 24, now // 60 % 60, now % 60)
        line = LOG_LINES[b & 3] % (stamp, c & 255, d & 255, e, WORDS[f], WORDS[g], h)
        out.append(line)
        have += len(line)
    return b"".join(out)[:size]


def noise(rng, size):
    """What does not compress: media, archives, encrypted files."""
    return rng.randbytes(size)


def row(rng, number):
    """A row of a table: header, numbers, a time, words, a hash."""
    a, b, c, d, e, f = array("H", rng.randbytes(12))
    return struct.pack("<IHHIQd", 700 + (number >> 12), a & 7, 0x0802, number, (EPOCH << 20) + number * 977, a * b / 100) \
        + b" ".join((WORDS[c], WORDS[d], WORDS[e], WORDS[f])) + b"\0" + rng.randbytes(4)


def page(rng, number, lsn):
    """A page as PostgreSQL lays it out: a header, pointers from the front, rows from the back, a gap between them."""
    data = bytearray(PAGE)
    lower, upper = 24, PAGE
    first = number * 96
    for n in range(96):
        item = row(rng, first + n)
        start = (upper - len(item)) & ~7
        if start - (lower + 4) < 160:
            break
        data[start:start + len(item)] = item
        struct.pack_into("<I", data, lower, start | 1 << 15 | len(item) << 17)
        lower, upper = lower + 4, start
    struct.pack_into("<QHHHHHHI", data, 0, lsn, rng.getrandbits(16), 4, lower, upper, PAGE, PAGE | 4, 0)
    return bytes(data)


def pages(rng, size, first=0):
    """A table file: pages written one after the other."""
    return b"".join(page(rng, first + n, 0x10000000 + (first + n) * 8300) for n in range(size // PAGE))


def change_page(rng, old):
    """The page after a few rows of it were updated: new header, some bytes of rows."""
    data = bytearray(old)
    lower, upper = struct.unpack_from("<HH", data, 12)
    struct.pack_into("<QH", data, 0, 0x7000000000 + rng.getrandbits(32), rng.getrandbits(16))
    for _ in range(1 + below(rng, 3)):
        at = upper + below(rng, max(1, PAGE - upper - 48))
        data[at:at + 40] = struct.pack("<Q", rng.getrandbits(64)) + text(rng, 32)
    return bytes(data)


KINDS = {"text": text, "logs": logs, "noise": noise}


def write_part(job):
    """(path, offset, kind, size, names of the generator): one part of a file. For pages, names end with the number of
    the first one."""
    path, offset, kind, size, names = job
    rng = generator(*names)
    data = pages(rng, size, names[-1]) if kind == "pages" else KINDS[kind](rng, size)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        written = 0
        while written < size:
            written += os.pwrite(fd, memoryview(data)[written:], offset + written)
    finally:
        os.close(fd)


def write_parts(jobs):
    """All of them, on all cores; every part has its own generator, so their order does not matter."""
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(write_part, jobs, chunksize=4):
            pass
