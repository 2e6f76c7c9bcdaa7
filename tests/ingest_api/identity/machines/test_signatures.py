"""Goal: a signed request is taken once, and only as it was signed, with the key and the algorithm that were registered.

Method: the vectors of RFC 9421 appendix B; then calls signed by the library's own signer, and each way to change them.
"""

import base64
import datetime as dt
import secrets
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519, HMAC_SHA256
from joserfc.jwk import ECKey, OKPKey

from ingest_api.identity.machines.key import Algorithm
from ingest_api.identity.machines.signatures import (
    AGE_MAX,
    HeaderLines,
    Message,
    SignatureRefused,
    _Verifier,
    key_id_of,
    verified,
)
from tests.ingest_api.owners.world import World

SECRET = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
ED25519_PEM = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
P256_PEM = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""
REQUEST = {
    "Host": "example.com",
    "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512="
    ":WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    "Content-Length": "18",
}
RESPONSE = {
    "Content-Type": "application/json",
    "Content-Digest": "sha-512="
    ":mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
    "Content-Length": "23",
}


class Vector(NamedTuple):
    """RFC 9421 appendix B.2.4 to B.2.6."""

    algorithm: type[HTTPSignatureAlgorithm]
    key: bytes
    covered: str
    key_id: str
    signature: str
    is_response: bool = False

    def message(self, **changes: str) -> Any:
        sent = RESPONSE if self.is_response else REQUEST
        signed = {"Signature-Input": f'sig=({self.covered});created=1618884473;keyid="{self.key_id}"'}
        headers = sent | signed | {"Signature": f"sig=:{self.signature}:"} | changes
        if self.is_response:
            return SimpleNamespace(headers=headers, status_code=200)
        return SimpleNamespace(headers=headers, method="POST", url="https://example.com/foo?param=Value&Pet=dog")


VECTORS = {
    "B.2.4": Vector(
        ECDSA_P256_SHA256,
        P256_PEM,
        '"@status" "content-type" "content-digest" "content-length"',
        "test-key-ecc-p256",
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
        is_response=True,
    ),
    "B.2.5": Vector(
        HMAC_SHA256,
        SECRET,
        '"date" "@authority" "content-type"',
        "test-shared-secret",
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    ),
    "B.2.6": Vector(
        ED25519,
        ED25519_PEM,
        '"date" "@method" "@path" "@authority" "content-type" "content-length"',
        "test-key-ed25519",
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_standard_verify_and_no_change_of_them_does(name: str) -> None:
    vector = VECTORS[name]
    keys = MappingKeyResolver(public_keys={vector.key_id: vector.key}, private_keys={})
    verifier = _Verifier(signature_algorithm=vector.algorithm, key_resolver=keys)
    (result,) = verifier.verify(vector.message(), max_age=None)
    assert result.parameters["keyid"] == vector.key_id
    with pytest.raises(InvalidSignature):
        verifier.verify(vector.message(**{"Content-Type": "application/xml"}), max_age=None)
    with pytest.raises(InvalidSignature, match="age"):
        verifier.verify(vector.message(), max_age=AGE_MAX)


class Signer(NamedTuple):
    """A machine with a key of its own, registered by Anna."""

    key_id: str
    algorithm: type[HTTPSignatureAlgorithm]
    private: Any

    def signed(
        self,
        body: bytes = b"",
        covered: tuple[str, ...] = ("@method", "@target-uri"),
        created: dt.datetime | None = None,
        nonce: str | None = None,
    ) -> httpx.Request:
        request = httpx.Request("POST", "http://api/v1/accounts", content=body, headers={"Idempotency-Key": "k"})
        if body:
            request.headers["Content-Type"] = "application/json"
        message = SimpleNamespace(method="POST", url=str(request.url), headers=dict(request.headers))
        resolver = MappingKeyResolver(public_keys={}, private_keys={self.key_id: self.private})
        signer = HTTPMessageSigner(signature_algorithm=self.algorithm, key_resolver=resolver)
        if body:
            covered = (*covered, "content-digest")
        signer.sign(
            message,
            key_id=self.key_id,
            covered_component_ids=covered,
            created=created or dt.datetime.now(dt.UTC),
            nonce=secrets.token_hex(8) if nonce is None else nonce,
            body=body or None,
        )
        return httpx.Request("POST", request.url, content=body, headers=message.headers)


BODY = b'{"currency":"EUR"}'
KINDS = ("hmac-sha256", "ecdsa-p256-sha256", "ed25519")


async def signer_of(world: World, kind: str = "ed25519") -> Signer:
    fields: dict[str, Any] = {"name": "till", "scopes": ["accounts:write"], "algorithm": kind}
    private = None if kind == "hmac-sha256" else ECKey.generate_key() if "ecdsa" in kind else OKPKey.generate_key()
    if private is not None:
        fields["public_key"] = private.as_dict(private=False)
    key = (await world.anna("POST", "/v1/api-keys", fields)).json()
    algorithm = {"hmac-sha256": HMAC_SHA256, "ecdsa-p256-sha256": ECDSA_P256_SHA256, "ed25519": ED25519}[kind]
    secret = base64.b64decode(key["secret"]) if private is None else private.as_pem(private=True)
    return Signer(key["id"], algorithm, secret)


async def refusal(world: World, request: httpx.Request) -> str:
    answer = await world._http.send(request)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid"), answer.text
    detail: str = answer.json()["detail"]
    return detail


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signed_request_is_taken_and_replayed_it_is_refused(world: World, kind: str) -> None:
    signer = await signer_of(world, kind)
    request = signer.signed(BODY)
    answer = await world._http.send(request)
    assert answer.status_code == 201, answer.text
    assert "came before" in await refusal(world, request)
    again = signer.signed(BODY, covered=("@method", "@path", "@query", "idempotency-key"))
    assert (await world._http.send(again)).headers["Idempotency-Replayed"] == "true"
    rows = world.rows("SELECT DISTINCT credential FROM audit_entries WHERE action = 'POST /v1/accounts'")
    assert rows == [{"credential": signer.key_id}]


async def test_a_replay_to_another_process_is_refused(world: World, settings: Any) -> None:
    signer = await signer_of(world)
    request = signer.signed(BODY)
    assert (await world._http.send(request)).status_code == 201
    world.services.machines.known.forget()
    [row] = world.rows(
        "SELECT count(*) AS kept, min(expires_at) > now() + interval '4 min' AS long FROM api_key_nonces"
    )
    assert row == {"kept": 1, "long": True}, "what refuses it is in Postgres, where every process looks"


CHANGED: dict[str, tuple[Callable[[Signer], httpx.Request], str]] = {
    "method not signed": (lambda by: by.signed(BODY, ("@target-uri",)), "@method"),
    "query not signed": (lambda by: by.signed(BODY, ("@method", "@path")), "@target-uri"),
    "another host": (lambda by: _changed(by.signed(BODY), "Host", "elsewhere"), "does not fit"),
    "too old": (lambda by: by.signed(BODY, created=dt.datetime.now(dt.UTC) - AGE_MAX - dt.timedelta(seconds=9)), "age"),
    "of the future": (lambda by: by.signed(BODY, created=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)), "future"),
    "an empty nonce": (lambda by: by.signed(BODY, nonce=""), "nonce"),
    "a long nonce": (lambda by: by.signed(BODY, nonce="n" * 129), "nonce"),
    "another content": (lambda by: _with_body(by.signed(BODY), BODY + b" "), ""),
    "content without a digest": (lambda by: _with_body(by.signed(), BODY), "Content-Digest"),
    "another algorithm": (lambda by: by._replace(algorithm=HMAC_SHA256, private=b"public").signed(BODY), ""),
    "no signature": (lambda by: _without(by.signed(BODY), "Signature"), ""),
    "nonsense": (lambda by: _changed(by.signed(BODY), "Signature-Input", "nonsense"), "keyid"),
}


def _with_body(request: httpx.Request, body: bytes) -> httpx.Request:
    headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
    return httpx.Request("POST", request.url, content=body, headers=headers)


def _changed(request: httpx.Request, name: str, value: str) -> httpx.Request:
    request.headers[name] = value
    return request


def _without(request: httpx.Request, name: str) -> httpx.Request:
    del request.headers[name]
    return request


@pytest.mark.parametrize("name", CHANGED)
async def test_what_is_not_as_it_was_signed_is_refused(world: World, name: str) -> None:
    change, why = CHANGED[name]
    assert why in await refusal(world, change(await signer_of(world)))


async def test_a_revoked_or_unknown_key_signs_nothing(world: World) -> None:
    signer = await signer_of(world)
    await world.anna("DELETE", f"/v1/api-keys/{signer.key_id}")
    for each in (signer, signer._replace(key_id="key_01jd5v2q7xf8k8v6n3m4p5r6st"), signer._replace(key_id="x")):
        answer = await world._http.send(each.signed(BODY))
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_a_bearer_key_signs_nothing(world: World) -> None:
    key = (await world.anna("POST", "/v1/api-keys", {"name": "x", "scopes": ["accounts:write"]})).json()
    forged = Signer(key["id"], HMAC_SHA256, b"")
    assert (await world._http.send(forged._replace(private=b"x").signed(BODY))).status_code == 401


@pytest.mark.parametrize(
    "jwk",
    [None, {}, {"kty": "OKP", "crv": "Ed25519"}, ECKey.generate_key().as_dict()],
    ids=["none", "empty", "cut", "another"],
)
async def test_what_is_no_public_key_is_422(world: World, jwk: dict[str, Any] | None) -> None:
    fields = {"name": "x", "scopes": ["accounts:write"], "algorithm": "ed25519", "public_key": jwk}
    answer = await world.anna("POST", "/v1/api-keys", fields)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/public_key")


@pytest.mark.parametrize(
    "text", ["", "a=1", "a=();keyid=1", 'a=();keyid="k", b=();keyid="k"', "a=()", "a" * 5_000], ids=range(6)
)
def test_a_signature_input_names_one_key(text: str) -> None:
    with pytest.raises(SignatureRefused):
        key_id_of(text)


def test_whatever_comes_is_refused_in_words() -> None:
    for text in (secrets.token_bytes(40).decode("latin-1") for _ in range(200)):
        headers = HeaderLines([(b"signature-input", text.encode("latin-1")), (b"signature", text.encode("latin-1"))])
        with pytest.raises(SignatureRefused):
            verified(Message("POST", "http://api/", headers), Algorithm.ED25519, "k", ED25519_PEM)
