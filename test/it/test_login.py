# SPDX-License-Identifier: Apache-2.0
"""Logging in with a browser, at a server that browsers reach by way of a reverse proxy, under a path."""
import contextlib
import http.client
import json
import pathlib
import urllib.parse

import pytest

from http_service import HttpService
from provider import Browser, Provider
from server import Server

needs_provider = pytest.mark.skipif(not pathlib.Path("/usr/bin/glewlwyd").exists(),
                                    reason="there is no OpenID provider: install the package glewlwyd")


class Proxy(HttpService):
    """Takes /backup away and asks the server; the name under which it was asked itself, it does not tell."""
    prefix = "/backup"

    def handle(self, handler, body):
        if not handler.path.startswith(self.prefix + "/"):
            handler.answer(404, [], b"not the proxy's")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection")}
        connection.request(handler.command, handler.path[len(self.prefix):], body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        handler.answer(answer.status, [(k, v) for k, v in answer.getheaders() if k.lower() not in
                                       ("connection", "transfer-encoding")], content)
        connection.close()


class Site:
    """A server with an OpenID provider, behind a proxy."""

    def __init__(self, server, proxy, provider):
        self.server, self.provider = server, provider
        self.url = proxy.url + proxy.prefix

    def ask(self, browser, method, path, body=None, **headers):
        """Status, headers, object or None; `headers` as Sec_Fetch_Site."""
        status, got, text = browser.ask(method, self.url + path, body,
                                        {k.replace("_", "-"): v for k, v in headers.items()})
        return status, got, json.loads(text) if text and "json" in got.get("Content-Type", "") else None

    def go(self, browser, path):
        """Where a page of ours sends the browser."""
        status, headers, body = self.ask(browser, "GET", path)
        assert status == 302, (status, body)
        return headers["Location"]

    def log_in(self, browser, name, back="/"):
        """The whole way through the provider; where it ends."""
        begun = self.go(browser, "/v1/login/oidc?return=" + urllib.parse.quote(back, safe=""))
        assert begun.startswith(self.provider.url), begun
        came = self.provider.visit(browser, begun, name)
        assert came.startswith(self.url + "/v1/login/oidc/callback?"), came
        return self.go(browser, came[len(self.url):])

    def identity(self, browser, query=""):
        status, _, body = self.ask(browser, "GET", "/v1/identity" + query)
        return body["identity"] if status == 200 else status


@pytest.fixture(scope="module")
def provider(module_folder):
    with Provider(module_folder / "provider") as p:
        p.user("alice", "web")
        yield p


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request, holdfast, provider, module_folder):
    database = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else None
    folder = module_folder / request.param
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        proxy = Proxy()
        secret = folder / "secret"
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        server = Server(holdfast, folder, database, mover={"local": "no"},
                        server={"public_url": proxy.url + proxy.prefix, "trusted_proxies": "127.0.0.1"},
                        oidc={"issuer": provider.issuer, "name": "House", "user_claim": "name",
                              "client_secret_file": secret,
                              "roles": "web = member@default"})
        proxy.port = server.port
        stack.enter_context(proxy)
        stack.enter_context(server)
        site = Site(server, proxy, provider)
        provider.know(site.url + "/v1/login/oidc/callback")
        yield site


def cookies(headers):
    """Name to [value, attributes…] of what was set."""
    return {c.partition("=")[0]: c.partition("=")[2].split("; ") for c in headers.get_all("Set-Cookie") or []}


@needs_provider
def test_methods(site):
    _, _, body = site.ask(Browser(), "GET", "/v1/login/methods")
    assert [(m["kind"], m["name"], m["url"]) for m in body["methods"]] == [
        ("password", "Holdfast", "/backup/v1/login"), ("oidc", "House", "/backup/v1/login/oidc")]


@needs_provider
def test_by_provider(site):
    """There, back to the page where it began, some work, and the end of it: here, and at the provider."""
    browser = Browser()
    assert site.identity(browser) == 401
    assert site.log_in(browser, "alice", "/ui/?a=1#/plans") == "/backup/ui/?a=1#/plans"
    who = site.identity(browser)
    assert (who["user_name"], who["how"]) == ("alice of here", "session")
    assert [(p["name"], p["roles"]) for p in who["projects"]] == [("default", ["member"])]
    assert "plan:create" not in who["allowed"], "not to what belongs to no project"
    project = who["projects"][0]["id"]
    there = site.identity(browser, f"?project={project}")
    assert there["roles"] == ["member"] and there["project_id"] == project
    assert "plan:create" in there["allowed"] and "target:create" not in there["allowed"]
    assert site.ask(browser, "GET", f"/v1/{project}/plans")[0] == 200
    status, headers, body = site.ask(browser, "POST", "/v1/logout", Sec_Fetch_Site="same-origin")
    assert status == 200, body
    end = urllib.parse.urlsplit(body["logout"]["end_session_url"])
    assert end.path.endswith("/end_session")
    assert dict(urllib.parse.parse_qsl(end.query))["post_logout_redirect_uri"] == site.url + "/"
    assert cookies(headers)["holdfast"] == ["", "Path=/backup/", "HttpOnly", "SameSite=Strict", "Max-Age=0"]
    assert site.identity(browser) == 401


@needs_provider
def test_cookies(site):
    browser = Browser()
    _, headers, _ = site.ask(browser, "GET", "/v1/login/oidc")
    [state, *attributes] = cookies(headers)["holdfast_login"]
    assert len(state) == 43 and attributes == ["Path=/backup/v1/login/oidc", "HttpOnly", "SameSite=Lax"]
    assert headers["Cache-Control"] == "no-store"
    came = site.provider.visit(browser, headers["Location"], "alice")
    _, headers, _ = site.ask(browser, "GET", came[len(site.url):])
    [session, *attributes] = cookies(headers)["holdfast"]
    assert session.startswith("hfs_") and attributes == ["Path=/backup/", "HttpOnly", "SameSite=Strict"]
    assert session not in site.server.log.read_text()


@needs_provider
def test_another_browser_cannot_end_it(site):
    """Neither who has only the address that it goes back to, nor a second time, nor what never began."""
    browser, other = Browser(), Browser()
    came = site.provider.visit(browser, site.go(browser, "/v1/login/oidc?return=/ui/"), "alice")[len(site.url):]
    assert site.go(other, came) == "/backup/ui/?login_error=denied"
    assert site.identity(other) == 401
    assert site.go(browser, came) == "/backup/ui/"
    assert site.go(browser, came) == "/backup/?login_error=denied", "a login ends once"
    for query in ("", "?state=x&code=y", "?error=access_denied"):
        assert site.go(Browser(), "/v1/login/oidc/callback" + query) == "/backup/?login_error=denied", query


@needs_provider
@pytest.mark.parametrize("back", [
    "//evil.example.com/", "https://evil.example.com/", "/\\evil.example.com", "\\\\evil.example.com", "ui/", "",
    "/../elsewhere", "/%2e%2e/elsewhere", "/a/..%2fb", "/%5cevil.example.com", "/\r\nSet-Cookie: a=b", "/" + "x" * 600])
def test_back_only_to_here(site, back):
    status, headers, body = site.ask(Browser(), "GET", "/v1/login/oidc?return=" + urllib.parse.quote(back, safe=""))
    assert status == 400 and "Location" not in headers, body


PROOFS = [
    ({}, False), ({"X_Requested_With": "test"}, True),
    ({"Sec_Fetch_Site": "same-origin"}, True), ({"Sec_Fetch_Site": "same-site"}, False),
    ({"Sec_Fetch_Site": "cross-site"}, False), ({"Sec_Fetch_Site": "cross-site", "X_Requested_With": "test"}, False),
    ({"Origin": "null"}, False), ({"Origin": "https://evil.example.com"}, False), ({"Origin": "OURS"}, True),
    ({"Origin": "OURS.evil.example.com"}, False), ({"Origin": "OURS/"}, False),
    ({"Origin": "https://evil.example.com", "X_Requested_With": "test"}, False)]


@needs_provider
def test_foreign_pages(site):
    """With a cookie, only a page of ours changes something; with a token, whoever has it."""
    browser = Browser()
    password = {"login": {"name": "admin", "password": site.server.password}}
    assert site.ask(browser, "POST", "/v1/login", password, Sec_Fetch_Site="cross-site")[0] == 403
    status, _, body = site.ask(browser, "POST", "/v1/login", password)
    assert status == 201
    token = body["session"]["token"]
    ours = site.url[:-len("/backup")]
    for number, (headers, may) in enumerate(PROOFS):
        headers = {k: v.replace("OURS", ours) for k, v in headers.items()}
        made = {"project": {"name": f"p{number}"}}
        status, _, body = site.ask(browser, "POST", "/v1/projects", made, **headers)
        assert status == (201 if may else 403), (headers, body)
        assert site.ask(browser, "GET", "/v1/projects", **headers)[0] == 200
    assert site.ask(Browser(), "POST", "/v1/projects", {"project": {"name": "t"}}, X_Auth_Token=token)[0] == 201


@needs_provider
def test_provider_is_away(site, holdfast, folder):
    with Server(holdfast, folder, mover={"local": "no"}, oidc={"issuer": "http://127.0.0.1:9"}) as server:
        answer = server.ask("GET", "/v1/login/oidc?return=/ui/%23x", user=None)
        assert (answer.status, answer.headers["location"]) == (302, "/ui/?login_error=unavailable#x")


def test_reset_password(server):
    """Who may run the server's program as its user gets a new password; the old one and its sessions end."""
    login = {"login": {"name": "admin", "password": server.password}}
    token = server.post("/v1/login", login, user=None)["session"]["token"]
    if server.database:
        said = server.task("--reset-password")
    else:
        assert "holdfast.db" in server.task("--reset-password", code=10)
        server.stop()
        said = server.task("--reset-password=admin")
        server.start()
    server.password = said.split()[-1]
    assert server.ask("POST", "/v1/login", login, user=None).status == 401
    assert server.ask("GET", "/v1/identity", user=None, headers={"X-Auth-Token": token}).status == 401
    assert server.get("/v1/identity")["identity"]["admin"]
    [line] = server.get("audit?action=user:password&all_tenants=1")["audit"]
    assert line["detail"] == "on the server's machine"
    assert server.password not in server.log.read_text()


def test_no_provider(server):
    assert [m["kind"] for m in server.get("/v1/login/methods", user=None)["methods"]] == ["password"]
    assert server.ask("GET", "/v1/login/oidc", user=None).status == 404
    who = server.get("/v1/identity")["identity"]
    assert {"user:create", "server:rotate_key"} <= set(who["allowed"])


def test_who_asks(site):
    """The audit log has the address that the proxy got the request from, not what the client says before that."""
    server = site.server
    made = server.ask("POST", "/v1/tokens", {"token": {"name": "seen"}},
                      headers={"X-Forwarded-For": "203.0.113.5, 198.51.100.7"}).body["token"]
    assert [line["address"] for line in server.get("audit")["audit"] if line["detail"] == made["id"]] == ["198.51.100.7"]
