"""`millrace replay --rules`: past payments as the ledger records them, and a new rule set tried on them.

Reads ledger.entries (committed records; archived ones where the brokers hold them no longer) of all shards side by
side, in the order of broker time. That the ledger is whole is for `millrace audit verify` to prove.
"""

import heapq
from collections.abc import Iterable, Iterator

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, archive_of, extents
from millrace.audit.ledger.proof import LogReader
from millrace.audit.ledger.replay import decoded
from millrace.replay.backtest import Backtest, PastAttempt, PastOutcome, backtest
from millrace.replay.decide import Progress
from payments.entries import Entry, EntryKind
from payments.identifiers import is_system
from payments.rejections import Reason
from payments.risk.activity import Key, key_of_account
from payments.risk.limits import RiskReason, Tier
from payments.risk.moment import Attempt
from payments.risk.rules import RuleSet
from runtime.kafka_client import Brokers
from runtime.settings import Settings

_RESERVING = frozenset({EntryKind.RESERVED, EntryKind.HELD})
_DENIED = frozenset(reason.value for reason in RiskReason)
_UNRECORDED_WORDS = frozenset(["country", "countries", "card", "cards", "device", "devices", "ip", "ips"])


def tried_on_the_past(
    settings: Settings,
    rules: RuleSet,
    tier: Tier,
    topics: AuditedTopics | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Backtest:
    """All past payments under these rules. Raises AuditImpossible where the ledger's beginning is gone."""
    topics, brokers, archive = topics or AuditedTopics(), Brokers.of(settings), archive_of(settings)
    found = extents(brokers, (topics.ledger,), settings.shards, archive)
    total, read = sum(extent.end - extent.start for extent in found.values()), 0

    def advance(records: int) -> None:
        nonlocal read
        read = min(read + records, total)
        progress(read, total)

    reader = LogReader(brokers, topics, settings.shards, found, advance, archive)
    for reason in reader.incomplete(topics.ledger):
        raise AuditImpossible(f"{reason}; what rules read of the history before it is gone too")
    shards = (attempts_of(_entries(reader, shard)) for shard in range(reader.shards))
    tried = backtest(heapq.merge(*shards, key=lambda past: past.attempt.time_us), rules, tier)
    advance(total)  # the reader tells of whole portions alone
    return tried


def unrecorded(rules: RuleSet) -> list[str]:
    """Features that the rules read and the ledger does not have: 0, false or empty when the rules are tried."""
    return [feature.name for feature in rules.reads if _UNRECORDED_WORDS.intersection(feature.name.split("_"))]


def attempts_of(entries: Iterable[Entry]) -> Iterator[PastAttempt]:
    """The payments among these entries that risk would have looked at."""
    for entry in entries:
        outcome = _outcome(entry)
        if outcome is None or is_system(entry.debit_account):
            continue
        reserved_minor = entry.amount_minor if entry.kind in _RESERVING else 0
        payer, payee = key_of_account(entry.debit_account), key_of_account(entry.credit_account)
        attempt = Attempt(
            entry.decided_at_us,
            entry.amount_minor,
            entry.currency,
            (payer, payee, *[b""] * (len(Key) - 2)),
            available_minor=entry.available_after_minor + reserved_minor,
        )
        yield PastAttempt(entry.operation_id, attempt, outcome)


def _outcome(entry: Entry) -> PastOutcome | None:
    if entry.kind in _RESERVING:
        return PastOutcome.APPROVED
    if entry.kind is not EntryKind.REJECTED:
        return None
    if entry.reason.value in _DENIED:
        return PastOutcome.DENIED
    return PastOutcome.REFUSED if entry.reason is Reason.INSUFFICIENT_FUNDS else None


def _entries(reader: LogReader, shard: int) -> Iterator[Entry]:
    topic = reader.topics.ledger
    for message in reader.partition(topic, shard):
        yield from decoded(message.value() or b"", f"{topic}[{shard}] offset {message.offset()}").entries()
