"""All sides of every movement and wallet, out of the tables of the ledger: in batches by key, bounded in memory.

Reads alone, in the transaction of the caller: one snapshot for all batches.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.entries import EntryKind
from payments.items.details import OPEN_ITEMS, OrderStatus, ProviderRequest
from reconciliation.internal.views import (
    AttemptView,
    InFlight,
    JournalView,
    LedgerView,
    Movement,
    OrderView,
    Place,
    ProviderView,
    Wallet,
    WalletView,
)
from reconciliation.runs.rules import INTERNAL

BATCH: Final = 1_000
"""Movements a query: 1 MB of views."""

_NIL: Final = UUID(int=0)

_LIVE: Final = f"""
SELECT subject_id FROM recon_findings JOIN recon_breaks USING (break_id) WHERE rule_set = '{INTERNAL}' AND is_live"""
_CONTRADICTED: Final = "SELECT request_id FROM attempt_settlements WHERE contradiction <> ''"
"""What people have settled, and the provider has said otherwise since: unasked, and whenever it was."""

_OF_SCOPE: Final = f"""
    SELECT id FROM (
        (
            SELECT order_id AS id FROM payment_orders
            WHERE order_id > %(after)s AND (
                changed_at >= %(since)s OR status < {OrderStatus.SUCCESS:d} OR order_id IN ({_LIVE})
            ) ORDER BY order_id LIMIT %(rows)s
        ) UNION (
            SELECT request_id FROM provider_requests
            WHERE request_id > %(after)s AND (
                changed_at >= %(since)s OR is_open OR request_id IN ({_LIVE}) OR request_id IN ({_CONTRADICTED})
            )
            ORDER BY request_id LIMIT %(rows)s
        )
    ) AS both_tables ORDER BY id LIMIT %(rows)s"""
_NAMED: Final = "SELECT id FROM unnest(%(ids)s::uuid[]) AS id"
_VIEWS: Final = f"""
SELECT chosen.id, least(placed.opened_at, request.opened_at) AS opened_at,
    placed.payment_order_id, placed.status, placed.amount_minor, placed.currency, placed.refunded_minor,
    refunds.minor, placed.changed_at,
    request.provider, request.operation, parent.order_id IS NOT NULL, request.amount_minor,
    request.currency, request.attempt, request.outcome, request.attempt_follows, request.provider_reference,
    request.is_open, asked.decided_at, asked.shard, asked.ledger_offset, asked.entry_index, request.changed_at,
    journal.legs, journal.is_open, journal.refusal, journal.changed_at,
    entry.amount_minor, entry.currency, stated.minor, stated.currency, stated.currencies, entry.posted_at, entry.shard,
    entry.ledger_offset, entry.entry_index,
    leg.account_id, leg.is_open, leg.changed_at,
    said.outcome, said.has_trace, said.provider_reference, said.provider_code, said.moved_minor, said.moved_currency,
    said.asked_at, settled.contradiction, settled.changed_at
FROM (%s) AS chosen
LEFT JOIN payment_orders AS placed ON placed.order_id = chosen.id
LEFT JOIN provider_requests AS request ON request.request_id = chosen.id
LEFT JOIN payment_orders AS parent ON parent.order_id = request.order_id
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS minor FROM provider_requests
    WHERE order_id = placed.order_id AND operation = {ConnectorOperation.REFUND:d}
        AND (is_open OR outcome = '{Outcome.SUCCEEDED}')
) AS refunds ON placed.order_id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT decided_at, shard, ledger_offset, entry_index FROM item_events
    WHERE item_id = chosen.id AND item_kind = {OPEN_ITEMS.index(ProviderRequest)}
        AND kind = {EntryKind.PROVIDER_ASKED:d}
    ORDER BY shard, ledger_sequence, entry_index LIMIT 1
) AS asked ON true
LEFT JOIN journals AS journal ON journal.journal_id = chosen.id
LEFT JOIN journal_entries AS entry ON entry.journal_id = chosen.id
LEFT JOIN LATERAL (
    SELECT sum(amount_minor) FILTER (WHERE amount_minor > 0)::bigint AS minor, min(currency) AS currency,
        count(DISTINCT currency) AS currencies
    FROM journal_legs WHERE journal_id = chosen.id
) AS stated ON entry.stated_legs > 0
LEFT JOIN LATERAL (
    SELECT account_id, is_open, changed_at FROM reserved_legs WHERE journal_id = chosen.id
    ORDER BY is_open DESC, leg_id LIMIT 1
) AS leg ON true
LEFT JOIN recon_provider_states AS said ON said.request_id = chosen.id
LEFT JOIN attempt_settlements AS settled ON settled.request_id = chosen.id AND settled.contradiction <> ''
ORDER BY chosen.id"""

_WALLETS: Final = f"""
SELECT chosen.account_id, chosen.currency, chosen.posted_minor, chosen.available_minor, entries.posted,
    entries.available, chosen.changed_at
FROM (
    SELECT account_id, currency, posted_minor, available_minor, changed_at FROM balances AS balance
    WHERE account_id > %(after)s AND (changed_at >= %(since)s OR account_id IN ({_LIVE}))
        AND (
            EXISTS (SELECT FROM payment_orders WHERE seller = balance.account_id)
            OR EXISTS (
                SELECT FROM provider_requests
                WHERE owner = balance.account_id AND operation = {ConnectorOperation.PAYOUT:d}
            )
        )
    ORDER BY account_id LIMIT %(rows)s
) AS chosen
CROSS JOIN LATERAL (
    SELECT coalesce(sum(posted_minor), 0)::bigint AS posted, coalesce(sum(available_minor), 0)::bigint AS available
    FROM account_changes WHERE account_id = chosen.account_id
) AS entries
ORDER BY chosen.account_id"""


_IN_FLIGHT: Final = f"""
SELECT payment_id, amount_minor, currency, decided_at, shard, ledger_offset FROM payments
WHERE state = {EntryKind.RESERVED:d} AND decided_at >= %(since)s AND decided_at < %(before)s
ORDER BY decided_at, payment_id LIMIT %(rows)s"""


class Scope(NamedTuple):
    """What is looked at: all that is open, has a live break, or has changed since then."""

    since: datetime


def movements(connection: Connection, scope: Scope, batch: int = BATCH) -> Iterator[Movement]:
    """By id. Raises psycopg.Error."""
    query, named = _VIEWS % _OF_SCOPE, scope._asdict() | {"after": _NIL, "rows": batch}
    while rows := connection.execute(query.encode(), named).fetchall():
        yield from map(_movement, rows)
        named["after"] = rows[-1][0]


def movements_named(connection: Connection, ids: list[UUID]) -> list[Movement]:
    """These, as they are now. Raises psycopg.Error."""
    return [_movement(row) for row in connection.execute((_VIEWS % _NAMED).encode(), {"ids": ids})]


def wallets(connection: Connection, scope: Scope, batch: int = BATCH) -> Iterator[Wallet]:
    """Of sellers and of whoever is paid out, by account. Raises psycopg.Error."""
    named = scope._asdict() | {"after": _NIL, "rows": batch}
    while rows := connection.execute(_WALLETS.encode(), named).fetchall():
        yield from map(Wallet._make, rows)
        named["after"] = rows[-1][0]


def in_flight(connection: Connection, scope: Scope, before: datetime, rows: int) -> Iterator[InFlight]:
    """Payments that were decided before then and are on their way still; at most so many. Raises psycopg.Error."""
    named = scope._asdict() | {"before": before, "rows": rows}
    for id_, amount_minor, currency, decided_at, shard, offset in connection.execute(_IN_FLIGHT.encode(), named):
        yield InFlight(id_, amount_minor, currency, decided_at, shard, offset)


def _movement(row: tuple[Any, ...]) -> Movement:
    """The columns of `_VIEWS`, side by side."""
    values = iter(row)

    def take(count: int) -> list[Any]:
        return [next(values) for _ in range(count)]

    id_, opened_at = take(2)
    order, attempt, journal = _order(*take(7)), _attempt(*take(15)), _journal(*take(4))
    ledger, wallet, provider = _ledger(*take(9)), take(3), _provider(*take(9))
    return Movement(
        id_,
        opened_at,
        order,
        attempt,
        journal,
        ledger,
        WalletView(*wallet) if wallet[0] is not None else None,
        provider,
    )


def _order(name: Any, status: Any, *rest: Any) -> OrderView | None:
    return OrderView(name, OrderStatus(status), *rest) if name is not None else None


def _attempt(provider: Any, operation: Any, has_order: Any, *rest: Any) -> AttemptView | None:
    if provider is None:
        return None
    amount_minor, currency, attempt, outcome, follows, reference, is_open, asked_at, *place, changed_at = rest
    return AttemptView(
        provider,
        ConnectorOperation(operation),
        has_order,
        amount_minor,
        currency,
        attempt,
        Outcome(outcome) if attempt else None,
        follows,
        reference,
        is_open,
        asked_at,
        Place(*place) if asked_at is not None else None,
        changed_at,
    )


def _journal(legs: Any, is_open: Any, refusal: Any, changed_at: Any) -> JournalView | None:
    if legs is None:
        return None
    stated = tuple((UUID(account), minor, currency) for account, minor, currency in legs)
    return JournalView(stated, is_open, refusal != 0, changed_at)


def _ledger(minor: Any, currency: Any, *rest: Any) -> LedgerView | None:
    if minor is None:
        return None
    stated_minor, stated_currency, currencies, posted_at, *place = rest
    if stated_minor is None:
        return LedgerView(minor, currency, 1, posted_at, Place(*place))
    return LedgerView(stated_minor, stated_currency, currencies, posted_at, Place(*place))


def _provider(*row: Any) -> ProviderView | None:
    """The newer of what it was asked, and what it has said against people: `succeeded pi_…`."""
    outcome, has_trace, reference, code, moved_minor, currency, asked_at, contradiction, at = row
    if contradiction is not None and (asked_at is None or asked_at < at):
        word, _, named = contradiction.partition(" ")
        return ProviderView(Outcome(word), True, named, "", None, "", at)
    if outcome is None:
        return None
    return ProviderView(Outcome(outcome), has_trace, reference, code, moved_minor, currency, asked_at)
