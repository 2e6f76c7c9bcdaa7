"""The catalogue of topics: the only place where one is named. Creation, documents and tests are derived from it."""

from enum import StrEnum
from typing import NamedTuple

from payments.movements.instructions import INSTRUCTIONS

_DAY_MS = 86_400_000
_FOR_EVER = -1


class Spread(StrEnum):
    """How many partitions a topic has."""

    SHARDS = "shards"
    """One per shard; the partition number is the shard. Fixed when the topics are made."""
    REPLIES = "replies"
    """Partition = API process id modulo this many."""


class Topic(NamedTuple):
    """One topic. `records` names the schemas that it carries (schemas/avro)."""

    name: str
    records: tuple[str, ...]
    key: str
    writers: str
    readers: str
    spread: Spread
    retention_ms: int
    """-1 = for ever."""
    compacted: bool = False
    public: bool = False
    """Written or read by others than Millrace: compatibility is checked in both directions."""

    archived: bool = True
    """Kept as files where an archive is configured, beyond what the brokers keep."""


REPLY_PARTITIONS = 4

COMMANDS = Topic(
    "payments.commands",
    ("Command", "CommandBatch", *(kind.__name__ for kind in INSTRUCTIONS), "Tick"),
    "authority account",
    "ingest_api, outside producers",
    "streams: authorise",
    Spread.SHARDS,
    30 * _DAY_MS,
    public=True,
)
CREDITS = Topic(
    "payments.credits",
    ("CreditBatch",),
    "receiving shard (partition)",
    "streams: authorise",
    "streams: post",
    Spread.SHARDS,
    7 * _DAY_MS,
)
RETURNS = Topic(
    "payments.returns",
    ("CreditBatch",),
    "paying shard (partition)",
    "streams: post",
    "streams: authorise",
    Spread.SHARDS,
    7 * _DAY_MS,
)
LEDGER = Topic(
    "ledger.entries",
    ("LedgerRecord",),
    "deciding shard (partition)",
    "streams: authorise, post",
    "sinks, publish, audit, restore; ingest_api: balances",
    Spread.SHARDS,
    _FOR_EVER,
)
"""The book itself, and what a shard is restored from: a page of its snapshot is rewritten after 128,000 entries, so a
quiet shard needs the ledger from its beginning. Deleting any of it needs an archive and a whole snapshot first."""

SNAPSHOTS = Topic(
    "ledger.snapshots",
    ("AccountsPage", "OperationsSegment", "ShardHead"),
    "page of a shard",
    "streams",
    "streams: restore",
    Spread.SHARDS,
    _FOR_EVER,
    compacted=True,
)
REPLIES = Topic(
    "payments.replies",
    ("ReplyBatch",),
    "API process (partition)",
    "streams: authorise, post",
    "ingest_api: waiting calls",
    Spread.REPLIES,
    3_600_000,
    archived=False,
)
QUARANTINE = Topic(
    "payments.quarantine",
    ("QuarantinedRecord",),
    "origin key",
    "any stage",
    "operators",
    Spread.SHARDS,
    30 * _DAY_MS,
)
CONNECTOR_REQUESTS = Topic(
    "connectors.requests",
    ("ConnectorRequest",),
    "who waits for the result: a checkout or an account",
    "streams: authorise, take_back; connectors: later attempts",
    "connectors",
    Spread.SHARDS,
    7 * _DAY_MS,
)
CONNECTOR_RESULTS = Topic(
    "connectors.results",
    ("ConnectorResult",),
    "the request's key, on the request's partition",
    "connectors",
    "streams: conclude",
    Spread.SHARDS,
    _FOR_EVER,
)
"""What providers have said about money, 200 bytes each. Were they deleted, a shard without a result for that long could
not tell whether a result or only the marker behind its last one is gone, and would refuse to start."""

EVENTS = Topic(
    "payments.events",
    ("Event",),
    "what it happened to: a payment, an account …",
    "streams: publish",
    "subscribers, webhooks",
    Spread.SHARDS,
    30 * _DAY_MS,
    public=True,
    archived=False,
)
"""Derived from the ledger, so it is not archived beside it. Partition: murmur2 of the key, like Java's."""

CATALOGUE: tuple[Topic, ...] = (
    COMMANDS,
    CREDITS,
    RETURNS,
    LEDGER,
    SNAPSHOTS,
    REPLIES,
    QUARANTINE,
    CONNECTOR_REQUESTS,
    CONNECTOR_RESULTS,
    EVENTS,
)

ARCHIVED: tuple[Topic, ...] = tuple(topic for topic in CATALOGUE if topic.archived)


def partitions(topic: Topic, shards: int) -> int:
    """Number of partitions of a topic in an installation with this many shards."""
    return shards if topic.spread is Spread.SHARDS else REPLY_PARTITIONS


def configuration(topic: Topic, replication_factor: int) -> dict[str, str]:
    """Broker-side topic settings. Decision time is the broker's (`LogAppendTime`), so outsiders can't set it."""
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(topic.retention_ms),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(2 if replication_factor >= 3 else 1),
    }
