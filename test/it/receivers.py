# SPDX-License-Identifier: Apache-2.0
"""Who is notified: a web server that takes webhooks, and a real SMTP server (aiosmtpd)."""
import base64
import email
import email.policy
import hashlib
import hmac
import json
import ssl
import subprocess
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from http_service import HttpService
from server import free_port
from waiting import wait_until


class Hook(HttpService):
    """Takes webhooks; `answers` are the statuses of the next answers, then 204."""

    def __init__(self):
        super().__init__()
        self.got, self.answers, self.seen_at = [], [], []

    def handle(self, handler, body):
        self.got.append(({k.lower(): v for k, v in handler.headers.items()}, body))
        self.seen_at.append(time.monotonic())
        status = self.answers.pop(0) if self.answers else 204
        headers = [("Connection", "close")]  # when the test closes the listener, nobody is left who answers
        handler.answer(status, headers + ([("Location", "/elsewhere")] if status == 302 else []), b"said")

    def bodies(self):
        return [json.loads(body) for _, body in list(self.got)]

    def wait(self, n, seconds=30):
        wait_until(lambda: len(self.got) >= n, seconds, lambda: f"{n} calls come: {self.bodies()}")
        return self.bodies()

    def verify(self, i, secret):
        """As a receiver does it (Standard Webhooks)."""
        headers, body = self.got[i]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        want = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert want in headers["webhook-signature"].split(" ")
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 120
        return headers["webhook-id"]


class MailServer:
    """Wants TLS and the user backup with the password "right"; takes no mail for nobody@."""

    def __init__(self, folder):
        self.cert, self.key = folder / "smtp.pem", folder / "smtp.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        self.key, "-out", self.cert], check=True, capture_output=True, timeout=60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        self.got, self.refuse = [], 0
        outer = self

        class Private(Controller):
            def factory(self):
                return SMTP(outer, tls_context=context, require_starttls=True, auth_required=True,
                            authenticator=outer.check)

        self.port = free_port()
        self.controller = Private(self, hostname="127.0.0.1", port=self.port)

    @staticmethod
    def check(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=data.login == b"backup" and data.password == b"right", handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if address.startswith("nobody@"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        if self.refuse:
            self.refuse -= 1
            return "451 come back later"
        self.got.append((envelope.mail_from, envelope.rcpt_tos,
                         email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 taken as 4711"

    def wait(self, n, seconds=30):
        wait_until(lambda: len(self.got) >= n, seconds, f"{n} mails come")
        return self.got

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()
