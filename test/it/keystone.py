# SPDX-License-Identifier: Apache-2.0
"""A real Keystone, with users and projects in it, and what asks it: auth_probe."""
import json
import os
import pathlib
import subprocess
import urllib.request

from service import Service

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PROBE = pathlib.Path(os.environ.get("HOLDFAST", ".")).resolve().parent.parent / "test" / "auth_probe"


class Keystone(Service):
    script = "keystone.sh"

    def start(self):
        self.url = self.call("start")
        self.admin = self.log_in("admin", "labpass", project="admin")

    def pause(self):
        self.call("pause")

    def again(self):
        self.call("again")

    def ask(self, method, path, body=None, subject=None):
        """The answer's object and headers."""
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "admin"):
            headers["X-Auth-Token"] = self.admin
        if subject:
            headers["X-Subject-Token"] = subject
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with OPENER.open(request, timeout=30) as answer:
            text = answer.read()
            return (json.loads(text) if text else None), answer.headers

    def log_in(self, user, password, project=None, system=False):
        """A token: for a project, for the system, or for nothing."""
        domain = {"name": "Default"}
        auth = {"identity": {"methods": ["password"],
                             "password": {"user": {"name": user, "domain": domain, "password": password}}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": domain}}
        elif system:
            auth["scope"] = {"system": {"all": True}}
        else:
            auth["scope"] = "unscoped"
        return self.ask("POST", "/auth/tokens", {"auth": auth})[1]["X-Subject-Token"]

    def make(self, what, **fields):
        """The id of a new project, user, role."""
        return self.ask("POST", f"/{what}s", {what: fields})[0][what]["id"]

    def role(self, name):
        """The id of a role, made if need be."""
        found = self.ask("GET", f"/roles?name={name}")[0]["roles"]
        return found[0]["id"] if found else self.make("role", name=name)

    def user(self, name, project, *roles):
        """A user with roles in a project, and the password "pw-NAME"."""
        user = self.make("user", name=name, password=f"pw-{name}", domain_id="default")
        for role in roles:
            self.ask("PUT", f"/projects/{project}/users/{user}/roles/{self.role(role)}")
        return user


class Probe:
    """test/it/auth_probe.c."""

    def __init__(self, folder):
        self.process = subprocess.Popen([PROBE, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0

    def __call__(self, do, **fields):
        self.process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def must(self, do, **fields):
        answer = self(do, **fields)
        assert "error" not in answer, answer
        return answer
