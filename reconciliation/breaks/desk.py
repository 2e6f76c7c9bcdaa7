"""What people do about breaks, each deed in one transaction with its line in the trail. Refusals are values.

Reads and writes recon_breaks, recon_break_events, recon_proposals, recon_attachments. Who may do it at all is decided
by the callers: the API by scopes, the command by whoever may use this shell.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.identifiers import derive_operation_id, format_id, uuid7
from payments.items.details import Posting
from payments.movements.instructions import Envelope, PostJournal
from payments.movements.journals import legs_refusal
from reconciliation.breaks.living import is_signed
from reconciliation.breaks.machine import LIVE, Action, Kind, Refusal, Standing, Status, after
from reconciliation.runs.sides import BREAK
from reconciliation.store.importing import json_text
from schemas.partitioning import shard_of

ATTACHMENT_BYTES_MAX: Final = 1 << 20
ATTACHMENTS_MAX: Final = 10
"""Of one break: 10 MiB, and a table of 10,000 breaks with one each has 10 GiB at most."""

AUTOMATON: Final = "rules:"
"""What a rule set does by itself is done by `rules:<name>@<revision>`; no person has such a name."""

_STANDING: Final = """
SELECT b.status, b.owner, coalesce(p.proposed_by, ''), p.kind, p.proposal_id, b.rule_set, b.day, b.difference_minor,
    p.legs, p.reason_code
FROM recon_breaks AS b
LEFT JOIN recon_proposals AS p ON p.break_id = b.break_id
    AND (p.decision = '' OR (p.decision = 'approved' AND p.outcome = ''))
WHERE b.break_id = %s FOR UPDATE OF b"""
_PERIODS: Final = "SELECT first_day, last_day FROM recon_sign_offs WHERE rule_set = %s AND reopened_at IS NULL"
_SET: Final = """
UPDATE recon_breaks SET status = %s, is_live = %s, owner = %s, changed_at = now() WHERE break_id = %s"""
_EVENT: Final = """
INSERT INTO recon_break_events (break_id, by, action, before, after, because, told)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_PROPOSE: Final = """
INSERT INTO recon_proposals (proposal_id, break_id, kind, reason_code, because, legs, difference_minor, proposed_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_DECIDE: Final = """
UPDATE recon_proposals SET decision = %s, decided_by = %s, decided_at = now(), journal_id = %s, outcome = %s
WHERE proposal_id = %s"""
_ATTACHED: Final = "SELECT count(*) FROM recon_attachments WHERE break_id = %s"
_ATTACH: Final = """
INSERT INTO recon_attachments (attachment_id, break_id, name, media_type, sha256, content, attached_by)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""


class Deed(NamedTuple):
    """What somebody does, and why."""

    by: str
    because: str = ""


class Proposal(NamedTuple):
    """`legs`: credits positive; they sum to zero in each currency. An explanation has none."""

    kind: Kind
    reason_code: str
    legs: tuple[Posting, ...] = ()


class File(NamedTuple):
    """What is attached."""

    name: str
    media_type: str
    content: bytes


class _Row(NamedTuple):
    status: str
    owner: str
    proposed_by: str
    kind: str | None
    proposal_id: UUID | None
    rule_set: str
    day: Any
    difference_minor: int
    legs: list[list[Any]] | None
    reason_code: str | None


def assign(connection: Connection, id_: UUID, owner: str, deed: Deed) -> Status | Refusal:
    """Somebody has to deal with it."""
    return _do(connection, id_, Action.ASSIGN, deed, owner=owner, told={"owner": owner})


def comment(connection: Connection, id_: UUID, deed: Deed) -> Status | Refusal:
    """Say something about it."""
    return _do(connection, id_, Action.COMMENT, deed)


def attach(connection: Connection, id_: UUID, file: File, deed: Deed) -> Status | Refusal:
    """Put a document to it."""
    if len(file.content) > ATTACHMENT_BYTES_MAX:
        return Refusal.TOO_LARGE

    def store(_: _Row) -> Refusal | None:
        row = connection.execute(_ATTACHED, (id_,)).fetchone()
        if row is None or row[0] >= ATTACHMENTS_MAX:
            return Refusal.TOO_MANY
        digest = hashlib.sha256(file.content).digest()
        connection.execute(_ATTACH, (_new_id(), id_, file.name, file.media_type, digest, file.content, deed.by))
        return None

    return _do(connection, id_, Action.ATTACH, deed, and_then=store, told={"name": file.name})


def propose(connection: Connection, id_: UUID, proposal: Proposal, deed: Deed) -> Status | Refusal:
    """What should be done about it; a second person decides."""
    if deed.by.startswith(AUTOMATON) or _invalid(proposal):
        return Refusal.LEGS

    def store(row: _Row) -> None:
        connection.execute(_PROPOSE, _proposal_row(id_, row.difference_minor, proposal, deed))

    told = {"kind": proposal.kind, "reason_code": proposal.reason_code, "legs": _listed(proposal.legs)}
    return _do(connection, id_, Action.PROPOSE, deed, and_then=store, told=told)


def approve(connection: Connection, id_: UUID, deed: Deed, shards: int) -> Status | Refusal:
    """By another person than who proposed it. The journal is then to be posted: posting.py."""

    def decide(row: _Row) -> None:
        asked = instruction(id_, row.proposal_id, row.legs or [])
        journal = UUID(bytes=journal_id(asked, shards)) if asked is not None else None
        outcome = "" if asked is not None else "explained"
        connection.execute(_DECIDE, ("approved", deed.by, journal, outcome, row.proposal_id))

    return _do(connection, id_, Action.APPROVE, deed, and_then=decide)


def adjust_by_rule(connection: Connection, id_: UUID, legs: tuple[Posting, ...], by: str, shards: int) -> None:
    """A proposal of the rules, approved as it is made. Within a transaction."""
    proposal = Proposal(Kind.ADJUST, "AUTOMATIC", legs)
    deed = Deed(by, "within the limits of the rules")
    difference_minor = -legs[0].amount_minor
    row = _proposal_row(id_, difference_minor, proposal, deed)
    connection.execute(_PROPOSE, row)
    asked = instruction(id_, UUID(str(row[0])), _listed(legs))
    assert asked is not None  # it has legs
    connection.execute(_DECIDE, ("approved", by, UUID(bytes=journal_id(asked, shards)), "", row[0]))
    connection.execute(_SET, (Status.APPROVED, True, "", id_))
    told = json_text({"legs": _listed(legs)})
    connection.execute(_EVENT, (id_, by, Action.APPROVE, Status.OPEN, Status.APPROVED, deed.because, told))


def reject(connection: Connection, id_: UUID, deed: Deed) -> Status | Refusal:
    """The proposal is not taken."""
    return _ended(connection, id_, Action.REJECT, "rejected", deed)


def withdraw(connection: Connection, id_: UUID, deed: Deed) -> Status | Refusal:
    """By who proposed it."""
    return _ended(connection, id_, Action.WITHDRAW, "withdrawn", deed)


def reopen(connection: Connection, id_: UUID, deed: Deed) -> Status | Refusal:
    """It is not dealt with after all. What was posted stays posted; a new proposal may turn it round."""
    return _do(connection, id_, Action.REOPEN, deed)


def settled(connection: Connection, id_: UUID, refusal: str, by: str) -> Status | Refusal:
    """The ledger has posted the journal, or refused it."""

    def decide(row: _Row) -> None:
        query = "UPDATE recon_proposals SET outcome = %s WHERE proposal_id = %s"
        connection.execute(query, (refusal or "posted", row.proposal_id))

    return _do(connection, id_, Action.FAIL if refusal else Action.POST, Deed(by, refusal or "posted"), and_then=decide)


def instruction(break_id: UUID, proposal_id: UUID | None, legs: Sequence[Sequence[Any]]) -> PostJournal | None:
    """The journal of a proposal; None of an explanation. Its key is the proposal's: it is posted once."""
    if not legs or proposal_id is None:
        return None
    code = format_id(BREAK, break_id.bytes)
    postings = tuple(Posting(UUID(account).bytes, minor, currency) for account, minor, currency in legs)
    return PostJournal(
        envelope=Envelope(f"recon {proposal_id.hex}", description=f"break {code}"), legs=postings, code=code
    )


def journal_id(asked: PostJournal, shards: int) -> bytes:
    """Under which it is posted."""
    return derive_operation_id(asked.authority, asked.envelope.idempotency_key, shard_of(asked.authority, shards))


def _invalid(proposal: Proposal) -> bool:
    if proposal.kind is Kind.EXPLAIN:
        return bool(proposal.legs)
    return legs_refusal(proposal.legs) is not None


def _proposal_row(id_: UUID, difference_minor: int, proposal: Proposal, deed: Deed) -> tuple[object, ...]:
    legs = json_text(_listed(proposal.legs))
    return _new_id(), id_, proposal.kind, proposal.reason_code, deed.because, legs, difference_minor, deed.by


def _listed(legs: Sequence[Posting]) -> list[tuple[str, int, str]]:
    return [(UUID(bytes=leg.account).hex, leg.amount_minor, leg.currency) for leg in legs]


def _new_id() -> UUID:
    return UUID(bytes=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))


def _ended(connection: Connection, id_: UUID, action: Action, decision: str, deed: Deed) -> Status | Refusal:
    def decide(row: _Row) -> None:
        connection.execute(_DECIDE, (decision, deed.by, None, decision, row.proposal_id))

    return _do(connection, id_, action, deed, and_then=decide)


def _do(
    connection: Connection,
    id_: UUID,
    action: Action,
    deed: Deed,
    *,
    owner: str | None = None,
    and_then: Callable[[_Row], Refusal | None] | None = None,
    told: dict[str, Any] | None = None,
) -> Status | Refusal:
    """Once the machine allows it: the deed, the status, the trail. Raises psycopg.Error."""
    with connection.transaction():
        found = connection.execute(_STANDING, (id_,)).fetchone()
        if found is None:
            return Refusal.UNKNOWN
        row = _Row(*found)
        periods = connection.execute(_PERIODS, (row.rule_set,)).fetchall()
        kind = Kind(row.kind) if row.kind else None
        standing = Standing(Status(row.status), row.owner, row.proposed_by, kind, is_signed(row.day, periods))
        status = after(standing, action, deed.by)
        refusal = status if isinstance(status, Refusal) else and_then(row) if and_then is not None else None
        if refusal is not None:
            return refusal
        assert isinstance(status, Status)
        connection.execute(_SET, (status, status in LIVE, row.owner if owner is None else owner, id_))
        connection.execute(_EVENT, (id_, deed.by, action, row.status, status, deed.because, json_text(told or {})))
        return status
