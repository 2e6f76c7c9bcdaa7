"""The token endpoint: `POST /v1/oauth/token` and `POST /v1/auth`, one operation with the answers of RFC 6749 §5."""

from collections.abc import Awaitable, Callable
from typing import Final

from ingest_api.audit_log.witness import Witness
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode
from ingest_api.identity.oauth.clients import Client
from ingest_api.identity.oauth.logins import Granted, LoginRefusal, PasswordLogin
from ingest_api.identity.oauth.requests import asked_scopes, read_request, required
from ingest_api.identity.oauth.shown import TokenAnswer, TokenBody
from ingest_api.identity.tokens import second_factor_required
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services
from runtime.personal_data.personal import Personal
from schemas.tables.security_actions import SecurityAction

_NO_CACHE: Final = [(b"pragma", b"no-cache")]  # §5.1 asks for it beside Cache-Control
_OAUTH_ERRORS: Final = frozenset(
    {
        Fault.INVALID_REQUEST,
        Fault.INVALID_CLIENT,
        Fault.INVALID_GRANT,
        Fault.INVALID_SCOPE,
        Fault.UNSUPPORTED_GRANT_TYPE,
    }
)

Granting = Callable[[Services, Call, TokenBody, Client | None], Awaitable[Granted | LoginRefusal]]


async def grant_token(services: Services, call: Call) -> Answer:
    """A token for what the caller knows or has."""
    try:
        return await _granted(services, call)
    except Problem as problem:
        problem.members |= {"error": _error_of(problem), "error_description": problem.detail}
        raise


def _error_of(problem: Problem) -> str:
    """The word of §5.2 for it; those who read nothing else learn whether it is worth to ask again."""
    if problem.code in _OAUTH_ERRORS:
        return str(problem.code)
    if problem.code is Fault.SECOND_FACTOR_REQUIRED:
        return str(Fault.INVALID_GRANT)
    return "temporarily_unavailable" if problem.status in {429, 503} else str(Fault.INVALID_REQUEST)


async def _granted(services: Services, call: Call) -> Answer:
    request = await read_request(call)
    granting = _GRANTS.get(request.grant_type)
    if granting is None:
        raise Problem(Fault.UNSUPPORTED_GRANT_TYPE, f"grant_type is one of: {', '.join(_GRANTS)}.")
    client = await _client(services, call, request)
    granted = await granting(services, call, request, client)
    if isinstance(granted, LoginRefusal):
        raise _refused(granted)
    return Answer(200, encode(shown_grant(granted)), _NO_CACHE)


async def _client(services: Services, call: Call, request: TokenBody) -> Client | None:
    """The machine that asks, where one says who it is. Raises Problem."""
    if request.client_id is None and request.client_secret is None:
        return None
    client = await services.identity.logins.client(request.client_id or "", request.client_secret or "", call.address)
    if client is None:
        witness = Witness(services.audit, None, call.request_id)
        await witness.saw(SecurityAction.LOGIN_FAILED, None, after={"factor": "client_secret"})
        raise _unknown_client()
    return client


async def _by_password(
    services: Services, call: Call, request: TokenBody, client: Client | None
) -> Granted | LoginRefusal:
    return await services.identity.logins.by_password(
        PasswordLogin(
            Personal(required(request.username, "username")),
            Personal(required(request.password, "password")),
            request.otp,
            asked_scopes(request.scope),
            call.address,
            client.client_id if client is not None else None,
            Witness(services.audit, None, call.request_id),
        )
    )


async def _by_refresh_token(
    services: Services, call: Call, request: TokenBody, client: Client | None
) -> Granted | LoginRefusal:
    token = required(request.refresh_token, "refresh_token")
    client_id = client.client_id if client is not None else None
    witness = Witness(services.audit, client_id, call.request_id)
    return await services.identity.logins.by_refresh_token(token, client_id, asked_scopes(request.scope), witness)


async def _by_client(
    services: Services, call: Call, request: TokenBody, client: Client | None
) -> Granted | LoginRefusal:
    if client is None:
        raise _unknown_client()
    granted = services.identity.logins.by_client(client, asked_scopes(request.scope))
    if isinstance(granted, Granted):
        witness = Witness(services.audit, client.client_id, call.request_id)
        await witness.saw(SecurityAction.LOGIN_SUCCEEDED, None, after={"client": client.client_id})
    return granted


_GRANTS: Final[dict[str, Granting]] = {
    "password": _by_password,
    "refresh_token": _by_refresh_token,
    "client_credentials": _by_client,
}
GRANT_TYPES: Final = list(_GRANTS)


def _refused(refusal: LoginRefusal) -> Problem:
    if refusal is LoginRefusal.SECOND_FACTOR_NEEDED:
        return second_factor_required(detail="Send the code of your app, or a recovery code, as otp.")
    if refusal is LoginRefusal.SCOPE:
        return Problem(Fault.INVALID_SCOPE, "None of these scopes is one that you can have.")
    return Problem(Fault.INVALID_GRANT, "No user has these credentials, or the refresh token is not valid any more.")


def _unknown_client() -> Problem:
    challenge = {"WWW-Authenticate": 'Basic realm="millrace", charset="UTF-8"'}
    return Problem(Fault.INVALID_CLIENT, "No client has this id and this secret.", headers=challenge)


def shown_grant(granted: Granted) -> TokenAnswer:
    """RFC 6749 §5.1."""
    return TokenAnswer(
        access_token=granted.access_token,
        token_type="Bearer",
        expires_in=granted.expires_in_s,
        scope=" ".join(sorted(granted.scopes)),
        refresh_token=granted.refresh_token,
    )
