"""A process of its own for each test, with a real Postgres and one partition in memory."""

from tests.ingest_api.owners.conftest import settings as settings
from tests.ingest_api.owners.conftest import world as world
