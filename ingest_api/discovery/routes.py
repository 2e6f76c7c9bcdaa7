"""The registry of services over HTTP: who serves what, and where."""

from fastapi import APIRouter, Request, Response

from ingest_api.discovery.shown import ServiceList, shown
from ingest_api.http.openapi import describe
from ingest_api.http.serving import show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.services import Services

router = APIRouter(tags=["services"])


async def _list(services: Services, _: Principal) -> ServiceList:
    return shown(await services.registry.find())


@router.get("/services", **describe("Who serves what, and where", Scope.SERVICES_READ, ServiceList))
async def get_services(request: Request) -> Response:
    """API processes and whatever else has registered and is kept alive. Clients of Eureka find it below /eureka."""
    return await show(request, Scope.SERVICES_READ, _list)
