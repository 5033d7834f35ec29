# SPDX-License-Identifier: Apache-2.0
"""nginx before a server, under a path, with the lines that the README gives."""
import pathlib
import re
import subprocess

from server import free_port
from waiting import wait_until

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
PATH = "/backup"


class Nginx:
    def __init__(self, folder, behind):
        self.folder, self.port, self.process = folder / "nginx", free_port(), None
        self.folder.mkdir()
        place = re.search(rf"^ *location {PATH}/ \{{.*?\}}", README.read_text(), re.MULTILINE | re.DOTALL).group()
        place, n = re.subn(r"https://127\.0\.0\.1:8799/", f"http://127.0.0.1:{behind}/", place)
        assert n == 1, place
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        (self.folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log stderr;\nevents {{}}\n"
            f"http {{ access_log off;\n{temporary}server {{ listen 127.0.0.1:{self.port};\n{place} }} }}\n")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", self.folder, "-e", "stderr", "-c", self.folder / "nginx.conf"],
                                            stdout=log, stderr=log, start_new_session=True)
        wait_until((self.folder / "pid").exists, 20, lambda: (self.folder / "log").read_text())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
