"""Goal: through Kafka and the partition, who may be on a list gives no money and takes some, until it is decided."""

import secrets
from collections import Counter

import psycopg

from ingest_api.aliases.parties import USER
from ingest_api.screening.desk import MIGRATIONS
from payments.identifiers import format_id
from payments.screening.entries import ListEntry, Source
from payments.screening.names import Schema
from runtime import migrate
from runtime.settings import Settings
from screening.lists.published import PublishedList
from screening.stored_lists import load_list
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

LISTED = ListEntry(Source.UN, "1", Schema.PERSON, "Tarik Osmanow")


def standing(api: ApiClient, account: str) -> str:
    shown: str = api.get(f"/v1/accounts/{account}").json()["status"]
    return shown


def test_a_hit_stops_payments_until_it_is_decided(api: ApiClient, settings: Settings) -> None:
    migrate.up(settings.database_url, MIGRATIONS)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        load_list(connection, PublishedList(Source.UN, (LISTED,), Counter()), may_shrink=True)
    user, stranger = format_id(USER, secrets.token_bytes(16)), api.open_account()
    opened = api.post(
        "/v1/accounts", {"currency": "EUR", "owners": [{"user": user, "role": "owner"}]}, prefer="wait=20"
    )
    account = opened.json()["id"]
    eventually(lambda: standing(api, account) == "open")

    party = api.http.put(f"/v1/parties/{user}", json={"type": "person", "names": ["Tarik Osmanov"]})
    assert party.json()["status"] == "waiting_for_verification"
    assert api.deposit(account, "5.00").status_code == 201
    problem_of(api.transfer(account, stranger, "1.00"), 422, "account_debits_frozen")

    [hit] = [one for one in api.get("/v1/screening/hits").json()["items"] if one["user"] == user]
    decision = {"decision": "false_positive", "reason": "born in 1990"}
    assert api.post(f"/v1/screening/hits/{hit['id']}/decision", decision).json()["status"] == "false_positive"
    eventually(lambda: standing(api, account) == "open")
    assert api.transfer(account, stranger, "1.00").status_code == 201
