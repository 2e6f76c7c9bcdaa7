"""Scheduled transfers and aliases."""

from millrace.client.models.model import Model


class ScheduledTransfer(Model, kw_only=True):
    """A schedule. `issued` counts its occurrences so far; without `next_due_at` nothing follows."""

    id: str
    status: str
    end_reason: str | None = None
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    currency: str
    memo: str
    zone: str
    starts: str
    expression: str | None = None
    ends: str | None = None
    times: int | None = None
    month_end: str
    missed: str
    retries: int
    retry_hours: int
    issued: int
    next_due_at: str | None = None
    created_at: str


class Occurrence(Model, kw_only=True):
    """One try at one of a schedule's transfers: `at` on the wall clock, the same for all its tries."""

    at: str
    attempt: int
    due_at: str
    payment: str
    amount: str
    amount_minor: int
    currency: str
    status: str
    reason: str | None = None
    sent_at: str | None = None


class DueTime(Model, kw_only=True):
    """When an occurrence is due: on the wall clock, and as an instant."""

    at: str
    due_at: str


class Preview(Model, kw_only=True):
    """The next occurrences, as they stand now; tries again are not among them."""

    zone: str
    items: list[DueTime]


class Alias(Model, kw_only=True):
    """A name for an account. Money is sent to it while it is `verified`; from `valid_to` on it stands for nothing,
    and `value` is forgotten.
    """

    id: str
    user: str
    type: str
    account: str
    currency: str
    verified: bool
    valid_from: str
    valid_to: str | None = None
    value: str | None = None
