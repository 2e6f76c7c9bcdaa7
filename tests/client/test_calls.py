"""Goal: whatever happens on the way, money moves once, and a caller who can't be told what happened is told just that.

Method: the core is pure, so each case is a list of answers and what comes of it. Problems are the server's own.
"""

from decimal import Decimal

import pytest

from ingest_api.problems import Fault
from millrace.client.exchange import NoAnswer, Response
from millrace.client.faults import (
    AnswerUnreadable,
    ClientError,
    ConnectionFailed,
    InsufficientFunds,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from millrace.client.models.money import Payment
from millrace.client.requests import Ask, Route, amount_text, given
from millrace.client.retries import RetryPolicy
from payments.rejections import Reason
from schemas.codec.positions import decode_positions, encode_positions
from tests.client.world import CUT, PAYMENT, REFUSED, Answer, World, answer, problem

PAY = Route("POST", "/v1/transfers", keyed=True)
MAKE = Route("POST", "/v1/api-keys")
LOOK = Route("GET", "/v1/transfers/{payment_id}")
DONE = answer(PAYMENT, 201)


def called(world: World, route: Route = PAY, key: str | None = None, policy: RetryPolicy | None = None) -> Payment:
    calls = world.calls(policy=policy)
    path = ("pay_1",) if "{" in route.path else ()
    return world.run(calls, calls.flow(route, Ask(path, body={} if route.is_write else None, key=key), Payment))


def failed(world: World, route: Route = PAY, key: str | None = None, policy: RetryPolicy | None = None) -> ClientError:
    with pytest.raises(ClientError) as caught:
        called(world, route, key, policy)
    return caught.value


def test_a_write_is_repeated_under_the_key_that_it_began_with() -> None:
    world = World([CUT, problem(Fault.OUTCOME_UNKNOWN, retry_after="2"), Response(502, {}, b"<html>"), DONE])
    assert called(world).amount_minor == 1050
    assert world.header("Idempotency-Key") == ['"k-made"'] * 4
    assert world.pauses == [pytest.approx(0.3), 2.0, pytest.approx(1.2)], "Retry-After is never undercut"


IN_DOUBT: dict[str, list[Answer]] = {
    "cut each time": [CUT] * 5,
    "cut, then nobody there": [CUT, *[REFUSED] * 4],
    "cut, then too busy": [CUT, *[problem(Fault.QUEUE_FULL)] * 4],
    "cut, then not let in": [CUT, problem(Fault.SCOPE_INSUFFICIENT)],
    "cut, then the token has expired": [CUT, problem(Fault.TOKEN_INVALID)],
    "a gateway's page": [Response(504, {}, b"<html>")] * 5,
    "the log does not answer": [problem(Fault.OUTCOME_UNKNOWN)] * 5,
}


@pytest.mark.parametrize("case", IN_DOUBT)
def test_what_is_not_known_is_said_with_the_key(case: str) -> None:
    error = failed(World(IN_DOUBT[case]), key="order-1")
    assert isinstance(error, OutcomeUnknown)
    assert error.idempotency_key == "order-1"
    assert "order-1" in str(error)


SETTLED: dict[str, tuple[list[Answer], type[ClientError]]] = {
    "nobody there": ([REFUSED] * 5, ConnectionFailed),
    "too busy": ([problem(Fault.QUEUE_FULL)] * 5, Unavailable),
    "too many calls": ([problem(Fault.RATE_LIMITED)] * 5, RateLimited),
    "cut, then refused by the books": ([CUT, problem(Reason.INSUFFICIENT_FUNDS)], InsufficientFunds),
    "refused at once": ([problem(Reason.INSUFFICIENT_FUNDS)], InsufficientFunds),
    "not let in": ([problem(Fault.TOKEN_INVALID)], NotAuthenticated),
}


@pytest.mark.parametrize("case", SETTLED)
def test_what_is_known_is_never_called_unknown(case: str) -> None:
    answers, expected = SETTLED[case]
    world = World(answers)
    assert type(failed(world)) is expected
    assert not world.left, "no attempt was left out"


def test_a_write_without_a_key_is_repeated_only_where_nothing_was_taken() -> None:
    assert called(World([REFUSED, problem(Fault.QUEUE_FULL), DONE]), MAKE).id == "pay_1"
    world = World([CUT, DONE])
    error = failed(world, MAKE)
    assert (type(error), error.idempotency_key, len(world.sent)) == (OutcomeUnknown, None, 1)


def test_a_read_is_never_in_doubt() -> None:
    assert called(World([CUT, problem(Fault.INTERNAL), answer(PAYMENT)]), LOOK).final
    assert type(failed(World([CUT] * 5), LOOK)) is ConnectionFailed


def test_waiting_is_bounded_in_sum() -> None:
    world = World([problem(Fault.QUEUE_FULL, retry_after="40")] * 5)
    error = failed(world)
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 40
    assert world.pauses == [40.0], "the second one would end behind the bound of 60 s"
    assert failed(World([CUT]), policy=RetryPolicy(attempts=1)).idempotency_key == "k-made"


def test_pauses_are_spread_and_bounded() -> None:
    policy = RetryPolicy(attempts=20)
    assert [policy.pause_s(1, chance, None) for chance in (0.0, 0.999)] == [0.2, pytest.approx(0.4, rel=0.01)]
    assert policy.pause_s(19, 0.999, None) <= policy.pause_max_s


def test_an_answer_of_somebody_else_is_no_result() -> None:
    error = failed(World([Response(200, {}, b"<html>hotel wifi</html>")]))
    assert isinstance(error, AnswerUnreadable)
    assert error.idempotency_key == "k-made"
    assert isinstance(failed(World([Response(404, {}, b"not found")])), AnswerUnreadable)


def test_fields_of_the_future_are_passed_over() -> None:
    later = PAYMENT | {"status": "teleported", "mood": {"of": "the sender"}}
    assert called(World([answer(later)]), LOOK).status == "teleported"


def test_a_problem_tells_all_that_the_server_says() -> None:
    error = failed(World([problem(Reason.INSUFFICIENT_FUNDS)]))
    assert isinstance(error, InsufficientFunds)
    assert (error.code, error.status, error.detail) == ("insufficient_funds", 422, "Because.")
    assert (error.request_id, error.idempotency_key) == ("r-1", "k-made")


def test_reads_see_what_was_written_to_every_shard() -> None:
    tokens = [encode_positions(positions) for positions in ({0: 7}, {1: 3}, {0: 5})]
    world = World([answer(PAYMENT, 201, **{"consistency-token": token}) for token in tokens] + [answer(PAYMENT)])
    calls = world.calls()
    for _ in tokens:
        world.run(calls, calls.flow(PAY, Ask(body={}), Payment))
    world.run(calls, calls.flow(LOOK, Ask(("pay_1",)), Payment))
    sent = world.header("Consistency-Token")
    assert sent[0] is None
    assert decode_positions(sent[-1] or "") == {0: 7, 1: 3}


def test_amounts_are_exact_or_refused() -> None:
    assert [amount_text(amount) for amount in ("10.50", Decimal("10.50"), Decimal("1E+3"))] == [
        "10.50",
        "10.50",
        "1000",
    ]
    for inexact in (0.1, 10):
        with pytest.raises(TypeError, match="text or Decimal"):
            amount_text(inexact)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no binary numbers"):
        given(min_amount=0.1)


def test_no_id_makes_another_route() -> None:
    world = World([answer(PAYMENT)])
    calls = world.calls()
    world.run(calls, calls.flow(LOOK, Ask(("../accounts?x=1",)), Payment))
    assert world.sent[0].url == "http://api/v1/transfers/..%2Faccounts%3Fx%3D1"
    for empty in ("", ".", ".."):
        with pytest.raises(ValueError, match="is empty"):
            world.run(calls, calls.flow(LOOK, Ask((empty,)), Payment))


def test_a_key_goes_as_a_structured_string() -> None:
    world = World([DONE])
    called(world, key='a "quoted" \\ key')
    assert world.header("Idempotency-Key") == ['"a \\"quoted\\" \\\\ key"']


def test_no_answer_of_a_read_says_why() -> None:
    error = failed(World([NoAnswer("[Errno 111] Connection refused", may_have_arrived=False)] * 5), LOOK)
    assert "Connection refused" in str(error)
