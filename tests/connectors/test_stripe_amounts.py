"""Goal: no amount becomes a hundred times another on its way to Stripe and back.

Method: every currency by property, and those that Stripe treats in its own way by example (docs.stripe.com/currencies).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.psp.stripe_amounts import from_stripe, to_stripe, to_stripe_payout
from payments.money import EXPONENTS, MAX_MINOR

currencies = st.sampled_from(sorted(EXPONENTS))


@given(currencies, st.integers(1, MAX_MINOR))
def test_what_stripe_takes_comes_back_as_it_was(currency: str, minor: int) -> None:
    amount = to_stripe(minor, currency)
    assert amount is None or from_stripe(amount, currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (1_000, "USD", 1_000),
        (500, "JPY", 500),
        (5, "ISK", 500),  # no minor units, yet two decimals at Stripe
        (500, "MGA", 5),  # two decimals by ISO, none at Stripe
        (505, "MGA", None),
        (5_120, "KWD", 5_120),
        (5_124, "KWD", None),  # the last of three digits has to be 0
        (5, "UGX", None),  # Stripe's pages contradict each other by a factor of 100
        (1, "CLF", None),
        (1, "XXX", None),
    ],
)
def test_as_stripe_documents_it(minor: int, currency: str, amount: int | None) -> None:
    assert to_stripe(minor, currency) == amount


def test_every_ordinary_currency_is_taken_as_it_is() -> None:
    changed = {code for code in EXPONENTS if to_stripe(100, code) != 100}
    assert changed == {"ISK", "MGA", "UGX", "UYI", "CLF", "UYW", "IQD", "LYD"}


@pytest.mark.parametrize("currency", ["HUF", "TWD"])
def test_some_are_paid_out_in_whole_units_alone(currency: str) -> None:
    assert to_stripe(1_050, currency) == 1_050
    assert to_stripe_payout(1_050, currency) is None
    assert to_stripe_payout(1_000, currency) == 1_000


def test_what_is_no_whole_minor_unit_of_ours_is_not_read() -> None:
    assert from_stripe(550, "ISK") is None
    assert from_stripe(1, "UGX") is None
