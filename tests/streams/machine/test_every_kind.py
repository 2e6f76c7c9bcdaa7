"""Commands, instructions and ticks of every kind under any interleaving of deliveries and restarts.

A run ends at rest: what is posted to an account is available or set aside by an open item, restored shards equal the
live ones and a fold of the ledger in memory, and the same steps taken again by a world that never restarts write the
same bytes.
"""

import random
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from payments.items.details import Hold, Journal, JournalLeg, Uncollected
from payments.postings import postings
from tests.streams.accounts import account
from tests.streams.clerk import KINDS, Clerk
from tests.streams.disk.test_snapshots import folded, items_in
from tests.streams.machine.stepping import Stepping
from tests.streams.stored import accounts_of, book_of, items_of, remembered_of
from tests.streams.world import World

ACCOUNTS = [account(number) for number in range(1, 10)]


class EveryKind(Stepping):
    """One world and the clerk that asks it."""

    clerk: Clerk

    @initialize(shards=st.integers(1, 3), funds=st.integers(0, 500))
    def opened_world(self, shards: int, funds: int) -> None:
        self.world = World(shards)
        self.clerk = Clerk(self.world, ACCOUNTS)
        self.clerk.open_accounts(funds)
        self.settle()

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), rng=st.randoms(use_true_random=False))
    def ask(self, kinds: list[str], rng: random.Random) -> None:
        for kind in kinds:
            self.clerk.ask(kind, rng)

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=12), rng=st.randoms(use_true_random=False))
    def ask_one_after_the_other(self, kinds: list[str], rng: random.Random) -> None:
        for kind in kinds:
            self.clerk.ask(kind, rng)
            self.settle()

    def teardown(self) -> None:
        try:
            self.settle()
            self.check_posted()
            for shard in range(self.world.shards):
                self.check_folded(shard)
                self.restart(shard, compacted=False, disk="lost")
            self.check_redecided()
        finally:
            self.patch.undo()

    def check_posted(self) -> None:
        """Posted balance = available + what is held + what is not collected; every journal has ended."""
        posted: Counter[bytes] = Counter()
        for entry in self.world.entries():
            for leg in postings(entry):
                posted[leg.account] += leg.amount_minor
        assert sum(posted.values()) == 0
        for shard in range(self.world.shards):
            set_aside: Counter[bytes] = Counter()
            for item in items_of(self.world.tables[shard]):
                assert not isinstance(item, Journal | JournalLeg)
                if isinstance(item, Hold | Uncollected):
                    set_aside[item.owner] += item.amount_minor
            for account_id, held in accounts_of(self.world.tables[shard]).items():
                assert posted[account_id] == held.available_minor + set_aside[account_id]

    def check_folded(self, shard: int) -> None:
        live, book = self.world.tables[shard], folded(self.world, shard, self.world.tables[shard].sequence)
        assert accounts_of(live) == book.accounts
        assert items_of(live) == items_in(book)
        for kind in book_of(live).remembered:
            assert set(remembered_of(book_of(live).remembered[kind])) == set(vars(book)[kind]._fingerprints)


TestEveryKind = EveryKind.TestCase
TestEveryKind.settings = settings(max_examples=25, stateful_step_count=20)
