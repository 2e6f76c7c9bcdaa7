"""How much and how slowly a stranger may send, before anybody knows who calls.

Bodies have limits of their own, which each operation tells: 16 KiB for one command, 8 MiB for a batch.
"""

from typing import Final, NamedTuple

TARGET_BYTES_MAX: Final = 8_192
"""Path and query. The longest list with every filter stays below 2 KiB."""

HEADERS_MAX: Final = 100
HEADER_BYTES_MAX: Final = 32_768
"""All names and values. A token of ours has 600 bytes, one of a directory at most 16 KiB."""

HEAD_BYTES_MAX: Final = TARGET_BYTES_MAX + HEADER_BYTES_MAX + 4 * HEADERS_MAX + 16
"""A request line and headers on the wire, with what stands between them."""

DRAIN_BYTES_MAX: Final = 16 * 1024 * 1024
"""What is read of a body whose call was answered already, so that the caller sees the answer: twice the largest."""


class TimeLimits(NamedTuple):
    """Seconds; looked at once a second. An operation bounds its own time."""

    head_s: int = 10
    """From the first byte of a request (of a connection: from its start) to the end of its headers."""

    body_s: int = 10
    """For any body, and one second more for each `body_bytes_per_s` of it that came."""

    body_bytes_per_s: int = 1_024
    idle_s: int = 75
    """Between requests; longer than the 60 s of usual proxies, so that the proxy closes first."""

    unread_s: int = 30
    """How long a caller may leave an answer unread."""

    linger_s: int = 5
    """How long a refused caller may read the refusal."""


TIMES: Final = TimeLimits()
