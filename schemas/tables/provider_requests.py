"""The table provider_requests as those who look for what waits for people ask it."""

from typing import Final

from payments.commerce.connector import LOST_AFTER_DAYS

IS_LOST: Final = (
    f"request.is_open AND request.attempt_follows AND request.changed_at < now() - interval '{LOST_AFTER_DAYS} days'"
)
"""Nothing was heard of it for so long that the attempt that was to follow is lost."""

WAITS_FOR_PEOPLE: Final = f"request.is_open AND (NOT request.attempt_follows OR {IS_LOST})"
"""Nobody asks its provider about it."""
