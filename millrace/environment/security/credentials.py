"""One password per principal, made with the home, and the settings that log a process in as one of them.

Keeps a file for each below the home (0600). Guarantees that a service is told the file of its own principal alone.
"""

import re
import secrets
from collections.abc import Mapping

import msgspec

from millrace.environment.layout import Home
from millrace.services import GATEWAY
from millrace.supervisor.service import Service
from runtime.settings import Settings
from schemas import access

_PASSWORD_BYTES = 32
_SLOT = re.compile(r"-\d+$")

LOGIN = ("kafka_user", "kafka_password", "kafka_password_file")
"""The settings that differ from principal to principal."""

USERS: tuple[str, ...] = (access.ADMINISTRATOR, *(principal.name for principal in access.PRINCIPALS))

PRINCIPAL_OF_SERVICE: Mapping[str, str] = {
    "topics": access.ADMINISTRATOR,
    "watch": access.WATCH.name,
    "sink": access.SINK.name,
    "quarantine-sink": access.QUARANTINE_SINK.name,
    "events-sink": access.EVENTS_SINK.name,
    "webhooks": access.WEBHOOKS.name,
    "notifications": access.NOTIFICATIONS.name,
    "publisher": access.PUBLISHING.name,
    "archive": access.ARCHIVE.name,
    "worker": access.WORKER.name,
    "connectors": access.CONNECTOR.name,
    "ticker": access.TICKER.name,
    "scheduler": access.SCHEDULER.name,
    "recon-follow": access.RECONCILIATION.name,
    "recon-nights": access.RECONCILIATION.name,
    "api": access.API.name,
}
"""Service, without the number of its slot or process → who it is for the brokers."""


def ensure_passwords(home: Home) -> None:
    """Make what is missing; a password once made stays."""
    for user in USERS:
        if not home.password(user).exists():
            home.write(home.password(user), secrets.token_urlsafe(_PASSWORD_BYTES).encode())


def logged_in_as(settings: Settings, home: Home, user: str) -> Settings:
    """The settings of a client of this home's brokers, as that user."""
    return settings.model_copy(
        update={
            "kafka_security_protocol": "SASL_SSL",
            "kafka_ca_file": home.authority,
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_user": user,
            "kafka_password": None,
            "kafka_password_file": home.password(user),
        }
    )


def with_login(service: Service, home: Home) -> Service:
    """The service with the variables of its principal; the gateway asks no broker."""
    if service.name == GATEWAY:
        return service
    user = PRINCIPAL_OF_SERVICE[_SLOT.sub("", service.name)]
    login = {"MILLRACE_KAFKA_USER": user, "MILLRACE_KAFKA_PASSWORD_FILE": str(home.password(user))}
    return msgspec.structs.replace(service, env={**service.env, **login})
