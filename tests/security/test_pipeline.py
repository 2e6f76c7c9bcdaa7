"""Goal: the whole pipeline moves money over TLS with each stage's own rights, survives kill -9, stops with a clear
reason when a right is taken away under load, and goes on with right books when it is back.
"""

import pytest
from confluent_kafka.admin import AdminClient

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.access import binding, ensure_access, exact_filter
from millrace.environment import LocalEnvironment
from millrace.environment.layout import Home
from payments.items.details import OrderStatus
from schemas import access
from schemas.access import ADMINISTRATOR, Operation, Principal, Resource
from schemas.topics import COMMANDS, LEDGER, Topic
from tests.connectors.sandbox_process import SandboxProcess
from tests.ingest_api.client import ApiClient
from tests.pipeline.commerce.shop import Shop, order
from tests.pipeline.conftest import assert_books_balance
from tests.pipeline.traffic import Traffic
from tests.support.waiting import eventually


@pytest.fixture
def api(secured: LocalEnvironment) -> ApiClient:
    return ApiClient(secured.addresses.api_url or "", issue_token(secured.settings, "test", ALL_SCOPES, 600))


def test_money_moves_from_http_to_postgres(secured: LocalEnvironment, api: ApiClient) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    paid = api.transfer(payer, payee, "2.50")
    assert paid.status_code == 201, paid.text
    assert [api.balance_minor(account, paid) for account in (payer, payee)] == [750, 250]
    assert_books_balance(secured)


def test_a_worker_killed_under_load_loses_nothing(secured: LocalEnvironment) -> None:
    traffic = Traffic(secured, seed=31)
    traffic.open_accounts()
    traffic.pay(100)
    traffic.pay_packed(500)
    killed = secured.kill("worker-0")
    traffic.pay(100)
    secured.wait_restarted("worker-0", killed)
    traffic.await_settled()
    assert_books_balance(secured)


def test_a_card_is_charged_and_refunded_with_each_stage_its_own_rights(
    secured: LocalEnvironment, provider: SandboxProcess
) -> None:
    with Shop.open(secured, provider) as shop:
        one = order(shop.seller(), 2_500)
        checkout = shop.check_out(one)
        shop.await_status(OrderStatus.SUCCESS, one)
        shop.refund(checkout, one, 1_000)
        shop.await_answers(one, 2)
        assert (shop.charged(one), shop.refunded(one)) == (1, [1_000])
        shop.close_the_books()


def take_right(administrator: AdminClient, principal: Principal, operation: Operation, topic: Topic) -> None:
    """That one right, at once."""
    [grant] = [one for one in principal.grants if one[:3] == (Resource.TOPIC, topic.name, operation)]
    for future in administrator.delete_acls([exact_filter(binding(principal, grant))]).values():
        assert len(future.result(20)) == 1


def log_of(environment: LocalEnvironment, service: str) -> str:
    return Home(environment.settings.home).log(service).read_text()


@pytest.mark.parametrize(
    ("principal", "operation", "service"),
    [
        (access.WORKER, Operation.WRITE, "worker-0"),
        (access.SINK, Operation.READ, "sink"),
    ],
    ids=["worker", "sink"],
)
def test_a_right_taken_away_under_load_stops_with_its_reason_and_back_goes_on(
    secured: LocalEnvironment, administrator: AdminClient, principal: Principal, operation: Operation, service: str
) -> None:
    traffic = Traffic(secured, seed=32)
    traffic.open_accounts()
    take_right(administrator, principal, operation, LEDGER)
    sentence = f"{principal.name} may not {operation.value} {LEDGER.name}"

    def is_said() -> bool:
        traffic.pay(5)  # the first ones may be decided before every broker thread knows of the change
        return sentence in log_of(secured, service)

    eventually(is_said, f"{service} says: {sentence}")
    assert traffic.unsettled() > 0
    assert ensure_access(secured.settings_of(ADMINISTRATOR)) == (1, 0)
    traffic.pay(50)
    traffic.await_settled()
    assert_books_balance(secured)


def test_an_api_without_its_right_answers_503_and_says_why(
    secured: LocalEnvironment, api: ApiClient, administrator: AdminClient
) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    take_right(administrator, access.API, Operation.WRITE, COMMANDS)
    try:
        eventually(lambda: api.transfer(payer, payee, "1.00", key="refused").status_code == 503, "refused")
        eventually(lambda: api.http.get("/readyz").status_code == 503, "not ready")
        sentence = f"principal millrace-api may not write {COMMANDS.name}"
        eventually(lambda: sentence in log_of(secured, "api-0"), sentence)
    finally:
        ensure_access(secured.settings_of(ADMINISTRATOR))
    eventually(lambda: api.transfer(payer, payee, "1.00", key="refused").is_success, "allowed again")
    repeated = api.transfer(payer, payee, "1.00", key="refused")
    assert [api.balance_minor(account, repeated) for account in (payer, payee)] == [900, 100], "once, and visible"
    assert_books_balance(secured)
