"""Instructions come back as they were, noise is refused, and what the core could not keep never reaches it."""

from dataclasses import replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS
from payments.errors import UndecodableRecord
from payments.identifiers import NIL
from payments.items.details import Posting
from payments.movements.deciding import DECISIONS
from payments.movements.instructions import INSTRUCTIONS as KINDS
from payments.movements.instructions import (
    Attributes,
    CaptureHold,
    Envelope,
    Instruction,
    OpenDispute,
    Order,
    PlaceCheckout,
    PlaceHold,
    PostJournal,
    ReturnDeposit,
    SetRules,
)
from payments.rejections import Reason
from schemas import topics, wire
from schemas.codec import instructions
from schemas.codec.commands import encode_command
from schemas.codec.connectors import MAX_REFERENCE_CHARS
from schemas.codec.instructions import MAX_CODE_CHARS, MAX_NUMBER, MAX_RULES_BYTES
from schemas.registry import latest, registered
from tests.schemas import records

INSTRUCTIONS = {kind.__name__: kind for kind in KINDS}
ENVELOPE = Envelope("key")
HOLD = PlaceHold(payer=b"A" * 16, payee=b"B" * 16, amount_minor=5, currency="EUR", expires_at_us=9, envelope=ENVELOPE)
RETURN = ReturnDeposit(
    account=b"A" * 16,
    deposit_id=b"D" * 16,
    clearing_account=b"C" * 16,
    amount_minor=5,
    currency="EUR",
    code="R01",
    envelope=ENVELOPE,
)
JOURNAL = PostJournal(legs=(Posting(b"A" * 16, 1, "EUR"), Posting(b"B" * 16, -1, "EUR")), envelope=ENVELOPE)

ORDER = Order("po-1", b"S" * 16, 5, "EUR", is_on_delivery=True)
CHECKOUT = PlaceCheckout(
    checkout=b"C" * 16, provider="stripe", token="pm_card_visa", buyer="buyer 7", orders=(ORDER,), envelope=ENVELOPE
)

ORDERS = st.builds(Order, records.texts, records.ids, records.longs, records.codes, st.booleans())
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "evidence_hash": st.binary(min_size=32, max_size=32),
    "orders": st.lists(ORDERS, max_size=3).map(tuple),
}
TYPES: dict[Any, st.SearchStrategy[Any]] = {bytes: records.ids, int: records.longs, str: records.texts}


def built(kind: type[Instruction]) -> st.SearchStrategy[Instruction]:
    key = st.sampled_from([b"", b"K" * 8])
    attributes = st.builds(Attributes, key, key, key, records.codes, records.codes, records.codes, records.codes)
    envelopes = st.builds(Envelope, records.texts, records.eight_bytes, records.texts, attributes)
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "envelope"}
    parts = {name: FIELDS.get(name, TYPES.get(hint, st.from_type(hint))) for name, hint in hints.items()}
    parts |= {name: records.legs for name in parts if name == "legs"}
    return st.builds(kind, envelope=envelopes, **parts)


def test_every_instruction_that_is_decided_travels_and_is_on_the_topic() -> None:
    assert set(INSTRUCTIONS.values()) == set(DECISIONS)
    assert set(INSTRUCTIONS) == set(topics.COMMANDS.records) - {"Command", "CommandBatch", "Tick"}


@pytest.mark.parametrize("record", sorted(INSTRUCTIONS))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_an_instruction_comes_back_as_it_was(record: str, data: st.DataObject) -> None:
    asked = data.draw(built(INSTRUCTIONS[record]))
    value = instructions.encode_instruction(asked)
    assert instructions.is_instruction(value)
    assert instructions.decode_instruction(value) == asked


@pytest.mark.parametrize("record", sorted(INSTRUCTIONS))
@settings(max_examples=30, deadline=None)
@given(body=st.binary(max_size=200))
def test_noise_is_refused_or_read_as_an_instruction(record: str, body: bytes) -> None:
    try:
        asked = instructions.decode_instruction(wire.frame(latest(record).schema_id) + body)
    except UndecodableRecord:
        return
    assert type(asked) is INSTRUCTIONS[record]


@given(records.commands)
def test_a_command_is_no_instruction_and_no_tick(command: Any) -> None:
    value = encode_command(command)
    assert not instructions.is_instruction(value)
    assert not instructions.is_tick(value)


@given(st.integers(0, 65_535))
def test_a_tick_names_its_shard(shard: int) -> None:
    value = instructions.encode_tick(shard)
    assert instructions.is_tick(value)
    assert instructions.decode_tick(value) == shard
    with pytest.raises(UndecodableRecord):
        instructions.decode_tick(value + b"\0")


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        (None, HOLD),
        (None, RETURN),
        (None, JOURNAL),
        (Reason.IDEMPOTENCY_KEY_MISSING, replace(HOLD, envelope=Envelope(""))),
        (Reason.TEXT_TOO_LONG, replace(HOLD, envelope=Envelope("k" * (MAX_KEY_CHARS + 1)))),
        (Reason.TEXT_TOO_LONG, replace(HOLD, envelope=Envelope("k", description="d" * (MAX_DESCRIPTION_CHARS + 1)))),
        (Reason.MALFORMED, replace(HOLD, envelope=Envelope("k\0"))),
        (Reason.MALFORMED, replace(HOLD, payer=NIL)),
        (None, replace(HOLD, envelope=Envelope("k", attributes=Attributes(device_key=b"D" * 8, ip_country="DE")))),
        (Reason.MALFORMED, replace(HOLD, envelope=Envelope("k", attributes=Attributes(device_key=b"D")))),
        (Reason.MALFORMED, replace(HOLD, envelope=Envelope("k", attributes=Attributes(ip_country="de")))),
        (None, SetRules(shard=1, text="x" * MAX_RULES_BYTES, envelope=ENVELOPE)),
        (Reason.TEXT_TOO_LONG, SetRules(shard=1, text="x" * (MAX_RULES_BYTES + 1), envelope=ENVELOPE)),
        (Reason.MALFORMED, replace(HOLD, currency="EURO")),
        (Reason.MALFORMED, replace(HOLD, currency="")),
        (Reason.MALFORMED, replace(HOLD, currency="E€R")),
        (Reason.MALFORMED, replace(HOLD, amount_minor=-MAX_NUMBER - 1)),
        (None, replace(HOLD, amount_minor=MAX_NUMBER)),
        (Reason.MALFORMED, replace(HOLD, expires_at_us=-(2**63))),
        (Reason.TEXT_TOO_LONG, replace(RETURN, code="R" * (MAX_CODE_CHARS + 1))),
        (Reason.MALFORMED, replace(RETURN, code="R\0")),
        (Reason.MALFORMED, replace(JOURNAL, legs=())),
        (Reason.MALFORMED, replace(JOURNAL, legs=(Posting(b"A" * 16, 1, "EURO"),))),
        (Reason.MALFORMED, replace(JOURNAL, legs=(Posting(b"A" * 16, -(2**63), "EUR"),))),
        (None, CHECKOUT),
        (Reason.MALFORMED, replace(CHECKOUT, checkout=NIL)),
        (Reason.MALFORMED, replace(CHECKOUT, token="pm_\u20ac")),
        (Reason.TEXT_TOO_LONG, replace(CHECKOUT, buyer="b" * (MAX_REFERENCE_CHARS + 1))),
        (Reason.MALFORMED, replace(CHECKOUT, orders=(ORDER, ORDER._replace(payment_order_id="po\n2")))),
        (Reason.MALFORMED, replace(CHECKOUT, orders=(ORDER._replace(currency="EURO"),))),
        (Reason.MALFORMED, replace(CHECKOUT, orders=(ORDER._replace(amount_minor=-(2**63)),))),
    ],
)
def test_what_is_no_instruction_of_the_contract_is_named(reason: Reason | None, asked: Instruction) -> None:
    assert instructions.instruction_refusal(asked) is reason


@settings(deadline=None)
@given(st.data())
def test_equal_bodies_have_equal_fingerprints_and_others_have_not(data: st.DataObject) -> None:
    kinds = st.sampled_from([INSTRUCTIONS["CaptureHold"], INSTRUCTIONS["RaiseHold"], INSTRUCTIONS["Refund"]])
    one, other = data.draw(kinds.flatmap(built)), data.draw(kinds.flatmap(built))
    readdressed = replace(one, envelope=one.envelope._replace(idempotency_key="another", reply_to=bytes(8)))
    assert readdressed.fingerprint == one.fingerprint
    same = type(one) is type(other) and replace(one, envelope=ENVELOPE) == replace(other, envelope=ENVELOPE)
    if not same:
        assert one.fingerprint != other.fingerprint


def test_a_capture_is_not_taken_for_the_raise_that_it_extends() -> None:
    capture = CaptureHold(payer=b"A" * 16, hold_id=b"H" * 16, amount_minor=5, is_final=False, envelope=ENVELOPE)
    assert instructions.decode_instruction(instructions.encode_instruction(capture)) == capture


def test_fields_of_later_versions_leave_the_fingerprints_of_the_first_alone() -> None:
    """Regression: a dispute of before the upgrade, sent again after it, was `idempotency_key_reused`."""
    first = {schema.record: schema for schema in reversed(registered()) if schema.version == 1}
    newest = {name: latest(name) for name in INSTRUCTIONS}
    for name, kind in INSTRUCTIONS.items():
        names = [{field["name"] for field in schema.parsed["fields"]} for schema in (first[name], newest[name])]
        assert names[1] - names[0] == kind.LATER, name


def test_a_dispute_without_a_provider_s_fee_has_the_fingerprint_of_the_first_version() -> None:
    dispute = OpenDispute(
        merchant=b"m" * 16,
        customer=b"c" * 16,
        payment_id=b"p" * 16,
        payment_amount_minor=1_000,
        amount_minor=500,
        currency="EUR",
        fee_minor=15,
        is_provisional=True,
        envelope=Envelope("k"),
    )
    assert dispute.fingerprint.hex() == "d71958c9ffe7c957", "as released with version 1"
    assert replace(dispute, provider_fee_minor=1).fingerprint != dispute.fingerprint
