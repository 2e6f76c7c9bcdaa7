"""What callers see of services."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import msgspec

from ingest_api.discovery.eureka.shown import status_of
from ingest_api.http.resources import rfc3339


class ServiceInstance(msgspec.Struct):
    """One that is kept alive. Only what is UP is to be called."""

    id: str
    host: str
    ip: str
    port: int | None
    secure_port: int | None
    status: str
    registered_at: str
    renewed_at: str
    metadata: dict[str, str]


class Service(msgspec.Struct):
    """A service and where it is."""

    name: str
    instances: list[ServiceInstance]


class ServiceList(msgspec.Struct):
    """By name."""

    services: list[Service]


def shown(rows: list[dict[str, Any]]) -> ServiceList:
    """Rows in the order of their apps."""
    return ServiceList(
        [Service(app, [_instance(row) for row in of_app]) for app, of_app in groupby(rows, key=lambda row: row["app"])]
    )


def _instance(row: Mapping[str, Any]) -> ServiceInstance:
    return ServiceInstance(
        row["instance_id"],
        row["host"],
        row["ip"],
        row["port"],
        row["secure_port"],
        status_of(row),
        rfc3339(row["registered_at"]),
        rfc3339(row["renewed_at"]),
        row["details"]["metadata"],
    )


RESOURCES: tuple[type, ...] = (ServiceInstance, Service, ServiceList)
