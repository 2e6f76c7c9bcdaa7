"""Goal: a card number in a text is noticed whatever stands around it; references of payments are not taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.personal_data.card_numbers import holds_card_number
from runtime.personal_data.ibans import is_iban

ISSUED = {"4": 16, "34": 15, "37": 15, "51": 16, "55": 16, "2221": 16, "2720": 16, "6011": 16, "65": 19, "3528": 16}
ISSUED |= {"36": 14, "62": 19, "2200": 16, "8100": 16, "9792": 16, "5018": 13, "6304": 19}


def with_check_digit(digits: str) -> str:
    """Luhn, the slow way round: the digit that makes the sum a multiple of ten."""
    for last in "0123456789":
        number = digits + last
        total = 0
        for place, character in enumerate(reversed(number)):
            value = int(character) * (2 if place % 2 else 1)
            total += value - 9 if value > 9 else value
        if total % 10 == 0:
            return number
    raise AssertionError(digits)


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix = draw(st.sampled_from(sorted(ISSUED)))
    length = ISSUED[prefix] - 1 - len(prefix)
    return with_check_digit(prefix + draw(st.text("0123456789", min_size=length, max_size=length)))


@given(
    cards(),
    st.sampled_from(["", " ", "-", ".", "/", "_", "  ", ". "]),
    st.sampled_from(["", "card ", "x", "Nº: "]),
    st.sampled_from(["", " 12/27", "!"]),
)
def test_a_card_number_is_found(card: str, separator: str, before: str, after: str) -> None:
    grouped = separator.join(card[start : start + 4] for start in range(0, len(card), 4))
    assert holds_card_number(f"{before}{grouped}{after}")


@given(cards(), st.integers(1, 9))
def test_a_wrong_check_digit_is_no_card_number(card: str, by: int) -> None:
    assert not holds_card_number(card[:-1] + str((int(card[-1]) + by) % 10))


@given(st.text("0123456789", min_size=18, max_size=18), st.booleans())
def test_an_iban_is_no_card_number(account: str, grouped: bool) -> None:
    iban = f"DE{98 - int(f'{account}131400') % 97:02}{account}"
    assert is_iban(iban)
    shown = " ".join(iban[start : start + 4] for start in range(0, 22, 4)) if grouped else iban
    assert not holds_card_number(f"to {shown}, thanks")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Rent November",
        "20261121123456",
        "Order 2026112112345678",
        "RF18 5390 0754 7034",
        "+49 151 23456789, +49 151 23456789",
        "4111111111111112",
        "411111111111",
        "tracking 1Z999AA10123456784",
        "44444444-4444-4448-8444-444444444444",
    ],
)
def test_usual_numbers_are_no_card_numbers(text: str) -> None:
    assert not holds_card_number(text)


def test_a_card_number_beside_an_iban_is_found() -> None:
    assert holds_card_number("DE89 3704 0044 0532 0130 00 or 4111 1111 1111 1111")
    assert holds_card_number("DE12 4111 1111 1111 1111")  # wrong check digits: no IBAN


@given(st.text(max_size=140))
def test_any_text_is_answered(text: str) -> None:
    assert holds_card_number(text) in {True, False}
