"""Disputes about payments, and the debts that they leave."""

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.money import Dispute, Receivable
from millrace.client.requests import Amount, Ask, Moment, amount_text, given


class Disputes(Resource[C]):
    """`client.disputes`."""

    @endpoint("POST /v1/disputes", Dispute, keyed=True)
    def open(
        self,
        payment: str,
        *,
        amount: Amount | None = None,
        fee: Amount | None = None,
        provider_fee: Amount | None = None,
        provisional: bool | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Dispute a payment that a merchant got, or part of it. `provisional`: the customer has it back meanwhile."""
        body = given(
            payment=payment,
            amount=amount_text(amount) if amount is not None else None,
            fee=amount_text(fee) if fee is not None else None,
            provider_fee=amount_text(provider_fee) if provider_fee is not None else None,
            provisional=provisional,
            description=description,
        )
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @listing("GET /v1/disputes", Dispute)
    def list(
        self,
        *,
        account: str | None = None,
        status: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Disputes, the latest first."""
        query = given(account=account, status=status, from_=since, to=until, limit=limit, cursor=cursor)
        return Ask(query=query)

    @endpoint("GET /v1/disputes/{dispute_id}", Dispute)
    def get(self, dispute_id: str) -> Ask:
        """The dispute with its evidence."""
        return Ask((dispute_id,))

    @endpoint("POST /v1/disputes/{dispute_id}/evidence", Dispute, keyed=True)
    def add_evidence(
        self, dispute_id: str, sha256: str, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """Note a document by the SHA-256 of its bytes."""
        return Ask((dispute_id,), body={"sha256": sha256}, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/disputes/{dispute_id}/accept", Dispute, keyed=True)
    def accept(self, dispute_id: str, *, idempotency_key: str | None = None, wait_s: int | None = None) -> Ask:
        """The merchant gives in."""
        return Ask((dispute_id,), body={}, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/disputes/{dispute_id}/resolve", Dispute, keyed=True)
    def resolve(
        self, dispute_id: str, outcome: str, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """`won` or `lost`, as the merchant sees it."""
        return Ask((dispute_id,), body={"outcome": outcome}, key=idempotency_key, wait_s=wait_s)


class Receivables(Resource[C]):
    """`client.receivables`: what an account owes that could not be taken."""

    @listing("GET /v1/receivables", Receivable)
    def list(
        self,
        *,
        account: str | None = None,
        status: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Debts, the latest first."""
        query = given(account=account, status=status, from_=since, to=until, limit=limit, cursor=cursor)
        return Ask(query=query)

    @endpoint("GET /v1/receivables/{receivable_id}", Receivable)
    def get(self, receivable_id: str) -> Ask:
        """One debt."""
        return Ask((receivable_id,))

    @endpoint("POST /v1/receivables/{receivable_id}/recover", Receivable, keyed=True)
    def recover(
        self, receivable_id: str, amount: Amount, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """Take some of it from the account."""
        return Ask((receivable_id,), body={"amount": amount_text(amount)}, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/receivables/{receivable_id}/write-off", Receivable, keyed=True)
    def write_off(self, receivable_id: str, *, idempotency_key: str | None = None, wait_s: int | None = None) -> Ask:
        """Give up what is left."""
        return Ask((receivable_id,), body={}, key=idempotency_key, wait_s=wait_s)
