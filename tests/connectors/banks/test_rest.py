"""Goal: whatever breaks between us and a bank, a transfer is made once at most, and what we say of it in the end is
what the bank did.

Method: the adapter calls the sandbox bank's process over HTTP; the bank's own list of transfers is the judge.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpcore
import pytest
import pytest_asyncio

from connectors.attempt import attempt, next_attempt
from connectors.banks.calls import BankCalls
from connectors.banks.register import Bank, Credentials, Question
from connectors.banks.rest import RestBanks
from connectors.contract import Answer
from connectors.sandbox.faults import FaultKind
from connectors.webhooks.addresses import GuardedNetwork
from payments.commerce.bank_accounts import BankAccount
from payments.identifiers import EXTERNAL_BANK, format_id
from runtime.personal_data.personal import Personal
from runtime.personal_data.sealing import Tampered
from schemas.codec.connectors import ConnectorOperation, ConnectorRequest, Decline, Outcome
from schemas.tables.bank_verifications import Finding, ToldBank
from tests.connectors.banks.bank_process import SECRET, BankProcess, running_bank
from tests.connectors.requests import now_us

pytestmark = pytest.mark.usefixtures("short_waits")

BANK, LINK = b"\x01" * 16, b"\x02" * 16
IBAN = "DE89370400440532013000"
KILLS = {FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER}


class Known:
    """The register, with one bank and one linked account."""

    def __init__(self, url: str, secret: str = SECRET) -> None:
        self._bank = Bank(url, Credentials("millrace", secret))
        self.number_known: Personal | None = Personal(IBAN)
        self.is_tampered = False
        self.to_compare: ToldBank | None = None
        self.findings: list[Finding] = []

    async def bank(self, bank: bytes) -> Bank | None:
        self._require_whole()
        return self._bank if bank == BANK else None

    async def number(self, account: bytes) -> Personal | None:
        self._require_whole()
        return self.number_known if account == LINK else None

    def _require_whole(self) -> None:
        if self.is_tampered:
            raise Tampered("a sealed text does not open in the place where it was found")

    async def told(self, question: Question) -> ToldBank | None:
        return self.to_compare if question.account == LINK else None

    async def answered(self, question: Question, finding: Finding) -> None:
        assert question.bank == BANK
        self.findings.append(finding)

    async def close(self) -> None: ...


def calls_to(*, any_address: bool) -> BankCalls:
    resolving = ThreadPoolExecutor(2)
    network = GuardedNetwork(resolving, any_address=any_address)
    return BankCalls(httpcore.AsyncConnectionPool(network_backend=network), resolving, plain=True)


@pytest.fixture(scope="module")
def shared_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    with running_bank(tmp_path_factory.mktemp("bank") / "state.sqlite") as bank:
        yield bank


@pytest.fixture
def bank(shared_bank: BankProcess) -> Iterator[BankProcess]:
    yield shared_bank
    shared_bank.clear_faults()
    shared_bank.tell("settlement", at_once=True)


@pytest.fixture
def known(bank: BankProcess) -> Known:
    return Known(bank.url)


@pytest_asyncio.fixture
async def banks(known: Known) -> AsyncIterator[RestBanks]:
    made = RestBanks(known, calls_to(any_address=True))  # type: ignore[arg-type]  # the register without Postgres
    yield made
    await made.close()


def asked(operation: ConnectorOperation = ConnectorOperation.PAYOUT, **fields: object) -> ConnectorRequest:
    """10.50 EUR to or from the linked account."""
    id_ = secrets.token_bytes(16)
    token = BankAccount(BANK, LINK).token
    made = ConnectorRequest(id_, "bank", operation, id_.hex(), 1_050, "EUR", id_.hex(), token)
    return made._replace(first_asked_at_us=now_us(), **fields)  # type: ignore[arg-type]


async def resolved(banks: RestBanks, bank: BankProcess, request: ConnectorRequest) -> list[Answer]:
    """The answers of all attempts. A bank that has died is back for the next."""
    answers: list[Answer] = []
    at_us = [now_us()]
    following: ConnectorRequest | None = request
    while following is not None:
        answers.append(await attempt(banks, following, lambda: at_us[0]))
        if bank.process.poll() is not None:
            bank.start()
        following = next_attempt(following, answers[-1], at_us[0])
        at_us[0] = following.not_before_us if following is not None else 0
    return answers


def made_for(bank: BankProcess, request: ConnectorRequest) -> list[tuple[str, str]]:
    """Direction and amount of each transfer that the bank has made for this request."""
    reference = request.request_id.hex()
    return [(one["direction"], one["amount"]) for one in bank.transfers() if one["reference"] == reference]


async def test_money_goes_out_once_and_settles(banks: RestBanks, bank: BankProcess) -> None:
    request = asked()
    first, again = await banks.payout(request), await banks.payout(request)
    assert (first.outcome, first) == (Outcome.SUCCEEDED, again)
    assert made_for(bank, request) == [("credit", "10.50")]


@pytest.mark.parametrize("kind", list(FaultKind))
async def test_through_any_fault_money_moves_once(banks: RestBanks, bank: BankProcess, kind: FaultKind) -> None:
    bank.fault(kind, times=2 if kind not in KILLS else 1, seconds=0.05)
    request = asked()
    answers = await resolved(banks, bank, request)
    assert answers[-1].outcome is Outcome.SUCCEEDED
    assert made_for(bank, request) == [("credit", "10.50")]


async def test_a_token_that_the_bank_has_forgotten_is_fetched_again(banks: RestBanks, bank: BankProcess) -> None:
    assert (await banks.payout(asked())).outcome is Outcome.SUCCEEDED
    bank.forget_tokens()
    request = asked()
    assert (await attempt(banks, request, now_us)).outcome is Outcome.SUCCEEDED
    assert made_for(bank, request) == [("credit", "10.50")]


async def test_what_waits_at_the_bank_is_asked_about_and_never_sent_again(banks: RestBanks, bank: BankProcess) -> None:
    bank.tell("settlement", at_once=False)
    request = asked()
    pending = await attempt(banks, request, now_us)
    assert pending.outcome is Outcome.PENDING
    later = next_attempt(request, pending, now_us())
    assert later is not None
    assert later.operation is ConnectorOperation.INQUIRE
    bank.tell(f"transfers/{pending.provider_reference.rpartition('/')[2]}/settle", settled=True)
    assert (await attempt(banks, later, now_us)).outcome is Outcome.SUCCEEDED
    assert len(made_for(bank, request)) == 1


async def test_a_closed_account_is_a_certain_no(banks: RestBanks, bank: BankProcess, known: Known) -> None:
    known.number_known = Personal("021000021/000000001")
    bank.tell("accounts", number="021000021/000000001", is_open=False)
    answer = await attempt(banks, asked(), now_us)
    assert (answer.outcome, answer.decline) == (Outcome.FAILED, Decline.REFERENCE_UNKNOWN)


async def test_money_is_collected_and_given_back_up_to_what_was_collected(banks: RestBanks, bank: BankProcess) -> None:
    collected = await banks.charge(asked(ConnectorOperation.CHARGE))
    assert collected.outcome is Outcome.SUCCEEDED
    back = {"provider_reference": collected.provider_reference, "token": ""}
    part = asked(ConnectorOperation.REFUND, **back)._replace(amount_minor=1_000)
    assert (await banks.refund(part)).outcome is Outcome.SUCCEEDED
    more = await banks.refund(asked(ConnectorOperation.REFUND, **back)._replace(amount_minor=51))
    assert (more.outcome, more.decline) == (Outcome.FAILED, Decline.AMOUNT_EXCEEDED)


async def test_unlinked_after_it_was_sent_is_found_and_not_called_failed(
    banks: RestBanks, bank: BankProcess, known: Known
) -> None:
    bank.fault(FaultKind.RESET_AFTER)
    request = asked()
    assert (await banks.payout(request)).outcome is Outcome.UNKNOWN
    known.number_known = None
    assert (await attempt(banks, request, now_us)).outcome is Outcome.SUCCEEDED
    assert len(made_for(bank, request)) == 1


async def test_unlinked_before_it_was_sent_is_a_no_only_once_nothing_can_be_on_its_way(
    banks: RestBanks, bank: BankProcess, known: Known
) -> None:
    known.number_known = None
    request = asked()
    answers = await resolved(banks, bank, request)
    assert [answer.outcome for answer in answers[:-1]] == [Outcome.UNKNOWN] * (len(answers) - 1)
    assert (answers[-1].outcome, answers[-1].decline) == (Outcome.FAILED, Decline.NOT_EXECUTED)
    assert made_for(bank, request) == []


@pytest.mark.parametrize("operation", [ConnectorOperation.PAYOUT, ConnectorOperation.CHARGE, ConnectorOperation.REFUND])
async def test_a_row_of_the_register_that_was_changed_is_no_end_of_the_connectors(
    banks: RestBanks, bank: BankProcess, known: Known, operation: ConnectorOperation
) -> None:
    known.is_tampered = True
    request = asked(operation, provider_reference=f"{format_id(EXTERNAL_BANK, BANK)}/trf_1")
    answer = await attempt(banks, request, now_us)
    assert (answer.outcome, answer.provider_code) == (Outcome.UNKNOWN, "register_tampered")
    assert made_for(bank, request) == []


async def test_another_amount_under_the_same_key_is_unknown_and_moves_nothing(
    banks: RestBanks, bank: BankProcess
) -> None:
    request = asked()
    await banks.payout(request)
    other = await banks.payout(request._replace(amount_minor=9_999))
    assert (other.outcome, other.may_repeat) == (Outcome.UNKNOWN, True)
    assert made_for(bank, request) == [("credit", "10.50")]


async def test_our_own_network_is_not_called(bank: BankProcess) -> None:
    guarded = RestBanks(Known(bank.url), calls_to(any_address=False))  # type: ignore[arg-type]
    request = asked()
    answer = await guarded.payout(request)
    await guarded.close()
    assert (answer.outcome, answer.provider_code) == (Outcome.UNKNOWN, "address_refused")
    assert made_for(bank, request) == []


async def test_wrong_credentials_are_no_outcome_of_the_transfer(bank: BankProcess) -> None:
    stranger = RestBanks(Known(bank.url, "another secret"), calls_to(any_address=True))  # type: ignore[arg-type]
    answer = await stranger.payout(asked())
    await stranger.close()
    assert (answer.outcome, answer.provider_code) == (Outcome.UNKNOWN, "no_access_token")


async def test_a_code_of_the_bank_says_once_whose_the_account_is(
    banks: RestBanks, bank: BankProcess, known: Known
) -> None:
    bank.tell("accounts", number=IBAN, holder="Anna Kowalska")
    codes = [bank.tell("codes", number=IBAN)["code"] for _ in range(2)]
    first, second, third, fourth = (Question(bytes([n]) * 16, b"\x03" * 16, LINK, BANK) for n in range(4))
    known.to_compare = ToldBank("anna kowalska", codes[0])
    bank.fault(FaultKind.RESET_AFTER, path="/accounts/verify")
    await banks.verify(first)
    await banks.verify(first)  # the bank had answered: under the same key it answers the same
    await banks.verify(second)  # and the code is used
    known.to_compare = ToldBank("Otto Kowalski", codes[1])
    await banks.verify(third)
    known.number_known = None
    await banks.verify(fourth)
    assert known.findings == [
        Finding.UNANSWERED,
        Finding.MATCH,
        Finding.REFUSED,
        Finding.NO_MATCH,
        Finding.UNANSWERED,
    ]
