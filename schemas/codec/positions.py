"""The text of a Consistency-Token: positions in payments.commands, opaque to whoever only passes it on."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

_TEXT: Final = re.compile(rb"[0-9]{1,5}-[0-9]{1,19}(\.[0-9]{1,5}-[0-9]{1,19}){0,4095}")


def encode_positions(positions: Mapping[int, int]) -> str:
    """Opaque text of shard → offset."""
    text = ".".join(f"{shard}-{offset}" for shard, offset in sorted(positions.items()))
    return base64.urlsafe_b64encode(text.encode("ascii")).rstrip(b"=").decode("ascii")


def decode_positions(token: str) -> dict[int, int]:
    """Shard → offset of a token. Raises ValueError for any other text."""
    try:
        raw = token.encode("ascii")
        text = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error):
        text = b""
    if not _TEXT.fullmatch(text):
        raise ValueError("not a Consistency-Token")
    pairs = (part.split(b"-") for part in text.split(b"."))
    return {int(shard): int(offset) for shard, offset in pairs}
