"""Balances at many points of the past equal an independent fold and Postgres' own facts; points that do not exist are
refused with what there is.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Differs
from millrace.replay.balances import Balance
from millrace.replay.point import Moment, NoSuchPoint, Offsets, parse_point, shown_time
from millrace.replay.rebuild import Point, ReplayReport, replay
from payments.identifiers import ACCOUNT, format_id, is_system
from runtime import migrate
from runtime.settings import Settings
from schemas.codec.ledger import decode_ledger_record, encode_ledger_record
from tests.audit.forgery import Forge, Partitions, forged, relinked
from tests.audit.pipeline import ACCOUNTS, CLEARING, SHARDS, STRANGER, Pipeline, apply_ledger
from tests.replay.independent_fold import balances_up_to, places


@pytest.fixture
def replayed(pipeline: Pipeline, applied: Settings) -> Callable[..., ReplayReport]:
    """The log and its tables at a point, written as on the command line."""

    def run(to: str | None = None, account: bytes | None = None) -> ReplayReport:
        return replay(applied, Point(None if to is None else parse_point(to), account), pipeline.topics)

    return run


def text_of(next_offsets: dict[int, int]) -> str:
    return ",".join(f"{shard}:{offset}" for shard, offset in next_offsets.items())


def vectors(pipeline: Pipeline) -> list[dict[int, int]]:
    """The state after each fifth of every shard's records, the beginning included."""
    found = places(pipeline)
    by_shard = {shard: [place.offset + 1 for place in found if place.shard == shard] for shard in range(SHARDS)}
    return [
        {shard: 0 if part == 0 else ends[part * len(ends) // 5 - 1] for shard, ends in by_shard.items()}
        for part in range(6)
    ]


def test_balances_at_past_offsets_equal_an_independent_fold_and_the_facts_of_postgres(
    pipeline: Pipeline, replayed: Callable[..., ReplayReport]
) -> None:
    for vector in vectors(pipeline):
        expected = balances_up_to(pipeline, vector)
        report = replayed(text_of(vector))
        assert report.next_offsets == vector
        assert report.accounts == report.comparison.accounts == len(expected)
        assert report.ok, report.comparison
        if CLEARING in expected:
            assert replayed(text_of(vector), CLEARING).balance == Balance("EUR", *expected[CLEARING])


def test_every_account_at_a_point_of_the_past(pipeline: Pipeline, replayed: Callable[..., ReplayReport]) -> None:
    vector = vectors(pipeline)[3]
    for account, (posted, available) in balances_up_to(pipeline, vector).items():
        balance = replayed(text_of(vector), account).balance
        assert balance is not None
        assert (balance.posted_minor, balance.available_minor) == (posted, available)


def test_totals_by_currency_add_up(pipeline: Pipeline, replayed: Callable[..., ReplayReport]) -> None:
    vector = vectors(pipeline)[4]
    expected = balances_up_to(pipeline, vector)
    totals = replayed(text_of(vector)).currencies
    assert list(totals) == ["EUR", "USD"]
    assert sum(total.postings_sum_minor for total in totals.values()) == 0
    customers = {account: held for account, held in expected.items() if not is_system(account)}
    assert sum(total.accounts for total in totals.values()) == len(customers)
    assert sum(total.posted_minor for total in totals.values()) == sum(posted for posted, _ in customers.values())
    assert sum(total.available_minor for total in totals.values()) == sum(free for _, free in customers.values())
    own = sum(posted for account, (posted, _) in expected.items() if is_system(account))
    assert sum(total.system_minor for total in totals.values()) == own
    assert totals["EUR"].in_flight_minor == totals["EUR"].posted_minor - totals["EUR"].available_minor


def test_a_moment_holds_every_record_that_the_broker_had_taken_in(
    pipeline: Pipeline, replayed: Callable[..., ReplayReport]
) -> None:
    found = places(pipeline)
    times = sorted({place.time_ms for place in found})
    for moment_ms in (times[0], times[len(times) // 2], times[-1] - 1, times[-1]):
        report = replayed(shown_time(moment_ms))
        assert report.records == sum(place.time_ms <= moment_ms for place in found)
        assert report.last_record_at == shown_time(max(ms for ms in times if ms <= moment_ms))
        assert report.ok
        counted = {
            s: max([p.offset + 1 for p in found if p.shard == s and p.time_ms <= moment_ms], default=0)
            for s in range(SHARDS)
        }
        assert report.accounts == len(balances_up_to(pipeline, counted))


def test_one_shards_offset_takes_the_others_at_the_time_of_its_last_record(
    pipeline: Pipeline, replayed: Callable[..., ReplayReport]
) -> None:
    found = places(pipeline)
    last = [place for place in found if place.shard == 1][2]
    report = replayed(f"1:{last.offset + 1}")
    others = [place for place in found if place.shard != 1 and place.time_ms <= last.time_ms]
    assert report.next_offsets[1] == last.offset + 1
    assert report.records == 3 + len(others)
    assert report.ok


def test_the_newest_point_is_compared_with_the_table_of_balances(
    pipeline: Pipeline, replayed: Callable[..., ReplayReport]
) -> None:
    report = replayed()
    assert report.compared_with == "balances"
    assert (report.ok, report.comparison.drift_minor, report.unapplied_records) == (True, 0, 0)
    assert report.records == len(places(pipeline))
    assert report.to_json()["comparison"]["first"] == []


def test_a_changed_balance_is_found_at_the_newest_point(pipeline: Pipeline, changeable: Settings) -> None:
    with psycopg.connect(changeable.database_url) as connection:
        connection.execute("UPDATE balances SET posted_minor = posted_minor + 7 WHERE account_id = %s", (ids(0),))
        connection.execute("UPDATE balances SET available_minor = available_minor - 5 WHERE account_id = %s", (ids(1),))
        connection.execute("DELETE FROM balances WHERE account_id = %s", (ids(2),))
        connection.execute("INSERT INTO balances VALUES (%s, 'EUR', 0, 0, now())", (STRANGER.hex(),))
    report = replay(changeable, Point(), pipeline.topics)
    before = {one.account: one for one in report.comparison.first}
    assert not report.ok
    assert list(before) == sorted(format_id(ACCOUNT, account) for account in (*ACCOUNTS[:3], STRANGER))
    changed, missing = (before[format_id(ACCOUNT, ACCOUNTS[at])] for at in (0, 2))
    assert changed.ledger is not None
    assert changed.postgres == changed.ledger._replace(posted_minor=changed.ledger.posted_minor + 7)
    assert missing.postgres is None
    assert missing.ledger is not None
    gone = abs(missing.ledger.posted_minor) + abs(missing.ledger.available_minor)
    assert (report.comparison.differing_accounts, report.comparison.drift_minor) == (4, 7 + 5 + gone)


def test_a_changed_fact_is_found_from_its_point_on_and_not_before(pipeline: Pipeline, changeable: Settings) -> None:
    with psycopg.connect(changeable.database_url) as connection:
        row = connection.execute(
            "UPDATE journal_entries SET amount_minor = amount_minor + 3 WHERE journal_id = (SELECT journal_id"
            " FROM journal_entries WHERE shard = 0 AND kind = 2 AND stated_legs = 0"
            " ORDER BY ledger_offset DESC LIMIT 1) RETURNING ledger_offset"
        ).fetchone()
    assert row is not None
    ends = vectors(pipeline)[-1]
    at = {shard: end - 1 for shard, end in ends.items()}  # not the newest point: there the balances are compared
    assert replay(changeable, Point(Offsets({**at, 0: row[0]})), pipeline.topics).ok
    report = replay(changeable, Point(Offsets({**at, 0: row[0] + 1})), pipeline.topics)
    assert (report.comparison.differing_accounts, report.comparison.drift_minor) in {(2, 9), (2, 12)}


def test_what_the_sink_has_not_applied_is_added_up_and_not_compared(
    pipeline: Pipeline, database: str, settings: Settings
) -> None:
    half = forged(pipeline, "ledger", keep_half)
    apply_ledger(pipeline.bootstrap, half.ledger, database, settings.home)
    report = replay(settings.model_copy(update={"database_url": database}), Point(), pipeline.topics)
    assert report.ok
    assert report.records == len(places(pipeline)) > report.unapplied_records > 0
    assert report.compared_with == "balances"


def keep_half(partitions: Partitions) -> None:
    for records in partitions:
        del records[len(records) // 2 :]


def test_tables_of_another_ledger_are_said(pipeline: Pipeline, applied: Settings) -> None:
    half = forged(pipeline, "ledger", keep_half)
    with pytest.raises(Differs, match=r"sink_progress, shard 0: expected at most \d+, the end of"):
        replay(applied, Point(), half)


def leave_one_out(partitions: Partitions) -> None:
    del partitions[0][3]
    relinked(partitions[0])


def change_one_byte(partitions: Partitions) -> None:
    record = partitions[0][3]
    record.value = record.value[:-9] + b"!" + record.value[-8:]


def raise_amounts(partitions: Partitions) -> None:
    """And make the chain whole again, as somebody with access to all of it would."""
    record = partitions[0][3]
    packed = decode_ledger_record(record.value)
    entries = [entry._replace(amount_minor=entry.amount_minor + 1) for entry in packed.entries()]
    record.value = encode_ledger_record(packed.header, entries, packed.descriptions)
    relinked(partitions[0])


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (leave_one_out, r"\[0\] offset \d+: expected sequence 3 of shard 0, found sequence 4 of shard 0"),
        (change_one_byte, r"\[0\] offset \d+: expected previous hash [0-9a-f]{64}, found"),
        (raise_amounts, r"\[0\] before offset \d+: expected available_after_minor -?\d+ of acc_\w{26}, found"),
    ],
)
def test_a_ledger_that_was_tampered_with_contradicts_itself(
    pipeline: Pipeline, database: str, settings: Settings, forge: Forge, said: str
) -> None:
    migrate.up(database, "sinks")
    topics = forged(pipeline, "ledger", forge)
    with pytest.raises(Differs, match=said):
        replay(settings.model_copy(update={"database_url": database}), Point(), topics)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (lambda _: shown_time(time.time_ns() // 1_000_000 + 60_000), "lies in the future: it is"),
        (lambda first_ms: shown_time(first_ms - 1), "nothing was decided yet: the ledger begins at {first}"),
        (lambda _: "0:999999", r"\[0\] ends before offset \d+: 999999 does not exist yet"),
        (lambda _: "7:1", "there is no shard 7: this installation has 0 to 2"),
        (lambda _: "0:0", "no record lies before these offsets"),
    ],
)
def test_points_that_the_ledger_does_not_have(
    pipeline: Pipeline, replayed: Callable[..., ReplayReport], to: Callable[[int], str], said: str
) -> None:
    first_ms = min(place.time_ms for place in places(pipeline))
    with pytest.raises(NoSuchPoint, match=said.replace("{first}", re.escape(shown_time(first_ms)))):
        replayed(to(first_ms))


def test_an_account_that_is_not_named_up_to_the_point(replayed: Callable[..., ReplayReport]) -> None:
    with pytest.raises(AuditImpossible, match=f"no entry of the ledger names {format_id(ACCOUNT, STRANGER)}"):
        replayed(None, STRANGER)


def test_without_the_ledgers_beginning_nothing_is_rebuilt(pipeline: Pipeline, applied: Settings) -> None:
    topics = forged(pipeline, "ledger", lambda _: None)
    admin = AdminClient({"bootstrap.servers": pipeline.bootstrap})
    for future in admin.delete_records([TopicPartition(topics.ledger, 2, 3)]).values():
        future.result(30)
    with pytest.raises(NoSuchPoint, match=r"\[2\] begins at offset 3: retention has deleted"):
        replay(applied, Point(), topics)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1200", "0:1,0:2", "0:-1", "2026-11-21", "2026-11-21T20:15:00", "0:1,"]
)
def test_texts_that_mean_no_point(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_point(text)


def test_texts_that_mean_a_point() -> None:
    assert parse_point("0:1200,1:900") == Offsets({0: 1200, 1: 900})
    moment = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)
    for text in ("2026-11-21T20:15:00Z", "2026-11-21T21:15:00+01:00", "2026-11-21T20:15:00.0009Z"):
        assert parse_point(text) == Moment((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def ids(number: int) -> str:
    return ACCOUNTS[number].hex()
