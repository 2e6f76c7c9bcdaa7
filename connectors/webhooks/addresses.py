"""Which addresses a webhook may go to: those of the public internet, looked at when the name has been resolved.

An owner writes any URL, so a name must not lead into our own network (server-side request forgery). What was looked at
is what is connected to: there is no second resolution that could answer otherwise.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any, Final

import httpcore

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST_V6: Final = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocols' own; what the standard library says of it differs between releases
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocols' own; Teredo, which leads to the IPv4 address inside
        "2002::/16",  # 6to4: as well
        "3fff::/20",  # documentation
    )
)
CONNECT_TRIES_MAX: Final = 3
"""Addresses of one name that are tried: an IPv6 address that this machine can't reach must not be the end."""


class AddressRefused(Exception):
    """The name leads to an address that webhooks don't go to."""


def is_public(text: str) -> bool:
    """True for an address of the public internet; an IPv6 address that wraps an IPv4 address counts as that."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(address.packed[12:])))
        if address not in _UNICAST_V6:
            return False
    inside = any(address in network for network in _NOT_PUBLIC if network.version == address.version)
    return address.is_global and not address.is_multicast and not address.is_reserved and not inside


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects for a connection pool, which then speaks TLS with the name."""

    def __init__(self, resolving: Executor, *, any_address: bool) -> None:
        self._resolving = resolving
        self._any_address = any_address
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises AddressRefused, OSError where the name does not resolve, httpcore.ConnectError."""
        addresses = await self._resolved(host, port)
        if not self._any_address and not all(map(is_public, addresses)):
            raise AddressRefused(host)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _resolved(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._resolving, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(place[0]) for *_, place in found))[:CONNECT_TRIES_MAX]
