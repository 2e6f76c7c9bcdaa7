"""Holds: an amount set aside for a payee, captured in parts, raised, given back by a void or by its expiry."""

from payments.entries import EntryKind
from payments.items.details import Cause, CauseKind
from payments.money import MAX_MINOR
from payments.movements.instructions import CaptureHold, PlaceHold, RaiseHold, VoidHold
from payments.rejections import Reason
from payments.risk.verdict import Outcome
from tests.model.rules.effects import Effect, Parties
from tests.model.rules.movements import cannot_give, cannot_pay, credit_of
from tests.model.rules.risk import ended, raised
from tests.model.rules.state import Hold, State, hold_item

LONGEST_US = 31 * 86_400 * 1_000_000


def place(state: State, operation_id: bytes, asked: PlaceHold, time_us: int) -> Effect | Reason:
    """For at most 31 days."""
    parties = Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
    refusal = cannot_pay(state, parties)
    if refusal is not None:
        return refusal
    if asked.expires_at_us <= time_us or asked.expires_at_us > time_us + LONGEST_US:
        return Reason.EXPIRY_INVALID
    hold = Hold(asked.payer, asked.payee, asked.amount_minor, 0, asked.currency, asked.expires_at_us)
    state.holds[operation_id] = hold
    state.move(asked.payer, -asked.amount_minor)
    return Effect(EntryKind.HELD, parties, asked.payer, (hold_item(operation_id, hold),))


def increase(state: State, _: bytes, asked: RaiseHold, time_us: int) -> Effect | Reason:
    """More of the account's money for the same payee."""
    hold = _open_hold(state, asked.payer, asked.hold_id, time_us)
    if isinstance(hold, Reason):
        return hold
    if asked.amount_minor < 1 or hold.amount + asked.amount_minor > MAX_MINOR:
        return Reason.AMOUNT_INVALID
    refusal = cannot_give(state, hold.payer, asked.amount_minor, hold.currency)
    judged = raised(state, hold, asked.amount_minor, time_us, is_possible=refusal is None)
    if judged is not None and (refusal is not None or judged.outcome is not Outcome.ALLOW):
        about = Parties(hold.payer, amount=asked.amount_minor, currency=hold.currency)
        reason = refusal or Reason(judged.reasons[0])
        return Effect(EntryKind.REJECTED, about, asked.payer, (judged,), reason=reason)
    if refusal is not None:
        return refusal
    hold.amount += asked.amount_minor
    state.move(hold.payer, -asked.amount_minor)
    parties = Parties(hold.payer, hold.payee, asked.amount_minor, hold.currency)
    told = () if judged is None else (judged,)
    return Effect(EntryKind.HOLD_RAISED, parties, hold.payer, (hold_item(asked.hold_id, hold), *told))


def capture(state: State, operation_id: bytes, asked: CaptureHold, time_us: int) -> Effect | Reason:
    """Never more than is held; an account that was frozen since keeps its promise."""
    hold = _open_hold(state, asked.payer, asked.hold_id, time_us)
    if isinstance(hold, Reason):
        return hold
    if asked.amount_minor < 1:
        return Reason.AMOUNT_INVALID
    if asked.amount_minor > hold.amount:
        return Reason.CAPTURE_EXCEEDS_HOLD
    hold.amount -= asked.amount_minor
    hold.captured += asked.amount_minor
    ends = asked.is_final or hold.amount == 0
    if ends:
        state.move(hold.payer, hold.amount)
        del state.holds[asked.hold_id]
    cause = Cause(CauseKind.CAPTURE, asked.hold_id)
    parties = Parties(hold.payer, hold.payee, asked.amount_minor, hold.currency)
    message = credit_of(operation_id, parties, asked.envelope.reply_to, cause)
    item = hold_item(asked.hold_id, hold, is_open=not ends)
    return Effect(EntryKind.CAPTURED, parties, hold.payer, (cause, item), messages=(message,))


def void(state: State, _: bytes, asked: VoidHold, __: int) -> Effect | Reason:
    """At any time before it ends."""
    hold = state.holds.get(asked.hold_id)
    if hold is None or hold.payer != asked.payer or hold.is_review:
        return Reason.HOLD_NOT_FOUND
    return _give_back(state, asked.hold_id, Reason.NONE)


def expired(state: State, hold_id: bytes) -> Effect:
    """Its time has come; a review that nobody has decided ends with it."""
    if state.holds[hold_id].is_review:
        return ended(state, hold_id, Reason.REVIEW_EXPIRED, Cause(CauseKind.REVIEW, hold_id))
    return _give_back(state, hold_id, Reason.HOLD_EXPIRED)


def _open_hold(state: State, payer: bytes, hold_id: bytes, time_us: int) -> Hold | Reason:
    hold = state.holds.get(hold_id)
    if hold is None or hold.payer != payer or hold.is_review:
        return Reason.HOLD_NOT_FOUND
    return hold if time_us < hold.expires_at_us else Reason.HOLD_EXPIRED


def _give_back(state: State, hold_id: bytes, reason: Reason) -> Effect:
    hold = state.holds.pop(hold_id)
    state.move(hold.payer, hold.amount)
    details = (Cause(CauseKind.CAPTURE, hold_id), hold_item(hold_id, hold, is_open=False))
    parties = Parties(hold.payer, hold.payee, hold.amount, hold.currency)
    return Effect(EntryKind.RELEASED, parties, hold.payer, details, reason=reason)
