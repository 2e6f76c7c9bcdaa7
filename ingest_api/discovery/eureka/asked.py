"""What Eureka's clients send when they register: JSON or XML → an Instance.

Reads the fields that the registry keeps and passes over all others. Guarantees: no entity of an XML document is
resolved, nothing is fetched, and numbers may be text, as some clients send them.
"""

from typing import Annotated, Any, Final

import msgspec
from lxml import etree
from msgspec import Meta

from ingest_api.discovery.instance import (
    LEASE_S_DEFAULT,
    RENEWAL_S_DEFAULT,
    Details,
    Instance,
    InstanceStatus,
    app_name,
    require_sound,
)
from ingest_api.http.bodies import decode_fault
from ingest_api.problems import Fault, Problem, field_problem

JSON: Final = frozenset({"application/json"})
XML: Final = frozenset({"application/xml", "text/xml"})
_NOT_METADATA: Final = frozenset({"@class"})
"""What Java's clients write of themselves among the metadata."""


class _Port(msgspec.Struct):
    number: Annotated[int, Meta(ge=0, le=65_535)] = msgspec.field(name="$")
    enabled: bool = msgspec.field(name="@enabled", default=True)


class _DataCenter(msgspec.Struct):
    name: str = "MyOwn"


class _Lease(msgspec.Struct, rename="camel"):
    renewal_interval_in_secs: int = RENEWAL_S_DEFAULT
    duration_in_secs: int = LEASE_S_DEFAULT


class _Registered(msgspec.Struct, rename="camel"):
    host_name: str
    app: str
    ip_addr: str
    instance_id: str | None = None
    status: InstanceStatus = InstanceStatus.UP
    port: _Port | None = None
    secure_port: _Port | None = None
    vip_address: str | None = None
    secure_vip_address: str | None = None
    data_center_info: _DataCenter = msgspec.field(default_factory=_DataCenter)
    lease_info: _Lease = msgspec.field(default_factory=_Lease)
    metadata: dict[str, str | None] = {}
    home_page_url: str | None = None
    status_page_url: str | None = None
    health_check_url: str | None = None


class _Document(msgspec.Struct):
    instance: _Registered


_DECODER: Final = msgspec.json.Decoder(_Document, strict=False)


def instance_of(body: bytes, media: str, app: str) -> Instance:
    """The instance of a registration under this app. Raises Problem."""
    try:
        document = _DECODER.decode(body) if media in JSON else msgspec.convert(_parsed(body), _Document, strict=False)
    except (ValueError, RecursionError) as error:
        raise field_problem(decode_fault(error)) from None
    instance = _instance(document.instance)
    require_sound(instance)
    if instance.app != app_name(app):
        raise Problem(Fault.FIELD_INVALID, "The app of the instance is not the one of the path.")
    return instance


def _instance(asked: _Registered) -> Instance:
    port, secure = _enabled(asked.port), _enabled(asked.secure_port)
    return Instance(
        app=asked.app.upper(),
        instance_id=asked.instance_id or asked.host_name,
        host=asked.host_name,
        ip=asked.ip_addr,
        port=port,
        secure_port=secure,
        vip=asked.vip_address or "",
        secure_vip=asked.secure_vip_address or "",
        status=asked.status,
        lease_s=asked.lease_info.duration_in_secs,
        details=Details(
            metadata={key: value or "" for key, value in asked.metadata.items() if key not in _NOT_METADATA},
            home_page_url=asked.home_page_url or "",
            status_page_url=asked.status_page_url or "",
            health_check_url=asked.health_check_url or "",
            renewal_s=asked.lease_info.renewal_interval_in_secs,
            data_center=asked.data_center_info.name,
        ),
    )


def _enabled(port: _Port | None) -> int | None:
    return port.number if port is not None and port.enabled else None


def _parsed(body: bytes) -> dict[str, Any]:
    """The document as JSON has it. Raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise msgspec.DecodeError(f"not XML: {error.msg}") from None
    found = {str(child.tag): _value(child) for child in root if isinstance(child.tag, str)}
    return {"instance": {name: value for name, value in found.items() if value is not None}}


def _value(element: Any) -> Any:
    if len(element):
        return {str(child.tag): child.text or "" for child in element if isinstance(child.tag, str)}
    if "enabled" in element.attrib:
        return {"$": element.text or "0", "@enabled": element.attrib["enabled"]}
    return element.text
