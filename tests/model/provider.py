"""A provider as the deciding stage sees it: each attempt is answered once, late, and now and then once more."""

from collections import deque

from payments.commerce.connector import ConnectorRequest, ConnectorResult, Decline, Outcome

ANSWERED_AGAIN = 20
"""Results that may come once more."""


class Provider:
    """What it was asked, and what it has said last."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, ConnectorRequest]] = []
        """With who waits, each as of its next attempt."""
        self._said: deque[tuple[bytes, ConnectorResult]] = deque(maxlen=ANSWERED_AGAIN)

    def answer(self, place: int, outcome: Outcome) -> tuple[bytes, ConnectorResult] | None:
        """To a request (the place counts modulo their number), and who waits for it; None where there is none."""
        if not self.requests:
            return None
        owner, request = self.requests.pop(place % len(self.requests))
        result = answered(request, outcome)
        self._said.append((owner, result))
        if result.attempt_follows:
            self.requests.append((owner, request._replace(attempt=request.attempt + 1)))
        return owner, result

    def repeat(self, place: int, outcome: Outcome) -> tuple[bytes, ConnectorResult] | None:
        """One of the last results once more, which may say something else."""
        if not self._said:
            return None
        owner, result = self._said[place % len(self._said)]
        return owner, result._replace(outcome=outcome)


def answered(request: ConnectorRequest, outcome: Outcome) -> ConnectorResult:
    """What a provider says about an attempt."""
    return ConnectorResult(
        request.request_id,
        request.attempt,
        request.provider,
        request.operation,
        request.payment_order_id,
        outcome,
        f"{request.operation.name} {request.attempt}" if outcome is not Outcome.UNKNOWN else "",
        Decline.CARD_DECLINED if outcome is Outcome.FAILED else Decline.NONE,
        "",
        None,
        "",
        0,
        attempt_follows=outcome not in (Outcome.SUCCEEDED, Outcome.FAILED),
    )
