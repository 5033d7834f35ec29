# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: one private libvirtd, one guest image, guests and repositories made from them.

They need QEMU, libvirt and what test/lab/mkguest.sh says, and the program to test in the environment variable
HOLDFAST; use a build with sanitizers. As root more is tested: file systems that are full or read-only, loop devices.
"""
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

import images
from bucket import Ceph
from definition import Disk
from lab import Lab
from machine import Guest
from runner import Holdfast
from server import Server
from service import SCRIPTS, Postgres
from target import Repo

HERE = pathlib.Path(__file__).resolve().parent


def pytest_sessionstart(session):
    binary = os.environ.get("HOLDFAST")
    if not binary:
        pytest.exit("set HOLDFAST to the holdfast program that is to be tested, built with sanitizers:\n"
                    "  meson setup BUILD -Db_sanitize=address,undefined && ninja -C BUILD\n"
                    "  HOLDFAST=BUILD/src/holdfast python3 -m pytest test/it", returncode=2)
    if not os.access(binary, os.X_OK):
        pytest.exit(f"HOLDFAST={binary} is no program", returncode=2)


@pytest.fixture(scope="session")
def session_folder():
    """Everything lies here. Its path is short: unix sockets have at most 107 bytes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hf-it-", dir="/tmp"))
    folder.chmod(0o755)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # not that of who runs the tests
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")  # nor his logins
    root = os.geteuid() == 0
    if root:
        # What is mounted below it is seen by libvirtd, too, which has a mount namespace of its own.
        subprocess.run(["mount", "--bind", folder, folder], check=True, timeout=30)
        subprocess.run(["mount", "--make-shared", folder], check=True, timeout=30)
    yield folder
    if root:
        subprocess.run(["umount", "-l", folder], check=True, timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def folder_numbers():
    return itertools.count(1)


def _folder(session_folder, numbers):
    folder = session_folder / str(next(numbers))
    folder.mkdir()
    return folder


@pytest.fixture
def folder(session_folder, folder_numbers):
    """A folder of this test, with a short path; removed after it."""
    path = _folder(session_folder, folder_numbers)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_folder(session_folder, folder_numbers):
    path = _folder(session_folder, folder_numbers)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def lab(session_folder):
    with Lab(session_folder / "lv") as lab:
        yield lab


@pytest.fixture(scope="session")
def guest_image(session_folder):
    path = session_folder / "guest.qcow2"
    subprocess.run([SCRIPTS / "mkguest.sh", path], check=True, stdout=sys.stderr, timeout=300)
    return path


@pytest.fixture(scope="session")
def ceph(session_folder):
    """The S3 gateway; each test takes buckets of its own."""
    with Ceph(session_folder / "ceph") as ceph:
        yield ceph


@pytest.fixture(scope="session")
def holdfast():
    return Holdfast(os.path.abspath(os.environ["HOLDFAST"]))


@pytest.fixture(scope="session")
def wrong_clocks():
    """Programs whose clock is ten years late, and early. What moves it does not go with sanitizers."""
    plain = os.environ.get("HOLDFAST_PLAIN")
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if not plain or not library:
        pytest.skip("needs libfaketime, and in HOLDFAST_PLAIN a holdfast that is built without sanitizers")
    env = ["env", f"LD_PRELOAD={library}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
    return [Holdfast(os.path.abspath(plain), within=[*env, f"FAKETIME={days}d"]) for days in ("-3652", "+3652")]


@pytest.fixture
def hf(holdfast):
    """Run holdfast and check its exit code; what it still runs after the test is ended."""
    yield holdfast.run
    holdfast.stop_all()


@pytest.fixture(autouse=True)
def no_runs_left(holdfast):
    yield
    holdfast.stop_all()


@pytest.fixture
def make_repo(holdfast, session_folder, folder_numbers, request):
    made = []

    def make(*options):
        folder = _folder(session_folder, folder_numbers)
        made.append(folder)
        # Tests without domains do not wait for a libvirtd.
        lab = request.getfixturevalue("lab") if "lab" in request.fixturenames else None
        return Repo(holdfast, folder, lab).init(*options)

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def repo(make_repo):
    """A new repository with a key file."""
    return make_repo()


class Guests:
    """Makes guests and removes them."""

    def __init__(self, lab, image, folder):
        self.lab, self.image, self.folder = lab, image, folder
        self.made = []

    def new(self, disks=(), boot=True, **how):
        """A guest with a copy of the image as vda and further disks; booted unless told otherwise."""
        name = f"it{self.folder.name}-{len(self.made)}"
        root = Disk("vda", images.copy(self.image, self.folder / f"{name}.qcow2"))
        return self.add(Guest(self.lab, name, self.folder, [root, *disks], **how).define(), boot)

    def bare(self, disks, boot=False, **how):
        """A guest with just these disks; usually never started."""
        name = f"it{self.folder.name}-{len(self.made)}"
        return self.add(Guest(self.lab, name, self.folder, disks, **how).define(), boot)

    def restored(self, name):
        """A domain that a restore made, to be looked at and removed like the others."""
        return self.add(Guest(self.lab, name, self.folder, []), False)

    def add(self, guest, boot):
        self.made.append(guest)
        return guest.boot() if boot else guest

    def remove(self):
        for guest in self.made:
            guest.cleanup()


@pytest.fixture
def guests(lab, guest_image, folder):
    made = Guests(lab, guest_image, folder)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def module_guests(lab, guest_image, module_folder):
    made = Guests(lab, guest_image, module_folder)
    yield made
    made.remove()


@pytest.fixture
def guest(guests):
    """A guest of this test alone, running."""
    return guests.new()


@pytest.fixture
def small_folder(folder):
    """Makes small file systems."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    made = []

    def make(mib):
        place = folder / f"small{len(made)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", place], check=True, timeout=30)
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", "-l", place], check=True, timeout=30)


@pytest.fixture(scope="session")
def postgres(session_folder):
    with Postgres(session_folder / "pg") as postgres:
        yield postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """A URL of a new database, or None for SQLite in the server's folder: every test of the server runs on both."""
    return request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else None


@pytest.fixture
def server(holdfast, folder, database):
    with Server(holdfast, folder, database) as server:
        yield server
