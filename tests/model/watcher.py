"""Holds every entry of the pipeline against the model, in the order in which things happened at each shard.

Reads inputs with the entries that they became. Keeps the model. Guarantees: an entry that the model did not say, one
too many, one too few, or a message that nobody sent raises `Disagreement` at once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from payments.book import Book, Operations, OperationsInMemory
from payments.commands import Command
from payments.commerce.connector import ConnectorResult
from payments.entries import Credit, Entry
from payments.identifiers import derive_operation_id, is_system
from payments.items.details import RULES_OWNER, RiskProfile, Rules
from payments.movements.deciding import is_answer
from payments.movements.instructions import Instruction
from payments.postings import JOURNAL_ENTRIES
from tests.model.ledger import Answer, Ledger, authority, place_of
from tests.model.rules import counted
from tests.model.rules.effects import Judged, Told, difference, told


class Disagreement(AssertionError):
    """Model and pipeline say different things."""


class Watcher:
    """Follows all shards. `home` is the shard of an account."""

    def __init__(self, home: Callable[[bytes], int]) -> None:
        self.ledger = Ledger(home)
        self.kinds: Counter[str] = Counter()
        """Commands and instructions asked for, by kind."""
        self.reasons: Counter[str] = Counter()
        self.entries: Counter[str] = Counter()
        self._home = home

    def asked(self, asked: Command | Instruction, time_us: int, entries: Iterable[Entry]) -> None:
        """A command or instruction was decided by these entries."""
        account = authority(asked)
        shard = place_of(asked, self._home)
        key = asked.idempotency_key if isinstance(asked, Command) else asked.envelope.idempotency_key
        self.kinds[asked.kind.name.lower() if isinstance(asked, Command) else type(asked).__name__] += 1
        answer = self.ledger.ask(derive_operation_id(account, key, shard), asked, time_us)
        self._all(entries, shard, answer, time_us)

    def arrived(self, shard: int, message: Credit, time_us: int, entries: Iterable[Entry]) -> None:
        """A message from another shard became these entries."""
        self._all(entries, shard, self._heard(message, time_us), time_us)

    def concluded(
        self, shard: int, owner: bytes, result: ConnectorResult, time_us: int, entries: Iterable[Entry]
    ) -> None:
        """A provider's result for this key became these entries."""
        self._all(entries, shard, self.ledger.conclude(owner, result, time_us), time_us)

    def ticked(self, shard: int, time_us: int, entries: Iterable[Entry]) -> None:
        """Time passed at a shard."""
        coming = iter(entries)
        for expected in self.ledger.expire(shard, time_us):
            self._compare(expected, coming)
        _end(coming)

    def _all(self, entries: Iterable[Entry], shard: int, answer: Answer, time_us: int) -> None:
        coming = iter(entries)
        self._follow(coming, shard, answer, time_us)
        _end(coming)

    def _follow(self, coming: Iterator[Entry], shard: int, answer: Answer, time_us: int) -> None:
        """What an answer says and what follows from it in the same shard, at once; the rest is under way."""
        expected, messages = answer
        if expected is not None:
            messages = (*messages, *self._published(self._compare(expected, coming)))
        for message in messages:
            if self.destination(shard, message) == shard:
                self._follow(coming, shard, self._heard(message, time_us), time_us)

    def destination(self, shard: int, message: Credit) -> int:
        """Where a message of this shard is heard: accounts of the operator are everywhere."""
        if is_answer(message):
            return self._home(message.payer)
        return shard if is_system(message.payee) else self._home(message.payee)

    def _heard(self, message: Credit, time_us: int) -> Answer:
        if message not in self.ledger.state.under_way:
            raise Disagreement(f"a message that nobody sent: {message}")
        return self.ledger.arrive(message, time_us)

    def _published(self, entry: Entry) -> tuple[Credit, ...]:
        messages = counted.published(self.ledger.state, entry)
        if isinstance(messages, str):
            raise Disagreement(messages)
        return messages

    def _compare(self, expected: Told, coming: Iterator[Entry]) -> Entry:
        entry = next(coming, None)
        if entry is None:
            raise Disagreement(f"no entry, expected {expected.kind.name} {expected.operation_id.hex()}")
        if entry.kind in JOURNAL_ENTRIES and (entry.amount_minor <= 0 or entry.debit_account == entry.credit_account):
            raise Disagreement(f"no table of journal entries takes one that moves nothing: {entry}")
        found = told(entry)
        self.entries[found.kind.name.lower()] += 1
        self.reasons[str(found.reason)] += 1
        for _, detail in found.details:
            if isinstance(detail, Judged):
                self.reasons.update(map(str, detail.reasons[1:]))
        if found != expected:
            kind = f"{expected.kind.name} {expected.operation_id.hex()}"
            raise Disagreement(f"{kind} {expected.reason}: {difference(expected, found)}")
        return entry

    def compare_books(self, books: list[Book]) -> None:
        """The shards hold the model's accounts and open items, each where it belongs."""
        state = self.ledger.state
        for id_, account in state.accounts.items():
            found = books[self._home(id_)].accounts.get(id_)
            kept = (account.currency, account.available, account.limit, account.standing, account.type)
            if found is None or found[: len(kept)] != kept:
                raise Disagreement(f"account {id_.hex()}: expected {kept}, found {found}")
        expected = {(type(item), item) for item in state.items()}
        owners = {item.owner for _, item in expected} | state.accounts.keys()
        found_items = {
            (type(item), item)
            for shard, book in enumerate(books)
            for owner in owners
            if self._home(owner) == shard
            for item in book.items.of(owner)
            if not isinstance(item, RiskProfile)
        }
        for shard, book in enumerate(books):
            self._compare_memory(self.ledger.keys.known(shard), book.operations)
            self._compare_memory(state.receipts.known(shard), book.receipts)
            rules = book.items.find(Rules, RULES_OWNER, RULES_OWNER)
            in_force = (rules.version, rules.text) if rules is not None else None
            if in_force != state.rules.get(shard) or book.rules.version != (in_force or (0,))[0]:
                raise Disagreement(f"rules of shard {shard}: expected {state.rules.get(shard)}, found {in_force}")
        if found_items != expected:
            raise Disagreement(f"open items: {found_items ^ expected}")

    def _compare_memory(self, expected: set[bytes], found: Operations) -> None:
        forgotten = [id_.hex() for id_ in expected if found.fingerprint_of(id_) is None]
        assert isinstance(found, OperationsInMemory)
        if forgotten or len(found) != len(expected):
            raise Disagreement(f"remembered: expected {len(expected)}, found {len(found)}, forgotten {forgotten}")


def _end(coming: Iterator[Entry]) -> None:
    entry = next(coming, None)
    if entry is not None:
        raise Disagreement(f"an entry too many: {told(entry)}")
