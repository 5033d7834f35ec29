# SPDX-License-Identifier: Apache-2.0
"""A proxy before an S3 service that counts requests and does to them what networks do."""
import collections
import http.client
import http.server
import random
import re
import threading
import time
import urllib.parse


class Fault:
    """What may happen to a request."""
    DROP = "the connection is closed before the service sees it"
    LOSE = "the service does it, the answer is lost"
    BUSY = "the service says that it is busy"
    LATE = "the connection is closed, and the service does it much later"
    ALL = (DROP, LOSE, BUSY, LATE)


class Proxy:
    def __init__(self, service):
        self.service = urllib.parse.urlsplit(service).netloc
        self.counts = collections.Counter()
        self.faults, self.share = (), 0.0
        self.rnd = random.Random(7)
        self.late = []
        self.happened = collections.Counter()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that was killed
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
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

    def _handler(proxy):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self, status, headers, content):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = dict((k.lower(), v) for k, v in headers).get("content-length")
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = self.command, self.path, list(self.headers.items()), body
                proxy.count(self.command, self.path)
                fate = proxy.fate()
                proxy.happened[fate] += 1
                if fate == Fault.BUSY:
                    self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
                    return
                if fate == Fault.LATE:
                    timer = threading.Timer(2 + proxy.rnd.random() * 4, proxy.forward, request)
                    proxy.late.append(timer)
                    timer.start()
                if fate in (Fault.DROP, Fault.LATE):
                    self.close_connection = True
                    return
                reply, content = proxy.forward(*request)
                if fate == Fault.LOSE:
                    self.close_connection = True
                    return
                self.answer(reply.status, reply.getheaders(), content)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815

        return Handler

    def wait_for_late(self):
        while any(t.is_alive() for t in self.late):
            time.sleep(0.1)
