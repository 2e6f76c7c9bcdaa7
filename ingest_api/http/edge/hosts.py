"""Hosts that callers name, for us to call: what can be said of one before its name is resolved."""

import ipaddress


def may_be_public(host: str) -> bool:
    """False for an address of another network than the internet, and for a name without a domain."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.strip(".") and not host.rstrip(".").endswith((".local", ".internal", ".localhost"))
