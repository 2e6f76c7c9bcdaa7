"""The pipeline's own services: what `millrace up` runs beside Kafka and Postgres. Adding one is one line here.

Groups start in this order and stop in reverse, so that nothing produces into what is gone already.
"""

from collections.abc import Callable, Iterator

from millrace.supervisor.service import Service
from runtime.settings import Settings

ServicesOf = Callable[[Settings], Iterator[Service]]

PIPELINE: tuple[ServicesOf, ...] = ()


def pipeline_services(settings: Settings) -> list[Service]:
    """All of them, in starting order."""
    return [service for services_of in PIPELINE for service in services_of(settings)]
