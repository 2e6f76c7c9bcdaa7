"""Which source document asks for which route: read off the documents, by the path under which the app serves it."""

from typing import Final

Route = tuple[str, str]

DOCUMENTS: Final[dict[str, frozenset[Route]]] = {
    "wallet": frozenset(
        {
            ("POST", "/v1/transaction"),
            ("GET", "/v1/transactions/{payment_id}"),
            ("GET", "/v1/bankAccuonts/{user_id}"),
            ("GET", "/v1/user/{user_id}"),
            ("POST", "/v1/user/{user_id}/accounts"),
            ("DELETE", "/v1/user/{user_id}/accounts/{bank_account_id}"),
            ("DELETE", "/v1/account/{bank_account_id}"),
            ("PUT", "/v1/user/{user_id}"),
        }
    ),
    "ecommerce": frozenset({("POST", "/v1/payments"), ("GET", "/v1/payments/{payment_id}")}),
    "microservices": frozenset(
        {
            ("POST", "/v1/order"),
            ("POST", "/v1/payment"),
            ("DELETE", "/v1/order"),
            ("POST", "/v1/refunds/{payment_id}"),
            ("GET", "/v1/payment/{payment_id}"),
            ("POST", "/v1/user"),
            ("PUT", "/v1/user"),
            ("GET", "/v1/user/{user_id}"),
            ("POST", "/v1/auth"),
            ("POST", "/v1/ledger"),
            ("GET", "/v1/ledger/{user_id}"),
            ("GET", "/v1/wallet/balance"),
            ("POST", "/v1/wallet/debit"),
            ("POST", "/v1/wallet/credit"),
            ("POST", "/v1/risk"),
        }
    ),
    "banking_ledger": frozenset(
        {
            ("POST", "/v1/generate_token/{account_id}"),
            ("PUT", "/v1/generate_token/{account_id}"),
            ("GET", "/v1/balance"),
        }
    ),
    "payment_service_api": frozenset(
        {
            ("POST", "/v1/accounts"),
            ("GET", "/v1/accounts/{account_id}"),
            ("PUT", "/v1/accounts/{account_id}"),
            ("POST", "/v1/transfers"),
            ("GET", "/v1/accounts/{account_id}/balance"),
            ("POST", "/v1/accounts/{account_id}/deposit"),
            ("POST", "/v1/accounts/{account_id}/withdraw"),
            ("POST", "/v1/external-banks/{bank_id}/transfers"),
            ("GET", "/v1/transactions"),
            ("GET", "/v1/transactions/{payment_id}"),
            ("GET", "/v1/transfers/{payment_id}/status"),
        }
    ),
}
"""By the name of its file, in the order of their numbers: document 0 is the wallet's."""


def documents_of(route: Route) -> list[str]:
    """Those that ask for this route."""
    return [name for name, routes in DOCUMENTS.items() if route in routes]
