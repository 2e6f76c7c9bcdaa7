"""Real agents and the real codec under any interleaving of commands, deliveries, poison and restarts.

Every entry is compared with the model's answer (tests/model) as soon as it is written. A run ends at rest: money
conserved, every payment final once, one final reply for each waiting call, lanes gapless, restored shards equal to the
live ones, and the same steps taken again by a world that never restarts write the same bytes.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.money import MAX_MINOR
from payments.postings import clearing_account
from schemas import topics
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.codec.replies import reply_address
from schemas.partitioning import shard_of
from tests.streams.accounts import account, deposit, open_account
from tests.streams.machine.follower import Follower
from tests.streams.machine.stepping import Stepping, shard_numbers
from tests.streams.world import World
from tests.support.side_by_side import by_night

ACCOUNTS = [account(number) for number in range(1, 9)]
CASH = clearing_account("EUR")

accounts = st.sampled_from(ACCOUNTS)
payees = st.sampled_from([*ACCOUNTS, *ACCOUNTS, CASH, clearing_account("JPY")])
currencies = st.sampled_from(["EUR"] * 7 + ["JPY"])
amounts = st.one_of(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0, -5, MAX_MINOR, MAX_MINOR + 1]))
limits = st.one_of(st.integers(0, 200), st.sampled_from([-1, MAX_MINOR + 1]))
standings = st.sampled_from([CommandKind.FREEZE_ACCOUNT, CommandKind.UNFREEZE_ACCOUNT, CommandKind.CLOSE_ACCOUNT])
transfers = st.builds(
    Command,
    st.just(CommandKind.TRANSFER),
    accounts,
    payees,
    amounts,
    currencies,
    st.just(NO_REPLY),
    st.just(""),
    st.sampled_from(["", "", "rent", "ü" * 140]),
)
operations = st.one_of(
    st.builds(open_account, accounts, limits, currencies),
    st.builds(deposit, accounts, amounts),
    st.builds(account_command, standings, accounts, st.just("")),
    st.builds(
        lambda account_id, limit_minor: account_command(CommandKind.SET_OVERDRAFT_LIMIT, account_id, "")._replace(
            amount_minor=limit_minor
        ),
        accounts,
        limits,
    ),
)
commands = st.one_of(transfers, transfers, operations)


class Machine(Stepping):
    """One world, its follower, and the steps taken so far."""

    def __init__(self) -> None:
        super().__init__()
        self.follower = Follower(self.world)
        self.sent: list[Command] = []
        self.calls = 0

    def stepped(self, shard: int) -> None:
        self.follower.follow(shard)

    @initialize(shards=st.integers(1, 5), funds=st.integers(0, 500))
    def funded_world(self, shards: int, funds: int) -> None:
        self.world = World(shards)
        self.follower = Follower(self.world)
        for account_id in ACCOUNTS[:-2]:
            self.send([open_account(account_id, 50), deposit(account_id, funds)], packed=False)
        self.settle()

    @rule(commands=st.lists(commands, min_size=1, max_size=5), packed=st.booleans())
    def send(self, commands: list[Command], packed: bool) -> None:
        named = [self.named(command) for command in commands]
        self.sent += named
        self.deliver(named, packed)

    @precondition(lambda self: self.sent)
    @rule(places=st.lists(st.integers(0, 10_000), min_size=1, max_size=3), amount=st.none() | amounts)
    def send_again(self, places: list[int], amount: int | None) -> None:
        """A retried command has its body or, by a caller's mistake, another amount; somebody else waits for it."""
        for place in places:
            command = self.sent[place % len(self.sent)]
            if amount is not None:
                command = command._replace(amount_minor=amount)
            self.deliver([command._replace(reply_to=self.address())], packed=False)

    @rule(shard=shard_numbers, value=st.sampled_from([b"", b"hello", b"\0\0\0\0\x63" + bytes(60)]))
    def send_poison(self, shard: int, value: bytes) -> None:
        self.poison(shard % self.world.shards, value, -1)

    @rule(command=commands, shard=shard_numbers)
    def send_to_the_wrong_partition(self, command: Command, shard: int) -> None:
        shard %= self.world.shards
        if shard_of(command.authority, self.world.shards) != shard:
            self.poison(shard, encode_command(self.named(command)), 0)

    @rule(commands=st.lists(commands, min_size=1, max_size=3), junk=st.sampled_from([b"", b"junk", bytes(80)]))
    def send_packed_with_junk(self, commands: list[Command], junk: bytes) -> None:
        shard = shard_of(commands[0].authority, self.world.shards)
        mine = [self.named(c) for c in commands if shard_of(c.authority, self.world.shards) == shard]
        self.sent += mine
        bodies = [encode_body(mine[0]), junk, *map(encode_body, mine[1:])]
        self.poison(shard, encode_batch(bodies), 1)

    @invariant()
    def money_is_conserved_and_nobody_below_the_limit(self) -> None:
        self.follower.watcher.ledger.state.check()

    def teardown(self) -> None:
        try:
            self.settle()
            self.follower.check_replies()
            self.follower.check_lanes()
            self.follower.check_balances()
            for shard in range(self.world.shards):
                self.restart(shard, compacted=False, disk="lost")
            self.check_redecided()
        finally:
            self.patch.undo()

    def named(self, command: Command) -> Command:
        """The command with a key of its own; somebody waits for about half of them."""
        key = f"key-{self.calls}"
        waits = self.calls % 2 == 0
        address = self.address()
        return command._replace(idempotency_key=key, reply_to=address if waits else NO_REPLY)

    def address(self) -> bytes:
        self.calls += 1
        return reply_address(self.calls % 7, self.calls)

    def deliver(self, commands: list[Command], packed: bool) -> None:
        if not packed:
            self.world.send(*commands)
            return
        by_shard: dict[int, list[Command]] = {}
        for command in commands:
            by_shard.setdefault(shard_of(command.authority, self.world.shards), []).append(command)
        for shard, packable in by_shard.items():
            self.world.send_packed(shard, packable)

    def poison(self, shard: int, value: bytes, item: int) -> None:
        """A record that is set aside whole (item -1) or in one item."""
        self.follower.poison.add((shard, len(self.world.logs[topics.COMMANDS.name, shard]), item))
        self.world.produce(topics.COMMANDS.name, value, partition=shard)


@pytest.mark.parametrize("examples", [20, *by_night(200)])
def test_worlds(examples: int) -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=35))
