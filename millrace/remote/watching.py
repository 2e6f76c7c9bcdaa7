"""What `millrace watch` does: the latest events of an object, then each new one."""

from contextlib import suppress
from itertools import islice
from typing import Any

from millrace.client.retries import RetryPolicy
from millrace.remote.session import session
from millrace.remote.shown import show_event

_PATIENCE = RetryPolicy(attempts=1_000, total_s=3_600.0)
"""An API that is away for an hour is waited for; nothing is missed meanwhile."""


def run(
    object: str | None,
    *,
    last: int,
    type: str | None,
    count: int | None,
    every_s: int,
    url: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Until Ctrl-C, or `count` events."""
    asked: dict[str, Any] = {"account" if (object or "").startswith("acc_") else "object": object, "type": type}
    with suppress(KeyboardInterrupt), session(url, profile, as_json=as_json, retries=_PATIENCE) as client:
        cursor = client.events.cursor_before_latest(last, **asked)
        for event in islice(client.events.list(**asked, cursor=cursor).following(every_s), count):
            show_event(event, as_json=as_json)
