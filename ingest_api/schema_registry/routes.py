"""Routes of the registry, where its clients look for them: at the root, without a token, because schemas are public."""

from collections.abc import Callable
from importlib.metadata import version as release_of
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import respond
from ingest_api.schema_registry import lookup
from ingest_api.schema_registry.answers import shown
from ingest_api.services import Services
from schemas.asyncapi.document import document

router = APIRouter(include_in_schema=False)
_ASYNCAPI = Answer(200, msgspec.json.encode(document(release_of("millrace"))))


async def _told(request: Request, answer: Callable[[], Answer]) -> Response:
    async def operation(_services: Services, _call: Call) -> Answer:
        return answer()

    return await respond(request, operation)


async def _told_of_body(request: Request, answer: Callable[[bytes], Answer]) -> Response:
    async def operation(_services: Services, call: Call) -> Answer:
        return answer(await call.body(lookup.SCHEMA_BYTES_MAX))

    return await respond(request, operation)


@router.get("/asyncapi.json")
async def get_asyncapi(request: Request) -> Response:
    """What is public on Kafka."""
    return await _told(request, lambda: _ASYNCAPI)


@router.get("/subjects")
async def get_subjects(request: Request) -> Response:
    """Their names."""
    return await _told(request, lambda: lookup.listed(request.query_params.get("subjectPrefix", "")))


@router.get("/subjects/{subject}/versions")
async def get_versions(request: Request, subject: str) -> Response:
    """Their numbers."""
    return await _told(request, lambda: lookup.versions(subject))


@router.get("/subjects/{subject}/versions/{version}")
async def get_version(request: Request, subject: str, version: str) -> Response:
    """`version`: a number, or `latest`."""
    return await _told(request, lambda: lookup.version(subject, version))


@router.get("/subjects/{subject}/versions/{version}/schema")
async def get_version_schema(request: Request, subject: str, version: str) -> Response:
    """The schema alone."""
    return await _told(request, lambda: lookup.version(subject, version, alone=True))


@router.post("/subjects/{subject}")
async def find_schema(request: Request, subject: str) -> Response:
    """Which version a schema is."""
    return await _told_of_body(request, lambda body: lookup.find(subject, body))


@router.post("/subjects/{subject}/versions")
async def register_schema(request: Request, subject: str) -> Response:
    """The id of a known schema; a new one is refused."""
    return await _told_of_body(request, lambda body: lookup.register(subject, body))


@router.get("/schemas/ids/{schema_id}")
async def get_schema(request: Request, schema_id: int) -> Response:
    """By id."""
    return await _told(request, lambda: lookup.schema(schema_id))


@router.get("/schemas/ids/{schema_id}/schema")
async def get_schema_alone(request: Request, schema_id: int) -> Response:
    """The schema alone."""
    return await _told(request, lambda: lookup.schema(schema_id, alone=True))


@router.get("/schemas/ids/{schema_id}/versions")
async def get_places(request: Request, schema_id: int) -> Response:
    """Subjects and versions of an id."""
    return await _told(request, lambda: lookup.places(schema_id))


@router.get("/schemas/types")
async def get_types(request: Request) -> Response:
    """Avro alone."""
    return await _told(request, lambda: shown(["AVRO"]))


@router.post("/compatibility/subjects/{subject}/versions")
async def check_against_all(request: Request, subject: str) -> Response:
    """Whether a schema could be the next version."""
    return await _told_of_body(request, lambda body: lookup.compatibility(subject, None, body))


@router.post("/compatibility/subjects/{subject}/versions/{version}")
async def check_against_one(request: Request, subject: str, version: str) -> Response:
    """Whether a schema could be the next version, beside this one."""
    return await _told_of_body(request, lambda body: lookup.compatibility(subject, version, body))


@router.get("/config")
async def get_config(request: Request) -> Response:
    """The rule of what is public; each subject tells its own."""
    return await _told(request, lambda: shown({"compatibilityLevel": "FULL_TRANSITIVE"}))


@router.get("/config/{subject}")
async def get_subject_config(request: Request, subject: str) -> Response:
    """The rule of a subject."""
    return await _told(request, lambda: lookup.config(subject))


@router.get("/mode")
@router.get("/mode/{subject}")
async def get_mode(request: Request) -> Response:
    """Read-only."""
    mode: dict[str, Any] = {"mode": "READONLY"}
    return await _told(request, lambda: shown(mode))
