"""A database with every table, a mailbox, providers, and the desk between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.notifications import mailbox, providers
from tests.connectors.notifications.desk import Desk
from tests.connectors.notifications.mailbox import Mailbox
from tests.connectors.notifications.providers import Providers


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox.receiving() as running:
        yield running


@pytest.fixture
def provided() -> Iterator[Providers]:
    with providers.providing() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, migrated: str, box: Mailbox, provided: Providers) -> Desk:
    return Desk.of(tmp_path, migrated, box, provided)
