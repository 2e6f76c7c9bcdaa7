"""Time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes. Pure but for the random secrets."""

import base64
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from runtime.personal_data.personal import Personal

STEP_S: Final = 30
DIGITS: Final = 6
SKEW_STEPS: Final = 1
"""A phone's clock may be a step ahead or behind (§5.2): three codes of a million are right at any time."""

_SECRET_BYTES: Final = 20
RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10
"""80 random bits."""

_GROUP: Final = re.compile(r".{4}")
_SEPARATORS: Final = re.compile(r"[\s-]+")


def new_secret() -> Personal:
    """160 random bits (RFC 4226 §4) in base32, as apps take them."""
    return Personal(base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode())


def provisioning_uri(secret: Personal, username: Personal, issuer: str) -> str:
    """What a QR code of the enrolment holds."""
    return _totp(secret).get_provisioning_uri(username.reveal(), issuer)


def matching_step(secret: Personal, code: str, now_s: float, after: int) -> int | None:
    """The time step later than `after` that this code belongs to, or None where it belongs to none about now."""
    totp, current = _totp(secret), int(now_s) // STEP_S
    for step in range(max(after + 1, current - SKEW_STEPS), current + SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate(step * STEP_S), code.encode()):
            return step
    return None


def code_at(secret: Personal, at_s: float) -> str:
    """The code that an app shows."""
    return _totp(secret).generate(int(at_s)).decode()


def is_code(text: str) -> bool:
    """False for what can only be a recovery code."""
    return len(text) == DIGITS and text.isascii() and text.isdigit()


def new_recovery_codes() -> Iterator[str]:
    """Each is good once: `abcd-efgh-ijkl-mnop`."""
    for _ in range(RECOVERY_CODES):
        yield "-".join(_GROUP.findall(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()))


def normal_recovery_code(text: str) -> str:
    """However it was typed."""
    return _SEPARATORS.sub("", text).lower()


def _totp(secret: Personal) -> TOTP:
    return TOTP(base64.b32decode(secret.reveal()), DIGITS, SHA1(), STEP_S)  # what apps know (RFC 6238)  # nosec B303
