"""What the last release has written is read: fields that it did not have are what the core says where nothing is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from payments.entries import Credit, Entry, EntryKind
from payments.items.details import Detail, JournalLeg, Uncollected
from payments.rejections import Reason
from schemas import wire
from schemas.codec import credits, ledger, reference, snapshots
from schemas.codec.named import encode_details, encode_items
from schemas.registry import registered
from tests.schemas import records

BEFORE = {schema.record: schema.schema_id for schema in registered() if schema.version == 2}
NO_ITEMS = b"\0"

older_items = st.one_of(
    st.builds(Uncollected, records.ids, records.ids, records.longs, records.codes, st.booleans(), st.just(0)),
    st.builds(
        JournalLeg, records.ids, records.ids, records.ids, records.longs, records.codes, st.booleans(), st.just(0)
    ),
)


def older(value: bytes, record: str, last_array: bytes) -> bytes:
    """The record as the last release would have written it, with this in place of an empty last array."""
    assert value.endswith(NO_ITEMS)
    return wire.frame(BEFORE[record]) + value[wire.FRAME_BYTES : -1] + last_array


@settings(max_examples=60, deadline=None)
@given(records.headers.filter(lambda header: header.source < 3), records.entries, older_items)
def test_a_ledger_record(header: ledger.LedgerHeader, entry: Entry, item: Detail) -> None:
    entry = entry._replace(kind=EntryKind.POSTED, reason=Reason.NONE, details=())
    written = encode_details(BEFORE["LedgerRecord"], "entry", [(0, item)])
    value = older(ledger.encode_ledger_record(header, [entry], {}), "LedgerRecord", written)
    assert reference.decode(value)[1]["details"], "fastavro reads it as its version, too"
    decoded = ledger.decode_ledger_record(value)
    assert decoded.header == header
    assert list(decoded.entries()) == [entry._replace(details=(item,))]


@settings(max_examples=60, deadline=None)
@given(records.credits, older_items)
def test_a_batch_of_credits(credit: Credit, item: Detail) -> None:
    credit = credit._replace(reason=Reason.NONE, details=())
    written = encode_details(BEFORE["CreditBatch"], "credit", [(0, item)])
    value = older(credits.encode_credits(credits.CreditBatch(1, 2, [credit])), "CreditBatch", written)
    assert credits.decode_credits(value).credits == [credit._replace(details=(item,))]


@settings(max_examples=60, deadline=None)
@given(st.lists(older_items, min_size=1, max_size=3))
def test_a_page_of_a_snapshot(items: list[Uncollected | JournalLeg]) -> None:
    empty = snapshots.AccountsPage(1, 2, 3, 4, [], [])
    written = encode_items(items, BEFORE["AccountsPage"])
    assert snapshots.decode_snapshot(older(snapshots.encode_page(empty), "AccountsPage", written)) == empty._replace(
        items=items
    )
