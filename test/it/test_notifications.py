# SPDX-License-Identifier: Apache-2.0
"""Notifications, with a real web server and a real SMTP server at the other end. Every answer of the API is held
against openapi.yaml by server.py."""
import base64
import os

import pytest

from receivers import Hook, MailServer
from server import Refused, Server, free_port
from waiting import wait_until

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OPEN = {"networks": "127.0.0.0/8"}


@pytest.fixture
def hook():
    with Hook() as hook:
        yield hook


def make(server, what, **how):
    return server.post("notifications", {"notification": {"name": "n", "kind": "webhook", **what}}, **how)["notification"]


def deliveries(server, notification, query=""):
    return server.get(f"notifications/{notification['id']}/deliveries{query}")["deliveries"]


def ended(server, notification, seconds=30):
    """The newest delivery, once it has ended."""
    def look():
        newest = deliveries(server, notification)[0]
        return newest if newest["state"] != "pending" else None

    return wait_until(look, seconds, lambda: f"{deliveries(server, notification)}\n{server.log_text()}", every=0.1)


def rotate_secret(server, own, hook):
    """The new secret and the one before it both sign, until the old one is not to any more; then the new one alone."""
    def tried():
        n = len(hook.got)
        server.post(f"notifications/{own['id']}/test")
        hook.wait(n + 1)
        return n, hook.got[n][0]["webhook-signature"].split(" ")

    def rotate(**what):
        return server.post(f"notifications/{own['id']}/rotate_secret", {"rotate_secret": what})["notification"]

    made = rotate()
    assert made["secret"].startswith("whsec_") and made["old_secret_until"] > made["updated_at"]
    i, both = tried()
    assert len(both) == 2 and hook.verify(i, made["secret"]) == hook.verify(i, SECRET)
    again = rotate(secret=SECRET, old_hours=0)
    assert "secret" not in again and again["old_secret_until"] is None
    i, one = tried()
    assert len(one) == 1 and hook.verify(i, SECRET)


def check_target(server, target, state):
    done = server.post(f"targets/{target['id']}/check")
    server.wait_operation(done["operation_id"], state=state)


def test_troubles(holdfast, folder, database, hook):
    """A trouble is told once, signed, tried again with the same id, and its end is told; over a kill in between."""
    with Server(holdfast, folder, database, notifications=OPEN, server={"public_url": "https://backup.example:1/"}) as server:
        own = make(server, {"url": hook.url + "/in?key=1", "secret": SECRET})
        assert own["url"] == hook.url + "/in" and "secret" not in own and own["status"] == "unknown"
        made = make(server, {"url": hook.url + "/x", "events": ["operation.succeeded"], "severity": "error"})
        assert made["secret"].startswith("whsec_") and "secret" not in server.get(f"notifications/{made['id']}")["notification"]

        where = folder / "files" / "target"
        target = server.post("targets", {"target": {"name": "täglich", "url": f"dir:{where}"}})["target"]
        where.parent.mkdir()
        where.symlink_to(where)  # leads nowhere
        hook.answers = [503]
        check_target(server, target, "failed")
        first, again = hook.wait(2)
        assert first == again and hook.verify(0, SECRET) == hook.verify(1, SECRET), "the same message comes again"
        assert 1.9 < hook.seen_at[1] - hook.seen_at[0] < 10
        assert first["type"] == "target.unreachable" and first["data"]["severity"] == "error"
        assert first["data"]["subject"] == {"type": "target", "id": target["id"], "name": "täglich"}
        assert first["data"]["project_id"] == server.project and first["data"]["url"] == "https://backup.example:1/"
        told = ended(server, own)
        assert (told["state"], told["attempts"], told["code"]) == ("delivered", 2, 204)
        assert [a["code"] for a in told["log"]] == [503, 204] and "said" in told["log"][0]["text"]
        assert told["id"] == hook.got[0][0]["webhook-id"]

        check_target(server, target, "failed")
        assert len(deliveries(server, own)) == 1, "the same trouble is told once"

        # What is in the outbox when the server is killed is delivered by the next one.
        hook.server.shutdown()
        hook.server.server_close()
        where.unlink()
        where.mkdir()
        check_target(server, target, "succeeded")
        assert len(deliveries(server, own)) == 2
        server.kill()
        hook.server = type(hook.server)(hook.server.server_address, hook.server.RequestHandlerClass)
        hook.__enter__()
        server.start()
        over = hook.wait(3)[2]
        assert over["type"] == "target.recovered" and over["data"]["severity"] == "info"
        assert over["data"]["trouble"] == first["data"]["trouble"] and over["data"]["title"].startswith("Over: ")
        hook.verify(2, SECRET)
        assert ended(server, own)["state"] == "delivered"
        assert deliveries(server, made) == [], "it did not ask for them"
        assert server.get(f"notifications/{own['id']}")["notification"]["status"] == "working"
        metrics = server.ask("GET", "/metrics").text
        assert 'holdfast_notification_deliveries{state="delivered"} 2' in metrics
        rotate_secret(server, own, hook)


def test_operations(holdfast, folder, database, hook):
    """An operation that fails is told with its reason and a link; one that succeeds only to who asks for it."""
    with Server(holdfast, folder, database, notifications=OPEN, server={"public_url": "https://b.example"}) as server:
        make(server, {"url": hook.url, "secret": SECRET, "severity": "error"})
        provider = server.provider(folder / "repo")
        plan = server.post("plans", {"plan": {"name": "web <1>", "provider_id": provider["id"], "parameters": {},
                                              "resources": [{"id": "1", "type": "OS::Nova::Server", "name": "x"}]}})["plan"]
        slack = make(server, {"kind": "slack", "url": hook.url + "/services/T0/B0/secret", "plan_ids": [plan["id"]]})
        assert slack["url"] == hook.url + "/..."
        made = server.post(f"providers/{provider['id']}/checkpoints", {"checkpoint": {"plan_id": plan["id"]}})
        operation = made["checkpoint"]["operation_id"]
        server.wait_operation(operation, state="failed")
        bodies = hook.wait(2)
        told = next(b for b in bodies if "type" in b)
        text = next(b["text"] for b in bodies if "text" in b)
        assert told["type"] == "operation.failed" and told["data"]["operation_id"] == operation
        assert told["data"]["url"] == f"https://b.example/#/operations/{operation}"
        assert told["data"]["plan_id"] == plan["id"] and "no good recovery point" in told["data"]["text"]
        assert "*Backup failed: protect plan web &lt;1&gt;*" in text and f"<https://b.example/#/operations/{operation}|" in text
        # A schedule that cannot start what it should: the quota of checkpoints is used up.
        server.do("PUT", f"quotas/{server.project}", {"quota": {"checkpoints": 0}})
        trigger = server.post("triggers", {"trigger_info": {"name": "call", "type": "event", "properties": {"event": "webhook"}}})
        trigger = trigger["trigger_info"]
        server.post("scheduled_operations", {"scheduled_operation": {
            "name": "s", "operation_type": "protect", "trigger_id": trigger["id"],
            "operation_definition": {"plan_id": plan["id"], "provider_id": provider["id"]}}})
        server.post(f"/v1/hooks/{trigger['id']}", user=None, headers={"X-Holdfast-Token": trigger["token"]})
        hook.wait(4)
        told = [b for b in hook.bodies()[2:] if "type" in b][0]
        assert told["type"] == "schedule.failed" and "Maximum number of checkpoints" in told["data"]["text"]


def test_guarded(holdfast, folder, hook):
    """What a project makes reaches only public addresses; redirects are not followed; secrets are not told."""
    with Server(holdfast, folder, None) as server:
        for url in (hook.url, hook.url.replace("127.0.0.1", "localhost"), "http://[::1]:9/", "http://[::ffff:127.0.0.1]:9/"):
            own = make(server, {"url": url})
            sent = server.post(f"notifications/{own['id']}/test")["delivery"]
            assert sent["state"] == "pending" and sent["event"] == "test"
            done = ended(server, own)
            assert done["state"] == "failed" and "not a public address" in done["reason"], done
            assert server.get(f"notifications/{own['id']}")["notification"]["status"] == "failing"
        assert hook.got == []
        ours = make(server, {"url": hook.url + "/T/secret-of-slack", "kind": "slack", "shared": True})
        assert ours["project_id"] is None
        server.post(f"notifications/{ours['id']}/test")
        assert ended(server, ours)["state"] == "delivered" and len(hook.got) == 1
        hook.answers = [302]
        server.post(f"notifications/{ours['id']}/test")
        done = ended(server, ours)
        assert done["state"] == "failed" and "not followed" in done["reason"] and len(hook.got) == 2
        server.do("PUT", f"notifications/{ours['id']}",
                  {"notification": {"url": f"http://127.0.0.1:{free_port()}/T/secret-of-slack"}})
        server.post(f"notifications/{ours['id']}/test")
        done = ended(server, ours)
        assert done["state"] == "failed" and "secret-of-slack" not in str(done) + server.log_text(), done
        # Others do not see it.
        server.post("/v1/users", {"user": {"name": "bob", "password": "a long password"}})
        bob = next(u for u in server.get("/v1/users")["users"] if u["name"] == "bob")
        server.post("/v1/grants", {"grant": {"user_id": bob["id"], "project_id": server.project, "role": "member"}})
        as_bob = {"user": "bob", "password": "a long password"}
        assert ours["id"] not in {n["id"] for n in server.get("notifications", **as_bob)["notifications"]}
        with pytest.raises(Refused) as e:
            server.get(f"notifications/{ours['id']}", **as_bob)
        assert e.value.status == 404
        with pytest.raises(Refused) as e:
            make(server, {"url": "https://hooks.example/", "shared": True}, **as_bob)
        assert e.value.status == 400 and "shared" in e.value.message
        server.do("DELETE", f"notifications/{ours['id']}")
        with pytest.raises(Refused):
            server.get(f"notifications/{ours['id']}/deliveries")


BAD = [
    ({"url": "ftp://h/"}, "url"), ({"url": "https://u:p@h/"}, "url"), ({"url": "https:///x"}, "url"), ({}, "url"),
    ({"url": "https://h/ x"}, "url"), ({"url": "https://h/" + "x" * 1200}, "url"), ({"url": "https://h/#x"}, "url"),
    ({"url": "https://h/", "secret": "short"}, "secret"), ({"url": "https://h/", "secret": "whsec_AAAA"}, "secret"),
    ({"url": "https://h/", "events": ["no"]}, "events"), ({"url": "https://h/", "events": [1]}, "events"),
    ({"url": "https://h/", "severity": "bad"}, "severity"), ({"url": "https://h/", "remind_hours": -1}, "remind_hours"),
    ({"url": "https://h/", "plan_ids": ["00000000-0000-0000-0000-000000000000"]}, "plan_ids"),
    ({"url": "https://h/", "recipients": ["a@b.example"]}, "recipients"), ({"url": "https://h/", "bogus": 1}, "bogus"),
    ({"kind": "mail"}, "sends no mail"), ({"kind": "fax"}, "kind"), ({"name": "", "url": "https://h/"}, "name"),
]


def test_bad_input(server):
    for what, says in BAD:
        with pytest.raises(Refused) as e:
            make(server, what)
        assert e.value.status == 400 and says in e.value.message, (what, e.value.message)
    assert server.get("notifications") == {"notifications": []}
    made = make(server, {"url": "https://h.example/", "enabled": False})
    path = f"notifications/{made['id']}"
    new = {"name": "other", "severity": "critical", "events": ["plan.late"], "enabled": True, "url": "http://x.example/?a"}
    changed = server.do("PUT", path, {"notification": new})["notification"]
    assert {k: changed[k] for k in new} == {**new, "url": "http://x.example/"}
    for what, says in [({"recipients": ["a@b.example"]}, "recipients"), ({"kind": "mail"}, "kind"), ({"url": "x"}, "url")]:
        with pytest.raises(Refused) as e:
            server.do("PUT", path, {"notification": what})
        assert e.value.status == 400 and says in e.value.message
    for what, says in [({"old_hours": 721}, "old_hours"), ({"secret": "short"}, "secret")]:
        with pytest.raises(Refused, match=says):
            server.post(f"{path}/rotate_secret", {"rotate_secret": what})
    for i in range(19):
        make(server, {"url": f"https://h.example/{i}"})
    with pytest.raises(Refused) as e:
        make(server, {"url": "https://h.example/"})
    assert "20 notifications" in e.value.message


def mail_options(server, password, folder, **more):
    secret = folder / "smtp-password"
    secret.write_text(password + "\n")
    os.chmod(secret, 0o600)
    return {"server": f"smtp://127.0.0.1:{server.port}", "username": "backup", "password_file": str(secret),
            "from": "holdfast@example.org", "ca": str(server.cert), **more}


def test_mail(holdfast, folder):
    """STARTTLS with a certificate that is checked, a log-in, a refusal that passes, an address that is no more."""
    with MailServer(folder) as post, Server(holdfast, folder, None, mail=mail_options(post, "right", folder)) as server:
        who = ["ops@example.org", "nobody@example.org"]
        own = make(server, {"kind": "mail", "recipients": who, "name": "Leute ä"})
        target = server.post("targets", {"target": {"name": "grün ☂ " + "x" * 60, "url": f"dir:{folder}/f"}})["target"]
        (folder / "f").symlink_to(folder / "f")  # leads nowhere
        post.refuse = 1
        check_target(server, target, "failed")
        sender, to, mail = post.wait(1)[0]
        assert sender == "holdfast@example.org" and to == ["ops@example.org"]
        assert mail["Subject"] == f"[Holdfast] Target cannot be reached: {target['name']}"
        assert mail["To"] == ", ".join(who) and mail["Auto-Submitted"] == "auto-generated"
        text = mail.get_content()
        assert "What to do: " in text and "Severity: error" in text and "Leute ä" in text
        told = ended(server, own)
        assert mail["Message-ID"].startswith(f"<{told['id']}@") and told["attempts"] == 2
        assert [a["code"] for a in told["log"]][0] == 451 and told["state"] == "delivered"

    with MailServer(folder) as post:
        options = mail_options(post, "wrong", folder)
        with Server(holdfast, folder, None, mail=options) as server:
            own = make(server, {"kind": "mail", "recipients": who[:1]})
            server.post(f"notifications/{own['id']}/test")
            done = ended(server, own)
            assert done["state"] == "failed" and done["code"] == 535, done
        del options["ca"]
        with Server(holdfast, folder, None, mail=options) as server:
            server.post(f"notifications/{own['id']}/test")
            done = ended(server, own)
            assert done["state"] == "failed" and "certificate" in done["reason"], done
        assert post.got == []
