# SPDX-License-Identifier: Apache-2.0
"""Programs that do a part of the work: they show what reading, compressing and writing alone cost here.

None of them deduplicates, encrypts, or keeps more than one state.
"""
import os
import shutil

from access import Served
from measure import Command, apparent_size


def served_by_qemu(folder, image, form):
    return Served(["qemu-nbd", "--read-only", "--persistent", "--shared=8", "-k", folder / "s", "-f", form, image],
                  f"nbd+unix:///?socket={folder}/s")


class Yardstick:
    key = title = None
    once = False  # not in every repetition

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.path("run", self.key)
        self.output = self.folder / "output"

    def environment(self):
        return self.bench.environment()

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def size(self):
        return apparent_size(self.output)

    def lies(self, source):
        """What is read to get the content back."""
        return self.output if self.output.exists() else source.path


class QemuImg(Yardstick):
    key, title = "qemu-img", "qemu-img convert -c, zstd"
    once = True

    def backup(self, source):
        return [[Command(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd",
                          source.path, self.output])],
                [Command(["sync", self.output])]]

    def serve(self, _source, folder):
        return served_by_qemu(folder, self.output, "qcow2")


class QemuNbd(Yardstick):
    """The image itself, not a backup of it."""
    key, title = "qemu-nbd", "qemu-nbd, the image itself"

    def serve(self, source, folder):
        return served_by_qemu(folder, source.path, "raw")


class Zstd(Yardstick):
    key, title = "zstd", "zstd -1"
    once = True

    def backup(self, source):
        threads = f"-T{os.cpu_count()}"
        if source.path.is_dir():
            return [[Command(["tar", "--sort=name", "-C", source.path.parent, "-cf", "-", source.path.name]),
                     Command(["zstd", "-q", "-1", threads, "-o", self.output])],
                    [Command(["sync", self.output])]]
        return [[Command(["zstd", "-q", "-1", threads, "-o", self.output, source.path])],
                [Command(["sync", self.output])]]


class Cp(Yardstick):
    """Copying the image as a sparse file: what a restore would cost if the repository were the image itself."""
    key, title = "cp", "cp --sparse=always"

    def restored(self, source, folder):
        return folder / source.path.name

    def restore(self, source, folder):
        return [[Command(["cp", "--sparse=always", "--reflink=never", source.path, self.restored(source, folder)])]]
