"""The user's own second factor: enrol, confirm, disable, fresh recovery codes; and the step-up of a session."""

from typing import Any

from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe_at_once
from ingest_api.http.resources import encode
from ingest_api.http.serving import respond
from ingest_api.identity.caller import (
    admit_user,
    guessing,
    require_code,
    require_password,
    session_behind,
    witness_of,
)
from ingest_api.identity.oauth.granting import shown_grant
from ingest_api.identity.oauth.shown import TokenAnswer
from ingest_api.identity.second_factor.shown import (
    CodeBody,
    EnrolBody,
    EnrolmentResource,
    RecoveryCodes,
    SecondFactorState,
)
from ingest_api.identity.tokens import Scope, session_ended
from ingest_api.identity.users.user import Field
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services

router = APIRouter(tags=["login"])


async def enrol(services: Services, call: Call) -> Answer:
    """A fresh secret."""
    principal, user, body = await admit_user(services, call, EnrolBody)
    await require_password(services, call, user, body.password)
    username = (await services.identity.users.values(user.user, Field.USERNAME))[Field.USERNAME]
    made = await services.identity.factors.enrol(user.user, username, witness_of(services, call, principal))
    if made is None:
        raise Problem(Fault.SECOND_FACTOR_STANDS, "You have a second factor: disable it first.")
    return Answer(200, encode(EnrolmentResource(made.secret.reveal(), made.uri)))


async def confirm(services: Services, call: Call) -> Answer:
    """The app shows the right codes: from now on every login needs one."""
    principal, user, body = await admit_user(services, call, CodeBody)
    async with guessing(services, call, user, "code"):
        codes = await services.identity.factors.confirm(user.user, body.otp, witness_of(services, call, principal))
        if codes is None:
            detail = "The code is wrong, or nothing waits to be confirmed: enrol first."
            raise Problem(Fault.SECOND_FACTOR_INVALID, detail)
    return Answer(200, encode(RecoveryCodes(codes)))


async def disable(services: Services, call: Call) -> Answer:
    """Logins need the password alone."""
    principal, user, body = await admit_user(services, call, CodeBody)
    await require_code(services, call, user, body.otp)
    await services.identity.factors.disable(user.user, witness_of(services, call, principal))
    return Answer(200, encode(SecondFactorState(enabled=False)))


async def replace_recovery_codes(services: Services, call: Call) -> Answer:
    """Those of before are good for nothing."""
    principal, user, body = await admit_user(services, call, CodeBody)
    await require_code(services, call, user, body.otp)
    witness = witness_of(services, call, principal)
    return Answer(
        200, encode(RecoveryCodes(await services.identity.factors.replace_recovery_codes(user.user, witness)))
    )


async def step_up(services: Services, call: Call) -> Answer:
    """A token of the same session that has just given a second factor."""
    principal, user, body = await admit_user(services, call, CodeBody)
    session_id = session_behind(principal)
    await require_code(services, call, user, body.otp)
    session = await services.identity.sessions.give_second_factor(session_id, witness_of(services, call, principal))
    if session is None:
        raise session_ended()
    return Answer(200, encode(shown_grant(services.identity.logins.token(session, user))))


def _described(summary: str, body: type, result: type) -> dict[str, Any]:
    return describe_at_once(summary, Scope.USERS_WRITE, result, body, problems=(409,))


@router.post("/auth/totp/enrol", **_described("Begin to use an app for codes", EnrolBody, EnrolmentResource))
async def post_enrol(request: Request) -> Response:
    """Time-based codes (RFC 6238: SHA-1, 6 digits, 30 s). Needs the password; the secret is shown once."""
    return await respond(request, enrol)


@router.post("/auth/totp/confirm", **_described("Confirm the app by a code", CodeBody, RecoveryCodes))
async def post_confirm(request: Request) -> Response:
    """From now on every login needs a code. Answers ten recovery codes, once."""
    return await respond(request, confirm)


@router.post("/auth/totp/disable", **_described("Give the second factor up", CodeBody, SecondFactorState))
async def post_disable(request: Request) -> Response:
    """Needs a code of the app, or a recovery code."""
    return await respond(request, disable)


@router.post("/auth/totp/recovery-codes", **_described("Fresh recovery codes", CodeBody, RecoveryCodes))
async def post_recovery_codes(request: Request) -> Response:
    """Those of before are good for nothing."""
    return await respond(request, replace_recovery_codes)


@router.post("/auth/step-up", **_described("Give a second factor in a session", CodeBody, TokenAnswer))
async def post_step_up(request: Request) -> Response:
    """Answers an access token with which actions are possible that were refused with `second_factor_required`."""
    return await respond(request, step_up)
