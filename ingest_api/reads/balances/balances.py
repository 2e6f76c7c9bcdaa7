"""What an account holds: from memory where this process follows it, else from Postgres, and never older than before.

An answer from memory stands where the view has come in the ledger. A row of Postgres is brought to the same place by
the last records that the view keeps. Where they do not reach back so far, it is answered as it is, unless it may be
older than an answer from memory was: then it is read again until it is newer.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Self

from ingest_api.http.resources import Balance
from ingest_api.reads.accounts import balance_of, find_placed_balance
from ingest_api.reads.balances.following import Follower
from ingest_api.reads.balances.view import BalanceView, Held
from ingest_api.reads.consistency import WAIT_S, Lanes, await_shown, await_visible, look_into, not_yet_visible
from ingest_api.reads.database import Database
from runtime.settings import Settings

_READ_AGAIN_S = 0.1


class Balances:
    """Of one API process. Everything runs on the loop."""

    def __init__(self, database: Database, view: BalanceView, follower: Follower | None) -> None:
        self._database = database
        self._view = view
        self._follower = follower
        self.from_memory = 0
        self.from_postgres = 0

    @classmethod
    def of(cls, settings: Settings, database: Database) -> Self:
        view = BalanceView(settings.api_balances_in_memory)
        return cls(database, view, Follower(settings, view, database) if settings.api_balances_in_memory else None)

    def start(self) -> None:
        """Waits for nobody: until the view follows the ledger, Postgres answers."""
        if self._follower is not None:
            self._follower.start()

    async def stop(self) -> None:
        if self._follower is not None:
            await self._follower.stop()

    def __len__(self) -> int:
        """Accounts in memory."""
        return len(self._view)

    @property
    def records_behind(self) -> int:
        """Records of the ledger that Postgres had and memory had not, at the last look."""
        return self._follower.records_behind if self._follower is not None else 0

    async def find(self, account: bytes, token: str | None) -> Balance:
        """The balance, with everything up to the Consistency-Token in it. Raises Problem where the account is not
        known, or the token's position is not reached in time, DatabaseUnavailable.
        """
        if self._is_usable and self._view.get(account) is not None:
            await await_shown(self._look, token)
            held = self._view.get(account) if self._is_usable else None  # it may have been disturbed meanwhile
            if held is not None:
                self.from_memory += 1
                return balance_of(account, held)
        self.from_postgres += 1
        await await_visible(self._database, token)
        return balance_of(account, await self._from_postgres(account))

    @property
    def _is_usable(self) -> bool:
        return self._follower is not None and self._follower.is_usable

    async def _look(self, shards: list[int]) -> tuple[Mapping[int, int], Lanes]:
        if not self._is_usable:
            return await look_into(self._database, shards)
        return self._view.commands_next, self._view.lanes

    async def _from_postgres(self, account: bytes) -> Held:
        deadline = time.monotonic() + WAIT_S
        while True:
            held = self._view.lifted(account, *await find_placed_balance(self._database, account))
            if held is not None:
                return held
            if time.monotonic() + _READ_AGAIN_S > deadline:
                raise not_yet_visible("Postgres is behind what was answered before. Ask again.")
            await asyncio.sleep(_READ_AGAIN_S)
