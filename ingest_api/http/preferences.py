"""Request headers with a grammar of their own: Prefer (RFC 7240), Idempotency-Key (structured-field string or bare)."""

import re

from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import key_fault
from ingest_api.problems import FieldError, Problem, field_problem
from payments.rejections import Reason

DEFAULT_WAIT_S = 2
MAX_WAIT_S = 30
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(?=[,;]|$)', re.IGNORECASE)
_REPRESENTATION = re.compile(r"(?:^|,)\s*return\s*=\s*\"?representation\"?\s*(?=[,;]|$)", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x7e][\x20-\x7e]*")
_KEY_HEADER = "Idempotency-Key"


def preferred_wait_s(prefer: str | None) -> int | None:
    """Seconds that the caller wants to wait for the outcome, at most 30; None where nothing (readable) was said."""
    match = _WAIT.search(prefer) if prefer else None
    return min(int(match.group(1)), MAX_WAIT_S) if match else None


def prefers_representation(prefer: str | None) -> bool:
    """True for `Prefer: return=representation`: a batch is then answered with the id of every line."""
    return bool(prefer and _REPRESENTATION.search(prefer))


def idempotency_key(header: str | None) -> str | None:
    """The key of a header, quoted or bare, or None without one. Raises Problem for one that is not a key."""
    if header is None:
        return None
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted.group(1)) if quoted else text
    fault = key_fault(key, _KEY_HEADER)
    if fault is None and not quoted and not _BARE.fullmatch(text):
        fault = FieldError(_KEY_HEADER, Reason.MALFORMED, 'Visible ASCII characters, or a quoted string: "order-4711".')
    if fault is not None:
        raise field_problem(fault)
    return key


def required_key(header: str | None) -> str:
    """As idempotency_key, for operations that move money. Raises Problem where there is none."""
    key = idempotency_key(header)
    if key is None:
        raise Problem(Reason.IDEMPOTENCY_KEY_MISSING, ADVICE[Reason.IDEMPOTENCY_KEY_MISSING])
    return key
