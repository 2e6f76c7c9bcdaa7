"""Which tests run in one process when `make test` uses two: those of a file, and of a folder that shares a system."""

from xdist.scheduler import LoadScopeScheduling

SHARED_SYSTEMS = ("tests/audit/", "tests/ingest_api/", "tests/quarantine/", "tests/security/")
"""Folders whose conftest.py starts an installation for all of its files: 7-18 s each time."""


class SharedSystems(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole folders where starting costs more than it gains to share them out, else files."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in SHARED_SYSTEMS if file.startswith(folder)), file)
