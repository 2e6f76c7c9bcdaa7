"""Money that moves outside: payment orders, what providers are asked, and the legs at sellers, statement by statement.

Guarantees: an order is charged at most once and refunded for no more than it was, a journal with a provider is posted
because the provider has done it and cancelled because it has not, and what is uncollected is what charges brought and
refunds left.
"""

from typing import TypeVar

from millrace.audit.ledger.items.required import detail_of, require, require_open
from millrace.audit.report import Differs, Invariant
from payments.commerce.connector import ConnectorOperation, Decline, Outcome
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.items.details import (
    AttemptSettlement,
    GivenBack,
    JournalLeg,
    OrderStatus,
    OrderTerms,
    PaymentOrder,
    ProviderRequest,
    Uncollected,
)
from payments.items.endings import GRACE_US, KEPT_US
from payments.items.outside import SETTLED_BY
from payments.rejections import Reason

Kept = TypeVar("Kept", GivenBack, PaymentOrder)
_CERTAIN = frozenset({Outcome.SUCCEEDED, Outcome.FAILED})


def payment_order(entry: Entry, before: PaymentOrder | None, after: PaymentOrder, place: str) -> None:
    """`before` is None where the checkout is placed."""
    if entry.kind is EntryKind.ORDERS_PLACED:
        if before is not None and before.is_open:
            raise Differs(Invariant.IDEMPOTENCY, place, "an order that is placed once", after.item_id.hex())
        new = after._replace(owner=entry.debit_account, status=OrderStatus.NOT_STARTED, reason=Reason.NONE)
        new = new._replace(provider_reference="", refunded_minor=0, is_open=True, ends_at_us=kept_from(entry))
        require(place, "an order", new, after)
        return
    so_far = require_open(before, place)
    if is_ending(entry):
        require(place, "an order", ended(entry, so_far, after, place), after)
        if not after.is_open and so_far.status not in (OrderStatus.SUCCESS, OrderStatus.FAILED):
            raise Differs(Invariant.ONE_OUTCOME, place, "an order with an outcome forgotten", so_far.status.name)
        return
    request = next((r for r in requests_in(entry) if r.order_id == after.item_id), None)
    require(place, "an order", _moved(entry, so_far, request), after)
    if not 0 <= after.refunded_minor <= after.amount_minor:
        at_most = f"at most the order of {after.amount_minor} refunded"
        raise Differs(Invariant.LIMITS, place, at_most, after.refunded_minor)


def _moved(entry: Entry, order: PaymentOrder, request: ProviderRequest | None) -> PaymentOrder:
    """The order after this entry. Without a request in it, it is cancelled before the provider is asked."""
    if request is None:
        return order._replace(status=OrderStatus.FAILED, reason=Reason.ORDER_CANCELLED)
    if request.operation is ConnectorOperation.CHARGE:
        match entry.kind:
            case EntryKind.PROVIDER_ASKED:
                return order._replace(status=OrderStatus.EXECUTING)
            case EntryKind.NOTED:  # its payer has to act
                return order
            case EntryKind.JOURNAL_POSTED:
                reference, ends_at_us = request.provider_reference, kept_from(entry)
                return order._replace(status=OrderStatus.SUCCESS, provider_reference=reference, ends_at_us=ends_at_us)
            case _:
                return order._replace(status=OrderStatus.FAILED, reason=entry.reason)
    sign = {EntryKind.JOURNAL_OPENED: 1, EntryKind.JOURNAL_CANCELLED: -1}.get(entry.kind, 0)
    ends_at_us = kept_from(entry) if sign == 1 else order.ends_at_us
    return order._replace(refunded_minor=order.refunded_minor + sign * request.amount_minor, ends_at_us=ends_at_us)


def provider_request(entry: Entry, before: ProviderRequest | None, after: ProviderRequest, place: str) -> None:
    """A provider's answer counts once: the attempt it states is later than the one before."""
    if entry.kind in (EntryKind.ORDERS_PLACED, EntryKind.JOURNAL_OPENED):
        if before is not None and before.is_open:
            raise Differs(Invariant.IDEMPOTENCY, place, "a request that is made once", after.item_id.hex())
        new = after._replace(attempt=0, outcome=Outcome.PENDING, attempt_follows=True, decline=Decline.NONE)
        new = new._replace(provider_reference="", is_open=True, fee_minor=0, fee_currency="")
        require(place, "a request", new, after)
        return
    so_far = require_open(before, place)
    known = so_far._replace(
        attempt=after.attempt,
        outcome=after.outcome,
        attempt_follows=after.attempt_follows,
        decline=after.decline,
        provider_reference=after.provider_reference,
        fee_minor=after.fee_minor,
        fee_currency=after.fee_currency,
    )
    is_over = entry.kind in (EntryKind.JOURNAL_POSTED, EntryKind.JOURNAL_CANCELLED)
    is_answer = entry.kind is not EntryKind.PROVIDER_ASKED and entry.reason in (Reason.NONE, Reason.PROVIDER_DECLINED)
    require(place, "a request", (known if is_answer else so_far)._replace(is_open=not is_over), after)
    if is_answer and after.attempt <= so_far.attempt:
        raise Differs(Invariant.IDEMPOTENCY, place, f"an attempt after {so_far.attempt}", after.attempt)
    if is_answer and _end_of(after.outcome) is not entry.kind:
        raise Differs(Invariant.ONE_OUTCOME, place, _end_of(after.outcome).name, entry.kind.name)


def _end_of(outcome: Outcome) -> EntryKind:
    if outcome not in _CERTAIN:
        return EntryKind.NOTED
    return EntryKind.JOURNAL_POSTED if outcome is Outcome.SUCCEEDED else EntryKind.JOURNAL_CANCELLED


def settlement(entry: Entry, before: AttemptSettlement | None, after: AttemptSettlement, place: str) -> None:
    """Proposed by one person, settled by another who says the same; then remembered, with what contradicts it."""
    if entry.fingerprint == NO_FINGERPRINT:
        so_far = require_open(before, place)
        contradicted = entry.reason is Reason.SETTLEMENT_CONTRADICTED
        expected = (
            so_far._replace(contradiction=after.contradiction) if contradicted else so_far._replace(is_open=False)
        )
        require(place, "a settlement", expected, after)
        return
    said = after.is_succeeded, after.provider_reference
    agreed = before is not None and before.is_open and (before.is_succeeded, before.provider_reference) == said
    by = (*(before.settled_by if before is not None and agreed else ()), *after.settled_by[-1:])
    ends_at_us = kept_from(entry) if len(by) == SETTLED_BY else 0
    expected = AttemptSettlement(after.item_id, entry.debit_account, *said, by, ends_at_us=ends_at_us)
    require(place, "a settlement", expected, after)
    if len(set(by)) < len(by):
        raise Differs(Invariant.LIMITS, place, "people who settle once each", str(len(by)))


def requests_in(entry: Entry) -> list[ProviderRequest]:
    return [detail for detail in entry.details if isinstance(detail, ProviderRequest)]


def uncollected_part(entry: Entry, leg: JournalLeg) -> int:
    """How much of a leg of an order moves what is uncollected, in place of the available balance."""
    stated = detail_of(entry, Uncollected) is not None
    match entry.kind:
        case EntryKind.LEG_RESERVED:
            return leg.uncollected_minor
        case EntryKind.LEG_SETTLED if leg.amount_minor > 0:
            return leg.amount_minor if stated else 0
        case EntryKind.LEG_RELEASED:
            return leg.uncollected_minor if stated else 0
        case _:
            return 0


def uncollected_share(entry: Entry, before: Uncollected | None, leg: JournalLeg, terms: OrderTerms) -> Uncollected:
    """What of the order waits for its delivery after this entry of a leg. Raises Differs where it can't be."""
    if leg.amount_minor > 0:
        return Uncollected(terms.order_id, entry.credit_account, leg.amount_minor, leg.currency, is_open=True)
    return uncollected_after(entry, require_open(before, f"order {terms.order_id.hex()}"), leg.uncollected_minor)


def uncollected_after(entry: Entry, so_far: Uncollected, taken: int) -> Uncollected:
    """What is not available yet when a refund or a dispute takes part of it, keeps it, or gives it back."""
    amount, refunding = {
        EntryKind.LEG_RESERVED: (-taken, taken),
        EntryKind.DEBITED: (-taken, taken),
        EntryKind.LEG_SETTLED: (0, -taken),
        EntryKind.NOTED: (0, -taken),
        EntryKind.LEG_RELEASED: (taken, -taken),
        EntryKind.POSTED: (taken, -taken),
    }[entry.kind]
    amount, refunding = so_far.amount_minor + amount, so_far.refunding_minor + refunding
    return so_far._replace(amount_minor=amount, refunding_minor=refunding, is_open=amount + refunding > 0)


def given_back_share(entry: Entry, before: GivenBack | None, leg: JournalLeg, terms: OrderTerms) -> GivenBack:
    """What is given back of the order after this entry of a refund's leg."""
    so_far = before or GivenBack(terms.order_id, leg.owner, terms.amount_minor, 0, 0)
    if entry.kind is EntryKind.LEG_SETTLED:
        return so_far._replace(under_way=so_far.under_way - 1)
    sign = -1 if entry.kind is EntryKind.LEG_RELEASED else 1
    return so_far._replace(
        refunded_minor=so_far.refunded_minor - sign * leg.amount_minor,
        under_way=so_far.under_way + sign,
        ends_at_us=kept_from(entry) if sign == 1 else so_far.ends_at_us,
    )


def kept_from(entry: Entry) -> int:
    """When something that begins with this entry is looked at whether it may be forgotten."""
    return entry.decided_at_us + KEPT_US


def is_ending(entry: Entry) -> bool:
    """Whether nothing but time has moved the item of this entry."""
    return entry.kind is EntryKind.NOTED and entry.fingerprint == NO_FINGERPRINT and len(entry.details) == 1


def ended(entry: Entry, so_far: Kept, after: Kept, place: str) -> Kept:
    """Forgotten, or looked at again two weeks later. Raises Differs where it was too early."""
    if entry.decided_at_us < so_far.ends_at_us:
        raise Differs(Invariant.ONE_OUTCOME, place, f"kept until {so_far.ends_at_us}", entry.decided_at_us)
    return (
        so_far._replace(ends_at_us=entry.decided_at_us + GRACE_US) if after.is_open else so_far._replace(is_open=False)
    )
