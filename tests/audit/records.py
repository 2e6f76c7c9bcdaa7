"""Ledger records made by hand, for checks that no genuine log can fail."""

from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import NIL
from payments.postings import clearing_account
from payments.rejections import Reason
from schemas.codec.ledger import (
    GENESIS_HASH,
    LedgerHeader,
    PackedLedgerRecord,
    SourceTopic,
    decode_ledger_record,
    encode_ledger_record,
)

ALICE, BOB = b"A" * 16, b"B" * 16
CLEARING = clearing_account("EUR")
HEADER = LedgerHeader(0, 0, GENESIS_HASH, SourceTopic.COMMANDS, 0, 1, ())


def entry(
    kind: EntryKind,
    operation: int = 1,
    debit: bytes = ALICE,
    credit: bytes = BOB,
    amount: int = 100,
    after: int = 0,
    currency: str = "EUR",
) -> Entry:
    operation_id = bytes([operation]) * 16
    return Entry(kind, Reason.NONE, operation_id, debit, credit, amount, currency, after, 5, NO_FINGERPRINT, 0, 0)


def opened(account: bytes, limit: int = 0) -> Entry:
    return entry(EntryKind.ACCOUNT_OPENED, 90, account, NIL, limit)


def deposited(account: bytes, amount: int, after: int, operation: int = 80) -> Entry:
    return entry(EntryKind.POSTED, operation, CLEARING, account, amount, after)._replace(fingerprint=b"a digest")


def record(*entries: Entry) -> PackedLedgerRecord:
    return decode_ledger_record(encode_ledger_record(HEADER, list(entries), {}))
