# SPDX-License-Identifier: Apache-2.0
"""A repository in a folder, and what can happen to its files."""
import contextlib
import hashlib
import os
import pathlib
import re

import images

# Small: the tests' file systems are, and their guests write little.
RESERVE = "16MiB"


class Point(dict):
    """A checkpoint as JSON, with names for what tests ask most."""

    @property
    def id(self):
        return self["id"]

    @property
    def resource(self):
        return self["resources"][0]

    @property
    def consistency(self):
        return self.resource["consistency"]

    @property
    def disks(self):
        return {d["name"]: d for d in self.resource["disks"]}

    def modes(self):
        return {name: d["mode"] for name, d in self.disks.items()}

    @property
    def stored(self):
        return self["stats"]["stored_bytes"]


class Repo:
    env = {}  # what its target needs in the environment

    def __init__(self, holdfast, folder, lab=None):
        self.holdfast, self.folder, self.lab = holdfast, pathlib.Path(folder), lab
        self.path = self.folder / "target"
        self.key = self.folder / "key"
        self.scratch = self.folder / "s"
        self.scratch.mkdir()

    @property
    def url(self):
        return f"dir:{self.path}"

    @property
    def where(self):
        return ["-t", self.url, "-k", self.key]

    def init(self, *options):
        self.holdfast.run("target", "init", "-t", self.url, "--new-key-file", self.key, *options, env=self.env)
        return self

    def refused(self):
        """Why there can be no repository in this place; and nothing is left of the attempt."""
        done = self.holdfast.run("target", "init", "-t", self.url, "--new-key-file", self.key, "-o", "json", env=self.env,
                                 code="unsupported")
        assert not self.key.exists()
        return done.error["message"]

    def run(self, *args, env=None, **how):
        return self.holdfast.run(*args, *self.where, "-o", "json", env={**self.env, **(env or {})}, **how)

    def start(self, *args, env=None, **how):
        return self.holdfast.start(*args, *self.where, "-o", "json", env={**self.env, **(env or {})}, **how)

    def collect(self, *options):
        return self.run("target", "collect", *options).json

    # ---- protect

    def domain_args(self, guest, *options):
        scratch = [] if "--scratch" in options else ["--scratch", self.scratch]
        reserve = [] if "--scratch-reserve" in options else ["--scratch-reserve", RESERVE]
        names = [g if isinstance(g, str) else g.name for g in (guest if isinstance(guest, list) else [guest])]
        return ["protect", "domain", *names, "-c", self.lab.uri, *scratch, *reserve, *options]

    def protect(self, guest, *options, code=0, **how):
        done = self.run(*self.domain_args(guest, *options), code=code, **how)
        return Point(done.json) if code == 0 else done

    def start_protect(self, guest, *options, **how):
        return self.start(*self.domain_args(guest, *options), **how)

    def protect_disk(self, path, *options, code=0, **how):
        done = self.run("protect", "disk", path, *options, code=code, **how)
        return Point(done.json) if code == 0 else done

    def protect_stdin(self, name, data, *options, code=0, **how):
        done = self.run("protect", "stdin", "--name", name, *options, stdin=data, code=code, **how)
        return Point(done.json) if code == 0 else done

    @contextlib.contextmanager
    def paused_midway(self, run, begun=lambda: True):
        """Let a backup run until `begun` is true and a part of the data is stored, and stand still there."""
        run.stop_when(lambda: self.unfinished_bytes() > images.MIB and begun(), "it reads")
        try:
            yield run
        finally:
            if run.alive:
                run.resume()

    # ---- look

    def points(self):
        return [Point(p) for p in self.run("checkpoint", "list").json]

    def verify(self):
        return self.run("checkpoint", "verify", "--all").json

    def restore_disk(self, point, disk, out, *options, **how):
        ref = point.id if isinstance(point, Point) else point
        self.run("restore", "disk", ref, disk, out, *options, **how)
        return out

    def gives_back(self, point, disk, held):
        """Does the disk of a checkpoint, restored to a raw file, equal an independent copy?"""
        out = self.restore_disk(point, disk, self.folder / "back.raw")
        try:
            return images.same(out, held)
        finally:
            out.unlink()

    def restore_domain(self, point, *options, **how):
        ref = point.id if isinstance(point, Point) else point
        return self.run("restore", "domain", ref, "-c", self.lab.uri, *options, **how)

    def scratch_is_clean(self):
        return not any(self.scratch.iterdir())

    # ---- the files

    def packs(self):
        return sorted(p for p in (self.path / "packs").rglob("*") if p.is_file())

    def sessions(self):
        return self._names("sessions")

    def unfinished_bytes(self):
        """What writers at work have stored of packs that are not complete."""
        sizes = 0
        for path in (self.path / "sessions").glob("*/tmp-*"):
            with contextlib.suppress(FileNotFoundError):
                sizes += path.stat().st_size
        return sizes

    def dead_sessions(self):
        """Of these a folder keeps nothing."""
        return 0

    def epochs(self):
        return self._names("epochs")

    def temporary(self):
        return self._names("tmp")

    def _names(self, under):
        folder = self.path / under
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    def damage(self, path, part=0.5, n=64):
        """Flip bits of a stored object, `part` of the way into it."""
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.seek(int(os.path.getsize(path) * part))
            old = f.read(n)
            f.seek(-len(old), os.SEEK_CUR)
            f.write(bytes(b ^ 0xff for b in old))

    def rewrite_header(self, change):
        """Change the header's text and put the right checksum under it."""
        path = self.path / "holdfast"
        text = re.sub(r"sha256: .*\n\Z", "", path.read_text())
        text = change(text)
        os.chmod(path, 0o600)
        path.write_text(text + f"sha256: {hashlib.sha256(text.encode()).hexdigest()}\n")
