"""What a provider's answer does to the journal that waits for it, at the shard that coordinates the journal.

Guarantees: only a certain answer moves money, `succeeded` by posting the journal and `failed` by cancelling it; each
attempt counts once, and none after a later one. What people have settled is never done twice: an answer that comes
after them and says otherwise is noted for reconciliation; of one that says the same, what the provider keeps is posted,
once, and with that nobody waits for more.
"""

from typing import Final

from payments.book import Book
from payments.commands import NO_REPLY
from payments.commerce.connector import ConnectorResult, Outcome
from payments.commerce.requests import fee_parties, noted
from payments.entries import Entry, EntryKind, Source
from payments.errors import InvariantViolation
from payments.items.details import AttemptSettlement, Journal, ProviderRequest
from payments.money import EXPONENTS, MAX_MINOR
from payments.movements import journals
from payments.movements.deeds import Deed
from payments.rejections import Reason

_CERTAIN: Final = (Outcome.SUCCEEDED, Outcome.FAILED)


def conclude(book: Book, owner: bytes, result: ConnectorResult, source: Source) -> tuple[Entry, bytes]:
    """The entry of a result with this key, and who waits for it (NO_REPLY where nobody does, or it is not final).

    Raises InvariantViolation where it answers what was never asked.
    """
    request = book.items.find(ProviderRequest, owner, result.request_id)
    if request is None:
        return _after_the_end(book, owner, result).entry(result.request_id, source), NO_REPLY
    if result.attempt <= request.attempt:
        return Deed(EntryKind.REPLAYED, owner).entry(result.request_id, source), NO_REPLY
    journal = book.items.find(Journal, owner, result.request_id)
    if journal is None or journal.awaited:
        raise InvariantViolation("a provider answered what it was not asked", result.request_id.hex())
    known = _with_answer(request, result)
    if result.outcome is Outcome.SUCCEEDED:
        decided = journals.posted(book, journal, known, source)
    elif result.outcome is Outcome.FAILED:
        decided = journals.cancelled(book, journal, known, Reason.PROVIDER_DECLINED)
    else:
        stated = noted(book, request.outcome, known)
        decided = Deed(EntryKind.NOTED, owner, amount_minor=known.amount_minor, currency=known.currency, details=stated)
        return decided.entry(known.item_id, source), NO_REPLY
    settlement = book.items.find(AttemptSettlement, owner, result.request_id)
    if settlement is not None and not settlement.is_settled:  # proposed by one, and no longer needed
        decided = decided._replace(details=(*decided.details, settlement._replace(is_open=False)))
    return decided.entry(journal.item_id, source), journal.reply_to


def _with_answer(request: ProviderRequest, result: ConnectorResult) -> ProviderRequest:
    known = request._replace(
        attempt=result.attempt,
        outcome=result.outcome,
        attempt_follows=result.attempt_follows,
        decline=result.decline,
        provider_reference=result.provider_reference or request.provider_reference,
    )
    fee_minor, fee_currency = _fee_told(result)
    return known._replace(fee_minor=fee_minor, fee_currency=fee_currency) if fee_currency else known


def _fee_told(result: ConnectorResult) -> tuple[int, str]:
    """What the provider keeps. (0, "") where that is not told, of an operation that has not ended (its end tells it,
    and each fee is posted once), or in nothing that we have an account of: the provider's file will show it.
    """
    fee_minor = result.fee_minor or 0
    if result.outcome not in _CERTAIN or result.fee_currency not in EXPONENTS or abs(fee_minor) > MAX_MINOR:
        return 0, ""
    return fee_minor, result.fee_currency


def _after_the_end(book: Book, owner: bytes, result: ConnectorResult) -> Deed:
    """Said once, or by people: it moves nothing more."""
    settlement = book.items.find(AttemptSettlement, owner, result.request_id)
    if settlement is None or settlement.contradiction:
        return Deed(EntryKind.REPLAYED, owner)
    if not _contradicts(settlement, result):
        return _confirmed(settlement, result)
    noted = settlement._replace(contradiction=f"{result.outcome} {result.provider_reference}".strip())
    return Deed(EntryKind.NOTED, owner, details=(noted,), reason=Reason.SETTLEMENT_CONTRADICTED)


def _confirmed(settlement: AttemptSettlement, result: ConnectorResult) -> Deed:
    """The provider says what people have settled. What it keeps is posted (settling.following) and the settlement ends
    with that, as the request would have: no later answer is paid for again.
    """
    fee_minor, currency = _fee_told(result)
    if fee_minor == 0:
        return Deed(EntryKind.REPLAYED, settlement.owner)
    parties = fee_parties(result.provider, fee_minor, currency)
    details = (settlement._replace(is_open=False),)
    return Deed(EntryKind.NOTED, *parties, abs(fee_minor), currency, details=details)


def _contradicts(settlement: AttemptSettlement, result: ConnectorResult) -> bool:
    if result.outcome is Outcome.SUCCEEDED:
        return not settlement.is_succeeded or settlement.provider_reference not in ("", result.provider_reference)
    return result.outcome is Outcome.FAILED and settlement.is_succeeded
