"""Goal: a payment is shown as its latest reply says, each status with just the times and ids that belong to it.

The table of what is shown is written down here; the words come from payments.lifecycle alone.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_api.http.resources import (
    RESOURCES,
    STATUS_OF,
    Account,
    Payment,
    Position,
    account_status_word,
    account_text,
    encode,
    is_final,
    payment_of,
    rfc3339,
    rfc3339_of_us,
)
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, JOURNAL, PAYMENT, derive_operation_id, format_id, parse_id
from payments.lifecycle import FINAL, PaymentStatus
from payments.money import EXPONENTS, format_minor
from payments.rejections import Reason
from schemas.codec.replies import Reply

PAYER, PAYEE = b"\x11" * 16, b"\x22" * 16
COMMAND = Command(CommandKind.TRANSFER, PAYER, PAYEE, 1_050, "EUR", NO_REPLY, "key", "rent")
OPERATION = derive_operation_id(PAYER, "key", 0)
DECIDED_US = 1_768_471_200_000_007
AT = "2026-01-15T10:00:00.000007Z"

SHOWN: list[tuple[EntryKind, Reason, str, bool, set[str]]] = [
    # reply,             reason,                     status,       final, what else is shown
    (EntryKind.RESERVED, Reason.NONE, "authorised", False, {"decided_at"}),
    (EntryKind.REJECTED, Reason.INSUFFICIENT_FUNDS, "rejected", True, {"decided_at", "reason"}),
    (EntryKind.POSTED, Reason.NONE, "posted", True, {"posted_at", "journal_id"}),
    (EntryKind.REFUSED, Reason.PAYEE_FROZEN, "authorised", False, {"decided_at", "reason"}),
    (EntryKind.RETURNED, Reason.PAYEE_FROZEN, "returned", True, {"returned_at", "reason"}),
    (EntryKind.POSTED_UNCOLLECTED, Reason.NONE, "posted", True, {"posted_at", "journal_id"}),
    (EntryKind.RECEIVED, Reason.NONE, "posted", True, {"posted_at", "journal_id"}),
    (EntryKind.HELD, Reason.REVIEW_BY_RULE, "in_review", False, {"decided_at", "reason"}),
    (EntryKind.CAPTURED, Reason.NONE, "authorised", False, {"decided_at"}),
    (EntryKind.RELEASED, Reason.REVIEW_DECLINED, "rejected", True, {"decided_at", "reason"}),
]
STATUS_IDS = [row[0].name.lower() for row in SHOWN]
ALWAYS = {"id", "status", "final", "from_account", "to_account", "amount", "amount_minor", "currency", "description"}


def reply(kind: EntryKind, reason: Reason = Reason.NONE) -> Reply:
    return Reply(NO_REPLY, OPERATION, kind, reason, DECIDED_US)


def shown(command: Command, told: Reply | None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(payment_of(OPERATION, command, told)))
    return document


@pytest.mark.parametrize(("kind", "reason", "status", "final", "more"), SHOWN, ids=STATUS_IDS)
def test_a_payment_shows_what_its_latest_reply_says(
    kind: EntryKind, reason: Reason, status: str, final: bool, more: set[str]
) -> None:
    document = shown(COMMAND, reply(kind, reason))
    assert (document["status"], document["final"]) == (status, final)
    assert set(document) == ALWAYS | more
    assert {document[name] for name in more if name.endswith("_at")} == {AT}
    assert document.get("reason") == (str(reason) if reason is not Reason.NONE else None)


def test_a_payment_that_nobody_has_decided_is_received_and_shows_no_time() -> None:
    document = shown(COMMAND, None)
    assert (document["status"], document["final"]) == ("received", False)
    assert set(document) == ALWAYS


def test_the_table_covers_every_reply_that_a_payment_can_get() -> None:
    assert {row[0] for row in SHOWN} == set(STATUS_OF)
    assert {status for _, _, status, _, _ in SHOWN} | {"received"} == {str(status) for status in PaymentStatus}


@pytest.mark.parametrize("kind", list(EntryKind))
def test_a_caller_waits_on_only_where_another_reply_follows(kind: EntryKind) -> None:
    """Repeats, quarantine and account operations are answered once, and so is an analyst's decision (a capture)."""
    assert is_final(kind) == (kind not in {EntryKind.RESERVED, EntryKind.REFUSED})
    if kind in STATUS_OF and kind not in {EntryKind.HELD, EntryKind.CAPTURED}:  # not over, and answered as it stands
        assert is_final(kind) == (STATUS_OF[kind] in FINAL)


def test_ids_are_those_of_the_routes() -> None:
    document = shown(COMMAND, reply(EntryKind.POSTED))
    assert document["id"] == format_id(PAYMENT, OPERATION)
    assert document["journal_id"] == format_id(JOURNAL, OPERATION)
    assert parse_id(ACCOUNT, document["from_account"]) == PAYER
    assert parse_id(ACCOUNT, document["to_account"]) == PAYEE


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**15 - 1), st.sampled_from(sorted(EXPONENTS)))
def test_money_is_text_with_the_decimals_of_its_currency_and_a_whole_number(minor: int, currency: str) -> None:
    document = shown(COMMAND._replace(amount_minor=minor, currency=currency), None)
    assert (document["amount"], document["amount_minor"]) == (format_minor(minor, currency), minor)
    assert isinstance(document["amount"], str), "a JSON number is read as binary floating point"
    assert isinstance(document["amount_minor"], int)


def test_an_empty_description_is_left_out_and_any_other_is_kept() -> None:
    assert "description" not in shown(COMMAND._replace(description=""), None)
    text = 'Grüße "§" \\ </script>'
    assert shown(COMMAND._replace(description=text), None)["description"] == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000000Z"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-31T06:30:00.000000Z"),
        (datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2026-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_utc_with_microseconds(at: datetime, text: str) -> None:
    assert rfc3339(at) == text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 253_402_300_799_999_999))
def test_no_microsecond_is_lost_between_the_log_and_the_answer(at_us: int) -> None:
    text = rfc3339_of_us(at_us)
    back = datetime.fromisoformat(text)
    since = back - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds == at_us


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4_102_444_800_000_000), max_size=20))
def test_texts_of_times_sort_as_the_times_do(times_us: list[int]) -> None:
    assert [rfc3339_of_us(one) for one in sorted(times_us)] == sorted(rfc3339_of_us(one) for one in times_us)


def test_an_account_is_named_the_same_wherever_it_appears() -> None:
    assert account_text(PAYER) == format_id(ACCOUNT, PAYER) == account_text(bytes(PAYER))


def test_standings_are_words() -> None:
    words = ["open", "frozen", "closed", "debits_frozen", "dormant"]
    assert [account_status_word(status) for status in range(len(words))] == words
    with pytest.raises(ValueError, match="5"):
        account_status_word(5)


def test_what_is_not_known_yet_is_left_out_and_zero_is_not() -> None:
    account = json.loads(encode(Account("acc_1", "wallet", "EUR", overdraft_limit="0.00", overdraft_limit_minor=0)))
    known = {"id": "acc_1", "type": "wallet", "currency": "EUR"}
    assert account == known | {"overdraft_limit": "0.00", "overdraft_limit_minor": 0}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: str(resource.__name__))
def test_every_resource_can_be_described_and_has_a_text(resource: type) -> None:
    schema = msgspec.json.schema(resource)
    definition = schema["$defs"][resource.__name__]
    assert definition["properties"]
    assert definition.get("description"), "the page of the API shows it"


def test_a_position_says_topic_partition_and_offset() -> None:
    assert json.loads(encode(Position("t", 3, 2**53 + 1))) == {"topic": "t", "partition": 3, "offset": 2**53 + 1}


def test_a_payment_reads_back_as_it_was_written() -> None:
    payment = payment_of(OPERATION, COMMAND, reply(EntryKind.POSTED))
    assert msgspec.json.decode(encode(payment), type=Payment) == payment
