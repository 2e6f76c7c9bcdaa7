"""How often credentials may be guessed at: failures are counted in Postgres by keyed hashes, for all processes.

Each attempt is counted before the password is looked at, so that attempts side by side are no way around it; one that
succeeds is taken back. Beyond the free failures each further one locks its key for twice as long as the one before, up
to LOCK_S_MAX: then 96 guesses a day. Nothing depends on whether the user exists.
"""

import ipaddress
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ingest_api.problems import Fault, retry_later
from ingest_api.reads.database import Database
from runtime.personal_data.blind_index import digest_of_text
from runtime.personal_data.rows import Connection, all_rows

FREE_OF_NAME: Final = 5
FREE_OF_ADDRESS: Final = 50
"""Many people share an address."""

LOCK_S_MAX: Final = 900
FORGOTTEN_H: Final = 24
_IPV6_HOME: Final = 64
"""Bits of an address that one household or server has for itself."""

_ENTER: Final = """
INSERT INTO login_failures (key_digest, failures) SELECT unnest(%s::bytea[]), 0 ON CONFLICT DO NOTHING"""
_LOCK: Final = """
SELECT key_digest, failures, locked_until, failed_at FROM login_failures WHERE key_digest = ANY(%s)
ORDER BY key_digest FOR UPDATE"""
_CLOCK: Final = "SELECT clock_timestamp()"
_COUNT: Final = "UPDATE login_failures SET failures = %s, locked_until = %s, failed_at = %s WHERE key_digest = %s"
_TAKE_BACK: Final = """
UPDATE login_failures SET failures = greatest(failures - 1, 0), locked_until = 'epoch' WHERE key_digest = ANY(%s)"""
_FORGET: Final = "DELETE FROM login_failures WHERE key_digest = %s"
SWEEP: Final = f"""
DELETE FROM login_failures WHERE failed_at < now() - interval '{FORGOTTEN_H} hours' AND locked_until < now()"""


class GuessKey(NamedTuple):
    """What failures are counted by, and how many are free."""

    digest: bytes
    free: int


class Count(NamedTuple):
    """Failures of one key."""

    failures: int
    locked_until: datetime


class Throttle:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, index_key: bytes) -> None:
        self._database = database
        self._index_key = index_key

    def name(self, kind: str, name: str) -> GuessKey:
        """Of a user name, client id or user id."""
        return GuessKey(digest_of_text(self._index_key, f"guesses\0{kind}", name), FREE_OF_NAME)

    def address(self, address: str) -> GuessKey:
        """Of where the call comes from."""
        return GuessKey(digest_of_text(self._index_key, "guesses\0address", _network(address)), FREE_OF_ADDRESS)

    async def count(self, *keys: GuessKey) -> bool:
        """One more attempt; True where a key is locked now, unless the attempt is taken back. Raises Problem 429 where
        a key was locked already; nothing is counted then.
        """
        ordered = sorted(set(keys))
        digests = [key.digest for key in ordered]
        async with self._database.transaction() as connection:
            await connection.execute(_ENTER, (digests,))
            rows = await all_rows(connection, _LOCK, digests)
            [(now,)] = await all_rows(connection, _CLOCK)
            wait_s = max(_wait_s(locked_until, now) for _, _, locked_until, _ in rows)
            locks = not wait_s and await _counted(connection, ordered, rows, now)
        if wait_s:
            detail = "Too many failed attempts for this user or from this address. Wait for the time in Retry-After."
            raise retry_later(Fault.TOO_MANY_ATTEMPTS, detail, wait_s)
        return locks

    async def take_back(self, *keys: GuessKey) -> None:
        """The last attempt was none: it shows nothing about a guess. The lock that stands is its own, because nothing
        is counted while a key is locked: left in force, a good password would lock out whoever gives the code next.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_TAKE_BACK, ([key.digest for key in keys],))

    async def forget(self, name: GuessKey, address: GuessKey) -> None:
        """Whoever it is has shown it: the failures of the name are forgotten, those of the address are others', too."""
        async with self._database.transaction() as connection:
            await connection.execute(_TAKE_BACK, ([address.digest],))
            await connection.execute(_FORGET, (name.digest,))


async def _counted(
    connection: Connection,
    keys: Sequence[GuessKey],
    rows: Sequence[tuple[bytes, int, datetime, datetime]],
    now: datetime,
) -> bool:
    """True where one of them is locked by it."""
    locks = False
    for key, (digest, failures, _, failed_at) in zip(keys, rows, strict=True):
        known = failures if now - failed_at < timedelta(hours=FORGOTTEN_H) else 0
        count = counted(known, key.free, now)
        await connection.execute(_COUNT, (*count, now, digest))
        locks = locks or count.locked_until > now
    return locks


def counted(failures: int, free: int, now: datetime) -> Count:
    """After one more failure: 2 s, 4 s, 8 s … beyond the free ones."""
    beyond = failures + 1 - free
    lock_s = min(2 ** min(beyond, 30), LOCK_S_MAX) if beyond > 0 else 0
    return Count(failures + 1, now + timedelta(seconds=lock_s))


def _wait_s(locked_until: datetime, now: datetime) -> int:
    return max(0, math.ceil((locked_until - now).total_seconds()))


def _network(address: str) -> str:
    """An IPv6 address counts as its network. One that is none (a socket's path) counts as itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, _IPV6_HOME), strict=False))
    return str(parsed)
