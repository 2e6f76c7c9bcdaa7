"""Who may do what at the brokers: one principal per stage, and nothing that its topics don't need.

Data beside the catalogue of topics. `millrace topics` applies it, docs/security.md shows it, tests/security tries it:
what is not in the table is denied (the brokers' authorizer allows nothing by default).
"""

from enum import StrEnum
from typing import NamedTuple

from schemas.topics import (
    ARCHIVED,
    CATALOGUE,
    COMMANDS,
    CONNECTOR_REQUESTS,
    CONNECTOR_RESULTS,
    CREDITS,
    EVENTS,
    LEDGER,
    QUARANTINE,
    REPLIES,
    RETURNS,
    SNAPSHOTS,
    Topic,
)

APPLICATION = "millrace"
"""Consumer group of the deciding stage, and with `.` and the slot its transactional ids."""

SINK_GROUP = "millrace.sink"
QUARANTINE_SINK_GROUP = "millrace.quarantine-sink"
EVENTS_SINK_GROUP = "millrace.events-sink"

CONNECTORS = "millrace-connectors"
"""Consumer group of the connectors, and with `.` and the slot their transactional ids: none of the workers' prefix."""

PUBLISHER = "millrace-publisher"
"""Group under which the publisher's offsets lie, and with `.0` its transactional id: there is one per installation."""

CONSUMER_OFFSETS, TRANSACTION_STATE = "__consumer_offsets", "__transaction_state"
ANY = "*"


class Resource(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """Kafka's operations, as far as they are given. READ and WRITE include DESCRIBE."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"
    CLUSTER_ACTION = "cluster action"


class Grant(NamedTuple):
    """One right."""

    resource: Resource
    name: str
    operation: Operation
    why: str
    prefixed: bool = False
    """The name is the beginning of the names that are meant."""


class Principal(NamedTuple):
    """One user of the brokers."""

    name: str
    stage: str
    grants: tuple[Grant, ...]


def _topics(operation: Operation, why: str, *topics: Topic) -> tuple[Grant, ...]:
    return tuple(Grant(Resource.TOPIC, topic.name, operation, why) for topic in topics)


def _read(why: str, *topics: Topic) -> tuple[Grant, ...]:
    return _topics(Operation.READ, why, *topics)


def _write(why: str, *topics: Topic) -> tuple[Grant, ...]:
    return _topics(Operation.WRITE, why, *topics)


_TRANSACTIONS_SEEN = (
    Grant(Resource.TRANSACTIONAL_ID, ANY, Operation.DESCRIBE, "an id unseen would make its transaction look lost"),
    Grant(Resource.TOPIC, CONSUMER_OFFSETS, Operation.READ, "transactions open on the groups' offsets"),
)

API = Principal(
    "millrace-api",
    "`millrace api`",
    (
        *_write("what callers ask for, and what operators redrive", COMMANDS),
        *_read("outcomes for calls that wait", REPLIES),
        *_read("what balances in memory are kept up to date by", LEDGER),
        Grant(Resource.GROUP, "millrace-api-", Operation.DESCRIBE, "the client asks; nothing is committed", True),
    ),
)
WORKER = Principal(
    "millrace-worker",
    "`millrace worker`",
    (
        *_read("what is decided", COMMANDS, CREDITS, RETURNS, CONNECTOR_RESULTS),
        *_read("what a shard is restored from", LEDGER, SNAPSHOTS),
        *_read(
            "the start gate asks who has a transaction open where this stage writes",
            *(REPLIES, QUARANTINE, CONNECTOR_REQUESTS),
        ),
        *_write("what was decided", CREDITS, RETURNS, LEDGER, SNAPSHOTS, REPLIES, QUARANTINE, CONNECTOR_REQUESTS),
        Grant(Resource.TRANSACTIONAL_ID, f"{APPLICATION}.", Operation.WRITE, "one id per slot", True),
        Grant(Resource.GROUP, APPLICATION, Operation.READ, "membership; offsets move in the transaction"),
        Grant(Resource.GROUP, f"{APPLICATION}.restore", Operation.DESCRIBE, "the client asks; nothing is committed"),
        Grant(Resource.TOPIC, CONSUMER_OFFSETS, Operation.READ, "the start gate, for the group's own offsets"),
    ),
)
SINK = Principal(
    "millrace-sink",
    "`millrace sink`",
    (
        *_read("what becomes rows", LEDGER),
        Grant(Resource.GROUP, SINK_GROUP, Operation.READ, "offsets for lag tooling"),
    ),
)
QUARANTINE_SINK = Principal(
    "millrace-quarantine-sink",
    "`millrace quarantine-sink`",
    (
        *_read("what becomes cases", QUARANTINE),
        Grant(Resource.GROUP, QUARANTINE_SINK_GROUP, Operation.READ, "offsets for lag tooling"),
    ),
)
EVENTS_SINK = Principal(
    "millrace-events-sink",
    "`millrace events-sink`",
    (
        *_read("what webhooks tell and callers catch up with", EVENTS),
        Grant(Resource.GROUP, EVENTS_SINK_GROUP, Operation.READ, "offsets for lag tooling"),
    ),
)
WEBHOOKS = Principal("millrace-webhooks", "`millrace webhooks`: has what it needs in Postgres", ())
NOTIFICATIONS = Principal("millrace-notifications", "`millrace notifications`: has what it needs in Postgres", ())
CONNECTOR = Principal(
    "millrace-connector",
    "`millrace connectors`",
    (
        *_read("what providers are asked to do", CONNECTOR_REQUESTS),
        *_read("a request that reconciliation asks about again, as the ledger made it", LEDGER),
        *_read("the start gate asks who has a transaction open where this stage writes", CONNECTOR_RESULTS),
        *_write("what became of it, and later attempts", CONNECTOR_RESULTS, CONNECTOR_REQUESTS),
        Grant(Resource.TRANSACTIONAL_ID, f"{CONNECTORS}.", Operation.WRITE, "one id per slot", True),
        Grant(Resource.GROUP, CONNECTORS, Operation.READ, "membership; offsets move in the transaction"),
        Grant(Resource.TOPIC, CONSUMER_OFFSETS, Operation.READ, "the start gate, for the group's own offsets"),
    ),
)
PUBLISHING = Principal(
    "millrace-publisher",
    "`millrace publisher`",
    (
        *_read("what becomes public", LEDGER),
        *_read("the start gate asks who has a transaction open where this stage writes", EVENTS),
        *_write("what the world is told", EVENTS),
        Grant(Resource.TRANSACTIONAL_ID, f"{PUBLISHER}.", Operation.WRITE, "one publisher at a time", True),
        Grant(Resource.GROUP, PUBLISHER, Operation.READ, "offsets move in the transaction"),
        Grant(Resource.TOPIC, CONSUMER_OFFSETS, Operation.READ, "the start gate, for the group's own offsets"),
    ),
)
TICKER = Principal(
    "millrace-ticker",
    "`millrace ticker`",
    _write("ticks, so that holds expire without traffic", COMMANDS),
)
SCHEDULER = Principal(
    "millrace-scheduler",
    "`millrace scheduler`",
    _write("transfers that are due", COMMANDS),
)
RECONCILIATION = Principal(
    "millrace-reconciliation",
    "`millrace recon follow` and `nights`",
    _write("adjustments that rules or people have approved", COMMANDS),
)
ARCHIVE = Principal(
    "millrace-archive",
    "`millrace archive run`",
    (
        *_read("what is kept for ever", *ARCHIVED),
        Grant(Resource.GROUP, "millrace.archive", Operation.DESCRIBE, "the client asks; nothing is committed"),
    ),
)
WATCH = Principal(
    "millrace-watch",
    "`millrace watchdog`",
    (
        *_read("stalled readers, hanging transactions, drift", *CATALOGUE),
        *_TRANSACTIONS_SEEN,
        Grant(Resource.GROUP, "millrace.", Operation.DESCRIBE, "the client asks; nothing is committed", True),
    ),
)
OPERATOR = Principal(
    "millrace-operator",
    "a person's commands: audit, replay, drift, quarantine, transactions",
    (
        *_read("audit, replay, drift", *CATALOGUE),
        *_write("`quarantine redrive`", COMMANDS),
        *_TRANSACTIONS_SEEN,
        Grant(Resource.TOPIC, TRANSACTION_STATE, Operation.READ, "what the coordinator decided"),
        Grant(
            Resource.CLUSTER, "kafka-cluster", Operation.CLUSTER_ACTION, "`transactions hanging --finish`: the marker"
        ),
        Grant(Resource.GROUP, "millrace.", Operation.DESCRIBE, "the client asks; nothing is committed", True),
    ),
)
PRODUCER = Principal(
    "millrace-producer", "outside producers", (*_write("commands straight to the log; agents trust none", COMMANDS),)
)
SUBSCRIBER = Principal(
    "millrace-subscriber",
    "downstream consumers",
    (
        *_read("what has happened", EVENTS),
        *_read("the book", LEDGER),
        Grant(Resource.GROUP, "subscriber.", Operation.READ, "groups of their own, never one of ours", True),
    ),
)

PRINCIPALS: tuple[Principal, ...] = (
    API,
    WORKER,
    SINK,
    QUARANTINE_SINK,
    EVENTS_SINK,
    WEBHOOKS,
    NOTIFICATIONS,
    CONNECTOR,
    PUBLISHING,
    TICKER,
    SCHEDULER,
    RECONCILIATION,
    ARCHIVE,
    WATCH,
    OPERATOR,
    PRODUCER,
    SUBSCRIBER,
)

ADMINISTRATOR = "millrace-administrator"
"""Makes topics and grants rights, so it can do everything: the brokers' super user, never a stage's."""
