"""Journals of many legs: every account concerned is asked, then all legs are posted or none."""

from dataclasses import replace

from payments.accounts import AccountStatus
from payments.entries import Credit, EntryKind, Step
from payments.identifiers import NIL
from payments.items.details import Cause, CauseKind, Detail, Legs, Posting
from payments.movements.instructions import PostJournal
from payments.rejections import Reason
from tests.model.rules import commerce
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.movements import balances, cannot_give, cannot_take, is_amount
from tests.model.rules.state import (
    OPERATORS,
    Journal,
    Leg,
    State,
    is_operators,
    journal_cause,
    journal_item,
    leg_id,
    leg_item,
)


def ask_legs(state: State, journal_id: bytes, asked: PostJournal, _: int) -> Effect | Reason:
    """Accounts of the operator need no asking; where there are no others, it is posted at once."""
    refusal = _malformed(asked.legs)
    if refusal is not None:
        return refusal
    cause = Cause(CauseKind.JOURNAL, journal_id, asked.code)
    customers = sum(not is_operators(leg.account) for leg in asked.legs)
    journal = Journal(asked.legs[0].account, asked.legs, customers, asked.envelope.reply_to)
    if customers == 0:
        stated = (Legs(asked.legs), cause, journal_item(journal_id, journal, is_open=False))
        return Effect(EntryKind.JOURNAL_POSTED, _named(journal), details=stated, posted=state.post(*asked.legs))
    state.journals[journal_id] = journal
    questions = to_legs(state, journal_id, Step.PREPARE)
    details = (cause, journal_item(journal_id, journal, is_open=True))
    return Effect(EntryKind.JOURNAL_OPENED, _named(journal), details=details, messages=questions)


def asked_leg(state: State, message: Credit, time_us: int) -> Effect:
    """A debit is set aside, a credit promised, or the leg refuses."""
    account, amount, currency = message.payee, message.amount_minor, message.currency
    if amount < 0 and commerce.terms_of(message) is not None:
        return commerce.asked_to_refund(state, message, time_us)
    if amount < 0 and _was_left_something(state, account):
        enough, same = -amount <= state.accounts[account].available, state.accounts[account].currency == currency
        refusal = None if enough and same else Reason.INSUFFICIENT_FUNDS if same else Reason.CURRENCY_MISMATCH
    elif amount < 0:
        refusal = cannot_give(state, account, -amount, currency)
    else:
        refusal = cannot_take(state, account, amount, currency)
    if refusal is not None:
        return refused(message, refusal)
    leg = state.legs[message.operation_id] = Leg(account, journal_of(message), amount, currency)
    state.move(account, min(amount, 0))
    details = (*message.details, leg_item(message.operation_id, leg))
    return Effect(EntryKind.LEG_RESERVED, one_sided(message), account, details, messages=(agreed(message),))


def _was_left_something(state: State, account: bytes) -> bool:
    """A payment came back when the account was closed already."""
    known = state.accounts.get(account)
    return known is not None and known.standing is AccountStatus.CLOSED and known.available > 0


def refused(message: Credit, refusal: Reason) -> Effect:
    """The leg says no, and nothing moved."""
    answer = message._replace(step=Step.PREPARED, reason=refusal)
    parties = one_sided(message)
    return Effect(EntryKind.LEG_REFUSED, parties, message.payee, message.details, reason=refusal, messages=(answer,))


def agreed(message: Credit) -> Credit:
    return message._replace(step=Step.PREPARED)


def journal_of(message: Credit) -> bytes:
    cause = message.details[0]
    assert isinstance(cause, Cause)
    return cause.cause_id


def answered(state: State, message: Credit) -> Effect:
    """The first refusal is the journal's; the last answer decides."""
    journal_id = journal_of(message)
    journal = state.journals[journal_id]
    journal.awaited -= 1
    if journal.refusal is Reason.NONE:
        journal.refusal = message.reason
    if journal.awaited:
        return Effect(EntryKind.NOTED, _named(journal), details=(journal_item(journal_id, journal, is_open=True),))
    if journal_id in state.requests:
        return commerce.all_agreed(state, journal_id)
    if journal.refusal is not Reason.NONE:
        return cancel(state, journal_id, _named(journal))
    return post(state, journal_id, _named(journal))


def cancel(state: State, journal_id: bytes, parties: Parties, *details: Detail) -> Effect:
    """None of the legs."""
    messages = to_legs(state, journal_id, Step.CANCEL)
    journal = state.journals.pop(journal_id)
    return Effect(
        EntryKind.JOURNAL_CANCELLED,
        parties,
        details=(*details, journal_item(journal_id, journal, is_open=False)),
        reason=journal.refusal,
        messages=messages,
        operation_id=journal_id,
    )


def post(state: State, journal_id: bytes, parties: Parties, *details: Detail) -> Effect:
    """All legs."""
    messages = to_legs(state, journal_id, Step.SETTLE)
    journal = state.journals.pop(journal_id)
    for id_, leg in state.legs.items():
        if leg.journal_id == journal_id:
            state.legs[id_] = replace(leg, is_posted=True)
    return Effect(
        EntryKind.JOURNAL_POSTED,
        parties,
        details=(Legs(journal.legs), *details, journal_item(journal_id, journal, is_open=False)),
        posted=state.post(*journal.legs),
        messages=messages,
        operation_id=journal_id,
    )


def ended(state: State, message: Credit, time_us: int) -> Effect | None:
    """Posted: a credit is there. Cancelled: a debit is back. None where the leg itself had refused."""
    leg = state.legs.pop(message.operation_id, None)
    if leg is None:
        assert message.step is Step.CANCEL, "a journal was posted without one of its legs"
        return None
    is_posted = message.step is Step.SETTLE
    assert leg.is_posted == is_posted
    if commerce.terms_of(message) is not None:
        return commerce.ended(state, message, leg, time_us)
    state.move(leg.account, max(leg.amount, 0) if is_posted else max(-leg.amount, 0))
    kind = EntryKind.LEG_SETTLED if is_posted else EntryKind.LEG_RELEASED
    details = (*message.details, leg_item(message.operation_id, leg, is_open=False))
    return Effect(kind, one_sided(message), leg.account, details)


def _malformed(legs: tuple[Posting, ...]) -> Reason | None:
    if len(legs) < 2 or len(legs) > 64:
        return Reason.LEGS_INVALID
    for account, amount, currency in legs:
        if account == NIL or not is_amount(abs(amount)):
            return Reason.LEGS_INVALID
        if is_operators(account) and OPERATORS.get(account) != currency:
            return Reason.LEGS_INVALID
    return None if balances(legs) else Reason.JOURNAL_UNBALANCED


def to_legs(state: State, journal_id: bytes, step: Step) -> tuple[Credit, ...]:
    """What the customers among the legs are told; a seller of which order it is."""
    journal = state.journals[journal_id]
    details: tuple[Detail, ...] = (journal_cause(journal_id), *commerce.terms(state, journal_id))
    return tuple(
        Credit(leg_id(journal_id, index), journal.owner, *leg, journal.reply_to, step=step, details=details)
        for index, leg in enumerate(journal.legs)
        if not is_operators(leg.account)
    )


def _named(journal: Journal) -> Parties:
    """What is debited in the currency of the first leg."""
    currency = journal.legs[0].currency
    debited = sum(-leg.amount_minor for leg in journal.legs if leg.currency == currency and leg.amount_minor < 0)
    return Parties(journal.owner, NIL, debited, currency)


def one_sided(message: Credit, moved: int | None = None) -> Parties:
    """The one account, and what of the leg moves what is available, where that is not all of it."""
    amount = message.amount_minor
    sides = (message.payee, NIL) if amount < 0 else (NIL, message.payee)
    return Parties(*sides, abs(amount) if moved is None else moved, message.currency)
