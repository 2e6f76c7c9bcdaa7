"""Both sides of a run, read in one snapshot: legs of the ledger and lines of files, as the matcher takes them.

Reads the tables of the sink and recon_*. Guarantees: nothing that came after the cut-off is in it; each line has a key
that is the same in every run.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from psycopg import Connection

from payments.identifiers import PAYMENT, format_id, system_account
from payments.money import EXPONENTS, to_minor
from reconciliation.matching.lines import Line
from reconciliation.runs.rules import ACCOUNTS, Books, RunRules
from reconciliation.statement_lines import OWN_REFERENCE

BREAK: Final = "brk"
"""Kind prefix of breaks' ids; an adjustment has one as its reason, and is no movement that a file would show."""

_FETCH_ROWS: Final = 10_000

_LEGS: Final = """
SELECT leg.journal_id, leg.leg_index, leg.account_id, -leg.amount_minor AS amount_minor,
    (leg.posted_at AT TIME ZONE %(zone)s)::date AS day, journal.payment_id,
    coalesce(request.provider_reference, '') AS provider, coalesce(request.idempotency_key, '') AS payment_order,
    coalesce(request.operation, 0) AS operation, coalesce(decision.description, '') AS description
FROM account_legs AS leg
JOIN journal_entries AS journal USING (journal_id)
LEFT JOIN provider_requests AS request ON request.request_id = leg.journal_id
LEFT JOIN decisions AS decision ON decision.payment_id = journal.payment_id
WHERE leg.account_id = ANY(%(accounts)s) AND leg.posted_at < %(cut_off)s
    AND (leg.posted_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s
    AND NOT EXISTS (SELECT FROM causes WHERE operation_id = leg.journal_id AND starts_with(code, 'brk_'))
ORDER BY leg.posted_at, leg.shard, leg.ledger_sequence, leg.entry_index, leg.leg_index"""
_PAYMENTS: Final = """
SELECT journal_id, 0::smallint AS leg_index, NULL::uuid AS account_id, amount_minor,
    (posted_at AT TIME ZONE %(zone)s)::date AS day, payment_id, '' AS provider, '' AS payment_order, 0 AS operation,
    '' AS description, currency
FROM (SELECT DISTINCT ON (payment_id) * FROM journal_entries ORDER BY payment_id, posted_at, journal_id) AS first
WHERE posted_at < %(cut_off)s AND (posted_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s
    AND (cardinality(%(currencies)s::text[]) = 0 OR currency = ANY(%(currencies)s))
ORDER BY posted_at, shard, ledger_sequence, entry_index"""
_LINES: Final = """
SELECT line.line_id, encode(line.fingerprint, 'hex') AS key, file.name, file.format, line.ordinal, line.amount_minor,
    line.currency, line.booked_on, line.reference_texts, line.description, line.type, line.gross_minor, line.fee_minor,
    line.original_amount, statement.source, statement.account
FROM recon_lines AS line
JOIN recon_statements AS statement USING (statement_id)
JOIN recon_files AS file ON file.file_id = line.file_id
WHERE statement.source = ANY(%(sources)s) AND line.repeat_of IS NULL AND line.booked_on BETWEEN %(first)s AND %(last)s
    AND file.brought_at < %(cut_off)s AND line.status = ANY(%(booked)s) AND line.type <> ALL(%(excluded)s)
ORDER BY file.name, file.sha256, line.ordinal"""

OPERATIONS: Final = {1: "charge", 4: "refund", 5: "payout"}
"""What a provider was asked for, as rules' `statuses` name it; whatever else is posted is `posted`."""


class Span(NamedTuple):
    """Which days, and until when what has come counts."""

    first: date
    last: date
    cut_off: datetime


class Known(NamedTuple):
    """What a line is in the tables: `key` is the same in every run; `row` is a line_id, or a journal and its leg."""

    key: str
    row: str
    party: str
    """Whose line it is: an account of the operator, or a source and its account."""


class Sides(NamedTuple):
    """The lines of both sides; `known` by the identity of each, as the matcher hands them on."""

    internal: list[Line]
    external: list[Line]
    known: dict[int, Known]


def read_sides(
    connection: Connection, rules: RunRules, span: Span, advance: Callable[[int], None] = lambda _: None
) -> Sides:
    """Within a transaction. `advance` is told how many more lines were read. Raises psycopg.Error."""
    sides = Sides([], [], {})
    for side, found in (
        (sides.internal, _internal(connection, rules, span)),
        (sides.external, _external(connection, rules, span)),
    ):
        for count, (line, known) in enumerate(found, 1):
            side.append(line)
            sides.known[id(line)] = known
            if count % _FETCH_ROWS == 0:
                advance(_FETCH_ROWS)
        advance(len(side) % _FETCH_ROWS)
    return sides


def system_accounts(books: Books) -> dict[bytes, tuple[str, str]]:
    """Accounts of the operator that the rules name: name and currency."""
    currencies = books.currencies or list(EXPONENTS)
    return {
        system_account(ACCOUNTS[name], currency): (name, currency) for name in books.accounts for currency in currencies
    }


def _rows(connection: Connection, name: str, query: str, named: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(name) as cursor:
        cursor.itersize = _FETCH_ROWS
        yield from cursor.execute(query.encode(), named)


def _internal(connection: Connection, rules: RunRules, span: Span) -> Iterator[tuple[Line, Known]]:
    accounts = system_accounts(rules.books)
    named = span._asdict() | {"zone": rules.zone, "accounts": [account.hex() for account in accounts]}
    named |= {"currencies": rules.books.currencies}
    rows = _rows(connection, "recon_ledger", _LEGS if accounts else _PAYMENTS, named)
    empty = ("",) * len(rules.group_by)
    for number, (journal, leg, account, amount_minor, day, payment, *told) in enumerate(rows, 1):
        provider, order, operation, description, *own = told
        party, currency = accounts[account.bytes] if accounts else ("payments", own[0])
        ids = {"provider": provider, "order": order, "short": payment.hex[-16:].upper()}
        id_ = ids.get(rules.books.id) if rules.books.id in ids else format_id(PAYMENT, payment.bytes)
        status = OPERATIONS.get(operation, "posted")
        line = Line(
            "ledger", number, amount_minor, currency, day, id_ or "", description, empty, "", rules.name, status, status
        )
        row = f"{journal.hex}/{leg}"
        yield line, Known(row, row, party)


def _external(connection: Connection, rules: RunRules, span: Span) -> Iterator[tuple[Line, Known]]:
    told = rules.statements
    named = span._asdict() | {
        "sources": told.sources,
        "booked": list(told.booked),
        "excluded": list(told.exclude_types),
    }
    for row in _rows(connection, "recon_lines", _LINES, named):
        line_id, key, name, format_, ordinal, amount_minor, currency, day, references, description, type_, *more = row
        gross, fee, original, source, account = more
        id_ = references.get(told.id or OWN_REFERENCE.get(format_, ""), "")
        keys = tuple(references.get(told.keys.get(key_, ""), "") for key_ in rules.group_by)
        entry = references.get(told.entry, "") if told.entry else ""
        whole = amount_minor + fee if gross is None and fee is not None else gross
        compared = whole if told.amount == "gross" and whole is not None else amount_minor
        line = Line(
            *(name, ordinal + 1, compared, currency, day, id_, description, keys, entry, rules.name, type_, type_),
            whole,
            fee,
            *_original(original),
        )
        yield line, Known(key, str(line_id), f"{source} {account}".strip())


def _original(text: str) -> tuple[int | None, str]:
    """ "100.00 USD" in minor units; nothing where it is not that."""
    amount, _, currency = text.partition(" ")
    try:
        minor = to_minor(abs(Decimal(amount)), currency) if amount else None
    except InvalidOperation:
        return None, ""
    if not isinstance(minor, int):
        return None, ""
    return (-minor if amount.startswith("-") else minor), currency
