"""Every kind of movement shows: balances, journal, open items and their history equal what the shards hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from payments.entries import Entry, EntryKind
from payments.errors import InvariantViolation
from payments.identifiers import NIL
from payments.items.details import (
    OPEN_ITEMS,
    Cause,
    CauseKind,
    Dispute,
    Hold,
    Journal,
    JournalLeg,
    Legs,
    OpenItem,
    Posting,
    Receivable,
    Uncollected,
)
from payments.postings import postings
from payments.rejections import Reason
from payments.risk.limits import Tier
from payments.risk.verdict import Outcome
from payments.risk.verdict import decode as decode_verdict
from runtime import migrate
from runtime.exactly_once.failpoints import Failpoints
from runtime.postgres import connect
from schemas.codec.fields import REASONS
from schemas.codec.ledger import decode_ledger_record, encode_ledger_record
from sinks.balances import prepare_session
from sinks.details.items import ITEM_TABLES
from sinks.ledger_batch import LedgerBatch
from sinks.loop import flush_batch
from sinks.progress import load_progress
from tests.sinks.every_kind import (
    ANNA,
    BERT,
    CARL,
    CHECKOUTS,
    DISPUTES,
    KINDS,
    SHARDS,
    SHOP,
    EveryKind,
)
from tests.sinks.shards_in_memory import ShardsInMemory
from tests.sinks.shown import TABLES, dump


class Played(ShardsInMemory):
    """Shards by which everything was decided."""

    def __init__(self) -> None:
        super().__init__(SHARDS)
        self.script = EveryKind(self)
        self.script.run()
        self.ledgers = {shard: self.ledger(shard) for shard in range(SHARDS)}

    def items(self) -> Iterator[OpenItem]:
        """Everything that is open."""
        for shard in self.shards:
            for owner in self.accounts() | CHECKOUTS:
                yield from shard.book.items.of(owner)

    def accounts(self) -> set[bytes]:
        return {entry.debit_account for entry in self.entries() if entry.kind is EntryKind.ACCOUNT_OPENED}


@pytest.fixture(scope="module")
def played() -> Played:
    return Played()


@pytest.fixture
def connection(migrated: str) -> Iterator[Connection]:
    with connect(migrated, "test") as connection:
        prepare_session(connection)
        yield connection


def apply(
    connection: Connection,
    ledgers: dict[int, list[bytes]],
    records_a_batch: int = 1_000,
    after: Mapping[int, int] | None = None,
) -> None:
    """What the sink does with the records of every shard, in turn. `after`: so many of each are applied already."""
    progress, done = load_progress(connection, ledgers), after or {}
    waiting = [
        (shard, at, value)
        for shard, values in ledgers.items()
        for at, value in enumerate(values)
        if at >= done.get(shard, 0)
    ]
    waiting.sort(key=lambda record: record[1])  # as they come: every shard moves on beside the others
    for start in range(0, len(waiting), records_a_batch):
        batch = LedgerBatch(progress)
        for record in waiting[start : start + records_a_batch]:
            batch.add(*record)
        flush_batch(connection, batch, lambda _: None, Failpoints(""))
        progress.update(batch.after)


def rows(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), parameters).fetchall()


def test_the_script_makes_every_kind(played: Played) -> None:
    assert {entry.kind for entry in played.entries()} >= KINDS


def test_balances_are_those_of_the_shards(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    posted: Counter[bytes] = Counter()
    for leg in (leg for entry in played.entries() for leg in postings(entry)):
        posted[leg.account] += leg.amount_minor
    available = {account: posted[account] for account in posted}
    for shard in played.shards:
        held = {account: shard.book.accounts.get(account) for account in played.accounts()}
        available |= {account: state.available_minor for account, state in held.items() if state is not None}
    found = rows(connection, "SELECT account_id, posted_minor, available_minor FROM balances")
    assert {id_.bytes: balance for id_, *balance in found} == {
        account: [posted[account], amount] for account, amount in available.items()
    }


def test_a_rebuild_record_by_record_gives_equal_tables(
    played: Played, connection: Connection, other_database: str, migrated: str
) -> None:
    apply(connection, played.ledgers)
    migrate.up(other_database, "sinks")
    with connect(other_database, "test") as other:
        prepare_session(other)
        apply(other, played.ledgers, records_a_batch=1)
    shown = dump(migrated)
    assert dump(other_database) == shown
    assert [table for table in TABLES if not shown[table]] == []


def test_postings_are_all_legs_and_balance(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    expected = Counter((entry.operation_id, *leg) for entry in played.entries() for leg in postings(entry))
    found = rows(connection, "SELECT journal_id, account_id, amount_minor, currency FROM postings")
    assert Counter((journal.bytes, account.bytes, *rest) for journal, account, *rest in found) == expected
    assert rows(connection, "SELECT DISTINCT sum(amount_minor) FROM postings GROUP BY journal_id, currency") == [(0,)]
    stated = [entry for entry in played.entries() if any(isinstance(detail, Legs) for detail in entry.details)]
    assert any(len(postings(entry)) > 2 and entry.credit_account == NIL for entry in stated)


def test_the_other_side_of_a_posting_is_that_of_its_headline(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    query = "SELECT DISTINCT counterparty FROM postings JOIN journal_entries USING (journal_id) WHERE stated_legs > 0"
    assert (UUID(bytes=NIL),) not in rows(connection, query)
    query += " AND account_id = %s AND credit_account = %s"
    assert rows(connection, query, UUID(bytes=DISPUTES), UUID(bytes=SHOP)) == [(UUID(bytes=SHOP),)]


@pytest.mark.parametrize("kind", ITEM_TABLES, ids=lambda kind: kind.__name__)
def test_open_items_are_those_of_the_shards(played: Played, connection: Connection, kind: type[OpenItem]) -> None:
    apply(connection, played.ledgers)
    table = ITEM_TABLES[kind]
    open_only = " WHERE is_open" if any(column.name == "is_open" for column in table.columns) else ""
    names = [column.name for column in table.columns[:2]]
    found = rows(connection, f"SELECT {', '.join(names)} FROM {table.name}{open_only}")
    expected = {(item.item_id, item.owner) for item in played.items() if isinstance(item, kind)}
    assert {(key.bytes, owner.bytes) for key, owner in found} == expected
    stated = {d.item_id for entry in played.entries() for d in entry.details if isinstance(d, kind)}
    assert rows(connection, f"SELECT count(*) FROM {table.name}") == [(len(stated),)]


def test_items_show_their_newest_statement(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers, records_a_batch=3)
    holds = {item.item_id: item for item in stated_items(played) if isinstance(item, Hold)}
    found = rows(
        connection,
        "SELECT hold_id, remaining_minor, captured_minor, is_open, extract(epoch FROM expires_at)::numeric FROM holds",
    )
    assert {id_.bytes: (*amounts, int(expiry * 1_000_000)) for id_, *amounts, expiry in found} == {
        id_: (hold.amount_minor, hold.captured_minor, hold.is_open, hold.expires_at_us) for id_, hold in holds.items()
    }
    journals = {item.item_id: item for item in stated_items(played) if isinstance(item, Journal)}
    shown = {id_.bytes: legs for id_, legs in rows(connection, "SELECT journal_id, legs FROM journals")}
    assert {id_: [Posting(UUID(leg[0]).bytes, *leg[1:]) for leg in legs] for id_, legs in shown.items()} == {
        id_: list(journal.legs) for id_, journal in journals.items()
    }


def stated_items(played: Played) -> Iterator[OpenItem]:
    for entry in played.entries():
        yield from (detail for detail in entry.details if isinstance(detail, OPEN_ITEMS))


def test_what_is_held_and_what_is_to_come(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    held: Counter[bytes] = Counter()
    incoming: Counter[bytes] = Counter()
    for item in played.items():
        match item:
            case Hold():
                held[item.owner] += item.amount_minor
            case Uncollected():
                incoming[item.owner] += item.amount_minor
            case JournalLeg():
                held[item.owner] -= min(item.amount_minor + item.uncollected_minor, 0)
                incoming[item.owner] += max(item.amount_minor, 0)
    found = {id_.bytes: amounts for id_, *amounts in rows(connection, "SELECT * FROM account_holdings")}
    assert found == {account: [held[account], incoming[account]] for account in held | incoming}
    assert found.keys() == {ANNA, BERT, SHOP}


def test_each_decision_has_one_row(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    answered = {EntryKind.REPLAYED, EntryKind.KEY_REUSED}
    decided = Counter(e.operation_id for e in played.entries() if any(e.fingerprint) and e.kind not in answered)
    found = rows(
        connection,
        "SELECT payment_id, description FROM decisions UNION ALL SELECT operation_id, description FROM account_events",
    )
    assert Counter(id_.bytes for id_, _ in found) == decided
    assert {text for _, text in found} == {"every kind", "a payment", None}


def test_what_an_entry_follows_from_can_be_asked(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    script = played.script
    query = "SELECT state, amount_minor FROM payments WHERE cause_kind = %s AND cause_id = %s ORDER BY amount_minor"
    refunds = rows(connection, query, int(CauseKind.REFUND), UUID(bytes=script.refundable))
    assert refunds == [(int(EntryKind.POSTED), 600), (int(EntryKind.POSTED), 1_000)]
    [came_back] = rows(connection, query, int(CauseKind.REFUND), UUID(bytes=script.of_carl))
    assert came_back == (int(EntryKind.RETURNED), 500)
    [returned] = rows(connection, "SELECT payer, cause_code FROM payments WHERE cause_code = 'R01'")
    assert returned[0] == UUID(bytes=CARL)
    ends = rows(connection, "SELECT code FROM causes WHERE cause_kind = %s AND code <> ''", int(CauseKind.DISPUTE))
    assert sorted(code for (code,) in ends) == [bytes(range(32)).hex(), *["lost"] * 3, *["won"] * 3]


def test_captures_and_chargebacks_are_payments_and_holds_are_not(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    states = dict(rows(connection, "SELECT decided_kind, array_agg(DISTINCT state) FROM payments GROUP BY 1"))
    posted = [int(EntryKind.POSTED)]
    assert states[EntryKind.CAPTURED] == states[EntryKind.DEBITED] == states[EntryKind.POSTED_UNCOLLECTED] == posted
    assert not {EntryKind.HOLD_RAISED, EntryKind.RELEASED} & states.keys()
    provisional = [entry for entry in played.entries() if entry.kind is EntryKind.POSTED and is_from_dispute(entry)]
    assert len(provisional) == 4
    ids = [UUID(bytes=entry.operation_id) for entry in provisional]
    assert rows(connection, "SELECT FROM payments WHERE payment_id = ANY(%s)", ids) == []


def test_verdicts_limits_and_rule_sets_are_shown(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    found = rows(
        connection, "SELECT kind, outcome, rules, verdict FROM verdicts WHERE account_id = %s", UUID(bytes=BERT)
    )
    assert sum(row[:3] == (EntryKind.HELD, int(Outcome.REVIEW), ["unusual"]) for row in found) == 3
    told = {(kind, *rules, decode_verdict(verdict).features["amount_minor"]) for kind, _, rules, verdict in found}
    assert {
        (EntryKind.REJECTED, "large", "unusual", 12_000),
        (EntryKind.ADVISED, "large", "unusual", 12_001),
    } <= told
    limits = rows(
        connection, "SELECT per_transaction_minor, tier FROM risk_terms_now WHERE account_id = %s", UUID(bytes=CARL)
    )
    assert limits == [(900, int(Tier.BASIC))]
    assert rows(connection, "SELECT shard, version FROM rule_sets ORDER BY 1") == [
        (shard, 1) for shard in range(SHARDS)
    ]


def test_a_payment_under_review_is_one_payment(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    found = {
        id_.bytes: shown
        for id_, *shown in rows(
            connection, "SELECT payment_id, state, reason, is_in_review FROM payments WHERE decided_kind = 13"
        )
    }
    script = played.script
    assert found == {
        script.approved: [int(EntryKind.POSTED), REASONS.index(Reason.NONE), False],
        script.declined: [int(EntryKind.REJECTED), REASONS.index(Reason.REVIEW_DECLINED), False],
        script.waiting: [int(EntryKind.HELD), REASONS.index(Reason.REVIEW_BY_RULE), True],
    }
    query = "SELECT approved_by FROM reviews WHERE hold_id = %s"
    assert rows(connection, query, UUID(bytes=script.approved)) == [
        ([str(UUID(bytes=id_ * 16)) for id_ in (b"1", b"2")],)
    ]
    assert rows(connection, "SELECT FROM payments WHERE cause_kind = %s", int(CauseKind.REVIEW)) == []


def is_from_dispute(entry: Entry) -> bool:
    causes = [detail.kind for detail in entry.details if isinstance(detail, Cause)]
    return causes == [CauseKind.DISPUTE] and not any(entry.fingerprint)


def test_the_life_of_a_hold(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    [(captured,)] = rows(connection, "SELECT hold_id FROM holds WHERE captured_minor = 800")
    life = rows(
        connection,
        "SELECT kind, amount_minor FROM item_events WHERE item_id = %s ORDER BY shard, ledger_sequence, entry_index",
        captured,
    )
    kinds = EntryKind.HELD, EntryKind.HOLD_RAISED, EntryKind.CAPTURED, EntryKind.CAPTURED
    assert life == list(zip(map(int, kinds), (1_000, 200, 500, 300), strict=True))


def test_types_and_standings(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    found = {id_.bytes: states for id_, *states in rows(connection, "SELECT account_id, type, status FROM accounts")}
    for shard in played.shards:
        for account in played.accounts():
            state = shard.book.accounts.get(account)
            assert state is None or found[account] == [int(state.type), int(state.status)]


def test_debts_and_disputes_as_they_stand(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    debts = {item.item_id: item.amount_minor for item in stated_items(played) if isinstance(item, Receivable)}
    found = rows(connection, "SELECT receivable_id, amount_minor, is_open FROM receivables")
    assert {id_.bytes: (amount, is_open) for id_, amount, is_open in found} == {
        id_: (amount, amount > 0) for id_, amount in debts.items()
    }
    assert 0 < sum(amount == 0 for amount in debts.values()) < len(debts)
    disputes = {item.item_id: item.is_open for item in stated_items(played) if isinstance(item, Dispute)}
    assert {id_.bytes: is_open for id_, is_open in rows(connection, "SELECT dispute_id, is_open FROM disputes")} == (
        disputes
    )


WRONG = [
    (EntryKind.CAPTURED, "a final capture"),
    (EntryKind.DEBITED, "an involuntary debit"),
    (EntryKind.LEG_SETTLED, "a leg"),
    (EntryKind.POSTED, "a posting with legs"),
    (EntryKind.COLLECTED, "a collected deposit"),
]


@pytest.mark.parametrize("kind", [kind for kind, _ in WRONG], ids=[what for _, what in WRONG])
def test_a_balance_that_is_not_the_sum_stops_the_sink(played: Played, connection: Connection, kind: EntryKind) -> None:
    shard, at, index = next(places_of(played, kind))
    ledgers = {number: values[:] for number, values in played.ledgers.items()}
    record = decode_ledger_record(ledgers[shard][at])
    entries = list(record.entries())[: index + 1]
    entries[index] = entries[index]._replace(available_after_minor=entries[index].available_after_minor + 1)
    ledgers[shard][at:] = [encode_ledger_record(record.header, entries, {})]
    with pytest.raises(InvariantViolation, match="available balance of account"):
        apply(connection, ledgers, records_a_batch=1)
    connection.rollback()


def places_of(played: Played, kind: EntryKind) -> Iterator[tuple[int, int, int]]:
    """Shard, record and index of the entries of a kind that state the balance of an account by their details."""
    for shard, values in played.ledgers.items():
        for at, value in enumerate(values):
            for index, entry in enumerate(decode_ledger_record(value).entries()):
                if entry.kind is kind and entry.available_after_minor and is_told_by_details(entry):
                    yield shard, at, index


def is_told_by_details(entry: Entry) -> bool:
    match entry.kind:
        case EntryKind.CAPTURED:
            return any(isinstance(detail, Hold) and not detail.is_open for detail in entry.details)
        case EntryKind.POSTED:
            return any(isinstance(detail, Legs) for detail in entry.details)
        case _:
            return True


def test_more_given_back_than_was_paid_stops_the_sink(played: Played, connection: Connection) -> None:
    apply(connection, played.ledgers)
    with pytest.raises(psycopg.errors.CheckViolation, match="never_more_than_the_payment"):
        connection.execute("UPDATE given_back SET disputed_minor = amount_minor + 1")
    connection.rollback()
