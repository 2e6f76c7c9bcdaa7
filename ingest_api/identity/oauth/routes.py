"""The routes by which everybody gets tokens, and what is published for those who verify them."""

import time
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import problem_answer, reference_to, request_body
from ingest_api.http.resources import encode
from ingest_api.http.serving import respond
from ingest_api.identity.keys import public_keys
from ingest_api.identity.oauth.generating import generate_token
from ingest_api.identity.oauth.granting import GRANT_TYPES, grant_token
from ingest_api.identity.oauth.requests import FORM_MEDIA
from ingest_api.identity.oauth.shown import (
    AccountTokenResource,
    GenerateTokenBody,
    JsonWebKeySet,
    OAuthProblemBody,
    ServerMetadata,
    TokenAnswer,
    TokenBody,
)
from ingest_api.identity.tokens import ALL_SCOPES, SECOND_FACTOR_ACR
from ingest_api.services import Services

router = APIRouter(tags=["login"])
published = APIRouter(tags=["login"])
"""At the root alone: RFC 8615."""

_JWKS_PATH: Final = "/.well-known/jwks.json"
_KEPT: Final = [(b"cache-control", b"public, max-age=300")]
"""Half of the time for which a new key is published before it signs."""

_PROBLEMS: Final = (400, 401, 413, 415, 422, 429, 500, 503)


def _described(summary: str, body: type, result: type) -> dict[str, Any]:
    """For everybody: who calls is told by the body."""
    return {
        "summary": summary,
        "response_model": None,
        "responses": {200: _good(result)} | {status: problem_answer(status) for status in _PROBLEMS},
        "openapi_extra": {"security": [], "requestBody": request_body("application/json", reference_to(body))},
    }


def _good(result: type) -> dict[str, Any]:
    return {"description": "Done", "content": {"application/json": {"schema": reference_to(result)}}}


def _described_token(summary: str) -> dict[str, Any]:
    described = _described(summary, TokenBody, TokenAnswer)
    described["openapi_extra"]["requestBody"]["content"][FORM_MEDIA] = {"schema": reference_to(TokenBody)}
    for status in _PROBLEMS:
        content = described["responses"][status]["content"]["application/problem+json"]
        content["schema"] = reference_to(OAuthProblemBody)
    return described


def _described_generating(summary: str) -> dict[str, Any]:
    described = _described(summary, GenerateTokenBody, AccountTokenResource)
    described["responses"] |= {status: problem_answer(status) for status in (403, 404)}
    return described


def _described_published(summary: str, result: type) -> dict[str, Any]:
    return {"summary": summary, "response_model": None, "responses": {200: _good(result)}}


@router.post("/oauth/token", **_described_token("Get a token (OAuth 2)"))
async def post_oauth_token(request: Request) -> Response:
    """Grant types password (with otp), refresh_token and client_credentials of RFC 6749, as form or JSON. A refresh
    token is exchanged once: whoever sends it again ends the session.
    """
    return await respond(request, grant_token)


@router.post("/auth", **_described_token("Log in"))
async def post_auth(request: Request) -> Response:
    """The same operation as POST /v1/oauth/token."""
    return await respond(request, grant_token)


@router.post("/generate_token/{account_id}", **_described_generating("Get a token by an account of the user"))
async def post_generate_token(request: Request, account_id: str) -> Response:
    """By user name and password (and otp), or by refresh token; the account is one that the user owns."""
    return await respond(request, lambda services, call: generate_token(services, call, account_id, keep_valid=False))


@router.put("/generate_token/{account_id}", **_described_generating("Get the token by an account that is still valid"))
async def put_generate_token(request: Request, account_id: str) -> Response:
    """As POST; while the last token by this account has 30 s left, it is answered again, with its expiry."""
    return await respond(request, lambda services, call: generate_token(services, call, account_id, keep_valid=True))


@published.get(_JWKS_PATH, **_described_published("Keys that tokens are verified with", JsonWebKeySet))
async def get_keys(request: Request) -> Response:
    """The newest first; one that was replaced stays until its last token has expired."""

    async def operation(services: Services, _: Call) -> Answer:
        return Answer(200, encode(public_keys(services.identity.keys.ring(), time.time())), _KEPT)

    return await respond(request, operation)


@published.get(
    "/.well-known/oauth-authorization-server", **_described_published("What the token endpoint offers", ServerMetadata)
)
async def get_metadata(request: Request) -> Response:
    """RFC 8414. Under the public address where one is set, else under the host that the caller names."""

    async def operation(services: Services, _: Call) -> Answer:
        base = (services.settings.api_public_url or str(request.base_url)).rstrip("/")
        metadata = ServerMetadata(
            issuer=services.settings.api_token_issuer,
            token_endpoint=f"{base}/v1/oauth/token",
            jwks_uri=f"{base}{_JWKS_PATH}",
            grant_types_supported=GRANT_TYPES,
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            scopes_supported=list(ALL_SCOPES),
            response_types_supported=[],
            acr_values_supported=[SECOND_FACTOR_ACR],
        )
        return Answer(200, encode(metadata), _KEPT)

    return await respond(request, operation)
