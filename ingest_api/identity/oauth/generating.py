"""`POST` and `PUT /v1/generate_token/{account_id}`: a token for the user of an account, as the banking ledger's
document has it. PUT answers the token that is still valid in the place of a new one.
"""

from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.witness import Witness
from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import encode, rfc3339
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, require_media
from ingest_api.identity.caller import credentials_invalid
from ingest_api.identity.oauth.account_tokens import AccountToken
from ingest_api.identity.oauth.logins import CheckedUser, Granted, LoginRefusal, PasswordLogin
from ingest_api.identity.oauth.shown import AccountTokenResource, GenerateTokenBody, RefreshTokenResource
from ingest_api.identity.tokens import Principal, second_factor_required
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.accounts import known_account
from ingest_api.services import Services
from payments.identifiers import format_id
from runtime.personal_data.personal import Personal

Success = TypeVar("Success", CheckedUser, Granted)


class _Generated(NamedTuple):
    """A token of a user, and the refresh token of its session where that is new."""

    token: AccountToken
    refresh_token: str | None


async def generate_token(services: Services, call: Call, account_id: str, *, keep_valid: bool) -> Answer:
    """Raises Problem, DatabaseUnavailable."""
    require_media(call, JSON_MEDIA)
    body = decoded(GenerateTokenBody, await call.body(BODY_BYTES_MAX))
    if body.token is not None:
        generated = await _by_refresh_token(services, call, body, account_id, keep_valid=keep_valid)
    else:
        generated = await _by_password(services, call, body, account_id, keep_valid=keep_valid)
    return Answer(200, encode(_shown(generated)))


async def _by_password(
    services: Services, call: Call, body: GenerateTokenBody, account_id: str, *, keep_valid: bool
) -> _Generated:
    username, password = _given(body.username, "/username"), _given(body.password, "/password")
    asked = PasswordLogin(
        *(Personal(username), Personal(password), body.otp, None, call.address),
        witness=Witness(services.audit, None, call.request_id),
    )
    checked = _granted(await services.identity.logins.checked(asked))
    user, account = checked.user.user, await _owned(services, checked.user.user, account_id)
    valid = await services.identity.account_tokens.valid(user, account) if keep_valid else None
    if valid is not None:
        return _Generated(valid, None)
    return await _kept(services, user, account, _granted(await services.identity.logins.begin(checked, asked)))


async def _by_refresh_token(
    services: Services, call: Call, body: GenerateTokenBody, account_id: str, *, keep_valid: bool
) -> _Generated:
    if body.type != "refresh":
        raise field_problem(FieldError("/type", Fault.FIELD_INVALID, 'Send "type": "refresh" with a refresh token.'))
    witness = Witness(services.audit, None, call.request_id)
    granted = _granted(await services.identity.logins.by_refresh_token(_given(body.token, "/token"), witness=witness))
    assert granted.session is not None  # of a refresh token
    user, account = granted.session.user, await _owned(services, granted.session.user, account_id)
    valid = await services.identity.account_tokens.valid(user, account) if keep_valid else None
    if valid is not None:
        return _Generated(valid, granted.refresh_token)
    return await _kept(services, user, account, granted)


async def _owned(services: Services, user: bytes, account_id: str) -> bytes:
    """The account, of which the user is owner or co-owner. Raises Problem, DatabaseUnavailable."""
    account = known_account(account_id)
    owner = Principal(format_id(USER, user), frozenset(), 0)
    await services.access.require(owner, account, Action.MOVE_MONEY)
    return account


async def _kept(services: Services, user: bytes, account: bytes, granted: Granted) -> _Generated:
    assert granted.session is not None  # of a user
    expires_at = datetime.fromtimestamp(granted.expires_at_s, UTC)
    token = AccountToken(Personal(granted.access_token), expires_at)
    await services.identity.account_tokens.keep(user, account, granted.session.session, token)
    return _Generated(token, granted.refresh_token)


def _granted(outcome: Success | LoginRefusal) -> Success:
    """Raises Problem for a refusal."""
    if not isinstance(outcome, LoginRefusal):
        return outcome
    if outcome is LoginRefusal.SECOND_FACTOR_NEEDED:
        raise second_factor_required(detail="Send the code of your app, or a recovery code, as otp.")
    raise credentials_invalid("No user has these credentials, or the refresh token is not valid any more.")


def _given(value: str | None, pointer: str) -> str:
    if not value:
        detail = "Send username and password, or a refresh token with its type."
        raise field_problem(FieldError(pointer, Fault.FIELD_MISSING, detail))
    return value


def _shown(generated: _Generated) -> AccountTokenResource:
    refresh = generated.refresh_token
    return AccountTokenResource(
        status_code=200,
        token=generated.token.token.reveal(),
        expirationTimestamp=rfc3339(generated.token.expires_at),
        refresh=RefreshTokenResource(refresh) if refresh is not None else None,
    )
