"""An instance of a service, as the registry keeps it: what it says of itself, and what it may say.

Pure. Words and bounds follow Eureka's REST operations, so that its clients need no translation.
"""

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from ingest_api.problems import Fault, FieldError, Problem

LEASE_S_MIN: Final = 5
LEASE_S_MAX: Final = 3_600
LEASE_S_DEFAULT: Final = 90
RENEWAL_S_DEFAULT: Final = 30
"""Eureka's own defaults: three heartbeats may be lost."""

METADATA_MAX: Final = 64
_TEXT_MAX: Final = 255
_URL_MAX: Final = 1_024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}")
"""Fits into the name of an XML element."""

_URL: Final = re.compile(r"https?://[!-~]+")


class InstanceStatus(StrEnum):
    """Only what is UP is to be called."""

    UP = "UP"
    DOWN = "DOWN"
    STARTING = "STARTING"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    UNKNOWN = "UNKNOWN"


class Details(msgspec.Struct, frozen=True):
    """What nobody searches for."""

    metadata: dict[str, str] = {}
    home_page_url: str = ""
    status_page_url: str = ""
    health_check_url: str = ""
    renewal_s: int = RENEWAL_S_DEFAULT
    data_center: str = "MyOwn"


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance says when it registers."""

    app: str
    """In upper case."""

    instance_id: str
    host: str
    ip: str
    port: int | None = None
    secure_port: int | None = None
    vip: str = ""
    secure_vip: str = ""
    """Names under which several apps may serve the same."""

    status: InstanceStatus = InstanceStatus.UP
    lease_s: int = LEASE_S_DEFAULT
    details: Details = Details()


def app_name(text: str) -> str:
    """The name of an app as it is kept. Raises Problem."""
    _require(_NAME.fullmatch(text), "/instance/app", "1 to 128 of A-Z, a-z, 0-9 and . _ : -, a letter or digit first.")
    return text.upper()


def require_sound(instance: Instance) -> None:
    """Raises Problem for what the registry does not keep."""
    app_name(instance.app)
    _require(_NAME.fullmatch(instance.instance_id), "/instance/instanceId", "As app: letters, digits and . _ : -.")
    _require(_NAME.fullmatch(instance.host), "/instance/hostName", "A host name or an address.")
    _require(_is_address(instance.ip), "/instance/ipAddr", "An IPv4 or IPv6 address.")
    _require(instance.port or instance.secure_port, "/instance/port", "port or securePort has to be enabled.")
    for name, port in (("port", instance.port), ("securePort", instance.secure_port)):
        _require(port is None or 0 < port < 65_536, f"/instance/{name}", "1 to 65535.")
    for name, vip in (("vipAddress", instance.vip), ("secureVipAddress", instance.secure_vip)):
        _require(not vip or _NAME.fullmatch(vip), f"/instance/{name}", "As app, or empty.")
    bounds = f"durationInSecs: {LEASE_S_MIN} to {LEASE_S_MAX}, at least one renewalIntervalInSecs."
    sound = LEASE_S_MIN <= instance.lease_s <= LEASE_S_MAX and 0 < instance.details.renewal_s <= instance.lease_s
    _require(sound, "/instance/leaseInfo", bounds)
    _require_details(instance.details)


def _require_details(details: Details) -> None:
    require_metadata(details.metadata)
    for url in (details.home_page_url, details.status_page_url, details.health_check_url):
        _require(not url or (len(url) <= _URL_MAX and _URL.fullmatch(url)), "/instance", "URLs begin with http(s)://.")
    _require(_NAME.fullmatch(details.data_center), "/instance/dataCenterInfo", "MyOwn, Amazon or another name.")


def require_metadata(metadata: dict[str, str]) -> None:
    """Raises Problem."""
    short = all(_KEY.fullmatch(key) and _is_line(value) for key, value in metadata.items())
    bounds = f"At most {METADATA_MAX} of {_TEXT_MAX} printable characters each; keys of A-Z, a-z, 0-9 and _ . -."
    _require(short and len(metadata) <= METADATA_MAX, "/instance/metadata", bounds)


def _is_line(text: str) -> bool:
    return len(text) <= _TEXT_MAX and (text.isprintable() or not text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _require(holds: Any, pointer: str, detail: str) -> None:
    if not holds:
        errors = [FieldError(pointer, Fault.FIELD_INVALID, detail)]
        raise Problem(Fault.FIELD_INVALID, detail, errors=errors)
