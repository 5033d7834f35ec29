# SPDX-License-Identifier: Apache-2.0
"""The dashboard as people use it, in Chromium, in front of a real server with a real guest."""
import pathlib
import urllib.parse

import pytest

import script
from provider import Provider
from server import Server

SERVER = "OS::Nova::Server"
# What is in web/src/app/pages.ts without a parameter.
PAGES = ["/", "/start", "/operations", "/platforms", "/targets", "/providers", "/movers", "/projects", "/users", "/account",
         "/usage", "/audit", "/about"]


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


def test_every_page(site):
    """Nothing that hinders, in both themes and on a phone; pictures of all pages."""
    server = site.server
    provider = server.provider(site.folder / "repo")
    server.platform(site.lab.uri)
    plan = server.post("plans", {"plan": {
        "name": "shop", "provider_id": provider["id"], "parameters": {},
        "resources": [{"id": site.guest.uuid, "type": SERVER, "name": site.guest.name}]}})["plan"]
    made = server.post(f"providers/{provider['id']}/checkpoints", {"checkpoint": {"plan_id": plan["id"]}})["checkpoint"]
    server.wait_operation(made["operation_id"])
    site.run("pages", pages=[*PAGES, f"/operations/{made['operation_id']}", f"/targets/{provider['target_id']}"])


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
