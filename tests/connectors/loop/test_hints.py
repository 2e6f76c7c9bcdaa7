"""What a provider has news about is asked about at once; everything else keeps its time."""

from types import SimpleNamespace
from typing import Any

from connectors.hints import Hints
from connectors.lanes import Work
from connectors.loop import Connectors, Route
from runtime.exactly_once.failpoints import Failpoints
from tests.connectors.requests import HOUR_US, charge

NOW_US = 1_763_800_000_000_000


def test_news_bring_a_parked_request_forward_once() -> None:
    nowhere: Any = SimpleNamespace()
    hints = Hints("")
    connectors = Connectors(nowhere, nowhere, {}, 4, lambda: NOW_US, Failpoints(""), Route(), hints)
    works = [
        Work(0, offset, bytes([offset]) * 16, charge(attempt=2, not_before_us=NOW_US + HOUR_US), NOW_US)
        for offset in range(3)
    ]
    for work in works:
        connectors._park_or_line_up(work)
    hints.request_ids = frozenset({works[1].request.request_id, b"\x99" * 16})
    connectors._line_up_what_is_due()
    assert connectors._lanes.start_next() == works[1]
    assert connectors._lanes.start_next() is None
    assert sorted(work.offset for _, _, work in connectors._parked) == [0, 2]
    assert hints.request_ids == {b"\x99" * 16}, "news about what somebody else has stay"
