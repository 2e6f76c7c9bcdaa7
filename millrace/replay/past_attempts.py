"""`millrace replay --rules`: past payments as the ledger records them, and a new rule set tried on them.

Reads ledger.entries (committed records; archived ones where the brokers hold them no longer) of all shards side by
side, in the order of broker time. That the ledger is whole is for `millrace audit verify` to prove.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter

from millrace.audit.ledger.partition_log import AuditedTopics, AuditImpossible, archive_of, extents
from millrace.audit.ledger.proof import LogReader
from millrace.audit.ledger.replay import decoded
from millrace.replay.backtest import Backtest, PastAttempt, PastOutcome, PastTerms, backtest
from millrace.replay.decide import Progress
from payments.commerce.connector import ConnectorOperation
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL, is_system
from payments.items.details import Assessed, Cause, CauseKind, Hold, ProviderRequest, RiskTerms
from payments.items.profiles import attempt_of
from payments.movements.assessing import kind_of
from payments.rejections import Reason
from payments.risk import verdict
from payments.risk.activity import key_of_account
from payments.risk.features import FEATURES, Value
from payments.risk.limits import Limits, RiskReason, Tier
from payments.risk.moment import Attempt, PaymentKind
from payments.risk.rules import RuleSet
from payments.risk.signals import Countries
from runtime.kafka_client import Brokers
from runtime.settings import Settings

NOT_ASSESSED = Assessed(b"")
_RESERVING = frozenset({EntryKind.RESERVED, EntryKind.HELD, EntryKind.HOLD_RAISED})
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
        assessed = next((detail for detail in entry.details if isinstance(detail, Assessed)), NOT_ASSESSED)
        features = verdict.decode(assessed.verdict).features
        before_minor = _before_minor(entry, features)
        attempt = Attempt(
            entry.decided_at_us,
            before_minor + entry.amount_minor,
            entry.currency,
            attempt_of(entry, assessed).keys,
            _kind(entry, features),
            available_minor=_available_minor(entry, features),
            before_minor=before_minor,
            countries=Countries(*(str(features.get(name, "")) for name in _COUNTRIES)),
            published={name: int(value) for name, value in features.items() if FEATURES[name].of},
        )
        yield PastAttempt(entry.operation_id, attempt, outcome, assessed is not NOT_ASSESSED)


def _outcome(entry: Entry) -> PastOutcome | None:
    if entry.kind in _RESERVING:
        return None if _is_refund(entry) else PastOutcome.APPROVED
    if entry.kind is EntryKind.JOURNAL_OPENED:
        return PastOutcome.APPROVED if _payout(entry) is not None else None
    if entry.kind is not EntryKind.REJECTED or entry.currency == "":  # a step of something, and not looked at
        return None
    if entry.reason.value in _DENIED:
        return PastOutcome.DENIED
    return PastOutcome.REFUSED if entry.reason is Reason.INSUFFICIENT_FUNDS else None


def _is_refund(entry: Entry) -> bool:
    """A merchant gives back what it received: nothing looks at that."""
    return any(isinstance(detail, Cause) and detail.kind is CauseKind.REFUND for detail in entry.details)


def _payout(entry: Entry) -> ProviderRequest | None:
    found = (detail for detail in entry.details if isinstance(detail, ProviderRequest))
    return next((request for request in found if request.operation is ConnectorOperation.PAYOUT), None)


def _hold(entry: Entry) -> Hold | None:
    """The hold that the entry is about; one for a review is the payment that waits."""
    return next((detail for detail in entry.details if isinstance(detail, Hold) and not detail.is_review), None)


def _kind(entry: Entry, features: Mapping[str, Value]) -> PaymentKind:
    """As it was when the payment was decided. A refused one has it where a rule read it, else it was no transfer only
    if it names no payee.
    """
    if "kind" in features:
        return PaymentKind(str(features["kind"]))
    if _hold(entry) is not None or entry.credit_account == NIL:
        return PaymentKind.HOLD
    return PaymentKind.PAYOUT if _payout(entry) is not None else kind_of(entry.credit_account)


def _before_minor(entry: Entry, features: Mapping[str, Value]) -> int:
    """What a hold that is raised had, with what was captured; of a refused one as far as its verdict tells it."""
    hold = _hold(entry)
    if entry.kind is EntryKind.HOLD_RAISED and hold is not None:
        return hold.amount_minor + hold.captured_minor - entry.amount_minor
    if entry.kind is EntryKind.REJECTED and entry.credit_account == NIL:
        return int(features.get("amount_minor", entry.amount_minor)) - entry.amount_minor
    return 0


def _available_minor(entry: Entry, features: Mapping[str, Value]) -> int:
    """Before the payment. A payout's entry does not state it; it is known where a rule read it."""
    if entry.kind is EntryKind.JOURNAL_OPENED:
        return int(features.get("available_minor", 0))
    return entry.available_after_minor + (entry.amount_minor if entry.kind in _RESERVING else 0)


def _entries(reader: LogReader, shard: int) -> Iterator[Entry]:
    topic = reader.topics.ledger
    for message in reader.partition(topic, shard):
        yield from decoded(message.value() or b"", f"{topic}[{shard}] offset {message.offset()}").entries()
