"""Checkouts, their refunds and payouts: journals of two legs that a provider decides when the customer has agreed."""

from payments.commerce.connector import ConnectorOperation, ConnectorResult, Decline, Outcome
from payments.entries import Credit, EntryKind, Step
from payments.identifiers import NIL, PAYMENT, derive_consequence_id, derive_order_id, format_id, system_account
from payments.items.details import Cause, CauseKind, Detail, OrderStatus, OrderTerms, Posting
from payments.money import EXPONENTS
from payments.movements.instructions import CancelOrder, Order, PayOut, PlaceCheckout, RefundOrder, SettleAttempt
from payments.postings import SystemAccount
from payments.rejections import Reason
from tests.model.rules import journals
from tests.model.rules import state as states
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.movements import cannot_give, cannot_pay, is_amount
from tests.model.rules.state import (
    KEPT_US,
    Deposit,
    Journal,
    Leg,
    Payment,
    Request,
    Settlement,
    State,
    deposit_item,
    is_operators,
    journal_item,
    leg_item,
    order_item,
    request_item,
    settlement_item,
    wait_again,
)

CLEARING = {"stripe": SystemAccount.STRIPE_CLEARING, "bank": SystemAccount.BANK_CLEARING}
MAX_ORDERS = 32


def place(state: State, _: bytes, asked: PlaceCheckout, time_us: int) -> Effect | Reason:
    """All orders or none are placed; from there each lives alone."""
    if is_operators(asked.checkout):
        return Reason.ACCOUNT_RESERVED
    if asked.checkout in state.accounts:
        return Reason.ACCOUNT_EXISTS
    names = [order.payment_order_id for order in asked.orders]
    if len(names) not in range(1, MAX_ORDERS + 1) or any(names.count(name) > 1 for name in names):
        return Reason.ORDERS_INVALID
    for order in asked.orders:
        refusal = _cannot_place(state, asked, order)
        if refusal is not None:
            return refusal
    details: list[Detail] = []
    messages: list[Credit] = []
    for order in asked.orders:
        order_id = _order_id(state, asked.checkout, order.payment_order_id)
        details += _placed(state, asked, order, order_id, time_us)
        messages += journals.to_legs(state, order_id, Step.PREPARE)
    currency = asked.orders[0].currency
    amount = sum(order.amount_minor for order in asked.orders if order.currency == currency)
    parties = Parties(asked.checkout, NIL, amount, currency)
    return Effect(EntryKind.ORDERS_PLACED, parties, details=tuple(details), messages=tuple(messages))


def cancel(state: State, refund_id: bytes, asked: CancelOrder, time_us: int) -> Effect | Reason:
    """Nothing was asked of the provider yet: it never will be. It has charged: all is given back."""
    order_id = _order_id(state, asked.checkout, asked.payment_order_id)
    order = state.orders.get(order_id)
    if order is None:
        return Reason.ORDER_NOT_FOUND
    if order.status is not OrderStatus.NOT_STARTED:
        return _refund(state, refund_id, order_id, asked, order.amount - order.refunded, time_us)
    order.status, order.reason = OrderStatus.FAILED, Reason.ORDER_CANCELLED
    journal = state.journals[order_id]
    journal.refusal = Reason.ORDER_CANCELLED
    details = (order_item(order_id, order), journal_item(order_id, journal, is_open=True))
    return Effect(EntryKind.NOTED, Parties(asked.checkout, NIL, order.amount, order.currency), details=details)


def refund(state: State, refund_id: bytes, asked: RefundOrder, time_us: int) -> Effect | Reason:
    """Some or all of what is left."""
    order_id = _order_id(state, asked.checkout, asked.payment_order_id)
    order = state.orders.get(order_id)
    if order is None:
        return Reason.ORDER_NOT_FOUND
    if order.currency != asked.currency:
        return Reason.CURRENCY_MISMATCH
    if asked.amount_minor < 1:
        return Reason.AMOUNT_INVALID
    return _refund(state, refund_id, order_id, asked, asked.amount_minor, time_us)


def pay_out(state: State, payout_id: bytes, asked: PayOut, _: int) -> Effect | Reason:
    """Money of an account for a bank account."""
    refusal = _no_clearing(asked.provider, asked.currency) or cannot_pay(state, named(asked))
    if refusal is not None:
        return refusal
    text = format_id(PAYMENT, payout_id)
    request = state.requests[payout_id] = Request(
        asked.account,
        asked.provider,
        ConnectorOperation.PAYOUT,
        NIL,
        text,
        asked.amount_minor,
        asked.currency,
        text,
        asked.token,
    )
    return _opened(state, payout_id, request, named(asked), asked.envelope.reply_to)


def named(asked: PayOut) -> Parties:
    """Where there is no such provider, nobody is paid."""
    known = _no_clearing(asked.provider, asked.currency) is None
    return Parties(
        asked.account, _clearing(asked.provider, asked.currency) if known else NIL, asked.amount_minor, asked.currency
    )


def terms(state: State, journal_id: bytes) -> tuple[OrderTerms, ...]:
    """What a seller is told of the order."""
    request = state.requests.get(journal_id)
    if request is None or request.order_id == NIL:
        return ()
    order = state.orders[request.order_id]
    clearing = _clearing(order.provider, order.currency)
    return (OrderTerms(request.order_id, clearing, order.amount, order.on_delivery),)


def terms_of(message: Credit) -> OrderTerms | None:
    found = [detail for detail in message.details if isinstance(detail, OrderTerms)]
    return found[0] if found else None


def asked_to_refund(state: State, message: Credit, time_us: int) -> Effect:
    """The seller gives from what is not available yet, and the rest of its own will."""
    order, seller, amount = terms_of(message), message.payee, -message.amount_minor
    assert order is not None
    if not state.receipts.knows(state.home(seller), order.order_id):
        return journals.refused(message, Reason.PAYMENT_NOT_REFUNDABLE)
    if amount > state.left_of(seller, order.order_id):
        return journals.refused(message, Reason.REFUND_EXCEEDS_PAYMENT)
    waiting = state.deposits.get(state.at(seller, order.order_id))
    uncollected = 0 if waiting is None else min(waiting.amount, amount)
    refusal = cannot_give(state, seller, amount - uncollected, message.currency)
    if refusal is not None:
        return journals.refused(message, refusal)
    leg = Leg(seller, journals.journal_of(message), -amount, message.currency, uncollected=uncollected)
    state.legs[message.operation_id] = leg
    state.move(seller, uncollected - amount)
    given = state.give_back(seller, order.order_id, refunded=amount, under_way=1, time_us=time_us)
    items: tuple[Detail, ...] = (given,)
    if waiting is not None and uncollected:
        waiting.amount -= uncollected
        waiting.refunding += uncollected
        items += (deposit_item(order.order_id, waiting),)
    return Effect(
        EntryKind.LEG_RESERVED,
        journals.one_sided(message, amount - uncollected),
        seller,
        (*message.details, leg_item(message.operation_id, leg), *items),
        messages=(journals.agreed(message),),
    )


def ended(state: State, message: Credit, leg: Leg, time_us: int) -> Effect:
    """At the seller: the provider has, or has not, charged or refunded."""
    order = terms_of(message)
    assert order is not None
    moved = abs(leg.amount)
    items: tuple[Detail, ...] = ()
    match message.step, leg.amount > 0:
        case Step.SETTLE, True:
            moved, items = _charged(state, order, leg, time_us)
        case Step.SETTLE, False:
            item = state.give_back(leg.account, order.order_id, under_way=-1)
            items = (item, *wait_again(state, leg.account, order.order_id, leg.uncollected, 0))
        case Step.CANCEL, False:
            moved, items = _refund_failed(state, order.order_id, leg)
    kind = EntryKind.LEG_SETTLED if message.step is Step.SETTLE else EntryKind.LEG_RELEASED
    details = (*message.details, leg_item(message.operation_id, leg, is_open=False), *items)
    return Effect(kind, journals.one_sided(message, moved), leg.account, details)


def all_agreed(state: State, journal_id: bytes) -> Effect:
    """The customer's leg is reserved, so the provider is asked; or it is refused, or cancelled meanwhile."""
    journal, request = state.journals[journal_id], state.requests[journal_id]
    if journal.refusal is not Reason.NONE:
        return _fail(state, journal_id)
    if request.operation is ConnectorOperation.CHARGE:
        state.orders[journal_id].status = OrderStatus.EXECUTING
    details = (*_stated(state, journal_id), journal_item(journal_id, journal, is_open=True))
    return Effect(EntryKind.PROVIDER_ASKED, _sides(journal), details=details, operation_id=journal_id)


def concluded(state: State, owner: bytes, result: ConnectorResult, time_us: int) -> Effect:
    """The provider's word counts once, and only where it is certain; what people have settled stays."""
    request = state.requests.get(result.request_id)
    if request is None:
        return _too_late(state, owner, result)
    if request.attempt >= result.attempt:
        return Effect(EntryKind.REPLAYED, Parties(owner))
    has_to_act = result.outcome is Outcome.REQUIRES_ACTION and request.outcome is not Outcome.REQUIRES_ACTION
    request.attempt, request.outcome, request.follows = result.attempt, result.outcome, result.attempt_follows
    request.decline = result.decline
    request.reference = result.provider_reference or request.reference
    if result.fee_currency in EXPONENTS and result.outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
        request.fee, request.fee_currency = result.fee_minor or 0, result.fee_currency
    if result.outcome not in (Outcome.SUCCEEDED, Outcome.FAILED):
        item = request_item(result.request_id, request)
        is_told = has_to_act and request.operation is ConnectorOperation.CHARGE
        items = _stated(state, result.request_id) if is_told else (item,)
        return Effect(EntryKind.NOTED, Parties(owner, NIL, request.amount, request.currency), details=items)
    effect = _ended(state, result, time_us)
    proposed = state.settlements.get(result.request_id)
    if proposed is not None and len(proposed.by) < 2:
        del state.settlements[result.request_id]
        effect = effect._replace(details=(*effect.details, settlement_item(result.request_id, proposed, is_open=False)))
    if request.fee == 0:
        return effect
    fee = _fee(result.request_id, request.provider, request.fee, request.fee_currency)
    return effect._replace(messages=(*effect.messages, fee))


def settle(state: State, _: bytes, asked: SettleAttempt, time_us: int) -> Effect | Reason:
    """Two people say the same of an attempt that nobody will hear of any more."""
    request = state.requests.get(asked.request_id)
    if request is None or request.owner != asked.owner:
        return Reason.ATTEMPT_NOT_FOUND
    is_lost = state.journals[asked.request_id].awaited == 0 and asked.lost_attempt == request.attempt + 1
    if (request.attempt == 0 or request.follows) and not is_lost:
        return Reason.ORDER_EXECUTING
    reference = ""
    if asked.is_succeeded:
        reference = asked.provider_reference or request.reference
    known = state.settlements.get(asked.request_id)
    if known is None or (known.succeeded, known.reference) != (asked.is_succeeded, reference):
        known = state.settlements[asked.request_id] = Settlement(asked.owner, asked.is_succeeded, reference, ())
    if asked.operator in known.by:
        return Reason.REVIEWER_REPEATED
    known.by += (asked.operator,)
    messages: tuple[Credit, ...] = ()
    if len(known.by) == 2:
        known.ends_at_us = time_us + KEPT_US
        item = settlement_item(asked.request_id, known)
        told = asked.request_id, asked.owner, asked.owner, request.amount, request.currency, bytes(8)
        messages = (Credit(*told, step=Step.CONCLUDE, details=(item,)),)
    parties = Parties(asked.owner, NIL, request.amount, request.currency)
    details = (settlement_item(asked.request_id, known),)
    return Effect(EntryKind.NOTED, parties, details=details, messages=messages)


def settled(state: State, message: Credit, time_us: int) -> Effect:
    """From here on as if the provider had said so."""
    request, settlement = state.requests[message.operation_id], state.settlements[message.operation_id]
    result = ConnectorResult(
        message.operation_id,
        request.attempt + 1,
        request.provider,
        request.operation,
        request.name,
        Outcome.SUCCEEDED if settlement.succeeded else Outcome.FAILED,
        settlement.reference,
        Decline.NONE if settlement.succeeded else Decline.NOT_EXECUTED,
        *("", None, "", time_us),
        attempt_follows=False,
    )
    return concluded(state, request.owner, result, time_us)


def _too_late(state: State, owner: bytes, result: ConnectorResult) -> Effect:
    """Reconciliation has to know where the provider says otherwise than people have."""
    settlement = state.settlements.get(result.request_id)
    if settlement is None or settlement.contradiction:
        return Effect(EntryKind.REPLAYED, Parties(owner))
    if result.outcome is Outcome.SUCCEEDED:
        agrees = settlement.succeeded and settlement.reference in ("", result.provider_reference)
    else:
        agrees = result.outcome is not Outcome.FAILED or not settlement.succeeded
    if agrees:
        return _told_late(state, owner, result)
    settlement.contradiction = " ".join(filter(None, (result.outcome, result.provider_reference)))
    item = settlement_item(result.request_id, settlement)
    return Effect(EntryKind.NOTED, Parties(owner), details=(item,), reason=Reason.SETTLEMENT_CONTRADICTED)


def _told_late(state: State, owner: bytes, result: ConnectorResult) -> Effect:
    """The provider says the same as people have, and what it keeps: that is posted, and nothing is waited for."""
    certain = result.outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
    if not certain or not result.fee_minor or result.fee_currency not in EXPONENTS:
        return Effect(EntryKind.REPLAYED, Parties(owner))
    settlement = state.settlements.pop(result.request_id)
    fee = _fee(result.request_id, result.provider, result.fee_minor, result.fee_currency)
    parties = Parties(fee.payer, fee.payee, fee.amount_minor, fee.currency)
    item = settlement_item(result.request_id, settlement, is_open=False)
    return Effect(EntryKind.NOTED, parties, details=(item,), messages=(fee,))


def _ended(state: State, result: ConnectorResult, time_us: int) -> Effect:
    """The journal is posted, or it is not."""
    request, journal = state.requests[result.request_id], state.journals[result.request_id]
    if result.outcome is Outcome.FAILED:
        journal.refusal = Reason.PROVIDER_DECLINED
        return _fail(state, result.request_id)
    if request.operation is ConnectorOperation.CHARGE:
        order = state.orders[result.request_id]
        order.status, order.reference = OrderStatus.SUCCESS, request.reference
        order.ends_at_us = time_us + KEPT_US
    effect = journals.post(state, result.request_id, _sides(journal), *_stated(state, result.request_id, is_open=False))
    del state.requests[result.request_id]
    return effect


def _fee(request_id: bytes, provider: str, fee: int, currency: str) -> Credit:
    """An expense of the operator's, kept by the provider out of what it holds for us."""
    expense = system_account(SystemAccount.PROVIDER_FEES, currency)
    clearing = _clearing(provider, currency)
    sides = (expense, clearing) if fee > 0 else (clearing, expense)
    cause = Cause(CauseKind.JOURNAL, request_id, "provider_fee")
    fee_id = derive_consequence_id(request_id, "provider_fee")
    return Credit(fee_id, *sides, abs(fee), currency, bytes(8), details=(cause,))


def _cannot_place(state: State, asked: PlaceCheckout, order: Order) -> Reason | None:
    if order.payment_order_id == "" or is_operators(order.seller):
        return Reason.ORDERS_INVALID
    if not is_amount(order.amount_minor):
        return Reason.AMOUNT_INVALID
    refusal = _no_clearing(asked.provider, order.currency)
    if refusal is not None:
        return refusal
    known = _order_id(state, asked.checkout, order.payment_order_id) in state.orders
    return Reason.ORDER_EXISTS if known else None


def _placed(state: State, asked: PlaceCheckout, stated: Order, order_id: bytes, time_us: int) -> tuple[Detail, ...]:
    name, seller, amount, currency, on_delivery = stated
    order = state.orders[order_id] = states.Order(
        asked.checkout, name, asked.provider, asked.buyer, seller, amount, currency, on_delivery
    )
    order.ends_at_us = time_us + KEPT_US
    charge = ConnectorOperation.CHARGE
    request = state.requests[order_id] = Request(
        asked.checkout, asked.provider, charge, order_id, name, amount, currency, name, asked.token
    )
    clearing = _clearing(asked.provider, currency)
    legs = Posting(clearing, -amount, currency), Posting(seller, amount, currency)
    journal = state.journals[order_id] = Journal(asked.checkout, legs, 1, bytes(8))
    items = journal_item(order_id, journal, is_open=True), request_item(order_id, request)
    return (order_item(order_id, order), *items)


def _refund(
    state: State, refund_id: bytes, order_id: bytes, asked: CancelOrder, amount: int, time_us: int
) -> Effect | Reason:
    order = state.orders[order_id]
    if order.status is OrderStatus.FAILED:
        return Reason.ORDER_FAILED
    if order.status in (OrderStatus.NOT_STARTED, OrderStatus.EXECUTING):
        return Reason.ORDER_EXECUTING
    if amount == 0 or amount > order.amount - order.refunded:
        return Reason.REFUND_EXCEEDS_PAYMENT
    order.refunded += amount
    order.ends_at_us = time_us + KEPT_US
    request = state.requests[refund_id] = Request(
        order.checkout,
        order.provider,
        ConnectorOperation.REFUND,
        order_id,
        order.name,
        amount,
        order.currency,
        format_id(PAYMENT, refund_id),
        refers_to=order.reference,
    )
    parties = Parties(order.seller, _clearing(order.provider, order.currency), amount, order.currency)
    return _opened(state, refund_id, request, parties, asked.envelope.reply_to)


def _opened(state: State, journal_id: bytes, request: Request, parties: Parties, reply_to: bytes) -> Effect:
    debit, credit, amount, currency = parties
    legs = Posting(debit, -amount, currency), Posting(credit, amount, currency)
    journal = state.journals[journal_id] = Journal(request.owner, legs, 1, reply_to)
    details = (*_stated(state, journal_id), journal_item(journal_id, journal, is_open=True))
    messages = journals.to_legs(state, journal_id, Step.PREPARE)
    return Effect(EntryKind.JOURNAL_OPENED, parties, details=details, messages=messages)


def _fail(state: State, journal_id: bytes) -> Effect:
    """Nothing is posted: a charge has failed, what a refund had counted is not given back."""
    request, journal = state.requests[journal_id], state.journals[journal_id]
    order = state.orders.get(request.order_id)
    if request.operation is ConnectorOperation.CHARGE and order is not None:
        order.status, order.reason = OrderStatus.FAILED, journal.refusal
    elif order is not None:
        order.refunded -= request.amount
    effect = journals.cancel(state, journal_id, _sides(journal), *_stated(state, journal_id, is_open=False))
    del state.requests[journal_id]
    return effect


def _stated(state: State, journal_id: bytes, is_open: bool = True) -> tuple[Detail, ...]:
    request = state.requests[journal_id]
    items: tuple[Detail, ...] = (request_item(journal_id, request, is_open),)
    if request.order_id == NIL:
        return items
    return (order_item(request.order_id, state.orders[request.order_id]), *items)


def _charged(state: State, order: OrderTerms, leg: Leg, time_us: int) -> tuple[int, tuple[Detail, ...]]:
    """What becomes available at once, and what waits for the delivery; from now on it can be given back."""
    paid = Payment(order.clearing_account, leg.account, leg.amount, leg.currency)
    state.received(order.order_id, paid, time_us)
    if not order.is_on_delivery:
        state.move(leg.account, leg.amount)
        return leg.amount, ()
    waiting = Deposit(leg.account, leg.amount, leg.currency)
    state.deposits[state.at(leg.account, order.order_id)] = waiting
    return 0, (deposit_item(order.order_id, waiting),)


def _refund_failed(state: State, order_id: bytes, leg: Leg) -> tuple[int, tuple[Detail, ...]]:
    """Delivered meanwhile, all of it is available; else it waits again as before."""
    uncollected = leg.uncollected if state.at(leg.account, order_id) in state.deposits else 0
    back = -leg.amount - uncollected
    state.move(leg.account, back)
    counted = state.give_back(leg.account, order_id, refunded=leg.amount, under_way=-1)
    return back, (counted, *wait_again(state, leg.account, order_id, uncollected, uncollected))


def _order_id(state: State, checkout: bytes, name: str) -> bytes:
    return derive_order_id(checkout, name, state.home(checkout))


def _no_clearing(provider: str, currency: str) -> Reason | None:
    if provider not in CLEARING:
        return Reason.PROVIDER_UNKNOWN
    return None if currency in EXPONENTS else Reason.CURRENCY_UNKNOWN


def _clearing(provider: str, currency: str) -> bytes:
    return system_account(CLEARING[provider], currency)


def _sides(journal: Journal) -> Parties:
    debit, credit = journal.legs
    return Parties(debit.account, credit.account, credit.amount_minor, credit.currency)
