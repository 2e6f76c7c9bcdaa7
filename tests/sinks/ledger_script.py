"""A made-up ledger: random but consistent records of several shards, and what the tables must show of them.

Keeps balances as plain dicts, posted and available apart, and shares no rule with sinks. `expected_*` is counted while
the entries are written, from amounts alone.
"""

import random
from collections import Counter, defaultdict
from typing import NamedTuple

from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import NIL, derive_operation_id
from payments.postings import clearing_account
from payments.rejections import Reason
from schemas.codec.ledger import GENESIS_HASH, Lane, LedgerHeader, SourceTopic, encode_ledger_record, record_hash
from schemas.codec.ledger import Counter as LaneCounter

FIRST_TIME_US = 1_790_000_000_000_000


class Transfer(NamedTuple):
    """A reserved amount on its way to another shard (or back)."""

    payment: bytes
    payer: bytes
    payee: bytes
    amount: int


class LedgerScript:
    """Write operations with `play`, then `seal` them into records; `records[shard]` are the values in order."""

    def __init__(self, shards: int, seed: int = 0, accounts_per_shard: int = 20) -> None:
        self.random = random.Random(seed)
        self.shards = shards
        self.records: dict[int, list[bytes]] = {shard: [] for shard in range(shards)}
        self.posted: Counter[bytes] = Counter()
        self.available: Counter[bytes] = Counter()
        self.kinds: Counter[tuple[int, EntryKind]] = Counter()
        self.states: dict[bytes, EntryKind] = {}
        self.texts: dict[bytes, str] = {}
        self.journal: dict[bytes, tuple[bytes, bytes, int]] = {}
        self.events: dict[bytes, EntryKind] = {}
        self.last_hash = dict.fromkeys(range(shards), GENESIS_HASH)
        self._credits: dict[int, list[Transfer]] = defaultdict(list)
        self._returns: dict[int, list[Transfer]] = defaultdict(list)
        self._inputs: Counter[tuple[int, SourceTopic]] = Counter()
        self._lanes: Counter[tuple[int, Lane, int]] = Counter()
        self._number = 0
        self._time_us = FIRST_TIME_US
        self.accounts = {shard: [self._account(shard) for _ in range(accounts_per_shard)] for shard in range(shards)}
        self.home = {account: shard for shard, accounts in self.accounts.items() for account in accounts}

    def open_accounts(self) -> None:
        """One record per shard that opens and funds every account."""
        for shard, accounts in self.accounts.items():
            entries = [self.event(EntryKind.ACCOUNT_OPENED, account, "EUR") for account in accounts]
            entries += [self._deposit(account, 1_000_000) for account in accounts]
            self.seal(shard, SourceTopic.COMMANDS, entries)

    def play(self, rounds: int, transfers: int = 20) -> None:
        """Rounds in which every shard decides commands, then the credits and returns that reached it."""
        for _ in range(rounds):
            for shard in range(self.shards):
                commands = [entry for _ in range(transfers) for entry in self._command(shard)]
                self.seal(shard, SourceTopic.COMMANDS, commands)
            self.deliver()

    def deliver(self) -> None:
        """Every credit under way is posted or refused, every refused one returned."""
        for shard in range(self.shards):
            credits, self._credits[shard] = self._credits[shard], []
            self.seal(shard, SourceTopic.CREDITS, [self._take(credit) for credit in credits])
        for shard in range(self.shards):
            refused, self._returns[shard] = self._returns[shard], []
            self.seal(shard, SourceTopic.RETURNS, [self._take_back(credit) for credit in refused])

    def seal(self, shard: int, source: SourceTopic, entries: list[Entry]) -> None:
        """Append a ledger record with these entries (none: no record)."""
        if not entries:
            return
        first = self._inputs[shard, source] + self.random.randint(0, 2)  # transaction markers leave gaps
        following = first + len(entries)
        self._inputs[shard, source] = following
        peer, lane = self.random.randrange(self.shards), Lane.CREDITS_SENT
        self._lanes[shard, lane, peer] += 1
        header = LedgerHeader(
            shard,
            len(self.records[shard]),
            self.last_hash[shard],
            source,
            first,
            following,
            (LaneCounter(lane, peer, self._lanes[shard, lane, peer]),),
        )
        placed = [entry._replace(source_offset=first + index) for index, entry in enumerate(entries)]
        texts = {
            index: self.texts[entry.operation_id]
            for index, entry in enumerate(placed)
            if entry.operation_id in self.texts and source is SourceTopic.COMMANDS and entry.kind in _DECIDING
        }
        value = encode_ledger_record(header, placed, texts)
        self.records[shard].append(value)
        self.last_hash[shard] = record_hash(value)
        for entry in entries:
            self.kinds[shard, entry.kind] += 1

    def lanes(self) -> set[tuple[int, int, int, int]]:
        return {(shard, int(lane), peer, following) for (shard, lane, peer), following in self._lanes.items()}

    def inputs(self, shard: int) -> tuple[int, ...]:
        return tuple(self._inputs[shard, source] for source in SourceTopic)

    def _command(self, shard: int) -> list[Entry]:
        chance = self.random.random()
        account = self.random.choice(self.accounts[shard])
        if chance < 0.05:
            return [self.entry(EntryKind.REPLAYED, self._operation(account), account, NIL, 5)]
        if chance < 0.08:
            return [self.entry(EntryKind.QUARANTINED, NIL, NIL, NIL, 0, Reason.MALFORMED, currency="")]
        if chance < 0.11:
            return [self.event(EntryKind.REJECTED, account, "X", Reason.ACCOUNT_EXISTS)]
        if chance < 0.2:
            return [self._deposit(account, self.random.randint(1, 10**6))]
        return self._transfer(shard, account, chance)

    def _transfer(self, shard: int, payer: bytes, chance: float) -> list[Entry]:
        payee = self.random.choice([account for account in self.home if account != payer])
        amount = self.random.randint(1, 500)
        payment = self._operation(payer)
        if self.random.random() < 0.3:
            self.texts[payment] = self.random.choice(["Miete", "für «Zoë» — 東京", "nul\0inside", ""])
        if chance < 0.3:
            self.states[payment] = EntryKind.REJECTED
            return [self.entry(EntryKind.REJECTED, payment, payer, payee, -amount, Reason.AMOUNT_INVALID)]
        self.states[payment] = EntryKind.RESERVED
        self.available[payer] -= amount
        entries = [self.entry(EntryKind.RESERVED, payment, payer, payee, amount)]
        transfer = Transfer(payment, payer, payee, amount)
        if self.home[payee] == shard:
            return [*entries, self._post(transfer)]
        self._credits[self.home[payee]].append(transfer)
        return entries

    def _deposit(self, account: bytes, amount: int) -> Entry:
        payment = self._operation(account)
        return self._post(Transfer(payment, clearing_account("EUR"), account, amount))

    def _post(self, transfer: Transfer) -> Entry:
        payment, payer, payee, amount = transfer
        self.posted[payer] -= amount
        self.posted[payee] += amount
        self.available[payee] += amount
        self.states[payment] = EntryKind.POSTED
        self.journal[payment] = (payer, payee, amount)
        return self.entry(EntryKind.POSTED, payment, payer, payee, amount, stated=payee)

    def _take(self, transfer: Transfer) -> Entry:
        if self.random.random() > 0.2:
            return self._post(transfer)
        self._returns[self.home[transfer.payer]].append(transfer)
        return self.entry(EntryKind.REFUSED, *transfer, Reason.PAYEE_CLOSED, stated=transfer.payee)

    def _take_back(self, transfer: Transfer) -> Entry:
        self.available[transfer.payer] += transfer.amount
        self.states[transfer.payment] = EntryKind.RETURNED
        return self.entry(EntryKind.RETURNED, *transfer, Reason.PAYEE_CLOSED)

    def event(self, kind: EntryKind, account: bytes, currency: str, reason: Reason = Reason.NONE) -> Entry:
        operation = self._operation(account)
        self.events[operation] = kind
        return self.entry(kind, operation, account, NIL, 0, reason, currency=currency)

    def entry(
        self,
        kind: EntryKind,
        operation: bytes,
        debit: bytes,
        credit: bytes,
        amount: int,
        reason: Reason = Reason.NONE,
        stated: bytes | None = None,
        currency: str = "EUR",
    ) -> Entry:
        self._time_us += self.random.randint(1, 1_000)
        available = self.available[stated or debit]
        time_us, offset = self._time_us, 0
        # What is decided here carries its operation's fingerprint; what follows from a credit carries none.
        fingerprint = NO_FINGERPRINT if self._follows(kind, debit) else b"a digest"
        return Entry(
            kind, reason, operation, debit, credit, amount, currency, available, time_us, fingerprint, offset, 0
        )

    def _follows(self, kind: EntryKind, debit: bytes) -> bool:
        if kind is EntryKind.POSTED:
            return debit in self.home
        return kind in (EntryKind.REFUSED, EntryKind.RETURNED, EntryKind.QUARANTINED)

    def _operation(self, account: bytes) -> bytes:
        self._number += 1
        return derive_operation_id(account, f"key {self._number}", self.home.get(account, 0))

    def _account(self, shard: int) -> bytes:
        octets = bytearray(self.random.randbytes(16))
        octets[6] = 0x70 | octets[6] & 0x0F
        octets[15] = self.random.choice([0, octets[15]])  # ids that end with zeros are ids as well
        return bytes(octets)


_DECIDING = frozenset({EntryKind.RESERVED, EntryKind.REJECTED})
