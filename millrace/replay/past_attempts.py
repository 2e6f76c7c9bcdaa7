"""`millrace replay --rules`: past payments as the ledger records them, and a new rule set tried on them.

Reads ledger.entries (committed records; archived ones where the brokers hold them no longer) of all shards side by
side, in the order of broker time. That the ledger is whole is for `millrace audit verify` to prove.
"""

import heapq
from collections.abc import Iterable, Iterator
from operator import attrgetter

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, archive_of, extents
from millrace.audit.ledger.proof import LogReader
from millrace.audit.ledger.replay import decoded
from millrace.replay.backtest import Backtest, PastAttempt, PastOutcome, PastTerms, backtest
from millrace.replay.decide import Progress
from payments.entries import Entry, EntryKind
from payments.identifiers import is_system
from payments.items.details import Assessed, RiskTerms
from payments.items.profiles import attempt_of
from payments.rejections import Reason
from payments.risk import verdict
from payments.risk.activity import key_of_account
from payments.risk.features import FEATURES
from payments.risk.limits import Limits, RiskReason, Tier
from payments.risk.moment import Attempt
from payments.risk.rules import RuleSet
from payments.risk.signals import Countries
from runtime.kafka_client import Brokers
from runtime.settings import Settings

NOT_ASSESSED = Assessed(b"")
_RESERVING = frozenset({EntryKind.RESERVED, EntryKind.HELD})
_DENIED = frozenset(reason.value for reason in RiskReason)
_COUNTRIES = tuple(f"{party}_country" for party in Countries._fields)


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
    tried = backtest(heapq.merge(*shards, key=attrgetter("time_us")), rules, tier)
    advance(total)  # the reader tells of whole portions alone
    return tried


def unrecorded(rules: RuleSet) -> list[str]:
    """Features that the rules read and the ledger has only where a rule set read them then: else they are empty."""
    return [feature.name for feature in rules.reads if feature.name in (*_COUNTRIES, "distinct_countries")]


def attempts_of(entries: Iterable[Entry]) -> Iterator[PastAttempt | PastTerms]:
    """The payments among these entries that risk would have looked at, and the limits that accounts were given."""
    for entry in entries:
        for terms in (detail for detail in entry.details if isinstance(detail, RiskTerms)):
            limits = Limits(*terms[:3])
            yield PastTerms(entry.decided_at_us, key_of_account(entry.debit_account), limits, terms.tier)
        outcome = _outcome(entry)
        if outcome is None or is_system(entry.debit_account):
            continue
        reserved_minor = entry.amount_minor if entry.kind in _RESERVING else 0
        assessed = next((detail for detail in entry.details if isinstance(detail, Assessed)), NOT_ASSESSED)
        features = verdict.decode(assessed.verdict).features
        attempt = Attempt(
            entry.decided_at_us,
            entry.amount_minor,
            entry.currency,
            attempt_of(entry, assessed).keys,
            available_minor=entry.available_after_minor + reserved_minor,
            countries=Countries(*(str(features.get(name, "")) for name in _COUNTRIES)),
            published={name: int(value) for name, value in features.items() if FEATURES[name].of},
        )
        yield PastAttempt(entry.operation_id, attempt, outcome, assessed is not NOT_ASSESSED)


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
