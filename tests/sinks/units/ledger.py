"""Goal: short ledgers of chosen or drawn entries, sealed into batches whose header and chain are right."""

from collections.abc import Sequence

from hypothesis import strategies as st

from payments.entries import Entry, EntryKind
from payments.identifiers import NIL
from payments.postings import clearing_account
from payments.rejections import Reason
from schemas.codec.ledger import (
    GENESIS_HASH,
    Counter,
    LedgerHeader,
    SourceTopic,
    encode_ledger_record,
    record_hash,
)
from sinks.ledger_batch import LedgerBatch
from sinks.progress import ShardProgress

CLEARING = clearing_account("EUR")
CUSTOMERS = tuple(bytes([number]) * 6 + b"\x80" + bytes([number]) * 9 for number in (0x01, 0x7F, 0xFF))
ALICE, BOB, CAROL = CUSTOMERS
FIRST_TIME_US = 1_790_000_000_000_000


def start(shard: int = 0) -> ShardProgress:
    return ShardProgress(shard, 0, 0, (0, 0, 0), GENESIS_HASH)


def entry(
    kind: EntryKind,
    debit: bytes = ALICE,
    credit: bytes = BOB,
    amount_minor: int = 100,
    after_minor: int = 0,
    operation: int = 1,
    reason: Reason = Reason.NONE,
    time_us: int = FIRST_TIME_US,
    source_offset: int = 0,
    source_item: int = 0,
    currency: str = "EUR",
) -> Entry:
    """One entry; the operation's number stands in its id."""
    return Entry(
        kind,
        reason,
        operation.to_bytes(16, "big"),
        debit,
        credit,
        amount_minor,
        currency,
        after_minor,
        time_us,
        bytes(8),
        source_offset,
        source_item,
    )


def sealed(
    progress: ShardProgress,
    entries: Sequence[Entry],
    descriptions: dict[int, str] | None = None,
    counters: tuple[Counter, ...] = (),
    source: SourceTopic = SourceTopic.COMMANDS,
) -> bytes:
    """The record that continues this progress."""
    decided = progress.input_next_offsets[source]
    header = LedgerHeader(
        progress.shard, progress.ledger_sequence, progress.last_hash, source, decided, decided + 1, counters
    )
    return encode_ledger_record(header, list(entries), descriptions or {})


def batch_of(*records: Sequence[Entry], descriptions: dict[int, str] | None = None, shard: int = 0) -> LedgerBatch:
    """The records of one shard in one batch; the descriptions belong to the last one."""
    reached = start(shard)
    batch = LedgerBatch({shard: reached})
    for number, entries in enumerate(records):
        value = sealed(reached, entries, descriptions if number == len(records) - 1 else None)
        batch.add(shard, reached.ledger_next_offset, value)
        reached = batch.after[shard]
    assert reached.last_hash == (record_hash(value) if records else GENESIS_HASH)
    return batch


class _Account:
    """Available balance as the ledger states it."""

    def __init__(self) -> None:
        self.available_minor = 0

    def moved(self, change_minor: int) -> int:
        self.available_minor += change_minor
        return self.available_minor


AMOUNTS = st.integers(0, 10**12)
_KINDS = (
    EntryKind.RESERVED,
    EntryKind.POSTED,
    EntryKind.RETURNED,
    EntryKind.REJECTED,
    EntryKind.REFUSED,
    EntryKind.REPLAYED,
    EntryKind.QUARANTINED,
    EntryKind.OVERDRAFT_LIMIT_SET,
)
_DRAWN = st.tuples(
    st.sampled_from(_KINDS),
    st.sampled_from(CUSTOMERS),
    st.sampled_from((*CUSTOMERS, CLEARING)),
    AMOUNTS,
    st.booleans(),
    st.integers(0, 10**6),
)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Entry]:
    """Entries of one shard, consistent in what they state: accounts are opened first, amounts follow."""
    accounts = {account: _Account() for account in CUSTOMERS}
    entries = [entry(EntryKind.ACCOUNT_OPENED, account, NIL, draw(AMOUNTS)) for account in CUSTOMERS]
    for number, drawn in enumerate(draw(st.lists(_DRAWN, max_size=40))):
        kind, debit, credit, amount, deposit, later_us = drawn
        after = 0
        if kind is EntryKind.RESERVED:
            after = accounts[debit].moved(-amount)
        elif kind is EntryKind.RETURNED:
            after = accounts[debit].moved(amount)
        elif kind is EntryKind.POSTED and deposit and credit != CLEARING:
            debit, after = CLEARING, accounts[credit].moved(amount)
        elif kind is EntryKind.POSTED and credit != CLEARING:
            after = accounts[credit].moved(amount)
        time_us = FIRST_TIME_US + later_us
        entries.append(entry(kind, debit, credit, amount, after, number + 1, time_us=time_us))
    return entries
