"""The way of one call, without a socket: credentials, sending, repeating, reading the answer.

`Calls` alone decides what a failure means. Guarantees: one idempotency key for all attempts of a call; a write whose
fate is not known ends in OutcomeUnknown with that key, whatever the last attempt met.
"""

import random
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec

from millrace.client.credentials import SECOND_FACTOR, Anonymous, Credentials, Grant, Tokens
from millrace.client.exchange import Flow, NoAnswer, Pause, Renew, Request, Response, Send
from millrace.client.faults import AnswerUnreadable, ClientError, ConnectionFailed, OutcomeUnknown, code_of, problem_of
from millrace.client.models.people import TokenAnswer
from millrace.client.positions import HEADER, Positions
from millrace.client.requests import Ask, Route, new_key, request_of
from millrace.client.retries import Attempts, RetryPolicy

T = TypeVar("T")

_TOKEN: Final = Route("POST", "/v1/oauth/token", repeats=True)
"""Repeated, a login is a second session that ends by itself, and a refresh answers the same token for 10 s."""

_STEP_UP: Final = Route("POST", "/v1/auth/step-up")
_NOBODY: Final = Anonymous()


@dataclass(frozen=True)
class Chance:
    """What is not decided by the values of a call. A test brings its own."""

    clock: Callable[[], float] = time.monotonic
    between_0_and_1: Callable[[], float] = random.random
    key: Callable[[], str] = new_key


class Calls:
    """The sans-IO core of one client: who calls, where, how patiently, and what was written before."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | Grant,
        policy: RetryPolicy,
        chance: Chance = Chance(),
        *,
        reads_own_writes: bool = True,
    ) -> None:
        if isinstance(credentials, str):  # by callers without types
            raise TypeError("credentials is a text: say what it is, Bearer(token) or ApiKey(key)")
        self._base_url = base_url.rstrip("/")
        self._policy = policy
        self._chance = chance
        self._positions = Positions() if reads_own_writes else None
        self.tokens = (
            Tokens(credentials, self._ask_token, self._ask_step_up, chance.clock)
            if isinstance(credentials, Grant)
            else None
        )
        self._credentials: Credentials = self.tokens or credentials  # type: ignore[assignment]  # not both are grants

    def flow(self, route: Route, ask: Ask, result: type[T]) -> Flow[T]:
        """One call and its result. Raises ClientError."""
        key = (ask.key or self._chance.key()) if route.keyed else ask.key
        try:
            response = yield from self._exchanged(route, ask, key)
            return read_answer(response, result)
        except ClientError as failure:
            failure.idempotency_key = key
            raise

    def raw(self, route: Route, ask: Ask) -> Flow[Response]:
        """One call and its answer, whatever it is made of. Raises ClientError."""
        return self._exchanged(route, ask, ask.key or (self._chance.key() if route.keyed else None))

    def _exchanged(self, route: Route, ask: Ask, key: str | None) -> Flow[Response]:
        request = self._request(route, ask, key)
        credentials = self._credentials if ask.with_credentials else _NOBODY
        attempts = Attempts(
            self._policy, self._chance.clock(), is_write=route.is_write, is_repeatable=route.is_repeatable
        )
        what = f"{route.method} {route.path}"
        while True:
            try:
                answer = yield from self._attempt(request, credentials)
            except ClientError as failure:
                raise _final(what, key, attempts, failure) from failure
            if isinstance(answer, Response):
                self._note(answer)
            pause_s = attempts.pause_after(answer, self._chance.clock(), self._chance.between_0_and_1())
            if pause_s is not None:
                yield Pause(pause_s)
                continue
            if isinstance(answer, Response) and answer.is_success:
                return answer
            raise _final(what, key, attempts, _failure(what, answer))

    def _request(self, route: Route, ask: Ask, key: str | None) -> Request:
        seen = self._positions.token() if self._positions is not None and ask.with_credentials else None
        if seen is not None:
            ask = replace(ask, headers={HEADER: seen, **ask.headers})
        return request_of(self._base_url, route, ask, key)

    def _note(self, response: Response) -> None:
        if self._positions is not None:
            self._positions.note(response.headers.get(HEADER.lower()))

    def _attempt(self, request: Request, credentials: Credentials) -> Flow[Response | NoAnswer]:
        """One answer; a token that is not taken any more is renewed once, and is no attempt of its own."""
        sent = credentials.authorised(request)
        if sent is None:
            yield Renew(None)
            sent = credentials.authorised(request) or request
        answer: Response | NoAnswer = yield Send(sent)
        if isinstance(answer, NoAnswer) or answer.status != 401 or credentials is not self.tokens:
            return answer
        code = code_of(answer)
        if not self.tokens.can_renew_after(code):
            return answer
        used = sent.headers.get("Authorization", "").removeprefix(
            "Bearer "
        )  # by now another caller may have renewed it
        yield Renew(used, with_second_factor=code == SECOND_FACTOR)
        answer = yield Send(credentials.authorised(request) or request)
        return answer

    def _ask_token(self, fields: dict[str, str], headers: dict[str, str]) -> Flow[TokenAnswer]:
        return self.flow(_TOKEN, Ask(body=fields, headers=headers, with_credentials=False), TokenAnswer)

    def _ask_step_up(self, code: str, token: str) -> Flow[TokenAnswer]:
        ask = Ask(body={"otp": code}, headers={"Authorization": f"Bearer {token}"}, with_credentials=False)
        return self.flow(_STEP_UP, ask, TokenAnswer)


def _final(what: str, key: str | None, attempts: Attempts, failure: ClientError) -> ClientError:
    """What a caller is told who is told nothing further."""
    if not attempts.in_doubt:
        return failure
    unknown = OutcomeUnknown(what, key)
    unknown.__cause__ = failure
    return unknown


def _failure(what: str, answer: Response | NoAnswer) -> ClientError:
    if isinstance(answer, NoAnswer):
        return ConnectionFailed(f"{what}: {answer.reason}")
    return problem_of(answer)


@cache
def _decoder(result: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(result)


def read_answer(response: Response, result: type[T]) -> T:
    """The result of a good answer: bytes as they are, JSON as values or a model. Raises AnswerUnreadable."""
    if result is bytes:
        return response.content  # type: ignore[return-value]
    try:
        read: T = _decoder(cast(Hashable, result)).decode(response.content)
    except (msgspec.DecodeError, ValueError) as error:
        raise AnswerUnreadable(f"HTTP {response.status}, but not what was expected: {error}") from error
    return read
