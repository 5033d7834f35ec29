# SPDX-License-Identifier: Apache-2.0
"""Tokens of a real Keystone, and our place in its catalogue."""
import json
import os
import pathlib
import subprocess
import time

import pytest

from keystone import Keystone, Probe
from server import Server
from waiting import wait_until

if not pathlib.Path("/usr/bin/keystone-manage").exists():
    pytest.skip("there is no Keystone: install the package keystone", allow_module_level=True)


class Cloud:
    """A Keystone with a project "demo", in which some people have some roles."""

    def __init__(self, keystone):
        self.keystone = keystone
        self.service = keystone.make("project", name="service", domain_id="default")
        self.demo = keystone.make("project", name="demo", domain_id="default")
        self.other = keystone.make("project", name="other", domain_id="default")
        keystone.user("holdfast", self.service, "admin")
        keystone.user("plain", self.service, "member")
        self.people = {name: keystone.user(name, self.demo, role) for name, role in
                       [("mia", "member"), ("rita", "reader"), ("ada", "admin"), ("olaf", "other-service")]}


@pytest.fixture(scope="module")
def cloud(module_folder):
    with Keystone(module_folder / "keystone") as keystone:
        yield Cloud(keystone)


@pytest.fixture
def probe(cloud, folder):
    with Probe(folder) as p:
        p.must("keystone", url=cloud.keystone.url, user="holdfast", project="service", password="pw-holdfast")
        p.must("open")
        yield p


def token(cloud, name, **scope):
    return cloud.keystone.log_in(name, f"pw-{name}", **(scope or {"project": "demo"}))


@pytest.mark.parametrize("name, roles, allowed, denied", [
    ("mia", "member, viewer", "plan:create", "quota:update"),  # Keystone's roles imply lesser ones
    ("rita", "viewer", "plan:get", "plan:create"),
    ("ada", "admin, member, viewer", "quota:update", None),
    ("olaf", "", None, "plan:get"),
])
def test_roles(cloud, probe, name, roles, allowed, denied):
    ask = {"token": token(cloud, name), "project": cloud.demo}
    who = probe.must("identify", **ask)
    assert (who["user_id"], who["user_name"]) == (cloud.people[name], name)
    assert (who["project_id"], who["project_name"]) == (cloud.demo, "demo")
    assert (who["roles"], who["how"], who["admin"]) == (roles, "keystone", name == "ada")
    if allowed:
        assert probe.must("identify", **ask, action=allowed)["allowed"]
    if denied:
        assert not probe.must("identify", **ask, action=denied)["allowed"]


def test_another_project(cloud, probe):
    who = probe.must("identify", token=token(cloud, "mia"), project=cloud.other, action="plan:get")
    assert who["project_id"] == cloud.demo
    assert not who["allowed"]


def test_refused(cloud, probe):
    mia = token(cloud, "mia")
    # The end of a Fernet token is padding in part; its middle is not.
    bent = mia[:60] + ("A" if mia[60] != "A" else "B") + mia[61:]
    for wrong in ("notused", "gAAAAA", bent, mia[:-10], "x" * 9000, token(cloud, "mia", project=None)):
        assert probe("identify", token=wrong, project=cloud.demo)["error"] == "denied"
    assert "error" not in probe("identify", token=mia, project=cloud.demo)


def test_revoked(cloud, probe):
    mia = token(cloud, "mia")
    cloud.keystone.ask("DELETE", "/auth/tokens", subject=mia)
    assert probe("identify", token=mia, project=cloud.demo)["error"] == "denied"


def test_answers_are_kept(cloud, probe):
    ask = {"token": token(cloud, "mia"), "project": cloud.demo}
    first = probe.must("identify", **ask)["us"]
    later = sorted(probe.must("identify", **ask)["us"] for _ in range(50))[25]
    print(f"first {first} µs, later {later} µs")
    assert later < 1000 < first


def test_keystone_is_away(cloud, probe):
    known, fresh = token(cloud, "mia"), token(cloud, "rita")
    probe.must("identify", token=known, project=cloud.demo)
    cloud.keystone.pause()
    try:
        time.sleep(5.5)  # longer than what lies above Keystone's own cache
        probe.must("identify", token=known, project=cloud.demo)
        assert probe("identify", token=fresh, project=cloud.demo)["error"] == "unreachable"
    finally:
        cloud.keystone.again()
    wait_until(lambda: "error" not in probe("identify", token=fresh, project=cloud.demo), 30, "Keystone is asked again",
               every=0.2)


def test_wrong_service_password(cloud, folder):
    with Probe(folder) as p:
        p.must("keystone", url=cloud.keystone.url, user="holdfast", project="service", password="wrong")
        p.must("open")
        answer = p("identify", token=token(cloud, "mia"), project=cloud.demo)
        assert answer["error"] == "unreachable"  # not "denied": the client has done nothing wrong
        assert "holdfast" in answer["message"] and "wrong" not in answer["message"]


def catalogue(cloud):
    """What the real client sees: interface → URL."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
    done = subprocess.run(["/usr/bin/openstack", "--os-auth-url", cloud.keystone.url, "--os-username", "mia",
                           "--os-password", "pw-mia", "--os-project-name", "demo", "--os-user-domain-name", "Default",
                           "--os-project-domain-name", "Default", "--os-identity-api-version", "3",
                           "catalog", "show", "data-protect", "-f", "json"],
                          capture_output=True, text=True, timeout=60, check=True, env=env)
    return {e["interface"]: e["url"] for e in json.loads(done.stdout)["endpoints"]}


def test_registration(cloud, probe):
    urls = {i: f"https://{i}.example.org:8799/v1/$(project_id)s" for i in ("public", "internal", "admin")}
    seen = {i: u.replace("$(project_id)s", cloud.demo) for i, u in urls.items()}
    probe.must("register", **urls)
    assert catalogue(cloud) == seen
    probe.must("register", **urls)  # again: nothing is there twice
    urls["public"] = urls["public"].replace("8799", "443")
    probe.must("register", **urls)
    assert catalogue(cloud) == {**seen, "public": seen["public"].replace("8799", "443")}
    assert len(cloud.keystone.ask("GET", "/services?type=data-protect")[0]["services"]) == 1


def test_registration_by_command(cloud, server):
    """Again and again, as the service's user or as whom the environment names."""
    there = {"public": f"{server.url}/v1/{cloud.demo}", "internal": f"https://inside.example.org:8799/v1/{cloud.demo}",
             "admin": f"{server.url}/v1/{cloud.demo}"}
    assert f"{server.url}/v1/$(project_id)s" in server.task("--register-keystone")
    assert catalogue(cloud) == there
    server.task("--register-keystone", env={"OS_USERNAME": "admin", "OS_PASSWORD": "labpass", "OS_PROJECT_NAME": "admin"})
    assert catalogue(cloud) == there
    refused = server.task("--register-keystone", code=5,
                          env={"OS_USERNAME": "plain", "OS_PASSWORD": "pw-plain", "OS_PROJECT_NAME": "service"})
    assert "admin" in refused and "pw-plain" not in refused
    assert len(cloud.keystone.ask("GET", "/services?type=data-protect")[0]["services"]) == 1


def test_registration_needs_admin(cloud, folder):
    with Probe(folder) as p:
        p.must("keystone", url=cloud.keystone.url, user="plain", project="service", password="pw-plain")
        answer = p("register", public="https://a", internal="https://a", admin="https://a")
        assert answer["error"] == "denied"
        assert "admin" in answer["message"]


def karbor(cloud, name, *words):
    """Debian's client, which knows nothing of us but what Keystone's catalogue says."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
    return subprocess.run(["/usr/bin/karbor", "--os-auth-url", cloud.keystone.url, "--os-username", name,
                           "--os-password", f"pw-{name}", "--os-project-name", "demo", *words],
                          capture_output=True, text=True, timeout=60, check=False, env=env)


@pytest.fixture(scope="module")
def server(cloud, holdfast, module_folder):
    """One that knows the cloud."""
    folder = module_folder / "server"
    folder.mkdir()
    password = folder / "password"
    password.write_text("pw-holdfast\n")
    password.chmod(0o600)
    server = Server(holdfast, folder, mover={"local": "no"}, keystone={
        "url": cloud.keystone.url, "username": "holdfast", "project": "service", "password_file": password,
        "internal_url": "https://inside.example.org:8799/"})
    server.options["server"] = {"public_url": server.url}
    server.write_config()
    with server:
        yield server


def log_in(server, name, password=None, **more):
    """An Answer."""
    return server.ask("POST", "/v1/login", {"login": {"name": name, "password": password or f"pw-{name}",
                                                      "method": "keystone", **more}}, user=None)


def session(server, name, **more):
    """How to ask as somebody who logged in with a browser."""
    answer = log_in(server, name, **more)
    assert answer.status == 201, answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return {"user": None, "headers": {"Cookie": cookie, "X-Requested-With": "test"}}


def test_session(cloud, server):
    """A browser's session of a user of Keystone: what it may is what Keystone says of the project."""
    assert {"kind": "keystone", "name": "OpenStack", "url": "/v1/login"} in \
        server.get("/v1/login/methods", user=None)["methods"]
    mia = session(server, "mia")
    who = server.get("/v1/identity", **mia)["identity"]
    assert (who["user_id"], who["user_name"], who["how"]) == (cloud.people["mia"], "mia", "session")
    assert who["expires_at"], "not longer than Keystone's token"
    assert [(p["id"], p["name"], p["roles"]) for p in who["projects"]] == [(cloud.demo, "demo", ["member", "viewer"])]
    there = server.get(f"/v1/identity?project={cloud.demo}", **mia)["identity"]
    assert "plan:create" in there["allowed"] and "user:create" not in there["allowed"]
    assert server.ask("GET", f"/v1/{cloud.demo}/plans", **mia).status == 200
    assert server.ask("GET", f"/v1/{cloud.other}/plans", **mia).status == 400
    assert server.ask("POST", "/v1/logout", **mia).status == 204
    assert server.ask("GET", "/v1/identity", **mia).status == 401
    logins = server.get(f"/v1/{cloud.demo}/audit?action=login")["audit"]
    assert [(line["user_name"], line["detail"]) for line in logins] == [("mia", "Keystone")]


def test_session_in_two_projects(cloud, server):
    """Somebody else in each."""
    keystone = cloud.keystone
    tom = keystone.user("tom", cloud.demo, "reader")
    keystone.ask("PUT", f"/projects/{cloud.other}/users/{tom}/roles/{keystone.role('member')}")
    for chosen, home in [({"project": "other"}, cloud.other), ({"project_id": cloud.demo}, cloud.demo)]:
        assert server.get("/v1/identity", **session(server, "tom", **chosen))["identity"]["project_id"] == home
    who = session(server, "tom", project="demo")
    trigger = {"trigger_info": {"name": "t", "type": "time", "properties": {"format": "crontab", "pattern": "0 2 * * *"}}}
    assert server.ask("POST", f"/v1/{cloud.demo}/triggers", trigger, **who).status == 403
    assert server.ask("POST", f"/v1/{cloud.other}/triggers", trigger, **who).status == 201
    roles = {p["name"]: p["roles"] for p in server.get("/v1/identity", **who)["identity"]["projects"]}
    assert roles == {"demo": ["viewer"], "other": None}
    assert server.get(f"/v1/identity?project={cloud.other}", **who)["identity"]["roles"] == ["member", "viewer"]


def test_session_refused(cloud, server):
    for name, password, more, status in [("mia", "wrong", {}, 401), ("nobody", "wrong", {}, 401),
                                         ("mia", None, {"domain": "elsewhere"}, 401),
                                         ("mia", None, {"project": "other"}, 401)]:
        assert log_in(server, name, password, **more).status == status, (name, more)
    answer = server.ask("POST", "/v1/login", {"login": {"name": "a", "password": "b", "domain": "Default"}}, user=None)
    assert answer.status == 400 and "keystone" in answer.text
    for _ in range(12):
        answer = log_in(server, "rita", "guess")
    assert answer.status == 429 and int(answer.headers.get("retry-after", 1)) >= 1, "guessing is slowed down here"
    for text in (server.log.read_text(), server.ask("GET", f"/v1/{cloud.demo}/audit").text):
        assert "pw-mia" not in text


def test_session_ends_with_keystones_user(cloud, server):
    keystone = cloud.keystone
    zoe = keystone.user("zoe", cloud.demo, "member")
    who = session(server, "zoe")
    assert server.ask("GET", f"/v1/{cloud.demo}/plans", **who).status == 200
    keystone.ask("PATCH", f"/users/{zoe}", {"user": {"enabled": False}})
    assert log_in(server, "zoe").status == 401
    # The next project is asked for anew, where what was said of the first is still remembered.
    assert server.ask("GET", f"/v1/{cloud.other}/plans", **who).status in (400, 401)


@pytest.mark.skipif(not os.path.exists("/usr/bin/karbor"), reason="this release has no python3-karborclient")
def test_karbor_by_way_of_keystone(cloud, server):
    server.task("--register-keystone")
    seen = karbor(cloud, "rita", "plan-list")
    assert seen.returncode == 0, seen.stderr
    assert "Provider id" in seen.stdout
    made = karbor(cloud, "rita", "trigger-create", "t", "time", "pattern=0 * * * *,format=crontab")
    assert made.returncode != 0 and "trigger:create" in made.stderr, made
    made = karbor(cloud, "mia", "trigger-create", "t", "time", "pattern=0 * * * *,format=crontab")
    assert made.returncode == 0, made.stderr
    nobody = karbor(cloud, "olaf", "plan-list")
    assert nobody.returncode != 0 and "plan:get_all" in nobody.stderr, nobody
