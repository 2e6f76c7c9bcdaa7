"""Journals of several legs, entries by user, and rates between currencies."""

from collections.abc import Mapping, Sequence
from typing import Any

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.history import FxQuote, Journal, LedgerEntry
from millrace.client.requests import Amount, Ask, Moment, amount_text, given


class Journals(Resource[C]):
    """`client.journals`."""

    @endpoint("POST /v1/ledger", Journal, keyed=True)
    def post(
        self,
        legs: Sequence[Mapping[str, Any]],
        *,
        description: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Post 2 to 64 balanced legs: `{"account": …, "side": "debit", "amount": "10.50", "currency": "EUR"}`."""
        body = given(legs=[given(**leg) for leg in legs], description=description, reason=reason)
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/ledger/splits", Journal, keyed=True)
    def split(
        self,
        from_account: str,
        amount: str,
        currency: str,
        shares: Sequence[Mapping[str, Any]],
        *,
        remainder_to: str | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Divide an amount: `{"account": …, "basis_points": 500, "fixed": "0.30"}`, the rest to `remainder_to`."""
        parts = [given(**share) for share in shares]
        body = given(
            from_account=from_account,
            amount=amount,
            currency=currency,
            shares=parts,
            remainder_to=remainder_to,
            description=description,
        )
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("GET /v1/journals/{journal_id}", Journal)
    def get(self, journal_id: str) -> Ask:
        """The journal with its legs."""
        return Ask((journal_id,))

    @listing("GET /v1/ledger/{user_id}", LedgerEntry)
    def entries_of_user(
        self,
        user_id: str,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Entries in all accounts of a user."""
        return Ask((user_id,), given(start=since, end=until, limit=limit, cursor=cursor))


class FxQuotes(Resource[C]):
    """`client.fx_quotes`. A transfer takes the quote's id as `quote_id`."""

    @endpoint("POST /v1/fx/quotes", FxQuote)
    def create(self, sell_currency: str, buy_currency: str, amount: Amount, *, fixed_side: str | None = None) -> Ask:
        """A rate that holds for a short while. `fixed_side`: whether `amount` is what is sold or bought."""
        amount = amount_text(amount)
        body = given(sell_currency=sell_currency, buy_currency=buy_currency, amount=amount, fixed_side=fixed_side)
        return Ask(body=body)

    @endpoint("GET /v1/fx/quotes/{quote_id}", FxQuote)
    def get(self, quote_id: str) -> Ask:
        """A quote, and whether it was used."""
        return Ask((quote_id,))
