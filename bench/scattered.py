# SPDX-License-Identifier: Apache-2.0
"""A disk with small writes scattered over it: what it costs to store them is a matter of the size of blocks alone."""
import content
from vmimage import copy_sparse

MIB = 1 << 20
BLOCK = 64 << 10
SIZE = 2048 * MIB
TEXT = 512 * MIB
NOISE = 512 * MIB  # the rest is a hole
WRITES = 781       # 48.8 MiB
PART = 8 * MIB


def places(count, name):
    """`count` different blocks of the first half, ascending."""
    order = list(range((TEXT + NOISE) // BLOCK))
    rng = content.generator("scattered", name)
    for i in range(count):
        j = i + content.below(rng, len(order) - i)
        order[i], order[j] = order[j], order[i]
    return sorted(order[:count])


def write_data(image):
    """Half a GiB of text, half a GiB of noise, and one GiB of nothing."""
    image.unlink(missing_ok=True)
    with open(image, "wb") as f:
        f.truncate(SIZE)
    content.write_parts([(str(image), offset, "text" if offset < TEXT else "noise", PART, ("scattered", offset))
                         for offset in range(0, TEXT + NOISE, PART)])


def make(folder):
    """before.raw, and after.raw with the writes in it. They are noise, so neither compression nor deduplication makes
    them smaller than they are."""
    before, after = folder / "before.raw", folder / "after.raw"
    write_data(before)
    copy_sparse(before, after)
    rng = content.generator("scattered", "writes")
    with open(after, "r+b") as f:
        for block in places(WRITES, "writes"):
            f.seek(block * BLOCK)
            f.write(content.noise(rng, BLOCK))
    return {"text": TEXT, "noise": NOISE, "hole": SIZE - TEXT - NOISE, "scattered writes": WRITES * BLOCK}
