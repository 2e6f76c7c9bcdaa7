"""What entries and statements look like as JSON: one Struct each, for encoding and for OpenAPI alike."""

import msgspec

from ingest_api.http.resources import account_text, rfc3339
from ingest_api.statements.formats.rendering import Head
from ingest_api.statements.history import Page
from ingest_api.statements.kinds import LineKind
from ingest_api.statements.line import Line
from ingest_api.statements.totals import KindTotal
from payments.identifiers import JOURNAL, format_id
from payments.money import format_minor


class AccountEntry(msgspec.Struct):
    """One entry with the posted balance after it. Credits are positive, debits negative.

    `counterparty_name` says what an account of the operator is for. `fee` is what the operator has charged for the
    payment, to the one party or the other.
    """

    journal_id: str
    at: str
    kind: str
    amount: str
    amount_minor: int
    balance: str
    balance_minor: int
    counterparty: str | None
    counterparty_name: str | None
    description: str
    fee: str
    fee_minor: int


class AccountEntryPage(msgspec.Struct):
    """Entries in the order that was asked for, with the posted balance before the earliest and after the latest."""

    account: str
    currency: str
    opening_balance: str
    opening_balance_minor: int
    closing_balance: str
    closing_balance_minor: int
    items: list[AccountEntry]
    has_more: bool
    next_cursor: str | None


class StatementTotal(msgspec.Struct):
    """What of one kind came in and went out."""

    kind: str
    credits: int
    credited: str
    credited_minor: int
    fees_on_credits: str
    fees_on_credits_minor: int
    debits: int
    debited: str
    debited_minor: int
    fees_on_debits: str
    fees_on_debits_minor: int


class Statement(msgspec.Struct, rename={"start": "from", "end": "to"}):
    """A month or a year (UTC) of an account: `from` is inclusive, `to` exclusive. `final`: no entry can join any more.

    The closing balance is the opening balance of the next period; available, held and incoming are as they stood then.
    """

    account: str
    currency: str
    month: str | None
    year: str | None
    start: str
    end: str
    as_of: str
    final: bool
    opening_balance: str
    opening_balance_minor: int
    closing_balance: str
    closing_balance_minor: int
    closing_available: str
    closing_available_minor: int
    closing_held: str
    closing_held_minor: int
    closing_incoming: str
    closing_incoming_minor: int
    entries: list[AccountEntry]
    totals: list[StatementTotal]


RESOURCES: tuple[type, ...] = (AccountEntryPage, Statement)


def shown_entry(line: Line, currency: str) -> AccountEntry:
    """The entry as JSON shows it."""
    return AccountEntry(
        journal_id=format_id(JOURNAL, line.journal_id),
        at=rfc3339(line.place.posted_at),
        kind=line.kind,
        amount=format_minor(line.amount_minor, currency),
        amount_minor=line.amount_minor,
        balance=format_minor(line.balance_minor, currency),
        balance_minor=line.balance_minor,
        counterparty=account_text(line.counterparty) if line.counterparty is not None else None,
        counterparty_name=line.counterparty_name or None,
        description=line.description,
        fee=format_minor(line.fee_minor, currency),
        fee_minor=line.fee_minor,
    )


def shown_total(kind: LineKind, total: KindTotal, currency: str) -> StatementTotal:
    """The totals of a kind as JSON shows them."""
    return StatementTotal(
        kind=kind,
        credits=total.credits,
        credited=format_minor(total.credited_minor, currency),
        credited_minor=total.credited_minor,
        fees_on_credits=format_minor(total.fees_on_credits_minor, currency),
        fees_on_credits_minor=total.fees_on_credits_minor,
        debits=total.debits,
        debited=format_minor(total.debited_minor, currency),
        debited_minor=total.debited_minor,
        fees_on_debits=format_minor(total.fees_on_debits_minor, currency),
        fees_on_debits_minor=total.fees_on_debits_minor,
    )


def shown_head(head: Head) -> Statement:
    """The statement without its entries and totals."""
    return Statement(
        account=account_text(head.account),
        currency=head.currency,
        **{"month": None, "year": None, head.period.word: str(head.period)},
        start=rfc3339(head.start),
        end=rfc3339(head.end),
        as_of=rfc3339(head.as_of),
        final=head.is_final,
        opening_balance=format_minor(head.opening_minor, head.currency),
        opening_balance_minor=head.opening_minor,
        closing_balance=format_minor(head.closing_minor, head.currency),
        closing_balance_minor=head.closing_minor,
        closing_available=format_minor(head.available_minor, head.currency),
        closing_available_minor=head.available_minor,
        closing_held=format_minor(head.held_minor, head.currency),
        closing_held_minor=head.held_minor,
        closing_incoming=format_minor(head.incoming_minor, head.currency),
        closing_incoming_minor=head.incoming_minor,
        entries=[],
        totals=[],
    )


def shown_page(account: bytes, page: Page, next_cursor: str | None) -> AccountEntryPage:
    """A page of entries as JSON shows it."""
    return AccountEntryPage(
        account=account_text(account),
        currency=page.currency,
        opening_balance=format_minor(page.opening_minor, page.currency),
        opening_balance_minor=page.opening_minor,
        closing_balance=format_minor(page.closing_minor, page.currency),
        closing_balance_minor=page.closing_minor,
        items=[shown_entry(line, page.currency) for line in page.lines],
        has_more=page.has_more,
        next_cursor=next_cursor,
    )
