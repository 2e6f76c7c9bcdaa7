"""Which API processes the gateway sends to: those that the registry of services shows as up, as soon as that changes.

Reads service_instances and listens for changes. Guarantees: where the registry does not answer or shows nobody, what is
known stays, and nginx finds out by itself who does not answer.
"""

import contextlib
import logging
import time
from typing import Final

import psycopg

from ingest_api.discovery.instance import InstanceStatus
from ingest_api.discovery.presence import APP
from ingest_api.discovery.registry import CHANNEL, IS_THERE, OWN
from millrace.gateway.configuration import Upstream
from runtime.postgres import PATIENCE
from runtime.settings import Settings

logger = logging.getLogger(__name__)

_PATIENCE: Final = PATIENCE | {"connect_timeout": 2}
_UP: Final = f"""
SELECT host, port FROM service_instances
WHERE app = %s AND registered_by = %s AND {IS_THERE} AND port IS NOT NULL
    AND CASE override WHEN '{InstanceStatus.UNKNOWN}' THEN status ELSE override END = '{InstanceStatus.UP}'
ORDER BY host, port"""


def settings_upstreams(settings: Settings) -> tuple[Upstream, ...]:
    """Those that `millrace up` starts."""
    return tuple(Upstream(settings.api_host, settings.api_port + number) for number in range(settings.api_processes))


class Watched:
    """The processes that are up, looked at whenever the registry says that something has changed, and each second."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        self._connection: psycopg.Connection[tuple[str, int]] | None = None
        self.latest = settings_upstreams(settings)

    def look(self) -> tuple[Upstream, ...]:
        """Who is up now."""
        try:
            found = self._connected().execute(_UP.encode(), (APP, OWN)).fetchall()
        except psycopg.errors.UndefinedTable:
            found = []
        except psycopg.OperationalError as error:
            self._lose(error)
            found = []
        if found:
            self.latest = tuple(dict.fromkeys(Upstream(host, port) for host, port in found))
        return self.latest

    def wait(self, timeout_s: float) -> None:
        """Until something may have changed."""
        if self._connection is None:
            time.sleep(timeout_s)
            return
        try:
            for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
                pass
        except psycopg.OperationalError as error:
            self._lose(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[tuple[str, int]]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._url, autocommit=True, application_name="millrace gateway", **_PATIENCE
            )
            self._connection.execute(f"LISTEN {CHANNEL}".encode())
        return self._connection

    def _lose(self, error: psycopg.Error) -> None:
        logger.warning("the registry does not answer (%s): going on with what is known", type(error).__name__)
        with contextlib.suppress(psycopg.Error):
            self.close()
        self._connection = None
