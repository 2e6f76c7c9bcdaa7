"""A book of its own on which one kind of movement is played: every entry is the core's own decision."""

from collections import deque
from typing import NamedTuple

from payments.accounts import AccountType
from payments.book import Book
from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.connector import ConnectorRequest, ConnectorResult, Decline, Outcome
from payments.entries import Entry, EntryKind, Source
from payments.identifiers import derive_operation_id
from payments.lifecycle import decide as decide_command
from payments.movements.deciding import conclude, decide, requests_of, settled
from payments.movements.instructions import Envelope, Instruction, OpenAccount
from payments.terms.methods import Method, method_account

ANNA, BERT, SHOP, DORA = (bytes([number]) * 16 for number in (0x71, 0x72, 0x73, 0x74))
NAMES = {ANNA: "Anna", BERT: "Bert", SHOP: "Shop", DORA: "Dora"}
START_US = 1_700_000_000_000_000


class Step(NamedTuple):
    """One entry of an example: what was asked, and what it did."""

    asked: str
    entry: Entry


class Example:
    """A book of its own, on which one kind of movement is played."""

    def __init__(self, title: str, text: str) -> None:
        self.title = title
        self.text = text
        self.book = Book()
        self.steps: list[Step] = []
        self._asked: deque[tuple[bytes, ConnectorRequest]] = deque()
        self._keys = 0
        for account, type_ in ((ANNA, AccountType.CHECKING), (BERT, AccountType.WALLET), (SHOP, AccountType.MERCHANT)):
            self._ask(OpenAccount(account=account, type=type_, currency="EUR", envelope=self._envelope()))
        self._ask(OpenAccount(account=DORA, type=AccountType.SAVINGS, currency="USD", envelope=self._envelope()))

    def funded(self, account: bytes = ANNA, minor: int = 10_000) -> "Example":
        """The account holds this already."""
        self._pay(CommandKind.DEPOSIT, method_account(Method.CASH, "EUR"), account, minor)
        return self

    def sold(self, minor: int = 10_000, spent: int = 0) -> bytes:
        """Anna has paid the shop, which has spent some of it since; the payment."""
        self.funded(ANNA, minor)
        (_, received) = self._pay(CommandKind.TRANSFER, ANNA, SHOP, minor)
        if spent:
            self._pay(CommandKind.TRANSFER, SHOP, method_account(Method.WIRE, "EUR"), spent)
        return received.operation_id

    def pay(self, asked: str, kind: CommandKind, payer: bytes, payee: bytes, minor: int) -> list[Entry]:
        """Show a transfer or deposit."""
        return self._show(asked, self._pay(kind, payer, payee, minor))

    def ask(self, asked: str, instruction: Instruction) -> list[Entry]:
        """Show an instruction."""
        return self._show(asked, self._ask(instruction))

    def answer(self, told: str, outcome: Outcome, fee_minor: int | None = None, is_last: bool = False) -> list[Entry]:
        """Show what the provider's answer to its oldest request does; it is asked again until it is sure, or for the
        last time.
        """
        owner, request = self._asked.popleft()
        is_sure = outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
        result = ConnectorResult(
            request.request_id,
            request.attempt,
            request.provider,
            request.operation,
            request.payment_order_id,
            outcome,
            provider_reference="pi_1",
            decline=Decline.NONE,
            provider_code="",
            fee_minor=fee_minor,
            fee_currency="" if fee_minor is None else request.currency,
            at_us=START_US,
            attempt_follows=not is_sure and not is_last,
        )
        if result.attempt_follows:
            self._asked.appendleft((owner, request._replace(attempt=request.attempt + 1)))
        entry, _ = conclude(self.book, owner, result, self._source())
        return self._show(told, self._settled(entry))

    def envelope(self) -> Envelope:
        """A key of its own."""
        return self._envelope()

    def _envelope(self) -> Envelope:
        self._keys += 1
        return Envelope(f"key {self._keys}")

    def _show(self, asked: str, entries: list[Entry]) -> list[Entry]:
        self.steps += [Step(asked, entry) for entry in entries]
        return entries

    def _pay(self, kind: CommandKind, payer: bytes, payee: bytes, minor: int) -> list[Entry]:
        command = Command(kind, payer, payee, minor, "EUR", NO_REPLY, self._envelope().idempotency_key)
        operation_id = derive_operation_id(command.authority, command.idempotency_key, 0)
        return self._settled(decide_command(self.book, operation_id, command, self._source()))

    def _ask(self, asked: Instruction) -> list[Entry]:
        operation_id = derive_operation_id(asked.authority, asked.envelope.idempotency_key, 0)
        return self._settled(decide(self.book, operation_id, asked, self._source()))

    def _settled(self, entry: Entry) -> list[Entry]:
        assert entry.kind is not EntryKind.REJECTED, entry
        entries = list(settled(self.book, entry, self._source()))
        self._asked += (request for each in entries for request in requests_of(each))
        return entries

    def _source(self) -> Source:
        return Source(self._keys, 0, START_US + self._keys)
