# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: what they hold, and that they install and run on a clean system.

HOLDFAST_DEBS names a folder with packages of tools/package; without it they are built (some minutes).
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from clean_system import CleanSystem, make_root, why_not

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
UNIT = "holdfastd.service"
PACKAGES = ["holdfast", "holdfast-mover", "holdfast-server"]


@pytest.fixture(scope="session")
def work():
    # Not in memory: a system has some hundred megabytes. Mounted files need no noexec nor nodev here.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hf-package-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def debs(work):
    folder = os.environ.get("HOLDFAST_DEBS")
    if not folder:
        folder = work / "debs"
        subprocess.run([TREE / "tools/package", folder], check=True, timeout=1200)
    found = {p.name.split("_")[0]: p for p in pathlib.Path(folder).glob("*.deb") if "-dbgsym_" not in p.name}
    assert sorted(found) == PACKAGES
    return found


@pytest.fixture(scope="session")
def unpacked(work, debs):
    for name, deb in debs.items():
        subprocess.run(["dpkg-deb", "-x", deb, work / name], check=True)
    return work


@pytest.fixture(scope="session")
def system(work, debs):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    root = work / "root"
    make_root(root, debs.values())
    with CleanSystem(root) as running:
        yield running
    shutil.rmtree(root)


# ---- what they hold


@pytest.mark.parametrize("name,files", [
    ("holdfast", ["usr/bin/holdfast", "usr/share/man/man1/holdfast.1.gz"]),
    ("holdfast-server", ["usr/sbin/holdfastd", "etc/holdfast/holdfastd.conf", "usr/share/man/man8/holdfastd.8.gz",
                         "usr/share/man/man5/holdfastd.conf.5.gz"]),
    ("holdfast-mover", ["usr/sbin/holdfast-mover", "usr/share/man/man8/holdfast-mover.8.gz",
                        "usr/share/man/man5/holdfast-mover.conf.5.gz"]),
])
def test_holds(unpacked, name, files):
    for file in files:
        assert (unpacked / name / file).is_file(), file
    for path in (unpacked / name).rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o7022 == 0, f"{path} has too many permissions"


def test_plugin_lies_where_nbdkit_looks(unpacked):
    assert list((unpacked / "holdfast").glob("usr/lib/*/nbdkit/plugins/nbdkit-holdfast-plugin.so"))


@pytest.mark.parametrize("name,program", [("holdfast", "usr/bin/holdfast"), ("holdfast-server", "usr/sbin/holdfastd")])
def test_programs_run_and_are_hardened(unpacked, name, program):
    path = unpacked / name / program
    word = "version" if name == "holdfast" else "--version"
    assert "0." in subprocess.run([path, word], check=True, capture_output=True, text=True).stdout
    headers = subprocess.run(["readelf", "-hldW", path], check=True, capture_output=True, text=True).stdout
    assert "DYN (Position-Independent" in headers and "GNU_RELRO" in headers and "BIND_NOW" in headers
    assert not re.search(r"GNU_STACK.*RWE", headers)


def test_dependencies(debs):
    """The mover and the command line need no database; the server no libvirt."""
    for name, never in (("holdfast", r"libpq|libsqlite|libmicrohttpd"), ("holdfast-server", "libvirt0")):
        needs = subprocess.run(["dpkg-deb", "-f", debs[name], "Depends"], check=True, capture_output=True, text=True)
        assert not re.search(never, needs.stdout), needs.stdout


def test_lintian(debs):
    if not shutil.which("lintian"):
        pytest.skip("needs lintian: tools/install package")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "no-manual-page",
                           *debs.values()], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout


def test_unit_is_sandboxed(unpacked):
    """At most 1.5 of 10 points of exposure, as systemd counts."""
    unit = next((unpacked / "holdfast-server").rglob(UNIT))
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", unit],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- on a clean system


def health(system):
    done = system.curl("--cacert", system.root / "var/lib/holdfast/ca.pem", "https://127.0.0.1:8799/healthz")
    return json.loads(done.stdout)


def wait_active(system):
    until = time.monotonic() + 60
    while system.show(UNIT, "ActiveState") != "active":
        assert time.monotonic() < until, system.journal(UNIT)
        time.sleep(0.3)


def test_starts_by_itself(system):
    wait_active(system)
    assert health(system) == {"status": "ok"}
    assert system.show(UNIT, "StatusText") == "Running"
    pid = system.show(UNIT, "MainPID")
    status = system.run("cat", f"/proc/{pid}/status").stdout
    assert re.search(r"NoNewPrivs:\s+1", status) and re.search(r"Seccomp:\s+2", status)
    assert re.search(r"CapBnd:\s+0{16}", status)
    user = system.run("id", "-u", "holdfast").stdout.strip()
    assert re.search(rf"Uid:\s+{user}\s+{user}", status)
    # Nobody else looks into its state, and nothing was refused that it needs.
    assert (system.root / "var/lib/holdfast").stat().st_mode & 0o777 == 0o700
    assert not re.search("error|warning", system.journal(UNIT)), system.journal(UNIT)
    verified = system.run("systemd-analyze", "verify", "--man=no", UNIT)
    assert UNIT not in verified.stdout + verified.stderr
    # The mover waits to be told of its server.
    assert system.show("holdfast-mover.service", "ActiveState") == "inactive"
    assert "holdfast-mover" not in system.run("systemctl", "--failed", "--no-legend").stdout


def test_reload_by_systemctl(system):
    wait_active(system)
    config = system.root / "etc/holdfast/holdfastd.conf"
    text = config.read_text()
    config.write_text(text + "\n[log]\nlevel = loud\n")
    refused = system.run("systemctl", "reload", UNIT, check=False)
    assert refused.returncode != 0 and health(system) == {"status": "ok"}
    assert "[log] level 'loud': one of these is expected" in system.journal(UNIT)
    config.write_text(text + "\n[log]\nlevel = debug\n")
    system.run("systemctl", "reload", UNIT)
    until = time.monotonic() + 20
    while "reload: [log] level is another now" not in system.journal(UNIT):
        assert time.monotonic() < until, system.journal(UNIT)
        time.sleep(0.2)
    assert health(system) == {"status": "ok"}
    config.write_text(text)


def test_comes_back_after_it_was_killed(system):
    wait_active(system)
    pid = system.show(UNIT, "MainPID")
    system.run("systemctl", "kill", "-s", "KILL", "--kill-who=main", UNIT)
    until = time.monotonic() + 60
    while system.show(UNIT, "MainPID") in ("0", pid):
        assert time.monotonic() < until, system.journal(UNIT)
        time.sleep(0.3)
    wait_active(system)
    assert health(system) == {"status": "ok"}


def test_does_not_start_with_what_is_wrong(system):
    """And is not started again and again; the administrator finds all of it in the journal."""
    config = system.root / "etc/holdfast/holdfastd.conf"
    text = config.read_text()
    config.write_text(text + "\n[log]\nlevel = loud\n[retention]\noperations = never\n")
    assert system.run("systemctl", "restart", UNIT, check=False).returncode != 0
    assert system.show(UNIT, "ActiveState") == "failed"
    assert "[retention] operations 'never': a duration is expected" in system.journal(UNIT)
    config.write_text(text)
    system.run("systemctl", "start", UNIT)
    assert health(system) == {"status": "ok"}


def test_removing_keeps_the_state(system):
    system.run("dpkg", "--purge", "holdfast-server", seconds=300)
    assert not (system.root / "usr/sbin/holdfastd").exists()
    assert not (system.root / "etc/holdfast/holdfastd.conf").exists()
    # Without the key in it, what was sealed in a database elsewhere is lost.
    assert (system.root / "var/lib/holdfast/seal.key").exists()
    assert system.run("systemctl", "is-active", UNIT, check=False).stdout.strip() != "active"
