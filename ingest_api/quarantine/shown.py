"""Cases as JSON shows them, the same from the command line and over HTTP, and the bodies of the two writes."""

import base64
from collections.abc import Sequence
from typing import Annotated

import msgspec

from ingest_api.http.resources import Position, rfc3339
from ingest_api.quarantine.cases import Case
from ingest_api.quarantine.diagnosis import Diagnosis, diagnose
from payments.commands import Command
from payments.identifiers import ACCOUNT, PAYMENT, format_id, is_system
from schemas.topics import COMMANDS

BECAUSE_MAX = 1_000


class RedriveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Send a record again. `force` sends one that can't be decided as it is: it comes back as a case of its own."""

    force: bool = False


class DiscardBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Give a record up, for a reason that is kept."""

    because: Annotated[str, msgspec.Meta(min_length=1, max_length=BECAUSE_MAX, pattern=r"\S")]


class QuarantineCase(msgspec.Struct, omit_defaults=True):
    """One record, or one item of a packed record, that could not be decided. Its id is its origin."""

    id: str
    status: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    item: int
    received_at: str
    value_bytes: int
    resolved_by: str | None = None
    because: str | None = None
    claimed_at: str | None = None
    resolved_at: str | None = None
    redriven_to: Position | None = None
    """The redriven command, or the decided one that made a redrive needless."""


class QuarantinedCommand(msgspec.Struct, omit_defaults=True):
    """What a record asks for. Fields that can't be read are left out."""

    kind: str
    payer: str
    payee: str
    amount_minor: int
    currency: str
    idempotency_key: str | None = None
    description: str | None = None
    payment_id: str | None = None
    """The id under which it is, or would be, decided."""


class QuarantineCaseDetail(QuarantineCase, omit_defaults=True, kw_only=True):
    """A case looked into: its bytes, what is wrong with them and what to do."""

    redrivable: bool
    wrong: str
    advice: str
    value_base64: str
    key_base64: str | None = None
    commands: list[QuarantinedCommand] = []


class QuarantinePage(msgspec.Struct):
    """Cases, newest first. `next_cursor` leads on where `has_more`."""

    items: list[QuarantineCase]
    has_more: bool
    next_cursor: str | None


RESOURCES = (RedriveBody, DiscardBody, QuarantinePage, QuarantineCaseDetail, QuarantineCase)


def shown_page(cases: Sequence[Case], limit: int) -> QuarantinePage:
    """The first `limit` of these; one case more than that tells that there is another page."""
    items = [shown(case) for case in cases[:limit]]
    more = len(cases) > limit
    return QuarantinePage(items, more, items[-1].id if more else None)


def shown(case: Case) -> QuarantineCase:
    """Without the bytes."""
    resolution = case.resolution
    made = QuarantineCase(
        str(case.origin),
        case.status,
        case.reason,
        case.detail,
        *case.origin,
        rfc3339(case.received_at),
        case.value_bytes,
    )
    if resolution is not None:
        made.resolved_by, made.because = resolution.resolved_by, resolution.because
        made.claimed_at = rfc3339(resolution.claimed_at)
        made.resolved_at = rfc3339(resolution.resolved_at) if resolution.resolved_at else None
        made.redriven_to = Position(COMMANDS.name, *resolution.position) if resolution.position else None
    return made


def shown_in_full(case: Case, shards: int) -> QuarantineCaseDetail:
    """With the bytes and what to make of them."""
    diagnosis = diagnose(case, shards)
    return QuarantineCaseDetail(
        **msgspec.structs.asdict(shown(case)),
        redrivable=diagnosis.ready,
        wrong=diagnosis.wrong,
        advice=diagnosis.advice,
        value_base64=_base64(case.value),
        key_base64=_base64(case.key) if case.key is not None else None,
        commands=_commands(diagnosis, shards),
    )


def _commands(diagnosis: Diagnosis, shards: int) -> list[QuarantinedCommand]:
    fields = diagnosis.fields
    if fields is not None:
        kind = fields.kind.name.lower()
        return [QuarantinedCommand(kind, _account(fields.payer), _account(fields.payee), *fields[3:])]
    ids = diagnosis.operation_ids(shards)
    return [_command(command, id_) for command, id_ in zip(diagnosis.commands, ids, strict=True)]


def _command(command: Command, operation_id: bytes) -> QuarantinedCommand:
    return QuarantinedCommand(
        command.kind.name.lower(),
        _account(command.payer),
        _account(command.payee),
        command.amount_minor,
        command.currency,
        command.idempotency_key,
        command.description,
        format_id(PAYMENT, operation_id),
    )


def _account(account: bytes) -> str:
    """System accounts have no text outside; their code and currency are in their bytes."""
    return account.hex() if is_system(account) else format_id(ACCOUNT, account)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
