"""The user's own sessions and password. Another user's session is one that does not exist."""

from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe, describe_at_once
from ingest_api.http.resources import encode
from ingest_api.http.serving import admit_bare, respond, show
from ingest_api.identity.caller import admit_user, require_password, user_behind, witness_of
from ingest_api.identity.passwords.rules import normal_password, password_fault
from ingest_api.identity.sessions.session import EndReason
from ingest_api.identity.sessions.shown import PasswordChangeBody, SessionList, shown
from ingest_api.identity.tokens import SESSION, Principal, Scope
from ingest_api.identity.users.user import User
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.services import Services
from payments.identifiers import parse_id
from runtime.personal_data.personal import Personal

router = APIRouter(tags=["login"])


async def list_sessions(services: Services, principal: Principal) -> SessionList:
    """Raises Problem, DatabaseUnavailable."""
    user = await user_behind(services, principal)
    return await _listed(services, principal, user)


async def _listed(services: Services, principal: Principal, user: User) -> SessionList:
    sessions = await services.identity.sessions.of_user(user.user)
    return SessionList([shown(session, principal.session) for session in sessions])


async def end_session(services: Services, call: Call, session_id: str) -> Answer:
    """One login is over, in every process within a second."""
    principal = await admit_bare(services, call, Scope.USERS_WRITE)
    user = await user_behind(services, principal)
    id_ = parse_id(SESSION, session_id)
    found = await services.identity.sessions.find(id_) if id_ is not None else None
    if found is None or found.user != user.user:
        raise Problem(Fault.SESSION_UNKNOWN, "No session of yours has this id, or it is over.")
    is_own = found.session == principal.session
    reason = EndReason.LOGGED_OUT if is_own else EndReason.REVOKED
    await services.identity.sessions.end(found, reason, witness_of(services, call, principal))
    await services.identity.look()
    return Answer(200, encode(await _listed(services, principal, user)))


async def end_all_sessions(services: Services, call: Call) -> Answer:
    """Every login of the user, this one too."""
    principal = await admit_bare(services, call, Scope.USERS_WRITE)
    user = await user_behind(services, principal)
    await services.identity.sessions.end_all(
        user.user, EndReason.REVOKED, witness=witness_of(services, call, principal)
    )
    await services.identity.look()
    return Answer(200, encode(await _listed(services, principal, user)))


async def change_password(services: Services, call: Call) -> Answer:
    """Needs the old one; every other login of the user is over."""
    principal, user, body = await admit_user(services, call, PasswordChangeBody)
    await require_password(services, call, user, body.password)
    if user.password_hash is None:
        raise Problem(Fault.PASSWORD_REFUSED, "Your password is kept elsewhere, and changed there.")
    new = Personal(body.new_password)
    fault = password_fault(new, (await services.identity.users.values(user.user)).values())
    if fault is not None:
        raise field_problem(FieldError("/new_password", Fault.PASSWORD_REFUSED, fault))
    password_hash = await services.identity.hasher.hash(normal_password(new))
    await services.identity.users.set_password_hash(user.user, password_hash, witness_of(services, call, principal))
    await services.identity.sessions.end_all(user.user, EndReason.PASSWORD_CHANGED, but=principal.session)
    await services.identity.look()
    return Answer(200, encode(await _listed(services, principal, user)))


@router.get("/auth/sessions", **describe("Sessions of the caller", Scope.USERS_READ, SessionList))
async def get_sessions(request: Request) -> Response:
    """Logins that are not over, the latest first."""
    return await show(request, Scope.USERS_READ, list_sessions)


@router.delete(
    "/auth/sessions/{session_id}",
    **describe_at_once("End a session", Scope.USERS_WRITE, SessionList, None, problems=(429,)),
)
async def delete_session(request: Request, session_id: str) -> Response:
    """Its refresh token is worth nothing at once, its access token within a second. Answers what is left."""
    return await respond(request, lambda services, call: end_session(services, call, session_id))


@router.delete(
    "/auth/sessions", **describe_at_once("End all sessions", Scope.USERS_WRITE, SessionList, None, problems=(429,))
)
async def delete_sessions(request: Request) -> Response:
    """The caller's own, this one too."""
    return await respond(request, end_all_sessions)


@router.put(
    "/auth/password", **describe_at_once("Change the password", Scope.USERS_WRITE, SessionList, PasswordChangeBody)
)
async def put_password(request: Request) -> Response:
    """Needs the old one. Every other session of the user is over."""
    return await respond(request, change_password)
