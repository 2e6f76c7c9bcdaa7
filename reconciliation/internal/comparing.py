"""What does not agree about one movement of money outside, or about one wallet. Pure: no I/O, and now is an argument.

Guarantees: a movement that is in flight gives nothing; of how far it is there is at most one finding, so that the same
trouble is one break while more of it becomes known.
"""

from collections.abc import Iterator
from datetime import UTC
from typing import Final

from payments.commerce.connector import ConnectorOperation, Outcome
from reconciliation.internal import evidence
from reconciliation.internal.findings import Finding, Repair
from reconciliation.internal.views import (
    AttemptView,
    InFlight,
    JournalView,
    LedgerView,
    Leg,
    Movement,
    OrderView,
    Phase,
    ProviderView,
    Wallet,
)
from reconciliation.internal.windows import LOOKUP_LAG, Moment
from reconciliation.matching.breaks import BreakType

_ORDERED: Final = frozenset({ConnectorOperation.CHARGE, ConnectorOperation.REFUND})


def compare(movement: Movement, moment: Moment) -> list[Finding]:
    """Everything that does not agree; nothing of what is in flight."""
    if not moment.is_settled(movement):
        return []
    progress = _progress(movement, moment)
    return [*([progress] if progress else []), *_amounts(movement), *_refunds(movement), *_unshown(movement)]


def compare_wallet(wallet: Wallet) -> list[Finding]:
    """What the account shows against the sum of its entries."""
    posted = wallet.posted_minor - wallet.entries_posted_minor
    available = wallet.available_minor - wallet.entries_available_minor
    if not posted and not available:
        return []
    day, told = wallet.changed_at.astimezone(UTC).date(), evidence.of_wallet(wallet)
    reason, difference = "the balance is not the sum of its entries", posted or available
    return [Finding(BreakType.WALLET_MISMATCH, wallet.account, reason, difference, wallet.currency, day, told)]


def stuck_payment(one: InFlight) -> Finding:
    """Of one that should have been posted or returned long ago."""
    reason, told = "it has left its payer, and is neither posted nor returned", evidence.of_payment(one)
    day = one.decided_at.astimezone(UTC).date()
    return Finding(BreakType.STUCK_EXECUTING, one.id, reason, one.amount_minor, one.currency, day, told)


def knows_better(movement: Movement) -> ProviderView | None:
    """What the provider said, where nothing of ours has changed since it was asked."""
    provider, attempt = movement.provider, movement.attempt
    is_fresh = provider is not None and attempt is not None and provider.asked_at >= attempt.changed_at
    return provider if is_fresh else None


def _progress(one: Movement, moment: Moment) -> Finding | None:
    if one.attempt is None:
        return _found(one, BreakType.ORDER_WITHOUT_ATTEMPT, "an order that no provider is to be asked for")
    if one.attempt.operation in _ORDERED and not one.attempt.has_order:
        return _found(one, BreakType.ATTEMPT_WITHOUT_ORDER, "a provider is asked for an order that there is none of")
    said = knows_better(one)
    is_captured = one.attempt.phase is Phase.DONE or (said is not None and said.outcome is Outcome.SUCCEEDED)
    if one.ledger is None and is_captured:
        return _captured_not_posted(one, one.attempt, said)
    if one.ledger is not None and (one.attempt.phase is not Phase.DONE or _denies(one.attempt, said)):
        return _posted_not_captured(one, one.attempt, said)
    if len(_phases(one)) > 1:
        return _found(one, BreakType.STATUS_MISMATCH, "the sides are not equally far")
    if one.attempt.is_open and moment.is_stuck(one):
        return _stuck(one, one.attempt, said, moment)
    return None


def _captured_not_posted(one: Movement, attempt: AttemptView, said: ProviderView | None) -> Finding:
    """Open: the next answer posts it. Ended as failed: only a journal can. Ended as done: a table lacks the entry."""
    reason = "the provider has done it, and it is not posted"
    if attempt.is_open:
        return _inquired(one, BreakType.CAPTURED_NOT_POSTED, reason, attempt, Repair.REPLAY_RESULT)
    if attempt.phase is Phase.DONE or said is None or one.journal is None or not one.journal.is_refused:
        return _found(one, BreakType.CAPTURED_NOT_POSTED, reason)
    return _found(one, BreakType.CAPTURED_NOT_POSTED, reason, _scaled(one.journal, said.moved_minor))


def _posted_not_captured(one: Movement, attempt: AttemptView, said: ProviderView | None) -> Finding | None:
    if said is not None and said.outcome is Outcome.SUCCEEDED:
        return _found(one, BreakType.STATUS_MISMATCH, "posted and done at the provider; the attempts say otherwise")
    reason = "it is posted, and the provider has not done it"
    if _denies(attempt, said) and one.journal is not None:
        return _found(one, BreakType.POSTED_NOT_CAPTURED, reason, _turned(one.journal.legs))
    return _found(one, BreakType.POSTED_NOT_CAPTURED, reason)


def _stuck(one: Movement, attempt: AttemptView, said: ProviderView | None, moment: Moment) -> Finding:
    if attempt.asked_in is None:
        return _found(one, BreakType.STUCK_EXECUTING, "a leg has not answered, so the provider was never asked")
    if not moment.is_unattended(attempt):
        return _found(one, BreakType.STUCK_EXECUTING, "open for too long; another attempt follows")
    told = "" if said is None else f"; the provider says {evidence.shown_provider(said)}"
    return _inquired(one, BreakType.STUCK_EXECUTING, f"open, and nobody asks any more{told}", attempt, Repair.INQUIRE)


def _denies(attempt: AttemptView, said: ProviderView | None) -> bool:
    """Surely not done: refused, or without a trace when there had to be one."""
    if said is None:
        return False
    if said.outcome is Outcome.FAILED:
        return True
    return not said.has_trace and said.asked_at >= attempt.changed_at + LOOKUP_LAG


def _phases(one: Movement) -> set[Phase]:
    sides = (one.order, one.attempt, one.journal)
    told = {side.phase for side in sides if side is not None}
    return told | ({Phase.DONE} if one.ledger is not None else set())


def _amounts(one: Movement) -> Iterator[Finding]:
    """Of what is posted and what the provider moved, the difference may be adjusted; any other is for people."""
    told = _told(one)
    if len({currency for _, currency in told.values()}) > 1 or (one.ledger is not None and one.ledger.currencies > 1):
        yield _found(one, BreakType.CURRENCY_MISMATCH, "the sides tell different currencies")
    elif len({minor for minor, _ in told.values()}) > 1:
        yield _amount_mismatch(one, {side: minor for side, (minor, _) in told.items()})


def _amount_mismatch(one: Movement, told: dict[str, int]) -> Finding:
    reason = "the sides tell different amounts"
    ours, theirs = told.get("ledger"), told.pop("provider", None)
    if ours is None or theirs is None or one.journal is None or set(told.values()) != {ours}:
        others = [*told.values(), *([theirs] if theirs is not None else [])]
        first = ours if ours is not None else others[0]
        rest = next((minor for minor in others if minor != first), first)
        return _found(one, BreakType.AMOUNT_MISMATCH, reason)._replace(difference_minor=first - rest)
    legs = _scaled(one.journal, theirs - ours)
    return _found(one, BreakType.AMOUNT_MISMATCH, reason, legs)._replace(difference_minor=ours - theirs)


def _told(one: Movement) -> dict[str, tuple[int, str]]:
    """Amount and currency by side, of a refund without its order."""
    sides: dict[str, OrderView | AttemptView | LedgerView | None] = {
        "attempts": one.attempt,
        "order": one.order if one.attempt is None or one.attempt.operation is ConnectorOperation.CHARGE else None,
        "ledger": one.ledger,
    }
    told = {name: (side.amount_minor, side.currency) for name, side in sides.items() if side is not None}
    said = knows_better(one)
    if said is not None and said.outcome is Outcome.SUCCEEDED and said.moved_minor is not None:
        told["provider"] = said.moved_minor, said.moved_currency
    return told


def _refunds(one: Movement) -> Iterator[Finding]:
    """An order counts its refunds; those that were asked for and not refused have to come to the same."""
    order = one.order
    if order is None or (one.attempt is not None and one.attempt.operation is not ConnectorOperation.CHARGE):
        return
    if order.refunded_minor != order.refunds_minor:
        yield _found(one, BreakType.REFUND_MISMATCH, "the order counts other refunds than there are")._replace(
            difference_minor=order.refunded_minor - order.refunds_minor
        )


def _unshown(one: Movement) -> Iterator[Finding]:
    if one.ledger is not None and one.wallet is not None and one.wallet.is_open:
        yield _found(one, BreakType.WALLET_MISMATCH, "it is posted, and the wallet does not show it")


def _found(one: Movement, type_: BreakType, reason: str, legs: tuple[Leg, ...] = ()) -> Finding:
    side = one.attempt or one.order or one.ledger
    assert side is not None  # a movement that no side tells of is not read
    sign = -1 if type_ is BreakType.CAPTURED_NOT_POSTED else 1
    return Finding(
        type_,
        one.id,
        reason,
        sign * side.amount_minor,
        side.currency,
        one.opened_at.astimezone(UTC).date(),
        evidence=evidence.of_movement(one),
        repair=Repair.ADJUST if legs else Repair.NONE,
        legs=legs,
    )


def _inquired(one: Movement, type_: BreakType, reason: str, attempt: AttemptView, repair: Repair) -> Finding:
    if attempt.asked_in is None:
        return _found(one, type_, reason)
    return _found(one, type_, reason)._replace(repair=repair, attempt=attempt.attempt, asked_in=attempt.asked_in)


def _turned(legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
    return tuple((account, -minor, currency) for account, minor, currency in legs)


def _scaled(journal: JournalView, minor: int | None) -> tuple[Leg, ...]:
    """The two legs of a movement for another amount, turned round where it is below 0; as they are without one."""
    if minor is None:
        return journal.legs
    return tuple((account, minor if own > 0 else -minor, currency) for account, own, currency in journal.legs)
