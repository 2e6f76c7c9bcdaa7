"""Real servers for tests: which provider serves them, and one throw-away environment per test session.

KAFKA_BOOTSTRAP and DATABASE_URL name servers that run already; what they leave open runs as child processes of the
session in a temporary home, on free ports below the ephemeral range.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from millrace.environment import LocalEnvironment, ports
from millrace.environment.layout import Home
from runtime.settings import Settings

_NO_TICKS_MS = 3_600_000
"""Tests compare the ends of topics: nothing may be written that they did not ask for."""

_GONE_TIMEOUT_S = 10
"""A process that was killed is gone in milliseconds."""


def throw_away_settings(home: Path, *, brokers: int = 1) -> Settings:
    """A home of its own and free ports; servers that the environment names are kept."""
    kafka_offsets = [*ports.broker_offsets(brokers)][1:]
    kafka_port = ports.free_base(kafka_offsets)
    postgres_port = ports.free_base([])
    while postgres_port in {kafka_port + offset for offset in (0, *kafka_offsets)}:
        postgres_port = ports.free_base([])
    settings = Settings(home=home, kafka_port=kafka_port, postgres_port=postgres_port)
    return settings.model_copy(update={"tick_interval_ms": _NO_TICKS_MS})


@contextmanager
def running_environment(home: Path, *, brokers: int = 1) -> Iterator[LocalEnvironment]:
    """Kafka and Postgres without the pipeline."""
    settings = throw_away_settings(home, brokers=brokers)
    try:
        with LocalEnvironment(settings, brokers=brokers, pipeline=False) as environment:
            yield environment
            end_at_once(environment)
    finally:
        Home(home).wipe()


def end_at_once(environment: LocalEnvironment) -> None:
    """Its servers go along with their supervisor. A broker that leaves in order hands on thousands of partitions first,
    15 s at the end of a session, and nobody reads them again.
    """
    if environment.owns_kafka:
        supervisor = psutil.Process(environment.status().pid)
        supervisor.kill()
        supervisor.wait(_GONE_TIMEOUT_S)


@contextmanager
def running_installation(home: Path, **changes: object) -> Iterator[LocalEnvironment]:
    """Kafka, Postgres and the whole pipeline, with the API on a free port and one worker: tests pause it at times.
    `changes`: of its settings.
    """
    settings = throw_away_settings(home)
    own = settings.model_copy(update={"api_port": ports.free_base([]), "workers": 1, **changes})
    with LocalEnvironment(own) as environment:
        yield environment


def provider_of(environment: LocalEnvironment) -> str:
    """One line for the test report."""
    kafka = "child process" if environment.owns_kafka else "KAFKA_BOOTSTRAP"
    postgres = "child process" if environment.owns_postgres else "DATABASE_URL"
    shown = environment.addresses.shown()
    return f"Kafka: {shown.kafka_bootstrap} ({kafka}); Postgres: {shown.database_url} ({postgres})"


@contextmanager
def fresh_database(server_url: str, copied_url: str = "/template1") -> Iterator[str]:
    """A database of its own, dropped afterwards; answers its URL. Nobody may be connected to the one that is copied."""
    name, copied = f"test_{secrets.token_hex(6)}", urlsplit(copied_url).path[1:]
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(copied))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(create)
        try:
            yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        finally:
            drop_database(connection, name)


def drop_database(connection: psycopg.Connection, name: str, attempts: int = 50) -> None:
    """Drop it with whoever is connected; an autovacuum worker there is Postgres's own and waited for, 10 s at most."""
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    for attempt in range(1, attempts + 1):
        try:
            connection.execute(drop)
        except psycopg.errors.InsufficientPrivilege:
            if attempt == attempts:
                raise
            time.sleep(0.2)
        else:
            return
