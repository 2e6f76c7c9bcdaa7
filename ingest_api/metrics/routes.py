"""GET /metrics: the figures of this process, for whoever watches it. Each API process has its own."""

from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import respond
from ingest_api.services import Services

router = APIRouter(tags=["health"])

METRICS_PATH: Final = "/metrics"
"""Without a version, and only of the process itself: the gateway keeps it from the outside."""


@router.get(
    METRICS_PATH,
    summary="Figures for Prometheus",
    response_model=None,
    responses={200: {"description": "Text format 0.0.4", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Answers by route and status, their durations, what waits, and the process. Nothing of customers."""

    async def operation(services: Services, _: Call) -> Answer:
        return Answer(200, services.figures.exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4.encode())

    return await respond(request, operation)
