"""Batches: the good half goes on, each bad line is answered, whatever the bytes are."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.batches import LINES_MAX, PACK_ITEMS, ReadLines, pack, read_lines, split_lines
from ingest_api.identity.tokens import ALL_SCOPES, Principal, Scope
from ingest_api.problems import STATUS
from ingest_api.risk.attributes import RiskKeys
from payments.commands import Command, CommandKind
from payments.identifiers import ACCOUNT, derive_account_id, format_id, parse_id
from payments.lifecycle import PaymentStatus
from runtime.settings import Settings
from schemas.codec.commands import MAX_ITEMS, decode_body, items
from schemas.partitioning import shard_of
from tests.ingest_api.client import ApiClient, command_record, problem_of, transfer_line

PAYER = "acc_01jd5v2q7xf8k8v6n3m4p5r6st"
PAYEE = "acc_01jd5v2q7xf8k8v6n3m4p5r6ss"
PRINCIPAL = Principal("tester", frozenset(ALL_SCOPES), 2**40)
SHARDS = 4
RISK_KEYS = RiskKeys(b"k" * 32)


def read_all(body: bytes, principal: Principal = PRINCIPAL) -> ReadLines:
    return asyncio.run(read_lines(split_lines(body), principal, SHARDS, RISK_KEYS))


def commands_of(read: ReadLines) -> list[tuple[int, Command]]:
    """(partition, command) of everything that would be written, in order."""
    return [(r.partition, decode_body(body)) for r in asyncio.run(pack(read.good)) for body in items(r.value)]


def test_the_good_half_goes_on_and_each_bad_line_is_answered(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    good = [transfer_line(payer, payee, f"{amount}.00") for amount in (1, 2, 3)]
    lines: list[Any] = [
        good[0],
        b"{",
        good[1] | {"amount": "-1", "idempotency_key": "a"},
        b"",
        good[1],
        good[1] | {"from_account": "nobody", "idempotency_key": "b"},
        {name: value for name, value in good[0].items() if name != "idempotency_key"},
        good[2] | {"idempotency_key": ""},
        good[2] | {"description": "4111111111111111"},
        good[2] | {"colour": "red"},
        good[2],
        {"kind": "wish", "idempotency_key": "c"},
    ]
    response = api.batch(lines)
    assert response.status_code == 202, response.text
    receipt = response.json()
    assert receipt["accepted"] == 3
    assert [(line["line"], line["code"]) for line in receipt["rejected"]] == [
        (2, "json_malformed"),
        (3, "amount_not_positive"),
        (6, "field_invalid"),
        (7, "field_missing"),
        (8, "field_invalid"),
        (9, "card_number_refused"),
        (10, "field_unknown"),
        (12, "field_invalid"),
    ]
    assert "4111" not in response.text
    assert api.balance_minor(payee, response) == 600
    assert api.balance_minor(payer, response) == 9400


def test_a_batch_twice_moves_its_money_once(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    lines = [transfer_line(payer, payee) for _ in range(20)]
    first, second = api.batch(lines), api.batch([*lines, *lines])
    assert (first.json()["accepted"], second.json()["accepted"]) == (20, 40)
    assert api.balance_minor(payee, second) == 2000


def test_a_batch_opens_and_funds_accounts(api: ApiClient) -> None:
    keys = [secrets.token_hex(4) for _ in range(3)]
    opened = api.batch(
        [{"kind": "open_account", "currency": "EUR", "idempotency_key": key} for key in keys],
        Prefer="return=representation",
    )
    assert opened.headers["Preference-Applied"] == "return=representation"
    accounts = [line["id"] for line in opened.json()["lines"]]
    assert accounts == [format_id(ACCOUNT, derive_account_id("tester", key)) for key in keys]
    body = {"kind": "deposit", "amount": "5.00", "currency": "EUR", "method": "cash"}
    funded = api.batch([body | {"account": account, "idempotency_key": "fund"} for account in accounts])
    for account in accounts:
        assert api.balance_minor(account, funded) == 500


def test_the_receipt_names_the_payments_and_where_they_are(api: ApiClient, settings: Settings) -> None:
    payer, payee = api.funded_account("10.00"), api.open_account()
    line = transfer_line(payer, payee)
    response = api.batch([line], Prefer="return=representation", **{"X-Request-Id": "batch-7"})
    receipt = response.json()
    (position,) = receipt["positions"]
    record = command_record(settings.kafka_bootstrap, position["partition"], position["offset"])
    (command,) = [decode_body(item) for item in items(record.value() or b"")]
    assert command.idempotency_key == line["idempotency_key"]
    assert ("request_id", b"batch-7") in (record.headers() or [])
    seen = api.get(f"/v1/transfers/{receipt['lines'][0]['id']}", response).json()
    assert seen["status"] == PaymentStatus.POSTED


def test_a_batch_of_nothing_good_is_refused(api: ApiClient) -> None:
    document = problem_of(api.batch([b"{", b"[]"]), 422, "batch_refused")
    assert [line["line"] for line in document["rejected"]] == [1, 2]
    problem_of(api.batch([b" ", b"\r"]), 400, "batch_empty")


def test_too_many_lines_take_nothing(api: ApiClient) -> None:
    line = json.dumps(transfer_line(PAYER, PAYEE)).encode()
    problem_of(api.batch([line] * (LINES_MAX + 1)), 413, "too_many_lines")


def test_the_largest_batch_is_taken(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    response = api.batch([transfer_line(payer, payee, "0.01") for _ in range(LINES_MAX)])
    assert response.json()["accepted"] == LINES_MAX
    assert api.balance_minor(payee, response) == LINES_MAX


def test_each_line_needs_the_scope_of_its_kind(caller_with: Callable[..., ApiClient]) -> None:
    caller = caller_with(Scope.ACCOUNTS_WRITE)
    lines = [transfer_line(PAYER, PAYEE), {"kind": "open_account", "currency": "EUR", "idempotency_key": "s"}]
    receipt = caller.batch(lines).json()
    assert receipt["accepted"] == 1
    assert [(line["line"], line["code"]) for line in receipt["rejected"]] == [(1, "scope_insufficient")]


def test_commands_are_packed_by_partition_in_their_order() -> None:
    accounts = [format_id(ACCOUNT, derive_account_id("p", str(number))) for number in range(40)]
    lines = [transfer_line(accounts[n % 40], PAYEE, idempotency_key=str(n)) for n in range(2_000)]
    read = read_all(b"\r\n".join(json.dumps(line).encode() for line in lines))
    records = asyncio.run(pack(read.good))
    assert all(1 <= len(list(items(record.value))) <= PACK_ITEMS <= MAX_ITEMS for record in records)
    assert len(records) <= 2_000 // PACK_ITEMS + SHARDS
    for record in records:
        commands = [decode_body(body) for body in items(record.value)]
        assert {shard_of(command.authority, SHARDS) for command in commands} == {record.partition}
        assert record.key == commands[0].authority
    for account in accounts:
        keys = [int(c.idempotency_key) for _, c in commands_of(read) if c.payer == parse_id(ACCOUNT, account)]
        assert keys == sorted(keys)
        assert len(keys) == 50


GOOD = st.fixed_dictionaries(
    {
        "from_account": st.just(PAYER),
        "to_account": st.just(PAYEE),
        "amount": st.integers(1, 10**9).map(lambda minor: f"{minor // 100}.{minor % 100:02d}"),
        "currency": st.sampled_from(["EUR", "USD"]),
        "idempotency_key": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    }
).map(lambda line: (True, json.dumps(line).encode()))
NOISE = st.one_of(
    st.binary(min_size=1, max_size=200).filter(lambda raw: b"\n" not in raw),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(
            ["kind", "from_account", "account", "amount", "currency", "idempotency_key", "overdraft_limit"]
        ),
        st.none() | st.integers() | st.text(max_size=20) | st.sampled_from(["deposit", "open_account", "transfer"]),
    ).map(lambda value: json.dumps(value).encode()),
).map(lambda raw: (False, raw))


@hypothesis_settings(max_examples=400)
@given(st.lists(GOOD | NOISE, min_size=1, max_size=30))
def test_noise_never_costs_a_good_line(lines: list[tuple[bool, bytes]]) -> None:
    """Never an exception; every good line is a command, every other line is either one or is answered."""
    read = asyncio.run(read_lines([(n, raw) for n, (_, raw) in enumerate(lines, 1)], PRINCIPAL, SHARDS, RISK_KEYS))
    taken, refused = {line.number for line in read.good}, {line.line for line in read.refusals}
    assert taken | refused == set(range(1, len(lines) + 1))
    assert not taken & refused
    assert {number for number, (good, _) in enumerate(lines, 1) if good} <= taken
    assert len(commands_of(read)) == len(taken) == len(read.good)
    assert {refusal.code for refusal in read.refusals} <= {str(code) for code in STATUS}


@hypothesis_settings(max_examples=300)
@given(st.lists(GOOD, min_size=1, max_size=5))
def test_what_is_written_is_what_the_line_says(lines: list[tuple[bool, bytes]]) -> None:
    read = read_all(b"\n".join(raw for _, raw in lines))
    written = [command for _, command in commands_of(read)]
    assert len(written) == len(lines)
    for command, (_, raw) in zip(written, lines, strict=True):
        line = json.loads(raw)
        assert command == Command(
            CommandKind.TRANSFER,
            parse_id(ACCOUNT, PAYER) or b"",
            parse_id(ACCOUNT, PAYEE) or b"",
            int(line["amount"].replace(".", "")),
            line["currency"],
            bytes(8),
            line["idempotency_key"],
        )


@pytest.mark.parametrize("blank", [b"", b"\r", b"  \t"])
def test_blank_lines_count_and_are_skipped(blank: bytes) -> None:
    assert split_lines(b"a\n" + blank + b"\nb\n") == [(1, b"a"), (3, b"b")]
