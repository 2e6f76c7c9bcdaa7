"""Random operations and, between them, what else happens: messages arrive late and in any order, time passes, a shard
restarts.

The clock mostly stands, and sometimes jumps to just before or onto the end of a hold, over hours, or over days; now and
then a broker's clock is behind.
"""

import random
from collections.abc import Iterator

from payments.commerce.connector import Outcome
from tests.model.operations import DAY_US, Operations
from tests.model.rules.state import HOUR_US, State
from tests.model.world import SHARDS, Answer, Ask, Deliver, Restart, Step, Tick

OUTCOMES = (*[Outcome.SUCCEEDED] * 5, Outcome.FAILED, Outcome.FAILED, *Outcome)
"""As often as these."""


class Interleaving:
    """Steps for one world whose state it reads."""

    def __init__(self, rng: random.Random, state: State) -> None:
        self._rng = rng
        self._state = state
        self._operations = Operations(rng, state, SHARDS)

    def steps(self, operations: int) -> Iterator[Step]:
        """So many operations, with what happens between them."""
        for _ in range(operations):
            behind_us = self._rng.randrange(2 * HOUR_US) if self._one_in(200) else 0
            yield Ask(self._operations.next(), self._operations.now_us - behind_us)
            yield from self._meanwhile()

    def _meanwhile(self) -> Iterator[Step]:
        now_us = self._operations.now_us = self._later()
        for _ in range(self._rng.choice((0, 0, 1, 1, 1, 2, 2, 3, 12))):
            yield Deliver(self._rng.randrange(1 << 16), now_us)
        if self._one_in(4):
            yield Answer(self._rng.randrange(1 << 16), self._rng.choice(OUTCOMES), self._one_in(8), now_us)
        if self._one_in(50):
            yield Tick(self._rng.randrange(SHARDS), now_us)
        if self._one_in(2_500):
            yield Restart(self._rng.randrange(SHARDS))

    def _later(self) -> int:
        now_us = self._operations.now_us + self._rng.choice((1, 1, 1_000, 1_000_000))
        if self._one_in(800):
            now_us = max(now_us, self._end(now_us))
        return max(now_us, self._moment(now_us)) if self._one_in(40) else now_us

    def _end(self, now_us: int) -> int:
        """Just before or when the first things are forgotten of payments."""
        state = self._state
        ends_us = [given.ends_at_us for given in state.given_back.values()]
        ends_us += [order.ends_at_us for order in state.orders.values()]
        return min(ends_us, default=now_us) + self._rng.choice((-1, 0, HOUR_US))

    def _moment(self, now_us: int) -> int:
        """When something may change: just before or at the end of a hold, or later."""
        if self._state.holds and self._rng.random() < 0.9:
            ends_us = min(hold.expires_at_us for hold in self._state.holds.values())
            return min(ends_us - self._rng.choice((0, 0, 1)), now_us + 2 * HOUR_US)
        return now_us + self._rng.choice((HOUR_US, HOUR_US, 5 * HOUR_US, 3 * DAY_US, 30 * DAY_US))

    def _one_in(self, count: int) -> bool:
        return self._rng.randrange(count) == 0
