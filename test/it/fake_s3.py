# SPDX-License-Identifier: Apache-2.0
"""A fake of an S3 service, in memory, for what no real one can be made to do: it does not look at conditions, its clock
differs, its answers are wrong. And it keeps what it was asked, for others to look at."""
import email.utils
import hashlib
import http.server
import threading
import time
import urllib.parse


class FakeS3:
    def __init__(self, conditions=True, ahead=0):
        self.conditions, self.ahead = conditions, ahead
        self.objects, self.requests, self.lock = {}, [], threading.Lock()
        self.answer_all = None  # (status, headers, body)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that was killed

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def now(self):
        return time.time() + self.ahead

    def put(self, key, headers, body):
        old = self.objects.get(key)
        match, none = headers.get("if-match"), headers.get("if-none-match")
        if self.conditions and ((none and old) or (match and (not old or match != old[1]))):
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.objects[key] = body, etag
        return 200, {"ETag": etag}, b""

    def list(self, query):
        prefix = query.get("prefix", [""])[0]
        keys = sorted(k for k in self.objects if k.startswith(prefix))
        rows = "".join(f"<Contents><Key>{k}</Key><Size>{len(self.objects[k][0])}</Size></Contents>" for k in keys)
        return 200, {}, f"<ListBucketResult>{rows}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()

    def get(self, key, headers):
        if key not in self.objects:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        body, etag = self.objects[key]
        if "range" not in headers:
            return 200, {"ETag": etag}, body
        first, last = headers["range"].removeprefix("bytes=").split("-")
        if int(first) >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        part = body[int(first):int(last) + 1]
        return 206, {"ETag": etag, "Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"}, part

    def do(self, method, path, headers, body):
        split = urllib.parse.urlsplit(path)
        _, _, key = split.path.lstrip("/").partition("/")
        sent = time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        if abs(time.mktime(sent) - time.mktime(time.gmtime(self.now()))) > 900:
            return 403, {}, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
        if self.answer_all:
            return self.answer_all
        if method == "GET" and not key:
            return self.list(urllib.parse.parse_qs(split.query))
        if method == "PUT":
            return self.put(key, headers, body)
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        return self.get(key, headers)

    def _handler(fake):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                with fake.lock:
                    fake.requests.append((self.command, self.path, headers, body))
                    status, extra, content = fake.do(self.command, self.path, headers, body)
                self.send_response_only(status)
                self.send_header("Date", email.utils.formatdate(fake.now(), usegmt=True))
                for name, value in extra.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815

        return Handler
