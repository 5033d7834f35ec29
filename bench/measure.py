# SPDX-License-Identifier: Apache-2.0
"""The working folder, and measuring a command in it under the same conditions every time."""
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARK = ".holdfast-bench"  # so that no folder of somebody else's is ever emptied
FOLDERS = ("data", "run", "home", "tmp", "out", "lab", "build")
LOG = "commands.log"
READ_BYTES = 4 << 20


class BenchError(Exception):
    """Something that the user has to know; the message says it all."""


@dataclass
class Command:
    """One process. Standard input and output are files, or the neighbours in a pipeline."""
    argv: list
    cwd: Path = None
    stdin: Path = None
    stdout: Path = None
    stderr: Path = None  # the log, unless told otherwise


@dataclass
class Sample:
    """What one measured step cost."""
    wall: float      # seconds
    cpu: float       # seconds, user and system, of all processes
    peak_mib: float  # of the largest single process
    others: float    # CPU seconds that the rest of the machine used meanwhile; None if some of that was measured too
    stored: int = None  # bytes by which the repository, or the output, grew
    extra: dict = field(default_factory=dict)


def command_lines(stages):
    return "; ".join(" | ".join(" ".join(map(str, c.argv)) for c in stage) for stage in stages)


def data_ranges(fd, size):
    """The parts of a file that are not holes."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, offset, os.SEEK_HOLE)
        yield offset, end
        offset = end


def files_below(path):
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())


def apparent_size(path):
    return sum(p.stat().st_size for p in files_below(path)) if path.exists() else 0


class Bench:
    """The working folder: everything that the benchmark writes is below it."""

    def __init__(self, folder, keep):
        self.folder = folder
        self.keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        present = {p.name for p in folder.iterdir()} - {"results.json"}
        if present and MARK not in present:
            raise BenchError(f"{folder} is not empty and not made by this benchmark: give another folder")
        (folder / MARK).touch()
        for name in FOLDERS:
            if name not in ("data", "build"):
                shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(exist_ok=True)
        (folder / LOG).unlink(missing_ok=True)
        self.buffer = bytearray(READ_BYTES)
        self.left_out = {}  # what could not be measured here, and why

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    def environment(self, home=None):
        """Little, and nothing of the user's: caches and settings of every tool are in the working folder."""
        home = home or self.path("home")
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "share"),
            "TMPDIR": str(self.path("tmp")),
        }

    def quietly(self, argv, env=None, cwd=None, text=None, check=True):
        """Run something that is not measured; its standard output."""
        done = subprocess.run([str(a) for a in argv], env={**self.environment(), **(env or {})}, cwd=cwd or self.folder,
                              input=text, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise BenchError(f"{' '.join(map(str, argv))} failed:\n{(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def warm(self, paths):
        """Bring files into the page cache; tools differ in what they leave there."""
        for path in (p for top in paths for p in files_below(top)):
            with open(path, "rb", buffering=0) as f:
                for offset, end in data_ranges(f.fileno(), os.fstat(f.fileno()).st_size):
                    while offset < end:
                        got = os.preadv(f.fileno(), [memoryview(self.buffer)[:min(READ_BYTES, end - offset)]], offset)
                        if got == 0:
                            break
                        offset += got

    def chill(self, paths):
        """Drop files from the page cache, as they are after a while when nobody reads them. They must be clean."""
        for path in (p for top in paths for p in files_below(top)):
            with open(path, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def settle(self):
        """Write out what earlier steps left dirty, so that nobody pays for another's writes."""
        self.quietly(["sync", "-f", self.folder])

    def make_ready(self, reads=(), cold=False):
        """What will be read is in memory, or is not if cold; nothing is left to be written."""
        if not cold:
            self.warm(reads)
        self.settle()
        if cold:
            self.chill(reads)

    def measure(self, stages, reads=(), env=None, cold=False):
        """Run pipelines one after the other; the sum of their costs."""
        self.make_ready(reads, cold)
        return self.cost(stages, env)

    def cost(self, stages, env=None):
        """The same without making ready; any thread."""
        request = {
            "env": env or self.environment(),
            "log": str(self.path(LOG)),
            "stages": [[{"argv": [str(a) for a in c.argv], "cwd": str(c.cwd or self.folder),
                         **{name: str(path) for name in ("stdin", "stdout", "stderr") if (path := getattr(c, name))}}
                        for c in stage] for stage in stages],
        }
        with open(self.path(LOG), "a", encoding="utf-8") as log:
            log.write(f"$ {command_lines(stages)}\n")
        costs = json.loads(self.launch(json.dumps(request)))
        if any(any(codes) for codes in costs["codes"]):
            raise BenchError(f"a measured command failed ({costs['codes']}):\n{self.last_words(stages)}")
        return Sample(costs["wall"], costs["user"] + costs["sys"], costs["peak_kib"] / 1024, costs["others"])

    def last_words(self, stages):
        said = [self.path(LOG), *(c.stderr for stage in stages for c in stage if c.stderr and c.stderr.exists())]
        return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-3000:] for path in said)

    def launch(self, request):
        """The launcher's answer. If we are stopped meanwhile, so is everything that it started."""
        with subprocess.Popen([sys.executable, "-I", "-S", str(HERE / "launcher.py")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True) as process:
            try:
                answer, complaint = process.communicate(request)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            if process.returncode:
                raise BenchError(f"the launcher failed:\n{complaint}")
            return answer

    def clean(self):
        """Remove everything but results.json, and the folder too if there is none."""
        if self.keep:
            return
        for name in FOLDERS:
            shutil.rmtree(self.path(name), ignore_errors=True)
        self.path(LOG).unlink(missing_ok=True)
        self.path(MARK).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
