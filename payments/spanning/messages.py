"""Features that span accounts, from shard to shard: an attempt is observed where its key belongs, and what is counted
there is published to the shards that have payments with it.

Observations go out only where a rule of the set in force reads such a feature, behind the decision that they tell of:
a payment never waits for them, and never counts itself.
"""

from collections.abc import Iterator, Mapping

from payments.book import Book
from payments.commands import NO_REPLY
from payments.entries import Credit, Entry, EntryKind, Source, Step
from payments.identifiers import NIL, is_system
from payments.items.details import Assessed, Observation, Published, PublishedValue
from payments.items.profiles import attempt_of
from payments.movements.deeds import Deed
from payments.risk.activity import Key, Keys
from payments.spanning.counts import known_of, to_tell, values_of
from payments.spanning.keeping import counts_after, counts_of, learned_of, place_of


def known(book: Book, keys: Keys, currency: str, now_us: int) -> Mapping[str, int]:
    """The features over all accounts that the rules read, as this shard was told them last."""
    values: dict[str, int] = {}
    for of in book.rules.spans:
        if keys[of]:
            values |= known_of(learned_of(book.items, of, keys[of]), currency, now_us)
    return values


def observations(book: Book, entry: Entry) -> Iterator[Credit]:
    """What an assessed attempt tells the shards of its keys."""
    if not book.rules.spans or not entry.details or entry.kind is EntryKind.ADVISED:
        return
    for assessed in (detail for detail in entry.details if isinstance(detail, Assessed)):
        _, _, keys, approved, _ = attempt_of(entry, assessed)
        for of in book.rules.spans:
            if keys[of] and not (of is Key.PAYEE and is_system(entry.credit_account)):  # all pay the operator
                observation = Observation(of, keys, entry.decided_at_us, approved)
                parties = entry.debit_account, place_of(observation), entry.amount_minor, entry.currency
                yield Credit(entry.operation_id, *parties, NO_REPLY, step=Step.OBSERVE, details=(observation,))


def observe(book: Book, message: Credit, source: Source) -> Entry:
    """At the shard of the key: count, and publish where that is due."""
    (observation,) = (detail for detail in message.details if isinstance(detail, Observation))
    deed = Deed(EntryKind.OBSERVED, *message[1:5], details=message.details)
    entry = deed.entry(message.operation_id, source)
    of, key, currency = observation.of, observation.keys[observation.of], message.currency
    before = counts_of(book.items, of, key)
    after = counts_after(before, observation, entry)
    values = values_of(after, of, book.rules.reads, currency, source.time_us)
    askers = to_tell(before, after, values, currency) if values else ()
    if not askers:
        return entry
    stated = tuple(PublishedValue(position, value) for position, value in sorted(values.items()))
    published = Published(of, key, currency, source.time_us, stated, tuple(asker.account for asker in askers))
    return entry._replace(details=(*entry.details, published))


def publications(entry: Entry) -> list[Credit]:
    """What an observation makes known, to each asker's shard."""
    return [
        Credit(
            entry.operation_id,
            asker,
            place_of(published),
            0,
            entry.currency,
            NO_REPLY,
            step=Step.LEARN,
            details=(published._replace(askers=()),),
        )
        for published in entry.details
        if isinstance(published, Published)
        for asker in published.askers
    ]


def learn(message: Credit, source: Source) -> Entry:
    """At the shard of a payer: this is known from here on."""
    deed = Deed(EntryKind.LEARNED, NIL, message.payee, currency=message.currency, details=message.details)
    return deed.entry(message.operation_id, source)
