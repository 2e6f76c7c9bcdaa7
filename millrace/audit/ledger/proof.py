"""The first half of an audit: what the log alone proves.

Reads every partition of the audited topics once, shard after shard. Raises Differs at the first difference; what was
found right until then stays in the report.
"""

from collections.abc import Iterator
from typing import NamedTuple

from millrace.audit.ledger.entry_batch import Located, batches
from millrace.audit.ledger.fold import Fold
from millrace.audit.ledger.lanes import LaneLog
from millrace.audit.ledger.partition_log import Advance, AuditedTopics, Extents, PartitionLog, extents
from millrace.audit.ledger.quarantine import compare_quarantine
from millrace.audit.ledger.replay import RECEIVED, Inputs, Replayed, ShardReplay, decoded, digest_of
from millrace.audit.ledger.settlement import Settlement
from millrace.audit.report import AuditReport, Differs, Invariant
from payments.errors import UndecodableRecord
from runtime.archive.reader import Archive
from runtime.kafka_client import Brokers
from schemas.codec.connectors import decode_request
from schemas.codec.ledger import SourceTopic, record_hash


class LogReader(NamedTuple):
    """How to read a partition, as far as it went when the audit began."""

    brokers: Brokers
    topics: AuditedTopics
    shards: int
    extents: Extents
    advance: Advance
    archive: Archive | None = None

    def partition(self, topic: str, shard: int) -> PartitionLog:
        return PartitionLog(self.brokers, topic, shard, self.extents[topic, shard], self.advance, self.archive)

    def inputs(self, shard: int) -> dict[SourceTopic, Inputs]:
        return {source: Inputs(self.partition(name, shard)) for source, name in self.topics.inputs.items()}

    def incomplete(self, *names: str) -> list[str]:
        """Partitions of these topics whose beginning was deleted, as sentences."""
        return [
            f"{name}[{shard}] begins at offset {extent.start}: retention has deleted what was before"
            for (name, shard), extent in self.extents.items()
            if name in names and not extent.is_complete
        ]

    def moved_on(self) -> bool:
        """True where records were written since the audit began."""
        return extents(self.brokers, self.topics, self.shards, self.archive) != self.extents


def prove_log(reader: LogReader, report: AuditReport) -> None:
    """Replay and add up every shard, then join what crosses them. Raises Differs, AuditImpossible."""
    without_beginning = reader.incomplete(reader.topics.ledger)
    if without_beginning:
        _prove_chain_alone(reader, report, without_beginning)
        return
    lanes, settlement, fold = LaneLog(), Settlement(), Fold()
    replayed: list[Replayed] = []
    for shard in range(reader.shards):
        replay = ShardReplay(reader.partition(reader.topics.ledger, shard), reader.inputs(shard), reader.shards, lanes)
        for source, lane in RECEIVED.items():
            lanes.kept_from_start(lane, shard, reader.extents[reader.topics.inputs[source], shard].is_complete)
        for batch in batches(_folded(replay, fold, reader.topics.ledger)):
            settlement.add(batch, report)
        replayed.append(replay.summary())
        report.ledger_records += replay.records
        report.undecided += replay.undecided
    _say_replayed(reader, report, replayed)
    _conclude_fold(fold, report)
    _prove_joins(reader, report, settlement, lanes, fold)
    _prove_quarantine(reader, report, replayed)
    _prove_requests(reader, report, replayed)


def _folded(replay: ShardReplay, fold: Fold, topic: str) -> Iterator[Located]:
    for offset, record in replay.records_checked():
        fold.add(record, f"{topic}[{replay.shard}] offset {offset}")
        yield offset, record


def _say_replayed(reader: LogReader, report: AuditReport, replayed: list[Replayed]) -> None:
    records, again = report.ledger_records, sum(shard.decided_again for shard in replayed)
    report.proved(Invariant.TRACE, f"hash chain and sequence of {records} ledger records on {reader.shards} shards")
    report.proved(Invariant.REPLAY, f"{again} ledger records decided again: equal byte for byte")
    report.proved(Invariant.ONE_OUTCOME, "every input record up to the ledger's end was decided once, in order")
    if again < records:
        for topic in reader.incomplete(*reader.topics.inputs.values()):
            report.not_proved(Invariant.REPLAY, f"{records - again} ledger records have no inputs any more: {topic}")


def _conclude_fold(fold: Fold, report: AuditReport) -> None:
    report.accounts = len(fold.accounts)
    report.negative_accounts = len(fold.below_limit)
    for difference in fold.below_limit.values():
        raise difference
    report.proved(Invariant.LIMITS, f"{report.accounts} accounts at each of {report.ledger_entries} entries")
    report.proved(Invariant.LIMITS, f"{len(fold.items.stated)} holds, deposits, refunds, disputes, debts and journals")
    postings, held = fold.sums()
    report.postings_sum_minor = sum(map(abs, postings.values()))
    for currency in sorted(postings):
        if postings[currency]:
            raise Differs(Invariant.CONSERVATION, f"postings in {currency}", "a sum of 0", postings[currency])
        report.proved(
            Invariant.CONSERVATION,
            f"{currency}: postings add up to 0, and so does what is available, held, in flight and owed by the system",
        )
        if held[currency]:
            place = f"available, held, in flight and system balances in {currency}"
            raise Differs(Invariant.CONSERVATION, place, "a sum of 0", held[currency])


def _prove_joins(reader: LogReader, report: AuditReport, settlement: Settlement, lanes: LaneLog, fold: Fold) -> None:
    """Shards are read one after the other, so payments that move meanwhile may be seen at one end alone."""
    try:
        settlement.conclude(report)
        lanes.compare()
        fold.items.conclude(at_rest=not report.undecided)
    except Differs as differs:
        if not reader.moved_on():
            raise
        moving = f"payments moved while the shards were read ({differs}): run it again at rest"
        for invariant in (Invariant.ONE_OUTCOME, Invariant.IDEMPOTENCY, Invariant.TRACE):
            report.not_proved(invariant, moving)
        return
    ended = report.posted + report.returned
    report.proved(Invariant.ONE_OUTCOME, f"{ended} reserved payments ended once, {report.in_flight} are in flight")
    report.proved(Invariant.ONE_OUTCOME, f"{len(fold.items.journal_ends)} journals ended for all legs or for none")
    moves = ended + report.in_flight + report.deposits + report.other_journals
    report.proved(
        Invariant.IDEMPOTENCY, f"{moves} operations moved money, each once; {report.replayed} repeats did not"
    )
    report.proved(Invariant.TRACE, f"{lanes.records} records between shards are those that their origin decided")


def _prove_quarantine(reader: LogReader, report: AuditReport, replayed: list[Replayed]) -> None:
    topics = reader.topics
    gone = reader.incomplete(topics.quarantine, topics.commands)
    for sentence in gone:
        report.not_proved(Invariant.QUARANTINE, sentence)
    if not gone:
        count = compare_quarantine(
            (reader.partition(topics.quarantine, shard) for shard in range(reader.shards)),
            (item for shard in replayed for item in shard.set_aside),
            topics.commands,
            {shard.shard: shard.commands_decided for shard in replayed},
        )
        report.proved(Invariant.QUARANTINE, f"{count} items, equal in origin, reason and bytes")


def _prove_requests(reader: LogReader, report: AuditReport, replayed: list[Replayed]) -> None:
    """Later attempts are the connectors' own; the first is what the ledger says, and nobody else asks for money."""
    name = reader.topics.requests
    for sentence in reader.incomplete(name):
        report.not_proved(Invariant.TRACE, sentence)
        return
    for shard in replayed:
        expected = iter(shard.requests)
        for place, digest in _first_attempts(reader.partition(name, shard.shard)):
            wanted = next(expected, None)
            if wanted is None and reader.moved_on():
                report.not_proved(Invariant.TRACE, f"providers were asked while {name} was read: run it again at rest")
                return
            if wanted != digest:
                raise Differs(Invariant.TRACE, place, "what the ledger asks a provider for", "another request")
        for _ in expected:
            raise Differs(Invariant.ONE_OUTCOME, f"{name}[{shard.shard}]", "what the ledger asks for", "no such record")
    asked = sum(len(shard.requests) for shard in replayed)
    report.proved(Invariant.TRACE, f"{asked} requests to providers are those that the ledger asks for")


def _first_attempts(log: PartitionLog) -> Iterator[tuple[str, bytes]]:
    for message in log:
        value, place = message.value() or b"", f"{log.topic}[{log.partition}] offset {message.offset()}"
        try:
            attempt = decode_request(value).attempt
        except UndecodableRecord as error:
            raise Differs(Invariant.TRACE, place, "a ConnectorRequest", error) from error
        if attempt == 1:
            yield place, digest_of(message.key() or b"", value)


def _prove_chain_alone(reader: LogReader, report: AuditReport, reasons: list[str]) -> None:
    """Without the first records there is no state to decide from: the links between those kept are all there is."""
    for invariant in Invariant:
        for reason in reasons:
            report.not_proved(invariant, reason)
    for shard in range(reader.shards):
        previous = None
        for message in reader.partition(reader.topics.ledger, shard):
            value = message.value() or b""
            place = f"{reader.topics.ledger}[{shard}] offset {message.offset()}"
            header = decoded(value, place).header
            link = header.sequence, header.previous_hash
            if previous is not None and link != previous:
                expected = f"sequence {previous[0]} with previous hash {previous[1].hex()}"
                raise Differs(Invariant.TRACE, place, expected, f"sequence {link[0]} with {link[1].hex()}")
            previous = header.sequence + 1, record_hash(value)
            report.ledger_records += 1
    report.proved(Invariant.TRACE, f"{report.ledger_records} ledger records that are still kept are linked")
