"""Attempts that people settle: the provider has said nothing certain, and no attempt is to follow, or that one is lost.

One person proposes what became of it, another says the same; from there it goes on as if the provider had said so
(payments.commerce.results). A provider that answers after all, while it is only proposed, is believed.
"""

from payments.book import Book
from payments.commands import NO_REPLY
from payments.commerce.connector import ConnectorResult, Decline, Outcome
from payments.commerce.requests import fee_posting
from payments.commerce.results import conclude
from payments.entries import NO_FINGERPRINT, Credit, Entry, EntryKind, Source, Step
from payments.items.details import AttemptSettlement, Journal, ProviderRequest
from payments.items.endings import kept_until_us
from payments.movements.deeds import Deed
from payments.movements.instructions import SettleAttempt
from payments.rejections import Reason


def settle_attempt(book: Book, _operation_id: bytes, asked: SettleAttempt, source: Source) -> Deed | Reason:
    """Proposed by the first person, settled by a second who says the same. Who says otherwise proposes anew."""
    request = book.items.find(ProviderRequest, asked.owner, asked.request_id)
    if request is None:
        return Reason.ATTEMPT_NOT_FOUND
    if request.attempt_follows and not _is_lost(book, request, asked):
        return Reason.ORDER_EXECUTING
    reference = (asked.provider_reference or request.provider_reference) if asked.is_succeeded else ""
    before = book.items.find(AttemptSettlement, asked.owner, asked.request_id)
    settled_by: tuple[bytes, ...] = (asked.operator,)
    if before is not None and (before.is_succeeded, before.provider_reference) == (asked.is_succeeded, reference):
        if asked.operator in before.settled_by:
            return Reason.REVIEWER_REPEATED
        settled_by = (*before.settled_by, asked.operator)
    after = AttemptSettlement(asked.request_id, asked.owner, asked.is_succeeded, reference, settled_by)
    if after.is_settled:
        after = after._replace(ends_at_us=kept_until_us(source.time_us))
    return Deed(
        EntryKind.NOTED, asked.owner, amount_minor=request.amount_minor, currency=request.currency, details=(after,)
    )


def _is_lost(book: Book, request: ProviderRequest, asked: SettleAttempt) -> bool:
    """Whether people mean the very attempt that is to follow, of a provider that was asked: any answer since, even one
    that is not certain, makes it another.
    """
    journal = book.items.find(Journal, request.owner, request.item_id)
    return journal is not None and not journal.awaited and asked.lost_attempt == request.attempt + 1


def following(entry: Entry) -> list[Credit]:
    """What is settled is concluded, in the same shard; what the provider has told since that it keeps is posted."""
    if entry.fingerprint == NO_FINGERPRINT:
        return _fee_told_late(entry)
    return [
        Credit(
            settlement.item_id,
            settlement.owner,
            settlement.owner,
            entry.amount_minor,
            entry.currency,
            NO_REPLY,
            step=Step.CONCLUDE,
            details=(settlement,),
        )
        for settlement in entry.details
        if isinstance(settlement, AttemptSettlement) and settlement.is_settled
    ]


def _fee_told_late(entry: Entry) -> list[Credit]:
    """Of an answer that says what people have settled (results.conclude): no other such entry has an amount."""
    return [
        fee_posting(settlement.item_id, entry.debit_account, entry.credit_account, entry.amount_minor, entry.currency)
        for settlement in entry.details
        if isinstance(settlement, AttemptSettlement) and entry.amount_minor and entry.reason is Reason.NONE
    ]


def concluded(book: Book, message: Credit, source: Source) -> Entry:
    """As if the provider had said so, in an attempt of its own."""
    (settlement,) = (detail for detail in message.details if isinstance(detail, AttemptSettlement))
    request = book.items.find(ProviderRequest, settlement.owner, settlement.item_id)
    assert request is not None, "an attempt was settled that is none"
    said = ConnectorResult(
        request.item_id,
        request.attempt + 1,
        request.provider,
        request.operation,
        request.payment_order_id,
        Outcome.SUCCEEDED if settlement.is_succeeded else Outcome.FAILED,
        settlement.provider_reference,
        Decline.NONE if settlement.is_succeeded else Decline.NOT_EXECUTED,
        provider_code="",
        fee_minor=None,
        fee_currency="",
        at_us=source.time_us,
        attempt_follows=False,
    )
    return conclude(book, settlement.owner, said, source)[0]


def settlement_ended(settlement: AttemptSettlement) -> Deed:
    """No answer can come any more that would have to be held against it."""
    return Deed(EntryKind.NOTED, settlement.owner, details=(settlement._replace(is_open=False),))
