"""Goal: money sent by alias arrives once, at the account that the alias stood for when it was first sent."""

import secrets
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.aliases.service import Aliases
from ingest_api.http.bodies import TransferBody
from ingest_api.reads.database import Database
from millrace.environment import LocalEnvironment
from payments.identifiers import format_id, parse_id
from runtime.settings import Settings
from schemas.partitioning import shard_of
from tests.ingest_api.client import ApiClient, command_record, problem_of, transfer_line
from tests.support.waiting import eventually


class Person:
    """A user of a test's own with an address of its own."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.id = format_id(USER, secrets.token_bytes(16))
        self.address = f"recognisable.{secrets.token_hex(6)}@Example.com"

    @property
    def party(self) -> str:
        return f"email:{self.address}"

    def register(self, account: str, /, **changes: Any) -> httpx.Response:
        """As soon as the account is visible; a caller that sends its Consistency-Token need not wait."""
        if changes.get("account", account) == account:
            eventually(lambda: self.api.get(f"/v1/accounts/{account}").status_code == 200)
        return self.send(account, **changes)

    def send(self, account: str, /, **changes: Any) -> httpx.Response:
        body = {"user": self.id, "type": "email", "value": self.address, "account": account, "verified": True}
        key = changes.pop("key", None)
        return self.api.post("/v1/aliases", body | changes, key)

    def has(self, account: str) -> str:
        """The alias's id, once it stands for this account."""
        answer = self.register(account)
        assert answer.status_code == 201, answer.text
        alias: str = answer.json()["id"]
        return alias


@pytest.fixture
def person(api: ApiClient) -> Person:
    return Person(api)


@pytest.mark.parametrize("side", ["payer", "payee"])
def test_a_remapped_alias_does_not_pay_twice(api: ApiClient, person: Person, side: str) -> None:
    """The same call again after the alias went to another account: the same payment, and no other one."""
    first, second, other = (api.funded_account("10.00") for _ in range(3))
    parties = (person.party, other) if side == "payer" else (other, person.party)
    key = secrets.token_hex(8)
    person.has(first)
    paid = api.transfer(*parties, "1.00", key=key)
    assert paid.status_code == 201, paid.text
    person.has(second)
    again = api.transfer(*parties, "1.00", key=key)
    assert again.status_code == 200, again.text
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.json()["id"], again.json()["status"]) == (paid.json()["id"], "posted")
    assert {again.json()["from_account"], again.json()["to_account"]} == {first, other}
    signed = -100 if side == "payer" else 100
    assert [api.balance_minor(account, again) for account in (first, second, other)] == [
        1000 + signed,
        1000,
        1000 - signed,
    ]
    fresh = api.transfer(*parties, "1.00")
    assert second in {fresh.json()["from_account"], fresh.json()["to_account"]}


async def test_a_call_that_was_pinned_and_never_sent_pays_the_account_it_meant(
    api: ApiClient, person: Person, settings: Settings
) -> None:
    """The process died between the pin and Kafka; the caller tries again after the alias went elsewhere."""
    first, second, payee = api.funded_account("10.00"), api.funded_account("10.00"), api.open_account()
    key = secrets.token_hex(8)
    person.has(first)
    died = Aliases.of(settings, Database.writing(settings))
    await died.open()
    await died.resolved("tester", key, TransferBody(person.party, payee, msgspec.Raw(b'"1.00"'), "EUR"))
    await died.close()
    person.has(second)
    paid = api.transfer(person.party, payee, "1.00", key=key)
    assert (paid.status_code, paid.json()["from_account"]) == (201, first)
    assert [api.balance_minor(account, paid) for account in (first, second)] == [900, 1000]


def test_the_same_key_with_another_alias_is_refused(api: ApiClient, person: Person) -> None:
    payer, payee, other, key = api.funded_account("10.00"), api.open_account(), Person(api), secrets.token_hex(8)
    person.has(payee)
    other.has(payee)
    assert api.transfer(payer, person.party, "1.00", key=key).status_code == 201
    refused = api.transfer(payer, other.party, "1.00", key=key)
    problem_of(refused, 422, "idempotency_key_reused")
    assert api.transfer(payer, person.party, "1.01", key=key).status_code == 422
    assert api.balance_minor(payee) == 100


def test_an_alias_that_stands_for_nothing_moves_nothing(api: ApiClient, person: Person) -> None:
    payer, account = api.funded_account("10.00"), api.open_account()
    for party, pointer in ((person.party, "/to_account"), ("usr_nobody", "/to_account")):
        problem = problem_of(api.transfer(payer, party, "1.00"), 404, "alias_not_found")
        assert problem["errors"][0]["pointer"] == pointer
    assert person.register(account, verified=False).status_code == 201
    problem_of(api.transfer(payer, person.party, "1.00"), 404, "alias_not_found")
    problem_of(api.transfer(payer, "email:nonsense", "1.00"), 422, "field_invalid")
    paid = api.transfer(payer, account, "1.00")
    history = api.get("/v1/transactions", paid, account=payer).json()["items"]
    assert [payment["amount"] for payment in history] == ["1.00", "10.00"]


def test_batch_lines_name_accounts_by_id(api: ApiClient, person: Person) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    person.has(payee)
    answer = api.batch([transfer_line(payer, person.party), transfer_line(payer, payee)])
    assert answer.status_code == 202
    assert [(line["line"], line["pointer"]) for line in answer.json()["rejected"]] == [(1, "/to_account")]


def test_an_address_is_in_no_record_and_in_no_log(
    api: ApiClient, person: Person, installation: LocalEnvironment, settings: Settings
) -> None:
    """Sent, refused, malformed, in the wrong place: nothing keeps it in the clear."""
    payer, payee = api.funded_account("10.00"), api.open_account()
    person.has(payee)
    paid = api.transfer(payer, person.party, "1.00")
    shard, offset = position_of(paid, payer, settings)
    local = person.address.partition("@")[0].encode()
    record = command_record(installation.kafka_bootstrap, shard, offset)
    assert local not in (record.value() or b"") + (record.key() or b"") + repr(record.headers()).encode()
    for wrong in (
        api.transfer(payer, f"email:{person.address}@", "1.00"),
        api.transfer(payer, person.address, "1.00"),
        api.post("/v1/aliases", {"user": person.id, "type": person.address, "value": person.address, "account": payee}),
        api.post("/v1/aliases", {"user": person.address, "type": "email", "value": person.address, "account": payee}),
        api.get("/v1/aliases", account=person.address),
    ):
        assert wrong.status_code in {404, 422}
        assert local not in wrong.content
    logs = sorted((Path(settings.home) / "logs").glob("*.log"))
    assert len(logs) >= 4
    assert [log.name for log in logs if local in log.read_bytes()] == []


def position_of(answer: httpx.Response, payer: str, settings: Settings) -> tuple[int, int]:
    """Shard and offset of the command behind an answer."""
    account = parse_id("acc", payer)
    assert account is not None
    timeline = httpx.get(
        f"{answer.request.url.scheme}://{answer.request.url.netloc.decode()}/v1/transactions/{answer.json()['id']}",
        headers={"Authorization": answer.request.headers["authorization"]}
        | {"Consistency-Token": answer.headers["Consistency-Token"]},
    ).json()["timeline"]
    step = timeline[0]
    assert step["partition"] == shard_of(account, settings.shards)
    return step["partition"], step["offset"]
