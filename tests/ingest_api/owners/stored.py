"""What the sink shows of somebody's deposits, holds, disputes, debts and journals, for the matrix of strangers."""

import json
from uuid import UUID

from ingest_api.fx.quotes import MIGRATIONS
from payments.identifiers import DISPUTE, HOLD, JOURNAL, PAYMENT, QUOTE, RECEIVABLE, format_id
from payments.terms.methods import Method, method_account
from runtime import migrate
from tests.ingest_api.owners.world import ANNA, World, raw

_KINDS = {
    "deposit_id": PAYMENT,
    "hold_id": HOLD,
    "dispute_id": DISPUTE,
    "receivable_id": RECEIVABLE,
    "journal_id": JOURNAL,
    "quote_id": QUOTE,
    "withdrawal_id": PAYMENT,
}
NOBODYS: dict[str, str] = {name: format_id(kind, b"\x7e" * 16) for name, kind in _KINDS.items()}
"""By the name that each has in a path."""

_PAID_IN = "INSERT INTO decisions VALUES (%s, 17, 0, %s, %s, 100, 'EUR', now(), 0, 0, 0, 0, 0, '') RETURNING 1"
_PAID_OUT = "INSERT INTO decisions VALUES (%s, 0, 0, %s, %s, 100, 'EUR', now(), 0, 0, 0, 0, 0, '') RETURNING 1"
_POSTED = """
INSERT INTO journal_entries VALUES (%s, %s, %s, %s, 100, 'EUR', now(), 0, 0, 0, 0, 0, 0, 0) RETURNING 1"""
_HELD = (
    "INSERT INTO holds VALUES (%s, %s, %s, 100, 0, 'EUR', '2099-01-01', true, false, now(), now(), 0, 0, 0) RETURNING 1"
)
_EVENT = "INSERT INTO item_events VALUES (0, 0, 0, 0, 0, %s, %s, %s, 13, 0, 100, now()) RETURNING 1"
_CONTESTED = """
INSERT INTO disputes (dispute_id, merchant, payment_id, customer, amount_minor, currency, is_provisional, is_open,
    opened_at, changed_at, shard, ledger_sequence, entry_index)
VALUES (%s, %s, %s, %s, 100, 'EUR', false, true, now(), now(), 0, 0, 0) RETURNING 1"""
_OWED = "INSERT INTO receivables VALUES (%s, %s, 100, 'EUR', true, now(), now(), 0, 0, 0) RETURNING 1"
_QUOTED = """
INSERT INTO fx_quotes VALUES (%s, %s, 'EUR', 100, 'USD', 110, 'sell', 11, 10, 0, 'half_even', now(), '2099-01-01')
RETURNING 1"""
_JOURNAL = "INSERT INTO journals VALUES (%s, %s, %s, 1, 0, true, now(), now(), 0, 0, 0) RETURNING 1"


def stored_of(world: World, account: str, other: str) -> dict[str, str]:
    """Of an account of Anna that has to do with another one."""
    ids = {name: bytes([0x61 + place]) * 16 for place, name in enumerate(_KINDS)}
    own, others = raw(account).hex(), raw(other).hex()
    world.rows(_PAID_IN, ids["deposit_id"].hex(), method_account(Method.CHECK, "EUR").hex(), own)
    paid_out, wire = ids["withdrawal_id"].hex(), method_account(Method.WIRE, "EUR").hex()
    world.rows(_PAID_OUT, paid_out, own, wire)
    world.rows(_POSTED, paid_out, paid_out, own, wire)
    world.rows(_HELD, ids["hold_id"].hex(), own, others)
    world.rows(_EVENT, ids["hold_id"].hex(), own, ids["hold_id"].hex())
    world.rows(_CONTESTED, ids["dispute_id"].hex(), own, ids["deposit_id"].hex(), others)
    world.rows(_OWED, ids["receivable_id"].hex(), own)
    legs = [[str(UUID(own)), -100, "EUR"], [str(UUID(others)), 100, "EUR"]]
    world.rows(_JOURNAL, ids["journal_id"].hex(), own, json.dumps(legs))
    migrate.up(world.services.settings.database_url, MIGRATIONS)
    world.rows(_QUOTED, ids["quote_id"].hex(), ANNA)
    return {name: format_id(_KINDS[name], id_) for name, id_ in ids.items()}
