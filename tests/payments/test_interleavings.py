"""Several shards under random commands, with credits and returns delivered late and in any order.

Every answer is compared with the independent auditor's (tests/support/auditor.py) at once, and every run ends with the
world at rest: money conserved, nobody overdrawn, each payment final once, each key moved once, and every shard equal
to the fold of its entries.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payments.accounts import Account
from payments.book import Book, evolve
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Credit, Entry, EntryKind, Source
from payments.identifiers import NIL, derive_operation_id
from payments.lifecycle import FINAL, TRANSITIONS, PaymentStatus, decide, post, take_back
from payments.money import MAX_MINOR
from payments.postings import clearing_account
from tests.support.auditor import Auditor

SHARDS = 3
ACCOUNTS = [bytes([0x80 + number]) * 16 for number in range(7)]
SYSTEM = clearing_account("EUR")
CURRENCIES = ["EUR", "EUR", "EUR", "JPY", "XYZ"]

accounts = st.sampled_from(ACCOUNTS)
payees = st.sampled_from([*ACCOUNTS, SYSTEM, clearing_account("USD"), NIL])
currencies = st.sampled_from(CURRENCIES)
amounts = st.one_of(
    st.integers(1, 500), st.sampled_from([0, -1, 1_000_000, MAX_MINOR - 100, MAX_MINOR, MAX_MINOR + 1, 2**63 - 1])
)
places = st.integers(0, 10_000)


def shard_of(account_id: bytes) -> int:
    return account_id[0] % SHARDS


class World(RuleBasedStateMachine):
    """The shards, the money between them, and the auditor who watches."""

    def __init__(self) -> None:
        super().__init__()
        self.auditor = Auditor()
        self.books = [Book() for _ in range(SHARDS)]
        self.ledgers: list[list[Entry]] = [[] for _ in range(SHARDS)]
        self.statuses: dict[bytes, PaymentStatus] = {}
        self.credits: list[Credit] = []
        self.returns: list[Credit] = []
        self.sent: list[Command] = []
        self.clock_us = 1_700_000_000_000_000

    @initialize(currency=currencies, funds=st.integers(1, 2_000))
    def first_accounts(self, currency: str, funds: int) -> None:
        for account in ACCOUNTS[:4]:
            self.send(CommandKind.OPEN_ACCOUNT, account, NIL, 0, "EUR")
            self.send(CommandKind.DEPOSIT, SYSTEM, account, funds, "EUR")

    @rule(account=accounts, limit=amounts, currency=currencies)
    def open_account(self, account: bytes, limit: int, currency: str) -> None:
        self.send(CommandKind.OPEN_ACCOUNT, account, NIL, limit, currency)

    @rule(payer=payees, account=payees, amount=amounts, currency=currencies)
    def deposit(self, payer: bytes, account: bytes, amount: int, currency: str) -> None:
        self.send(CommandKind.DEPOSIT, payer, account, amount, currency)

    @rule(account=accounts, amount=amounts)
    def fund(self, account: bytes, amount: int) -> None:
        self.send(CommandKind.DEPOSIT, SYSTEM, account, amount, "EUR")

    @rule(payer=accounts, payee=payees, amount=amounts, currency=currencies)
    def transfer(self, payer: bytes, payee: bytes, amount: int, currency: str) -> None:
        self.send(CommandKind.TRANSFER, payer, payee, amount, currency)

    @rule(payer=accounts, payee=accounts, share=st.integers(1, 4))
    def transfer_what_is_there(self, payer: bytes, payee: bytes, share: int) -> None:
        account = self.books[shard_of(payer)].accounts.get(payer)
        if account is not None:
            amount = (account.available_minor + account.overdraft_limit_minor) // share
            self.send(CommandKind.TRANSFER, payer, payee, amount, account.currency)

    @rule(
        account=accounts,
        kind=st.sampled_from([CommandKind.FREEZE_ACCOUNT, CommandKind.UNFREEZE_ACCOUNT, CommandKind.CLOSE_ACCOUNT]),
    )
    def change_standing(self, account: bytes, kind: CommandKind) -> None:
        self.send(kind, account, NIL, 0, "")

    @rule(account=accounts, limit=amounts)
    def set_overdraft(self, account: bytes, limit: int) -> None:
        self.send(CommandKind.SET_OVERDRAFT_LIMIT, account, NIL, limit, "")

    @precondition(lambda self: self.sent)
    @rule(place=places)
    def repeat(self, place: int) -> None:
        self.decide(self.sent[place % len(self.sent)])

    @precondition(lambda self: self.sent)
    @rule(place=places, amount=amounts)
    def reuse_key(self, place: int, amount: int) -> None:
        self.decide(self.sent[place % len(self.sent)]._replace(amount_minor=amount))

    @precondition(lambda self: self.credits)
    @rule(place=places)
    def deliver_credit(self, place: int) -> None:
        credit = self.credits.pop(place % len(self.credits))
        shard = shard_of(credit.payee if credit.payee in ACCOUNTS else credit.payer)
        entry = post(self.books[shard], credit, self.source(shard))
        self.record(shard, entry)
        self.auditor.credit(credit, entry)
        if entry.kind is EntryKind.REFUSED:
            self.returns.append(credit._replace(reason=entry.reason))

    @precondition(lambda self: self.returns)
    @rule(place=places)
    def deliver_return(self, place: int) -> None:
        credit = self.returns.pop(place % len(self.returns))
        shard = shard_of(credit.payer)
        entry = take_back(self.books[shard], credit, self.source(shard))
        self.record(shard, entry)
        self.auditor.give_back(credit, entry)

    @rule(shard=st.integers(0, SHARDS - 1))
    def restart(self, shard: int) -> None:
        restored = Book()
        for entry in self.ledgers[shard]:
            evolve(restored, entry)
        assert restored.accounts == self.books[shard].accounts
        assert vars(restored.operations) == vars(self.books[shard].operations)
        self.books[shard] = restored

    @invariant()
    def money_is_conserved(self) -> None:
        self.auditor.check_conservation()
        self.auditor.check_limits()

    def teardown(self) -> None:
        while self.credits:
            self.deliver_credit(len(self.credits) // 2)
        while self.returns:
            self.deliver_return(len(self.returns) // 2)
        for shard in range(SHARDS):
            self.restart(shard)
        self.auditor.finish()
        assert set(self.statuses.values()) <= FINAL
        self.compare_balances()

    def compare_balances(self) -> None:
        held: dict[bytes, Account] = {}
        for book in self.books:
            assert isinstance(book.accounts, dict)
            held |= book.accounts
        assert held.keys() == self.auditor.accounts.keys()
        for account_id, account in held.items():
            audited = self.auditor.accounts[account_id]
            assert (account.currency, account.available_minor, account.overdraft_limit_minor) == (
                audited.currency,
                audited.available,
                audited.limit,
            )
            assert account.status.name.lower() == audited.standing

    def send(self, kind: CommandKind, payer: bytes, payee: bytes, amount: int, currency: str) -> None:
        command = Command(kind, payer, payee, amount, currency, NO_REPLY, f"key-{len(self.sent)}")
        self.sent.append(command)
        self.decide(command)

    def decide(self, command: Command) -> None:
        shard = shard_of(command.authority)
        operation_id = derive_operation_id(command.authority, command.idempotency_key, shard)
        entry = decide(self.books[shard], operation_id, command, self.source(shard))
        self.record(shard, entry)
        self.auditor.command(command, entry)
        if entry.kind is EntryKind.RESERVED:
            self.credits.append(
                Credit(operation_id, command.payer, command.payee, command.amount_minor, command.currency, NO_REPLY)
            )

    def record(self, shard: int, entry: Entry) -> None:
        evolve(self.books[shard], entry)
        self.ledgers[shard].append(entry)
        if entry.kind <= EntryKind.RETURNED:  # a step of a payment, or of a rejected account operation
            status = self.statuses.get(entry.operation_id, PaymentStatus.RECEIVED)
            self.statuses[entry.operation_id] = TRANSITIONS[status, entry.kind]

    def source(self, shard: int) -> Source:
        self.clock_us += 1
        return Source(len(self.ledgers[shard]), 0, self.clock_us)


TestInterleavings = World.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
