"""Providers of text messages and push in one process: they check what real ones check, and keep what they took."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

from connectors.notifications.channels.push import GRANT, SCOPE

ACCOUNT, TOKEN, NUMBER, PROJECT = "AC1", "sms-token", "+15005550006", "bank"
SENDER = "sender@bank.example"
Reply = tuple[int, dict[str, Any]]
HANG_UP: Reply = (0, {})
"""Close the line without an answer."""


@dataclass
class Providers:
    """What they took, and how they answer the next calls: `faults` is asked first."""

    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    messages: list[dict[str, str]] = field(default_factory=list)
    pushes: list[dict[str, Any]] = field(default_factory=list)
    devices: set[str] = field(default_factory=set)
    access_tokens: list[str] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)
    """Answered in this order, after the message was taken where it is a hang-up."""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == "/token":
            return self._token(parse_qs(body.decode()))
        known: dict[str, Callable[[dict[str, str], bytes], Reply]] = {
            f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json": self._message,
            f"/v1/projects/{PROJECT}/messages:send": self._push,
        }
        if path not in known:
            return 404, {}
        if self.faults and self.faults[0] != HANG_UP:
            return self.faults.pop(0)
        answer = known[path](headers, body)
        return self.faults.pop(0) if self.faults else answer

    def _message(self, headers: dict[str, str], body: bytes) -> Reply:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if headers.get("authorization") != f"Basic {login}":
            return 401, {"code": 20003}
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("From") != NUMBER or not form.get("Body"):
            return 400, {"code": 21603}
        if not (form.get("To", "").startswith("+") and form["To"][1:].isdigit()):
            return 400, {"code": 21211}
        self.messages.append(form)
        return 201, {"sid": f"SM{len(self.messages)}", "status": "queued"}

    def _token(self, form: dict[str, list[str]]) -> Reply:
        claims = jwt.decode(form["assertion"][0], self.key, algorithms=["RS256"]).claims
        if form["grant_type"] != [GRANT] or (claims["iss"], claims["scope"]) != (SENDER, SCOPE):
            return 401, {"error": "invalid_grant"}
        self.access_tokens.append(f"access-{len(self.access_tokens)}")
        return 200, {"access_token": self.access_tokens[-1], "expires_in": 3_600}

    def _push(self, headers: dict[str, str], body: bytes) -> Reply:
        if not self.access_tokens or headers.get("authorization") != f"Bearer {self.access_tokens[-1]}":
            return 401, {}
        message = json.loads(body)["message"]
        if message["token"] not in self.devices:
            return 404, {"error": {"status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}}
        self.pushes.append(message)
        return 200, {"name": f"projects/{PROJECT}/messages/{len(self.pushes)}"}

    def variables(self, folder: Path) -> dict[str, Any]:
        """Settings of an installation that sends by them."""
        sms, push = folder / "sms.token", folder / "push.json"
        sms.write_text(f"{TOKEN}\n")
        pem = self.key.as_pem(private=True).decode()
        push.write_text(json.dumps({"client_email": SENDER, "private_key": pem, "token_uri": f"{self.url}/token"}))
        sms_settings = {"sms_url": self.url, "sms_account": ACCOUNT, "sms_token_file": sms, "sms_from": NUMBER}
        return sms_settings | {"push_url": self.url, "push_project": PROJECT, "push_credentials_file": push}


@contextmanager
def providing() -> Iterator[Providers]:
    """Listen until the block ends."""
    providers = Providers()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(providers))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    providers.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield providers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(providers: Providers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            status, answer = providers.take(self.path, headers, body)
            if status == 0:
                return
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    return Handler
