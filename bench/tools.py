# SPDX-License-Identifier: Apache-2.0
"""The programs that are compared: how each makes a backup, restores it and checks it.

All three encrypt, are given the same random key, and compress with zstd at its lowest level. All read everything
on every backup: the shortcuts by which borg and restic pass over files with the same times are off, because they do
not apply to the disk of a running machine, which changes all the time.
"""
import json
import secrets
import shutil
from dataclasses import dataclass

from access import Served
from measure import BenchError, Command, apparent_size, files_below

# As 'target init --new-key-file' makes one, which the README tells to use. Holdfast sees by its form that there is nothing to
# guess; to borg and restic it is a passphrase like any other.
KEY = "holdfast-key-1:" + secrets.token_hex(32)
PASSPHRASE = "a passphrase for the benchmark"
RECORDS = ["--blocking-factor=256"]  # tar moves 10 KiB at a time otherwise, which costs more than what is done with it


@dataclass
class Source:
    """What is backed up."""
    path: object       # a disk image, or a folder
    label: str         # names this backup
    resource: str      # those with the same name are states of the same thing


def extract_tar(folder):
    return Command(["tar", *RECORDS, "-xf", "-", "-C", folder])


class Tool:
    """A repository in run/KEY and the commands for it. A method that returns stages returns what is measured."""
    key = title = None
    once = False  # not in every repetition

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.path("run", self.key)
        self.home = self.folder / "home"
        self.repo = self.folder / "repo"
        self.second = self.folder / "second"  # where copies go
        self.secret = bench.path("home", "key")
        self.secret.write_text(KEY + "\n", encoding="utf-8")

    def environment(self):
        return self.bench.environment(self.home)

    def fresh(self):
        """A new, empty repository, and caches as empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.bench.quietly(self.init(), env=self.environment())

    def size(self):
        return apparent_size(self.repo)

    def lies(self, _source):
        """What is read to get a backup back."""
        return self.repo

    def note_backup(self, source):
        """Called when a backup is complete."""

    def make_second(self):
        """Before the first copy."""
        if not self.second.exists():
            self.bench.quietly(self.init_second(), env=self.environment())

    def restored(self, source, folder):
        """Where a restore puts the disk or folder."""
        return folder / source.path.name


class Holdfast(Tool):
    key, title = "holdfast", "Holdfast"

    def __init__(self, bench, binary):
        super().__init__(bench)
        self.binary = binary
        self.ids = {}

    def environment(self):
        return {**super().environment(), "HOLDFAST_TARGET": f"dir:{self.repo}",
                "HOLDFAST_KEY_FILE": str(self.secret)}

    def init(self):
        return [self.binary, "target", "init"]

    def answer(self):
        return self.folder / "answer.json"

    def backup(self, source):
        if source.path.is_dir():
            return [[Command(["tar", *RECORDS, "--sort=name", "-C", source.path.parent, "-cf", "-", source.path.name]),
                     Command([self.binary, "protect", "stdin", "--name", source.resource, "--compression", "1",
                              "--output", "json"], stdout=self.answer())]]
        return [[Command([self.binary, "protect", "disk", source.path, "--name", source.resource, "--compression", "1",
                          "--output", "json"], stdout=self.answer())]]

    def note_backup(self, source):
        self.ids[source.label] = json.loads(self.answer().read_text(encoding="utf-8"))["id"]

    def restore(self, source, folder):
        if source.path.is_dir():
            return [[Command([self.binary, "checkpoint", "cat", self.ids[source.label], "stdin"]), extract_tar(folder)]]
        return [[Command([self.binary, "restore", "disk", self.ids[source.label], "disk",
                          self.restored(source, folder)])]]

    def discard(self, source):
        return [[Command([self.binary, "checkpoint", "cat", self.ids[source.label], "disk"])]]

    def verify(self):
        return [[Command([self.binary, "checkpoint", "verify", "--all"])]]

    def scrub(self):
        return [[Command([self.binary, "target", "verify", "--target", f"dir:{self.repo}"])]]

    def list(self):
        return [[Command([self.binary, "checkpoint", "list"])]]

    def add_passphrase(self):
        file = self.home / "passphrase"
        file.write_text(PASSPHRASE + "\n", encoding="utf-8")
        self.bench.quietly([self.binary, "target", "key", "add", "--from-file", file], env=self.environment())
        return file

    def list_by_passphrase(self):
        return [[Command([self.binary, "checkpoint", "list", "--key-file", self.add_passphrase()])]]

    def serve(self, source, folder):
        return Served([self.binary, "checkpoint", "serve", self.ids[source.label], "disk", "--socket", folder / "s"],
                      f"nbd+unix:///disk?socket={folder}/s")

    def init_second(self):
        return [self.binary, "target", "init", "--target", f"dir:{self.second}"]

    def copy(self):
        return [[Command([self.binary, "checkpoint", "copy", "--all", "--to", f"dir:{self.second}",
                          "--to-key-file", self.secret])]]

    def damage(self):
        """One byte of every tenth pack."""
        for pack in files_below(self.repo / "packs")[::10]:
            pack.chmod(0o600)
            with open(pack, "r+b") as f:
                f.seek(pack.stat().st_size // 3)
                byte = f.read(1)[0]
                f.seek(-1, 1)
                f.write(bytes([byte ^ 1]))

    def repair(self):
        return [[Command([self.binary, "target", "repair", "--from", f"dir:{self.second}",
                          "--from-key-file", self.secret])]]

    def version(self):
        return self.bench.quietly([self.binary, "version"]).split()[-1]


class Borg(Tool):
    key, title = "borg", "borg"
    chunking = []

    def environment(self):
        return {**super().environment(), "BORG_PASSPHRASE": KEY, "BORG_BASE_DIR": str(self.home)}

    def init(self):
        return ["borg", "init", "--encryption", self.encryption(), self.repo]

    def encryption(self):
        """The mode that borg's own help recommends for this processor."""
        if int(self.version().split(".")[0]) >= 2:
            return "repokey-aes-ocb"
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            return "repokey" if "sha_ni" in f.read() else "repokey-blake2"

    def backup(self, source):
        return [[Command(["borg", "create", "--compression", "zstd,1", "--files-cache", "disabled", *self.chunking,
                          f"{self.repo}::{source.label}", source.path.name], cwd=source.path.parent)]]

    def restore(self, source, folder):
        return [[Command(["borg", "extract", "--sparse", f"{self.repo}::{source.label}"], cwd=folder)]]

    def discard(self, source):
        return [[Command(["borg", "extract", "--stdout", f"{self.repo}::{source.label}"])]]

    def verify(self):
        return [[Command(["borg", "check", "--verify-data", self.repo])]]

    def scrub(self):
        return [[Command(["borg", "check", "--repository-only", self.repo])]]

    def list(self):
        return [[Command(["borg", "list", self.repo])]]

    def serve(self, source, folder):
        return Served(["borg", "mount", "--foreground", f"{self.repo}::{source.label}", folder],
                      str(folder / source.path.name))

    def version(self):
        return self.bench.quietly(["borg", "--version"]).split()[-1]


class BorgFixed(Borg):
    """What somebody who knows borg well might set for disk images."""
    key, title = "borg-fixed", "borg, fixed 64 KiB"
    chunking = ["--chunker-params", "fixed,65536", "--sparse"]


class Restic(Tool):
    key, title = "restic", "restic"

    def environment(self):
        return {**super().environment(), "RESTIC_PASSWORD": KEY, "RESTIC_REPOSITORY": str(self.repo),
                "RESTIC_CACHE_DIR": str(self.home / "cache")}

    def init(self):
        return ["restic", "init", "--quiet"]

    def backup(self, source):
        return [[Command(["restic", "backup", "--quiet", "--force", "--compression", "auto", "--tag", source.label,
                          source.path.name], cwd=source.path.parent)]]

    def restore(self, source, folder):
        sparse = ["--sparse"] if self.offers("restore", "--sparse") else []
        return [[Command(["restic", "restore", "--quiet", *sparse, "--tag", source.label, "--target", folder, "latest"])]]

    def discard(self, source):
        return [[Command(["restic", "dump", "--quiet", "--tag", source.label, "latest", f"/{source.path.name}"])]]

    def offers(self, command, option):
        """Releases differ."""
        return option in self.bench.quietly(["restic", command, "--help"])

    def verify(self):
        return [[Command(["restic", "check", "--quiet", "--read-data"])]]

    def list(self):
        return [[Command(["restic", "snapshots", "--quiet"])]]

    def serve(self, source, folder):
        return Served(["restic", "mount", folder],
                      str(folder / "tags" / source.label / "latest" / source.path.name))

    def from_repo(self):
        return ["--repo", self.second, "--from-repo", self.repo, "--from-password-file", self.secret]

    def init_second(self):
        return ["restic", "init", "--quiet", *self.from_repo(), "--copy-chunker-params"]

    def copy(self):
        return [[Command(["restic", "copy", "--quiet", *self.from_repo()])]]

    def version(self):
        words = self.bench.quietly(["restic", "version"]).split()
        if len(words) < 2:
            raise BenchError("restic does not say its version")
        return words[1]
