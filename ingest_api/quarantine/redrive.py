"""Redrive: one record goes from quarantine back to payments.commands, with the identity that it always had.

Reads the case and the decisions in Postgres; writes payments.commands and the case's resolution. Guarantees: the money
moves at most once, however often, by however many, and with whatever crashes in between a redrive is run, because the
command keeps its idempotency key, and the partition of its account decides each key once.

 crash                              what running it again finds
 before the claim is committed      an open case: nothing has happened
 between claim and produce          `redriving` and no decision: it is produced, for the first time
 between produce and its report     `redriving`: the record may or may not be in the log. Decided already (Postgres
                                    shows it): only marked. Not yet: produced again, and the agents answer the second
                                    one as a replay
 between report and mark            the same
 after the mark                     `redriven`: refused, nothing is produced

Two at once: the second finds the first one's advisory lock, which ends with its session, or the case resolved. Should
both produce all the same (a session cut by a Postgres restart), they are two records with one key.
The agents remember a key for IDEMPOTENCY_WINDOW_HOURS only: whatever its age, a command whose operation stands in
Postgres already, decided for another sender, is never produced (design: the row's unique id is the backstop). The
look-up sees every decision older than the sink is behind, so it would take a sink that is 72 h behind to miss one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple, Self

import psycopg
from confluent_kafka import KafkaError, Message, Producer
from psycopg import Connection

from ingest_api.problems import Fault
from ingest_api.publisher import DeliveryUnknown, require_shards
from ingest_api.quarantine import cases
from ingest_api.quarantine.cases import Case, CaseStatus
from ingest_api.quarantine.diagnosis import Diagnosis, Target, diagnose
from payments.identifiers import PAYMENT, format_id
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.origin import REDRIVEN_FROM, Origin
from schemas.topics import COMMANDS

UNKNOWN: Final = "Check the id: topic-partition-offset-item, as the list shows it. A new case may take a moment."

_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK: Final = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
_DECIDED: Final = """
SELECT payment_id, shard, command_offset FROM decisions WHERE payment_id = ANY(%(ids)s::uuid[])
UNION ALL
SELECT operation_id, shard, command_offset FROM account_events WHERE operation_id = ANY(%(ids)s::uuid[])
LIMIT 1"""


class Outcome(NamedTuple):
    """What became of one: resolved, or refused for a reason and left as it was."""

    origin: Origin
    position: tuple[int, int] | None = None
    """Partition and offset of the redriven command in payments.commands."""
    refusal: Fault | None = None
    detail: str = ""


class Redriver:
    """Brings cases back, one by one, on a connection of `open_desk` that nothing else uses meanwhile."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._shards = settings.shards
        self._connection = connection
        self._failpoints = Failpoints(settings.failpoint)
        self._timeout_s = settings.api_delivery_timeout_ms / 1_000
        self._brokers = Brokers.of(settings)
        self._producer = Producer(
            {
                **self._brokers.configuration(),
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": settings.api_delivery_timeout_ms,
                "request.timeout.ms": settings.api_delivery_timeout_ms // 2,
            }
        )

    @classmethod
    def ready(cls, settings: Settings, connection: Connection) -> Self:
        """One whose topic has as many partitions as this installation has shards. Raises Unavailable."""
        made = cls(settings, connection)
        require_shards(made._producer, made._brokers, made._shards)
        return made

    def redrive(self, origin: Origin, who: str, *, force: bool = False) -> Outcome:
        """Once. Raises DeliveryUnknown, psycopg.Error: run it again then.

        `force` sends also what this release could not decide: the bytes come to the agents and, unless they know
        better, back into quarantine as a case of their own.
        """
        with self._held(origin) as held:
            if not held:
                return Outcome(origin, None, Fault.CASE_BUSY, "It is being redriven by somebody else right now.")
            return self._redrive_held(origin, who, force=force)

    @contextmanager
    def _held(self, origin: Origin) -> Iterator[bool]:
        """The case's advisory lock, which a crash gives back with the session."""
        row = self._connection.execute(_LOCK, (str(origin),)).fetchone()
        held = row is not None and bool(row[0])
        try:
            yield held
        finally:
            if held:
                with suppress(psycopg.OperationalError):  # a lost session has given it back
                    self._connection.execute(_UNLOCK, (str(origin),))

    def _redrive_held(self, origin: Origin, who: str, *, force: bool) -> Outcome:
        case = cases.find_case(self._connection, origin)
        if case is None:
            return Outcome(origin, None, Fault.CASE_UNKNOWN, UNKNOWN)
        if case.status not in cases.UNRESOLVED:
            return Outcome(origin, None, Fault.CASE_RESOLVED, f"It was {case.status} already.")
        diagnosis = diagnose(case, self._shards)
        # 1. Nothing that was decided meanwhile, and nothing that can't be decided.
        decided = self._decision(diagnosis)
        if decided is not None:
            return self._settle_decided(case, *decided)
        if diagnosis.target is None or not (diagnosis.ready or force):
            return Outcome(origin, None, Fault.CASE_UNDECIDABLE, f"{diagnosis.wrong} {diagnosis.advice}")
        # 2. Claim: a compare-and-set of the row; one that was claimed and not finished is taken up where it was left.
        if case.status is CaseStatus.OPEN and not cases.claim(self._connection, origin, who):
            return Outcome(origin, None, Fault.CASE_RESOLVED, "Somebody else was quicker.")
        self._failpoints.reach("redrive_after_claim")
        # 3. Produce, and wait for the delivery report of all in-sync replicas.
        position = self._produce(diagnosis.target, origin)
        self._failpoints.reach("redrive_after_produce")
        # 4. Mark with the position.
        cases.mark_redriven(self._connection, origin, position)
        return Outcome(origin, position)

    def _decision(self, diagnosis: Diagnosis) -> tuple[bytes, tuple[int, int]] | None:
        """Operation and command position of a decision that Postgres shows for one of these commands."""
        ids = [id_.hex() for id_ in diagnosis.operation_ids(self._shards)]
        row = self._connection.execute(_DECIDED, {"ids": ids}).fetchone() if ids else None
        return (row[0].bytes, (row[1], row[2])) if row is not None else None

    def _settle_decided(self, case: Case, operation_id: bytes, position: tuple[int, int]) -> Outcome:
        """Decided after our claim: by our record or one like it, and the case is done. Before: not ours to send."""
        if case.status is CaseStatus.REDRIVING:
            cases.mark_redriven(self._connection, case.origin, position)
            return Outcome(case.origin, position)
        detail = (
            f"{format_id(PAYMENT, operation_id)} has the same idempotency key and was decided already, from"
            f" {COMMANDS.name}[{position[0]}] offset {position[1]}: discard this one with that as the reason."
        )
        return Outcome(case.origin, None, Fault.CASE_DECIDED, detail)

    def _produce(self, target: Target, origin: Origin) -> tuple[int, int]:
        """Position of the record. Raises DeliveryUnknown."""
        reports: list[tuple[KafkaError | None, Message]] = []
        headers = [(REDRIVEN_FROM, str(origin).encode())]
        self._producer.produce(
            COMMANDS.name,
            value=target.value,
            key=target.key,
            partition=target.partition,
            headers=headers,
            on_delivery=lambda error, message: reports.append((error, message)),
        )
        self._producer.flush(self._timeout_s + 1)  # the delivery time-out ends first, with a report
        error = reports[0][0] if reports else None
        if not reports or error is not None:
            reason = self._brokers.explained(error, f"write {COMMANDS.name}") if error else "no delivery report"
            raise DeliveryUnknown(f"{origin}: {reason}; it may or may not be in the log: redrive it again")
        return target.partition, int(reports[0][1].offset())


def discard(connection: Connection, origin: Origin, who: str, because: str) -> Outcome:
    """Resolve an open case without sending anything; the record stays. `because` may not be blank."""
    case = cases.find_case(connection, origin)
    if case is None:
        return Outcome(origin, None, Fault.CASE_UNKNOWN, UNKNOWN)
    if cases.discard(connection, origin, who, because):
        return Outcome(origin)
    if case.status is CaseStatus.REDRIVING:
        return Outcome(origin, None, Fault.CASE_BUSY, "A redrive of it has begun and may have moved money: redrive it.")
    return Outcome(origin, None, Fault.CASE_RESOLVED, "It was resolved already.")
