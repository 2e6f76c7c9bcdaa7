"""Rules, reviews and verdicts as callers and analysts meet them, through the whole installation."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from ingest_api.identity.tokens import ALL_SCOPES, Scope, issue_token
from payments.lifecycle import PaymentStatus
from payments.movements.instructions import Envelope, SetRules
from runtime.settings import Settings
from schemas.codec.instructions import encode_instruction
from schemas.topics import COMMANDS
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

CURRENCY = "JPY"
"""Of its own, so that the rules concern no other test of this installation."""
RULES = """
version: 1
reporting_thresholds: {JPY: 5000}
rules:
  - {id: large, when: currency == 'JPY' && amount_minor >= 2000, verdict: review, reason: a person looks at it}
  - {id: huge, when: currency == 'JPY' && amount_minor >= 9000, verdict: deny, reason: never so much}
  - {id: far, when: currency == 'JPY' && ip_country == 'XX', verdict: deny, reason: not from there}
  - {id: counted, when: currency == 'JPY' && device_attempts_24h > 100000, verdict: deny, reason: a world of it}
  - {id: shared, when: currency == 'JPY' && device_distinct_accounts_24h > 2, verdict: deny, reason: too many users}
"""


@pytest.fixture(scope="module", autouse=True)
def rules(settings: Settings) -> None:
    """In force at every shard."""
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for shard in range(settings.shards):
        asked = SetRules(shard=shard, text=RULES, envelope=Envelope("rules of the cases"))
        producer.produce(COMMANDS.name, encode_instruction(asked), partition=shard)
    assert producer.flush(20) == 0


@pytest.fixture
def analyst(settings: Settings, api_url: str) -> Iterator[Callable[[str], ApiClient]]:
    made: list[ApiClient] = []

    def make(name: str) -> ApiClient:
        made.append(ApiClient(api_url, issue_token(settings, name, [Scope.CASES_READ, Scope.CASES_DECIDE], 600)))
        return made[-1]

    yield make
    for client in made:
        client.http.close()


def pay(api: ApiClient, payer: str, payee: str, amount: int, **risk: str) -> dict[str, object]:
    body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": CURRENCY}
    response = api.post("/v1/transfers", body | ({"risk": risk} if risk else {}), prefer="wait=20")
    answered: dict[str, object] = response.json()
    return answered.get("payment") or answered  # type: ignore[return-value]


def case_of(client: ApiClient, payment: dict[str, object]) -> str:
    """Path of the case, once it can be seen."""
    path = f"/v1/cases/{str(payment['id']).replace('pay_', 'cas_')}"
    eventually(lambda: client.get(path).status_code == 200)
    return path


def decide(client: ApiClient, path: str, decision: str, **headers: str) -> dict[str, object]:
    response = client.post(f"{path}/decision", {"decision": decision}, prefer="wait=20", **headers)
    assert response.status_code == 200, response.text
    found: dict[str, object] = response.json()
    return found


@pytest.fixture
def parties(api: ApiClient) -> tuple[str, str]:
    return api.funded_account("100000", CURRENCY), api.open_account(CURRENCY)


def test_an_analyst_sees_why_a_payment_waits_and_lets_it_go(
    api: ApiClient, analyst: Callable[[str], ApiClient], parties: tuple[str, str]
) -> None:
    payment = pay(api, *parties, 2_000)
    assert payment["status"] == PaymentStatus.IN_REVIEW
    anna = analyst("anna")
    path = case_of(anna, payment)
    seen = anna.get(path)
    assert [(hit["rule"], hit["reason"]) for hit in seen.json()["findings"]["rules"]] == [
        ("large", "a person looks at it")
    ]
    assert seen.json()["findings"]["features"]["amount_minor"] == 2_000
    assert any(case["payment"] == payment["id"] for case in anna.get("/v1/cases").json()["items"])
    after = decide(anna, path, "approve", if_match=seen.headers["etag"])
    assert (after["status"], after["approvals"]) == ("approved", 1)
    posted = f"/v1/transfers/{payment['id']}"
    eventually(lambda: api.get(posted).json()["status"] == PaymentStatus.POSTED)
    problem_of(anna.post(f"{path}/decision", {"decision": "decline"}), 404, "review_not_found")


def test_four_eyes_from_the_threshold_on_and_nobody_counts_twice(
    api: ApiClient, analyst: Callable[[str], ApiClient], parties: tuple[str, str]
) -> None:
    anna, bert = analyst("anna"), analyst("bert")
    path = case_of(anna, pay(api, *parties, 5_000))
    tag = anna.get(path).headers["etag"]
    first = decide(anna, path, "approve")
    assert (first["status"], first["approvals"], first["approvals_needed"]) == ("open", 1, 2)
    stale = bert.post(f"{path}/decision", {"decision": "approve"}, if_match=tag)
    problem_of(stale, 412, "precondition_failed")
    again = anna.post(f"{path}/decision", {"decision": "approve"}, prefer="wait=20")
    assert (again.status_code, again.json()["approvals"]) == (200, 1), "it waited for a change until its time was over"
    assert again.headers["Idempotency-Replayed"] == "true"
    problem_of(anna.post(f"{path}/decision", {"decision": "decline"}, prefer="wait=20"), 422, "reviewer_repeated")
    assert decide(bert, path, "approve")["status"] == "approved"
    assert decide(bert, path, "approve")["status"] == "approved", "an answer may be lost, and a call made again"


def test_one_analyst_who_declines_gives_the_payer_it_back(
    api: ApiClient, analyst: Callable[[str], ApiClient], parties: tuple[str, str]
) -> None:
    anna = analyst("anna")
    path = case_of(anna, pay(api, *parties, 6_000))
    assert [decide(anna, path, "decline")["status"] for _ in range(2)] == ["declined", "declined"]
    problem_of(analyst("bert").post(f"{path}/decision", {"decision": "decline"}), 404, "review_not_found")
    assert api.get(f"/v1/accounts/{parties[0]}/balance").json()["available_minor"] == 100_000


def test_the_queue_has_pages_and_the_oldest_comes_first(
    api: ApiClient, analyst: Callable[[str], ApiClient], parties: tuple[str, str]
) -> None:
    anna = analyst("anna")
    payments = [pay(api, *parties, 2_000 + number) for number in range(3)]
    second = [case_of(anna, payment) for payment in payments][1]
    found, query = [], {"limit": "2"}
    while True:
        page = anna.http.get("/v1/cases", params=query).json()
        found += [case["payment"] for case in page["items"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert [payment for payment in found if payment in {each["id"] for each in payments}] == [p["id"] for p in payments]
    assert len(set(found)) == len(found)
    problem_of(anna.get("/v1/cases", cursor="x"), 422, "cursor_invalid")
    opened = anna.get(second).json()["opened_at"]
    since = [case["payment"] for case in anna.http.get("/v1/cases", params={"from": opened}).json()["items"]]
    until = [case["payment"] for case in anna.http.get("/v1/cases", params={"to": opened}).json()["items"]]
    assert since[:2] == [payments[1]["id"], payments[2]["id"]]
    assert until[-1] == payments[0]["id"]


def test_only_analysts_see_cases(api: ApiClient, settings: Settings, api_url: str) -> None:
    customer = ApiClient(api_url, issue_token(settings, "carl", [s for s in ALL_SCOPES if "cases" not in s], 600))
    path = "/v1/cases/cas_01jd5v2q7xf8k8v6n3m4p5r6st"
    problem_of(customer.get("/v1/cases"), 403, "scope_insufficient")
    problem_of(customer.post(f"{path}/decision", {"decision": "approve"}), 403, "scope_insufficient")
    problem_of(api.get(path), 404, "review_not_found")
    customer.http.close()


def test_a_rule_on_what_is_known_of_the_call_holds_for_transfers(api: ApiClient, parties: tuple[str, str]) -> None:
    assert pay(api, *parties, 100, ip_country="DE", ip="203.0.113.7")["status"] == PaymentStatus.POSTED
    refused = pay(api, *parties, 100, ip_country="XX", ip="203.0.113.7")
    assert (refused["status"], refused["reason"]) == (PaymentStatus.REJECTED, "denied_by_rule")


def test_a_device_that_three_accounts_share_is_noticed(api: ApiClient, parties: tuple[str, str]) -> None:
    """Whatever their shards are: once all three are counted, the next payment from it is refused."""
    payers = [api.funded_account("1000", CURRENCY) for _ in range(3)]
    for payer in payers[:2]:
        assert pay(api, payer, parties[1], 1, device="the tablet")["status"] == PaymentStatus.POSTED
    statuses = []

    def is_refused() -> bool:
        statuses.append(pay(api, payers[2], parties[1], 1, device="the tablet")["status"])
        return statuses[-1] == PaymentStatus.REJECTED

    eventually(is_refused)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(100, ("allow", None)), (2_000, ("review", "review_by_rule")), (9_000, ("deny", "denied_by_rule"))],
)
def test_the_verdict_on_an_attempt_moves_nothing(
    api: ApiClient, parties: tuple[str, str], amount: int, expected: tuple[str, str | None]
) -> None:
    body = {"from_account": parties[0], "to_account": parties[1], "amount": amount, "currency": CURRENCY}
    answers = [api.http.post("/v1/risk", json=body, headers={"Prefer": "wait=20"}) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["verdict"], said.get("code")) == expected
        assert said["findings"]["features"]["amount_minor"] == amount
        assert "attempts_24h" not in said["findings"]["features"]
    after = api.get(f"/v1/accounts/{parties[0]}/balance", answers[-1])
    assert after.json()["available_minor"] == 100_000


def test_an_attempt_that_could_not_be_paid_is_denied_and_customers_learn_no_rules(
    settings: Settings, api_url: str, api: ApiClient, parties: tuple[str, str]
) -> None:
    scopes = [scope for scope in ALL_SCOPES if scope is not Scope.CASES_READ]
    shop = ApiClient(api_url, issue_token(settings, "shop", scopes, 600))
    body = {"from_account": parties[1], "to_account": parties[0], "amount": 1, "currency": CURRENCY}
    said = shop.http.post("/v1/risk", json=body, headers={"Prefer": "wait=20"}).json()
    assert (said["verdict"], said["code"]) == ("deny", "insufficient_funds")
    assert "findings" not in said
    problem_of(shop.http.post("/v1/risk", json=body | {"risk": {"ip": "x"}}), 422, "field_invalid")
    shop.http.close()
