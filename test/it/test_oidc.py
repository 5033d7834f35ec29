# SPDX-License-Identifier: Apache-2.0
"""Tokens and logins of a real OpenID provider."""
import pathlib

import pytest

from keystone import Probe
from provider import REDIRECT, Provider
from waiting import wait_until

if not pathlib.Path("/usr/bin/glewlwyd").exists():
    pytest.skip("there is no OpenID provider: install the package glewlwyd", allow_module_level=True)

ROLES = "web = member@shop, ops = operator@*, * = viewer@shop"


@pytest.fixture(scope="module")
def provider(module_folder):
    with Provider(module_folder / "provider") as p:
        p.user("alice", "web", "others")
        p.user("olga", "ops")
        p.user("eve")
        yield p


@pytest.fixture
def probe(provider, folder):
    with Probe(folder) as p:
        # Glewlwyd's tokens for programs are for the scope that they ask for.
        p.must("oidc", issuer=provider.issuer, client_id="holdfast", secret="s3cret", audience="g_profile", roles=ROLES)
        p.must("open")
        p.shop = p.must("project", name="shop")["id"]
        yield p


def log_in(provider, probe, name):
    """The session of a person who went to the provider and came back."""
    begun = probe.must("begin", redirect=REDIRECT)
    back = provider.browse(begun["url"], name)
    assert back["state"] == begun["state"]
    return probe.must("finish", state=back["state"], code=back["code"], cookie=begun["state"])["token"]


@pytest.mark.parametrize("name, roles, allowed, denied", [
    ("alice", "member, viewer", "plan:create", "target:create"),
    ("olga", "operator, viewer", "target:create", "user:create"),
    ("eve", "viewer", "plan:get", "plan:create"),
])
def test_people(provider, probe, name, roles, allowed, denied):
    ask = {"cookie": log_in(provider, probe, name), "project": probe.shop}
    who = probe.must("identify", **ask)
    assert (who["user_name"], who["roles"], who["how"]) == (f"{name} of here", roles, "session")
    assert probe.must("identify", **ask, action=allowed)["allowed"]
    assert not probe.must("identify", **ask, action=denied)["allowed"]


def test_same_person_again(provider, probe):
    users = {probe.must("identify", cookie=log_in(provider, probe, "alice"))["user_id"] for _ in range(2)}
    assert len(users) == 1


def test_programs(provider, probe):
    token = provider.program_token()
    ask = {"authorization": f"Bearer {token}", "project": probe.shop}
    first = probe.must("identify", **ask, action="plan:get")
    assert (first["user_name"], first["roles"], first["how"]) == ("holdfast", "viewer", "oidc")
    assert first["allowed"]
    later = sorted(probe.must("identify", **ask)["us"] for _ in range(50))[25]
    print(f"first {first['us']} µs, later {later} µs")
    head, claims, signature = token.split(".")
    for wrong in (f"{head}.{claims}.{signature[:-8]}AAAAAAAA", f"{head}.{claims}.", f"{head}.{claims}"):
        assert probe("identify", authorization=f"Bearer {wrong}", project=probe.shop)["error"] == "denied"


def test_codes_work_once(provider, probe):
    begun = probe.must("begin", redirect=REDIRECT)
    other = probe.must("begin", redirect=REDIRECT)
    back = provider.browse(begun["url"], "alice")
    # In a browser that has not begun it; as the end of another login, whose verifier is another.
    assert probe("finish", **back, cookie=other["state"])["error"] == "denied"
    assert probe("finish", code=back["code"], state=other["state"], cookie=other["state"])["error"] == "denied"
    probe.must("finish", **back, cookie=begun["state"])
    assert probe("finish", **back, cookie=begun["state"])["error"] == "denied"


def test_the_provider_changes_its_key(provider, probe):
    probe.must("identify", authorization=f"Bearer {provider.program_token()}", project=probe.shop)
    provider.admin.must("DELETE", provider.api + "/mod/plugin/oidc")
    provider.set_up_plugin("second")
    token = provider.program_token()
    ask = {"authorization": f"Bearer {token}", "project": probe.shop}
    # Keys are not asked for more often than every ten seconds.
    wait_until(lambda: "error" not in probe("identify", **ask), 30, "the new key is known", every=0.5)


def test_another_issuer(provider, folder):
    with Probe(folder) as p:
        p.must("oidc", issuer=provider.issuer.replace("127.0.0.1", "localhost"), client_id="holdfast", secret="s3cret",
               audience="g_profile")
        p.must("open")
        answer = p("identify", authorization=f"Bearer {provider.program_token()}", project="x")
        assert answer["error"] == "unreachable"
        assert "issuer" in answer["message"]
