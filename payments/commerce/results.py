"""What a provider's answer does to the journal that waits for it, at the shard that coordinates the journal.

Guarantees: only a certain answer moves money, `succeeded` by posting the journal and `failed` by cancelling it; each
attempt counts once, and none after a later one.
"""

from payments.book import Book
from payments.commands import NO_REPLY
from payments.commerce.connector import ConnectorResult, Outcome
from payments.entries import Entry, EntryKind, Source
from payments.errors import InvariantViolation
from payments.items.details import Journal, ProviderRequest
from payments.movements import journals
from payments.movements.deeds import Deed
from payments.rejections import Reason


def conclude(book: Book, owner: bytes, result: ConnectorResult, source: Source) -> tuple[Entry, bytes]:
    """The entry of a result with this key, and who waits for it (NO_REPLY where nobody does, or it is not final).

    Raises InvariantViolation where it answers what was never asked.
    """
    request = book.items.find(ProviderRequest, owner, result.request_id)
    if request is None or result.attempt <= request.attempt:
        return Deed(EntryKind.REPLAYED, owner).entry(result.request_id, source), NO_REPLY
    journal = book.items.find(Journal, owner, result.request_id)
    if journal is None or journal.awaited:
        raise InvariantViolation("a provider answered what it was not asked", result.request_id.hex())
    known = request._replace(
        attempt=result.attempt,
        outcome=result.outcome,
        attempt_follows=result.attempt_follows,
        decline=result.decline,
        provider_reference=result.provider_reference or request.provider_reference,
    )
    if result.outcome is Outcome.SUCCEEDED:
        decided = journals.posted(book, journal, known)
    elif result.outcome is Outcome.FAILED:
        decided = journals.cancelled(book, journal, known, Reason.PROVIDER_DECLINED)
    else:
        decided = Deed(EntryKind.NOTED, owner, amount_minor=known.amount_minor, currency=known.currency)
        return decided._replace(details=(known,)).entry(known.item_id, source), NO_REPLY
    return decided.entry(journal.item_id, source), journal.reply_to
