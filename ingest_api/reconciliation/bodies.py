"""What callers send about runs, breaks and sign-offs."""

from typing import Annotated, Literal

import msgspec

from ingest_api.journals.shown import LegBody
from payments.movements.journals import MAX_LEGS
from reconciliation.breaks.desk import ATTACHMENT_BYTES_MAX

_CONTENT_CHARS_MAX = (ATTACHMENT_BYTES_MAX + 2) // 3 * 4
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000, pattern=r"\S")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\S")]


class RunBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`rules`: the YAML of a rule set. Days as 2026-11-22; `cut_off` a time or a day, by default now."""

    rules: Annotated[str, msgspec.Meta(min_length=1, max_length=12_000)]
    cut_off: Annotated[str, msgspec.Meta(max_length=40)] = ""
    first_day: Annotated[str, msgspec.Meta(max_length=10)] = ""
    last_day: Annotated[str, msgspec.Meta(max_length=10)] = ""


class BreakStepBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is done about a break, and why. `owner` is needed to assign; `post` sends an approved journal again."""

    action: Literal["assign", "comment", "reopen", "approve", "reject", "withdraw", "post"]
    because: Text
    owner: Annotated[str, msgspec.Meta(max_length=100)] = ""


class AdjustmentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What should be done about a break: a journal that balances, or an explanation without one."""

    kind: Literal["adjust", "write_off", "explain"]
    reason_code: Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[A-Z][A-Z0-9_]*$")]
    because: Text
    legs: Annotated[list[LegBody], msgspec.Meta(max_length=MAX_LEGS)] = []


class AttachmentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A document of at most 1 MiB, in base64."""

    name: Name
    media_type: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+/[a-z0-9.+-]+$", max_length=100)]
    content_base64: Annotated[str, msgspec.Meta(max_length=_CONTENT_CHARS_MAX)]
    because: Text


class SignOffBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which run is signed."""

    run: Annotated[str, msgspec.Meta(max_length=40)]
    note: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class ReopenBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why a signature is taken back."""

    because: Text


RESOURCES = (RunBody, BreakStepBody, AdjustmentBody, AttachmentBody, SignOffBody, ReopenBody)
