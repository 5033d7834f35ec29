# SPDX-License-Identifier: Apache-2.0
"""A real OpenID provider with a client "holdfast" and some people, and a browser's way through it."""
import http.cookiejar
import json
import subprocess
import urllib.parse
import urllib.request

from service import Service

REDIRECT = "http://127.0.0.1:9/callback"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self):
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), NoRedirect,
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(self, method, url, body=None, headers=None):
        """Status, headers, and the body as it came."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        kind = "application/json" if isinstance(body, dict) else "application/x-www-form-urlencoded"
        request = urllib.request.Request(url, data, {"Content-Type": kind, **(headers or {})}, method=method)
        try:
            with self.opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()

    def must(self, method, url, body=None, headers=None):
        status, _, text = self.ask(method, url, body, headers)
        assert status == 200, f"{method} {url}: {status} {text}"
        return json.loads(text) if text else None


class Provider(Service):
    """Glewlwyd: people have passwords "pw-NAME"; `groups` is a claim of theirs."""
    script = "glewlwyd.sh"

    def start(self):
        self.url = self.call("start")
        self.api = self.url + "/api"
        self.issuer = self.api + "/oidc"
        self.admin = Browser()
        self.admin.must("POST", self.api + "/auth/", {"username": "admin", "password": "password"})
        self.set_up_users()
        self.set_up_plugin("first")
        self.client = {"client_id": "holdfast", "name": "holdfast", "confidential": True, "enabled": True,
                       "client_secret": "s3cret", "password": "s3cret", "scope": ["g_profile"],
                       "authorization_type": ["code", "client_credentials"], "redirect_uri": [REDIRECT],
                       "token_endpoint_auth_method": ["client_secret_basic"]}
        self.admin.must("POST", self.api + "/client/", self.client)

    def know(self, redirect):
        """An address that browsers may be sent back to."""
        self.client["redirect_uri"].append(redirect)
        self.admin.must("PUT", self.api + "/client/holdfast", self.client)

    def set_up_users(self):
        module = self.admin.must("GET", self.api + "/mod/user/database")
        module["parameters"]["data-format"]["groups"] = {"multiple": True, "read": True, "write": True,
                                                         "profile-read": True, "profile-write": False}
        self.admin.must("PUT", self.api + "/mod/user/database", module)
        self.admin.must("PUT", self.api + "/mod/user/database/reset")

    def key(self, name):
        """A new RSA key, as PEM: private and public."""
        private = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout"], input=private, capture_output=True, text=True,
                                check=True).stdout
        return private, public

    def set_up_plugin(self, key):
        private, public = self.key(key)
        plugin = {"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": {
            "iss": self.issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
            "access-token-duration": 3600, "refresh-token-duration": 86400, "code-duration": 600,
            "refresh-token-rolling": True, "allow-non-oidc": True, "auth-type-code-enabled": True,
            "auth-type-client-enabled": True, "auth-type-token-enabled": False, "auth-type-password-enabled": False,
            "auth-type-refresh-enabled": False, "auth-type-none-enabled": False, "auth-type-id-token-enabled": True,
            "auth-type-implicit-enabled": False, "scope": [], "additional-parameters": [], "jwks-show": True,
            "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": True}],
            "name-claim": "mandatory", "email-claim": "mandatory", "subject-type": "public",
            "session-management-allowed": True, "session-cookie-expiration": 86400,
            "session-cookie-name": "GLEWLWYD2_OIDC_SID", "pkce-allowed": True, "pkce-required": True, "pkce-method-plain-allowed": False}}
        self.admin.must("POST", self.api + "/mod/plugin/", plugin)

    def user(self, name, *groups):
        self.admin.must("POST", self.api + "/user/", {
            "username": name, "name": f"{name} of here", "email": f"{name}@example.org", "password": f"pw-{name}",
            "enabled": True, "scope": ["openid", "g_profile"], "groups": list(groups)})

    def program_token(self):
        """By client credentials."""
        basic = urllib.request.base64.b64encode(b"holdfast:s3cret").decode()
        body = b"grant_type=client_credentials&scope=g_profile"
        return Browser().must("POST", self.issuer + "/token", body, {"Authorization": "Basic " + basic})["access_token"]

    def browse(self, url, name):
        """What the browser of `name` does with the address that we send it to; the query that it comes back with."""
        back = self.visit(Browser(), url, name)
        assert back.startswith(REDIRECT), back
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))

    def visit(self, browser, url, name):
        """`name` logs in and agrees; where the browser is sent then."""
        browser.must("POST", self.api + "/auth/", {"username": name, "password": f"pw-{name}"})
        browser.must("PUT", self.api + "/auth/grant/holdfast", {"scope": "openid"})
        status, headers, text = browser.ask("GET", url + "&g_continue")
        assert status == 302, f"{status} {text}"
        return headers["Location"]
