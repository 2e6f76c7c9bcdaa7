"""One attempt of one request: send, repeat what is safe to repeat, else inquire; and when to try again.

The rule that keeps money safe: an operation is sent only while its idempotency key surely lives and its deadline has
not passed, with the same key each time. After that it is inquired about, never sent again (design.md §8.12). Only when
nothing is found a look-up's lag after the last possible sending, it is certain that it was not executed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from connectors.contract import Answer, Provider, failed, method_of, unanswered
from schemas.codec.connectors import (
    MAX_REFERENCE_CHARS,
    ConnectorOperation,
    ConnectorRequest,
    ConnectorResult,
    Decline,
    Outcome,
)

Clock = Callable[[], int]
"""Microseconds since 1970."""

CALL_TIMEOUT_S: Final = 30.0
"""A card payment takes 1-3 s, with a slow issuer 20. Beyond it the outcome is unknown, not failed."""

SENDINGS_MAX: Final = 3
BACKOFF_S: Final = (0.5, 2.0)
"""Before the second and the third sending, less up to half of it by chance. With three calls that time out, an attempt
lasts 3 × 30 + 2.5 + 30 s of inquiry: two minutes of one slot of the concurrency."""

_S = 1_000_000
_MINUTE = 60 * _S
_HOUR = 60 * _MINUTE
ATTEMPT_DELAYS_US: Final[tuple[int, ...]] = (
    _MINUTE,
    5 * _MINUTE,
    15 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    6 * _HOUR,
    24 * _HOUR,
    72 * _HOUR,
)
"""Before the second to the ninth attempt: 4.4 days in all, below the topic's 7. The 23 h of a key and the hour of a
look-up's lag, after which nothing found is certain, are over with the seventh. What is open after the last is for
people."""

_NEEDS_TOKEN: Final = frozenset({ConnectorOperation.AUTHORISE, ConnectorOperation.CHARGE, ConnectorOperation.PAYOUT})
_NEEDS_REFERENCE: Final = frozenset({ConnectorOperation.CAPTURE, ConnectorOperation.VOID, ConnectorOperation.REFUND})
_MOVES_MONEY: Final = frozenset(ConnectorOperation) - {ConnectorOperation.VOID, ConnectorOperation.INQUIRE}

OPEN_OUTCOMES: Final = frozenset({Outcome.UNKNOWN, Outcome.PENDING, Outcome.REQUIRES_ACTION})


def sent_until_us(provider: Provider, request: ConnectorRequest) -> int:
    """After this time nobody sends the operation any more."""
    key_lives_until_us = request.first_asked_at_us + provider.key_lifetime_us
    return min(key_lives_until_us, request.deadline_us or key_lives_until_us)


def form_refusal(request: ConnectorRequest) -> Answer | None:
    """Why this is no request that any provider could take, or None."""
    if not request.idempotency_key or len(request.idempotency_key) > MAX_REFERENCE_CHARS:
        return failed(Decline.REQUEST_REFUSED, "idempotency_key_length")
    if request.operation in _MOVES_MONEY and request.amount_minor <= 0:
        return failed(Decline.REQUEST_REFUSED, "amount_not_positive")
    if request.operation in _NEEDS_TOKEN and not request.token:
        return failed(Decline.REQUEST_REFUSED, "token_missing")
    if request.operation in _NEEDS_REFERENCE and not request.provider_reference:
        return failed(Decline.REFERENCE_UNKNOWN, "provider_reference_missing")
    return None


async def attempt(provider: Provider, request: ConnectorRequest, clock: Clock) -> Answer:
    """What is known of the operation at the end of this attempt; the request is dated. Raises ProviderRefusesUs."""
    refusal = form_refusal(request)
    if refusal is not None:
        return refusal
    if request.operation is ConnectorOperation.INQUIRE:
        return await _unless_the_payer_has_gone(provider, request, await _in_time(provider.inquire(request)), clock)
    until_us = sent_until_us(provider, request)
    answer = await _sent(provider, request, until_us, clock)
    if not answer.may_repeat:
        return answer
    found = await _in_time(provider.inquire(request))
    if not found.is_without_trace:
        return found if found.outcome is not Outcome.UNKNOWN else answer
    if clock() > until_us + provider.lookup_lag_us:
        why = Decline.NOT_EXECUTED if answer.decline is Decline.NONE else answer.decline
        return failed(why, answer.provider_code)
    return answer


async def _sent(provider: Provider, request: ConnectorRequest, until_us: int, clock: Clock) -> Answer:
    answer = unanswered("not_sent_any_more")
    for sending in range(SENDINGS_MAX):
        if clock() >= until_us:
            return answer
        if sending:
            await asyncio.sleep(BACKOFF_S[sending - 1] * random.uniform(0.5, 1))
        answer = await _in_time(method_of(provider, request.operation)(request))
        if not answer.may_repeat:
            return answer
    return answer


async def _unless_the_payer_has_gone(
    provider: Provider, request: ConnectorRequest, found: Answer, clock: Clock
) -> Answer:
    """What waits for its payer behind its deadline is cancelled: it fails for certain, or was paid just now, which the
    next attempt finds.
    """
    if found.outcome is not Outcome.REQUIRES_ACTION or not 0 < request.deadline_us <= clock():
        return found
    key = f"{request.request_id.hex()}-void"  # a key of its own: the request's stands for the charge
    voided = await _in_time(provider.void(request._replace(operation=ConnectorOperation.VOID, idempotency_key=key)))
    if voided.outcome is not Outcome.SUCCEEDED:
        return found
    return failed(Decline.AUTHENTICATION_REQUIRED, "payer_did_not_act", found.provider_reference)


async def _in_time(call: Awaitable[Answer]) -> Answer:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            answer = await call
    except TimeoutError:
        return unanswered("timeout")
    reference = answer.provider_reference
    if len(reference) <= MAX_REFERENCE_CHARS and reference.isascii() and reference.isprintable():
        return answer
    return Answer(Outcome.UNKNOWN, provider_code="unreadable: reference")  # kept for ever, and Postgres takes no NUL


def next_attempt(request: ConnectorRequest, answer: Answer, now_us: int) -> ConnectorRequest | None:
    """The request that finds out the rest, or None where all is known or the attempts are used up.

    What the provider has taken and named is only inquired about: its key would repeat the answer of that time.
    """
    if answer.outcome not in OPEN_OUTCOMES or request.attempt > len(ATTEMPT_DELAYS_US):
        return None
    following = request._replace(
        attempt=request.attempt + 1,
        not_before_us=now_us + ATTEMPT_DELAYS_US[request.attempt - 1],
    )
    if answer.outcome is Outcome.UNKNOWN or not answer.provider_reference:
        return following  # the reference of the request is another operation's
    return following._replace(operation=ConnectorOperation.INQUIRE, provider_reference=answer.provider_reference)


def result_of(request: ConnectorRequest, answer: Answer, now_us: int, *, attempt_follows: bool) -> ConnectorResult:
    """The record that tells the world."""
    return ConnectorResult(
        request.request_id,
        request.attempt,
        request.provider,
        request.operation,
        request.payment_order_id,
        answer.outcome,
        answer.provider_reference or request.provider_reference,
        answer.decline if answer.outcome is Outcome.FAILED else Decline.NONE,
        answer.provider_code,
        answer.fee_minor,
        answer.fee_currency,
        now_us,
        attempt_follows,
    )
