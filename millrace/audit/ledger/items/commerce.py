"""Money that moves outside: payment orders, what providers are asked, and the legs at sellers, statement by statement.

Guarantees: an order is charged at most once and refunded for no more than it was, a journal with a provider is posted
because the provider has done it and cancelled because it has not, and what is uncollected is what charges brought and
refunds left.
"""

from millrace.audit.ledger.items.required import detail_of, require, require_open
from millrace.audit.report import Differs, Invariant
from payments.commerce.connector import ConnectorOperation, Decline, Outcome
from payments.entries import Entry, EntryKind
from payments.items.details import (
    GivenBack,
    JournalLeg,
    OrderStatus,
    OrderTerms,
    PaymentOrder,
    ProviderRequest,
    Uncollected,
)
from payments.rejections import Reason

_CERTAIN = frozenset({Outcome.SUCCEEDED, Outcome.FAILED})


def payment_order(entry: Entry, before: PaymentOrder | None, after: PaymentOrder, place: str) -> None:
    """`before` is None where the checkout is placed."""
    if entry.kind is EntryKind.ORDERS_PLACED:
        if before is not None:
            raise Differs(Invariant.IDEMPOTENCY, place, "an order that is placed once", after.item_id.hex())
        new = after._replace(owner=entry.debit_account, status=OrderStatus.NOT_STARTED, reason=Reason.NONE)
        require(place, "an order", new._replace(provider_reference="", refunded_minor=0, is_open=True), after)
        return
    so_far = require_open(before, place)
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
            case EntryKind.JOURNAL_POSTED:
                return order._replace(status=OrderStatus.SUCCESS, provider_reference=request.provider_reference)
            case _:
                return order._replace(status=OrderStatus.FAILED, reason=entry.reason)
    sign = {EntryKind.JOURNAL_OPENED: 1, EntryKind.JOURNAL_CANCELLED: -1}.get(entry.kind, 0)
    return order._replace(refunded_minor=order.refunded_minor + sign * request.amount_minor)


def provider_request(entry: Entry, before: ProviderRequest | None, after: ProviderRequest, place: str) -> None:
    """A provider's answer counts once: the attempt it states is later than the one before."""
    if entry.kind in (EntryKind.ORDERS_PLACED, EntryKind.JOURNAL_OPENED):
        require(place, "a request that is made once", None, before)
        new = after._replace(attempt=0, outcome=Outcome.PENDING, attempt_follows=True, decline=Decline.NONE)
        require(place, "a request", new._replace(provider_reference="", is_open=True), after)
        return
    so_far = require_open(before, place)
    known = so_far._replace(
        attempt=after.attempt,
        outcome=after.outcome,
        attempt_follows=after.attempt_follows,
        decline=after.decline,
        provider_reference=after.provider_reference,
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
    sign = -1 if entry.kind is EntryKind.LEG_RELEASED else 1
    return so_far._replace(refunded_minor=so_far.refunded_minor - sign * leg.amount_minor)
