"""Goal: two spellings of one address are equal, two addresses never are, and what is no address has no form."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.personal_data.normal_forms import Identifier, normal_form
from runtime.personal_data.personal import Personal


def form(kind: Identifier, text: str) -> str | None:
    return normal_form(kind, Personal(text))


SAME = [
    (Identifier.EMAIL, ["anna@example.com", "Anna@Example.COM", " anna@example.com ", "ａnna@example.com"]),
    (Identifier.EMAIL, ["anna@bücher.example", "anna@xn--bcher-kva.example", "ANNA@BÜCHER.example"]),
    (Identifier.EMAIL, ["anna@straße.example", "anna@xn--strae-oqa.example"]),
    (Identifier.EMAIL, ["a+b.c@example.co.uk"]),
    (Identifier.PHONE, ["+4915123456789", "+49 151 23456789", "+49 (0)151 234-567-89", "+49 151/23456789"]),
    (Identifier.PHONE, ["+442079460000", "+44 (0) 20 7946 0000", "＋44 20 7946 0000"]),
    (Identifier.PHONE, ["+390612345678", "+39 06 1234 5678"]),  # Italy keeps the zero
    (Identifier.BANK_ACCOUNT, ["DE89370400440532013000", "de89 3704 0044 0532 0130 00", "DE89-3704-0044-0532-0130-00"]),
    (Identifier.BANK_ACCOUNT, ["021000021/123456789", " 021000021 / 123456789 "]),
    (Identifier.USER, ["anna.s", "Anna.S", "ＡNNA.s"]),
    (Identifier.USER, ["usr_01jd5v2q7xf8k8v6n3m4p5r6st"]),
]


@pytest.mark.parametrize(("kind", "spellings"), SAME, ids=lambda value: None)
def test_spellings_of_one_address_are_equal(kind: Identifier, spellings: list[str]) -> None:
    assert {form(kind, text) for text in spellings} == {form(kind, spellings[0])}
    assert form(kind, spellings[0]) is not None


def test_different_addresses_stay_different() -> None:
    every = [form(kind, spellings[0]) for kind, spellings in SAME]
    assert len(set(every)) == len(every)
    assert form(Identifier.EMAIL, "a.nna@example.com") != form(Identifier.EMAIL, "anna@example.com")
    assert form(Identifier.EMAIL, "anna+x@example.com") != form(Identifier.EMAIL, "anna@example.com")


REFUSED = [
    (Identifier.EMAIL, ["", "anna", "@example.com", "anna@", "anna@example", "a b@example.com", "a@b@example.com"]),
    (Identifier.EMAIL, [".anna@example.com", "anna.@example.com", "a..b@example.com", "a@-x.com", "a@x..com"]),
    (Identifier.EMAIL, ["a" * 65 + "@example.com", "a@" + "x." * 150 + "com", 'a"b@example.com', "a\0@example.com"]),
    (Identifier.PHONE, ["", "015123456789", "+49", "+49 151", "+999 123456", "phone", "+1 201 555 0123 ext. 7"]),
    (Identifier.BANK_ACCOUNT, ["", "DE88370400440532013000", "DE89", "021000022/1", "021000021/", "4111111111111111"]),
    (Identifier.USER, ["", "anna s", "a" * 65, "-anna", "anna@example.com", "a/b"]),
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in REFUSED for text in texts], ids=lambda value: None
)
def test_what_is_no_address_has_no_form(kind: Identifier, text: str) -> None:
    assert form(kind, text) is None


@given(st.sampled_from(Identifier), st.text(max_size=400))
def test_any_text_has_a_form_or_none_and_a_form_is_its_own(kind: Identifier, text: str) -> None:
    found = form(kind, text)
    assert found is None or form(kind, found) == found


@given(st.text(string.ascii_letters + string.digits, min_size=1, max_size=20), st.sampled_from(["ex.org", "b.co.uk"]))
def test_case_never_tells_two_mail_addresses_apart(local: str, domain: str) -> None:
    assert form(Identifier.EMAIL, f"{local}@{domain}") == form(Identifier.EMAIL, f"{local}@{domain}".swapcase())


@given(st.text(string.digits, min_size=18, max_size=18), st.integers(0, 21), st.integers(1, 9))
def test_one_wrong_digit_of_an_iban_is_noticed(account: str, place: int, by: int) -> None:
    check = 98 - int(f"{account}131400") % 97  # DE = 13 14
    iban = f"DE{check:02}{account}"
    assert form(Identifier.BANK_ACCOUNT, iban) == iban
    changed = list(iban)
    at = 2 + place % 20
    changed[at] = str((int(changed[at]) + by) % 10)
    assert form(Identifier.BANK_ACCOUNT, "".join(changed)) is None
