"""Lists, timelines, and reading one's own writes."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.problems import Problem
from ingest_api.reads.consistency import Visibility, decode_token, encode_token
from ingest_api.reads.cursor import Cursor, decode_cursor, encode_cursor
from ingest_api.reads.database import SESSION_OPTIONS
from payments.lifecycle import PaymentStatus
from runtime.settings import Settings
from schemas.codec.ledger import Lane
from schemas.topics import COMMANDS, LEDGER
from tests.ingest_api.client import ApiClient, problem_of, transfer_line
from tests.support.waiting import eventually


def pages(api: ApiClient, **query: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.http.get("/v1/transactions", params=query | cursor).json()
        assert len(page["items"]) <= int(query["limit"])
        found += page["items"]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_pages_show_every_payment_once_newest_first(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.funded_account("100.00")
    lines = [transfer_line(account, other) for _ in range(9)] + [transfer_line(other, account) for _ in range(8)]
    written = api.batch(lines, Prefer="return=representation")
    wanted = {line["id"] for line in written.json()["lines"]}
    api.get("/v1/transactions", written)
    for limit in ("1", "3", "500"):
        found = pages(api, account=account, limit=limit)
        assert len(found) == 18  # with the deposit
        assert wanted <= {payment["id"] for payment in found}
        assert len({payment["id"] for payment in found}) == 18
        assert all(newer["decided_at"] >= older["decided_at"] for newer, older in pairwise(found))


def test_what_comes_meanwhile_neither_repeats_nor_hides_a_row(api: ApiClient) -> None:
    account, other = api.funded_account("100.00"), api.open_account()
    written = api.batch([transfer_line(account, other) for _ in range(6)])
    first = api.get("/v1/transactions", written, account=account, limit="3").json()
    later = api.transfer(account, other, "1.00")
    api.get("/v1/transactions", later)
    rest = pages(api, account=account, limit="3", cursor=first["next_cursor"])
    found = [payment["id"] for payment in first["items"] + rest]
    assert len(found) == len(set(found)) == 7
    assert later.json()["id"] not in found


def test_filters_choose_by_status_amount_and_time(api: ApiClient) -> None:
    account, other = api.funded_account("10.00"), api.open_account()
    posted = [api.transfer(account, other, amount).json()["id"] for amount in ("1.00", "2.00", "3.00")]
    rejected = api.transfer(account, other, "50.00")
    refused = rejected.json()["payment"]["id"]
    eventually(lambda: api.get("/v1/transactions", rejected).is_success, "the newest of them in the tables")

    def ids(**query: str) -> set[str]:
        return {payment["id"] for payment in pages(api, account=account, limit="50", **query)}

    assert ids(status=PaymentStatus.REJECTED) == {refused}
    assert ids(status=PaymentStatus.RETURNED) == set()
    assert ids(status=PaymentStatus.POSTED) >= set(posted)
    assert refused not in ids(status=PaymentStatus.POSTED)
    assert ids(currency="EUR", min_amount="2.00", max_amount="3.00") == set(posted[1:])
    assert ids(currency="EUR", min_amount="3.01", max_amount="9.99") == set()
    assert ids(currency="JPY") == set()
    second = api.get(f"/v1/transfers/{posted[1]}").json()["decided_at"]
    assert posted[0] in ids(to=second)
    assert posted[1] not in ids(to=second)
    assert {posted[1], posted[2], refused} <= ids(**{"from": second})
    assert ids(**{"from": "2999-01-01T00:00:00Z"}) == set()
    assert {payment["id"] for payment in pages(api, limit="500")} >= {*posted, refused}


def test_a_timeline_names_the_place_of_every_step(api: ApiClient) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    response = api.transfer(payer, payee, "1.00")
    payment = api.get(f"/v1/transactions/{response.json()['id']}", response).json()
    received, authorised, posted = payment["timeline"]
    assert [step["status"] for step in payment["timeline"]] == [
        PaymentStatus.RECEIVED,
        PaymentStatus.AUTHORISED,
        PaymentStatus.POSTED,
    ]
    assert {received["partition"]: received["offset"]} == decode_token(response.headers["Consistency-Token"])
    assert received["topic"] == COMMANDS.name
    assert authorised["topic"] == posted["topic"] == LEDGER.name
    assert posted["journal_id"] == payment["journal_id"]


def test_timelines_of_refused_returned_and_deposited_payments(api: ApiClient) -> None:
    payer, closed = api.funded_account("10.00"), api.open_account()
    api.http.put(f"/v1/accounts/{closed}", json={"status": "closed"})

    def steps(response: Any, payment: dict[str, Any]) -> list[tuple[str, str | None]]:
        seen = api.get(f"/v1/transactions/{payment['id']}", response).json()
        return [(step["status"], step.get("code")) for step in seen["timeline"]]

    returned = api.transfer(payer, closed, "1.00")
    assert steps(returned, returned.json()["payment"]) == [
        (PaymentStatus.RECEIVED, None),
        (PaymentStatus.AUTHORISED, None),
        ("refused", "payee_closed"),
        (PaymentStatus.RETURNED, "payee_closed"),
    ]
    rejected = api.transfer(payer, closed, "99.00")
    assert steps(rejected, rejected.json()["payment"])[1:] == [(PaymentStatus.REJECTED, "insufficient_funds")]
    deposited = api.deposit(payer, "1.00")
    assert steps(deposited, deposited.json())[1:] == [(PaymentStatus.POSTED, None)]


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/accounts/nonsense", "/v1/nonsense", "/readyz", "/openapi.json"])
def test_head_is_get_without_the_body(api: ApiClient, path: str) -> None:
    asked, told = api.http.get(path), api.http.head(path)
    assert (told.status_code, told.content) == (asked.status_code, b"")
    assert told.headers["Content-Length"] == str(len(asked.content))
    assert told.headers["Content-Type"] == asked.headers["Content-Type"]
    assert api.http.get(path).status_code == asked.status_code, "the connection goes on"


def test_a_position_that_is_not_reached_is_503_after_its_time(api: ApiClient) -> None:
    started_s = time.monotonic()
    headers = {"Consistency-Token": encode_token({0: 10**9})}
    response = api.http.get("/v1/transactions", headers=headers)
    problem_of(response, 503, "not_yet_visible")
    assert int(response.headers["Retry-After"]) >= 1
    assert 4 < time.monotonic() - started_s < 10


def test_reading_sessions_cannot_write(settings: Settings) -> None:
    with (
        psycopg.connect(settings.database_url, options=SESSION_OPTIONS, autocommit=True) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("DELETE FROM decisions")


def lanes(**counters: int) -> dict[tuple[int, int, int], int]:
    """`sent_0_1=3`: shard 0 has sent credits up to 3 (exclusive) to shard 1."""
    named = {
        "sent": Lane.CREDITS_SENT,
        "got": Lane.CREDITS_RECEIVED,
        "back": Lane.RETURNS_SENT,
        "restored": Lane.RETURNS_RECEIVED,
    }
    split = ((name.split("_"), following) for name, following in counters.items())
    return {(int(shard), named[lane], int(peer)): following for (lane, shard, peer), following in split}


def test_a_command_is_visible_when_decision_credits_and_returns_have_arrived() -> None:
    visibility = Visibility({0: 7})
    visibility.observe({0: 7}, lanes())
    assert not visibility.complete, "offset 7 is applied when the next one is 8"
    visibility.observe({0: 8}, lanes(sent_0_1=3, got_1_0=2))
    assert not visibility.complete, "the third credit is under way"
    visibility.observe({0: 8}, lanes(sent_0_1=9, got_1_0=3, back_1_0=2, restored_0_1=1))
    assert not visibility.complete, "the second return is under way; later credits do not matter"
    visibility.observe({0: 8}, lanes(sent_0_1=9, got_1_0=3, back_1_0=5, restored_0_1=2))
    assert visibility.complete


def test_a_command_that_sent_nothing_is_visible_with_its_decision() -> None:
    visibility = Visibility({0: 7, 3: 0})
    visibility.observe({0: 8}, lanes())
    assert not visibility.complete
    assert visibility.undecided == [3]
    visibility.observe({0: 8, 3: 1}, lanes())
    assert visibility.complete


@given(st.dictionaries(st.integers(0, 4095), st.integers(0, 2**62), min_size=1, max_size=50))
def test_tokens_come_back_as_they_were(positions: dict[int, int]) -> None:
    assert decode_token(encode_token(positions)) == positions


def status_of(decode: Callable[[str], object], text: str) -> int:
    """What a caller who sends this text is answered: 200, or the status of the problem."""
    try:
        decode(text)
    except Problem as problem:
        return problem.status
    return 200


@hypothesis_settings(max_examples=300)
@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_other_texts_are_no_token_and_no_cursor(text: str) -> None:
    assert status_of(decode_token, text) in {200, 400}
    assert status_of(decode_cursor, text) in {200, 422}


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2)), st.uuids())
def test_cursors_keep_their_microseconds(at: datetime, payment_id: UUID) -> None:
    assert decode_cursor(encode_cursor(Cursor(at, payment_id))) == Cursor(at, payment_id)
