"""Strategies for the hot records, and the same records as fastavro sees them.

fastavro reads the fixed decimals as Decimal and the fixed numbers (times, offsets) as bytes; the conversions
stand here.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from payments.accounts import AccountType
from payments.commands import Command, CommandKind
from payments.commerce.connector import ConnectorOperation, Decline, Outcome
from payments.entries import Credit, Entry, EntryKind, Step
from payments.items.details import (
    Assessed,
    AttemptSettlement,
    Cause,
    CauseKind,
    Dispute,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    Legs,
    Opening,
    OrderStatus,
    OrderTerms,
    PaymentOrder,
    Posting,
    ProviderRequest,
    Receivable,
    Review,
    RiskProfile,
    RiskTerms,
    Rules,
    Uncollected,
)
from payments.money import EXPONENTS, MAX_MINOR
from payments.rejections import Reason
from payments.risk.limits import Tier
from schemas.codec.credits import CreditBatch
from schemas.codec.ledger import Counter, Lane, LedgerHeader, SourceTopic
from schemas.codec.replies import Reply

Fields = dict[str, Any]

ids = st.binary(min_size=16, max_size=16)
eight_bytes = st.binary(min_size=8, max_size=8)
minors = st.integers(-MAX_MINOR, MAX_MINOR)
currencies = st.sampled_from([*sorted(EXPONENTS), "", "XYZ", "A1"])
longs = st.integers(-(2**63), 2**63 - 1)
times = st.integers(0, 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
reasons = st.sampled_from(Reason)
texts = st.text(max_size=40)

commands = st.builds(Command, st.sampled_from(CommandKind), ids, ids, minors, currencies, eight_bytes, texts, texts)
codes = st.text(max_size=8)
postings = st.builds(Posting, ids, longs, codes)
legs = st.lists(postings, max_size=3).map(tuple)
open_items = st.one_of(
    st.builds(Hold, ids, ids, ids, longs, longs, codes, longs, st.booleans(), st.booleans()),
    st.builds(Uncollected, ids, ids, longs, codes, st.booleans(), longs),
    st.builds(GivenBack, ids, ids, longs, longs, longs, st.booleans(), longs, times),
    st.builds(Dispute, ids, ids, ids, ids, longs, codes, st.booleans(), st.booleans(), longs),
    st.builds(Receivable, ids, ids, longs, codes, st.booleans()),
    st.builds(JournalLeg, ids, ids, ids, longs, codes, st.booleans(), longs),
    st.builds(Journal, ids, ids, legs, longs, reasons, eight_bytes, st.booleans()),
    st.builds(Review, ids, ids, legs, longs, st.lists(ids, max_size=2).map(tuple), st.booleans()),
    st.builds(Rules, ids, ids, longs, codes, st.booleans()),
    st.builds(RiskProfile, ids, ids, st.binary(max_size=8), st.booleans()),
    st.builds(
        PaymentOrder,
        *(ids, ids, codes, codes, codes, ids, longs, codes, st.booleans()),
        *(st.sampled_from(OrderStatus), reasons, codes, longs, st.booleans(), times),
    ),
    st.builds(
        ProviderRequest,
        *(ids, ids, codes, st.sampled_from(ConnectorOperation), ids, codes, longs, codes, codes, codes, codes, longs),
        *(st.sampled_from(Outcome), st.booleans(), st.sampled_from(Decline), codes, st.booleans(), longs, codes),
    ),
    st.builds(
        AttemptSettlement,
        ids,
        ids,
        st.booleans(),
        codes,
        st.lists(ids, max_size=2).map(tuple),
        codes,
        times,
        st.booleans(),
    ),
)
details = st.lists(
    st.one_of(
        st.builds(Legs, legs),
        st.builds(Cause, st.sampled_from(CauseKind), ids, codes),
        st.builds(Opening, st.sampled_from(AccountType)),
        st.builds(Assessed, st.binary(max_size=8)),
        st.builds(RiskTerms, longs, longs, longs, st.sampled_from(Tier)),
        st.builds(OrderTerms, ids, ids, longs, st.booleans()),
        open_items,
    ),
    max_size=2,
).map(tuple)
credits = st.builds(Credit, ids, ids, ids, minors, currencies, eight_bytes, reasons, st.sampled_from(Step), details)
credit_batches = st.builds(CreditBatch, ints, longs, st.lists(credits, max_size=5))
entries = st.builds(
    Entry,
    st.sampled_from(EntryKind),
    reasons,
    ids,
    ids,
    ids,
    minors,
    currencies,
    minors,
    longs,
    eight_bytes,
    longs,
    ints,
    details,
)
counters = st.builds(Counter, st.sampled_from(Lane), ints, longs)
headers = st.builds(
    LedgerHeader,
    ints,
    longs,
    st.binary(min_size=32, max_size=32),
    st.sampled_from(SourceTopic),
    longs,
    longs,
    st.lists(counters, max_size=4).map(tuple),
)
descriptions = st.dictionaries(st.integers(0, 2**31 - 1), texts, max_size=3)
replies = st.lists(st.builds(Reply, eight_bytes, ids, st.sampled_from(EntryKind), reasons, longs), max_size=5)


def fixed(number: int, size: int = 8) -> bytes:
    return number.to_bytes(size, "big", signed=True)


def currency(code: str) -> bytes:
    return code.encode().ljust(3, b"\0")


def command_fields(command: Command) -> Fields:
    return command._asdict() | {
        "kind": command.kind.name.lower(),
        "amount_minor": Decimal(command.amount_minor),
        "currency": currency(command.currency),
    }


def credit_fields(credit: Credit) -> Fields:
    return _without_details(credit) | {
        "step": credit.step.name.lower(),
        "amount_minor": Decimal(credit.amount_minor),
        "currency": currency(credit.currency),
        "reason": credit.reason.value,
    }


def credit_batch_fields(batch: CreditBatch) -> Fields:
    return batch._asdict() | {
        "credits": [credit_fields(credit) for credit in batch.credits],
        "details": detail_fields("credit", batch.credits),
    }


def entry_fields(entry: Entry) -> Fields:
    return _without_details(entry) | {
        "kind": entry.kind.name.lower(),
        "reason": entry.reason.value,
        "amount_minor": Decimal(entry.amount_minor),
        "currency": currency(entry.currency),
        "available_after_minor": Decimal(entry.available_after_minor),
        "decided_at_us": fixed(entry.decided_at_us),
        "source_offset": fixed(entry.source_offset),
        "source_item": fixed(entry.source_item, 4),
    }


def ledger_fields(header: LedgerHeader, entries: list[Entry], descriptions: dict[int, str]) -> Fields:
    return header._asdict() | {
        "source": header.source.name.lower(),
        "counters": [counter._asdict() | {"lane": counter.lane.name.lower()} for counter in header.counters],
        "entries": [entry_fields(entry) for entry in entries],
        "descriptions": [{"entry": index, "text": text} for index, text in descriptions.items()],
        "details": detail_fields("entry", entries),
    }


def detail_fields(index: str, carriers: Sequence[Entry | Credit]) -> list[Fields]:
    return [{index: at, "detail": _named(detail)} for at, carrier in enumerate(carriers) for detail in carrier.details]


def _without_details(carrier: Entry | Credit) -> Fields:
    return {name: value for name, value in carrier._asdict().items() if name != "details"}


def _named(value: Any) -> Any:
    """As fastavro reads a value of the core: records are dicts, enums their symbols."""
    if isinstance(value, Enum):
        return value.value if isinstance(value, str) else value.name.lower()
    if hasattr(value, "_asdict"):
        return {name: _named(field) for name, field in value._asdict().items()}
    return [_named(item) for item in value] if isinstance(value, tuple) else value


def reply_fields(replies: list[Reply]) -> Fields:
    return {
        "replies": [
            reply._asdict()
            | {
                "kind": reply.kind.name.lower(),
                "reason": reply.reason.value,
                "decided_at_us": fixed(reply.decided_at_us),
            }
            for reply in replies
        ]
    }
