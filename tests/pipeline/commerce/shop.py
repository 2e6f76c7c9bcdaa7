"""Sellers, checkouts, refunds and payouts over the real topics, and what the ledger and the provider say of them.

The ledger is read by a reader of its own that runs all the time: an open item is what its newest entry states.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import psycopg
from confluent_kafka import Producer

from connectors.psp.stripe import ORDER_ID
from millrace.audit.report import AuditReport
from millrace.audit.verify import verify
from millrace.environment import LocalEnvironment
from millrace.replay.decide import decide_again
from millrace.replay.drift import DriftWatch
from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.connector import Outcome
from payments.commerce.requests import PROVIDER_FEE
from payments.entries import EntryKind
from payments.identifiers import NIL, ORDER, format_id, uuid7
from payments.items.details import Cause, CauseKind, OrderStatus, PaymentOrder, ProviderRequest
from payments.movements.instructions import (
    Envelope,
    Instruction,
    Order,
    PayOut,
    PlaceCheckout,
    RefundOrder,
    SettleAttempt,
)
from payments.postings import clearing_account
from runtime.kafka_client import Brokers
from schemas import topics
from schemas.codec.commands import encode_command
from schemas.codec.instructions import encode_instruction
from schemas.partitioning import shard_of
from schemas.tables.psp_events import REQUEST_ID
from tests.connectors.sandbox_process import SandboxProcess
from tests.pipeline.conftest import assert_clean
from tests.pipeline.slots import Slot, ended_afterwards
from tests.support.ledger_reader import LedgerReader
from tests.support.waiting import eventually

CURRENCY = "EUR"
PAYS, DECLINED, REFUNDS_FAIL = "pm_card_visa", "pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_refundFail"
ACTS = "pm_card_authenticationRequired"
BANK, CONNECTED = "ba_of_the_seller", "acct_of_the_seller"
"""Where payouts go: days later, and at once."""


class Shop:
    """A shop of an installation that runs already. Use `open`."""

    slots: tuple[Slot, ...] = ()

    def __init__(self, stage: LocalEnvironment, sandbox: SandboxProcess, ledger: LedgerReader) -> None:
        self.stage = stage
        self.ledger = ledger
        self.sandbox = sandbox
        self._shards = stage.settings.shards
        self._producer = Producer({**Brokers.of(stage.settings).configuration(), "acks": "all"})

    @classmethod
    @contextmanager
    def open(cls, stage: LocalEnvironment, sandbox: SandboxProcess) -> Iterator[Self]:
        with LedgerReader.of(stage) as ledger:
            shop = cls(stage, sandbox, ledger)
            with ended_afterwards(*shop.slots):
                yield shop

    def tend(self) -> None:
        """Start again what a test has killed."""
        for slot in self.slots:
            slot.tend()

    def seller(self, funds_minor: int = 0) -> bytes:
        """A new account of its own, with so much on it."""
        account = _new_id()
        self._command(Command(CommandKind.OPEN_ACCOUNT, account, NIL, 0, CURRENCY, NO_REPLY, "open"))
        if funds_minor:
            payer = clearing_account(CURRENCY)
            self._command(Command(CommandKind.DEPOSIT, payer, account, funds_minor, CURRENCY, NO_REPLY, "funds"))
        return account

    def check_out(self, *orders: Order, token: str = PAYS) -> bytes:
        """The new checkout's id."""
        checkout = _new_id()
        self.ask(
            PlaceCheckout(
                envelope=Envelope("place"),
                checkout=checkout,
                provider="stripe",
                token=token,
                buyer="buyer-7",
                orders=orders,
            )
        )
        return checkout

    def refund(self, checkout: bytes, order: Order, amount_minor: int, key: str = "") -> None:
        self.ask(
            RefundOrder(
                envelope=Envelope(key or secrets.token_hex(8)),
                checkout=checkout,
                payment_order_id=order.payment_order_id,
                amount_minor=amount_minor,
                currency=order.currency,
            )
        )

    def pay_out(self, account: bytes, amount_minor: int, token: str = CONNECTED) -> None:
        self.ask(
            PayOut(
                envelope=Envelope(secrets.token_hex(8)),
                account=account,
                provider="stripe",
                token=token,
                amount_minor=amount_minor,
                currency=CURRENCY,
            )
        )

    def settle(self, one: Order, operator: int, reference: str, lost_attempt: int) -> None:
        """A person says that it was charged, and that the attempt which was to follow is lost."""
        found = self.order(one)
        self.ask(
            SettleAttempt(
                envelope=Envelope(secrets.token_hex(8)),
                owner=found.owner,
                request_id=found.item_id,
                is_succeeded=True,
                provider_reference=reference,
                operator=bytes([operator]) * 16,
                lost_attempt=lost_attempt,
            )
        )

    def await_fee(self, one: Order) -> None:
        """Until something of what its provider keeps is posted."""
        self._await(lambda: self.fees_posted(one), "what the provider keeps")

    def fees_posted(self, one: Order) -> list[int]:
        """What its provider keeps of it, entry by entry."""
        caused = Cause(CauseKind.JOURNAL, self.order(one).item_id, PROVIDER_FEE)
        return [
            entry.amount_minor
            for entry in self.ledger.entries()
            if entry.kind is EntryKind.POSTED and caused in entry.details
        ]

    def ask(self, *asked: Instruction) -> None:
        for one in asked:
            self._write(one.authority, encode_instruction(one))
        assert self._producer.flush(30) == 0

    def order(self, order: Order) -> PaymentOrder:
        """As it stands. Fails where it was never placed."""
        found = [o for o in self.ledger.items(PaymentOrder) if o.payment_order_id == order.payment_order_id]
        assert len(found) == 1, f"{order} stands in the books {len(found)} times"
        return found[0]

    def requests_of(self, order: Order) -> list[ProviderRequest]:
        """Its charge, then its refunds."""
        return [r for r in self.ledger.items(ProviderRequest) if r.payment_order_id == order.payment_order_id]

    def await_status(self, status: OrderStatus, *orders: Order) -> None:
        """Until each of them has it."""
        wanted = {order.payment_order_id for order in orders}
        self._await(lambda: wanted <= self._orders_with(status), status.name)

    def await_outcome(self, order: Order, outcome: Outcome) -> None:
        """Until the newest attempt for it has come to this."""
        self._await(lambda: [r for r in self.requests_of(order) if r.outcome is outcome], outcome.value)

    def await_asked(self, order: Order) -> None:
        """Until the provider is asked to charge it, at least."""
        begun = {OrderStatus.EXECUTING, OrderStatus.SUCCESS, OrderStatus.FAILED}
        self._await(lambda: any(order.payment_order_id in self._orders_with(status) for status in begun), "a request")

    def await_answers(self, order: Order, requests: int) -> None:
        """Until so many requests were made for it, and the provider has answered for all."""

        def answered() -> bool:
            found = self.requests_of(order)
            return len(found) >= requests and not any(request.is_open for request in found)

        self._await(answered, f"an answer to {requests} requests")

    def await_payouts(self, account: bytes, expected: Mapping[int, Outcome]) -> None:
        """Until the account's payouts of these amounts, and no others, stand so."""
        self._await(lambda: {p.amount_minor: p.outcome for p in self.payouts_of(account)} == expected, "payouts")

    def _await(self, probe: Callable[[], object], what: str) -> None:
        def tended() -> object:
            self.tend()
            return probe()

        eventually(tended, f"{what}: {self.ledger.items(ProviderRequest)}")

    def _orders_with(self, status: OrderStatus) -> set[str]:
        return {order.payment_order_id for order in self.ledger.items(PaymentOrder) if order.status is status}

    def payouts_of(self, account: bytes) -> list[ProviderRequest]:
        return [r for r in self.ledger.items(ProviderRequest) if r.owner == account]

    def postings_of(self, order: Order) -> int:
        """How often its charge was posted."""
        order_id = self.order(order).item_id
        kinds = Counter(entry.kind for entry in self.ledger.entries() if entry.operation_id == order_id)
        return kinds[EntryKind.JOURNAL_POSTED]

    def balance_minor(self, account: bytes) -> int:
        """As Postgres shows it."""
        with psycopg.connect(self.stage.database_url) as database:
            query = "SELECT available_minor FROM balances WHERE account_id = %s"
            [[shown]] = database.execute(query, [account.hex()]).fetchall()
        return int(shown)

    def refunded(self, order: Order) -> list[int]:
        """What the provider gave back of it, refund by refund."""
        refunds = self.sandbox.all("refunds")
        return sorted(r["amount"] for r in refunds if r["metadata"][ORDER_ID] == order.payment_order_id)

    def transferred(self, account: bytes) -> list[int]:
        """What the provider paid out for it at once."""
        known = {payout.item_id.hex() for payout in self.payouts_of(account)}
        return sorted(t["amount"] for t in self.sandbox.all("transfers") if t["metadata"][REQUEST_ID] in known)

    def page_of(self, order: Order) -> str:
        """Where its payer has to act; empty where it does not."""
        with psycopg.connect(self.stage.database_url) as database:
            query = "SELECT url FROM payer_actions WHERE request_id = %s"
            row = database.execute(query, [self.order(order).item_id.hex()]).fetchone()
        return str(row[0]) if row is not None else ""

    @contextmanager
    def telling(self) -> Iterator[None]:
        """With the publisher and the sink of public events."""
        with ended_afterwards(Slot(self.stage, "publisher"), Slot(self.stage, "events-sink")):
            yield

    def told_of(self, order: Order) -> list[str]:
        """Types of the public events of it, as webhooks get them and `GET /v1/events` shows them."""
        subject = format_id(ORDER, self.order(order).item_id)
        with psycopg.connect(self.stage.database_url) as database:
            query = "SELECT type FROM public_events WHERE object = %s ORDER BY position"
            return [type_ for (type_,) in database.execute(query, [subject]).fetchall()]

    def charged(self, order: Order) -> int:
        """How often the provider took money for it."""
        return self.sandbox.taken_of(ORDER_ID).get(order.payment_order_id, 0)

    def close_the_books(self) -> None:
        """At rest, the audit, a replay of all decisions and a look for drift find nothing."""
        reports: list[AuditReport] = []

        def is_at_rest() -> bool:
            self.tend()
            reports.append(verify(self.stage.settings))
            last = reports[-1]
            return not last.ok or (last.undecided, last.unapplied_records, last.in_flight) == (0, 0, 0)

        eventually(is_at_rest, "everything decided and applied")
        assert_clean(reports[-1])
        decided = decide_again(self.stage.settings)
        assert (decided.first_difference, decided.not_proved) == (None, [])
        drift = DriftWatch(self.stage.settings).look()
        assert drift is not None
        assert drift.ok

    def _command(self, command: Command) -> None:
        self._write(command.authority, encode_command(command))
        assert self._producer.flush(30) == 0

    def _write(self, authority: bytes, value: bytes) -> None:
        self._producer.produce(topics.COMMANDS.name, value, authority, shard_of(authority, self._shards))


class KeptShop(Shop):
    """With processes of its own."""

    def __init__(self, stage: LocalEnvironment, sandbox: SandboxProcess, ledger: LedgerReader) -> None:
        super().__init__(stage, sandbox, ledger)
        self.worker = Slot(stage, "worker")
        self.sink = Slot(stage, "sink")
        self.connectors = Slot(stage, "connectors", program="tests.connectors.impatient")
        self.slots = self.worker, self.sink, self.connectors


def order(seller: bytes, amount_minor: int, *, on_delivery: bool = False) -> Order:
    return Order(f"order-{secrets.token_hex(8)}", seller, amount_minor, CURRENCY, on_delivery)


def _new_id() -> bytes:
    return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))
