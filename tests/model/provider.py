"""A provider as the deciding stage sees it: each attempt is answered once, late, and now and then once more."""

from collections import deque

from payments.commerce.connector import ConnectorRequest, ConnectorResult, Decline, Outcome

ANSWERED_AGAIN = 20
"""Results that may come once more."""

ATTEMPTS = 2
"""Nobody asks any more after so many (of an odd amount after one), though news may come: people may be sooner."""

CERTAIN = (Outcome.SUCCEEDED, Outcome.FAILED)


class Provider:
    """What it was asked, and what it has said last."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, ConnectorRequest]] = []
        """With who waits, each as of its next attempt."""
        self._abandoned: set[bytes] = set()
        self._said: deque[tuple[bytes, ConnectorResult]] = deque(maxlen=ANSWERED_AGAIN)

    def answer(self, place: int, outcome: Outcome) -> tuple[bytes, ConnectorResult] | None:
        """To a request (the place counts modulo their number), and who waits for it; None where there is no news."""
        if not self.requests:
            return None
        owner, request = self.requests[place % len(self.requests)]
        if request.request_id in self._abandoned and place % 4:
            return None
        self.requests.remove((owner, request))
        result = answered(request, outcome)
        self._said.append((owner, result))
        if not result.attempt_follows:
            self._abandoned.add(result.request_id)
        if result.outcome not in CERTAIN:
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
    fee_minor = request.amount_minor % 7 - 1 if outcome in CERTAIN and request.amount_minor % 3 else None
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
        fee_minor,
        "" if fee_minor is None else "USD" if request.amount_minor % 5 == 0 else request.currency,
        0,
        attempt_follows=outcome not in CERTAIN and request.attempt < ATTEMPTS - request.amount_minor % 2,
    )
