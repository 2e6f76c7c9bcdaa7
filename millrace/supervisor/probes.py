"""Waits until a started service answers. Blocking calls, made in a thread of the supervisor's pool."""

import contextlib
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from millrace.supervisor.service import HttpProbe, KafkaProbe, PostgresProbe, Probe, TcpProbe
from runtime.settings import Settings

_PAUSE_S = 0.05
_ASK_TIMEOUT_S = 2.0

_QUIET = logging.getLogger("millrace.supervisor.probes")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # "connection refused" is what a probe expects


def wait_until_ready(probe: Probe, given_up: threading.Event) -> bool:
    """True once it answers; False when `given_up` was set before."""
    ask = _asker(probe)
    while not given_up.is_set():
        if ask():
            return True
        given_up.wait(_PAUSE_S)
    return False


def _asker(probe: Probe) -> Callable[[], bool]:
    match probe:
        case KafkaProbe():
            return _kafka(probe)
        case PostgresProbe():
            return lambda: _postgres_answers(probe)
        case HttpProbe():
            return lambda: _http_answers(probe)
        case TcpProbe():
            return lambda: _takes_connections(probe)


def _kafka(probe: KafkaProbe) -> Callable[[], bool]:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from runtime.kafka_client import Brokers

    client = AdminClient(
        {
            **Brokers.of(_settings(probe)).configuration(),
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        },
        logger=_QUIET,
    )

    def answers() -> bool:
        # describe_cluster ends the whole process where its time-out meets the answer (rdkafka_admin.c, rko_result).
        with contextlib.suppress(KafkaException):
            return len(client.list_topics(timeout=_ASK_TIMEOUT_S).brokers) >= probe.brokers
        return False

    return answers


def _settings(probe: KafkaProbe) -> Settings:
    if not probe.user:
        return Settings(kafka_bootstrap=probe.bootstrap, kafka_security_protocol="PLAINTEXT")
    return Settings(
        kafka_bootstrap=probe.bootstrap,
        kafka_security_protocol="SASL_SSL",
        kafka_ca_file=Path(probe.ca_file),
        kafka_user=probe.user,
        kafka_password=None,
        kafka_password_file=Path(probe.password_file),
    )


def _postgres_answers(probe: PostgresProbe) -> bool:
    import psycopg

    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(probe.url, connect_timeout=int(_ASK_TIMEOUT_S)) as connection,
    ):
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def _takes_connections(probe: TcpProbe) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((probe.host, probe.port), timeout=_ASK_TIMEOUT_S),
    ):
        return True
    return False


def _http_answers(probe: HttpProbe) -> bool:
    with (
        contextlib.suppress(urllib.error.URLError, OSError),
        urllib.request.urlopen(probe.url, timeout=_ASK_TIMEOUT_S) as response,  # of our own plan  # nosec B310
    ):
        return 200 <= int(response.status) < 300
    return False
