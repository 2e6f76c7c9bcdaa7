"""Identifiers: the vectors of the TypeID specification, order, and derivations that stay apart from system accounts."""

import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.identifiers import (
    NIL,
    derive_account_id,
    derive_checkout_id,
    derive_operation_id,
    format_id,
    is_system,
    parse_id,
    shard_of_operation,
    system_account,
    uuid7,
)
from payments.money import EXPONENTS
from payments.postings import SystemAccount

ids = st.binary(min_size=16, max_size=16)
keys = st.text(min_size=1, max_size=255)

# github.com/jetify-com/typeid, spec/valid.yml
VALID = [
    ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
    ("00000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
    ("0000000000000000000000000a", "00000000-0000-0000-0000-00000000000a"),
    ("0000000000000000000000000g", "00000000-0000-0000-0000-000000000010"),
    ("00000000000000000000000010", "00000000-0000-0000-0000-000000000020"),
    ("7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
    ("01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
]


@pytest.mark.parametrize(("digits", "uuid"), VALID)
def test_the_vectors_of_the_specification(digits: str, uuid: str) -> None:
    assert format_id("prefix", UUID(uuid).bytes) == f"prefix_{digits}"
    assert parse_id("prefix", f"prefix_{digits}") == UUID(uuid).bytes


@pytest.mark.parametrize(
    "text",
    [
        "acc_8zzzzzzzzzzzzzzzzzzzzzzzzz",  # more than 128 bits
        "acc_01H455VB4PEX5VSKNK084SN02Q",
        "acc_01h455vb4pex5vsknk084sn02",
        "acc_01h455vb4pex5vsknk084sn02qq",
        "acc_01h455vb4pex5vsknk084sn02u",  # i, l, o and u are no digits
        "acc_01h455vb4pex5vsknk084sn02i",
        "acc_01h455vb4pex5vsknk084sn0l0",
        "acc_o1h455vb4pex5vsknk084sn02q",
        "acc_01h455vb4pex5vsknk084sn0٢q",  # a digit to int(), not to us
        "acc_01h455vb4p-x5vsknk084sn02q",
        "acc_01h455vb4pex5vsknk084sn02q\n",
        "pay_01h455vb4pex5vsknk084sn02q",
        "01h455vb4pex5vsknk084sn02q",
        "acc_acc_01h455vb4pex5vsknk084sn02q",
        "acc_",
        "",
    ],
)
def test_texts_that_are_no_account_id(text: str) -> None:
    assert parse_id("acc", text) is None


@given(ids)
def test_text_and_back(value: bytes) -> None:
    assert parse_id("jnl", format_id("jnl", value)) == value


@given(ids, ids)
def test_texts_sort_as_bytes_do(first: bytes, second: bytes) -> None:
    assert (format_id("acc", first) < format_id("acc", second)) == (first < second)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_none(text: str) -> None:
    value = parse_id("acc", text)
    assert value is None or format_id("acc", value) == text


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_has_its_time_and_version(unix_ms: int, entropy: bytes) -> None:
    uuid = UUID(bytes=uuid7(unix_ms, entropy))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == unix_ms


@given(ids, keys, st.integers(0, 4095))
def test_a_derived_operation_carries_its_shard_and_is_no_system_id(authority: bytes, key: str, shard: int) -> None:
    operation_id = derive_operation_id(authority, key, shard)
    assert shard_of_operation(operation_id) == shard
    assert UUID(bytes=operation_id).version == 8
    assert not is_system(operation_id)
    assert operation_id == derive_operation_id(authority, key, shard)


@given(keys, keys)
def test_a_derived_account_is_no_system_account(principal: str, key: str) -> None:
    assert not is_system(derive_account_id(principal, key))


@given(st.lists(st.tuples(ids, keys), unique=True, min_size=2, max_size=20))
def test_other_scope_or_key_is_another_operation(scopes: list[tuple[bytes, str]]) -> None:
    assert len({derive_operation_id(authority, key, 3) for authority, key in scopes}) == len(scopes)


@given(st.lists(st.tuples(keys, keys), unique=True, min_size=2, max_size=20))
def test_other_principal_or_key_is_another_account(scopes: list[tuple[str, str]]) -> None:
    assert len({derive_account_id(principal, key) for principal, key in scopes}) == len(scopes)


@given(st.lists(st.text(max_size=20), min_size=2, max_size=8, unique=True))
def test_other_text_is_another_checkout(texts: list[str]) -> None:
    found = [derive_checkout_id(text) for text in texts]
    assert len(set(found)) == len(texts)
    assert not any(is_system(id_) for id_ in found)


def test_a_zero_character_in_a_key_does_not_reach_another_principals_account() -> None:
    assert derive_account_id("alice", "b\0c") != derive_account_id("alice\0b", "c")


def test_long_texts_are_refused_without_being_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(100):
            assert parse_id("acc", f"acc_{number:0100000d}") is None
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1_000_000, "callers decide how much memory the cache takes"


def test_system_accounts_are_distinct_and_known_as_such() -> None:
    accounts = {system_account(code, currency) for code in SystemAccount for currency in EXPONENTS}
    assert len(accounts) == len(SystemAccount) * len(EXPONENTS)
    assert all(is_system(account) and len(account) == 16 for account in accounts)
    assert is_system(NIL)
    assert NIL not in accounts
