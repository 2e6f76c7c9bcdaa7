"""A world for the client's core: answers that were written down beforehand, a clock that only pauses move."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest_api.problems import STATUS, Code, Problem
from millrace.client.calls import Calls, Chance
from millrace.client.credentials import Bearer, Credentials, Grant
from millrace.client.exchange import AskCode, Flow, NoAnswer, Pause, Renew, Request, Response, Send
from millrace.client.faults import ClientError
from millrace.client.retries import RetryPolicy

T = TypeVar("T")
Answer = Response | NoAnswer | Callable[[Request], Response]

CUT = NoAnswer("the line was cut", may_have_arrived=True)
REFUSED = NoAnswer("connection refused", may_have_arrived=False)
PAYMENT = {
    "id": "pay_1",
    "status": "posted",
    "final": True,
    "from_account": "acc_1",
    "to_account": "acc_2",
    "amount": "10.50",
    "amount_minor": 1050,
    "currency": "EUR",
}


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps(body).encode())


def problem(code: Code, **headers: str) -> Response:
    """As the server itself makes it."""
    made = Problem(code, "Because.").answer("/v1/x", "r-1")
    assert made.status == STATUS[code][0]
    return Response(made.status, {name.replace("_", "-"): value for name, value in headers.items()}, bytes(made.body))


@dataclass
class World:
    """Takes the steps of flows and keeps what it was asked."""

    left: Sequence[Answer]
    codes: list[str] = field(default_factory=list)
    sent: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    now_s: float = 1_000.0

    def calls(
        self, credentials: Credentials | Grant | None = None, policy: RetryPolicy | None = None, **options: bool
    ) -> Calls:
        chance = Chance(clock=lambda: self.now_s, between_0_and_1=lambda: 0.5, key=lambda: "k-made")
        return Calls("http://api", credentials or Bearer("t"), policy or RetryPolicy(), chance, **options)

    def run(self, calls: Calls, flow: Flow[T]) -> T:
        came: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = flow.send(came) if failure is None else flow.throw(failure)
            except StopIteration as done:
                result: T = done.value
                return result
            came, failure = None, None
            try:
                came = self._take(calls, step)
            except ClientError as error:
                failure = error

    def _take(self, calls: Calls, step: Send | Pause | Renew | AskCode) -> Any:
        if isinstance(step, Send):
            self.sent.append(step.request)
            next_answer, self.left = self.left[0], self.left[1:]
            return next_answer(step.request) if callable(next_answer) else next_answer
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now_s += step.seconds
            return None
        if isinstance(step, AskCode):
            return self.codes.pop(0)
        assert calls.tokens is not None
        return self.run(calls, calls.tokens.renewal(step.stale, with_second_factor=step.with_second_factor))

    def header(self, name: str) -> list[str | None]:
        """Of every request that was sent."""
        return [request.headers.get(name) for request in self.sent]


def bodies(requests: Iterable[Request]) -> list[Any]:
    return [json.loads(request.content) for request in requests if request.content]
