"""Both sides of a run, read in one snapshot: legs of the ledger and lines of files, as the matcher takes them.

Reads the tables of the sink and recon_*. Guarantees: nothing that came after the cut-off is in it; each line has a key
that is the same in every run; the lines of a run and those that are read as they come stand in one order.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.pq import Format
from psycopg.types.json import set_json_loads

from payments.identifiers import PAYMENT, format_id, system_account
from payments.money import EXPONENTS, to_minor
from reconciliation.matching.lines import Line
from reconciliation.runs.rules import ACCOUNTS, Books, RunRules
from reconciliation.statement_lines import OWN_REFERENCE

BREAK: Final = "brk"
"""Kind prefix of breaks' ids; an adjustment has one as its reason, and is no movement that a file would show."""

_FETCH_ROWS: Final = 10_000
_EVER: Final = datetime.max.replace(tzinfo=UTC)

_LEGS: Final = """
SELECT leg.journal_id, leg.leg_index, leg.account_id, -leg.amount_minor AS amount_minor,
    (leg.posted_at AT TIME ZONE %(zone)s)::date AS day, journal.payment_id,
    coalesce(request.provider_reference, '') AS provider, coalesce(request.idempotency_key, '') AS payment_order,
    coalesce(request.operation, 0) AS operation, coalesce(decision.description, '') AS description, {place}
FROM account_legs AS leg
JOIN journal_entries AS journal USING (journal_id)
LEFT JOIN provider_requests AS request ON request.request_id = leg.journal_id
LEFT JOIN decisions AS decision ON decision.payment_id = journal.payment_id
WHERE leg.account_id = ANY(%(accounts)s) AND {wanted}
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
    '' AS description, '' AS place, 0 AS ledger_sequence, currency
FROM (SELECT DISTINCT ON (payment_id) * FROM journal_entries ORDER BY payment_id, posted_at, journal_id) AS first
WHERE posted_at < %(cut_off)s AND (posted_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s
    AND (cardinality(%(currencies)s::text[]) = 0 OR currency = ANY(%(currencies)s))
ORDER BY posted_at, shard, ledger_sequence, entry_index"""
_LINES: Final = """
SELECT line.line_id, encode(line.fingerprint, 'hex') AS key, file.name, left(encode(file.sha256, 'hex'), 12) AS bytes,
    file.format, line.ordinal, line.amount_minor, line.currency, line.booked_on, line.reference_texts, line.description,
    line.type, line.gross_minor, line.fee_minor, line.original_amount, statement.source, statement.account
FROM recon_lines AS line
JOIN recon_statements AS statement USING (statement_id)
JOIN recon_files AS file ON file.file_id = line.file_id
WHERE statement.source = ANY(%(sources)s) AND line.repeat_of IS NULL AND line.booked_on BETWEEN %(first)s AND %(last)s
    AND {wanted} AND line.status = ANY(%(booked)s) AND line.type <> ALL(%(excluded)s)
ORDER BY file.name COLLATE "C", file.sha256, line.ordinal"""
_RUN_LINES: Final = _LINES.format(wanted="file.brought_at < %(cut_off)s")
_NEW_LINES: Final = _LINES.format(wanted="line.file_id = ANY(%(files)s)")

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


class New(NamedTuple):
    """What has come, and by shard the ledger_sequence that comes next."""

    sides: Sides
    positions: dict[int, int]


def read_sides(
    connection: Connection, rules: RunRules, span: Span, advance: Callable[[int], None] = lambda _: None
) -> Sides:
    """Within a transaction. `advance` is told how many more lines were read. Raises psycopg.Error."""
    sides = Sides([], [], {})
    ours, theirs = _ledger_names(rules, span.first), _file_names(rules, span)
    query = _RUN_LEGS if rules.books.accounts else _PAYMENTS
    internal = _rows(connection, query, ours | span._asdict())
    external = _rows(connection, _RUN_LINES, theirs)
    _add(sides, sides.internal, (told for told, _ in _legs(internal, rules)), advance)
    _add(sides, sides.external, _file_lines(external, rules), advance)
    return sides


def read_new(
    connection: Connection, rules: RunRules, first: date, positions: Mapping[int, int], files: Sequence[UUID]
) -> New:
    """Within a transaction: legs from these positions on, and lines of these files, of any day from the first. Records
    of the ledger are whole in its tables or not at all, and those of a shard come in order. Raises psycopg.Error.
    """
    sides, after = Sides([], [], {}), dict(positions)
    for shard, sequence in positions.items():
        rows = _rows(connection, _NEW_LEGS, _ledger_names(rules, first) | {"shard": shard, "sequence": sequence})
        for told, at in _legs(rows, rules):
            _add(sides, sides.internal, [told])
            after[shard] = max(after[shard], at + 1)
    if files:
        named = _file_names(rules, Span(first, date.max, _EVER)) | {"files": list(files)}
        _add(sides, sides.external, _file_lines(_rows(connection, _NEW_LINES, named), rules))
    return New(sides, after)


def _add(
    sides: Sides, side: list[Line], found: Iterable[tuple[Line, Known]], advance: Callable[[int], None] = lambda _: None
) -> None:
    for count, (line, known) in enumerate(found, 1):
        side.append(line)
        sides.known[id(line)] = known
        if count % _FETCH_ROWS == 0:
            advance(_FETCH_ROWS)
    advance(len(side) % _FETCH_ROWS)


def system_accounts(books: Books) -> dict[bytes, tuple[str, str]]:
    """Accounts of the operator that the rules name: name and currency."""
    currencies = books.currencies or list(EXPONENTS)
    return {
        system_account(ACCOUNTS[name], currency): (name, currency) for name in books.accounts for currency in currencies
    }


def _rows(connection: Connection, query: str, named: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor("recon_lines") as cursor:
        set_json_loads(msgspec.json.decode, cursor)
        cursor.itersize, cursor.format = _FETCH_ROWS, Format.BINARY
        yield from cursor.execute(query.encode(), named)


def _ledger_names(rules: RunRules, first: date) -> dict[str, Any]:
    accounts = [account.hex() for account in system_accounts(rules.books)]
    return {"first": first, "zone": rules.zone, "accounts": accounts, "currencies": rules.books.currencies}


def _file_names(rules: RunRules, span: Span) -> dict[str, Any]:
    told = rules.statements
    excluded = list(told.exclude_types)
    return span._asdict() | {"sources": told.sources, "booked": list(told.booked), "excluded": excluded}


def _legs(rows: Iterable[tuple[Any, ...]], rules: RunRules) -> Iterator[tuple[tuple[Line, Known], int]]:
    """Lines in order, with their sequence in the ledger. Those of a run stand where they came, the others at their own
    place of the ledger: both in one order.
    """
    accounts, empty = system_accounts(rules.books), ("",) * len(rules.group_by)
    days: dict[date, date] = {}  # one object a day, and one text a word: of a million lines 150 MB less
    for number, (journal, leg, account, amount_minor, day, payment, *told) in enumerate(rows, 1):
        provider, order, operation, description, place, sequence, *own = told
        party, currency = accounts[account.bytes] if accounts else ("payments", own[0])
        id_ = _own_id(rules.books.id, payment, order, provider)
        status = OPERATIONS.get(operation, "posted")
        file, at = (place, leg) if place else ("ledger", number)
        line = Line(
            *(file, at, amount_minor, currency, days.setdefault(day, day), id_, description, empty),
            *("", rules.name, status, status),
        )
        row = f"{journal.hex}/{leg}"
        yield (line, Known(row, row, party)), sequence


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


def _file_lines(rows: Iterable[tuple[Any, ...]], rules: RunRules) -> Iterator[tuple[Line, Known]]:
    told, days, words = rules.statements, dict[date, date](), sys.intern
    for line_id, key, name, bytes_, format_, ordinal, amount_minor, currency, day, references, *more in rows:
        description, type_, gross, fee, original, source, account = more
        id_ = references.get(told.id or OWN_REFERENCE.get(format_, ""), "")
        keys = tuple(references.get(told.keys.get(key_, ""), "") for key_ in rules.group_by)
        entry = references.get(told.entry, "") if told.entry else ""
        whole = amount_minor + fee if gross is None and fee is not None else gross
        compared = whole if told.amount == "gross" and whole is not None else amount_minor
        file, currency, type_ = words(f"{name} {bytes_}"), words(currency), words(type_)
        line = Line(
            *(file, ordinal + 1, compared, currency, days.setdefault(day, day), id_, description, keys, entry),
            *(rules.name, type_, type_),
            whole,
            fee,
            *_original(original),
        )
        yield line, Known(key, str(line_id), words(f"{source} {account}".strip()))


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
