"""What came in and went out, by kind."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest_api.statements.kinds import LineKind
from ingest_api.statements.line import Line


@dataclass
class KindTotal:
    """Of the entries of one kind; amounts in minor units, positive. Fees: of payments received, and of those paid."""

    credits: int = 0
    credited_minor: int = 0
    fees_on_credits_minor: int = 0
    debits: int = 0
    debited_minor: int = 0
    fees_on_debits_minor: int = 0

    def add(self, count: int, amount_minor: int, fee_minor: int) -> None:
        """`count` entries on one side: their sum tells which."""
        if amount_minor > 0:
            self.credits += count
            self.credited_minor += amount_minor
            self.fees_on_credits_minor += fee_minor
        else:
            self.debits += count
            self.debited_minor -= amount_minor
            self.fees_on_debits_minor += fee_minor

    def add_total(self, other: "KindTotal") -> None:
        """Count what another total counts."""
        self.add(other.credits, other.credited_minor, other.fees_on_credits_minor)
        self.add(other.debits, -other.debited_minor, other.fees_on_debits_minor)


class Totals:
    """Grows with the entries; kinds that did not occur are left out."""

    def __init__(self) -> None:
        self._of_kind: defaultdict[LineKind, KindTotal] = defaultdict(KindTotal)

    def add(self, lines: Iterable[Line]) -> None:
        """Count these entries."""
        for line in lines:
            self.add_sum(line.kind, 1, line.amount_minor, line.fee_minor)

    def add_sum(self, kind: LineKind, count: int, amount_minor: int, fee_minor: int) -> None:
        """Count entries of one kind and one side that are added up already."""
        self._of_kind[kind].add(count, amount_minor, fee_minor)

    def __iter__(self) -> Iterator[tuple[LineKind, KindTotal]]:
        """In the order in which the kinds are declared."""
        return ((kind, self._of_kind[kind]) for kind in LineKind if kind in self._of_kind)
