"""Money that leaves the balance: payouts to a bank account, transfers to a connected one. Never more than it has."""

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.forms import positive, require
from connectors.sandbox.objects.balance import available, book, checked_currency
from connectors.sandbox.refusal import JsonObject, Refused, wrong_state

CREATE_PARAMS = frozenset({"amount", "currency", "destination", "description", "metadata", "source_transaction"})


def create_payout(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/payouts. It is on its way until the bank has it. Raises Refused."""
    amount, currency = _covered(account, params)
    payout = account.new(
        "payout",
        "po",
        amount=amount,
        balance_transaction=None,
        currency=currency,
        destination=params.get("destination"),
        failure_code=None,
        metadata=params.get("metadata", {}),
        status="pending",
    )
    payout["balance_transaction"] = book(account, "payout", payout, -amount)
    account.save(payout)
    account.tell("payout.created", payout)
    return payout


def create_transfer(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/transfers. Done at once. Raises Refused."""
    destination = str(require(params, "destination"))
    amount, currency = _covered(account, params)
    transfer = account.new(
        "transfer",
        "tr",
        amount=amount,
        amount_reversed=0,
        balance_transaction=None,
        currency=currency,
        destination=destination,
        metadata=params.get("metadata", {}),
    )
    transfer["balance_transaction"] = book(account, "transfer", transfer, -amount)
    account.save(transfer)
    account.tell("transfer.created", transfer)
    return transfer


def arrive(account: StripeAccount, payout_id: str, *, is_paid: bool) -> JsonObject:
    """What the bank does with a payout, days later: a failed one comes back. Raises Refused."""
    payout = account.get("payout", payout_id)
    if payout["status"] != "pending":
        raise wrong_state("This payout is not pending.", code="payout_not_pending")
    payout["status"] = "paid" if is_paid else "failed"
    if not is_paid:
        payout["failure_code"] = "account_closed"
        book(account, "payout_failure", payout, payout["amount"])
    account.save(payout)
    account.tell("payout.paid" if is_paid else "payout.failed", payout)
    return payout


def _covered(account: StripeAccount, params: JsonObject) -> tuple[int, str]:
    amount, currency = positive(params, "amount"), checked_currency(str(require(params, "currency")))
    if amount > available(account).get(currency, 0):
        message = "You have insufficient available funds in your Stripe account."
        raise Refused(400, "balance_insufficient", message, param="amount")
    return amount, currency
