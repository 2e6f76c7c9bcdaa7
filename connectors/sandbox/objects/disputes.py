"""Disputes: the money goes at once, with a fee; evidence brings it back or not, as Stripe's test evidence says."""

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.objects.balance import DISPUTE_FEE, book
from connectors.sandbox.refusal import JsonObject, wrong_state

_OPEN = frozenset({"needs_response", "under_review"})


def open_dispute(account: StripeAccount, charge: JsonObject, reason: str) -> None:
    """The payer has complained to the issuer."""
    dispute = account.new(
        "dispute",
        "du",
        amount=charge["amount_captured"],
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        evidence={},
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    dispute["balance_transactions"] = [book(account, "adjustment", dispute, -dispute["amount"], DISPUTE_FEE)]
    account.save(dispute)
    charge["disputed"] = True
    account.save(charge)
    account.tell("charge.dispute.created", dispute)


def answer(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/disputes/{id}: evidence; `winning_evidence` wins, `losing_evidence` loses. Raises Refused."""
    dispute = _open_one(account, params["id"])
    dispute["evidence"] |= params.get("evidence", {})
    text = dispute["evidence"].get("uncategorized_text", "")
    if text in {"winning_evidence", "losing_evidence"}:
        return _closed(account, dispute, won=text == "winning_evidence")
    if params.get("submit") == "true":
        dispute["status"] = "under_review"
    return account.save(dispute)


def close(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/disputes/{id}/close: accept it as lost. Raises Refused."""
    return _closed(account, _open_one(account, params["id"]), won=False)


def _open_one(account: StripeAccount, dispute_id: str) -> JsonObject:
    dispute = account.get("dispute", dispute_id)
    if dispute["status"] not in _OPEN:
        raise wrong_state("This dispute is already closed.", code="dispute_closed")
    return dispute


def _closed(account: StripeAccount, dispute: JsonObject, *, won: bool) -> JsonObject:
    dispute["status"] = "won" if won else "lost"
    if won:
        dispute["balance_transactions"].append(book(account, "adjustment", dispute, dispute["amount"]))
    account.save(dispute)
    account.tell("charge.dispute.closed", dispute)
    return dispute
