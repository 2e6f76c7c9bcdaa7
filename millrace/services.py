"""The pipeline's own services: what `millrace up` runs beside Kafka and Postgres. Adding one is one line here.

Groups start in this order and stop in reverse, so that nothing produces into what is gone already.
"""

import sys
from collections.abc import Callable, Iterator

from millrace.supervisor.service import HttpProbe, Service, TcpProbe
from runtime.settings import Settings

GATEWAY = "gateway"
"""Name of the service that asks no broker."""

ServicesOf = Callable[[Settings], Iterator[Service]]


def _millrace(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "millrace", *arguments]


def _topics(_: Settings) -> Iterator[Service]:
    yield Service(name="topics", argv=_millrace("topics"), group="topics", one_shot=True)


def _sink(_: Settings) -> Iterator[Service]:
    yield Service(name="sink", argv=_millrace("sink"), group="sink", stop_timeout_ms=15_000)


def _quarantine_sink(_: Settings) -> Iterator[Service]:
    name = "quarantine-sink"
    yield Service(name=name, argv=_millrace(name), group="sink", stop_timeout_ms=15_000)


def _events_sink(_: Settings) -> Iterator[Service]:
    yield Service(name="events-sink", argv=_millrace("events-sink"), group="sink", stop_timeout_ms=15_000)


def _webhooks(_: Settings) -> Iterator[Service]:
    yield Service(name="webhooks", argv=_millrace("webhooks"), group="connectors", stop_timeout_ms=20_000)


def _notifications(settings: Settings) -> Iterator[Service]:
    """Where there is a channel to tell users by."""
    if settings.tells_users:
        name = "notifications"
        yield Service(name=name, argv=_millrace(name), group="connectors", stop_timeout_ms=20_000)


def _publisher(_: Settings) -> Iterator[Service]:
    yield Service(name="publisher", argv=_millrace("publisher"), group="sink", stop_timeout_ms=20_000)


def _archive(settings: Settings) -> Iterator[Service]:
    """Where there is a folder to archive to."""
    if settings.archive_dir is not None:
        yield Service(name="archive", argv=_millrace("archive", "run"), group="sink", stop_timeout_ms=15_000)


def _connectors(settings: Settings) -> Iterator[Service]:
    """Where there is a provider to call."""
    if settings.stripe_api_key_file is not None or settings.banks != "off":
        yield Service(name="connectors", argv=_millrace("connectors"), group="connectors", stop_timeout_ms=20_000)


def _workers(settings: Settings) -> Iterator[Service]:
    for slot in range(settings.workers):
        env = {"MILLRACE_SLOT": str(slot)}
        yield Service(name=f"worker-{slot}", argv=_millrace("worker"), group="workers", env=env, stop_timeout_ms=20_000)


def _ticker(_: Settings) -> Iterator[Service]:
    yield Service(name="ticker", argv=_millrace("ticker"), group="workers")


def _scheduler(_: Settings) -> Iterator[Service]:
    yield Service(name="scheduler", argv=_millrace("scheduler"), group="api", stop_timeout_ms=20_000)


def _reconciliation(settings: Settings) -> Iterator[Service]:
    """Where there is a plan of the nights."""
    if settings.recon_plan_file is not None:
        for name in ("follow", "nights"):
            argv = _millrace("recon", name)
            yield Service(name=f"recon-{name}", argv=argv, group="sink", stop_timeout_ms=30_000)


def _api(settings: Settings) -> Iterator[Service]:
    """On one port together; behind the gateway on one each."""
    for process in range(settings.api_processes):
        port = settings.api_port + process if settings.gateway else settings.api_port
        own_port = {"MILLRACE_API_PORT": str(port)} if settings.gateway else {}
        yield Service(
            name=f"api-{process}",
            argv=_millrace("api"),
            group="api",
            env={"MILLRACE_API_PROCESS_ID": str(process), **own_port},
            ready=HttpProbe(f"http://{settings.api_host}:{port}/readyz"),
            stop_timeout_ms=settings.api_drain_notice_ms + settings.api_drain_timeout_ms + 5_000,
        )


def _gateway(settings: Settings) -> Iterator[Service]:
    """After the API, so that it stops first and nobody is let in to what is going."""
    if settings.gateway:
        yield Service(
            name=GATEWAY,
            argv=_millrace("gateway"),
            group="gateway",
            ready=TcpProbe(settings.gateway_host, settings.gateway_port),
            stop_timeout_ms=30_000,
        )


def _watch(_: Settings) -> Iterator[Service]:
    yield Service(name="watch", argv=_millrace("watchdog"), group="watch")


PIPELINE: tuple[ServicesOf, ...] = (
    _topics,
    _watch,
    _sink,
    _quarantine_sink,
    _publisher,
    _events_sink,
    _webhooks,
    _notifications,
    _archive,
    _reconciliation,
    _connectors,
    _workers,
    _ticker,
    _scheduler,
    _api,
    _gateway,
)


def pipeline_services(settings: Settings) -> list[Service]:
    """All of them, in starting order."""
    return [service for services_of in PIPELINE for service in services_of(settings)]
