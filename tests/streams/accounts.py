"""Accounts and commands that the tests of the agents share."""

from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.identifiers import NIL, uuid7
from payments.postings import clearing_account
from schemas.partitioning import shard_of
from tests.streams.world import START_MS, World

CURRENCY = "EUR"


def account(number: int) -> bytes:
    """A made-up account id; the last byte, which picks its snapshot page, varies with the number."""
    return uuid7(START_MS, number.to_bytes(10, "big"))


def account_on(shard: int, shards: int, nth: int = 0) -> bytes:
    """The nth made-up account that belongs to a shard."""
    found = [id_ for id_ in map(account, range(1, 40 * (nth + 1) * shards)) if shard_of(id_, shards) == shard]
    return found[nth]


def open_account(account_id: bytes, overdraft_minor: int = 0, currency: str = CURRENCY) -> Command:
    return Command(CommandKind.OPEN_ACCOUNT, account_id, NIL, overdraft_minor, currency, NO_REPLY, "open")


def deposit(account_id: bytes, amount_minor: int, key: str = "deposit") -> Command:
    return Command(CommandKind.DEPOSIT, clearing_account(CURRENCY), account_id, amount_minor, CURRENCY, NO_REPLY, key)


def transfer(
    payer: bytes, payee: bytes, amount_minor: int, key: str, reply_to: bytes = NO_REPLY, description: str = ""
) -> Command:
    return Command(CommandKind.TRANSFER, payer, payee, amount_minor, CURRENCY, reply_to, key, description)


def freeze(account_id: bytes) -> Command:
    return account_command(CommandKind.FREEZE_ACCOUNT, account_id, "freeze")


def funded(world: World, *accounts: bytes, amount_minor: int = 1_000) -> None:
    """Open these accounts and give each the same amount."""
    world.send(*(open_account(id_) for id_ in accounts))
    world.send(*(deposit(id_, amount_minor) for id_ in accounts))
    world.settle()


def available(world: World, account_id: bytes) -> int:
    """Available balance as the owning shard knows it."""
    return world.tables[shard_of(account_id, world.shards)].book.accounts[account_id].available_minor
