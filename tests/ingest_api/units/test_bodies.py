"""Goal: every field of every body is refused at its place, with its code, without repeating what was sent."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.account_changes.bodies import NewAccountBody
from ingest_api.http.bodies import (
    AccountChangeBody,
    DepositBody,
    TransferBody,
    decode_fault,
    decoder_of,
    deposit_command,
    description_fault,
    is_given,
    key_fault,
    open_command,
    parse_account,
    parse_amount,
    parse_limit,
    transfer_command,
)
from ingest_api.problems import STATUS, Fault, FieldError
from payments.commands import MAX_DESCRIPTION_CHARS, MAX_KEY_CHARS, Command, CommandKind
from payments.identifiers import ACCOUNT, derive_account_id, format_id
from payments.money import EXPONENTS, MAX_MINOR, AmountProblem, format_minor
from payments.postings import clearing_account
from schemas.codec.commands import decode_body, encode_body, form_refusal

PAYER, PAYEE = derive_account_id("units", "payer"), derive_account_id("units", "payee")
FIELDS: dict[type, dict[str, Any]] = {
    TransferBody: {
        "from_account": format_id(ACCOUNT, PAYER),
        "to_account": format_id(ACCOUNT, PAYEE),
        "amount": "12.34",
        "currency": "EUR",
        "description": "rent",
    },
    DepositBody: {"amount": "12.34", "currency": "EUR", "method": "cash", "description": "till 7"},
    NewAccountBody: {"currency": "EUR", "overdraft_limit": "12.34"},
    AccountChangeBody: {"status": "frozen", "overdraft_limit": "12.34"},
}
REQUIRED = [
    (TransferBody, "from_account"),
    (TransferBody, "to_account"),
    (TransferBody, "amount"),
    (TransferBody, "currency"),
    (DepositBody, "amount"),
    (DepositBody, "currency"),
    (NewAccountBody, "currency"),
]
OPTIONAL = [(body, name) for body, fields in FIELDS.items() for name in fields if (body, name) not in REQUIRED]
TEXTS = [
    (TransferBody, "from_account"),
    (TransferBody, "to_account"),
    (TransferBody, "currency"),
    (TransferBody, "description"),
    (DepositBody, "currency"),
    (DepositBody, "method"),
    (DepositBody, "description"),
    (NewAccountBody, "currency"),
    (AccountChangeBody, "status"),
]
AMOUNTS = [
    (TransferBody, "amount"),
    (DepositBody, "amount"),
    (NewAccountBody, "overdraft_limit"),
    (AccountChangeBody, "overdraft_limit"),
]


def meaning(kind: type, document: bytes) -> Command | FieldError | None:
    """What a document means as a body of this kind: a command, its first fault, or None for a change of standing."""
    try:
        body = decoder_of(kind).decode(document)
    except (ValueError, RecursionError) as error:
        return decode_fault(error)
    if isinstance(body, TransferBody):
        return transfer_command(body, "key")
    if isinstance(body, DepositBody):
        return deposit_command(body, PAYEE, "key")
    if isinstance(body, NewAccountBody):
        return open_command(body, PAYEE, "key")
    limit_minor = parse_limit(body.overdraft_limit, "EUR") if is_given(body.overdraft_limit) else 0
    return limit_minor if isinstance(limit_minor, FieldError) else None


def document(kind: type, /, **changes: Any) -> bytes:
    return msgspec.json.encode(FIELDS[kind] | changes)


def fault(kind: type, /, **changes: Any) -> tuple[str, str]:
    """Pointer and code of the refusal that these changes of a good body earn."""
    found = meaning(kind, document(kind, **changes))
    assert isinstance(found, FieldError)
    return found.pointer, found.code


def test_a_transfer_means_the_command_that_it_says() -> None:
    command = meaning(TransferBody, document(TransferBody))
    assert command == Command(CommandKind.TRANSFER, PAYER, PAYEE, 1234, "EUR", bytes(8), "key", "rent")


def test_a_deposit_is_paid_by_the_clearing_account_of_its_currency() -> None:
    command = meaning(DepositBody, document(DepositBody, currency="KWD", amount="0.005"))
    assert isinstance(command, Command)
    assert (command.payer, command.payee) == (clearing_account("KWD"), PAYEE)
    assert (command.kind, command.amount_minor, command.authority) == (CommandKind.DEPOSIT, 5, PAYEE)


def test_an_opening_is_decided_by_the_account_itself() -> None:
    command = meaning(NewAccountBody, document(NewAccountBody))
    assert isinstance(command, Command)
    assert (command.kind, command.authority, command.amount_minor) == (CommandKind.OPEN_ACCOUNT, PAYEE, 1234)
    assert form_refusal(command) is None


@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(kind: type, field: str) -> None:
    without = {name: value for name, value in FIELDS[kind].items() if name != field}
    found = meaning(kind, msgspec.json.encode(without))
    assert isinstance(found, FieldError)
    assert (found.pointer, found.code) == (f"/{field}", Fault.FIELD_MISSING)
    assert field in found.detail


@pytest.mark.parametrize(("kind", "field"), OPTIONAL)
def test_a_field_with_a_default_may_be_left_out(kind: type, field: str) -> None:
    without = {name: value for name, value in FIELDS[kind].items() if name != field}
    assert not isinstance(meaning(kind, msgspec.json.encode(without)), FieldError)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("name", ["fee", "Amount", "idempotency_key", "kind", "reply_to"])
def test_a_field_that_is_not_of_the_body_is_refused_by_name(kind: type, name: str) -> None:
    assert fault(kind, **{name: "1"}) == (f"/{name}", Fault.FIELD_UNKNOWN)


@pytest.mark.parametrize("value", [7, True, ["x"], {"text": "x"}, 1.5])
@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_a_text_of_another_type_is_refused_at_its_place(kind: type, field: str, value: Any) -> None:
    assert fault(kind, **{field: value}) == (f"/{field}", Fault.FIELD_INVALID)


@pytest.mark.parametrize(
    ("amount", "problem"),
    [
        ("0.001", AmountProblem.TOO_MANY_DECIMALS),
        ("-0.01", AmountProblem.NOT_POSITIVE),
        ("10000000000000", AmountProblem.TOO_LARGE),
        ("1e9999", AmountProblem.TOO_LARGE),
        ("ten", AmountProblem.NOT_A_NUMBER),
        ("", AmountProblem.NOT_A_NUMBER),
        ('1"', AmountProblem.NOT_A_NUMBER),
        ([1], AmountProblem.NOT_A_NUMBER),
        (True, AmountProblem.NOT_A_NUMBER),
    ],
)
@pytest.mark.parametrize(("kind", "field"), AMOUNTS)
def test_every_amount_and_limit_is_refused_by_the_same_rules(
    kind: type, field: str, amount: Any, problem: AmountProblem
) -> None:
    assert fault(kind, **{field: amount}) == (f"/{field}", problem)


@pytest.mark.parametrize("currency", ["XAU", "eur", "EURO", "", "E\0R", "ΕUR"])
@pytest.mark.parametrize("kind", [TransferBody, DepositBody, NewAccountBody])
def test_what_is_wrong_with_the_currency_is_said_of_the_currency(kind: type, currency: str) -> None:
    assert fault(kind, currency=currency) == ("/currency", AmountProblem.CURRENCY_UNKNOWN)


def test_a_limit_may_be_zero_and_its_refusal_says_so() -> None:
    assert parse_limit(msgspec.Raw(b'"0.000"'), "EUR") == parse_limit(msgspec.Raw(b"-0"), "JPY") == 0
    refused = parse_limit(msgspec.Raw(b'"-1"'), "EUR")
    assert isinstance(refused, FieldError)
    assert refused.code is AmountProblem.NOT_POSITIVE
    assert "zero or more" in refused.detail
    positive = parse_amount(msgspec.Raw(b'"-1"'), "EUR")
    assert isinstance(positive, FieldError)
    assert "above zero" in positive.detail


def test_a_limit_of_zero_in_no_currency_is_refused() -> None:
    refused = parse_limit(msgspec.Raw(b"0"), "ZZZ")
    assert isinstance(refused, FieldError)
    assert refused.pointer == "/currency"


def test_a_change_tells_null_from_zero() -> None:
    decode = decoder_of(AccountChangeBody).decode
    assert [is_given(decode(body).overdraft_limit) for body in (b"{}", b'{"overdraft_limit":null}')] == [False, False]
    assert is_given(decode(b'{"overdraft_limit":0}').overdraft_limit)


def test_the_advice_about_decimals_names_the_number_of_the_currency() -> None:
    for currency, exponent in EXPONENTS.items():
        refused = parse_amount(msgspec.Raw(b"0.00001"), currency)
        assert isinstance(refused, FieldError)
        assert f"{currency} has {exponent} decimals" in refused.detail


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(1, MAX_MINOR), st.sampled_from(sorted(EXPONENTS)), st.booleans())
def test_what_is_shown_as_an_amount_is_read_as_the_same_amount(minor: int, currency: str, quoted: bool) -> None:
    text = format_minor(minor, currency)
    raw = msgspec.Raw(f'"{text}"'.encode() if quoted else text.encode())
    assert parse_amount(raw, currency) == minor


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), st.integers(-4, 12))
def test_scientific_notation_is_exact_or_refused(digits: int, exponent: int) -> None:
    read = parse_amount(msgspec.Raw(f"{digits}e{exponent}".encode()), "EUR")
    numerator, denominator = digits * 10 ** max(0, exponent + 2), 10 ** max(0, -exponent - 2)
    if numerator % denominator:
        assert isinstance(read, FieldError)
        assert read.code is AmountProblem.TOO_MANY_DECIMALS
    elif numerator // denominator > MAX_MINOR:
        assert isinstance(read, FieldError)
        assert read.code is AmountProblem.TOO_LARGE
    else:
        assert read == numerator // denominator


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({name for fields in FIELDS.values() for name in fields})
ANY_DOCUMENT = (
    JSON
    | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON, max_size=5)
    | st.builds(lambda name, value: FIELDS[TransferBody] | {name: value}, st.sampled_from(NAMES), JSON)
)


@pytest.mark.parametrize("kind", FIELDS)
@hypothesis_settings(max_examples=60, deadline=None)
@given(sent=ANY_DOCUMENT)
def test_any_json_is_a_command_that_can_be_encoded_or_one_known_refusal(kind: type, sent: Any) -> None:
    found = meaning(kind, msgspec.json.encode(sent))
    if isinstance(found, Command):
        assert decode_body(encode_body(found)) == found
        assert form_refusal(found) is None
    elif found is not None:
        assert found.code in STATUS
        assert found.pointer == "" or found.pointer.startswith("/")
        assert found.detail.endswith((".", '".'))


@pytest.mark.parametrize("kind", FIELDS)
@hypothesis_settings(max_examples=60, deadline=None)
@given(sent=st.binary(max_size=60))
def test_any_bytes_are_refused_and_not_raised(kind: type, sent: bytes) -> None:
    found = meaning(kind, sent)
    assert found is None or isinstance(found, FieldError)


MARK = "5105105105105100"  # a card number that must come back in no answer


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (TransferBody, {"from_account": MARK}),
        (TransferBody, {"from_account": f"acc_{MARK}000000000u"}),
        (TransferBody, {"amount": MARK + "x"}),
        (TransferBody, {"amount": MARK}),
        (TransferBody, {"currency": MARK}),
        (TransferBody, {"description": MARK}),
        (TransferBody, {"description": MARK + "x" * 140}),
        (TransferBody, {MARK: 1}),
        (TransferBody, {f"a - at `$.{MARK}`": 1}),
        (DepositBody, {"method": MARK}),
        (DepositBody, {"method": f"x' - at `$.{MARK}"}),
        (NewAccountBody, {"overdraft_limit": "-" + MARK}),
        (AccountChangeBody, {"status": MARK}),
    ],
)
def test_no_refusal_repeats_what_was_sent(kind: type, changes: dict[str, Any]) -> None:
    found = meaning(kind, document(kind, **changes))
    assert isinstance(found, FieldError)
    assert MARK not in found.pointer + found.detail


@pytest.mark.parametrize("name", ["a/b", "a~b", "x`y", "a.b", "", "é", "a - at `$.amount`", "n" * 65])
def test_a_field_whose_name_is_no_name_is_unknown_without_a_pointer(name: str) -> None:
    assert fault(TransferBody, **{name: 1}) == ("", Fault.FIELD_UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "changes", "known"),
    [
        (DepositBody, {"memo": "rent"}, "amount, currency, method, description"),
        (DepositBody, {"method": "wires"}, "cash, check, payroll, paypal, zelle, direct_debit, wire, pre_authorised"),
        (AccountChangeBody, {"status": "gone"}, "closed, debits_frozen, dormant, frozen, open"),
        (AccountChangeBody, {"limits": {"yearly": "1"}}, "tier, per_transaction, daily, monthly"),
        (NewAccountBody, {"owners": [{"user_id": "x"}]}, "user, role"),
    ],
)
def test_a_refusal_says_what_is_known_at_the_place(kind: type, changes: dict[str, Any], known: str) -> None:
    """Whoever writes `memo` for `description` reads the right name in the answer, not in a description elsewhere."""
    with pytest.raises(msgspec.ValidationError) as refused:
        decoder_of(kind).decode(document(kind, **changes))
    assert f"Known here: {known}" in decode_fault(refused.value, kind).detail


@pytest.mark.parametrize("value", ["credit", "x' - at `$.amount", "CASH"])
def test_a_word_that_is_not_of_the_list_is_refused_at_its_field(value: str) -> None:
    assert fault(DepositBody, method=value) == ("/method", Fault.FIELD_INVALID)
    assert fault(AccountChangeBody, status=value) == ("/status", Fault.FIELD_INVALID)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111 12/26",
        "ref 4111111111111111 1226",
        "4111-1111-1111-1111-123",
        "4111.1111.1111.1111",
        "07 3782 822463 10005",
        "2026 4111 1111 1111 1111",
        "x4111111111111111x",
        "6304000000000000000",
        "4222222222222",
    ],
)
def test_a_card_number_is_found_beside_other_digits(text: str) -> None:
    found = description_fault(text)
    assert found is not None
    assert found.code is Fault.CARD_NUMBER


@pytest.mark.parametrize("text", ["", "Invoice 4711 of 2026-11-21", "411111111111", "4111111111111112", "9" * 40])
def test_other_numbers_are_no_card_numbers(text: str) -> None:
    assert description_fault(text) is None


@pytest.mark.parametrize("text", ["a\nb", "\x7f", "\x9f", "a\u2028b", "\uffff", "\0"])
def test_characters_that_nobody_can_read_are_refused_in_keys_and_descriptions(text: str) -> None:
    for found in (description_fault(text), key_fault(text, "/idempotency_key")):
        assert found is not None
        assert found.code is Fault.FIELD_INVALID
        assert "control characters" in found.detail


@pytest.mark.parametrize("character", ["x", "é", "漢", "👛", "\u00a0"])
def test_lengths_are_counted_in_characters_not_bytes(character: str) -> None:
    assert key_fault(character * MAX_KEY_CHARS, "/k") is None
    assert description_fault(character * MAX_DESCRIPTION_CHARS) is None
    too_long = [key_fault(character * (MAX_KEY_CHARS + 1), "/k"), description_fault(character * 141)]
    assert [found and found.detail for found in too_long] == ["At most 255 characters.", "At most 140 characters."]


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.binary(min_size=16, max_size=16))
def test_every_account_but_the_one_that_means_none_is_read_back(account: bytes) -> None:
    read = parse_account(format_id(ACCOUNT, account), "/account")
    assert read == account if any(account) else isinstance(read, FieldError)
