"""What an audit says: counts, one line per invariant, and the first difference found.

An invariant is proved by everything that was checked for it, fails with the first difference, and is not proved where
the records that it needs are no longer kept or an earlier difference ended the check.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Invariant(StrEnum):
    """The promises that an audit can check (their numbers stand in the documents)."""

    ONE_OUTCOME = "I1"
    CONSERVATION = "I2"
    LIMITS = "I3"
    IDEMPOTENCY = "I4"
    TABLES = "I5"
    TRACE = "I6"
    REPLAY = "I7"
    QUARANTINE = "I8"


PROMISES: dict[Invariant, str] = {
    Invariant.ONE_OUTCOME: "every decided command and every reserved payment ends once",
    Invariant.CONSERVATION: "postings balance per currency; money in accounts, in flight and in the system is zero",
    Invariant.LIMITS: "no account below its limit at any entry; no hold, refund or dispute beyond its amount",
    Invariant.IDEMPOTENCY: "no operation moved money twice",
    Invariant.TABLES: "Postgres equals the fold of the ledger",
    Invariant.TRACE: "the hash chain, the sequence numbers and the lanes have no gap",
    Invariant.REPLAY: "deciding the recorded inputs again gives the same bytes",
    Invariant.QUARANTINE: "what was not decided lies in quarantine, and nothing else does",
}


class Difference(NamedTuple):
    """The first place where what is and what should be part."""

    invariant: Invariant
    place: str
    """topic[partition] offset and entry, or table and key."""
    expected: str
    found: str


class Differs(Exception):
    """Ends a check: behind the first difference nothing would be worth saying."""

    def __init__(self, invariant: Invariant, place: str, expected: object, found: object) -> None:
        self.difference = Difference(invariant, place, str(expected), str(found))
        super().__init__(f"{invariant}: {place}: expected {expected}, found {found}")


@dataclass
class Proof:
    """What was checked for one invariant, and what could not be."""

    checked: list[str] = field(default_factory=list)
    not_proved: list[str] = field(default_factory=list)
    failed: bool = False

    @property
    def verdict(self) -> str:
        if self.failed:
            return "failed"
        return "proved" if self.checked and not self.not_proved else "not proved"


@dataclass
class AuditReport:
    """Counts are payments (transfers), unless their name says otherwise."""

    payments: int = 0
    posted: int = 0
    rejected: int = 0
    returned: int = 0
    in_flight: int = 0
    deposits: int = 0
    deposits_rejected: int = 0
    holds: int = 0
    """Placed; their captures are payments."""
    other_journals: int = 0
    """Journal entries that post neither a payment nor a deposit: involuntary debits, disputes, journals of n legs."""
    account_operations: int = 0
    """Decisions about one account alone."""
    replayed: int = 0
    key_reused: int = 0
    quarantined: int = 0
    undecided: int = 0
    """Input records that no ledger record has decided yet."""
    ledger_records: int = 0
    ledger_entries: int = 0
    accounts: int = 0
    postings_sum_minor: int = 0
    """Sum of all postings, over the currencies as absolute values."""
    drift_minor: int = 0
    """Sum of the absolute differences between the balances in Postgres and those of the ledger."""
    negative_accounts: int = 0
    """Accounts of customers below their limit."""
    unapplied_records: int = 0
    """Ledger records that the sink has not applied yet."""
    wall_s: float = 0.0
    proofs: dict[Invariant, Proof] = field(default_factory=lambda: {invariant: Proof() for invariant in Invariant})
    differences: list[Difference] = field(default_factory=list)
    """The first one of the log, and the first one of the tables."""

    @property
    def ok(self) -> bool:
        """True where nothing differs. What could not be proved is said in the proofs."""
        return not self.differences

    def proved(self, invariant: Invariant, what: str) -> None:
        self.proofs[invariant].checked.append(what)

    def not_proved(self, invariant: Invariant, why: str) -> None:
        if why not in self.proofs[invariant].not_proved:
            self.proofs[invariant].not_proved.append(why)

    def differs(self, difference: Difference) -> None:
        self.differences.append(difference)
        self.proofs[difference.invariant].failed = True

    def to_json(self) -> dict[str, Any]:
        """For machines; see the docstrings of the fields."""
        counts = {name: value for name, value in asdict(self).items() if name not in {"proofs", "differences"}}
        differences = [difference._asdict() for difference in self.differences]
        return {
            "ok": self.ok,
            **counts,
            "invariants": {
                invariant.value: {
                    "promise": PROMISES[invariant],
                    "verdict": proof.verdict,
                    "checked": proof.checked,
                    "not_proved": proof.not_proved,
                }
                for invariant, proof in self.proofs.items()
            },
            "first_difference": differences[0] if differences else None,
            "differences": differences,
        }
