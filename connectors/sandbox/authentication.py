"""The page of the payer's bank in 3-D Secure: two buttons, then back to the shop. Each payment is answered once."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.objects import intents
from connectors.sandbox.refusal import JsonObject

_PAGE: Final = """<!doctype html><html lang="en"><title>3-D Secure (sandbox)</title>
<h1>Confirm the payment of {amount} {currency}?</h1>
<p>In the smallest unit of the currency. Nobody is charged: this is a sandbox.</p>
<form method="post"><button name="success" value="true">Confirm</button>
<button name="success" value="false">Refuse</button></form></html>
"""


_ANSWERED: Final = (
    '<!doctype html><html lang="en"><title>3-D Secure</title><p>Nothing is asked here any more.</p></html>'
)


def page(account: StripeAccount, intent_id: str) -> Response:
    """GET: what the payer is asked."""
    intent = account.store.find(intent_id)
    if not _return_url(intent):
        return HTMLResponse(_ANSWERED, 410)
    assert intent is not None
    return HTMLResponse(_PAGE.format(amount=intent["amount"], currency=intent["currency"].upper()))


def answered(account: StripeAccount, intent_id: str, *, is_successful: bool) -> Response:
    """POST: take the payer's answer, once, and send the browser back to the shop."""
    back = _return_url(account.store.find(intent_id))
    if not back:
        return HTMLResponse(_ANSWERED, 410)
    intent = intents.authenticate(account, intent_id, is_successful=is_successful)
    status = "failed" if intent["last_payment_error"] else "succeeded"
    told = urlencode({"payment_intent": intent_id, "redirect_status": status})
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{told}", status_code=303)


def _return_url(intent: JsonObject | None) -> str:
    """Where a payment that waits for its payer returns to; empty where it does not wait, or at no page."""
    action = (intent or {}).get("next_action") or {}
    return str(action.get("redirect_to_url", {}).get("return_url", ""))
