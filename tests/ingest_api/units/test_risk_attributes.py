"""Goal: what is known of a card, device and address goes on as keyed hashes, and of nothing else."""

import asyncio
from typing import Any

import msgspec
import pytest

from ingest_api.batches import pack, read_lines
from ingest_api.identity.tokens import ALL_SCOPES, Principal
from ingest_api.problems import Fault, FieldError
from ingest_api.risk.attributes import MAX_ID_CHARS, RiskBody, RiskKeys
from payments.identifiers import derive_account_id, format_id
from payments.movements.instructions import AttributedTransfer, Attributes
from schemas.codec.commands import decode_body, items
from schemas.codec.instructions import decode_instruction, instruction_refusal, is_instruction

KEYS = RiskKeys(b"k" * 32)
PRINCIPAL = Principal("tester", frozenset(ALL_SCOPES), 2**40)
LINE = {
    "from_account": format_id("acc", derive_account_id("s", "payer")),
    "to_account": format_id("acc", derive_account_id("s", "payee")),
    "amount": "1.00",
    "currency": "EUR",
}
KNOWN = {"ip": "203.0.113.7", "device": "tablet of Anna", "card": "pm_1Nabc", "ip_country": "DE"}


def attributes(**known: str) -> Attributes:
    found = KEYS.attributes(RiskBody(**known))
    assert isinstance(found, Attributes), found
    return found


def refusal(**known: str) -> tuple[str, Fault]:
    found = KEYS.attributes(RiskBody(**known))
    assert isinstance(found, FieldError)
    assert not any(text in found.detail for text in known.values()), "a refusal repeats nothing"
    assert isinstance(found.code, Fault)
    return found.pointer, found.code


def test_nothing_known_is_nothing_said() -> None:
    assert attributes() == Attributes()


def test_keys_are_equal_for_equal_things_and_differ_between_kinds_and_installations() -> None:
    same = attributes(card="x", device="x")
    assert same == attributes(card="x", device="x")
    assert len({same.card_key, same.device_key, attributes(device="y").device_key}) == 3
    assert RiskKeys(b"o" * 32).attributes(RiskBody(device="x")) != KEYS.attributes(RiskBody(device="x"))
    assert {len(key) for key in attributes(**KNOWN)[:3]} == {8}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_address_has_one_spelling_and_a_subscriber_one_subnet(one: str, other: str) -> None:
    assert attributes(ip=one).ip_key == attributes(ip=other).ip_key
    assert attributes(ip="2001:db8:1:2::1").ip_key != attributes(ip="2001:db8:1:3::1").ip_key


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"ip": "203.0.113.777"}, ("/risk/ip", Fault.FIELD_INVALID)),
        ({"ip": "1::2::3"}, ("/risk/ip", Fault.FIELD_INVALID)),
        ({"device": "d" * (MAX_ID_CHARS + 1)}, ("/risk/device", Fault.FIELD_INVALID)),
        ({"card": "4111 1111 1111 1111"}, ("/risk/card", Fault.CARD_NUMBER)),
    ],
)
def test_what_is_no_address_or_a_card_number_is_refused(known: dict[str, str], expected: tuple[str, Fault]) -> None:
    assert refusal(**known) == expected


def read(*lines: dict[str, Any]) -> Any:
    rows = [(number, msgspec.json.encode(line)) for number, line in enumerate(lines, 1)]
    return asyncio.run(read_lines(rows, PRINCIPAL, 1, KEYS))


def test_lines_that_say_how_they_were_asked_for_keep_their_place_among_those_that_do_not() -> None:
    lines: list[dict[str, Any]] = [LINE | {"idempotency_key": f"k{number}"} for number in range(3)]
    lines[1]["risk"] = KNOWN
    records = asyncio.run(pack(read(*lines).good))
    assert [is_instruction(record.value) for record in records] == [False, True, False]
    asked = decode_instruction(records[1].value)
    assert isinstance(asked, AttributedTransfer)
    assert (asked.attributes, asked.envelope.idempotency_key) == (attributes(**KNOWN), "k1")
    assert instruction_refusal(asked) is None
    assert not any(text.encode() in records[1].value for text in list(KNOWN.values())[:3]), "never in the clear"
    plain = [decode_body(body).idempotency_key for record in records[::2] for body in items(record.value)]
    assert plain == ["k0", "k2"]


@pytest.mark.parametrize(
    ("risk", "pointer", "code"),
    [
        ({"ip_country": "de"}, "/risk/ip_country", "field_invalid"),
        ({"ip_country": "DE\n"}, "/risk/ip_country", "field_invalid"),
        ({"iban": "x"}, "/risk/iban", "field_unknown"),
        ({"ip": "here"}, "/risk/ip", "field_invalid"),
    ],
)
def test_a_line_with_a_fault_in_it_is_answered_at_its_place(risk: dict[str, str], pointer: str, code: str) -> None:
    (found,) = read(LINE | {"idempotency_key": "k", "risk": risk}).refusals
    assert (found.pointer, found.code) == (pointer, code)
