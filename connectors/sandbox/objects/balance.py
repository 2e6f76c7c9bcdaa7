"""The account's balance: one balance transaction for everything that moves money, with the fee that Stripe keeps."""

from typing import Final

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.refusal import JsonObject, invalid

DISPUTE_FEE: Final = 1_500
MINIMUM: Final = 50
_ZERO = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_ZERO_DECIMAL: Final = frozenset(_ZERO.split())
_THREE_DECIMAL: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_WHOLE: Final = frozenset({"isk", "ugx"})


def checked_amount(amount: int, currency: str) -> int:
    """Raises Refused for what Stripe does not charge: too little, or fractions that the currency does not have."""
    if amount < MINIMUM:
        raise invalid("amount", "amount_too_small", f"Amount must be at least {MINIMUM} {currency}.")
    if amount > 99_999_999:
        raise invalid("amount", "amount_too_large", "Amount must be no more than 999,999.99.")
    if (currency in _WHOLE and amount % 100) or (currency in _THREE_DECIMAL and amount % 10):
        code = "invalid_charge_amount_no_decimal_compatible"
        raise invalid("amount", code, f"Invalid amount. {currency} has no such fractions.")
    return amount


def checked_currency(currency: str) -> str:
    """Raises Refused for what is no code in lower case."""
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.islower()):
        raise invalid("currency", "invalid_currency", f"Invalid currency: {currency}")
    return currency


def charge_fee(amount: int, currency: str) -> int:
    """2.9 % and 30 cents; where there are no cents 3.6 %. Half a unit is rounded up."""
    if currency in _ZERO_DECIMAL:
        return (amount * 36 + 500) // 1_000
    return (amount * 29 + 500) // 1_000 + 30


def book(account: StripeAccount, kind: str, source: JsonObject, amount: int, fee: int = 0) -> str:
    """Move the balance; the transaction's id. `amount` is negative for what leaves."""
    transaction = account.new(
        "balance_transaction",
        "txn",
        type=kind,
        source=source["id"],
        amount=amount,
        fee=fee,
        fee_details=[{"amount": fee, "currency": source["currency"], "type": "stripe_fee"}] if fee else [],
        net=amount - fee,
        currency=source["currency"],
        status="available",
        reporting_category=kind,
    )
    return str(account.save(transaction)["id"])


def available(account: StripeAccount) -> dict[str, int]:
    """Per currency: what came in, less fees and what went out. Every charge is available at once."""
    totals: dict[str, int] = {}
    for transaction in account.all("balance_transaction"):
        totals[transaction["currency"]] = totals.get(transaction["currency"], 0) + transaction["net"]
    return totals


def retrieve(account: StripeAccount, _: JsonObject) -> JsonObject:
    """GET /v1/balance"""
    funds = [{"amount": amount, "currency": currency} for currency, amount in sorted(available(account).items())]
    return {"object": "balance", "available": funds, "pending": [], "livemode": False}
