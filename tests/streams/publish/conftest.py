"""A world per test, on the session's broker."""

from collections.abc import Callable, Iterator

import pytest

from tests.streams.publish.world import World


@pytest.fixture
def world(broker: str, topic_name: Callable[[str], str]) -> Iterator[World]:
    made = World(topic_name("publish"), broker)
    try:
        yield made
    finally:
        made.close()
