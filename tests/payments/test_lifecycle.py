"""The state table and every refusal by its name, each reached by the smallest book that shows it."""

import inspect
import re
from copy import copy
from itertools import product

import pytest

from payments import accounts, refusals
from payments.accounts import Account, AccountStatus
from payments.book import Book, evolve
from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.entries import Credit, EntryKind, Source, quarantined
from payments.errors import InvariantViolation
from payments.identifiers import NIL, derive_operation_id, system_account
from payments.items.details import Uncollected
from payments.lifecycle import FINAL, TRANSITIONS, PaymentStatus, decide, post, take_back
from payments.money import MAX_MINOR
from payments.postings import MOVEMENTS, Posting, SystemAccount, clearing_account, postings
from payments.rejections import QUARANTINED, Reason

ALICE, BOB, CAROL, FROZEN, CLOSED, RICH, NOBODY, NO_DEBITS, DORMANT, WAITING = (
    bytes([0x70 + n]) * 16 for n in range(10)
)
CLEARING = clearing_account("EUR")
SOURCE = Source(offset=7, item=0, time_us=1_700_000_000_000_000)

STEPS = {kind for _, kind in TRANSITIONS}
IMPOSSIBLE = {
    PaymentStatus.RECEIVED: {
        EntryKind.REFUSED,
        EntryKind.RETURNED,
        EntryKind.RECEIVED,
        EntryKind.CAPTURED,
        EntryKind.RELEASED,
    },
    PaymentStatus.IN_REVIEW: STEPS - {EntryKind.CAPTURED, EntryKind.RELEASED},
    PaymentStatus.AUTHORISED: {
        EntryKind.RESERVED,
        EntryKind.REJECTED,
        EntryKind.HELD,
        EntryKind.CAPTURED,
        EntryKind.RELEASED,
        EntryKind.POSTED_UNCOLLECTED,
    },
    **dict.fromkeys(FINAL, STEPS),
}
NO_STEP = set(EntryKind) - STEPS
"""Kinds that are no step of a payment: repeats, quarantine and account entries."""


def book() -> Book:
    """Alice has 10.00 EUR and may overdraw by 5.00; the others are named for their standing."""
    book = Book()
    book.accounts[ALICE] = Account("EUR", 1000, 500)
    book.accounts[BOB] = Account("EUR", 0)
    book.accounts[CAROL] = Account("USD", 0)
    book.accounts[FROZEN] = Account("EUR", 1000, 0, AccountStatus.FROZEN)
    book.accounts[CLOSED] = Account("EUR", 0, 0, AccountStatus.CLOSED)
    book.accounts[RICH] = Account("EUR", MAX_MINOR)
    book.accounts[NO_DEBITS] = Account("EUR", 1000, 0, AccountStatus.DEBITS_FROZEN)
    book.accounts[DORMANT] = Account("EUR", 1000, 0, AccountStatus.DORMANT)
    book.accounts[WAITING] = Account("EUR", 0)
    book.items.put(Uncollected(bytes([1]) * 16, WAITING, 100, "EUR", is_open=True))
    return book


def transfer(payer: bytes = ALICE, payee: bytes = BOB, amount_minor: int = 100, currency: str = "EUR") -> Command:
    return Command(CommandKind.TRANSFER, payer, payee, amount_minor, currency, NO_REPLY, "key")


def deposit(payee: bytes = BOB, amount_minor: int = 100, currency: str = "EUR", payer: bytes = CLEARING) -> Command:
    return Command(CommandKind.DEPOSIT, payer, payee, amount_minor, currency, NO_REPLY, "key")


def opening(account: bytes = NOBODY, currency: str = "EUR", limit_minor: int = 0) -> Command:
    return Command(CommandKind.OPEN_ACCOUNT, account, NIL, limit_minor, currency, NO_REPLY, "key")


def overdraft(account: bytes = ALICE, limit_minor: int = 0) -> Command:
    return Command(CommandKind.SET_OVERDRAFT_LIMIT, account, NIL, limit_minor, "", NO_REPLY, "key")


def change(kind: CommandKind, account: bytes) -> Command:
    return account_command(kind, account, "key")


def credit(payee: bytes = BOB, amount_minor: int = 100, currency: str = "EUR", payer: bytes = ALICE) -> Credit:
    return Credit(bytes([1]) * 16, payer, payee, amount_minor, currency, NO_REPLY)


def operation_of(command: Command) -> bytes:
    return derive_operation_id(command.authority, command.idempotency_key, 0)


@pytest.mark.parametrize(("status", "kind"), list(product(PaymentStatus, EntryKind)))
def test_every_pair_is_a_transition_or_impossible(status: PaymentStatus, kind: EntryKind) -> None:
    known = (status, kind) in TRANSITIONS
    assert known != (kind in IMPOSSIBLE[status] or kind in NO_STEP)


def test_final_states_have_no_way_out_and_every_state_is_reached() -> None:
    assert {status for status, _ in TRANSITIONS} == set(PaymentStatus) - FINAL
    reached = {PaymentStatus.RECEIVED, *TRANSITIONS.values()}
    assert reached == set(PaymentStatus)


REFUSED_COMMANDS = [
    (Reason.ACCOUNT_NOT_FOUND, transfer(payer=NOBODY)),
    (Reason.ACCOUNT_NOT_FOUND, change(CommandKind.FREEZE_ACCOUNT, NOBODY)),
    (Reason.ACCOUNT_NOT_FOUND, change(CommandKind.CLOSE_ACCOUNT, NOBODY)),
    (Reason.ACCOUNT_NOT_FOUND, overdraft(NOBODY)),
    (Reason.ACCOUNT_FROZEN, transfer(payer=FROZEN)),
    (Reason.ACCOUNT_CLOSED, transfer(payer=CLOSED)),
    (Reason.ACCOUNT_CLOSED, change(CommandKind.UNFREEZE_ACCOUNT, CLOSED)),
    (Reason.ACCOUNT_CLOSED, change(CommandKind.CLOSE_ACCOUNT, CLOSED)),
    (Reason.ACCOUNT_CLOSED, overdraft(CLOSED)),
    (Reason.ACCOUNT_DEBITS_FROZEN, transfer(payer=NO_DEBITS)),
    (Reason.ACCOUNT_DORMANT, transfer(payer=DORMANT)),
    (Reason.ACCOUNT_HAS_OPEN_ITEMS, change(CommandKind.CLOSE_ACCOUNT, WAITING)),
    (Reason.CURRENCY_MISMATCH, transfer(currency="USD")),
    (Reason.INSUFFICIENT_FUNDS, transfer(amount_minor=1501)),
    (Reason.SAME_ACCOUNT, transfer(payee=ALICE)),
    (Reason.AMOUNT_INVALID, transfer(amount_minor=0)),
    (Reason.AMOUNT_INVALID, transfer(amount_minor=-1)),
    (Reason.AMOUNT_INVALID, transfer(amount_minor=-(2**63))),
    (Reason.AMOUNT_INVALID, transfer(amount_minor=MAX_MINOR + 1)),
    (Reason.AMOUNT_INVALID, deposit(amount_minor=-1)),
    (Reason.AMOUNT_INVALID, opening(limit_minor=-1)),
    (Reason.AMOUNT_INVALID, overdraft(limit_minor=MAX_MINOR + 1)),
    (Reason.PAYEE_NOT_FOUND, deposit(NOBODY)),
    (Reason.PAYEE_FROZEN, deposit(FROZEN)),
    (Reason.PAYEE_CLOSED, deposit(CLOSED)),
    (Reason.PAYEE_CURRENCY_MISMATCH, deposit(CAROL)),
    (Reason.BALANCE_LIMIT_EXCEEDED, deposit(RICH, 1)),
    (Reason.ACCOUNT_EXISTS, opening(ALICE)),
    (Reason.ACCOUNT_RESERVED, opening(CLEARING)),
    (Reason.ACCOUNT_RESERVED, transfer(payer=CLEARING)),
    (Reason.ACCOUNT_RESERVED, deposit(payee=clearing_account("USD"))),
    (Reason.CURRENCY_UNKNOWN, opening(currency="XYZ")),
    (Reason.CURRENCY_UNKNOWN, opening(currency="")),
    (Reason.BALANCE_NOT_ZERO, change(CommandKind.CLOSE_ACCOUNT, ALICE)),
    (Reason.PAYER_NOT_SYSTEM, deposit(payer=ALICE)),
    (Reason.PAYER_NOT_SYSTEM, deposit(payer=NIL)),
    (Reason.PAYER_NOT_SYSTEM, deposit(payer=system_account(999, "EUR"))),
    (Reason.PAYER_NOT_SYSTEM, deposit(payer=system_account(SystemAccount.DISPUTES, "EUR"))),
    (Reason.CURRENCY_MISMATCH, deposit(payer=clearing_account("USD"))),
    (Reason.PAYEE_NOT_FOUND, transfer(payee=NIL)),
    (Reason.PAYEE_NOT_FOUND, transfer(payee=system_account(999, "EUR"))),
    (Reason.PAYEE_CURRENCY_MISMATCH, transfer(payee=clearing_account("USD"))),
]


@pytest.mark.parametrize(("reason", "command"), REFUSED_COMMANDS)
def test_a_refused_command_says_why_and_moves_nothing(reason: Reason, command: Command) -> None:
    before, after = book(), book()
    entry = decide(after, operation_of(command), command, SOURCE)
    assert (entry.kind, entry.reason) == (EntryKind.REJECTED, reason)
    evolve(after, entry)
    assert after.accounts == before.accounts


def test_an_overdraft_in_use_cannot_be_lowered() -> None:
    world = book()
    world.accounts[ALICE] = Account("EUR", -300, 500)
    command = overdraft(ALICE, 299)
    assert decide(world, operation_of(command), command, SOURCE).reason is Reason.OVERDRAFT_IN_USE
    allowed = overdraft(ALICE, 300)
    assert decide(world, operation_of(allowed), allowed, SOURCE).kind is EntryKind.OVERDRAFT_LIMIT_SET


@pytest.mark.parametrize(
    ("reason", "refused"),
    [
        (Reason.PAYEE_NOT_FOUND, credit(NOBODY)),
        (Reason.PAYEE_FROZEN, credit(FROZEN)),
        (Reason.PAYEE_CLOSED, credit(CLOSED)),
        (Reason.PAYEE_CURRENCY_MISMATCH, credit(CAROL)),
        (Reason.BALANCE_LIMIT_EXCEEDED, credit(RICH, 1)),
    ],
)
def test_a_refused_credit_says_why_and_moves_nothing(reason: Reason, refused: Credit) -> None:
    before, after = book(), book()
    entry = post(after, refused, SOURCE)
    assert (entry.kind, entry.reason) == (EntryKind.REFUSED, reason)
    assert postings(entry) == ()
    evolve(after, entry)
    assert after.accounts == before.accounts


def test_every_reason_of_a_command_is_reached() -> None:
    """Those that the refusals name. What other instructions are refused for is reached by the model, together with
    these: tests/payments/movements/test_model.py.
    """
    named = re.findall(r"\bReason\.([A-Z_]+)", inspect.getsource(refusals) + inspect.getsource(accounts))
    by_command = {reason for reason, _ in REFUSED_COMMANDS}
    assert by_command | {Reason.OVERDRAFT_IN_USE} == {Reason[name] for name in named}


@pytest.mark.parametrize("reason", sorted(QUARANTINED))
def test_what_cannot_be_decided_leaves_a_trace_without_moving_anything(reason: Reason) -> None:
    before, after = book(), book()
    entry = quarantined(reason, SOURCE)
    assert (entry.kind, entry.reason, entry.source_offset) == (EntryKind.QUARANTINED, reason, SOURCE.offset)
    evolve(after, entry)
    assert after.accounts == before.accounts
    assert vars(after.operations) == vars(before.operations)


@pytest.mark.parametrize("command", [command for _, command in REFUSED_COMMANDS])
def test_a_repeat_is_answered_before_anything_is_checked(command: Command) -> None:
    world = book()
    evolve(world, decide(world, operation_of(command), command, SOURCE))
    repeat = decide(world, operation_of(command), command, SOURCE)
    assert (repeat.kind, repeat.reason) == (EntryKind.REPLAYED, Reason.NONE)


@pytest.mark.parametrize(
    "other",
    [
        transfer(amount_minor=101),
        transfer(payee=CAROL),
        transfer(currency="USD"),
        transfer()._replace(description="rent"),
        change(CommandKind.FREEZE_ACCOUNT, ALICE),
    ],
)
def test_the_same_key_with_another_body_is_refused(other: Command) -> None:
    world = book()
    evolve(world, decide(world, operation_of(transfer()), transfer(), SOURCE))
    accounts = copy(world.accounts)
    entry = decide(world, operation_of(other), other, SOURCE)
    assert (entry.kind, entry.reason) == (EntryKind.KEY_REUSED, Reason.IDEMPOTENCY_KEY_REUSED)
    evolve(world, entry)
    assert world.accounts == accounts


def test_who_waits_for_the_reply_is_no_part_of_the_body() -> None:
    assert transfer().fingerprint == transfer()._replace(reply_to=b"12345678").fingerprint


def test_the_limit_can_be_used_to_the_last_minor_unit() -> None:
    world = book()
    entry = decide(world, operation_of(transfer()), transfer(amount_minor=1500), SOURCE)
    assert (entry.kind, entry.available_after_minor) == (EntryKind.RESERVED, -500)


def test_the_balance_limit_can_be_reached_to_the_last_minor_unit() -> None:
    entry = post(book(), credit(BOB, MAX_MINOR), SOURCE)
    assert (entry.kind, entry.available_after_minor) == (EntryKind.POSTED, MAX_MINOR)


@pytest.mark.parametrize("standing", [AccountStatus.FROZEN, AccountStatus.CLOSED])
def test_a_return_arrives_whatever_became_of_the_payer(standing: AccountStatus) -> None:
    world = book()
    world.accounts[ALICE] = world.accounts[ALICE]._replace(status=standing)
    entry = take_back(world, credit()._replace(reason=Reason.PAYEE_CLOSED), SOURCE)
    evolve(world, entry)
    assert (entry.kind, entry.reason) == (EntryKind.RETURNED, Reason.PAYEE_CLOSED)
    assert world.accounts[ALICE] == Account("EUR", 1100, 500, standing)


def test_a_return_to_a_stranger_stops_the_process() -> None:
    with pytest.raises(InvariantViolation):
        take_back(book(), credit(payer=NOBODY), SOURCE)


def test_a_system_payee_is_posted_without_state() -> None:
    world = book()
    entry = post(world, credit(CLEARING), SOURCE)
    evolve(world, entry)
    assert (entry.kind, entry.available_after_minor) == (EntryKind.POSTED, 0)
    assert CLEARING not in world.accounts


def test_deciding_changes_nothing() -> None:
    world = book()
    for command in (transfer(), deposit(), opening(), overdraft(ALICE, 1)):
        decide(world, operation_of(command), command, SOURCE)
    post(world, credit(), SOURCE)
    take_back(world, credit(), SOURCE)
    assert world.accounts == book().accounts
    assert vars(world.operations) == vars(book().operations)


def test_a_journal_entry_has_two_legs_that_balance() -> None:
    entry = decide(book(), operation_of(deposit()), deposit(amount_minor=250), SOURCE)
    assert postings(entry) == (Posting(CLEARING, -250, "EUR"), Posting(BOB, 250, "EUR"))


def test_every_movement_of_money_is_in_the_table() -> None:
    assert set(MOVEMENTS) == {CommandKind.TRANSFER, CommandKind.DEPOSIT}
    for kind in set(CommandKind) - set(MOVEMENTS):
        world = book()
        command = opening() if kind is CommandKind.OPEN_ACCOUNT else change(kind, BOB)
        entry = decide(world, operation_of(command), command, SOURCE)
        assert postings(entry) == ()
        assert entry.kind not in (EntryKind.RESERVED, EntryKind.REJECTED)
