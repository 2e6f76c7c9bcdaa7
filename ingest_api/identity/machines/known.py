"""Keys that calls come with, looked up once a second: so long a revoked key may still be used in another process.

Keeps at most KEPT_MAX, unknown ones too, so that guessing costs Postgres one query per guess and second.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from ingest_api.aliases.parties import USER
from ingest_api.identity.machines.key import KEY, ApiKey
from ingest_api.identity.machines.register import ApiKeyRegister
from ingest_api.identity.roles import scopes_of
from ingest_api.identity.users.register import UserRegister
from payments.identifiers import parse_id

KEPT_S: Final = 1
"""A key that is used a hundred times a second costs one query in a hundred calls."""

KEPT_MAX: Final = 10_000
"""× about 1 kB = 10 MB."""

_USED_EVERY_S: Final = 60


class KnownKeys:
    """Every method raises DatabaseUnavailable. Everything runs on the loop."""

    def __init__(
        self, register: ApiKeyRegister, users: UserRegister, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._register = register
        self._users = users
        self._clock = clock
        self._kept: OrderedDict[str, tuple[ApiKey | None, float]] = OrderedDict()
        """By prefix or id, with when it was asked for; oldest first."""
        self._asking: dict[str, asyncio.Task[ApiKey | None]] = {}

    async def by_prefix(self, prefix: str) -> ApiKey | None:
        """The valid key that begins like this, with what its subject may (still) do."""
        return await self._known(prefix, lambda: self._register.find_by_prefix(prefix))

    async def by_id(self, text: str) -> ApiKey | None:
        """The valid key of an id."""
        key_id = parse_id(KEY, text)
        return await self._known(text, lambda: self._register.find(key_id)) if key_id is not None else None

    def forget(self) -> None:
        """A key was changed here: look again."""
        self._kept.clear()

    async def _known(self, name: str, find: Callable[[], Awaitable[ApiKey | None]]) -> ApiKey | None:
        kept = self._kept.get(name)
        if kept is not None and kept[1] > self._clock() - KEPT_S:
            return kept[0]
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._ask(name, find))
        return await asyncio.shield(asking)

    async def _ask(self, name: str, find: Callable[[], Awaitable[ApiKey | None]]) -> ApiKey | None:
        asked_at = self._clock()
        try:
            key = await self._in_force(await find())
        finally:
            del self._asking[name]
        self._kept.pop(name, None)
        self._kept[name] = key, asked_at
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return key

    async def _in_force(self, key: ApiKey | None) -> ApiKey | None:
        now = datetime.now(UTC)
        if key is None or not key.is_valid(now):
            return None
        user_id = parse_id(USER, key.subject)
        user = await self._users.find(user_id) if user_id is not None else None
        if user is not None:
            if not user.is_active:
                return None
            key = key._replace(scopes=key.scopes & scopes_of(user.roles))
        if key.last_used_at is None or (now - key.last_used_at).total_seconds() > _USED_EVERY_S:
            await self._register.used(key.key_id)
        return key
