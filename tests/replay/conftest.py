"""The decided log and the applied tables of the audit's tests: everything here is compared with an independent fold."""

import pytest

from runtime.settings import Settings
from tests.audit.conftest import applied_tables, pipeline, settings, tables

__all__ = ["applied_tables", "pipeline", "settings", "tables"]


@pytest.fixture
def applied(settings: Settings, applied_tables: str) -> Settings:
    """Settings for the log and the tables that belong to it; tests may not change them."""
    return settings.model_copy(update={"database_url": applied_tables})


@pytest.fixture
def changeable(settings: Settings, tables: str) -> Settings:
    """The same with a copy of the tables that the test may change."""
    return settings.model_copy(update={"database_url": tables})
