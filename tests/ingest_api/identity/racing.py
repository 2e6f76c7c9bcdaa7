"""Two processes, each with an Identity of its own, that do the same at the same moment."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from typing import Any, Final

from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.reads.database import Database
from runtime.settings import Settings

_WAIT_S: Final = 60
Work = Callable[..., Awaitable[Any]]
_barrier: Barrier | None = None


async def race(work: Work, settings: Settings, *arguments: object) -> list[Any]:
    """What both got."""
    spawning = multiprocessing.get_context("spawn")
    barrier = spawning.Barrier(2)
    with spawning.Pool(2, _meet_at, (barrier,)) as pool:
        return await asyncio.to_thread(_both, pool, work, settings, arguments)


def _both(pool: Pool, work: Work, settings: Settings, arguments: tuple[object, ...]) -> list[Any]:
    racing = [pool.apply_async(_run, (work, settings, arguments)) for _ in range(2)]
    return [runner.get(_WAIT_S) for runner in racing]


def _meet_at(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _run(work: Work, settings: Settings, arguments: tuple[object, ...]) -> Any:
    return asyncio.run(_raced(work, settings, arguments))


async def _raced(work: Work, settings: Settings, arguments: tuple[object, ...]) -> Any:
    identity = Identity.of(settings, TokenVerifier.of(settings), Database.writing(settings))
    await identity.open()
    try:
        await identity.users.find(bytes(16))  # tables and keys are looked at before the start
        assert _barrier is not None
        await asyncio.to_thread(_barrier.wait, _WAIT_S)
        return await work(identity, *arguments)
    finally:
        await identity.close()
