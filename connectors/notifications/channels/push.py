"""Push by a provider with the contract of FCM's HTTP v1: `POST /v1/projects/{project}/messages:send`.

A service account's key is exchanged for an access token (RFC 7523), kept until shortly before it expires. The notice's
id is the collapse key and the tag, so that a message that comes twice replaces itself on the device.
"""

import threading
import time
from typing import Any, Final, Self

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from connectors.notifications.channels.contract import DELIVERED, Message, Outcome, Verdict
from runtime.settings import Settings

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_S: Final = 300
_EARLIER_S: Final = 60
_LATER: Final = frozenset({401, 403, 404, 429})
_UNREGISTERED: Final = "UNREGISTERED"
"""FCM's word for a token that no device has any more."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """The file that the provider gives to who may send."""

    client_email: str
    private_key: str
    token_uri: str


class PushChannel:
    """Sends for one project."""

    recognises_repeats = True

    def __init__(self, http: httpx.Client, project: str, account: ServiceAccount) -> None:
        self._http = http
        self._path = f"/v1/projects/{project}/messages:send"
        self._account = account
        self._key = RSAKey.import_key(account.private_key)
        self._lock = threading.Lock()
        self._token, self._token_until_s = "", 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises OSError, ValueError where the file of the service account can't be read."""
        assert settings.push_credentials_file is not None  # checked with the settings
        account = msgspec.json.decode(settings.push_credentials_file.read_bytes(), type=ServiceAccount)
        http = httpx.Client(base_url=settings.push_url, timeout=settings.notice_timeout_ms / 1_000)
        return cls(http, settings.push_project, account)

    def rest(self) -> None:
        """Idle connections end by themselves."""

    def close(self) -> None:
        self._http.close()

    def send(self, message: Message) -> Outcome:
        """One try."""
        try:
            headers = {"Authorization": f"Bearer {self._access_token()}"}
            answer = self._http.post(self._path, json={"message": _message(message)}, headers=headers)
        except (httpx.HTTPError, msgspec.DecodeError):
            return Outcome(Verdict.AGAIN, "connection_failed")
        if answer.is_success:
            return DELIVERED
        if answer.status_code == 401:
            self._token_until_s = 0.0
        if answer.status_code == 404 and _is_unregistered(answer):
            return Outcome(Verdict.GONE, "device_gone")
        is_later = answer.status_code >= 500 or answer.status_code in _LATER
        return Outcome(Verdict.AGAIN if is_later else Verdict.REFUSED, f"http_{answer.status_code}")

    def _access_token(self) -> str:
        with self._lock:
            if time.time() >= self._token_until_s:
                self._token, life_s = self._fresh_token()
                self._token_until_s = time.time() + life_s - _EARLIER_S
            return self._token

    def _fresh_token(self) -> tuple[str, int]:
        now = int(time.time())
        of = self._account
        claims = {"iss": of.client_email, "scope": SCOPE, "aud": of.token_uri, "iat": now, "exp": now + _ASSERTION_S}
        assertion = jwt.encode({"alg": "RS256"}, claims, self._key)
        answer = self._http.post(of.token_uri, data={"grant_type": GRANT, "assertion": assertion})
        answer.raise_for_status()
        granted = msgspec.json.decode(answer.content, type=_Granted)
        return granted.access_token, granted.expires_in


class _Granted(msgspec.Struct):
    """RFC 6749 §5.1."""

    access_token: str
    expires_in: int


def _is_unregistered(answer: httpx.Response) -> bool:
    """Whether the provider says so of the device: a wrong project or address is 404, too, and no device's fault."""
    try:
        refused = msgspec.json.decode(answer.content, type=_Refused)
    except msgspec.DecodeError:
        return False
    return any(one.error_code == _UNREGISTERED for one in refused.error.details)


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""


class _Error(msgspec.Struct):
    details: list[_Detail] = []


class _Refused(msgspec.Struct):
    """An error of Google's APIs (google.rpc.Status)."""

    error: _Error


def _message(message: Message) -> dict[str, Any]:
    named = message.notice_id
    return {
        "token": message.to.reveal(),
        "notification": {"title": message.text.title, "body": message.text.body},
        "data": {"notice": named},
        "android": {"collapse_key": named, "notification": {"tag": named}},
        "apns": {"headers": {"apns-collapse-id": named}},
    }
