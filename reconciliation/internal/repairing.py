"""What is done about a finding: an inquiry is asked for, or a journal proposed. A second time is nothing.

Writes recon_inquiries, which the connectors send, and proposals through the breaks desk; the ledger is moved by the
answer of the provider or by a second person's approval, never from here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.items.details import Posting
from reconciliation.breaks import desk
from reconciliation.breaks.desk import Deed, Proposal
from reconciliation.breaks.machine import Kind, Refusal, Status
from reconciliation.internal.findings import Repair
from reconciliation.internal.reads import StoredFinding, find_finding

ANSWERED_WITHIN: Final = timedelta(hours=2)
"""An inquiry that is older and unanswered is lost; the next one has another number. The connectors end one within two
minutes, unless they are away."""

_LAST: Final = """
SELECT attempt, asked_at, refusal FROM recon_inquiries WHERE request_id = %s ORDER BY attempt DESC LIMIT 1"""
_ASK: Final = """
INSERT INTO recon_inquiries (request_id, attempt, break_id, ledger_shard, ledger_offset, entry_index, asked_by,
    asked_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING attempt"""


class Done(StrEnum):
    """What became of a repair."""

    ASKED = "asked"
    PROPOSED = "proposed"
    WOULD_ASK = "would_ask"
    WOULD_PROPOSE = "would_propose"
    UNDER_WAY = "under_way"
    """An inquiry, a proposal or its journal is on its way."""
    FOR_PEOPLE = "for_people"
    """No rule could put it right."""
    ENDED = "ended"
    """Nobody has to do anything about it any more."""
    UNKNOWN = "unknown"
    """There is no such finding."""


class Repaired(NamedTuple):
    """One finding, and what was done. `attempt` is that of an inquiry, 0 without one."""

    break_id: UUID
    done: Done
    attempt: int = 0


class By(NamedTuple):
    """Who repairs, when, and whether only to tell what would be done."""

    person: str
    now: datetime
    is_dry: bool = False


def repair(connection: Connection, ids: Iterable[UUID], by: By) -> list[Repaired]:
    """One after another, each in a transaction of its own. Raises psycopg.Error."""
    return [_repaired(connection, id_, by) for id_ in ids]


def _repaired(connection: Connection, id_: UUID, by: By) -> Repaired:
    with connection.transaction():
        found = find_finding(connection, id_, is_locked=not by.is_dry)
        if found is None:
            return Repaired(id_, Done.UNKNOWN)
        status = Status(found.status)
        if status not in {Status.OPEN, Status.ASSIGNED}:
            return Repaired(id_, Done.UNDER_WAY if status in {Status.PROPOSED, Status.APPROVED} else Done.ENDED)
        match Repair(found.repair):
            case Repair.INQUIRE | Repair.REPLAY_RESULT:
                return _inquired(connection, found, by)
            case Repair.ADJUST:
                return _proposed(connection, found, by)
            case Repair.NONE:
                return Repaired(id_, Done.FOR_PEOPLE)


def _inquired(connection: Connection, found: StoredFinding, by: By) -> Repaired:
    last = connection.execute(_LAST, (found.subject_id,)).fetchone()
    number = max(found.attempt, 1)
    if last is not None:
        attempt, asked_at, refusal = last
        if refusal:
            return Repaired(found.break_id, Done.FOR_PEOPLE, attempt)
        if attempt > found.attempt and asked_at > by.now - ANSWERED_WITHIN:
            return Repaired(found.break_id, Done.UNDER_WAY, attempt)
        number = max(number, attempt)
    if by.is_dry:
        return Repaired(found.break_id, Done.WOULD_ASK, number + 1)
    row = (found.subject_id, number + 1, found.break_id, *found.asked_in, by.person, by.now)
    if connection.execute(_ASK, row).fetchone() is None:
        return Repaired(found.break_id, Done.UNDER_WAY, number + 1)
    desk.comment(connection, found.break_id, Deed(by.person, f"{found.repair}: attempt {number + 1} was asked for"))
    return Repaired(found.break_id, Done.ASKED, number + 1)


def _proposed(connection: Connection, found: StoredFinding, by: By) -> Repaired:
    if by.is_dry:
        return Repaired(found.break_id, Done.WOULD_PROPOSE)
    legs = tuple(Posting(UUID(account).bytes, minor, currency) for account, minor, currency in found.legs)
    proposal, deed = Proposal(Kind.ADJUST, found.type, legs), Deed(by.person, found.reason)
    refused = isinstance(desk.propose(connection, found.break_id, proposal, deed), Refusal)
    return Repaired(found.break_id, Done.FOR_PEOPLE if refused else Done.PROPOSED)
