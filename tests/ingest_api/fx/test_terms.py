"""Goal: terms are read whole or not at all, and say what is wrong with them."""

from pathlib import Path

import pytest

from ingest_api.fx.terms import TermsFault, TermsFile, parse_terms
from payments.terms.fees import Tier
from payments.terms.fx import Rate

RATE = '[[rates]]\nsell = "EUR"\nbuy = "USD"\nrate = "1.25"\nspread_basis_points = 50\n'
FEE = '[[fees]]\nname = "wire"\nversion = 1\ncurrency = "EUR"\ntiers = [{ basis_points = 10, flat_minor = 5 }]\n'


def test_a_pair_is_offered_both_ways() -> None:
    terms = parse_terms("quote_s = 60\n" + RATE)
    assert terms.quote_s == 60
    assert terms.offers["EUR", "USD"] == (Rate(5, 4), 50)
    assert terms.offers["USD", "EUR"] == (Rate(4, 5), 50)


def test_a_fee_schedule_is_found_by_name_and_currency() -> None:
    assert parse_terms(FEE).fees["wire", "EUR"].tiers == (Tier(None, 10, 5),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quote_s = 0", "quote_s"),
        ("rates = 7", "rates"),
        ("[[rates]", "line 1"),
        (RATE.replace("1.25", "cheap"), "EUR/USD: 'cheap' is not a decimal"),
        (RATE.replace("1.25", "-1"), "rate_not_positive"),
        (RATE.replace("USD", "XXX"), "currency_unknown"),
        (RATE.replace("50", "10000"), "spread_out_of_range"),
        (FEE.replace("10,", "10001,"), "fee wire EUR: rate_above_whole"),
        (FEE + "surprise = 1", "surprise"),
    ],
    ids=["quote_s", "type", "toml", "rate", "negative", "currency", "spread", "fee", "unknown"],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(TermsFault) as fault:
        parse_terms(text)
    assert said in str(fault.value)


def test_a_changed_file_counts_and_a_broken_one_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "terms.toml"
    file = TermsFile(path)
    assert file.current().offers == {}
    path.write_text(RATE)
    assert ("EUR", "USD") in file.current().offers
    path.write_text("quote_s = 0")
    assert ("EUR", "USD") in file.current().offers
    assert "the terms of before stay in force" in caplog.text
