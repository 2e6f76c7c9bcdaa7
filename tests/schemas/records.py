"""Strategies for the hot records, and the same records as fastavro sees them.

fastavro reads the fixed decimals as Decimal and the fixed numbers (times, offsets) as bytes; the conversions
stand here.
"""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from payments.commands import Command, CommandKind
from payments.entries import Credit, Entry, EntryKind
from payments.money import EXPONENTS, MAX_MINOR
from payments.rejections import Reason
from schemas.codec.credits import CreditBatch
from schemas.codec.ledger import Counter, Lane, LedgerHeader, SourceTopic
from schemas.codec.replies import Reply

Fields = dict[str, Any]

ids = st.binary(min_size=16, max_size=16)
eight_bytes = st.binary(min_size=8, max_size=8)
minors = st.integers(-MAX_MINOR, MAX_MINOR)
currencies = st.sampled_from([*sorted(EXPONENTS), "", "XYZ", "A1"])
longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
reasons = st.sampled_from(Reason)
texts = st.text(max_size=40)

commands = st.builds(Command, st.sampled_from(CommandKind), ids, ids, minors, currencies, eight_bytes, texts, texts)
credits = st.builds(Credit, ids, ids, ids, minors, currencies, eight_bytes, reasons)
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
    return credit._asdict() | {
        "amount_minor": Decimal(credit.amount_minor),
        "currency": currency(credit.currency),
        "reason": credit.reason.value,
    }


def credit_batch_fields(batch: CreditBatch) -> Fields:
    return batch._asdict() | {"credits": [credit_fields(credit) for credit in batch.credits]}


def entry_fields(entry: Entry) -> Fields:
    return entry._asdict() | {
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
    }


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
