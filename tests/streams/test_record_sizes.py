"""No record that an agent writes is larger than a broker takes: a shard that can't write its decision stands still.

The inputs are the largest that the contract allows: full batches, longest keys, longest texts in four-byte letters.
"""

from collections.abc import Callable, Sequence

import pytest

from payments.accounts import Account
from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, Command
from payments.commerce.connector import ConnectorRequest, ConnectorResult, Decline, Outcome
from payments.commerce.orders import MAX_ORDERS
from payments.entries import EntryKind
from payments.expiry import ENDINGS_A_TICK
from payments.identifiers import NIL
from payments.items.details import GivenBack, Posting
from payments.movements.instructions import (
    ClearDeposit,
    Envelope,
    Instruction,
    Order,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
)
from payments.movements.journals import MAX_LEGS
from payments.rejections import Reason
from schemas import topics
from schemas.codec.commands import MAX_ITEMS, encode_batch, encode_body
from schemas.codec.connectors import MAX_REFERENCE_CHARS, decode_request, encode_result
from schemas.codec.instructions import MAX_CODE_CHARS
from schemas.codec.ledger import PackedLedgerRecord, decode_ledger_record
from schemas.codec.replies import reply_address
from schemas.codec.snapshots import AccountsPage, decode_snapshot
from streams import snapshots
from streams.outbox import FULL_BYTES, LANE_BYTES, MAX_ENTRIES, MAX_LEDGER_BYTES
from tests.streams.accounts import CURRENCY, account, account_on, deposit, freeze, funded, open_account, transfer
from tests.streams.clerk import CHECKS
from tests.streams.stored import items_of
from tests.streams.test_restore import assert_restores
from tests.streams.world import World

WRITE_LIMIT_BYTES = 900_000
"""What a stage may hand over at once (runtime.exactly_once.contract.Produce)."""

BROKER_LIMIT_BYTES = 1_048_588
"""`message.max.bytes` where nobody changed it: what an outside producer can put into a command record."""

SHARDS = 3
PAYER, NEIGHBOUR = account_on(0, SHARDS, 0), account_on(0, SHARDS, 1)
STRANGER = account_on(1, SHARDS)
CHECKOUTS = 16
"""Of 32 orders each: 1.2 MB of the ledger for their results alone."""

LONGEST = {
    "ASCII": "d" * MAX_DESCRIPTION_CHARS,
    "umlauts": "ü" * MAX_DESCRIPTION_CHARS,
    "Chinese": "水" * MAX_DESCRIPTION_CHARS,
    "emoji": "🌊" * MAX_DESCRIPTION_CHARS,
}


def ledger(world: World, shard: int = 0, since: int = 0) -> list[PackedLedgerRecord]:
    """The ledger records of a shard from a place on."""
    return [decode_ledger_record(record.value()) for record in world.logs[topics.LEDGER.name, shard][since:]]


def largest_bytes(world: World) -> int:
    """Size of the largest record that the agents wrote."""
    written = (record for topic in topics.CATALOGUE if topic != topics.COMMANDS for record in world.records(topic))
    return max(len(record.value()) + len(record.key() or b"") for record in written)


def commands(batch: int, text: str, make: Callable[[str], Command]) -> list[Command]:
    """A full batch of commands that all wait for a reply."""
    address = reply_address(1, 1 + batch)
    made = (make(f"{batch}-{item}") for item in range(MAX_ITEMS))
    return [command._replace(description=text, reply_to=address) for command in made]


@pytest.mark.parametrize("payee", [NEIGHBOUR, STRANGER], ids=["same shard", "other shard"])
@pytest.mark.parametrize("text", LONGEST.values(), ids=LONGEST)
def test_full_batches_of_the_longest_texts_stay_below_what_may_be_written(payee: bytes, text: str) -> None:
    world = World(SHARDS)
    funded(world, PAYER, payee, amount_minor=1_000_000)
    for batch in range(3):
        world.send_packed(0, commands(batch, text, lambda key: transfer(PAYER, payee, 1, key)))
    assert max(len(record.value()) for record in world.records(topics.COMMANDS)) < BROKER_LIMIT_BYTES
    world.settle()
    assert largest_bytes(world) < WRITE_LIMIT_BYTES
    kept = [text for record in ledger(world) for text in record.descriptions.values()]
    assert kept == [text] * 3 * MAX_ITEMS, "cut records lose no description"


def test_one_input_with_three_entries_an_item_fits_on_its_own() -> None:
    """The worst single record: transfers inside the shard that are reserved, refused and returned at once."""
    world = World(SHARDS)
    funded(world, PAYER, NEIGHBOUR)
    world.send(freeze(NEIGHBOUR))
    world.settle()
    before = len(ledger(world))
    world.send_packed(0, commands(0, LONGEST["emoji"], lambda key: transfer(PAYER, NEIGHBOUR, 1, key)))
    world.settle()
    [record] = ledger(world, since=before)
    assert record.entry_count == 3 * MAX_ITEMS
    assert largest_bytes(world) < WRITE_LIMIT_BYTES


def test_single_commands_fill_a_record_up_to_the_size_and_no_further() -> None:
    """One command a record, as a producer without batches sends them: the size is met between any two of them."""
    world = World(SHARDS)
    funded(world, PAYER)
    world.send(*(transfer(PAYER, STRANGER, 1, f"k{number}", description=LONGEST["emoji"]) for number in range(1_990)))
    world.send_packed(0, commands(0, LONGEST["emoji"], lambda key: transfer(PAYER, STRANGER, 1, key)))
    before = len(ledger(world))
    world.decide(topics.COMMANDS.name, 0)
    records = ledger(world, since=before)
    assert largest_bytes(world) < WRITE_LIMIT_BYTES
    assert sum(record.entry_count for record in records) == 1_990 + MAX_ITEMS
    spans = [(record.header.first_offset, record.header.next_offset) for record in records]
    assert [first for first, _ in spans[1:]] == [following for _, following in spans[:-1]], (
        "no input between two records"
    )


def test_short_texts_cost_no_record_more_than_the_number_of_entries_asks_for() -> None:
    """The size must not cut what the number of entries would not: each record costs a hash and a place in the log."""
    world = World(SHARDS)
    funded(world, PAYER, NEIGHBOUR, amount_minor=1_000_000)
    before = len(ledger(world))
    for batch in range(4):
        world.send_packed(0, commands(batch, "invoice 2026-11", lambda key: transfer(PAYER, NEIGHBOUR, 1, key)))
    world.settle()
    assert [record.entry_count for record in ledger(world, since=before)] == [MAX_ENTRIES] * 4


def test_the_longest_keys_leave_nothing_in_the_ledger_but_their_hash() -> None:
    world = World(SHARDS)
    key = "🔑" * (MAX_KEY_CHARS - 4)
    bodies = [encode_body(open_account(PAYER)._replace(idempotency_key=f"{key}{item:03}")) for item in range(900)]
    value = encode_batch(bodies)
    assert len(value) < BROKER_LIMIT_BYTES
    world.produce(topics.COMMANDS.name, value, partition=0)
    world.settle()
    [record] = ledger(world)
    assert record.entry_count == 900
    assert largest_bytes(world) < 900 * 97 + 1_000


def test_a_refused_batch_of_credits_comes_back_in_records_of_the_same_bound() -> None:
    """Nothing of a credit grows on its way: neither the refusals of one large lane record nor their returns."""
    world = World(SHARDS)
    funded(world, PAYER, amount_minor=1_000_000)
    for batch in range(4):
        world.send_packed(0, commands(batch, "", lambda key: transfer(PAYER, STRANGER, 1, key)))
    world.settle()
    returned = [entry for entry in world.entries(0) if entry.kind is EntryKind.RETURNED]
    assert len(returned) == 4 * MAX_ITEMS
    assert {entry.reason for entry in returned} == {Reason.PAYEE_NOT_FOUND}
    assert largest_bytes(world) < WRITE_LIMIT_BYTES / 2


def test_a_batch_of_nonsense_is_set_aside_piece_by_piece_within_the_bound() -> None:
    world = World(SHARDS)
    world.produce(topics.COMMANDS.name, encode_batch([b"\xff" * 1_000] * MAX_ITEMS), partition=0)
    world.settle()
    assert len(world.records(topics.QUARANTINE)) == MAX_ITEMS
    assert [entry.source_item for entry in world.entries(0)] == list(range(MAX_ITEMS))
    assert largest_bytes(world) < WRITE_LIMIT_BYTES


def asked(make: Callable[[Envelope], Instruction], count: int, text: str = "") -> list[Instruction]:
    """Instructions that all wait for a reply."""
    return [make(Envelope(f"asked-{number}", reply_address(1, 1 + number), text)) for number in range(count)]


def journal(legs: Sequence[bytes]) -> Callable[[Envelope], Instruction]:
    """The first account pays all others."""
    amounts = [1 - len(legs), *[1] * (len(legs) - 1)]
    postings = tuple(Posting(account, amount, CURRENCY) for account, amount in zip(legs, amounts, strict=True))
    return lambda envelope: PostJournal(envelope=envelope, legs=postings, code="x" * MAX_CODE_CHARS)


def test_the_largest_journals_inside_one_shard_fit() -> None:
    """64 answers, each of which restates 64 legs, in one ledger record; behind them the record is cut."""
    world = World(1)
    legs = [account(number) for number in range(1, MAX_LEGS + 1)]
    funded(world, *legs, amount_minor=1_000_000)
    world.send(*asked(journal(legs), 10, LONGEST["emoji"]))
    before = len(ledger(world))
    world.settle()
    records = ledger(world, since=before)
    assert sum(entry.kind is EntryKind.JOURNAL_POSTED for record in records for entry in record.entries()) == 10
    assert len(records) < 10, "several fit into one"
    sizes = sorted(len(record.value()) for record in world.logs[topics.LEDGER.name, 0][before:])
    assert FULL_BYTES / 2 < sizes[-1] < MAX_LEDGER_BYTES
    assert largest_bytes(world) < WRITE_LIMIT_BYTES


@pytest.mark.parametrize("is_refused", [False, True], ids=["posted", "cancelled"])
def test_a_lane_full_of_answers_fits_the_coordinators_ledger(is_refused: bool) -> None:
    """Every PREPARED makes an entry that restates the whole journal: lane records are cut by what they will become."""
    world = World(2)
    first = account_on(0, 2)
    legs = [first, *(account_on(1, 2, nth) for nth in range(MAX_LEGS - 1))]
    funded(world, *legs, amount_minor=1_000_000)
    if is_refused:
        world.send(freeze(legs[-1]))
        world.settle()
    world.send(*asked(journal(legs), 8))
    world.settle()
    ended = EntryKind.JOURNAL_CANCELLED if is_refused else EntryKind.JOURNAL_POSTED
    assert sum(entry.kind is ended for entry in world.entries(0)) == 8
    largest = max(len(record.value()) for record in world.logs[topics.LEDGER.name, 0])
    assert LANE_BYTES / 2 < largest < MAX_LEDGER_BYTES, "the lane was full, and what it became fits"
    assert largest_bytes(world) < WRITE_LIMIT_BYTES


def test_as_many_holds_as_end_at_one_tick_fit() -> None:
    world = World(1)
    payer, payee = account(1), account(2)
    funded(world, payer, payee, amount_minor=1_000_000)
    expires_at_us = (world.now_ms + 60_000) * 1_000
    for batch in range(4):
        world.send(
            *(
                PlaceHold(
                    envelope=Envelope(f"{batch}-{number}"),
                    payer=payer,
                    payee=payee,
                    amount_minor=1,
                    currency=CURRENCY,
                    expires_at_us=expires_at_us,
                )
                for number in range(ENDINGS_A_TICK // 2)
            )
        )
    world.settle()
    world.now_ms += 60_000
    for released in (ENDINGS_A_TICK, ENDINGS_A_TICK, 0):
        before = len(ledger(world))
        world.tick(0)
        world.settle()
        entries = [entry for record in ledger(world, since=before) for entry in record.entries()]
        assert [entry.kind for entry in entries] == [EntryKind.RELEASED] * released
    assert largest_bytes(world) < WRITE_LIMIT_BYTES / 2


def test_a_page_with_more_than_a_record_may_hold_is_written_in_parts() -> None:
    """30,000 accounts and 20,000 refunds of one of them: 1.1 and 0.8 MB."""
    world = World(1)
    shard = world.tables[0]
    accounts = {number.to_bytes(15, "big") + b"\0": Account("EUR", number) for number in range(30_000)}
    refunds = {GivenBack(number.to_bytes(16, "big"), NIL, 1 << 50, 1, 1 << 40) for number in range(20_000)}
    for account_id, held in accounts.items():
        shard.book.accounts[account_id] = held
    for refund in refunds:
        shard.book.items.put(refund)
    shard.entries = snapshots.ENTRIES_PER_PAGE
    world.tables.before_commit([0], world.produce)
    assert largest_bytes(world) < WRITE_LIMIT_BYTES
    written = [decode_snapshot(record.value()) for record in world.records(topics.SNAPSHOTS)]
    parts = [page for page in written if isinstance(page, AccountsPage)]
    assert len(parts) == 3
    assert [account for part in parts for account in part.accounts] == list(accounts.items())
    assert {item for part in parts for item in part.items} == refunds


def test_parts_that_a_smaller_page_leaves_behind_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "ENTRIES_PER_PAGE", 1)
    monkeypatch.setattr(snapshots, "PAGES_PER_STEP", snapshots.PAGES)
    monkeypatch.setattr(snapshots, "PART_BYTES", 500)
    world = World(1)
    funded(world, PAYER)
    world.send(*(deposit(PAYER, 1, f"d{number}")._replace(payer=CHECKS) for number in range(300)))
    world.settle()
    for item in list(world.tables[0].book.items.of(PAYER))[5:]:
        world.send(ClearDeposit(envelope=Envelope(item.item_id.hex()), account=PAYER, deposit_id=item.item_id))
    world.settle()
    newest = {record.key() or b"": decode_snapshot(record.value()) for record in world.records(topics.SNAPSHOTS)}
    parts = [page for page in newest.values() if isinstance(page, AccountsPage) and page.page == PAYER[-1]]
    assert sum(len(part.items) for part in parts) > len(items_of(world.tables[0])) == 5
    assert len({part.sequence for part in parts}) > 1
    assert_restores(world)


@pytest.mark.parametrize("seller", [NEIGHBOUR, STRANGER], ids=["same shard", "other shard"])
def test_full_checkouts_and_their_results_stay_below_what_may_be_written(seller: bytes) -> None:
    """Each order is stated with its journal and its request when it is placed, when the provider is asked, and when it
    has answered.
    """
    world, longest = World(SHARDS), "x" * MAX_REFERENCE_CHARS
    world.send(open_account(seller))
    for number in range(CHECKOUTS):
        names = (f"{number}-{place}".ljust(MAX_REFERENCE_CHARS, "x") for place in range(MAX_ORDERS))
        orders = tuple(Order(name, seller, 100, CURRENCY, True) for name in names)
        checkout = account_on(0, SHARDS, 10 + number)
        world.send(
            PlaceCheckout(
                envelope=Envelope("place"),
                checkout=checkout,
                provider="stripe",
                token=longest,
                buyer=longest,
                orders=orders,
            )
        )
    world.settle()
    for record in world.logs[topics.CONNECTOR_REQUESTS.name, 0]:
        result = succeeded(decode_request(record.value()), longest)
        world.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), key=record.key(), partition=0)
    world.settle()
    kinds = [entry.kind for entry in world.entries()]
    assert kinds.count(EntryKind.JOURNAL_POSTED) == CHECKOUTS * MAX_ORDERS
    assert largest_bytes(world) < WRITE_LIMIT_BYTES
    assert_restores(world)


def succeeded(request: ConnectorRequest, reference: str) -> ConnectorResult:
    """The longest answer of a provider."""
    told = request.request_id, 1, request.provider, request.operation, request.payment_order_id
    return ConnectorResult(*told, Outcome.SUCCEEDED, reference, Decline.NONE, reference, 10**12, CURRENCY, 0, False)
