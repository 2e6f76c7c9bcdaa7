"""How `make test` shares tests out: those of a file go to one process, those of a folder too where they share a system,
what takes minutes begins first, and what `make nightly` runs is left out.
"""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from xdist.scheduler import LoadScopeScheduling

SHARED_SYSTEMS = ("tests/audit/", "tests/contracts/", "tests/ingest_api/", "tests/quarantine/", "tests/security/")
"""Folders whose conftest.py starts an installation for all of its files: 7-18 s each time."""

_API = "tests/ingest_api/"
IN_MEMORY = tuple(
    f"{_API}{folder}/"
    for folder in (
        *("audit_log", "commerce", "fx", "identity", "owners", "preferences", "psp_webhooks", "reconciliation"),
        *("schema_registry", "screening", "units", "webhooks"),
    )
)
"""Folders within them that never ask for it: Postgres is enough. They are shared out by their files."""

TAKE_MINUTES = (
    *SHARED_SYSTEMS,
    "tests/faults/test_smoke.py",
    "tests/exactly_once/test_faults.py",
    "tests/demo/test_run.py",
    "tests/pipeline/",
)
"""Where these begin late, one process ends long after the others."""


class SharedSystems(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole folders where starting costs more than it gains to share them out, else files."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(IN_MEMORY):
            return file
        return next((folder for folder in SHARED_SYSTEMS if file.startswith(folder)), file)


def by_night(*values: Any) -> list[ParameterSet]:
    """More values for a test that has some for the day."""
    return [pytest.param(value, marks=pytest.mark.night) for value in values]


def sampled(values: Iterable[Any], every: int) -> list[ParameterSet]:
    """One value in so many for the day, all of them for the night: what differs only in its place, not in its kind."""
    return [pytest.param(value, marks=pytest.mark.night if at % every else ()) for at, value in enumerate(values)]
