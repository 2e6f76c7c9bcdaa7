"""Goal: each notice is told once, to who is still there, whatever crashes; what can't be told is an operator's to see.

Method: the process itself on a real Postgres and a real SMTP server; it is broken at each of its steps.
"""

import threading
from collections import Counter

import pytest

from connectors.notifications.channels.contract import DELIVERED, Outcome
from connectors.notifications.channels.sms import SmsChannel
from connectors.notifications.outbox import TRIES_MAX
from runtime.personal_data.keyring import Keyring
from schemas.tables.notifications import NoticeKind, Unsubscribing, read_unsubscribe_token
from tests.connectors.notifications.desk import ANNA, ANNAS, BERTA, BERTAS, Desk
from tests.connectors.notifications.providers import HANG_UP
from tests.support.waiting import eventually

SMS_TOO = '{"choices": {"payment_failed": {"sms": "now", "email": "off", "push": "off"}}}'
DAILY = '{"choices": {"payment_failed": {"email": "daily"}}}'


async def test_owners_are_told_once_and_by_the_link_can_stop_it(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, "anna@example.com")
    await desk.person(BERTA, BERTAS, "berta@example.com", '{"choices": {"payment_received": {"email": "now"}}}')
    desk.happen(99)
    with desk.telling():
        eventually(desk.all_planned, "what happened before the first start is passed over")
    desk.happen(1, type_="payment.posted")
    desk.happen(2)
    for _ in range(2):
        with desk.telling():
            eventually(desk.is_done)
    assert sorted((mail["To"], mail["Subject"]) for mail in desk.box.taken) == [
        ("anna@example.com", "Your payment of 2.00 EUR was refused"),
        ("berta@example.com", "You received 1.00 EUR"),
    ]
    (to_anna,) = (mail for mail in desk.box.taken if mail["To"] == "anna@example.com")
    token = to_anna["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert read_unsubscribe_token(Keyring.of(desk.settings).index_key, token) == Unsubscribing(
        ANNA.bytes, NoticeKind.PAYMENT_FAILED
    )


@pytest.mark.parametrize(
    ("failpoint", "copies"), [("notices_before_commit", 1), ("notices_after_claim", 1), ("notices_before_record", 2)]
)
async def test_broken_at_a_step_nothing_is_lost_and_a_repeat_can_be_told(
    desk: Desk, failpoint: str, copies: int
) -> None:
    await desk.person(ANNA, ANNAS, "anna@example.com")
    desk.begin()
    desk.happen(1, 2, 3)
    with desk.telling(f"{failpoint}:1:raise"):
        pass
    desk.hurry()
    with desk.telling():
        eventually(desk.is_done)
    eventually(lambda: len(desk.box.taken) == 3 * copies, "what was under way when it broke arrives, too")
    counted = Counter(mail["Message-ID"] for mail in desk.box.taken)
    assert list(counted.values()) == [copies] * 3, "those taken and not recorded come again, with their Message-ID"


async def test_after_an_erasure_nothing_is_sent_and_without_a_part_nothing_is_told(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, "anna@example.com", DAILY)
    await desk.person(BERTA, BERTAS, "berta@example.com", '{"choices": {"payment_received": {"email": "daily"}}}')
    desk.begin()
    desk.happen(1, type_="payment.posted")
    desk.happen(2)
    with desk.telling():
        eventually(desk.all_planned)
    await desk.erase(BERTA)
    desk.rows("UPDATE notices SET account_id = %s WHERE user_id = %s", BERTAS, ANNA)
    desk.rows("UPDATE notices SET status = 'pending', due_at = now()")
    with desk.telling():
        eventually(desk.is_done)
    assert desk.box.taken == []
    assert set(desk.statuses()) == {("withheld", "nobody_to_tell"), ("withheld", "no_part_in_account")}


async def test_a_refused_one_is_a_dead_letter_and_a_failing_one_is_tried_again(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, "gone@example.com")
    await desk.person(BERTA, BERTAS, "berta@example.com", '{"choices": {"payment_received": {"email": "now"}}}')
    desk.box.unknown = {"gone@example.com"}
    desk.box.answers = lambda _: "451 later"
    desk.begin()
    desk.happen(1, type_="payment.posted")
    desk.happen(2)
    with desk.telling():
        eventually(
            lambda: ("pending", "smtp_451") in desk.statuses() and ("failed", "address_refused") in desk.statuses()
        )
        desk.rows("UPDATE notices SET attempts = %s, due_at = now() WHERE status = 'pending'", TRIES_MAX - 1)
        eventually(desk.is_done)
    assert sorted(desk.statuses()) == [("failed", "address_refused"), ("failed", "smtp_451")]


async def test_a_text_message_of_unknown_outcome_is_not_sent_again(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, phone="+4915112345678", preferences=SMS_TOO)
    desk.begin()
    desk.provided.faults = [HANG_UP]
    desk.happen(1)
    with desk.telling():
        eventually(desk.is_done)
    desk.happen(2)
    with desk.telling("notices_after_claim:1:raise"):
        pass
    desk.hurry()
    with desk.telling():
        eventually(desk.is_done)
    assert desk.statuses() == [("failed", "connection_lost"), ("failed", "outcome_unknown")]
    assert len(desk.provided.messages) == 1


async def test_a_device_that_is_gone_is_forgotten(desk: Desk) -> None:
    off = '{"choices": {"payment_failed": {"email": "off"}}}'
    await desk.person(ANNA, ANNAS, "anna@example.com", off, dev_a="there", dev_b="gone")
    desk.provided.devices = {"there"}
    desk.begin()
    desk.happen(1)
    with desk.telling():
        eventually(desk.is_done)
        desk.happen(2)
        eventually(desk.is_done)
    assert [push["token"] for push in desk.provided.pushes] == ["there", "there"]
    assert sorted(desk.statuses()) == [("delivered", None), ("delivered", None), ("withheld", "device_gone")]


async def test_a_day_is_one_summary(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, "anna@example.com", DAILY)
    desk.begin()
    desk.happen(1, 2)
    with desk.telling():
        eventually(desk.all_planned)
    desk.hurry()
    for _ in range(2):
        with desk.telling():
            eventually(desk.is_done)
    (mail,) = desk.box.taken
    assert mail["Subject"] == "Your summary: 2 notices"
    assert "Your payment of 1.00 EUR was refused" in desk.box.texts()[0]
    assert "Your payment of 2.00 EUR was refused" in desk.box.texts()[0]
    assert sorted(desk.statuses()) == [("delivered", None), ("summarised", None), ("summarised", None)]


async def test_the_address_of_before_is_told_once_and_forgotten(desk: Desk) -> None:
    await desk.person(ANNA, ANNAS, "thief@example.com")
    await desk.keep(ANNA, "user.email.before.1", "anna@example.com")
    desk.begin()
    await desk.audit("user.changed", ANNA, {"contacts_before": ["user.email.before.1"]})

    with desk.telling():
        eventually(lambda: desk.statuses() == [("delivered", None)] * 2)
        eventually(lambda: not desk.rows("SELECT 1 FROM personal_values WHERE field LIKE '%%.before.%%'"))
    assert sorted(desk.box.receivers) == ["anna@example.com", "thief@example.com"]


async def test_a_slow_provider_holds_up_its_own_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def slow(*_: object) -> Outcome:
        answers.wait()
        return DELIVERED

    monkeypatch.setattr(SmsChannel, "send", slow)
    both = SMS_TOO.replace('"email": "off"', '"email": "now"')
    await desk.person(ANNA, ANNAS, "anna@example.com", both, phone="+4915112345678")
    desk.settings = desk.settings.model_copy(update={"notice_slots": 1})
    desk.begin()
    desk.happen(1, 2, 3)

    with desk.telling():
        try:
            eventually(lambda: len(desk.box.taken) == 3)
        finally:
            answers.set()
        eventually(lambda: desk.statuses() == [("delivered", None)] * 6)


async def test_a_changed_password_is_told_at_once(desk: Desk) -> None:
    never = '{"quiet_from": "00:00", "quiet_until": "23:59", "language": "de"}'
    await desk.person(ANNA, ANNAS, "anna@example.com", never)
    desk.begin()
    await desk.audit("password.changed", ANNA)

    with desk.telling():
        eventually(lambda: [mail["Subject"] for mail in desk.box.taken] == ["Ihr Passwort wurde geändert"])
