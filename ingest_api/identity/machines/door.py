"""The door: a call with an API key, signed by one, or with a token of another issuer goes on with a token of ours.

Reads Authorization (`Bearer mk_…`, or Basic with the key as the user) and Signature-Input; writes the token in the
place of the key, and the key's id into the ASGI scope. Whatever has another token passes at the cost of a look at its
first letters. Guarantees: a key that was revoked lets nobody in after a second; a signed request is let in once.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ingest_api.audit_log.calls import CREDENTIAL
from ingest_api.audit_log.witness import Witness
from ingest_api.http.call import Call, Receive, Send, send_answer
from ingest_api.http.serving import Application, answered
from ingest_api.identity.directories.foreign import ForeignTokens
from ingest_api.identity.keys import SigningKeys
from ingest_api.identity.machines.key import KEY, Algorithm, ApiKey, prefix_of
from ingest_api.identity.machines.machines import Machines
from ingest_api.identity.machines.signatures import (
    HeaderLines,
    Message,
    SignatureRefused,
    key_id_of,
    require_content,
    verified,
)
from ingest_api.identity.tokens import Grant, signed_token
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services
from payments.identifiers import format_id
from runtime.settings import Settings

_TOKEN_S: Final = 60
"""Life of the token that stands for a key inside the process; it is made again after half of that."""

_TOKENS_MAX: Final = 10_000
SIGNED_BODY_BYTES_MAX: Final = 8 * 1024 * 1024
"""As the largest batch: its digest is compared before anything of it is done."""

_TOKEN: Final = b"Bearer ey"
"""So begins every JWT."""

_BEARER_KEY: Final = b"bearer mk_"
_BASIC: Final = b"basic "
_BASIC_KEY: Final = b"bWtf"
"""mk_ in base64: a user name that is a key. Any other Basic header is the token endpoint's (RFC 6749 §2.3.1)."""


class Shown(NamedTuple):
    """What a call comes with."""

    authorization: bytes | None
    signature_input: bytes | None

    @property
    def is_machines(self) -> bool:
        """Not a bearer token of ours."""
        if self.authorization is None:
            return self.signature_input is not None
        start = self.authorization[:10].lower()
        return start == _BEARER_KEY or (start.startswith(_BASIC) and self.authorization[6:10] == _BASIC_KEY)


class MachineDoor:
    """The outermost ASGI application."""

    def __init__(self, app: Application, services: Services) -> None:
        self._app = app
        self._services = services
        self._machines: Machines = services.machines
        self._tokens = _Tokens(services.settings)
        self._foreign = ForeignTokens(services.settings, services.identity.users)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_ours(scope["headers"]):
            await self._app(scope, receive, send)
            return
        shown = _shown(scope["headers"])
        call = Call.of(scope, receive)
        entry = _Entry(scope, receive)

        async def enter(services: Services, call: Call) -> Any:
            await self._enter(entry, shown, Witness(services.audit, None, call.request_id))

        refusal = await answered(self._services, enter, call)
        if refusal is not None:
            await send_answer(send, refusal, call.request_id)
            return
        await self._app(entry.scope, entry.receive, send)

    def _is_ours(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Nothing for this door: 0.4 µs for a call with a token of ours."""
        for name, value in headers:
            if name == b"authorization" and value.startswith(_TOKEN) and not self._foreign.has_issuers:
                return True
        shown = _shown(headers)
        is_foreign = shown.authorization is not None and self._foreign.issuer_of(shown.authorization) is not None
        return not (shown.is_machines or is_foreign)

    async def _enter(self, entry: "_Entry", shown: Shown, witness: Witness) -> None:
        """Raises Problem, DatabaseUnavailable."""
        issuer = self._foreign.issuer_of(shown.authorization) if shown.authorization is not None else None
        if issuer is not None:
            assert shown.authorization is not None
            theirs = shown.authorization[7:].decode("latin-1")
            entry.go_on_as(None, await self._foreign.exchanged(issuer, theirs, witness))
            return
        if shown.authorization is not None:
            key = await self._by_text(shown.authorization)
        else:
            assert shown.signature_input is not None
            key = await self._by_signature(entry, shown.signature_input.decode("latin-1"))
        address = entry.scope["client"][0] if entry.scope.get("client") else None
        if not key.is_allowed_from(address):
            raise Problem(Fault.NETWORK_REFUSED, "The API key is not allowed from the address of this call.")
        entry.go_on_as(format_id(KEY, key.key_id), self._tokens.of(key))

    async def _by_text(self, authorization: bytes) -> ApiKey:
        text = _key_text(authorization)
        prefix = prefix_of(text)
        key = await self._machines.known.by_prefix(prefix) if prefix is not None else None
        if key is None or not key.is_secret(text):
            raise _unknown_key()
        return key

    async def _by_signature(self, entry: "_Entry", signature_input: str) -> ApiKey:
        try:
            key_id = key_id_of(signature_input)
            key = await self._machines.known.by_id(key_id)
            if key is None or key.algorithm is Algorithm.BEARER:
                raise _unknown_key()
            await self._require_signature(entry, key, key_id)
        except SignatureRefused as refused:
            raise _signature_invalid(str(refused)) from refused
        return key

    async def _require_signature(self, entry: "_Entry", key: ApiKey, key_id: str) -> None:
        message = _message(entry.scope, self._services.settings.api_public_url)
        signed = verified(message, key.algorithm, key_id, self._machines.verification_key(key))
        require_content(message, key.algorithm, signed, await entry.whole_body())
        if not await self._machines.nonces.use(key.key_id, signed):
            raise SignatureRefused("A request with this nonce came before: sign each one anew")


class _Entry:
    """A call on its way in: as it came, then as it goes on."""

    def __init__(self, scope: Any, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive

    async def whole_body(self) -> bytes:
        """The content, which is there for the operation, too. Raises BodyTooLarge, Disconnected."""
        body = await Call.of(self.scope, self.receive).body(SIGNED_BODY_BYTES_MAX)
        first, later = True, self.receive

        async def again() -> Any:
            nonlocal first
            if not first:
                return await later()
            first = False
            return {"type": "http.request", "body": body, "more_body": False}

        self.receive = again
        return body

    def go_on_as(self, key_id: str | None, token: str) -> None:
        headers = [line for line in self.scope["headers"] if line[0] != b"authorization"]
        headers.append((b"authorization", b"Bearer " + token.encode("ascii")))
        self.scope = self.scope | {"headers": headers, CREDENTIAL: key_id}


class _Tokens:
    """A token for each key that is in use, so that whatever asks for one finds it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = SigningKeys.of(settings)
        self._made: OrderedDict[tuple[bytes, frozenset[str]], tuple[str, datetime]] = OrderedDict()

    def of(self, key: ApiKey) -> str:
        now, which = datetime.now(UTC), (key.key_id, key.scopes)
        made = self._made.get(which)
        if made is not None and (now - made[1]).total_seconds() < _TOKEN_S / 2:
            return made[0]
        token = signed_token(self._settings, self._keys, Grant(key.subject, sorted(key.scopes)), _TOKEN_S)
        self._made.pop(which, None)
        self._made[which] = token, now
        if len(self._made) > _TOKENS_MAX:
            self._made.popitem(last=False)
        return token


def _shown(headers: Sequence[tuple[bytes, bytes]]) -> Shown:
    signature_input = None
    for name, value in headers:
        if name == b"authorization":
            return Shown(value, None)
        if name == b"signature-input":
            signature_input = value
    return Shown(None, signature_input)


def _key_text(authorization: bytes) -> str:
    kind, _, shown = authorization.partition(b" ")
    if kind.lower() == b"bearer":
        return shown.decode("latin-1")
    try:
        return base64.b64decode(shown, validate=True).decode("latin-1").partition(":")[0]
    except binascii.Error:
        return ""


def _message(scope: Any, public_url: str) -> Message:
    """The request as the caller sees it: behind a gateway its scheme and host are those of the public address."""
    headers = HeaderLines(scope["headers"])
    host = next((value for name, value in headers.items() if name == "host"), "")
    origin = public_url.rstrip("/") or f"{scope.get('scheme', 'http')}://{host}"
    path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else quote(scope["path"])
    query = f"?{scope['query_string'].decode('latin-1')}" if scope.get("query_string") else ""
    return Message(scope["method"], f"{origin}{path.partition('?')[0]}{query}", headers)


def _unknown_key() -> Problem:
    return _refused(Fault.TOKEN_INVALID, "The API key is not known, expired or revoked.", "invalid_token")


def _signature_invalid(why: str) -> Problem:
    return _refused(Fault.SIGNATURE_INVALID, f"The signature of the request is not taken: {why}", "invalid_signature")


def _refused(code: Fault, detail: str, error: str) -> Problem:
    return Problem(code, detail, headers={"WWW-Authenticate": f'Bearer realm="millrace", error="{error}"'})
