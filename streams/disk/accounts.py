"""The accounts of one shard: all on disk, those in use in memory, changed ones there until they may be written.

Reads the family `accounts`; writes into the database's batch. Key: page, then account id; value: the account packed as
in a snapshot page, so that a page is written without unpacking it.
"""

from collections import defaultdict

from payments.accounts import Account
from schemas.codec.snapshots import pack_account, unpack_account
from streams.disk.database import Database

CACHED_ACCOUNTS = 250_000
"""Per shard, 250 bytes each: 62 MB. A million accounts over 4 shards all stay in memory once they are used."""

_ROW_BYTES = 53
"""Key and value."""


class AccountsOnDisk:
    """`payments.book.Accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._family = database.family("accounts")
        self._cached: dict[bytes, Account] = {}
        self._in_memory = self._cached.get  # asked six times a payment: 0.1 µs each saved
        self._changed: defaultdict[int, set[bytes]] = defaultdict(set)
        """By page: what the disk does not have yet."""

    def get(self, account_id: bytes) -> Account | None:
        """The account as the last decision left it."""
        account = self._in_memory(account_id)
        return account if account is not None else self._load(account_id)

    def __getitem__(self, account_id: bytes) -> Account:
        account = self._in_memory(account_id) or self._load(account_id)
        if account is None:
            raise KeyError(account_id)
        return account

    def __setitem__(self, account_id: bytes, account: Account) -> None:
        self._cached[account_id] = account
        self._changed[account_id[-1]].add(account_id)

    def __contains__(self, account_id: object) -> bool:
        return isinstance(account_id, bytes) and self.get(account_id) is not None

    def page(self, page: int) -> list[bytes]:
        """Every account of a snapshot page, packed, in order of their ids."""
        rows = self._database.scan(self._family, bytes([page]))
        packed = {key[1:]: row for key, row in rows}
        for account_id in self._changed.get(page, ()):
            packed[account_id] = pack_account(account_id, self._cached[account_id])
        return [packed[account_id] for account_id in sorted(packed)]

    @property
    def changed_bytes(self) -> int:
        """About what `write` will put."""
        return _ROW_BYTES * sum(map(len, self._changed.values()))

    def write(self) -> None:
        """Put what has changed into the batch, which is written next."""
        put, family = self._database.batch.put, self._family.handle
        for changed in self._changed.values():
            for account_id in changed:
                put(_key(account_id), pack_account(account_id, self._cached[account_id]), family)
        self._changed.clear()

    def shrink(self) -> None:
        """Keep the memory bounded. After the batch was written: until then only the memory has the changes."""
        if len(self._cached) > CACHED_ACCOUNTS:
            self._cached.clear()

    def _load(self, account_id: bytes) -> Account | None:
        packed = self._database.read(self._family, _key(account_id))
        if packed is None:
            return None
        account = self._cached[account_id] = unpack_account(packed)[1]
        return account


def page_of(account_id: bytes) -> int:
    """Snapshot page of an account: the last byte of a UUID is random."""
    return account_id[-1]


def _key(account_id: bytes) -> bytes:
    return account_id[-1:] + account_id
