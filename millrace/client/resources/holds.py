"""Holds: authorise now, capture later, in parts, or not at all."""

from collections.abc import Mapping

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.money import Hold, Payment
from millrace.client.requests import Amount, Ask, Moment, amount_text, given


class Holds(Resource[C]):
    """`client.holds`."""

    @endpoint("POST /v1/holds", Hold, keyed=True)
    def place(
        self,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        expires_at: Moment,
        *,
        description: str | None = None,
        risk: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Reserve money for a receiver, for 31 days at most."""
        body = given(
            from_account=from_account,
            to_account=to_account,
            amount=amount_text(amount),
            currency=currency,
            expires_at=expires_at,
            description=description,
            risk=risk,
        )
        return Ask(body=body, key=idempotency_key, wait_s=wait_s)

    @listing("GET /v1/holds", Hold)
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
        """Holds, the latest first."""
        query = given(account=account, status=status, from_=since, to=until, limit=limit, cursor=cursor)
        return Ask(query=query)

    @endpoint("GET /v1/holds/{hold_id}", Hold)
    def get(self, hold_id: str) -> Ask:
        """The hold with its captures."""
        return Ask((hold_id,))

    @endpoint("POST /v1/holds/{hold_id}/capture", Payment, keyed=True)
    def capture(
        self,
        hold_id: str,
        amount: Amount,
        *,
        final: bool | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
        wait_s: int | None = None,
    ) -> Ask:
        """Move what is held, or part of it. `final`: the payer has the rest back."""
        body = given(amount=amount_text(amount), final=final, description=description)
        return Ask((hold_id,), body=body, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/holds/{hold_id}/increment", Hold, keyed=True)
    def increment(
        self, hold_id: str, amount: Amount, *, idempotency_key: str | None = None, wait_s: int | None = None
    ) -> Ask:
        """Hold more."""
        return Ask((hold_id,), body={"amount": amount_text(amount)}, key=idempotency_key, wait_s=wait_s)

    @endpoint("POST /v1/holds/{hold_id}/void", Hold, keyed=True)
    def void(self, hold_id: str, *, idempotency_key: str | None = None, wait_s: int | None = None) -> Ask:
        """Give back all that is left."""
        return Ask((hold_id,), body={}, key=idempotency_key, wait_s=wait_s)
