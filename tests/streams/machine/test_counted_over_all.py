"""Features over all accounts under any interleaving of payments, deliveries and restarts: what is counted is counted
once, what is published converges to it, and the same steps taken again write the same bytes.
"""

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from payments.entries import Entry, EntryKind
from payments.items.details import Assessed
from payments.movements.instructions import AttributedTransfer, Attributes, Envelope, SetRules, attributed
from payments.risk import verdict
from payments.risk.activity import Key
from payments.risk.distinct import count
from payments.risk.windows import SPANS, totals
from payments.spanning.keeping import counts_of, set_of
from schemas import topics
from schemas.codec.instructions import encode_instruction
from schemas.partitioning import shard_of
from tests.streams.accounts import account, funded, transfer
from tests.streams.machine.stepping import Stepping
from tests.streams.world import World

PAYERS = [account(number) for number in range(1, 7)]
PAYEE = account(9)
DEVICES = [b"device-%d" % number for number in range(3)]
RULES = """
version: 1
rules:
  - {id: busy, when: device_attempts_30d >= 6 && device_distinct_accounts_24h > 2, verdict: deny, reason: too busy}
  - {id: sums, when: device_approved_minor_24h + payee_attempts_24h > 1000000, verdict: deny, reason: too much}
"""
_MONTH = len(SPANS) - 1


def set_rules(world: World, text: str = RULES) -> None:
    """At every shard."""
    for shard in range(world.shards):
        asked = SetRules(shard=shard, text=text, envelope=Envelope("rules"))
        world.produce(topics.COMMANDS.name, encode_instruction(asked), partition=shard)
    world.settle()


class CountedOverAll(Stepping):
    """One world whose payers share three devices."""

    @initialize(shards=st.integers(2, 4))
    def opened_world(self, shards: int) -> None:
        self.world = World(shards)
        self.paid = 0
        self.attempts: Counter[bytes] = Counter()
        self.payers: dict[bytes, set[bytes]] = {device: set() for device in DEVICES}
        funded_steps(self)

    @rule(payer=st.sampled_from(PAYERS), device=st.sampled_from(DEVICES), times=st.integers(1, 3))
    def pay(self, payer: bytes, device: bytes, times: int) -> None:
        for _ in range(times):
            self.paid += 1
            self.attempts[device] += 1
            self.payers[device].add(payer)
            self.world.send(self.asked(payer, device))

    def asked(self, payer: bytes, device: bytes) -> AttributedTransfer:
        return attributed(transfer(payer, PAYEE, 5, f"pay {self.paid}"), Attributes(device_key=device))

    def teardown(self) -> None:
        try:
            self.settle()
            for device in DEVICES:
                self.check_counted(device)
            self.check_converged(DEVICES[0])
            for shard in range(self.world.shards):
                self.restart(shard, compacted=False, disk="lost")
            self.check_redecided()
        finally:
            self.patch.undo()

    def check_counted(self, device: bytes) -> None:
        """Every attempt once, at the shard of the device."""
        shard = shard_of(set_of(Key.DEVICE, device), self.world.shards)
        counts = counts_of(self.world.tables[shard].book.items, Key.DEVICE, device)
        now_us = self.world.now_ms * 1_000
        assert totals(counts.activity.windows[_MONTH], SPANS[_MONTH], now_us).attempts == self.attempts[device]
        if self.payers[device] and not self.waited:
            assert count(counts.activity.seen[Key.ACCOUNT], SPANS[2], now_us) == len(self.payers[device])

    @property
    def waited(self) -> bool:
        return any(step.now_ms != self.steps[0].now_ms for step in self.steps)

    def check_converged(self, device: bytes) -> None:
        """Whoever pays a second later than before knows all that had been counted then."""
        for payer in PAYERS[:2]:
            for _ in range(2):
                self.world.now_ms += 1_000
                self.pay(payer, device, 1)
                self.settle()
            read = verdict_of(self.decision(payer)).features["device_attempts_30d"]
            assert read == self.attempts[device] - 1, "all but the payment itself"

    def decision(self, payer: bytes) -> Entry:
        """The newest about this payer."""
        shard = shard_of(payer, self.world.shards)
        decided = {EntryKind.RESERVED, EntryKind.REJECTED}
        return [e for e in self.world.entries(shard) if e.kind in decided and e.debit_account == payer][-1]


def funded_steps(machine: CountedOverAll) -> None:
    """Accounts with money, and the rules in force; as steps, so that they can be taken again."""
    world, settle = machine.world, machine.world.settle
    world.settle = machine.settle  # type: ignore[method-assign]
    funded(world, *PAYERS, PAYEE)
    set_rules(world)
    world.settle = settle  # type: ignore[method-assign]


def verdict_of(entry: Entry) -> verdict.Verdict:
    (assessed,) = (detail for detail in entry.details if isinstance(detail, Assessed))
    return verdict.decode(assessed.verdict)


TestCountedOverAll = CountedOverAll.TestCase
TestCountedOverAll.settings = settings(
    max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
