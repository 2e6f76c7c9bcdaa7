"""One request and its answer: authentication, the idempotency key, the operation, and the fault that was asked for.

Guarantees: same key and parameters → the same answer, with `Idempotent-Replayed`; other parameters → 400; two at once →
409. What was done and what the key remembers commit together.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from connectors.sandbox import forms, lists
from connectors.sandbox.account import StripeAccount
from connectors.sandbox.faults import Faults, NothingDone, through
from connectors.sandbox.refusal import JsonObject, Refused, in_use, internal, invalid, other_parameters, rate_limited
from connectors.sandbox.store import SavedAnswer

Operation = Callable[[StripeAccount, JsonObject], JsonObject]

KEY_LIFETIME_S: Final = 86_400
MAX_KEY_CHARS: Final = 255

_EVERYWHERE: Final = frozenset({"expand"})


class Endpoint(NamedTuple):
    """One route: what it does and which parameters it knows."""

    operation: Operation
    params: frozenset[str]


class Call(NamedTuple):
    """A request, read."""

    method: str
    path: str
    params: JsonObject
    fingerprint: str
    key: str
    address: str


class Exchange:
    """Serves the requests of one account."""

    def __init__(self, account: StripeAccount, faults: Faults, reset: Callable[[Request], None]) -> None:
        self._account = account
        self._faults = faults
        self._reset = reset
        self._busy: set[str] = set()

    async def answer(self, request: Request, endpoint: Endpoint) -> Response:
        try:
            call = await _read(request)
            _authenticate(request)
            if not call.key:
                return await self._faulty(request, call, endpoint)
            if call.key in self._busy:
                raise in_use(call.key)
            self._busy.add(call.key)
            try:
                return await self._faulty(request, call, endpoint)
            finally:
                self._busy.discard(call.key)
        except Refused as refused:
            return _response(refused.status, json.dumps(refused.body))

    async def _faulty(self, request: Request, call: Call, endpoint: Endpoint) -> Response:
        fault = self._faults.take(call.method, call.path)
        if fault is None:
            return self._done(call, endpoint, is_failing=False)
        try:
            return await through(
                fault, request, self._reset, lambda is_failing: self._done(call, endpoint, is_failing=is_failing)
            )
        except NothingDone as nothing:
            if nothing.status == 429:
                raise rate_limited() from nothing
            raise Refused(503, None, "Service unavailable.", error_type="api_error", is_saved=False) from nothing

    def _done(self, call: Call, endpoint: Endpoint, *, is_failing: bool) -> Response:
        """In one transaction of the store: nothing of it is there, or all."""
        with self._account.store.transaction():
            saved = self._saved(call)
            if saved is not None:
                return _response(saved.status, saved.body, ("Idempotent-Replayed", "true"))
            status, body, is_saved = self._run(call, endpoint)
            if is_failing:
                status, body, is_saved = internal().status, internal().body, True
            text = json.dumps(body)
            if call.key and is_saved:
                answer = SavedAnswer(call.fingerprint, status, text, self._account.now_s)
                self._account.store.save_answer(call.key, answer)
            return _response(status, text)

    def _saved(self, call: Call) -> SavedAnswer | None:
        """What the key remembers. Raises Refused where it was used with other parameters."""
        saved = self._account.store.answer_to(call.key) if call.key else None
        if saved is None or self._account.now_s - saved.created_s >= KEY_LIFETIME_S:
            return None
        if saved.fingerprint != call.fingerprint:
            raise other_parameters(call.key)
        return saved

    def _run(self, call: Call, endpoint: Endpoint) -> tuple[int, JsonObject, bool]:
        params = dict(call.params)
        self._account.address = call.address
        try:
            forms.refuse_unknown(params, endpoint.params | _EVERYWHERE | {"id"})
            body = endpoint.operation(self._account, params)
            return 200, lists.expanded(self._account, body, params.get("expand", [])), True
        except Refused as refused:
            return refused.status, refused.body, refused.is_saved


async def _read(request: Request) -> Call:
    """Raises Refused for a key that is too long."""
    text = (await request.body()).decode() if request.method == "POST" else request.url.query
    key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
    if len(key) > MAX_KEY_CHARS:
        raise invalid("Idempotency-Key", "parameter_invalid_string", f"At most {MAX_KEY_CHARS} characters.")
    pairs = parse_qsl(text, keep_blank_values=True)
    params = forms.decoded(pairs) | dict(request.path_params)
    named = json.dumps([request.method, request.url.path, sorted(pairs)])
    return Call(
        request.method, request.url.path, params, hashlib.sha256(named.encode()).hexdigest(), key, str(request.base_url)
    )


def _authenticate(request: Request) -> None:
    """Any test key is the account's, as a bearer token or as the user of Basic (`curl -u`). Raises Refused."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    key = _user(given) if scheme.lower() == "basic" else given if scheme.lower() == "bearer" else ""
    if not key.startswith("sk_test_"):
        raise Refused(401, None, "Invalid API Key provided. The sandbox takes any that begins with sk_test_.")


def _user(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode("latin-1").partition(":")[0]
    except ValueError:
        return ""


def _response(status: int, body: str, *headers: tuple[str, str]) -> Response:
    named = {"Request-Id": f"req_{secrets.token_hex(7)}", **dict(headers)}
    return Response(body, status, named, media_type="application/json")
