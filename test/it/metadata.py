# SPDX-License-Identifier: Apache-2.0
"""A fake of what gives keys to instances and containers in a cloud: a real one is to be had only there. Everything else
of these tests is real, where it can be."""
import datetime
import json

from http_service import HttpService


class Metadata(HttpService):
    """`keys` are given in turn, as (id, secret, token), the last one for ever; each lasts `seconds`."""

    def __init__(self, keys, seconds=3600):
        super().__init__()
        self.keys, self.seconds = list(keys), seconds
        self.requests = []
        self.answer_all = None  # (status, body)
        self.role = b"our-role\n"

    def key(self):
        name, secret, token = self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.seconds)
        given = {"Code": "Success", "AccessKeyId": name, "SecretAccessKey": secret,
                 "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return json.dumps({**given, "Token": token} if token else given).encode()

    def do(self, method, path, headers):
        if self.answer_all:
            return self.answer_all
        if path == "/container" and method == "GET":
            return (200, self.key()) if headers.get("authorization") == "Bearer of it" else (403, b"")
        if path == "/latest/api/token":
            return (200, b"token==") if method == "PUT" and headers.get("x-aws-ec2-metadata-token-ttl-seconds") else (405, b"")
        if method != "GET" or headers.get("x-aws-ec2-metadata-token") != "token==":
            return 401, b""
        folder = "/latest/meta-data/iam/security-credentials/"
        return (200, self.role) if path == folder else (200, self.key()) if path == f"{folder}our-role" else (404, b"")

    def handle(self, handler, body):
        headers = {k.lower(): v for k, v in handler.headers.items()}
        self.requests.append((handler.command, handler.path))
        status, content = self.do(handler.command, handler.path, headers)
        handler.answer(status, [], content)
