"""Bearer tokens of other issuers on their way in: each is exchanged for a short one of ours, which the app understands.

Keeps exchanged tokens (at most EXCHANGED_MAX) for as long as ours lives. A user suspended here is let in no longer than
that. Where no issuer is configured, nothing is looked at.
"""

import binascii
import time
from collections import OrderedDict
from typing import Any, Final

import httpx
import msgspec
from joserfc.util import urlsafe_b64decode

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.directories.oidc import Issuer, OidcIssuer
from ingest_api.identity.directories.shadow import user_of
from ingest_api.identity.keys import SigningKeys
from ingest_api.identity.roles import NEED_SECOND_FACTOR, scopes_of
from ingest_api.identity.tokens import Grant, signed_token
from ingest_api.identity.users.register import UserRegister
from ingest_api.problems import Fault, Problem
from payments.identifiers import format_id
from runtime.settings import Settings

_TOKEN_S: Final = 60
EXCHANGED_MAX: Final = 10_000
"""× about 3 kB = 30 MB."""

_TOKEN_CHARS_MAX: Final = 16_384


class ForeignTokens:
    """The issuers of one installation."""

    def __init__(self, settings: Settings, users: UserRegister) -> None:
        """Raises ValueError where an issuer is not reached by a safe line."""
        configured = msgspec.convert(settings.oidc_issuers, type=tuple[Issuer, ...])
        client = httpx.AsyncClient() if configured else None  # reading all authorities takes it 40 ms
        self._issuers = {each.issuer: OidcIssuer(each, client) for each in configured if client is not None}
        self._settings = settings
        self._users = users
        self._keys = SigningKeys.of(settings)
        self._exchanged: OrderedDict[str, tuple[str, float]] = OrderedDict()

    @property
    def has_issuers(self) -> bool:
        return bool(self._issuers)

    def issuer_of(self, authorization: bytes) -> OidcIssuer | None:
        """The configured issuer that a bearer token says it is from. Nothing of it is checked yet."""
        if not self._issuers or authorization[:7].lower() != b"bearer " or len(authorization) > _TOKEN_CHARS_MAX:
            return None
        try:
            said: Any = msgspec.json.decode(urlsafe_b64decode(authorization[7:].split(b".")[1]))
            return self._issuers.get(said["iss"])
        except (ValueError, IndexError, TypeError, KeyError, RecursionError, binascii.Error):
            return None

    async def exchanged(self, issuer: OidcIssuer, token: str, witness: Witness) -> str:
        """A token of ours for one of theirs. Raises Problem, DatabaseUnavailable."""
        kept = self._exchanged.get(token)
        if kept is not None and kept[1] > time.time():
            return kept[0]
        claims = await issuer.claims(token)
        user = await user_of(self._users, claims.known, witness)
        if user is None:
            raise Problem(Fault.TOKEN_INVALID, "The user is not active here.", headers={"WWW-Authenticate": "Bearer"})
        scopes = scopes_of(user.roles)
        if not claims.has_second_factor:
            scopes -= NEED_SECOND_FACTOR
        life_s = max(1, min(_TOKEN_S, claims.expires_at_s - int(time.time())))
        ours = signed_token(self._settings, self._keys, Grant(format_id(USER, user.user), sorted(scopes)), life_s)
        self._exchanged.pop(token, None)
        self._exchanged[token] = ours, time.time() + life_s / 2
        if len(self._exchanged) > EXCHANGED_MAX:
            self._exchanged.popitem(last=False)
        return ours
