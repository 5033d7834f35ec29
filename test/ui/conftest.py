# SPDX-License-Identifier: Apache-2.0
"""What the tests of the dashboard share: the private libvirtd, guests and servers of test/it, and a browser.

A test is a script for Node.js, `NAME.mjs`, that drives Debian's Chromium; the test in Python gives it a server and does
what cannot be done in a browser, such as destroying a guest. They need what test/it needs, and in HOLDFAST_WEB the
folder with the built dashboard (tools/web).
"""
import importlib.util
import pathlib
import os
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "it"))
spec = importlib.util.spec_from_file_location("it_conftest", HERE.parent / "it" / "conftest.py")
it_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(it_conftest)
for name in ("session_folder", "folder_numbers", "folder", "module_folder", "lab", "guest_image", "holdfast", "guests",
             "module_guests"):
    globals()[name] = getattr(it_conftest, name)


def pytest_sessionstart(session):
    it_conftest.pytest_sessionstart(session)
    web = os.environ.get("HOLDFAST_WEB")
    if not web or not (pathlib.Path(web) / "index.html").exists():
        pytest.exit("set HOLDFAST_WEB to the folder with the built dashboard:\n  tools/web build-web\n"
                    "  HOLDFAST_WEB=$PWD/build-web HOLDFAST=BUILD/src/holdfast python3 -m pytest test/ui", returncode=2)


@pytest.fixture(scope="session")
def web():
    return pathlib.Path(os.environ["HOLDFAST_WEB"]).resolve()


@pytest.fixture(scope="session")
def screenshots():
    """Where pictures of the pages go; they stay."""
    folder = pathlib.Path(os.environ.get("HOLDFAST_SCREENSHOTS", HERE.parents[1] / "build-check" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
