"""Goal: no URL leads a webhook into our own network, however it writes the address."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore
import pytest

from connectors.webhooks.addresses import AddressRefused, GuardedNetwork, is_public

REFUSED = {
    "this network": "0.0.0.0",
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.0.7",
    "private 10": "10.0.0.1",
    "private 172": "172.31.255.254",
    "private 192": "192.168.1.1",
    "shared by carriers": "100.64.0.1",
    "link-local": "169.254.1.1",
    "metadata of clouds": "169.254.169.254",
    "metadata of a cloud, shared range": "100.100.100.200",
    "protocol assignments": "192.0.0.8",
    "documentation": "192.0.2.1",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.1",
    "global multicast": "233.252.1.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "relay of 6to4": "192.88.99.1",
    "v6 unspecified": "::",
    "v6 loopback": "::1",
    "v6 link-local": "fe80::1",
    "v6 link-local with its zone": "fe80::1%eth0",
    "v6 site-local": "fec0::1",
    "v6 unique local": "fd00::1",
    "v6 metadata": "fd00:ec2::254",
    "v6 multicast": "ff0e::1",
    "v6 documentation": "2001:db8::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped metadata": "::ffff:a9fe:a9fe",
    "mapped private": "::ffff:10.0.0.1",
    "compatible loopback": "::127.0.0.1",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 of metadata": "64:ff9b::169.254.169.254",
    "NAT64 of a local network": "64:ff9b:1::808:808",
    "6to4 of loopback": "2002:7f00:1::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
}
TAKEN = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
def test_an_address_of_our_own_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", TAKEN)
def test_an_address_of_the_internet_is_taken(address: str) -> None:
    assert is_public(address)


def resolving_to(*addresses: str) -> Callable[..., list[Any]]:
    answers = iter([addresses, ("127.0.0.1",)])
    """The second time the name leads elsewhere."""
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in next(answers)]


class Connected(Exception):
    """In place of a connection: where it would have gone."""


async def connected_to(monkeypatch: pytest.MonkeyPatch, *resolved: str) -> Any:
    async def connect(_: httpcore.AnyIOBackend, host: str, *__: Any) -> None:
        raise Connected(host)

    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(*resolved))
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    with ThreadPoolExecutor(1) as resolving:
        return await GuardedNetwork(resolving, any_address=False).connect_tcp("rebound.example", 443)


def test_what_was_looked_at_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers 8.8.8.8 at first and 127.0.0.1 afterwards is resolved once."""
    with pytest.raises(Connected, match=r"8\.8\.8\.8"):
        asyncio.run(connected_to(monkeypatch, "8.8.8.8"))


def test_one_refused_address_among_a_names_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AddressRefused):
        asyncio.run(connected_to(monkeypatch, "8.8.8.8", "10.0.0.1"))
