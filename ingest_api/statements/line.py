"""One entry of an account as a statement shows it, and the SQL that finds it.

The order of an account is that of its entries' places: ledger time, then shard, sequence, index and leg.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.statements.kinds import LineKind, Posted, line_kind
from payments.commerce.connector import ConnectorOperation
from payments.entries import EntryKind
from payments.identifiers import NIL, is_system, system_account
from payments.items.details import CauseKind
from payments.postings import SystemAccount

PLACE_COLUMNS: Final = "posted_at, shard, ledger_sequence, entry_index, leg_index"

LEG_COLUMNS: Final = f"{PLACE_COLUMNS}, journal_id, amount_minor"
ARMS: Final = ("debit_legs", "credit_legs", "journal_legs")
"""Of account_legs."""

ABOUT: Final = f"""
    CROSS JOIN LATERAL (
        SELECT kind, debit_account, credit_account, stated_legs FROM journal_entries
        WHERE journal_id = leg.journal_id LIMIT 1
    ) AS headline
    LEFT JOIN LATERAL (
        SELECT cause_kind FROM causes WHERE operation_id = leg.journal_id ORDER BY kind LIMIT 1
    ) AS cause ON true
    LEFT JOIN provider_requests AS request ON request.request_id = leg.journal_id
        AND headline.kind = {EntryKind.JOURNAL_POSTED:d}
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount_minor) FILTER (WHERE account_id = %(fees)s), 0)::bigint AS fee_minor,
            count(DISTINCT currency) > 1 AS is_exchange
        FROM journal_legs WHERE journal_id = leg.journal_id AND headline.stated_legs > 0
    ) AS stated ON true"""
"""What a leg of account_legs (`leg`) belongs to. The fee is what its journal entry credits to `fees`. A journal
may have waited for a provider. The headline is looked up leg by leg: joined, it
is read whole for a hash now and then."""

LINE_COLUMNS: Final = """leg.posted_at, leg.shard, leg.ledger_sequence, leg.entry_index, leg.leg_index, leg.journal_id,
    leg.amount_minor, headline.kind, headline.debit_account, headline.credit_account, cause.cause_kind,
    request.operation, stated.fee_minor, stated.is_exchange,
    coalesce(
        (SELECT description FROM decisions WHERE payment_id = leg.journal_id),
        (SELECT description FROM account_events WHERE operation_id = leg.journal_id)
    ) AS description"""


class Place(NamedTuple):
    """Where a leg stands in the order of its account."""

    posted_at: datetime
    shard: int
    ledger_sequence: int
    entry_index: int
    leg_index: int


class Line(NamedTuple):
    """One entry of the account. Credits are positive, debits negative."""

    place: Place
    journal_id: bytes
    kind: LineKind
    amount_minor: int
    balance_minor: int
    """Posted balance after the entry."""
    counterparty: bytes | None
    """None where a journal names no one account."""
    description: str
    fee_minor: int
    """What the operator has charged for it, to the one party or the other."""

    @property
    def counterparty_name(self) -> str:
        """What an account of the operator is for; empty for a customer's."""
        return system_name(self.counterparty) if self.counterparty is not None else ""


def line_of(account: bytes, row: Mapping[str, Any], balance_minor: int) -> Line:
    """The line of a row of LINE_COLUMNS. `balance_minor`: after it."""
    posted = posted_of(row)
    return Line(
        place_of(row),
        row["journal_id"].bytes,
        line_kind(posted),
        row["amount_minor"],
        balance_minor,
        _counterparty(account, posted),
        row["description"] or "",
        0 if posted.kind is EntryKind.JOURNAL_POSTED else row["fee_minor"],
    )


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a row of PLACE_COLUMNS stands."""
    return Place(*(row[name] for name in Place._fields))


def posted_of(row: Mapping[str, Any]) -> Posted:
    """What tells the kind of a row."""
    cause, operation = row["cause_kind"], row["operation"]
    return Posted(
        EntryKind(row["kind"]),
        CauseKind(cause) if cause is not None else None,
        row["debit_account"].bytes,
        row["credit_account"].bytes,
        row["is_exchange"],
        ConnectorOperation(operation) if operation is not None else None,
    )


def fees_account(currency: str) -> UUID:
    """The parameter `fees` of ABOUT."""
    return UUID(bytes=system_account(SystemAccount.FEES, currency))


def _counterparty(account: bytes, posted: Posted) -> bytes | None:
    """The other party of the headline; a party that is neither (an account among many legs) has none."""
    parties = posted.debit_account, posted.credit_account
    if account not in parties or NIL in parties:
        return None
    return parties[0] if account == parties[1] else parties[1]


def system_name(account: bytes) -> str:
    """`cash clearing` for the operator's account of that purpose; empty for every other account."""
    code = int.from_bytes(account[8:10], "big")
    if not is_system(account) or code not in set(SystemAccount):
        return ""
    return SystemAccount(code).name.lower().replace("_", " ")
