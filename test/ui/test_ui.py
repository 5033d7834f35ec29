# SPDX-License-Identifier: Apache-2.0
"""The dashboard as people use it, in Chromium, in front of a real server with a real guest."""
import pathlib
import urllib.parse

import pytest

import large
import script
from provider import Provider
from nginx import Nginx
from server import Server

# What is in web/src/app/pages.ts without a parameter.
PAGES = ["/", "/start", "/resources", "/plans", "/plans/new", "/policies", "/checkpoints", "/restores", "/operations",
         "/platforms", "/targets", "/providers", "/movers", "/projects", "/users", "/account", "/usage",
         "/notifications", "/audit", "/api", "/api/createPlan", "/about"]
VIEWER_MAY_NOT_SEE = ("/movers", "/projects", "/users", "/start", "/plans/new")


def given(server, screenshots, **more):
    return {"url": server.url, "hosts": [urllib.parse.urlsplit(server.url).netloc], "user": "admin",
            "password": server.password, "screenshots": str(screenshots), **more}


class Site:
    """A server with its dashboard, and one guest that it does not know yet."""

    def __init__(self, server, lab, guest, folder, screenshots):
        self.server, self.lab, self.guest, self.folder, self.screenshots = server, lab, guest, folder, screenshots

    def run(self, name, acts=None, **more):
        return script.run(name, given(self.server, self.screenshots, uri=self.lab.uri, guest=self.guest.name,
                                      target=str(self.folder / "repo"), **more), acts)


@pytest.fixture(scope="module")
def site(holdfast, web, lab, module_guests, module_folder, screenshots):
    with Server(holdfast, module_folder, server={"dashboard": web}) as server:
        yield Site(server, lab, module_guests.new(), module_folder, screenshots)


@pytest.fixture(scope="module")
def used(site):
    """The same after the first run: what it left is what the pages show. Runs it if that was not done."""
    if not site.server.get("checkpoints")["checkpoints"]:
        first_run(site)
    return site


def first_run(site):
    guest = site.guest
    guest.set_marker("precious")

    def destroy(_):
        guest.remove()
        guest.forget_console()
        return {"gone": guest.state == "gone"}

    def is_back(_):
        guest.wait_ready()
        return {"running": guest.running, "marker": guest.marker}

    site.run("first_run", {"destroy": destroy, "is_back": is_back})


def test_first_run_to_restored(site):
    """From an empty server to a machine that was destroyed and is back, with nothing but the browser."""
    first_run(site)


def test_viewer_cannot(used):
    """Who may only look sees no button that changes something, and is refused if he asks."""
    server = used.server
    made = server.post("/v1/users", {"user": {"name": "vera", "password": "looks-only-12345"}})["user"]
    server.do("POST", "/v1/grants", {"grant": {"user_id": made["id"], "project_id": server.project, "role": "viewer"}})
    used.run("viewer", viewer="vera", viewer_password="looks-only-12345", project=server.project,
             pages=[p for p in PAGES if p not in VIEWER_MAY_NOT_SEE])


def test_every_page(used):
    """Nothing that hinders, in both themes and on a phone; pictures of all pages."""
    get = used.server.get
    platform = get("platforms?status=available")["platforms"][0]["id"]
    used.server.wait_operation(used.server.post(f"platforms/{platform}/discover")["operation_id"])
    checkpoint = get("checkpoints")["checkpoints"][0]
    guest = get("protectables/OS::Nova::Server/instances")["instances"][0]
    kept = f"/checkpoints/{checkpoint['provider_id']}/{checkpoint['id']}"
    target = get("targets")["targets"][0]["id"]
    collected = used.server.post(f"targets/{target}/collect", {"collect": {"dry_run": True}})["operation_id"]
    used.server.wait_operation(collected)
    ones = [f"/operations/{collected}?found", f"/operations/{get('operations?kind=protect')['operations'][0]['id']}",
            f"/targets/{target}",
            f"/plans/{get('plans')['plans'][0]['id']}", f"/policies/{get('policies')['policies'][0]['id']}",
            f"/resources/{guest['type']}/{guest['id']}", kept, f"{kept}/restore",
            f"/restores/{get('restores')['restores'][0]['id']}"]
    used.run("pages", pages=PAGES + ones)


@pytest.mark.skipif(not pathlib.Path("/usr/bin/glewlwyd").exists(),
                    reason="there is no OpenID provider: install the package glewlwyd")
def test_open_id(holdfast, web, folder, screenshots):
    """Somebody whom only the provider knows."""
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    with Provider(folder / "provider") as provider:
        provider.user("alice", "web")
        server = Server(holdfast, folder, server={"dashboard": web}, mover={"local": "no"},
                        oidc={"issuer": provider.issuer, "name": "House", "user_claim": "name",
                              "client_secret_file": secret, "roles": "web = member@default"})
        server.options["server"]["public_url"] = server.url
        server.write_config()
        provider.know(server.url + "/v1/login/oidc/callback")
        with server:
            at = given(server, screenshots, provider=provider.api, name="alice", word="pw-alice", title="House",
                       shown="alice of here")
            at["hosts"].append(urllib.parse.urlsplit(provider.url).netloc)
            script.run("oidc", at)


@pytest.mark.skipif(not pathlib.Path("/usr/sbin/nginx").exists(), reason="there is no proxy: install nginx-light")
def test_behind_a_proxy(holdfast, web, folder, screenshots):
    """Under a path of another server, with the lines of the README."""
    server = Server(holdfast, folder, server={"dashboard": web}, mover={"local": "no"})
    with Nginx(folder, server.port) as proxy:
        server.options["server"]["public_url"] = proxy.url
        server.write_config()

        def change(_):
            return server.post("policies", {"policy": {"name": "made elsewhere", "spec": {}}})["policy"]

        with server:
            script.run("proxied", {**given(server, screenshots), "url": proxy.url,
                                   "hosts": [urllib.parse.urlsplit(proxy.url).netloc]}, {"change": change})


def test_many(holdfast, web, folder, screenshots):
    """A thousand machines, a hundred thousand checkpoints: pages come at once, and lists can be paged through."""
    server = Server(holdfast, folder, server={"dashboard": web})
    with server:
        provider = server.provider(folder / "repo")
        platform = server.post("platforms", {"platform": {"name": "kvm", "kind": "libvirt", "uri": "test:///default"}})
        project = server.project
    database = server.state / "holdfast.db"
    repository = large.repository(database, provider["target_id"], project, f"dir:{folder}/repo/{project}")
    large.fill(database, project, provider["id"], platform["platform"]["id"], repository)
    with server:
        told = script.run("many", given(server, screenshots, machines=large.MACHINES, pages=[
            "/", "/resources", "/checkpoints", "/operations"]))
    for page, ms in told.items():
        print(f"paint: {page}: {ms} ms")
