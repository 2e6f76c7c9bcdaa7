"""Start, liveness and readiness: `startupz` and `livez` say that the loop turns, `readyz` that commands and reads can
be served.
"""

from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe_check
from ingest_api.http.resources import Health, encode
from ingest_api.http.serving import respond
from ingest_api.services import Services

router = APIRouter(tags=["health"])


async def _live(services: Services, call: Call) -> Answer:
    del services, call
    return Answer(200, encode(Health("ok", {})))


async def _ready(services: Services, call: Call) -> Answer:
    del call
    checks = {
        "accepting": not services.presence.is_leaving,
        "kafka": await services.publisher.reachable(),
        "replies": services.listener.alive,
        "postgres": await services.database.reachable(),
    }
    ready = all(checks.values())
    return Answer(200 if ready else 503, encode(Health("ok" if ready else "unavailable", checks)))


@router.get("/livez", **describe_check("Does the process answer", (200,)))
async def get_livez(request: Request) -> Response:
    """Always 200 while the process answers."""
    return await respond(request, _live)


@router.get("/startupz", **describe_check("Has the process started", (200,)))
async def get_startupz(request: Request) -> Response:
    """200 from the first answer on: nothing is answered before the topics are there and the replies are followed."""
    return await respond(request, _live)


@router.get("/readyz", **describe_check("Can requests be served", (200, 503)))
async def get_readyz(request: Request) -> Response:
    """503 while Kafka or Postgres does not answer, and while the process drains."""
    return await respond(request, _ready)
