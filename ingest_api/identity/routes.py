"""Every route of logins, in one router; `published` stands at the root alone."""

from fastapi import APIRouter

from ingest_api.identity.oauth import routes as oauth
from ingest_api.identity.second_factor import routes as second_factor
from ingest_api.identity.sessions import routes as sessions

router = APIRouter()
for part in (oauth, sessions, second_factor):
    router.include_router(part.router)

published = oauth.published
