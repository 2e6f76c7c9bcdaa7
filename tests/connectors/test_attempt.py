"""Goal: an operation is sent only while its key lives and its deadline has not passed, and is called failed only where
that is certain.

Method: a provider that answers by a script, on a clock that the test moves; single cases by name, and a property over
random scripts and times.
"""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from connectors import attempt as attempts
from connectors.attempt import ATTEMPT_DELAYS_US, SENDINGS_MAX, attempt, next_attempt, result_of, sent_until_us
from connectors.banks.rest import RestBanks
from connectors.contract import Answer, failed, unanswered, without_trace
from connectors.psp.stripe import StripeProvider
from payments.commerce.connector import LOST_AFTER_DAYS
from schemas.codec.connectors import MAX_REFERENCE_CHARS, ConnectorOperation, ConnectorRequest, Decline, Outcome
from tests.connectors.requests import HOUR_US, about, charge, request_of

START_US = 1_700_000_000_000_000
SUCCEEDED = Answer(Outcome.SUCCEEDED, "pi_1")
PENDING = Answer(Outcome.PENDING, "re_1")
PAID = failed(Decline.WRONG_STATE, "succeeded", "pi_1")
"""What a payment that is done answers to a cancellation."""
CALL_US = 1_000_000
"""How long each call of the script takes."""

Call = tuple[str, str, int]


class Script:
    """A provider: answers in turn, the last one for ever; every call with its key and its time."""

    name = "script"
    key_lifetime_us = 23 * HOUR_US
    lookup_lag_us = HOUR_US

    def __init__(self, answers: Iterable[Answer], found: Answer | None = None, now_us: int = START_US) -> None:
        self.now_us = now_us
        self.sent: list[Call] = []
        self.inquired: list[int] = []
        self._answers = list(answers)
        self._found = found or without_trace()

    def clock(self) -> int:
        return self.now_us

    async def charge(self, request: ConnectorRequest) -> Answer:
        self.sent.append((request.operation.name, request.idempotency_key, self.now_us))
        self.now_us += CALL_US
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    authorise = capture = void = refund = payout = charge

    async def inquire(self, request: ConnectorRequest) -> Answer:
        self.inquired.append(self.now_us)
        return self._found

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BACKOFF_S", (0, 0))


def outcome_of(script: Script, request: ConnectorRequest) -> Answer:
    return asyncio.run(attempt(script, request._replace(first_asked_at_us=START_US), script.clock))


def test_an_answer_ends_it() -> None:
    script = Script([SUCCEEDED])
    assert outcome_of(script, charge()) == SUCCEEDED
    assert (len(script.sent), script.inquired) == (1, [])


def test_a_decline_is_not_sent_again() -> None:
    script = Script([failed(Decline.INSUFFICIENT_FUNDS)])
    assert outcome_of(script, charge()).decline is Decline.INSUFFICIENT_FUNDS
    assert len(script.sent) == 1


def test_it_is_repeated_with_the_same_key_until_it_is_answered() -> None:
    script = Script([unanswered("no_answer"), unanswered("http_409"), SUCCEEDED])
    request = charge()
    assert outcome_of(script, request) == SUCCEEDED
    assert {key for _, key, _ in script.sent} == {request.idempotency_key}


def test_without_an_answer_it_is_inquired_about() -> None:
    script = Script([unanswered("timeout")], found=SUCCEEDED)
    assert outcome_of(script, charge()) == SUCCEEDED
    assert (len(script.sent), len(script.inquired)) == (SENDINGS_MAX, 1)


def test_no_trace_is_not_a_failure() -> None:
    script = Script([unanswered("timeout")])
    assert outcome_of(script, charge()).outcome is Outcome.UNKNOWN


def test_a_call_that_never_ends_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CALL_TIMEOUT_S", 0.02)

    class Hanging(Script):
        async def charge(self, request: ConnectorRequest) -> Answer:
            await asyncio.sleep(60)
            return SUCCEEDED

    answer = outcome_of(Hanging([]), charge())
    assert (answer.outcome, answer.provider_code) == (Outcome.UNKNOWN, "timeout")


def test_what_people_may_call_lost_is_neither_late_nor_sent_any_more() -> None:
    """Whatever comes of it after all has moved nothing since."""
    lost_us = LOST_AFTER_DAYS * 24 * HOUR_US
    calls_us = SENDINGS_MAX * 60_000_000
    assert lost_us > max(ATTEMPT_DELAYS_US) + calls_us
    for provider in (StripeProvider, RestBanks, Script):
        assert lost_us > provider.key_lifetime_us + provider.lookup_lag_us + calls_us


@pytest.mark.parametrize("late_us", [0, 1, 23 * HOUR_US])
def test_after_its_deadline_it_is_never_sent(late_us: int) -> None:
    script = Script([SUCCEEDED], now_us=START_US + HOUR_US + late_us)
    answer = outcome_of(script, charge(deadline_us=START_US + HOUR_US))
    assert script.sent == []
    assert len(script.inquired) == 1
    assert answer.outcome is (Outcome.FAILED if late_us > script.lookup_lag_us else Outcome.UNKNOWN)


def test_after_the_key_s_life_it_is_never_sent_and_what_is_found_counts() -> None:
    script = Script([SUCCEEDED], found=SUCCEEDED, now_us=START_US + 23 * HOUR_US)
    assert outcome_of(script, charge()) == SUCCEEDED
    assert script.sent == []


def test_it_has_failed_once_nothing_is_found_a_lag_after_the_last_sending() -> None:
    until_us = START_US + 23 * HOUR_US
    early, late = (Script([SUCCEEDED], now_us=until_us + HOUR_US + more) for more in (0, 1))
    assert outcome_of(early, charge()).outcome is Outcome.UNKNOWN
    assert outcome_of(late, charge()).decline is Decline.NOT_EXECUTED


def test_a_key_of_another_request_is_named_in_the_end() -> None:
    reused = unanswered("idempotency_error", Decline.IDEMPOTENCY_KEY_REUSED)
    script = Script([reused])
    request = charge(deadline_us=START_US + CALL_US)
    answer = outcome_of(script, request)
    assert answer.outcome is Outcome.UNKNOWN
    assert result_of(request, answer, START_US, attempt_follows=True).decline is Decline.NONE


def test_an_inquiry_moves_nothing_and_asks_once() -> None:
    script = Script([SUCCEEDED], found=PENDING)
    assert outcome_of(script, about(ConnectorOperation.INQUIRE, "pi_1", amount_minor=0)) == PENDING
    assert (script.sent, len(script.inquired)) == ([], 1)


@pytest.mark.parametrize(
    ("late_us", "void", "outcome"),
    [(-1, SUCCEEDED, Outcome.REQUIRES_ACTION), (0, SUCCEEDED, Outcome.FAILED), (0, PAID, Outcome.REQUIRES_ACTION)],
    ids=["in time", "too late", "paid just now"],
)
def test_a_payer_who_has_not_acted_in_time_is_not_charged(late_us: int, void: Answer, outcome: Outcome) -> None:
    """Failed is only what the provider has cancelled, with a key of its own."""
    request = about(ConnectorOperation.INQUIRE, "pi_1", deadline_us=START_US - late_us)
    script = Script([void], found=Answer(Outcome.REQUIRES_ACTION, "pi_1", action_url="https://bank.example/"))
    assert outcome_of(script, request).outcome is outcome
    assert [key for _, key, _ in script.sent] == ([f"{request.request_id.hex()}-void"] if late_us == 0 else [])


@pytest.mark.parametrize(
    ("request_", "decline"),
    [
        (charge(idempotency_key=""), Decline.REQUEST_REFUSED),
        (charge(idempotency_key="k" * (MAX_REFERENCE_CHARS + 1)), Decline.REQUEST_REFUSED),
        (charge(amount_minor=0), Decline.REQUEST_REFUSED),
        (charge(amount_minor=-1), Decline.REQUEST_REFUSED),
        (charge(token=""), Decline.REQUEST_REFUSED),
        (about(ConnectorOperation.REFUND, ""), Decline.REFERENCE_UNKNOWN),
        (about(ConnectorOperation.VOID, "", amount_minor=0), Decline.REFERENCE_UNKNOWN),
    ],
    ids=["no key", "long key", "nothing", "less than nothing", "no token", "refund of nothing", "void of nothing"],
)
def test_what_no_provider_could_take_is_not_sent(request_: ConnectorRequest, decline: Decline) -> None:
    script = Script([SUCCEEDED])
    answer = outcome_of(script, request_)
    assert (answer.outcome, answer.decline) == (Outcome.FAILED, decline)
    assert (script.sent, script.inquired) == ([], [])


@pytest.mark.parametrize("reference", ["pi_\0", "pi_ß", "p" * (MAX_REFERENCE_CHARS + 1)], ids=["nul", "letter", "long"])
def test_a_reference_that_no_table_takes_is_not_passed_on(reference: str) -> None:
    """The ledger would keep it for ever, and the sink stop at it."""
    answer = outcome_of(Script([Answer(Outcome.SUCCEEDED, reference)]), charge(first_asked_at_us=START_US))
    assert answer == Answer(Outcome.UNKNOWN, provider_code="unreadable: reference")


def test_an_unknown_attempt_is_followed_by_the_same_request_later() -> None:
    request = charge(first_asked_at_us=START_US)
    following = next_attempt(request, unanswered("timeout"), START_US + 5)
    assert following == request._replace(attempt=2, not_before_us=START_US + 5 + ATTEMPT_DELAYS_US[0])


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.REQUIRES_ACTION], ids=lambda outcome: outcome.value)
def test_what_the_provider_has_taken_is_followed_by_an_inquiry(outcome: Outcome) -> None:
    following = next_attempt(charge(), Answer(outcome, "pi_7"), START_US)
    assert following is not None
    assert (following.operation, following.provider_reference) == (ConnectorOperation.INQUIRE, "pi_7")


def test_a_refund_is_never_looked_for_under_the_reference_of_its_charge() -> None:
    """Which has succeeded, whatever becomes of the refund."""
    request = about(ConnectorOperation.REFUND, "pi_1")
    following = next_attempt(request, Answer(Outcome.PENDING), START_US)
    assert following == request._replace(attempt=2, not_before_us=START_US + ATTEMPT_DELAYS_US[0])


def test_a_final_answer_is_followed_by_nothing() -> None:
    assert next_attempt(charge(), SUCCEEDED, START_US) is None
    assert next_attempt(charge(), failed(Decline.CARD_DECLINED), START_US) is None


def test_attempts_end_and_outlive_key_and_lag_and_stay_within_the_topic_s_retention() -> None:
    request: ConnectorRequest | None = charge()
    now_us, attempts_made = START_US, 0
    while request is not None:
        attempts_made, last = attempts_made + 1, request
        request = next_attempt(request, unanswered("timeout"), now_us)
        now_us = request.not_before_us if request else now_us
    assert attempts_made == last.attempt == len(ATTEMPT_DELAYS_US) + 1
    assert 25 * HOUR_US < now_us - START_US < 7 * 24 * HOUR_US


answers = st.sampled_from([SUCCEEDED, PENDING, failed(Decline.CARD_DECLINED), unanswered("timeout"), without_trace()])


@examples(max_examples=300)
@given(
    script=st.lists(answers, min_size=1, max_size=4),
    found=answers,
    operation=st.sampled_from([one for one in ConnectorOperation if one is not ConnectorOperation.INQUIRE]),
    late_us=st.integers(0, 30 * HOUR_US),
    deadline_us=st.one_of(st.just(0), st.integers(START_US, START_US + 30 * HOUR_US)),
)
def test_never_sent_after_its_time_and_failed_only_where_it_is_certain(
    script: list[Answer], found: Answer, operation: ConnectorOperation, late_us: int, deadline_us: int
) -> None:
    provider = Script(script, found, START_US + late_us)
    request = request_of(operation, provider_reference="pi_1", deadline_us=deadline_us, first_asked_at_us=START_US)
    until_us = sent_until_us(provider, request)
    answer = outcome_of(provider, request)
    assert all(at_us < until_us and key == request.idempotency_key for _, key, at_us in provider.sent)
    assert until_us <= START_US + provider.key_lifetime_us
    said_so = failed(Decline.CARD_DECLINED) in (*script, found)
    certain = provider.now_us > until_us + provider.lookup_lag_us and found.is_without_trace
    assert answer.outcome is not Outcome.FAILED or said_so or certain
