"""Goal: each principal may do what its stage needs and nothing else, asked of the real broker in both directions.

Method: the broker's own answer for every principal and topic is compared with the table, then the operations that would
do harm are tried, one by one.
"""

import secrets
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic

from millrace.access import ensure_access
from millrace.environment import LocalEnvironment
from runtime.exactly_once.broker.transaction_admin import (
    OpenProducer,
    cluster,
    open_producers,
    transactions,
    write_marker,
)
from runtime.kafka_client import NOT_AUTHORIZED, AccessRefused, Brokers
from schemas import access
from schemas.access import ADMINISTRATOR, PRINCIPALS, Operation, Principal, Resource
from schemas.topics import (
    CATALOGUE,
    COMMANDS,
    CONNECTOR_REQUESTS,
    CONNECTOR_RESULTS,
    CREDITS,
    LEDGER,
    QUARANTINE,
    REPLIES,
    SNAPSHOTS,
)
from tests.security import operations
from tests.security.conftest import As
from tests.security.operations import Try

NAMES = [*(topic.name for topic in CATALOGUE), access.CONSUMER_OFFSETS, access.TRANSACTION_STATE]
FORGED_ID = f"{access.APPLICATION}.forged"
"""Of the worker's prefix, and no slot's: nobody is fenced by it."""


def granted(principal: Principal, topic: str) -> set[AclOperation]:
    """What the table says, as the broker counts it: READ and WRITE include DESCRIBE."""
    grants = [grant for grant in principal.grants if (grant.resource, grant.name) == (Resource.TOPIC, topic)]
    found = {AclOperation[grant.operation.name] for grant in grants}
    return found | {AclOperation.DESCRIBE} if found else set()


def allowed(brokers: Brokers) -> dict[str, set[AclOperation]]:
    """What the broker's authorizer says; a topic that is hidden from a principal is none to it."""
    admin = AdminClient(brokers.configuration())
    asked = admin.describe_topics(TopicCollection(NAMES), include_authorized_operations=True)
    found: dict[str, set[AclOperation]] = {}
    for topic, future in asked.items():
        hidden = getattr(future.exception(20), "args", None)
        found[topic] = set() if hidden else set(future.result().authorized_operations)
        assert not hidden or hidden[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    return found


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda principal: principal.name)
def test_the_broker_allows_exactly_what_the_table_says(brokers_as: As, principal: Principal) -> None:
    assert allowed(brokers_as(principal.name)) == {topic: granted(principal, topic) for topic in NAMES}


def refusal(brokers: Brokers, attempt: Try) -> str:
    """The name of the error that the operation ends with. Fails where it is let through."""
    with pytest.raises(KafkaException) as refused:
        attempt(brokers)
    error: KafkaError = refused.value.args[0]
    assert error.code() in NOT_AUTHORIZED, error
    return str(error.name())


TOPIC, GROUP, CLUSTER, ID = (
    f"{kind}_AUTHORIZATION_FAILED" for kind in ("TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID")
)

EITHER = f"{GROUP} {TOPIC}"
"""Neither is allowed; which of them is told first is chance."""

FORBIDDEN = [
    (access.API, "write the ledger", operations.write(LEDGER.name), TOPIC),
    (access.API, "create money", operations.write(CREDITS.name), TOPIC),
    (access.API, "answer in a worker's name", operations.write(REPLIES.name), TOPIC),
    (access.API, "read what others asked for", operations.read(COMMANDS.name, "millrace-api-0"), TOPIC),
    (access.API, "fence a worker", operations.use_transactional_id("millrace.0"), ID),
    (access.API, "move the workers' offsets", operations.commit_offsets("millrace"), GROUP),
    (access.WORKER, "write commands", operations.write(COMMANDS.name), TOPIC),
    (access.WORKER, "use another's transactional id", operations.use_transactional_id("sink.0"), ID),
    (access.WORKER, "use the bare name of its prefix", operations.use_transactional_id("millrace"), ID),
    (access.WORKER, "move the sink's offsets", operations.commit_offsets(access.SINK_GROUP), GROUP),
    (access.SINK, "read commands", operations.read(COMMANDS.name, access.SINK_GROUP), TOPIC),
    (access.SINK, "read in another's group", operations.read(LEDGER.name, "millrace"), GROUP),
    (access.SINK, "begin a transaction", operations.use_transactional_id("millrace.0"), ID),
    (access.QUARANTINE_SINK, "read the ledger", operations.read(LEDGER.name, access.QUARANTINE_SINK_GROUP), TOPIC),
    (access.WORKER, "answer in a provider's name", operations.write(CONNECTOR_RESULTS.name), TOPIC),
    (access.CONNECTOR, "write commands", operations.write(COMMANDS.name), TOPIC),
    (access.CONNECTOR, "write the ledger", operations.write(LEDGER.name), TOPIC),
    (access.CONNECTOR, "fence a worker", operations.use_transactional_id("millrace.0"), ID),
    (access.CONNECTOR, "move the workers' offsets", operations.commit_offsets("millrace"), GROUP),
    (access.WORKER, "fence a connector", operations.use_transactional_id("millrace-connectors.0"), ID),
    (access.ARCHIVE, "move the workers' offsets", operations.commit_offsets("millrace"), GROUP),
    (access.WATCH, "send commands", operations.write(COMMANDS.name), TOPIC),
    (access.WATCH, "fence a worker", operations.use_transactional_id("millrace.0"), ID),
    (access.OPERATOR, "write the ledger", operations.write(LEDGER.name), TOPIC),
    (access.OPERATOR, "fence a worker", operations.use_transactional_id("millrace.0"), ID),
    (access.OPERATOR, "move the workers' offsets", operations.commit_offsets("millrace"), GROUP),
    (access.PRODUCER, "read what others asked for", operations.read(COMMANDS.name, "subscriber.x"), EITHER),
    (access.PRODUCER, "write the ledger", operations.write(LEDGER.name), TOPIC),
    (access.SUBSCRIBER, "read commands", operations.read(COMMANDS.name, "subscriber.x"), TOPIC),
    (access.SUBSCRIBER, "read snapshots", operations.read(SNAPSHOTS.name, "subscriber.x"), TOPIC),
    (access.SUBSCRIBER, "move the sink's offsets", operations.commit_offsets(access.SINK_GROUP), GROUP),
]


@pytest.mark.parametrize(
    ("principal", "attempt", "error"),
    [pytest.param(who, attempt, error, id=f"{who.name}: {what}") for who, what, attempt, error in FORBIDDEN],
)
def test_a_forbidden_operation_is_refused(brokers_as: As, principal: Principal, attempt: Try, error: str) -> None:
    assert refusal(brokers_as(principal.name), attempt) in error.split()


@pytest.mark.parametrize(
    "principal",
    [access.SINK, access.QUARANTINE_SINK, access.EVENTS_SINK, access.WEBHOOKS, access.ARCHIVE, access.WATCH],
)
def test_who_only_reads_can_write_nowhere(brokers_as: As, principal: Principal) -> None:
    refused = {name: refusal(brokers_as(principal.name), operations.write(name)) for name in NAMES}
    assert refused == dict.fromkeys(NAMES, TOPIC)


ADMINISTRATIVE = {
    "make a topic": (operations.create_topic, {CLUSTER, TOPIC}),
    "delete the ledger": (operations.delete_topic, {TOPIC}),
    "delete records of the ledger": (operations.delete_records, {TOPIC}),
    "shorten the ledger's retention": (operations.shorten_retention, {TOPIC}),
    "grant a right": (operations.grant_right, {CLUSTER}),
}


@pytest.mark.parametrize("principal", PRINCIPALS, ids=lambda principal: principal.name)
def test_no_stage_administers_the_brokers(brokers_as: As, principal: Principal) -> None:
    for what, (attempt, errors) in ADMINISTRATIVE.items():
        assert refusal(brokers_as(principal.name), attempt) in errors, what


ALLOWED = [
    *(
        (access.WORKER, operations.write_and_abort(topic.name, FORGED_ID))
        for topic in (CREDITS, LEDGER, QUARANTINE, CONNECTOR_REQUESTS)
    ),
    (access.WORKER, operations.read(LEDGER.name, "millrace.restore")),
    (access.SINK, operations.read(LEDGER.name, access.SINK_GROUP)),
    (access.QUARANTINE_SINK, operations.read(QUARANTINE.name, access.QUARANTINE_SINK_GROUP)),
    (access.ARCHIVE, operations.read(SNAPSHOTS.name, "millrace.archive")),
    (access.WATCH, operations.see_ends),
    (access.OPERATOR, operations.read(access.TRANSACTION_STATE, "millrace.transaction-log")),
    (access.SUBSCRIBER, operations.read(LEDGER.name, "subscriber.x")),
    (access.SUBSCRIBER, operations.commit_offsets("subscriber.x")),
]


@pytest.mark.parametrize(("principal", "attempt"), ALLOWED)
def test_an_allowed_operation_is_allowed(brokers_as: As, principal: Principal, attempt: Try) -> None:
    attempt(brokers_as(principal.name))


@pytest.mark.parametrize("principal", [access.WATCH, access.OPERATOR])
def test_who_judges_transactions_sees_all_of_them(brokers_as: As, principal: Principal) -> None:
    """One that is not seen would be taken for lost, and ended."""
    seen, whole = (cluster(brokers_as(name)) for name in (principal.name, ADMINISTRATOR))
    watched = {partition for partition in whole.leaders if partition[0] in {*NAMES} - {access.TRANSACTION_STATE}}
    assert watched <= seen.leaders.keys()
    assert {entry.transactional_id for entry in transactions(seen)} == {e.transactional_id for e in transactions(whole)}
    open_producers(seen)


def test_a_workers_gate_sees_every_partition_that_a_worker_writes(brokers_as: As) -> None:
    view = cluster(brokers_as(access.WORKER.name))
    written = {grant.name for grant in access.WORKER.grants if grant.operation is Operation.WRITE}
    seen = {topic for topic, _ in view.leaders}
    assert written - {f"{access.APPLICATION}."} <= seen
    assert access.CONSUMER_OFFSETS in seen
    open_producers(view)


def test_a_marker_is_the_operators_to_write_and_no_workers(brokers_as: As, administrator: AdminClient) -> None:
    """Allowed to a worker, it could end any transaction on any topic."""
    name = f"test.{secrets.token_hex(4)}"
    administrator.create_topics([NewTopic(name, 1, 1)], operation_timeout=20)[name].result(20)
    nobodys = OpenProducer((name, 0), 999_999, 0, 0, 0, 0)
    view = cluster(brokers_as(ADMINISTRATOR))
    with pytest.raises(AccessRefused, match=f"principal {access.WORKER.name} may not end the transaction on {name}"):
        write_marker(_as(view, brokers_as(access.WORKER.name)), nobodys, 0, commit=False)
    write_marker(_as(view, brokers_as(access.OPERATOR.name)), nobodys, 0, commit=False)


def _as(view: Any, brokers: Brokers) -> Any:
    """The same view, asked with another login."""
    return view._replace(brokers={n: address._replace(login=brokers.login) for n, address in view.brokers.items()})


def test_the_rules_are_brought_up_to_date_and_left_alone_then(secured: LocalEnvironment) -> None:
    settings = secured.settings_of(ADMINISTRATOR)
    assert ensure_access(settings) == (0, 0), "`millrace topics` has granted all of them at the start"
    assert ensure_access(settings) == (0, 0)


def test_a_right_too_many_is_taken_away(secured: LocalEnvironment, brokers_as: As) -> None:
    operations.grant_right(brokers_as(ADMINISTRATOR))
    assert ensure_access(secured.settings_of(ADMINISTRATOR)) == (0, 1)


def test_only_the_administrator_grants(secured: LocalEnvironment) -> None:
    with pytest.raises(AccessRefused, match=r"millrace-operator may not make topics .* administrator's login"):
        ensure_access(secured.settings_of(access.OPERATOR.name))
