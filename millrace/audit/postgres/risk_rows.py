"""Rows of verdicts, risk_terms and rule_sets as the ledger makes them, written here once more and not taken from the
sink.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from payments.entries import Entry
from payments.items.details import Assessed, RiskTerms, Rules
from payments.risk.verdict import decode

VERDICTS = ("operation_id", "kind", "account_id", "outcome", "rule_set", "rules", "verdict", "decided_at")
RISK_TERMS = ("account_id", "per_transaction_minor", "daily_minor", "monthly_minor", "tier", "set_at")
RULE_SETS = ("version", "text", "set_at")


def risk_rows(entry: Entry, at: datetime) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Table and row of each detail that has one, in the order of the columns above."""
    account_id = UUID(bytes=entry.debit_account)
    for detail in entry.details:
        if isinstance(detail, Assessed):
            verdict = decode(detail.verdict)
            said = int(verdict.outcome), verdict.rule_set, [hit.rule for hit in verdict.hits], detail.verdict
            yield "verdicts", (UUID(bytes=entry.operation_id), int(entry.kind), account_id, *said, at)
        elif isinstance(detail, RiskTerms):
            yield "risk_terms", (account_id, *map(int, detail), at)
        elif isinstance(detail, Rules):
            yield "rule_sets", (detail.version, detail.text, at)
