"""Goal: whatever breaks between us and the provider, each request moves money at most once, and what we say of it in
the end is what the provider did.

Method: the real SDK calls the sandbox's process, which loses answers, resets, repeats a 500 for ever, kills itself;
then the later attempts are made, with both clocks put forward, and the provider's own list of charges is the judge.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.attempt import attempt, next_attempt
from connectors.contract import Answer
from connectors.psp.stripe import StripeProvider
from connectors.sandbox.faults import FaultKind
from schemas.codec.connectors import ConnectorOperation, ConnectorRequest, Decline, Outcome
from schemas.tables.psp_events import REQUEST_ID
from tests.connectors.requests import HOUR_US, about, authorisation, charge, now_us, request_of
from tests.connectors.sandbox_process import API_KEY, SandboxProcess, running_sandbox
from tests.support.side_by_side import by_night

pytestmark = pytest.mark.usefixtures("short_waits")

KILLS = frozenset({FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER})
BREAKS = [kind for kind in FaultKind if kind not in KILLS]


class Time:
    """Ours, moved together with the sandbox's."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.advanced_us = 0
        self._sandbox = sandbox

    def now_us(self) -> int:
        return now_us() + self.advanced_us

    def advance(self, by_us: int) -> None:
        self.advanced_us += by_us
        self._sandbox.outside("clock", {"seconds": by_us // 1_000_000})


async def resolved(sandbox: SandboxProcess, request: ConnectorRequest, time: Time | None = None) -> list[Answer]:
    """The answers of all attempts, each made when it is due. A sandbox that has died is back for the next."""
    time = time or Time(sandbox)
    provider = StripeProvider(SecretStr(API_KEY), sandbox.url)
    answers = []
    following: ConnectorRequest | None = request._replace(first_asked_at_us=time.now_us())
    while following is not None:
        answers.append(await attempt(provider, following, time.now_us))
        if sandbox.process.poll() is not None:
            sandbox.start()
        following = next_attempt(following, answers[-1], time.now_us())
        if following is not None:
            time.advance(following.not_before_us - time.now_us())
    await provider.close()
    return answers


def taken(sandbox: SandboxProcess, request: ConnectorRequest) -> int:
    """How often the provider took money for this request."""
    return sandbox.taken_of(REQUEST_ID).get(request.request_id.hex(), 0)


@pytest.mark.parametrize("times", [2, *by_night(1)])
@pytest.mark.parametrize("kind", BREAKS)
async def test_a_charge_through_a_fault_happens_once(sandbox: SandboxProcess, kind: FaultKind, times: int) -> None:
    sandbox.fault(kind, path="/v1/payment_intents", times=times, seconds=0.1)
    request = charge()
    answers = await resolved(sandbox, request)
    assert answers[-1].outcome is Outcome.SUCCEEDED
    assert taken(sandbox, request) == 1


@pytest.mark.parametrize("kind", sorted(KILLS))
async def test_a_provider_that_dies_in_mid_call_is_asked_again(sandbox: SandboxProcess, kind: FaultKind) -> None:
    sandbox.fault(kind, path="/v1/payment_intents")
    request = charge()
    answers = await resolved(sandbox, request)
    assert [answer.outcome for answer in answers] == [Outcome.UNKNOWN, Outcome.SUCCEEDED]
    assert taken(sandbox, request) == 1


@pytest.mark.parametrize("kind", [FaultKind.HANG_AFTER, *by_night(FaultKind.ERROR_AFTER, FaultKind.KILL_AFTER)])
@pytest.mark.parametrize("operation", [ConnectorOperation.CAPTURE, ConnectorOperation.VOID, ConnectorOperation.REFUND])
async def test_what_follows_a_charge_happens_once_too(
    sandbox: SandboxProcess, provider: StripeProvider, operation: ConnectorOperation, kind: FaultKind
) -> None:
    is_refund = operation is ConnectorOperation.REFUND
    paid = await (provider.charge(charge()) if is_refund else provider.authorise(authorisation()))
    sandbox.fault(kind, path="/v1/refunds" if is_refund else "/v1/payment_intents/")
    answers = await resolved(sandbox, about(operation, paid.provider_reference, amount_minor=400))
    assert answers[-1].outcome is Outcome.SUCCEEDED
    intent = sandbox.sdk().payment_intents.retrieve(paid.provider_reference)
    refunded = sum(refund["amount"] for refund in sandbox.all("refunds", payment_intent=intent.id))
    expected = {ConnectorOperation.CAPTURE: (400, 0), ConnectorOperation.VOID: (0, 0)}
    assert (intent.amount_received, refunded) == expected.get(operation, (1_099, 400))


async def test_a_payout_whose_answer_is_lost_is_found_in_the_list(
    sandbox: SandboxProcess, provider: StripeProvider
) -> None:
    await provider.charge(charge(amount_minor=50_000))
    before = len(sandbox.all("payouts"))
    sandbox.fault(FaultKind.ERROR_AFTER, path="/v1/payouts")
    answers = await resolved(sandbox, request_of(ConnectorOperation.PAYOUT, token="ba_seller", amount_minor=900))
    assert answers[0].outcome is Outcome.PENDING
    assert len(sandbox.all("payouts")) == before + 1


async def test_a_search_that_is_behind_is_not_believed(own_sandbox: SandboxProcess) -> None:
    """500 for ever, and an index that is half an hour late: unknown, until the index has it."""
    own_sandbox.outside("search", {"seconds": 1_800})
    own_sandbox.fault(FaultKind.ERROR_AFTER)
    request = charge(deadline_us=now_us() + 30_000_000)
    answers = await resolved(own_sandbox, request)
    assert [answer.outcome for answer in answers[:-1]] == [Outcome.UNKNOWN] * (len(answers) - 1)
    assert len(answers) > 2
    assert answers[-1].outcome is Outcome.SUCCEEDED
    assert taken(own_sandbox, request) == 1


async def test_what_never_arrived_has_failed_after_its_deadline_and_is_not_sent_again(
    own_sandbox: SandboxProcess,
) -> None:
    own_sandbox.fault(FaultKind.HANG_BEFORE, times=3)
    request = charge(deadline_us=now_us() + 10_000_000)
    answers = await resolved(own_sandbox, request)
    assert {answer.outcome for answer in answers[:-1]} == {Outcome.UNKNOWN}
    assert (answers[-1].outcome, answers[-1].decline) == (Outcome.FAILED, Decline.NOT_EXECUTED)
    assert taken(own_sandbox, request) == 0


@pytest.mark.parametrize("kind", [FaultKind.ERROR_AFTER, FaultKind.RESET_AFTER])
async def test_a_key_that_the_provider_has_forgotten_charges_nobody_twice(
    own_sandbox: SandboxProcess, kind: FaultKind
) -> None:
    """The process was down for a day: the request is old, the key is gone, and the money was taken at the first try."""
    request = charge()
    own_sandbox.fault(kind, times=3)
    provider = StripeProvider(SecretStr(API_KEY), own_sandbox.url)
    await provider.charge(request)
    await provider.close()
    time, asked_at_us = Time(own_sandbox), now_us()
    own_sandbox.clear_faults()
    time.advance(25 * HOUR_US)
    late = request._replace(first_asked_at_us=asked_at_us)
    provider = StripeProvider(SecretStr(API_KEY), own_sandbox.url)
    answer = await attempt(provider, late, time.now_us)
    await provider.close()
    assert (answer.outcome, taken(own_sandbox, request)) == (Outcome.SUCCEEDED, 1)


async def test_the_sandbox_would_charge_twice_were_the_key_used_after_its_life(own_sandbox: SandboxProcess) -> None:
    """So the test above can fail: a blind repetition is what the rule is there for."""
    request = charge()
    provider = StripeProvider(SecretStr(API_KEY), own_sandbox.url)
    await provider.charge(request)
    Time(own_sandbox).advance(25 * HOUR_US)
    await provider.charge(request)
    await provider.close()
    assert taken(own_sandbox, request) == 2


@pytest.fixture(scope="module")
def breaking_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    state: Path = tmp_path_factory.mktemp("breaking") / "state.sqlite"
    with running_sandbox(state) as sandbox:
        yield sandbox


@examples(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from([*BREAKS, FaultKind.KILL_AFTER]), min_size=1, max_size=6),
    token=st.sampled_from(["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"]),
    lag_s=st.sampled_from([0, 120, 3_000]),
)
def test_any_faults_in_any_order_end_in_what_the_provider_did(
    breaking_sandbox: SandboxProcess, faults: list[FaultKind], token: str, lag_s: int
) -> None:
    breaking_sandbox.clear_faults()
    breaking_sandbox.outside("search", {"seconds": lag_s})
    for fault in faults:
        breaking_sandbox.fault(fault, seconds=0.05)
    request = charge(token=token)
    answers = asyncio.run(resolved(breaking_sandbox, request))
    count = taken(breaking_sandbox, request)
    assert count <= 1
    assert (answers[-1].outcome is Outcome.SUCCEEDED) == (count == 1)
    assert answers[-1].outcome is not Outcome.UNKNOWN
