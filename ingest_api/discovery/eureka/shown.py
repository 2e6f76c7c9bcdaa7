"""What Eureka's clients are shown: apps with their instances, as JSON or XML, made of the same values.

Pure. Fields and their types are those of Eureka's server: text where Java's codec writes text.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import msgspec
from lxml import etree

from ingest_api.discovery.instance import InstanceStatus

_CLASS: Final = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"
_MODIFIED_AFTER_S: Final = 1
Row = Mapping[str, Any]


def status_of(row: Row) -> str:
    """What operators have set, else what the instance says."""
    override: str = row["override"]
    return override if override != InstanceStatus.UNKNOWN else str(row["status"])


def applications(rows: Iterable[Row], whole: Iterable[Row]) -> dict[str, Any]:
    """Apps in their order. `whole`: everything that is there, whose counts let a client see that it missed a change."""
    listed = [_application(app, instances) for app, instances in groupby(rows, key=lambda row: str(row["app"]))]
    return {"applications": {"versions__delta": "1", "apps__hashcode": _hash(whole), "application": listed}}


def application(rows: list[Row]) -> dict[str, Any]:
    """One app, which has at least one instance."""
    return {"application": _application(rows[0]["app"], rows)}


def instance(row: Row) -> dict[str, Any]:
    """One instance."""
    return {"instance": _instance(row)}


def _application(app: str, rows: Iterable[Row]) -> dict[str, Any]:
    return {"name": app, "instance": [_instance(row) for row in rows]}


def _hash(rows: Iterable[Row]) -> str:
    """`DOWN_1_UP_2_`: Eureka's reconcile code."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[status_of(row)] = counts.get(status_of(row), 0) + 1
    return "".join(f"{status}_{count}_" for status, count in sorted(counts.items()))


def _instance(row: Row) -> dict[str, Any]:
    details = row["details"]
    return {
        "instanceId": row["instance_id"],
        "hostName": row["host"],
        "app": row["app"],
        "ipAddr": row["ip"],
        "status": status_of(row),
        "overriddenStatus": row["override"],
        "port": _port(row["port"], 7001),
        "securePort": _port(row["secure_port"], 7002),
        "countryId": 1,
        "dataCenterInfo": {"@class": _CLASS, "name": details["data_center"]},
        "leaseInfo": {
            "renewalIntervalInSecs": details["renewal_s"],
            "durationInSecs": row["lease_s"],
            "registrationTimestamp": _ms(row["registered_at"]),
            "lastRenewalTimestamp": _ms(row["renewed_at"]),
            "evictionTimestamp": 0,
            "serviceUpTimestamp": _ms(row["registered_at"]),
        },
        "metadata": details["metadata"],
        "homePageUrl": details["home_page_url"],
        "statusPageUrl": details["status_page_url"],
        "healthCheckUrl": details["health_check_url"],
        "vipAddress": row["vip"],
        "secureVipAddress": row["secure_vip"],
        "isCoordinatingDiscoveryServer": "false",
        "lastUpdatedTimestamp": str(_ms(row["changed_at"])),
        "lastDirtyTimestamp": str(_ms(row["registered_at"])),
        "actionType": _action(row),
    }


def _port(port: int | None, otherwise: int) -> dict[str, Any]:
    """Eureka's own defaults stand where a port is not enabled."""
    return {"$": port or otherwise, "@enabled": "true" if port else "false"}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def _action(row: Row) -> str:
    if row.get("is_gone"):
        return "DELETED"
    is_new = (row["changed_at"] - row["registered_at"]).total_seconds() < _MODIFIED_AFTER_S
    return "ADDED" if is_new else "MODIFIED"


def as_json(document: dict[str, Any]) -> bytes:
    """As clients ask for with Accept: application/json."""
    return msgspec.json.encode(document)


def as_xml(document: dict[str, Any]) -> bytes:
    """As all others get it."""
    ((name, value),) = document.items()
    return etree.tostring(_element(name, value), encoding="UTF-8", xml_declaration=True)


def _element(name: str, value: Any) -> Any:
    element = etree.Element(name)
    if not isinstance(value, dict):
        element.text = str(value)
    elif "$" in value:
        element.text = str(value["$"])
        element.set("enabled", value["@enabled"])
    else:
        for key, inner in value.items():
            if key == "@class":
                element.set("class", inner)
            else:
                element.extend([_element(key, one) for one in (inner if isinstance(inner, list) else [inner])])
    return element
