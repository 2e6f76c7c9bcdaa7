"""The sample days, unpacked once."""

import tarfile
from pathlib import Path

import pytest

ARCHIVE = Path(__file__).parent / "centrolink.tar.xz"


@pytest.fixture(scope="session")
def centrolink(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders camt052, camt053 and camt054 of files named by date."""
    folder = tmp_path_factory.mktemp("bank")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "centrolink"
