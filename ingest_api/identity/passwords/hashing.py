"""argon2id in threads of its own: hashing never holds up the loop, and no crowd of logins takes all memory.

Parameters are those of OWASP's Password Storage Cheat Sheet (m = 19 MiB, t = 2, p = 1): 34 ms of CPU and 19 MiB each
(docs/identity.md). THREADS × 19 MiB = 38 MiB per process at most, and about 55 logins a second on two free cores. A
login waits behind QUEUE_MAX others for 64 ÷ 55 = 1.2 s at most; beyond that it is told to come again.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from ingest_api.problems import Fault, retry_later
from runtime.personal_data.personal import Personal

MEMORY_KIB: Final = 19_456
TIME_COST: Final = 2
PARALLELISM: Final = 1
THREADS: Final = 2
QUEUE_MAX: Final = 64
_RETRY_AFTER_S: Final = 2

T = TypeVar("T")


class PasswordHasher:
    """Hashes and compares. Every method raises Problem 503 where too many wait already."""

    def __init__(self, memory_kib: int = MEMORY_KIB, time_cost: int = TIME_COST) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost, memory_kib, PARALLELISM)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._under_way = 0
        self._of_nobody = self._argon2.hash("the password of nobody")

    def close(self) -> None:
        """What waits is not begun any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: Personal) -> str:
        """What is kept of a password."""
        return await self._run(lambda: self._argon2.hash(password.reveal()))

    async def matches(self, password_hash: str | None, password: Personal) -> bool:
        """True for the password that was hashed. Without a hash the answer is no, after the same work."""
        return await self._run(lambda: self._matches(password_hash, password))

    def needs_rehash(self, password_hash: str) -> bool:
        """True where it was made with other parameters than these."""
        return self._argon2.check_needs_rehash(password_hash)

    def _matches(self, password_hash: str | None, password: Personal) -> bool:
        try:
            matched = self._argon2.verify(password_hash or self._of_nobody, password.reveal())
        except (VerificationError, InvalidHashError):
            return False
        return matched and password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= THREADS + QUEUE_MAX:
            detail = "Too many passwords are being checked. Send it again after the time in Retry-After."
            raise retry_later(Fault.QUEUE_FULL, detail, _RETRY_AFTER_S)
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._done)  # also of a call that went away: its thread is taken until then
        return await asyncio.shield(future)

    def _done(self, _: "asyncio.Future[Any]") -> None:
        self._under_way -= 1
