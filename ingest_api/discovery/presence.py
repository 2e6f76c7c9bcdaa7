"""This process in the registry: entered once it serves, kept alive, out of service before it stops taking calls.

Keeps one task. Guarantees that a registry which does not answer delays neither the start nor the end: the lease runs
out by itself, and gateways see for themselves who does not answer.
"""

import asyncio
import logging
import socket
from collections.abc import Coroutine
from typing import Any, Final

from ingest_api.discovery.instance import Details, Instance, InstanceStatus
from ingest_api.discovery.registry import OWN, Registry
from ingest_api.problems import Problem
from ingest_api.reads.database import DatabaseUnavailable, end_asking
from runtime.settings import Settings

logger = logging.getLogger(__name__)

APP: Final = "MILLRACE-API"
_HEARTBEAT_S: Final = 5
_LEASE_S: Final = 20
"""Four heartbeats: a process on a busy machine stays; one that was killed is seen by gateways at its first call."""

_ASK_S: Final = 3
"""Longest that the end waits for the registry, twice."""


class Presence:
    """Used by the server: `enter` when it listens, `leave` when it is told to end, `end` when it has."""

    def __init__(self, registry: Registry, instance: Instance) -> None:
        self._registry = registry
        self._instance = instance
        self._name = instance.app, instance.instance_id
        self._heartbeats: asyncio.Task[None] | None = None
        self.is_leaving = False
        """The process still answers, and is not to be sent anything new."""

    @classmethod
    def of(cls, settings: Settings, registry: Registry) -> "Presence":
        return cls(registry, own_instance(settings))

    def enter(self) -> None:
        self._heartbeats = asyncio.create_task(self._keep_alive())

    async def leave(self) -> None:
        """Nothing new is to be sent here from now on."""
        self.is_leaving = True
        if self._heartbeats is not None:
            await end_asking(self._heartbeats)
            await self._tell(self._registry.say(self._name, InstanceStatus.OUT_OF_SERVICE, OWN))

    async def end(self) -> None:
        """Out of the registry, where the process was in it."""
        if self._heartbeats is not None:
            await self._tell(self._registry.end(self._name, OWN))

    async def _keep_alive(self) -> None:
        is_entered = False  # what an earlier process of this name has left there says nothing of this one
        while True:
            try:
                is_entered = is_entered and await self._registry.renew(self._name, OWN)
                if not is_entered:
                    await self._registry.register(self._instance, OWN)
                    is_entered = True
            except (DatabaseUnavailable, Problem) as fault:
                logger.warning("not in the registry: %s", fault)
            await asyncio.sleep(_HEARTBEAT_S)

    async def _tell(self, telling: Coroutine[Any, Any, bool]) -> None:
        try:
            async with asyncio.timeout(_ASK_S):
                await telling
        except (DatabaseUnavailable, TimeoutError) as fault:
            logger.warning("the registry was not told: %s", fault)


def own_instance(settings: Settings) -> Instance:
    """What this process says of itself."""
    host = settings.api_advertised_host or _reachable(settings.api_host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"
    return Instance(
        app=APP,
        instance_id=f"{host}:{settings.api_port}:{settings.api_process_id}",
        host=host,
        ip=_address(host),
        port=settings.api_port,
        vip=APP.lower(),
        lease_s=_LEASE_S,
        details=Details(
            renewal_s=_HEARTBEAT_S,
            home_page_url=f"{url}/",
            status_page_url=f"{url}/livez",
            health_check_url=f"{url}/readyz",
        ),
    )


def _reachable(host: str) -> str:
    return socket.gethostname() if host in {"0.0.0.0", "::"} else host


def _address(host: str) -> str:
    try:
        found: str = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]  # type: ignore[assignment]
    except OSError:
        return "127.0.0.1"
    return found
