"""What each side says of a movement or a wallet, in words and amounts, as people read it. Pure."""

from payments.money import format_minor
from reconciliation.internal.views import AttemptView, InFlight, LedgerView, Movement, OrderView, ProviderView, Wallet


def of_wallet(wallet: Wallet) -> dict[str, str]:
    """Posted and available of both."""
    return {
        "wallet": _both(wallet.posted_minor, wallet.available_minor, wallet.currency),
        "ledger": _both(wallet.entries_posted_minor, wallet.entries_available_minor, wallet.currency),
    }


def of_payment(one: InFlight) -> dict[str, str]:
    """Where it was decided."""
    amount = f"{format_minor(one.amount_minor, one.currency)} {one.currency}"
    return {"decision": f"{amount} reserved, shard {one.shard} offset {one.offset}", "ledger": "nothing"}


def of_movement(one: Movement) -> dict[str, str]:
    """Every side; `nothing` where it has nothing of it."""
    told = {
        "order": _shown_order(one.order) if one.order is not None else "",
        "attempts": _shown_attempt(one.attempt) if one.attempt is not None else "",
        "journal": one.journal.phase if one.journal is not None else "",
        "ledger": _shown_entry(one.ledger) if one.ledger is not None else "",
        "wallet": "" if one.wallet is None else "waits" if one.wallet.is_open else "shown",
        "provider": shown_provider(one.provider) if one.provider is not None else "not asked",
    }
    return {side: text or "nothing" for side, text in told.items()}


def _shown_order(order: OrderView) -> str:
    amount = f"{format_minor(order.amount_minor, order.currency)} {order.currency}"
    refunds = f", refunded {order.refunded_minor}, refunds {order.refunds_minor}" if order.refunded_minor else ""
    return f"{order.payment_order_id}: {order.status.name}, {amount}{refunds}"


def _shown_attempt(attempt: AttemptView) -> str:
    amount = f"{format_minor(attempt.amount_minor, attempt.currency)} {attempt.currency}"
    outcome = attempt.outcome.value if attempt.outcome is not None else "no answer"
    follows = ", another follows" if attempt.attempt_follows else ""
    ended = "" if attempt.is_open else ", ended"
    name = attempt.operation.name.lower()
    return f"{name} of {amount} by {attempt.provider}, attempt {attempt.attempt}: {outcome}{ended}{follows}" + (
        f" ({attempt.reference})" if attempt.reference else ""
    )


def _shown_entry(entry: LedgerView) -> str:
    place = entry.place
    amount = f"{format_minor(entry.amount_minor, entry.currency)} {entry.currency}"
    return f"{amount}, shard {place.shard} offset {place.offset} entry {place.entry_index}"


def shown_provider(said: ProviderView) -> str:
    """What it answered."""
    moved = f" {format_minor(said.moved_minor, said.moved_currency)} {said.moved_currency}" if said.moved_minor else ""
    trace = "" if said.has_trace else ", no trace of it"
    return f"{said.outcome.value}{moved}{trace}" + (f" ({said.reference})" if said.reference else "")


def _both(posted_minor: int, available_minor: int, currency: str) -> str:
    posted, available = format_minor(posted_minor, currency), format_minor(available_minor, currency)
    return f"posted {posted} {currency}, available {available} {currency}"
