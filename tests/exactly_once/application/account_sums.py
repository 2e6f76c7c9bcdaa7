"""The application under test: funds and two-hop transfers between integer accounts, packed ledger as its changelog.

Reads commands and credits; keeps a balance per account; writes credits, ledger, quarantine and, before each commit, the
total of every touched shard.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from runtime.exactly_once.contract import Chunk, Produce, ShardLog

SHARDS = 4


class Topics(NamedTuple):
    """The topics of one test run."""

    commands: str
    credits: str
    ledger: str
    totals: str
    quarantine: str

    @classmethod
    def of(cls, run: str) -> "Topics":
        return cls(*(f"{run}.{field}" for field in cls._fields))


class AccountSums:
    """A `ShardStore`: balances by shard, rebuilt from the ledger alone."""

    def __init__(self, run: str) -> None:
        self.topics = Topics.of(run)
        self.input_topics = (self.topics.commands, self.topics.credits)
        self.numbered_topics: tuple[str, ...] = ()
        self.changelog_topics: tuple[str, ...] = (self.topics.ledger,)
        self.balances: dict[int, dict[int, int]] = {}
        self.committed_cycles = 0

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        balances: dict[int, int] = {}
        decided: dict[str, int] = {}
        for record in log.read(self.topics.ledger):
            written = json.loads(record.value() or b"")
            decided[written["topic"]] = written["next"]
            for entry in written["entries"]:
                if entry["kind"] in {"fund", "debit", "credit"}:
                    balances[entry["account"]] = entry["balance"]
        self.balances[shard] = balances
        return decided

    def forget(self, shard: int) -> None:
        self.balances.pop(shard, None)

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        for shard in shards:
            total = sum(self.balances[shard].values())
            produce(self.topics.totals, str(total).encode(), partition=shard)

    def after_commit(self, shards: Collection[int]) -> None:
        self.committed_cycles += 1

    def decide(self, chunk: Chunk) -> None:
        """Decide one chunk of either input topic: one ledger record, and one credits record per receiving shard.

        ACCOUNT_SUMS_BLOCK_S blocks first, as an agent that calls the outside world would.
        """
        time.sleep(float(os.environ.get("ACCOUNT_SUMS_BLOCK_S", "0")))
        entries: list[dict[str, Any]] = []
        outgoing: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in chunk.records:
            if chunk.topic == self.topics.credits:
                entries += [self._credit(chunk.shard, credit) for credit in json.loads(record.value() or b"")]
            else:
                entries.append(self._command(chunk, record, outgoing))
        for shard, credits in outgoing.items():
            chunk.produce(self.topics.credits, json.dumps(credits).encode(), partition=shard)
        written = {"topic": chunk.topic, "first": chunk.first_offset, "next": chunk.next_offset, "entries": entries}
        chunk.produce(self.topics.ledger, json.dumps(written).encode(), partition=chunk.shard)

    def _command(self, chunk: Chunk, record: Any, outgoing: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
        try:
            command = json.loads(record.value() or b"")
            payer, payee, amount = command["from"], command["to"], command["amount"]
        except (ValueError, KeyError) as poison:
            headers = [("offset", str(record.offset()).encode()), ("reason", type(poison).__name__.encode())]
            chunk.produce(self.topics.quarantine, record.value(), partition=chunk.shard, headers=headers)
            return {"kind": "quarantined", "offset": record.offset()}
        balances = self.balances[chunk.shard]
        if payer is None:
            return self._entry("fund", command, payee, amount, balances)
        if balances.get(payer, 0) < amount:
            return {"kind": "reject", "id": command["id"], "account": payer, "balance": balances.get(payer, 0)}
        outgoing[payee % SHARDS].append(command)
        return self._entry("debit", command, payer, -amount, balances)

    def _credit(self, shard: int, credit: dict[str, Any]) -> dict[str, Any]:
        return self._entry("credit", credit, credit["to"], credit["amount"], self.balances[shard])

    @staticmethod
    def _entry(
        kind: str, command: dict[str, Any], account: int, change: int, balances: dict[int, int]
    ) -> dict[str, Any]:
        balances[account] = balances.get(account, 0) + change
        return {"kind": kind, "id": command["id"], "account": account, "balance": balances[account]}
