"""One process's audit log over a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest_api.audit_log.log import AuditLog
from ingest_api.reads.database import Database
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, shards=1)


@pytest.fixture
async def log(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AuditLog]:
    """Seals when the test says so."""
    monkeypatch.setattr("ingest_api.audit_log.log.SEAL_EVERY_S", 3_600)
    made = AuditLog.of(settings, Database.writing(settings))
    await made.open()
    yield made
    await made.close()
