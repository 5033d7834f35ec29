# SPDX-License-Identifier: Apache-2.0
"""A fresh Debian with our packages, made from the archive that this machine uses, and started with its own systemd."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MAKE_SECONDS, BOOT_SECONDS = 900, 120


def sources():
    """Where apt of this machine gets its packages from."""
    for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"):
        if os.path.exists(path) and os.path.getsize(path):
            return path
    return None


def why_not():
    """Why it cannot be done here, or None."""
    if os.geteuid() != 0:
        return "making and starting a system needs root"
    for program in ("mmdebstrap", "unshare", "nsenter"):
        if not shutil.which(program):
            return f"needs {program}: tools/install package"
    if not sources():
        return "this machine has no list of Debian's packages"
    return refused_namespaces() or unreachable_archive()


def refused_namespaces():
    """What a container often may not do."""
    done = subprocess.run(
        ["unshare", "--fork", "--pid", "--mount", "--net", "--ipc", "--uts", "--cgroup", "--kill-child", "--propagation",
         "private", "sh", "-c", "mount -t tmpfs tmpfs /mnt && mkdir /mnt/c && mount -t cgroup2 cgroup2 /mnt/c"],
        capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return f"namespaces of its own, or mounts in them, are refused here: {done.stderr.strip()}"
    return None


def unreachable_archive():
    done = subprocess.run(["apt-get", "--print-uris", "-qq", "download", "base-files"], capture_output=True, text=True,
                          timeout=60, check=False)
    first = done.stdout.split()
    if done.returncode or not first:
        return f"apt-get knows no package base-files: apt-get update: {done.stderr.strip()}"
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # apt gives up root to fetch
        done = subprocess.run(["apt-get", "-qq", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "download",
                               "base-files"], cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        return f"Debian's archive cannot be reached: {done.stderr.strip()}"
    return None


def release():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=")[1].strip('"')
    raise AssertionError("/etc/os-release does not name the release")


def make_root(root, debs):
    """Debian's smallest system, and in it what `debs` need and nothing that is only recommended."""
    hooks = ["--customize-hook=copy-in " + " ".join(map(str, debs)) + " /var/tmp",
             '--customize-hook=chroot "$1" sh -c "apt-get install -y --no-install-recommends systemd /var/tmp/*.deb"',
             '--customize-hook=chroot "$1" systemctl mask console-getty.service']
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", *hooks, release(), root, sources()],
                   check=True, timeout=MAKE_SECONDS, env={**os.environ, "TMPDIR": str(root.parent)})


class CleanSystem:
    """The system in `root`, running; `with` starts and stops it."""

    def __init__(self, root):
        self.root = root
        self.console = root.parent / "console"
        self.cgroups = self.group = self.process = self.init = None

    def __enter__(self):
        self.console.touch()
        # A hierarchy of cgroups (version 2) can be mounted anywhere; ours is one group in it.
        self.cgroups = self.root.parent / "cgroups"
        self.cgroups.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self.cgroups], check=True)
        self.group = self.cgroups / f"holdfast-test-{os.getpid()}"
        self.group.mkdir()
        procs = self.group / "cgroup.procs"
        self.process = subprocess.Popen(
            ["sh", "-c", f"echo $$ > {procs} && exec \"$@\"", "sh", "unshare", "--fork", "--pid", "--mount", "--net",
             "--ipc", "--uts", "--cgroup", "--kill-child", "--propagation", "private", HERE / "boot.sh", self.root,
             self.console], stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            self._wait_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_up(self):
        until = time.monotonic() + BOOT_SECONDS
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while True:
            assert self.process.poll() is None, "the system ended before it was up"
            assert time.monotonic() < until, f"the system is not up after {BOOT_SECONDS} s: {self.console.read_text()}"
            pids = children.read_text().split()
            if pids:
                self.init = pids[0]
                done = self.run("systemctl", "is-system-running", check=False)
                if done.stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.5)

    def __exit__(self, *_):
        self.process.kill()  # and with it, its first child and all that this one started
        self.process.wait()
        until = time.monotonic() + 30
        for group in [*sorted(self.group.rglob("*/"), reverse=True), self.group]:
            while group.exists() and time.monotonic() < until:
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.1)
        subprocess.run(["umount", "-l", self.cgroups], check=True)

    def run(self, *command, check=True, seconds=120, namespaces="--all"):
        """Run a command in it, or, with other namespaces, one of this machine's that sees it so."""
        done = subprocess.run(["nsenter", "--target", self.init, *namespaces.split(), "--", *map(str, command)],
                              capture_output=True, text=True, timeout=seconds, check=False)
        shown = f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, shown
        return done

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout

    def curl(self, *args):
        """curl of this machine, in the network of that one."""
        return self.run("curl", "-sS", *args, namespaces="--net")
