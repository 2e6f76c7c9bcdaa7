"""Read your own writes: a Consistency-Token names positions in payments.commands; a read waits until they are visible.

Visible means decided *and* arrived: (1) the sink has applied the decision of the command; (2) every shard that got a
credit from it by then has applied that credit; (3) every return that these sent back by then is applied as well.
Lanes between two shards are counted at both ends, so (2) and (3) are comparisons of counters, never searches.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from ingest_api.problems import Fault, Problem, retry_later
from ingest_api.reads.database import Database
from schemas.codec.ledger import Lane
from schemas.codec.positions import decode_positions, encode_positions

HEADER = "Consistency-Token"
WAIT_S = 5
_POLL_FIRST_S = 0.005
_POLL_MAX_S = 0.1  # 30 reads that wait cost 300 short queries a second, 3 % of a core

_LOOK = """
SELECT shard, NULL AS lane, NULL AS peer, commands_next_offset AS next FROM sink_progress WHERE shard = ANY(%(own)s)
UNION ALL
SELECT shard, lane, peer, next FROM sink_lanes WHERE shard = ANY(%(own)s) OR peer = ANY(%(own)s)"""

Lanes = Mapping[tuple[int, int, int], int]
"""(shard, lane, peer) → next sequence number."""


encode_token = encode_positions


def decode_token(token: str) -> dict[int, int]:
    """Shard → offset of a token. Raises Problem for one that is not ours."""
    try:
        return decode_positions(token)
    except ValueError:
        detail = f"Send the {HEADER} of an earlier answer as it came, or none."
        raise Problem(Fault.TOKEN_POSITION_INVALID, detail) from None


class Visibility:
    """How much of some positions is visible, as far as the looks into Postgres have shown."""

    def __init__(self, positions: Mapping[int, int]) -> None:
        self._undecided = dict(positions)
        self._sent: dict[tuple[int, int], int] = {}
        """(from, to) → credits sent when the decision was seen: all of them must have arrived."""
        self._returned: dict[tuple[int, int], int] = {}
        """(payer's shard, receiver's shard) → returns sent when the credits were seen to have arrived."""

    @property
    def complete(self) -> bool:
        return not (self._undecided or self._sent or self._returned)

    @property
    def undecided(self) -> list[int]:
        return list(self._undecided)

    def observe(self, commands_next: Mapping[int, int], lanes: Lanes) -> None:
        """Take one look into account. `lanes` must be as new as `commands_next`, or newer."""
        for shard in [s for s, offset in self._undecided.items() if commands_next.get(s, 0) > offset]:
            del self._undecided[shard]
            for (_, _, peer), following in _lanes_of(lanes, shard, Lane.CREDITS_SENT):
                self._sent[shard, peer] = following
        for shard, peer in [pair for pair, sent in self._sent.items() if _received(lanes, pair) >= sent]:
            del self._sent[shard, peer]
            self._returned[shard, peer] = lanes.get((peer, Lane.RETURNS_SENT, shard), 0)
        for pair in [pair for pair, back in self._returned.items() if _taken_back(lanes, pair) >= back]:
            del self._returned[pair]


def _lanes_of(lanes: Lanes, shard: int, lane: Lane) -> list[tuple[tuple[int, int, int], int]]:
    return [(key, following) for key, following in lanes.items() if key[:2] == (shard, lane)]


def _received(lanes: Lanes, pair: tuple[int, int]) -> int:
    return lanes.get((pair[1], Lane.CREDITS_RECEIVED, pair[0]), 0)


def _taken_back(lanes: Lanes, pair: tuple[int, int]) -> int:
    return lanes.get((pair[0], Lane.RETURNS_RECEIVED, pair[1]), 0)


Look = Callable[[list[int]], Awaitable[tuple[Mapping[int, int], Lanes]]]
"""How far commands of some shards are decided, and the lanes from and to them, at one moment."""


async def await_visible(database: Database, token: str | None) -> None:
    """Returns when the token's positions are visible in Postgres (at once without one). Raises Problem after WAIT_S."""
    await await_shown(lambda shards: look_into(database, shards), token)


async def await_shown(look: Look, token: str | None) -> None:
    """The same, wherever is looked."""
    if token is None:
        return
    positions = decode_token(token)
    visibility, shards = Visibility(positions), sorted(positions)
    deadline, pause_s = time.monotonic() + WAIT_S, _POLL_FIRST_S
    while True:
        visibility.observe(*await look(shards))
        if visibility.complete:
            return
        if time.monotonic() + pause_s > deadline:
            raise not_yet_visible(f"Your last write is not visible after {WAIT_S} s. Ask again.")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _POLL_MAX_S)


def not_yet_visible(detail: str) -> Problem:
    """503: what was written is on its way."""
    return retry_later(Fault.NOT_YET_VISIBLE, detail, 1)


async def look_into(database: Database, shards: list[int]) -> tuple[dict[int, int], Lanes]:
    """One statement, one snapshot: the sink writes positions and counters in the same transaction."""
    commands_next: dict[int, int] = {}
    lanes: dict[tuple[int, int, int], int] = {}
    for row in await database.rows(_LOOK, {"own": shards}):
        if row["lane"] is None:
            commands_next[row["shard"]] = row["next"]
        else:
            lanes[row["shard"], row["lane"], row["peer"]] = row["next"]
    return commands_next, lanes
