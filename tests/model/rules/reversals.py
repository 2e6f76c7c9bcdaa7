"""What comes back: bounced deposits, refunds, disputes and the debts that they leave."""

from payments.commands import NO_REPLY
from payments.entries import Credit, EntryKind, Step
from payments.identifiers import NIL, derive_consequence_id, system_account
from payments.items.details import Cause, CauseKind, Detail, Dispute, Legs, Posting, Receivable
from payments.money import MAX_MINOR
from payments.movements.instructions import (
    ClearDeposit,
    NoteEvidence,
    OpenDispute,
    RecoverReceivable,
    Refund,
    ResolveDispute,
    ReturnDeposit,
    WriteOff,
)
from payments.postings import SystemAccount
from payments.rejections import Reason
from payments.terms.methods import TERMS
from tests.model.rules import state as states
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.movements import CLEARING, cannot_give, cannot_pay, send
from tests.model.rules.state import (
    Debt,
    Payment,
    State,
    debt_item,
    deposit_item,
    dispute_item,
    is_operators,
    wait_again,
)


def clear(state: State, _: bytes, asked: ClearDeposit, __: int) -> Effect | Reason:
    """The drawee has paid."""
    waiting = state.deposits.get(state.at(asked.account, asked.deposit_id))
    if waiting is None or waiting.account != asked.account:
        return Reason.DEPOSIT_NOT_FOUND
    del state.deposits[state.at(asked.account, asked.deposit_id)]
    state.move(asked.account, waiting.amount)
    details = (Cause(CauseKind.DEPOSIT, asked.deposit_id), deposit_item(asked.deposit_id, waiting, is_open=False))
    parties = Parties(asked.account, asked.account, waiting.amount, waiting.currency)
    return Effect(EntryKind.COLLECTED, parties, asked.account, details)


def bounce(state: State, operation_id: bytes, asked: ReturnDeposit, time_us: int) -> Effect | Reason:
    """The bank takes a deposit back, once and whole, with a code of its network."""
    method = CLEARING.get(asked.clearing_account)
    if method is None or not TERMS[method].return_codes.fullmatch(asked.code):
        return Reason.RETURN_CODE_UNKNOWN
    parties = Parties(asked.account, asked.clearing_account, asked.amount_minor, asked.currency)
    paid = _known(state, asked.deposit_id, asked.clearing_account, asked.account, asked.amount_minor, asked.currency)
    if paid is None:
        return Reason.DEPOSIT_NOT_FOUND
    given = state.given(asked.account, asked.deposit_id)
    if given.refunded or given.disputed:
        return Reason.REFUND_EXCEEDS_PAYMENT
    cause = Cause(CauseKind.DEPOSIT, asked.deposit_id, asked.code)
    details: tuple[Detail, ...] = (
        cause,
        state.give_back(asked.account, asked.deposit_id, refunded=asked.amount_minor, time_us=time_us),
    )
    waiting = state.deposits.pop(state.at(asked.account, asked.deposit_id), None)
    if waiting is None:
        return _take(state, operation_id, parties, details, Posting(parties.credit, parties.amount, parties.currency))
    posted = state.post(*_between(parties))
    details = (*details, deposit_item(asked.deposit_id, waiting, is_open=False))
    return Effect(EntryKind.DEBITED, parties, asked.account, details, posted)


def refund(state: State, operation_id: bytes, asked: Refund, time_us: int) -> Effect | Reason:
    """The merchant sends part or all of a payment back of its own will."""
    refusal = _cannot_give_back(state, asked)
    if refusal is not None:
        return refusal
    parties = Parties(asked.merchant, asked.customer, asked.amount_minor, asked.currency)
    refusal = cannot_pay(state, parties)
    if refusal is not None:
        return refusal
    cause = Cause(CauseKind.REFUND, asked.payment_id)
    item = state.give_back(asked.merchant, asked.payment_id, refunded=asked.amount_minor, time_us=time_us)
    message = send(state, operation_id, parties, asked.envelope.reply_to, cause)
    return Effect(EntryKind.RESERVED, parties, asked.merchant, (cause, item), messages=(message,))


def open_dispute(state: State, operation_id: bytes, asked: OpenDispute, time_us: int) -> Effect | Reason:
    """The customer contests a payment: the merchant is debited at once, with a fee, whatever it has."""
    refusal = _cannot_give_back(state, asked)
    if refusal is not None:
        return refusal
    if min(asked.fee_minor, asked.provider_fee_minor) < 0 or max(asked.fee_minor, asked.provider_fee_minor) > MAX_MINOR:
        return Reason.AMOUNT_INVALID
    if asked.provider_fee_minor > 0 and not is_operators(asked.customer):
        return Reason.PROVIDER_UNKNOWN
    dispute = states.Dispute(
        asked.merchant, asked.payment_id, asked.customer, asked.amount_minor, asked.currency, asked.is_provisional
    )
    state.disputes[operation_id] = dispute
    waiting = state.deposits.get(state.at(asked.merchant, asked.payment_id))
    if waiting is not None:
        dispute.uncollected = min(waiting.amount, dispute.amount)
        waiting.amount -= dispute.uncollected
        waiting.refunding += dispute.uncollected
    details: tuple[Detail, ...] = (
        Cause(CauseKind.DISPUTE, operation_id),
        state.give_back(asked.merchant, asked.payment_id, disputed=asked.amount_minor, under_way=1, time_us=time_us),
        dispute_item(operation_id, dispute),
        *([deposit_item(asked.payment_id, waiting)] if waiting is not None and dispute.uncollected else []),
    )
    contested = Posting(_disputes(asked.currency), asked.amount_minor, asked.currency)
    fee = Posting(system_account(SystemAccount.FEES, asked.currency), asked.fee_minor, asked.currency)
    parties = Parties(asked.merchant, contested.account, asked.amount_minor + asked.fee_minor, asked.currency)
    credits = [contested, fee] if asked.fee_minor else [contested]
    effect = _take(state, operation_id, parties, details, *credits, uncollected=dispute.uncollected)
    if asked.provider_fee_minor:
        effect = _with_provider_fee(state, effect, asked)
    if not asked.is_provisional:
        return effect
    return effect._replace(messages=(_tell_customer(operation_id, operation_id, dispute, Step.CREDIT),))


def _with_provider_fee(state: State, effect: Effect, asked: OpenDispute) -> Effect:
    """The provider keeps something, too: an expense of the operator's."""
    expense = Posting(_provider_fees(asked.currency), -asked.provider_fee_minor, asked.currency)
    more = state.post(expense, Posting(asked.customer, asked.provider_fee_minor, asked.currency))
    details = tuple(Legs((*d.legs, *more)) if isinstance(d, Legs) else d for d in effect.details)
    return effect._replace(details=details, posted=(*effect.posted, *more))


def note_evidence(state: State, _: bytes, asked: NoteEvidence, __: int) -> Effect | Reason:
    """Moves nothing."""
    dispute = _dispute(state, asked.merchant, asked.dispute_id)
    if dispute is None:
        return Reason.DISPUTE_NOT_FOUND
    cause = Cause(CauseKind.DISPUTE, asked.dispute_id, asked.evidence_hash.hex())
    return Effect(EntryKind.NOTED, Parties(asked.merchant), details=(cause, dispute_item(asked.dispute_id, dispute)))


def resolve(state: State, operation_id: bytes, asked: ResolveDispute, _: int) -> Effect | Reason:
    """The contested amount goes to the customer (unless it is there already), or back to the merchant."""
    dispute = _dispute(state, asked.merchant, asked.dispute_id)
    if dispute is None:
        return Reason.DISPUTE_NOT_FOUND
    del state.disputes[asked.dispute_id]
    cause = Cause(CauseKind.DISPUTE, asked.dispute_id, "won" if asked.is_won else "lost")
    details = (cause, dispute_item(asked.dispute_id, dispute, is_open=False))
    if asked.is_won:
        effect = _give_to_merchant(state, asked.dispute_id, dispute, details)
    else:
        item = state.give_back(asked.merchant, dispute.payment_id, under_way=-1)
        gone = wait_again(state, asked.merchant, dispute.payment_id, dispute.uncollected, 0)
        effect = Effect(EntryKind.NOTED, Parties(asked.merchant), details=(*details, item, *gone))
    if asked.is_won != dispute.is_provisional:  # won and nothing to collect, or lost and paid already
        return effect
    step = Step.COLLECT if asked.is_won else Step.CREDIT
    return effect._replace(messages=(_tell_customer(operation_id, asked.dispute_id, dispute, step),))


def collected(state: State, message: Credit) -> Effect:
    """A provisional credit is taken back from where it went: what can't be the customer's became unclaimed."""
    account = state.accounts.get(message.payee)
    debtor = message.payee
    if not is_operators(debtor) and (account is None or account.currency != message.currency):
        debtor = system_account(SystemAccount.UNCLAIMED, message.currency)
    parties = Parties(debtor, message.payer, message.amount_minor, message.currency)
    credit = Posting(message.payer, message.amount_minor, message.currency)
    return _take(state, message.operation_id, parties, message.details, credit)


def recover(state: State, _: bytes, asked: RecoverReceivable, __: int) -> Effect | Reason:
    """The account pays what it owes, of its own will."""
    debt = _debt(state, asked.account, asked.receivable_id)
    if debt is None:
        return Reason.RECEIVABLE_NOT_FOUND
    if asked.amount_minor < 1:
        return Reason.AMOUNT_INVALID
    if asked.amount_minor > debt.amount:
        return Reason.RECEIVABLE_EXCEEDED
    refusal = cannot_give(state, asked.account, asked.amount_minor, debt.currency)
    if refusal is not None:
        return refusal
    parties = Parties(asked.account, _receivables(debt.currency), asked.amount_minor, debt.currency)
    state.move(asked.account, -asked.amount_minor)
    item = _pay_down(state, asked.receivable_id, asked.amount_minor)
    details = (Cause(CauseKind.RECEIVABLE, asked.receivable_id), item)
    return Effect(EntryKind.DEBITED, parties, asked.account, details, state.post(*_between(parties)))


def write_off(state: State, _: bytes, asked: WriteOff, __: int) -> Effect | Reason:
    """What is owed becomes the operator's loss."""
    debt = _debt(state, asked.account, asked.receivable_id)
    if debt is None:
        return Reason.RECEIVABLE_NOT_FOUND
    amount, currency = debt.amount, debt.currency
    losses = system_account(SystemAccount.LOSSES, currency)
    legs = state.post(*_between(Parties(losses, _receivables(currency), amount, currency)))
    details = (
        Legs(legs),
        Cause(CauseKind.RECEIVABLE, asked.receivable_id),
        _pay_down(state, asked.receivable_id, amount),
    )
    parties = Parties(asked.account, NIL, amount, currency)
    return Effect(EntryKind.JOURNAL_POSTED, parties, details=details, posted=legs)


def _cannot_give_back(state: State, asked: Refund) -> Reason | None:
    if asked.amount_minor < 1:
        return Reason.AMOUNT_INVALID
    paid = _known(state, asked.payment_id, asked.customer, asked.merchant, asked.payment_amount_minor, asked.currency)
    if paid is None:
        return Reason.PAYMENT_NOT_REFUNDABLE
    left = state.left_of(asked.merchant, asked.payment_id)
    return Reason.REFUND_EXCEEDS_PAYMENT if asked.amount_minor > left else None


def _known(state: State, payment_id: bytes, payer: bytes, payee: bytes, amount: int, currency: str) -> Payment | None:
    """The payment, where it is remembered and was exactly this."""
    if not state.receipts.knows(state.home(payee), payment_id):
        return None
    paid = state.payments[state.at(payee, payment_id)]
    return paid if (paid.payer, paid.payee, paid.amount, paid.currency) == (payer, payee, amount, currency) else None


def _take(
    state: State,
    operation_id: bytes,
    parties: Parties,
    details: tuple[Detail, ...],
    *to: Posting,
    uncollected: int = 0,
) -> Effect:
    """Debit whatever is there; what is missing is owed. The operator's own accounts always have it.

    `uncollected` of it was never available.
    """
    account, currency = parties.debit, parties.currency
    amount = sum(leg.amount_minor for leg in to) - uncollected
    paid = amount if is_operators(account) else min(amount, max(0, state.available(account)))
    legs = [*to]
    if paid + uncollected:
        legs.append(Posting(account, -paid - uncollected, currency))
        state.move(account, -paid)
    if paid < amount:
        legs.append(Posting(_receivables(currency), paid - amount, currency))
        debt = state.debts[operation_id] = Debt(account, amount - paid, currency)
        details = (*details, debt_item(operation_id, debt))
    posted = state.post(*legs)
    return Effect(EntryKind.DEBITED, parties, account, (Legs(posted), *details), posted)


def _give_to_merchant(
    state: State, dispute_id: bytes, dispute: states.Dispute, details: tuple[Cause | Dispute, ...]
) -> Effect:
    """Less what it still owes because of this dispute."""
    amount, currency = dispute.amount, dispute.currency
    item = state.give_back(dispute.merchant, dispute.payment_id, disputed=-amount, under_way=-1)
    owed = state.debts[dispute_id].amount if dispute_id in state.debts else 0
    waits = dispute.uncollected if state.at(dispute.merchant, dispute.payment_id) in state.deposits else 0
    kept = min(owed, amount - waits)
    legs = [
        Posting(_disputes(currency), -amount, currency),
        Posting(_receivables(currency), kept, currency),
        Posting(dispute.merchant, amount - kept, currency),
    ]
    posted = state.post(*(leg for leg in legs if leg.amount_minor))
    state.move(dispute.merchant, amount - kept - waits)
    again = wait_again(state, dispute.merchant, dispute.payment_id, dispute.uncollected, waits)
    paid_down = [_pay_down(state, dispute_id, kept)] if kept else []
    parties = Parties(_disputes(currency), dispute.merchant, amount, currency)
    return Effect(
        EntryKind.POSTED, parties, dispute.merchant, (Legs(posted), *details, item, *again, *paid_down), posted
    )


def _tell_customer(cause: bytes, dispute_id: bytes, dispute: states.Dispute, step: Step) -> Credit:
    return Credit(
        derive_consequence_id(cause, step.name),
        _disputes(dispute.currency),
        dispute.customer,
        dispute.amount,
        dispute.currency,
        NO_REPLY,
        step=step,
        details=(Cause(CauseKind.DISPUTE, dispute_id),),
    )


def _dispute(state: State, merchant: bytes, dispute_id: bytes) -> states.Dispute | None:
    dispute = state.disputes.get(dispute_id)
    return dispute if dispute is not None and dispute.merchant == merchant else None


def _debt(state: State, account: bytes, debt_id: bytes) -> Debt | None:
    debt = state.debts.get(debt_id)
    return debt if debt is not None and debt.account == account else None


def _pay_down(state: State, debt_id: bytes, amount: int) -> Receivable:
    debt = state.debts[debt_id]
    debt.amount -= amount
    if debt.amount == 0:
        del state.debts[debt_id]
    return debt_item(debt_id, debt)


def _between(parties: Parties) -> tuple[Posting, Posting]:
    debit, credit, amount, currency = parties
    return Posting(debit, -amount, currency), Posting(credit, amount, currency)


def _disputes(currency: str) -> bytes:
    return system_account(SystemAccount.DISPUTES, currency)


def _provider_fees(currency: str) -> bytes:
    return system_account(SystemAccount.PROVIDER_FEES, currency)


def _receivables(currency: str) -> bytes:
    return system_account(SystemAccount.RECEIVABLES, currency)
