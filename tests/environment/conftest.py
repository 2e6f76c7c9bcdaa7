"""What the tests of the environment leave on the machine: nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_books_left_behind(tmp_path: Path) -> Iterator[None]:
    """pytest's folders are private, so root's Postgres keeps its books in a system folder that the home links to."""
    yield
    for link in tmp_path.rglob("postgres"):
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)
