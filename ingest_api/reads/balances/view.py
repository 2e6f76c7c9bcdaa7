"""Balances of accounts that were asked for, kept up to date by the ledger. Pure; everything runs on the loop.

Keeps, bounded: the accounts (the one that was asked for least lately goes first), and the last records of every shard,
by which a row of Postgres is brought to where the view stands.
Guarantees: what is answered of an account never goes back, be it from here or from a row that `lifted` has seen; a
balance is as new as every record taken.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ingest_api.reads.balances.ledger_moves import Moved, Told, moves
from ingest_api.reads.balances.recent import Recent

RECENT_BYTES = 16 * 1024 * 1024
"""Of entries, 97 bytes each: 170,000, as many as 500 payments a second make in three minutes. So long the sink may be
behind and its rows still be brought forward."""

Positions = Mapping[int, int]
"""Shard → next offset of its ledger."""

Lanes = Mapping[tuple[int, int, int], int]


class Held(NamedTuple):
    """What an account holds, in minor units of its currency."""

    currency: str
    posted_minor: int
    available_minor: int
    held_minor: int
    incoming_minor: int
    as_of_us: int

    def after(self, moved: Moved) -> "Held":
        """The same behind an entry."""
        stated = moved.available_after_minor
        return Held(
            self.currency,
            self.posted_minor + moved.posted_delta_minor,
            self.available_minor if stated is None else stated,
            self.held_minor,
            self.incoming_minor,
            max(self.as_of_us, moved.at_us),
        )


class BalanceView:
    """Of one process. It stands at `reached`."""

    def __init__(self, accounts_max: int, recent_bytes: int = RECENT_BYTES) -> None:
        self._accounts_max = accounts_max
        self._recent_bytes = recent_bytes
        self._accounts: dict[bytes, Held] = {}
        """The one that was asked for last stands last."""
        self._recent: dict[int, Recent] = {}
        self._floor: Positions = {}
        """Where the view stood when it last let an account go: what was answered of it is no newer."""
        self.reached: dict[int, int] = {}
        self.commands_next: dict[int, int] = {}
        self.lanes: dict[tuple[int, int, int], int] = {}

    def begin(self, reached: Positions, commands_next: Positions, lanes: Lanes) -> None:
        """Know no account, and go on from here: what sink_progress and sink_lanes said at one moment."""
        while self._accounts:
            self._let_go(next(iter(self._accounts)))
        self.reached, self.commands_next, self.lanes = dict(reached), dict(commands_next), dict(lanes)
        a_shard = self._recent_bytes // max(1, len(reached))
        self._recent = {shard: Recent(at, a_shard) for shard, at in reached.items()}

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, account: bytes) -> Held | None:
        """As every record taken so far leaves it; None where it is not here."""
        held = self._accounts.pop(account, None)
        if held is not None:
            self._accounts[account] = held
        return held

    def take(self, told: Told) -> None:
        """The next record of a shard; one that was taken already changes nothing."""
        if told.offset < self.reached[told.shard]:
            return
        for account in told.disturbed:
            if account in self._accounts:
                self._let_go(account)
        for account, moved in moves(told.packed) if self._accounts else ():
            held = self._accounts.get(account)
            if held is not None:
                self._accounts[account] = held.after(moved)
        self._recent[told.shard].append(told)
        self.reached[told.shard] = told.offset + 1
        if told.commands_next is not None:
            self.commands_next[told.shard] = told.commands_next
        for lane, peer, following in told.counters:
            self.lanes[told.shard, lane, peer] = following

    def lifted(self, account: bytes, row: Held, at: Positions) -> Held | None:
        """A row of Postgres that was read at these positions, brought to where the view stands; kept where the view
        follows it from here on. None where the row may be older than what was answered before: read it again later.
        """
        behind = {shard: at.get(shard, 0) for shard, reached in self.reached.items() if at.get(shard, 0) < reached}
        reaches_back = all(from_offset >= self._recent[shard].since for shard, from_offset in behind.items())
        stands = {**at, **{shard: self.reached[shard] for shard in behind}} if reaches_back else at
        if any(stands.get(shard, 0) < offset for shard, offset in self._floor.items()):
            return None
        if not reaches_back:
            return row
        brought, is_whole = self._brought_forward(account, row, behind)
        if is_whole and all(offset <= self.reached.get(shard, 0) for shard, offset in at.items()):
            self._keep(account, brought)
        else:
            self._floor = dict(self.reached)
        return brought

    def _brought_forward(self, account: bytes, row: Held, behind: Positions) -> tuple[Held, bool]:
        """The row, and whether it stands where the view does. In a shard that disturbs the account it stays before
        that: nothing newer was answered, because the account was let go there.
        """
        is_whole = True
        for shard, from_offset in behind.items():
            for told in self._recent[shard].about(account, from_offset):
                if account in told.disturbed:
                    is_whole = False
                    break
                for _, moved in (one for one in moves(told.packed) if one[0] == account):
                    row = row.after(moved)
        return row, is_whole

    def _keep(self, account: bytes, held: Held) -> None:
        self._accounts.pop(account, None)
        self._accounts[account] = held
        if len(self._accounts) > self._accounts_max:
            self._let_go(next(iter(self._accounts)))

    def _let_go(self, account: bytes) -> None:
        del self._accounts[account]
        self._floor = dict(self.reached)
