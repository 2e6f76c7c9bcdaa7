"""Ledger entries → public events. An entry tells of none, of one, or of all that it changes for somebody outside.

Pure and without state: what an event says stands in its entry, so that the same ledger always gives the same events.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

from payments.accounts import AccountStatus
from payments.commerce.connector import ConnectorOperation, Outcome
from payments.entries import Entry, EntryKind
from payments.events.event import Event, EventType
from payments.identifiers import (
    ACCOUNT,
    CHECKOUT,
    DISPUTE,
    HOLD,
    JOURNAL,
    NIL,
    ORDER,
    PAYMENT,
    REFUND,
    format_id,
)
from payments.items.details import Cause, CauseKind, Detail, Dispute, Hold, PaymentOrder, ProviderRequest
from payments.postings import legs_of
from payments.rejections import Reason

Events = tuple[Event, ...]
Kind = TypeVar("Kind", bound=Detail)


def events_of(entry: Entry) -> Events:
    """What the world is told of an entry, in order; () of what is nobody's business outside."""
    told = _TOLD.get(entry.kind)
    return () if told is None else told(entry)


def _payment(type_: EventType) -> Callable[[Entry], Events]:
    return lambda entry: (_event(type_, format_id(PAYMENT, entry.operation_id), entry, _cause_of(entry)),)


def _rejected(entry: Entry) -> Events:
    """Of one account alone nobody else has to know."""
    return () if entry.credit_account == NIL else _payment(EventType.PAYMENT_REJECTED)(entry)


def _posted(entry: Entry) -> Events:
    payment = format_id(PAYMENT, entry.operation_id)
    if not entry.details:  # most
        return (_event(EventType.PAYMENT_POSTED, payment, entry),)
    dispute = _find(entry, Dispute)
    if dispute is not None:
        return (_of_dispute(EventType.DISPUTE_WON, dispute, entry),)
    cause = _find(entry, Cause)
    if cause is not None and cause.kind is CauseKind.DISPUTE:
        return (_event(EventType.DISPUTE_CREDITED, format_id(DISPUTE, cause.cause_id), entry),)
    if cause is not None and cause.kind is CauseKind.JOURNAL:
        return ()  # what a provider keeps is between it and the operator
    posted = _event(EventType.PAYMENT_POSTED, payment, entry, _cause_of(entry))
    if cause is not None and cause.kind is CauseKind.REFUND:
        return posted, _event(EventType.PAYMENT_REFUNDED, format_id(PAYMENT, cause.cause_id), entry, payment)
    return (posted,)


def _held(entry: Entry) -> Events:
    hold = _expect(entry, Hold)
    if hold.is_review:
        return _payment(EventType.PAYMENT_IN_REVIEW)(entry)
    return (_event(EventType.HOLD_PLACED, format_id(HOLD, hold.item_id), entry),)


def _raised(entry: Entry) -> Events:
    return (_event(EventType.HOLD_RAISED, format_id(HOLD, _expect(entry, Hold).item_id), entry),)


def _captured(entry: Entry) -> Events:
    """Of a review that was approved the payment is the held one; else each capture is a payment of its own."""
    cause = _expect(entry, Cause)
    if cause.kind is CauseKind.REVIEW:
        return (_event(EventType.PAYMENT_AUTHORISED, format_id(PAYMENT, cause.cause_id), entry),)
    payment = format_id(PAYMENT, entry.operation_id)
    captured = _event(EventType.HOLD_CAPTURED, format_id(HOLD, cause.cause_id), entry, payment)
    return captured, _event(EventType.PAYMENT_AUTHORISED, payment, entry, captured.subject)


def _released(entry: Entry) -> Events:
    cause = _expect(entry, Cause)
    if cause.kind is CauseKind.REVIEW:
        return (_event(EventType.PAYMENT_REJECTED, format_id(PAYMENT, cause.cause_id), entry),)
    return (_event(EventType.HOLD_RELEASED, format_id(HOLD, cause.cause_id), entry),)


def _collected(entry: Entry) -> Events:
    """The entry names the account on both sides; only the credit is one."""
    deposit = format_id(PAYMENT, _expect(entry, Cause).cause_id)
    return (_event(EventType.PAYMENT_COLLECTED, deposit, entry)._replace(payer=None),)


def _debited(entry: Entry) -> Events:
    """Involuntarily: a dispute, its end, a deposit that came back; or a debt that was paid."""
    dispute, cause = _find(entry, Dispute), _expect(entry, Cause)
    if dispute is not None:
        opened = _of_dispute(EventType.DISPUTE_OPENED, dispute, entry)
        payment = format_id(PAYMENT, dispute.payment_id)
        return opened, opened._replace(type=EventType.PAYMENT_DISPUTED, subject=payment, cause=opened.subject)
    if cause.kind is CauseKind.DISPUTE:
        return (_event(EventType.DISPUTE_COLLECTED, format_id(DISPUTE, cause.cause_id), entry),)
    if cause.kind is not CauseKind.DEPOSIT:
        return _payment(EventType.PAYMENT_POSTED)(entry)
    deposit = format_id(PAYMENT, cause.cause_id)
    reversed_ = _event(EventType.PAYMENT_REVERSED, deposit, entry, format_id(PAYMENT, entry.operation_id))
    return (reversed_._replace(network_code=cause.code),)


def _noted(entry: Entry) -> Events:
    """Of what was noted disputes are of interest, and charges that wait for their payer."""
    request, order = _find(entry, ProviderRequest), _find(entry, PaymentOrder)
    if request is not None and order is not None and request.outcome is Outcome.REQUIRES_ACTION:
        return (_of_order(EventType.ORDER_REQUIRES_ACTION, order, entry),)
    dispute = _find(entry, Dispute)
    if dispute is None:
        return ()
    type_ = EventType.DISPUTE_EVIDENCE_NOTED if dispute.is_open else EventType.DISPUTE_LOST
    return (_of_dispute(type_, dispute, entry),)


def _placed(entry: Entry) -> Events:
    orders = [detail for detail in entry.details if isinstance(detail, PaymentOrder)]
    return tuple(_of_order(EventType.ORDER_PLACED, order, entry) for order in orders)


def _asked(entry: Entry) -> Events:
    """A refund or a payout was told of when it was opened."""
    request, order = _expect(entry, ProviderRequest), _find(entry, PaymentOrder)
    if order is None or request.operation is not ConnectorOperation.CHARGE:
        return ()
    return (_of_order(EventType.ORDER_EXECUTING, order, entry),)


def _of_journal(kind: EntryKind) -> Callable[[Entry], Events]:
    return lambda entry: _journal(entry, _JOURNALS[kind])


def _journal(entry: Entry, types: dict[ConnectorOperation | None, EventType]) -> Events:
    request = _find(entry, ProviderRequest)
    type_ = types.get(None if request is None else request.operation)
    if type_ is None:
        return ()
    if request is None:
        return (_event(type_, format_id(JOURNAL, entry.operation_id), entry),)
    order = _find(entry, PaymentOrder)
    if order is None:
        return (_event(type_, format_id(PAYMENT, request.item_id), entry),)
    if request.operation is ConnectorOperation.CHARGE:
        return (_of_order(type_, order, entry),)
    refund, refunded = format_id(REFUND, request.item_id), format_id(ORDER, order.item_id)
    told = (_event(type_, refund, entry, refunded),)
    if type_ is not EventType.REFUND_POSTED:
        return told
    return *told, _event(EventType.ORDER_REFUNDED, refunded, entry, refund)


def _account(type_: EventType) -> Callable[[Entry], Events]:
    return lambda entry: (Event(type_, _account_text(entry.debit_account), entry.decided_at_us),)


def _with_limit(type_: EventType) -> Callable[[Entry], Events]:
    """What opens an account and what changes its overdraft states the limit as amount."""
    return lambda entry: (
        Event(
            type_,
            _account_text(entry.debit_account),
            entry.decided_at_us,
            amount_minor=entry.amount_minor,
            currency=entry.currency or None,
        ),
    )


def _standing(entry: Entry) -> Events:
    return _account(_STANDINGS[AccountStatus(entry.amount_minor)])(entry)


_STANDINGS: Final = {
    AccountStatus.OPEN: EventType.ACCOUNT_ACTIVATED,
    AccountStatus.FROZEN: EventType.ACCOUNT_FROZEN,
    AccountStatus.DEBITS_FROZEN: EventType.ACCOUNT_DEBITS_FROZEN,
    AccountStatus.DORMANT: EventType.ACCOUNT_DORMANT,
    AccountStatus.CLOSED: EventType.ACCOUNT_CLOSED,
}

_JOURNALS: Final[dict[EntryKind, dict[ConnectorOperation | None, EventType]]] = {
    EntryKind.JOURNAL_OPENED: {
        ConnectorOperation.REFUND: EventType.REFUND_OPENED,
        ConnectorOperation.PAYOUT: EventType.PAYOUT_OPENED,
    },
    EntryKind.JOURNAL_POSTED: {
        None: EventType.JOURNAL_POSTED,
        ConnectorOperation.CHARGE: EventType.ORDER_SUCCEEDED,
        ConnectorOperation.REFUND: EventType.REFUND_POSTED,
        ConnectorOperation.PAYOUT: EventType.PAYOUT_POSTED,
    },
    EntryKind.JOURNAL_CANCELLED: {
        None: EventType.JOURNAL_CANCELLED,
        ConnectorOperation.CHARGE: EventType.ORDER_FAILED,
        ConnectorOperation.REFUND: EventType.REFUND_FAILED,
        ConnectorOperation.PAYOUT: EventType.PAYOUT_FAILED,
    },
}
"""Kind of the entry and what a provider was asked for → what is told. A journal is told of when it has ended."""

_TOLD: Final[dict[EntryKind, Callable[[Entry], Events]]] = {
    EntryKind.RESERVED: _payment(EventType.PAYMENT_AUTHORISED),
    EntryKind.REJECTED: _rejected,
    EntryKind.POSTED: _posted,
    EntryKind.RECEIVED: _posted,
    EntryKind.POSTED_UNCOLLECTED: _payment(EventType.PAYMENT_POSTED),
    EntryKind.RETURNED: _payment(EventType.PAYMENT_RETURNED),
    EntryKind.COLLECTED: _collected,
    EntryKind.DEBITED: _debited,
    EntryKind.HELD: _held,
    EntryKind.HOLD_RAISED: _raised,
    EntryKind.CAPTURED: _captured,
    EntryKind.RELEASED: _released,
    EntryKind.NOTED: _noted,
    EntryKind.ORDERS_PLACED: _placed,
    EntryKind.PROVIDER_ASKED: _asked,
    **{kind: _of_journal(kind) for kind in _JOURNALS},
    EntryKind.ACCOUNT_OPENED: _with_limit(EventType.ACCOUNT_OPENED),
    EntryKind.OVERDRAFT_LIMIT_SET: _with_limit(EventType.ACCOUNT_OVERDRAFT_LIMIT_SET),
    EntryKind.ACCOUNT_FROZEN: _account(EventType.ACCOUNT_FROZEN),
    EntryKind.ACCOUNT_UNFROZEN: _account(EventType.ACCOUNT_ACTIVATED),
    EntryKind.ACCOUNT_CLOSED: _account(EventType.ACCOUNT_CLOSED),
    EntryKind.STANDING_SET: _standing,
}

_CAUSES: Final = {
    CauseKind.CAPTURE: HOLD,
    CauseKind.REFUND: PAYMENT,
    CauseKind.DEPOSIT: PAYMENT,
    CauseKind.DISPUTE: DISPUTE,
    CauseKind.RECEIVABLE: PAYMENT,
}
"""Kinds of causes that are named, with the prefix of their ids. A journal and a review are their own cause."""


def _event(type_: EventType, subject: str, entry: Entry, cause: str | None = None) -> Event:
    event = Event(
        type_,
        subject,
        entry.decided_at_us,
        _party(entry.debit_account),
        _party(entry.credit_account),
        entry.amount_minor,
        entry.currency,
        None if entry.reason is Reason.NONE else entry.reason.value,
        cause,
    )
    if not entry.details:  # most
        return event
    arriving = next((leg for leg in legs_of(entry.details) if leg.account == entry.credit_account), None)
    if arriving is None or (arriving.amount_minor, arriving.currency) == (entry.amount_minor, entry.currency):
        return event
    return event._replace(payee_amount_minor=arriving.amount_minor, payee_currency=arriving.currency)


def _of_dispute(type_: EventType, dispute: Dispute, entry: Entry) -> Event:
    """The parties are those of the contested payment."""
    return Event(
        type_,
        format_id(DISPUTE, dispute.item_id),
        entry.decided_at_us,
        _account_text(dispute.customer),
        _account_text(dispute.owner),
        dispute.amount_minor,
        dispute.currency,
        cause=format_id(PAYMENT, dispute.payment_id),
    )


def _of_order(type_: EventType, order: PaymentOrder, entry: Entry) -> Event:
    return Event(
        type_,
        format_id(ORDER, order.item_id),
        entry.decided_at_us,
        None,
        _account_text(order.seller),
        order.amount_minor,
        order.currency,
        None if order.reason is Reason.NONE else order.reason.value,
        format_id(CHECKOUT, order.owner),
    )


def _cause_of(entry: Entry) -> str | None:
    """What the entry states that it follows from."""
    cause = _find(entry, Cause)
    prefix = None if cause is None else _CAUSES.get(cause.kind)
    return None if cause is None or prefix is None else format_id(prefix, cause.cause_id)


def _party(account: bytes) -> str | None:
    return None if account == NIL else _account_text(account)


@lru_cache(maxsize=65_536)  # accounts repeat; 65,536 × about 150 bytes = 10 MB
def _account_text(account: bytes) -> str:
    return format_id(ACCOUNT, account)


def _find(entry: Entry, kind: type[Kind]) -> Kind | None:
    return next((detail for detail in entry.details if isinstance(detail, kind)), None)


def _expect(entry: Entry, kind: type[Kind]) -> Kind:
    found = _find(entry, kind)
    assert found is not None, f"an entry {entry.kind.name} without {kind.__name__}"
    return found
