"""Accounts of users who wait for verification give no money: the partition freezes them for debits, and opens them
again.

Reads what users wait (screening_waiting_users), account_owners and accounts; reads and writes screening_blocks; sends
SetStanding. What is done follows from comparing what is with what should be, never from remembering what is left to do:
whoever dies anywhere, the next look does the rest. Guarantees: an account that an operator has frozen or closed is left
alone; an instruction that is sent again is the same one until the account has changed.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from ingest_api.reads.database import Database
from ingest_api.submission import Submission
from payments.accounts import AccountStatus
from payments.movements.instructions import Envelope, SetStanding

ACCOUNTS_A_LOOK: Final = 500
"""Frozen and released one after the other, about 5 ms each: 2.5 s at most, then the rest at the next look."""

_REPLY_WAIT_S: Final = 2
_TO_BLOCK: Final = f"""
SELECT DISTINCT account_id, changed_at
FROM screening_waiting_users JOIN account_owners USING (user_id) JOIN accounts USING (account_id)
WHERE until IS NULL AND role <> 'viewer' AND status = {AccountStatus.OPEN:d}
AND (%(user)s::uuid IS NULL OR user_id = %(user)s) LIMIT {ACCOUNTS_A_LOOK}"""
_TO_RELEASE: Final = f"""
SELECT block, account_id, status IN ({AccountStatus.OPEN:d}, {AccountStatus.DEBITS_FROZEN:d}) AS is_ours
FROM screening_blocks JOIN accounts USING (account_id)
WHERE released_at IS NULL AND NOT EXISTS (
    SELECT FROM account_owners AS part JOIN screening_waiting_users USING (user_id)
    WHERE part.account_id = screening_blocks.account_id AND until IS NULL AND role <> 'viewer')
AND (%(user)s::uuid IS NULL OR EXISTS (
    SELECT FROM account_owners AS part WHERE part.account_id = screening_blocks.account_id AND user_id = %(user)s))
LIMIT {ACCOUNTS_A_LOOK}"""
_BLOCK: Final = """
INSERT INTO screening_blocks (account_id) VALUES (%s)
ON CONFLICT (account_id) WHERE released_at IS NULL DO UPDATE SET account_id = excluded.account_id
RETURNING block"""
_RELEASED: Final = "UPDATE screening_blocks SET released_at = now() WHERE block = %s RETURNING block"
_NEW_AND_WAITING: Final = """
SELECT FROM screening_waiting_users
WHERE user_id = ANY(%s) AND NOT EXISTS (SELECT FROM accounts WHERE account_id = %s) LIMIT 1"""


class Blocks:
    """Every method raises DatabaseUnavailable; those that send also QueueFull, DeliveryUnknown."""

    def __init__(self, database: Database, submission: Submission) -> None:
        self._database = database
        self._submission = submission

    async def enforce(self, user: bytes | None = None) -> None:
        """Freeze and release what has to be, of one user or of all."""
        whose = {"user": UUID(bytes=user) if user is not None else None}
        for row in await self._database.rows(_TO_BLOCK, whose):
            key = f"screening block {await self._block(row['account_id'])} {row['changed_at'].isoformat()}"
            await self._set(row, AccountStatus.DEBITS_FROZEN, key)
        for row in await self._database.rows(_TO_RELEASE, whose):
            await self._release(row)

    async def of_new_account(self, account: bytes, users: Collection[bytes]) -> SetStanding | None:
        """What has to follow the opening of an account at once: nothing where none of these users waits, or where the
        account is open already, so that a repeat changes nothing that was done to it since.
        """
        opening = UUID(bytes=account)
        if await self._database.row(_NEW_AND_WAITING, ([UUID(bytes=user) for user in users], opening)) is None:
            return None
        block = await self._block(opening)
        envelope = Envelope(f"screening block {block}")
        return SetStanding(account=account, status=AccountStatus.DEBITS_FROZEN, envelope=envelope)

    async def _block(self, account: UUID) -> int:
        row = await self._database.row(_BLOCK, (account,))
        assert row is not None  # RETURNING
        block: int = row["block"]
        return block

    async def _release(self, row: dict[str, Any]) -> None:
        """What an operator has done with the account since stays; our part of it is over."""
        key = f"screening release {row['block']}"
        if not row["is_ours"] or await self._set(row, AccountStatus.OPEN, key):
            await self._database.row(_RELEASED, (row["block"],))

    async def _set(self, row: dict[str, Any], status: AccountStatus, key: str) -> bool:
        """True where the partition has answered; without an answer the same is sent at the next look."""
        asked = SetStanding(account=row["account_id"].bytes, status=status, envelope=Envelope(key))
        (outcome,) = await self._submission.instruct([asked], _REPLY_WAIT_S, [])
        return outcome.reply is not None
