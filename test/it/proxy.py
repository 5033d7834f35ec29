# SPDX-License-Identifier: Apache-2.0
"""A proxy before an S3 service that counts requests and does to them what networks do."""
import collections
import http.client
import random
import re
import threading
import time
import urllib.parse

from http_service import HttpService


class Fault:
    """What may happen to a request."""
    DROP = "the connection is closed before the service sees it"
    LOSE = "the service does it, the answer is lost"
    BUSY = "the service says that it is busy"
    LATE = "the connection is closed, and the service does it much later"
    ALL = (DROP, LOSE, BUSY, LATE)


class Proxy(HttpService):
    def __init__(self, service):
        super().__init__()
        self.service = urllib.parse.urlsplit(service).netloc
        self.counts = collections.Counter()
        self.faults, self.share = (), 0.0
        self.rnd = random.Random(7)
        self.late = []
        self.happened = collections.Counter()
        self.hold = None  # a regular expression: requests like that ("PUT /path") wait

    def __exit__(self, *_):
        super().__exit__()
        for timer in self.late:
            timer.join()

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection(self.service, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply, content

    def count(self, method, path):
        """By what is done and to what kind of object."""
        split = urllib.parse.urlsplit(path)
        prefix = urllib.parse.parse_qs(split.query).get("prefix")
        if prefix:
            self.counts["LIST", prefix[0].removeprefix("some/prefix/")] += 1
        else:
            kind = re.sub(r"^/[^/]+/some/prefix/", "", split.path).split("/")[0]
            self.counts[method, kind] += 1

    def fate(self):
        return self.rnd.choice(self.faults) if self.faults and self.rnd.random() < self.share else None

    def handle(self, handler, body):
        request = handler.command, handler.path, list(handler.headers.items()), body
        self.count(handler.command, handler.path)
        while self.hold and re.search(self.hold, f"{handler.command} {handler.path}"):
            self.happened["held"] += 1
            time.sleep(0.05)
        fate = self.fate()
        self.happened[fate] += 1
        if fate == Fault.BUSY:
            handler.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
            return
        if fate == Fault.LATE:
            timer = threading.Timer(2 + self.rnd.random() * 4, self.forward, request)
            self.late.append(timer)
            timer.start()
        if fate in (Fault.DROP, Fault.LATE):
            handler.close_connection = True
            return
        reply, content = self.forward(*request)
        if fate == Fault.LOSE:
            handler.close_connection = True
            return
        drop = {"connection", "transfer-encoding"} | ({"content-length"} if handler.command != "HEAD" else set())
        handler.answer(reply.status, [(n, v) for n, v in reply.getheaders() if n.lower() not in drop], content)

    def wait_for_late(self):
        while any(t.is_alive() for t in self.late):
            time.sleep(0.1)
