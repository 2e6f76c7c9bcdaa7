"""The tables verdicts, risk_terms and rule_sets: what limits and rules said, and which were in force. Written once."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from psycopg import Connection

from payments.items.details import Assessed, Detail, RiskTerms, Rules
from payments.risk.verdict import decode
from sinks.details.rows import send_rows, time_of
from sinks.ledger_batch import DetailedEntry, LedgerBatch

_PLACE: Final = "shard, ledger_sequence, entry_index"
_TABLES: Final[dict[type[Detail], str]] = {
    Assessed: f"COPY verdicts ({_PLACE}, operation_id, kind, account_id, outcome, rule_set, rules, verdict, decided_at)"
    " FROM STDIN",
    RiskTerms: f"COPY risk_terms ({_PLACE}, account_id, per_transaction_minor, daily_minor, monthly_minor, tier,"
    " set_at) FROM STDIN",
    Rules: f"COPY rule_sets ({_PLACE}, version, text, set_at) FROM STDIN",
}


def copy_risk(connection: Connection, batch: LedgerBatch) -> None:
    """Every verdict, every change of limits and every rule set of the batch."""
    for kind, statement in _TABLES.items():
        send_rows(connection, statement, list(_rows(batch, kind)))


def _rows(batch: LedgerBatch, kind: type[Detail]) -> Iterator[tuple[Any, ...]]:
    for one in batch.detailed:
        for detail in one.entry.details:
            if isinstance(detail, kind):
                yield one.place.shard, one.place.sequence, one.entry_index, *_stated(one, detail), time_of(one.entry)


def _stated(one: DetailedEntry, detail: Detail) -> tuple[Any, ...]:
    entry, account = one.entry, UUID(bytes=one.entry.debit_account)
    match detail:
        case Assessed(recorded):
            verdict = decode(recorded)
            rules = [hit.rule for hit in verdict.hits]
            operation_id = UUID(bytes=entry.operation_id)
            return operation_id, int(entry.kind), account, int(verdict.outcome), verdict.rule_set, rules, recorded
        case RiskTerms(per_transaction_minor, daily_minor, monthly_minor, tier):
            return account, per_transaction_minor, daily_minor, monthly_minor, int(tier)
        case Rules(version=version, text=text):
            return version, text
        case _:
            raise TypeError(type(detail).__name__)
