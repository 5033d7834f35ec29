# SPDX-License-Identifier: Apache-2.0
"""A web server on a free port of the loopback, in threads of the test's process."""
import http.server
import ssl
import threading


class HttpService:
    """What it answers is `handle`'s: given the request's handler and its body, to be called from many threads."""

    def __init__(self, tls=None):
        """`tls`: files with a certificate and its key."""
        self.scheme = "https" if tls else "http"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that was killed
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, handler, body):
        raise NotImplementedError

    def _handler(service):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self, status, headers, content):
                """`headers` as pairs; Content-Length is made, but for HEAD, which names what GET would give."""
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if status != 204 and "content-length" not in {name.lower() for name, _ in headers}:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def handle_any(self):
                service.handle(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815

        return Handler
