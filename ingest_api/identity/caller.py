"""The user behind a call to the routes of the user's own login, and the checks before something sensitive."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingest_api.audit_log.witness import Witness
from ingest_api.http.bodies import Body, decoded
from ingest_api.http.call import Call
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope, session_ended
from ingest_api.identity.users.user import Field, User
from ingest_api.owners.rights import user_of
from ingest_api.problems import Fault, Problem
from ingest_api.services import Services
from runtime.personal_data.personal import Personal


async def admit_user(services: Services, call: Call, kind: type[Body]) -> tuple[Principal, User, Body]:
    """The caller as a user who is there, and the body. Raises Problem, DatabaseUnavailable."""
    principal = admit(services, call, Scope.USERS_WRITE, JSON_MEDIA, 1)
    body = decoded(kind, await call.body(BODY_BYTES_MAX))
    return principal, await user_behind(services, principal), body


async def user_behind(services: Services, principal: Principal) -> User:
    """Raises Problem where the token speaks for a machine, or for a user who may not log in any more."""
    id_ = user_of(principal)
    user = await services.identity.users.find(id_) if id_ is not None else None
    if user is None or not user.is_active:
        raise Problem(Fault.USER_UNKNOWN, "The token speaks for no user, or for one who may not log in.")
    return user


def witness_of(services: Services, call: Call, principal: Principal) -> Witness:
    """For what the caller changes by this call."""
    return Witness(services.audit, principal.subject, call.request_id)


def session_behind(principal: Principal) -> bytes:
    """Raises Problem for a token that was made on the spot."""
    if principal.session is None:
        raise session_ended()
    return principal.session


async def require_password(services: Services, call: Call, user: User, password: str) -> None:
    """It is the user who sits there, not somebody who found the screen. Raises Problem, DatabaseUnavailable."""
    identity = services.identity
    async with guessing(services, call, user, "user"):
        username = (await identity.users.values(user.user, Field.USERNAME)).get(Field.USERNAME)
        witness = Witness(services.audit, None, call.request_id)
        found = (
            await identity.passwords.authenticate(username, Personal(password), witness)
            if username is not None
            else None
        )
        if found is None or found.user != user.user:
            raise credentials_invalid("This is not your password.")


async def require_code(services: Services, call: Call, user: User, otp: str) -> None:
    """A code of the second factor, which is not taken again. Raises Problem, DatabaseUnavailable."""
    if not await services.identity.factors.stands(user.user):
        raise Problem(Fault.SECOND_FACTOR_STANDS, "You have no second factor yet: begin at POST /v1/auth/totp/enrol.")
    async with guessing(services, call, user, "code"):
        if not await services.identity.factors.take(user.user, otp):
            raise Problem(
                Fault.SECOND_FACTOR_INVALID, "The code is wrong, of another time, or was used: take the next one."
            )


@asynccontextmanager
async def guessing(services: Services, call: Call, user: User, kind: str) -> AsyncIterator[None]:
    """What is guessed at within: counted before, forgotten where it ends well. Passwords and codes apart, so that who
    knows the one has no more guesses at the other. Raises Problem, DatabaseUnavailable.
    """
    throttle = services.identity.throttle
    name, address = throttle.name(kind, user.user.hex()), throttle.address(call.address)
    await throttle.count(name, address)
    yield
    await throttle.forget(name, address)


def credentials_invalid(detail: str) -> Problem:
    """401: what was sent does not show who it is."""
    return Problem(Fault.CREDENTIALS_INVALID, detail, headers={"WWW-Authenticate": 'Bearer realm="millrace"'})
