"""Scheduled transfers, and aliases: names that money is sent to."""

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.plans import Alias, Occurrence, Preview, ScheduledTransfer
from millrace.client.requests import Amount, Ask, amount_text, given
from millrace.client.resources.accounts import only_if


class Schedules(Resource[C]):
    """`client.schedules`."""

    @endpoint("POST /v1/scheduled-transfers", ScheduledTransfer, keyed=True)
    def create(
        self,
        from_account: str,
        to_account: str,
        amount: Amount,
        currency: str,
        starts: str,
        *,
        expression: str | None = None,
        zone: str | None = None,
        ends: str | None = None,
        times: int | None = None,
        memo: str | None = None,
        month_end: str | None = None,
        missed: str | None = None,
        retries: int | None = None,
        retry_hours: int | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """A transfer at `starts`, or again and again by a cron `expression` in a time zone; docs/schedules.md."""
        body = given(
            from_account=from_account,
            to_account=to_account,
            amount=amount_text(amount),
            currency=currency,
            starts=starts,
            expression=expression,
            zone=zone,
            ends=ends,
            times=times,
            memo=memo,
            month_end=month_end,
            missed=missed,
            retries=retries,
            retry_hours=retry_hours,
        )
        return Ask(body=body, key=idempotency_key)

    @listing("GET /v1/scheduled-transfers", ScheduledTransfer)
    def list(
        self,
        *,
        account: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Schedules, the latest first."""
        return Ask(query=given(account=account, status=status, limit=limit, cursor=cursor))

    @endpoint("GET /v1/scheduled-transfers/{schedule_id}", ScheduledTransfer)
    def get(self, schedule_id: str) -> Ask:
        """One schedule."""
        return Ask((schedule_id,))

    @endpoint("PATCH /v1/scheduled-transfers/{schedule_id}", ScheduledTransfer)
    def change(
        self,
        schedule_id: str,
        *,
        status: str | None = None,
        amount: Amount | None = None,
        memo: str | None = None,
        ends: str | None = None,
        times: int | None = None,
        missed: str | None = None,
        retries: int | None = None,
        retry_hours: int | None = None,
        if_match: str | None = None,
    ) -> Ask:
        """Pause, resume, or change what comes from now on."""
        body = given(
            status=status,
            amount=amount_text(amount) if amount is not None else None,
            memo=memo,
            ends=ends,
            times=times,
            missed=missed,
            retries=retries,
            retry_hours=retry_hours,
        )
        return Ask((schedule_id,), body=body, headers=only_if(if_match))

    @endpoint("DELETE /v1/scheduled-transfers/{schedule_id}", ScheduledTransfer)
    def end(self, schedule_id: str, *, if_match: str | None = None) -> Ask:
        """No further occurrence."""
        return Ask((schedule_id,), headers=only_if(if_match))

    @listing("GET /v1/scheduled-transfers/{schedule_id}/occurrences", Occurrence)
    def occurrences(self, schedule_id: str, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """What was sent, or tried."""
        return Ask((schedule_id,), given(limit=limit, cursor=cursor))

    @endpoint("GET /v1/scheduled-transfers/{schedule_id}/preview", Preview)
    def preview(self, schedule_id: str, *, count: int | None = None) -> Ask:
        """When the next ones are due."""
        return Ask((schedule_id,), given(count=count))


class Aliases(Resource[C]):
    """`client.aliases`."""

    @endpoint("POST /v1/aliases", Alias, keyed=True)
    def create(
        self,
        user: str,
        type: str,
        value: str,
        account: str,
        *,
        verified: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Ask:
        """Let a name (`email`, `phone`, `bank_account`, `user`) stand for an account."""
        body = given(user=user, type=type, value=value, account=account, verified=verified)
        return Ask(body=body, key=idempotency_key)

    @listing("GET /v1/aliases", Alias)
    def list(
        self,
        *,
        account: str | None = None,
        user: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Aliases, the latest first."""
        return Ask(query=given(account=account, user=user, limit=limit, cursor=cursor))

    @endpoint("GET /v1/aliases/{alias_id}", Alias)
    def get(self, alias_id: str) -> Ask:
        """One alias."""
        return Ask((alias_id,))

    @endpoint("DELETE /v1/aliases/{alias_id}", Alias)
    def delete(self, alias_id: str) -> Ask:
        """From now on it stands for nothing, and its value is forgotten."""
        return Ask((alias_id,))
