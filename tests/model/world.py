"""The deciding core in process: shards with their books, messages between them delivered late and in any order, but for
those of one matter to one shard: a lane keeps its order.

Decisions, routing and settling are those of the product (payments and streams.agents.settle); only the topics are
lists. Each step is a value, so that a run can be taken again without some of its steps.
"""

from dataclasses import dataclass
from functools import partial

from payments.book import Book, evolve
from payments.commands import NO_REPLY, Command
from payments.commerce.connector import ConnectorRequest, Outcome
from payments.entries import Credit, Entry, Source
from payments.expiry import expire
from payments.identifiers import derive_operation_id
from payments.lifecycle import decide
from payments.movements import deciding
from payments.movements.instructions import Instruction
from schemas.partitioning import shard_of
from streams.agents.settle import settle, settle_message
from streams.outbox import Outbox
from streams.shard import Shard
from tests.model.ledger import authority, place_of
from tests.model.provider import Provider
from tests.model.watcher import Disagreement, Watcher

SHARDS = 3
CHECKED_EVERY = 25
"""Steps between two looks at what must be true of the whole: about a tenth of the time."""

home = partial(shard_of, shards=SHARDS)


@dataclass(frozen=True)
class Ask:
    """A command or an instruction reaches its authority's shard."""

    asked: Command | Instruction
    time_us: int


@dataclass(frozen=True)
class Deliver:
    """One of the messages that are under way arrives; the place counts modulo their number."""

    place: int
    time_us: int


@dataclass(frozen=True)
class Answer:
    """A provider answers one of its requests; the place counts modulo their number."""

    place: int
    outcome: Outcome
    is_repeated: bool
    """One of the last results comes once more, or says something else."""
    time_us: int


@dataclass(frozen=True)
class Tick:
    """Time passes at a shard."""

    shard: int
    time_us: int


@dataclass(frozen=True)
class Restart:
    """A shard forgets its book and folds its ledger anew."""

    shard: int


Step = Ask | Deliver | Answer | Tick | Restart


class CoreShard(Shard):
    """A shard that is its book and the list of its entries."""

    def __init__(self, number: int) -> None:
        super().__init__(number, SHARDS)
        self.log: list[Entry] = []

    def evolve(self, entry: Entry) -> None:
        """As on restore."""
        evolve(self.book, entry)
        self.log.append(entry)


class Sent(Outbox):
    """Lists in place of topics."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.messages: list[Credit] = []
        self.requests: list[tuple[bytes, ConnectorRequest]] = []

    def add(self, entry: Entry, reply_to: bytes = NO_REPLY, description: str = "") -> None:
        self.entries.append(entry)

    def ask_provider(self, owner: bytes, request: ConnectorRequest) -> None:
        self.requests.append((owner, request))

    def send_credit(self, credit: Credit) -> None:
        self.messages.append(credit)

    def send_return(self, credit: Credit) -> None:
        self.messages.append(credit)


class World:
    """Shards, what is under way between them, and the watcher."""

    def __init__(self) -> None:
        self.watcher = Watcher(home)
        self.shards = [CoreShard(number) for number in range(SHARDS)]
        self.under_way: list[tuple[int, Credit]] = []
        self.provider = Provider()
        self._played = 0
        self._now_us = 0

    def play(self, step: Step) -> None:
        """Raises Disagreement, and whatever the core raises where it meets what can't be."""
        self._played += 1
        if self._played % CHECKED_EVERY == 0:
            self.watcher.ledger.state.check()
        if not isinstance(step, Restart):
            self._now_us = max(self._now_us, step.time_us)
        match step:
            case Ask():
                self._ask(step)
            case Deliver() if self.under_way:
                self._deliver(step)
            case Answer():
                self._answer(step)
            case Tick():
                self._tick(step)
            case Restart():
                self._restart(self.shards[step.shard])

    def _ask(self, step: Ask) -> None:
        asked = step.asked
        account = authority(asked)
        shard = self.shards[place_of(asked, home)]
        source = Source(len(shard.log), 0, step.time_us)
        if isinstance(asked, Command):
            operation_id = derive_operation_id(account, asked.idempotency_key, shard.number)
            entry, reply_to = decide(shard.book, operation_id, asked, source), asked.reply_to
        else:
            operation_id = derive_operation_id(account, asked.envelope.idempotency_key, shard.number)
            entry, reply_to = deciding.decide(shard.book, operation_id, asked, source), asked.envelope.reply_to
        sent = Sent()
        settle(shard, sent, entry, source, reply_to)
        self.watcher.asked(asked, step.time_us, sent.entries)
        self._send(shard.number, sent)

    def _deliver(self, step: Deliver) -> None:
        number, message = self.under_way.pop(self._first_of_its_matter(step.place % len(self.under_way)))
        shard, sent = self.shards[number], Sent()
        settle_message(shard, sent, message, Source(len(shard.log), 0, step.time_us))
        self.watcher.arrived(number, message, step.time_us, sent.entries)
        self._send(number, sent)

    def _first_of_its_matter(self, place: int) -> int:
        """What was sent before it, under the same id to the same shard, may be of a journal under the same key, longer
        ago than keys are known: its legs have the same ids.
        """
        number, message = self.under_way[place]
        matter = number, message.operation_id
        return next(at for at, (to, sent) in enumerate(self.under_way) if (to, sent.operation_id) == matter)

    def _answer(self, step: Answer) -> None:
        said = (self.provider.repeat if step.is_repeated else self.provider.answer)(step.place, step.outcome)
        if said is None:
            return
        owner, result = said
        shard, sent = self.shards[home(owner)], Sent()
        source = Source(len(shard.log), 0, step.time_us)
        entry, reply_to = deciding.conclude(shard.book, owner, result, source)
        settle(shard, sent, entry, source, reply_to)
        self.watcher.concluded(shard.number, owner, result, step.time_us, sent.entries)
        self._send(shard.number, sent)

    def _tick(self, step: Tick) -> None:
        shard, sent = self.shards[step.shard], Sent()
        source = Source(len(shard.log), 0, step.time_us)
        for entry in expire(shard.book, source):
            settle(shard, sent, entry, source)
        self.watcher.ticked(step.shard, step.time_us, sent.entries)

    def _send(self, shard: int, sent: Sent) -> None:
        self.under_way += [(self.watcher.destination(shard, message), message) for message in sent.messages]
        self.provider.requests += sent.requests

    def _restart(self, shard: CoreShard) -> None:
        before, shard.book = shard.book, Book()
        for entry in shard.log:
            evolve(shard.book, entry)
        if shard.book.accounts != before.accounts or vars(shard.book.operations) != vars(before.operations):
            raise Disagreement(f"shard {shard.number} is not the fold of its entries")

    def come_to_rest(self) -> None:
        """Everything arrives. Nothing may be left over, and the shards hold what the model holds."""
        while self.under_way:
            self.play(Deliver(len(self.under_way) // 2, self._now_us))
        if self.watcher.ledger.state.under_way:
            raise Disagreement(f"messages never sent: {self.watcher.ledger.state.under_way}")
        self.watcher.ledger.state.check()
        for shard in self.shards:
            self._restart(shard)
        self.watcher.compare_books([shard.book for shard in self.shards])
