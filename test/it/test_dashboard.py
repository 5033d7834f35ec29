# SPDX-License-Identifier: Apache-2.0
"""The files of the dashboard, as the server sends them. What they do in a browser is tested in test/ui."""
import gzip

import pytest
from server import Server

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def folder(module_folder):
    folder = module_folder / "web"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Holdfast</title>")
    for name, text in (("main-1.js", "let a = 1;"), ("main-1.css", "a {}"), ("x.svg", "<svg/>")):
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "main-1.js.br").write_bytes(b"as if by Brotli")
    (folder / "secret.txt").write_text("not a file of the dashboard")
    (folder / ".hidden.js").write_text("hidden")
    (folder / "in").mkdir()
    (folder / "in" / "side.js").write_text("what lies there")
    (module_folder / "outside.js").write_text("what lies there")
    return folder


@pytest.fixture(scope="module")
def web(holdfast, module_folder, folder):
    with Server(holdfast, module_folder, server={"dashboard": str(folder)}) as server:
        yield server


def ask(web, path, method="GET", **headers):
    return web.ask(method, path, user=None, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_the_page_is_for_browsers_and_the_versions_for_clients(web):
    page = web.ask("GET", "/", user=None, headers=PAGE)
    assert page.status == 200 and "<title>Holdfast" in page.text
    assert page.headers["content-type"].startswith("text/html") and page.headers["cache-control"] == "no-cache"
    assert web.ask("GET", "/", user=None, headers={**PAGE, "If-None-Match": page.headers["etag"]}).status == 304
    versions = ask(web, "/", Accept="application/json")
    assert versions.status == 300 and versions.body["versions"][0]["status"] == "CURRENT"
    assert ask(web, "/").status == 300


def test_a_page_may_load_nothing_from_elsewhere(web):
    for answer in (web.ask("GET", "/", user=None, headers=PAGE), ask(web, "/web/main-1.js")):
        policy = dict(p.strip().split(" ", 1) for p in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("taken, coding", [
    ("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("br;q=0.5", "br"), ("brown, gzip ;q=1", "gzip"),
    ("identity", None), ("gzip;q=0", None), ("", None),
])
def test_what_the_browser_takes_compressed_comes_so(web, taken, coding):
    answer = ask(web, "/web/main-1.js", "HEAD", Accept_Encoding=taken)
    assert answer.status == 200 and answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding" and "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_a_file_without_a_variant_comes_as_it_is(web):
    answer = ask(web, "/web/main-1.css", Accept_Encoding="br")
    assert answer.text == "a {}" and "content-encoding" not in answer.headers


@pytest.mark.parametrize("name", [
    "none.js", "secret.txt", ".hidden.js", "../outside.js", "..%2foutside.js", "%2e%2e%2foutside.js", "in/side.js", "in%2fside.js",
    "main-1.js%00.css", "main-1.js.gz", "", "x" * 200 + ".js",
])
def test_no_name_leads_out_of_the_folder(web, name):
    answer = ask(web, f"/web/{name}")
    assert answer.status in (400, 404) and "what lies there" not in answer.text


def test_without_files_the_page_says_so(web, folder):
    (folder / "index.html").rename(folder / "index.away")
    answer = web.ask("GET", "/", user=None, headers=PAGE)
    (folder / "index.away").rename(folder / "index.html")
    assert answer.status == 200 and "not installed" in answer.text and 'href="docs"' in answer.text
