"""From when on something is overdue: times by the kind of movement. Values alone; now is an argument."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from payments.commerce.connector import ConnectorOperation, Outcome
from reconciliation.internal.views import AttemptView, Movement

IN_FLIGHT: Final = timedelta(minutes=5)
"""What changed within it is no finding: the shards of a movement are stored one after another, within seconds."""

EXECUTING: Final = {
    ConnectorOperation.CHARGE: timedelta(hours=1),
    ConnectorOperation.REFUND: timedelta(hours=25),
    ConnectorOperation.PAYOUT: timedelta(hours=25),
}
"""Without an end, after the provider was asked. By then nobody sends the operation any more (a charge has 15 minutes,
the others 23 hours, the life of their key), so that one attempt more is an inquiry and nothing else."""

AT_THE_PROVIDER: Final = {
    ConnectorOperation.CHARGE: timedelta(hours=24),
    ConnectorOperation.REFUND: timedelta(days=10),
    ConnectorOperation.PAYOUT: timedelta(days=7),
}
"""The same of what the provider has taken and not finished: 3-D Secure ends within a day; banks credit refunds in up to
ten days and payouts within a week."""

UNASKED: Final = timedelta(hours=1)
"""Placed, and the provider was never asked: the shards answer each other within seconds."""

LOOKUP_LAG: Final = timedelta(hours=2)
"""What a provider did so long ago it finds; a search may be an hour behind."""

_AT_THE_PROVIDER_BY: Final = frozenset({Outcome.PENDING, Outcome.REQUIRES_ACTION})


class Moment(NamedTuple):
    """When it is, for a run."""

    now: datetime

    @property
    def cut_off(self) -> datetime:
        """What changed later is in flight."""
        return self.now - IN_FLIGHT

    @property
    def posted_by(self) -> datetime:
        """A payment between accounts that was decided earlier is posted or returned by now: two hops, milliseconds."""
        return self.now - UNASKED

    def is_settled(self, movement: Movement) -> bool:
        """No side of it is being written."""
        return movement.changed_at < self.cut_off

    def is_stuck(self, movement: Movement) -> bool:
        """It should have ended by now."""
        attempt = movement.attempt
        if attempt is None or attempt.asked_at is None:
            return movement.opened_at < self.now - UNASKED
        windows = AT_THE_PROVIDER if attempt.outcome in _AT_THE_PROVIDER_BY else EXECUTING
        return attempt.asked_at < self.now - windows[attempt.operation]

    def is_unattended(self, attempt: AttemptView) -> bool:
        """No attempt of the connectors' own plan is to come, or it is lost: each of the plan comes within three times
        as long as the movement had lasted before it.
        """
        if not attempt.attempt_follows or attempt.asked_at is None:
            return True
        silence, lasted = self.now - attempt.changed_at, attempt.changed_at - attempt.asked_at
        return silence > max(UNASKED, 3 * lasted)
