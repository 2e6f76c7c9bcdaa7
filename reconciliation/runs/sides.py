"""Both sides of a run, read in one snapshot: legs of the ledger and lines of files, as the matcher takes them.

Reads the tables of the sink and recon_*. Guarantees: nothing that came after the cut-off is in it; each line has a key
that is the same in every run; the lines of a run and those that are read as they come stand in one order.
"""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.pq import Format

from payments.identifiers import PAYMENT, format_id, system_account
from payments.money import EXPONENTS, to_minor
from reconciliation.matching.lines import Line
from reconciliation.runs.rules import ACCOUNTS, Books, RunRules
from reconciliation.statement_lines import OWN_REFERENCE
from reconciliation.store.importing import json_text

BREAK: Final = "brk"
"""Kind prefix of breaks' ids; an adjustment has one as its reason, and is no movement that a file would show."""

_FETCH_ROWS: Final = 10_000
_EVER: Final = datetime.max.replace(tzinfo=UTC)

_LEGS: Final = """
SELECT leg.journal_id, leg.leg_index, leg.account_id, -leg.amount_minor AS amount_minor,
    (leg.posted_at AT TIME ZONE %(zone)s)::date AS day, coalesce(fee.cause_id, journal.payment_id) AS payment_id,
    coalesce(request.provider_reference, '') AS provider, coalesce(request.idempotency_key, '') AS payment_order,
    coalesce(request.operation, 0) AS operation, coalesce(decision.description, '') AS description,
    fee.cause_id IS NOT NULL AS is_fee, {place}
FROM account_legs AS leg
JOIN journal_entries AS journal USING (journal_id)
LEFT JOIN causes AS fee ON fee.operation_id = leg.journal_id AND fee.code = 'provider_fee'
LEFT JOIN provider_requests AS request ON request.request_id = coalesce(fee.cause_id, leg.journal_id)
LEFT JOIN decisions AS decision ON decision.payment_id = journal.payment_id
WHERE leg.account_id = ANY(%(accounts)s) AND {wanted} AND (%(net)s OR fee.cause_id IS NULL)
    AND NOT EXISTS (SELECT FROM causes WHERE operation_id = leg.journal_id AND starts_with(code, 'brk_'))
    AND NOT EXISTS (SELECT FROM recon_proposals AS adjusts WHERE adjusts.journal_id = leg.journal_id)
ORDER BY leg.posted_at, leg.shard, leg.ledger_sequence, leg.entry_index, leg.leg_index"""
_UNTIL: Final = """leg.posted_at < %(cut_off)s
    AND (leg.posted_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s"""
_FROM: Final = """leg.shard = %(shard)s AND leg.ledger_sequence >= %(sequence)s
    AND leg.account_id < '00000000-0000-0001-0000-000000000000'
    AND (leg.posted_at AT TIME ZONE %(zone)s)::date >= %(first)s"""
"""By journal_entries_of_system: legs of the operator's accounts in the order of the ledger."""

_PLACE: Final = """to_char(leg.posted_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') || lpad(leg.shard::text, 6, '0')
    || lpad(leg.ledger_sequence::text, 19, '0') || lpad(leg.entry_index::text, 10, '0') AS place, leg.ledger_sequence"""
_RUN_LEGS: Final = _LEGS.format(place="'' AS place, 0 AS ledger_sequence", wanted=_UNTIL)
_NEW_LEGS: Final = _LEGS.format(place=_PLACE, wanted=_FROM)
_PAYMENTS: Final = """
SELECT journal_id, 0::smallint AS leg_index, NULL::uuid AS account_id, amount_minor,
    (posted_at AT TIME ZONE %(zone)s)::date AS day, payment_id, '' AS provider, '' AS payment_order, 0 AS operation,
    '' AS description, false AS is_fee, '' AS place, 0 AS ledger_sequence, currency
FROM (SELECT DISTINCT ON (payment_id) * FROM journal_entries ORDER BY payment_id, posted_at, journal_id) AS first
WHERE NOT EXISTS (SELECT FROM causes WHERE operation_id = journal_id AND code = 'provider_fee')
    AND posted_at < %(cut_off)s AND (posted_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s
    AND (cardinality(%(currencies)s::text[]) = 0 OR currency = ANY(%(currencies)s))
ORDER BY posted_at, shard, ledger_sequence, entry_index"""
_LINES: Final = """
SELECT file.name || ' ' || left(encode(file.sha256, 'hex'), 12), line.ordinal, line.amount_minor, line.currency,
    line.booked_on, coalesce(line.reference_texts ->> coalesce(%(id)s::text, %(own)s::jsonb ->> file.format), ''),
    line.description, {keys}, coalesce(line.reference_texts ->> %(entry)s::text, ''), line.type, line.gross_minor,
    line.fee_minor, line.original_amount, encode(line.fingerprint, 'hex'), line.line_id,
    btrim(statement.source || ' ' || statement.account)
FROM recon_lines AS line
JOIN recon_statements AS statement USING (statement_id)
JOIN recon_files AS file ON file.file_id = line.file_id
WHERE statement.source = ANY(%(sources)s) AND line.repeat_of IS NULL AND line.booked_on BETWEEN %(first)s AND %(last)s
    AND {wanted} AND line.status = ANY(%(booked)s) AND line.type <> ALL(%(excluded)s)"""
"""In no order: matching takes lines by their places."""

_BROUGHT: Final = "file.brought_at < %(cut_off)s"
_OF_FILES: Final = "line.file_id = ANY(%(files)s)"

OPERATIONS: Final = {1: "charge", 4: "refund", 5: "payout"}
"""What a provider was asked for, as rules' `statuses` name it; whatever else is posted is `posted`."""


WITH_FEES: Final = frozenset({1, 4})
"""A payout to somebody is told without its fee."""

PROVIDER_FEE: Final = "provider_fee"


class Span(NamedTuple):
    """Which days, and until when what has come counts."""

    first: date
    last: date
    cut_off: datetime


class Sides(NamedTuple):
    """The lines of both sides."""

    internal: list[Line]
    external: list[Line]


class New(NamedTuple):
    """What has come, and by shard the ledger_sequence that comes next."""

    sides: Sides
    positions: dict[int, int]


def read_sides(
    connection: Connection, rules: RunRules, span: Span, advance: Callable[[int], None] = lambda _: None
) -> Sides:
    """Within a transaction. `advance` is told how many more lines were read. Raises psycopg.Error."""
    sides = Sides([], [])
    ours, theirs = _ledger_names(rules, span.first), _file_names(rules, span)
    query = _RUN_LEGS if rules.books.accounts else _PAYMENTS
    internal = _rows(connection, query, ours | span._asdict())
    external = _rows(connection, _lines_query(rules, _BROUGHT), theirs)
    _add(sides.internal, (line for line, _ in _legs(internal, rules)), advance)
    _add(sides.external, _file_lines(external, rules), advance)
    return sides


def read_new(
    connection: Connection, rules: RunRules, first: date, positions: Mapping[int, int], files: Sequence[UUID]
) -> New:
    """Within a transaction: legs from these positions on, and lines of these files, of any day from the first. Records
    of the ledger are whole in its tables or not at all, and those of a shard come in order. Raises psycopg.Error.
    """
    sides, after = Sides([], []), dict(positions)
    for shard, sequence in positions.items():
        rows = _rows(connection, _NEW_LEGS, _ledger_names(rules, first) | {"shard": shard, "sequence": sequence})
        for line, at in _legs(rows, rules):
            sides.internal.append(line)
            after[shard] = max(after[shard], at + 1)
    if files:
        named = _file_names(rules, Span(first, date.max, _EVER)) | {"files": list(files)}
        sides.external.extend(_file_lines(_rows(connection, _lines_query(rules, _OF_FILES), named), rules))
    return New(sides, after)


def _add(side: list[Line], found: Iterator[Line], advance: Callable[[int], None]) -> None:
    while some := list(itertools.islice(found, _FETCH_ROWS)):
        side += some
        advance(len(some))


def system_accounts(books: Books) -> dict[bytes, tuple[str, str]]:
    """Accounts of the operator that the rules name: name and currency."""
    currencies = books.currencies or list(EXPONENTS)
    return {
        system_account(ACCOUNTS[name], currency): (name, currency) for name in books.accounts for currency in currencies
    }


def _rows(connection: Connection, query: str, named: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor("recon_lines") as cursor:
        cursor.itersize, cursor.format = _FETCH_ROWS, Format.BINARY
        yield from cursor.execute(query.encode(), named)


def _ledger_names(rules: RunRules, first: date) -> dict[str, Any]:
    accounts = [account.hex() for account in system_accounts(rules.books)]
    is_net = rules.statements.amount == "net"
    return {
        "first": first,
        "zone": rules.zone,
        "accounts": accounts,
        "currencies": rules.books.currencies,
        "net": is_net,
    }


def _file_names(rules: RunRules, span: Span) -> dict[str, Any]:
    told = rules.statements
    names = {f"key_{index}": told.keys.get(key, "") for index, key in enumerate(rules.group_by)}
    return {
        **span._asdict(),
        **names,
        "sources": told.sources,
        "booked": list(told.booked),
        "excluded": list(told.exclude_types),
        "id": told.id or None,
        "own": json_text(OWN_REFERENCE),
        "entry": told.entry or None,
    }


def _lines_query(rules: RunRules, wanted: str) -> str:
    keys = (f"coalesce(line.reference_texts ->> %(key_{index})s::text, '')" for index in range(len(rules.group_by)))
    return _LINES.format(keys=f"ARRAY[{', '.join(keys)}]::text[]", wanted=wanted)


def _legs(rows: Iterable[tuple[Any, ...]], rules: RunRules) -> Iterator[tuple[Line, int]]:
    """Lines in order, with their sequence in the ledger. Those of a run stand where they came, the others at their own
    place of the ledger: both in one order.
    """
    accounts, empty = system_accounts(rules.books), ("",) * len(rules.group_by)
    is_net = rules.statements.amount == "net"
    days: dict[date, date] = {}  # one object a day, and one text a word: of a million lines 150 MB less
    for number, (journal, leg, account, amount_minor, day, payment, *told) in enumerate(rows, 1):
        provider, order, operation, description, is_fee, place, sequence, *own = told
        party, currency = accounts[account.bytes] if accounts else ("payments", own[0])
        id_ = _own_id(rules.books.id, payment, order, provider)
        status = OPERATIONS.get(operation, "posted")
        file, at = (place, leg) if place else ("ledger", number)
        gross_minor, fee_minor = _gross_and_fee(amount_minor, operation, is_fee=is_fee, told=is_net)
        line = Line(
            *(file, at, amount_minor, currency, days.setdefault(day, day), id_, description, empty),
            *("", rules.name, PROVIDER_FEE if is_fee else status, status),
            gross_minor,
            fee_minor,
            key=(row := f"{journal.hex}/{leg}"),
            row=row,
            party=party,
        )
        yield line, sequence


def _gross_and_fee(amount_minor: int, operation: int, *, is_fee: bool, told: bool) -> tuple[int | None, int | None]:
    """The ledger posts what a provider keeps as an entry of its own: with that of the payment it is gross less fee."""
    if is_fee and told:
        return 0, -amount_minor
    return (amount_minor, 0) if told and operation in WITH_FEES else (None, None)


def _own_id(kind: str, payment: UUID, order: str, provider: str) -> str:
    match kind:
        case "order":
            return order
        case "provider":
            return provider
        case "short":
            return payment.hex[-16:].upper()
        case _:
            return format_id(PAYMENT, payment.bytes)


def _file_lines(rows: Iterable[tuple[Any, ...]], rules: RunRules) -> Iterator[Line]:
    is_gross, days, words = rules.statements.amount == "gross", dict[date, date](), sys.intern
    for file, ordinal, amount_minor, currency, day, id_, description, keys, entry, *more in rows:
        type_, gross, fee, original, key, line_id, party = more
        whole = amount_minor + fee if gross is None and fee is not None else gross
        compared = whole if is_gross and whole is not None else amount_minor
        told = words(type_)
        yield Line(
            *(words(file), ordinal + 1, compared, words(currency), days.setdefault(day, day), id_, description),
            *(tuple(keys), entry, rules.name, told, told),
            compared if whole == compared else whole,
            fee,
            *(_original(original) if original else (None, "")),
            *(key, str(line_id), words(party)),
        )


def _original(text: str) -> tuple[int | None, str]:
    """ "100.00 USD" in minor units; nothing where it is not that."""
    amount, _, currency = text.partition(" ")
    try:
        minor = to_minor(abs(Decimal(amount)), currency)
    except InvalidOperation:
        return None, ""
    if not isinstance(minor, int):
        return None, ""
    return (-minor if amount.startswith("-") else minor), currency
