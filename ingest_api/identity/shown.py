"""What OpenAPI has to describe of logins."""

from ingest_api.identity.oauth.shown import RESOURCES as OAUTH
from ingest_api.identity.second_factor.shown import RESOURCES as SECOND_FACTOR
from ingest_api.identity.sessions.shown import RESOURCES as SESSIONS

RESOURCES: tuple[type, ...] = (*OAUTH, *SECOND_FACTOR, *SESSIONS)
