"""Goal: the demo's input is the real file, whole, and each debtor gets nine tenths of what it will send."""

from collections import Counter
from pathlib import Path

import pytest

from millrace.demo.payments_file import RealPayment, banks, batches, funding_minor, read_payments
from millrace.demo.run import PAYMENTS_FILE


@pytest.fixture(scope="module")
def payments() -> list[RealPayment]:
    return read_payments(PAYMENTS_FILE)


def test_the_figures_that_the_examples_describe(payments: list[RealPayment]) -> None:
    described = (PAYMENTS_FILE.parent / "README.md").read_text()
    total_minor = sum(payment.amount_minor for payment in payments)
    for words in (
        f"{len(payments):,} real",
        f"{len({payment.debtor for payment in payments})} debtor banks",
        f"{len({payment.creditor for payment in payments})} creditor banks",
        f"EUR {total_minor // 100:,}.{total_minor % 100:02}",
        "Source:",
        "licence",
    ):
        assert words in described


def test_every_payment_has_its_own_key_and_a_positive_amount(payments: list[RealPayment]) -> None:
    keys = Counter((payment.debtor, payment.payment_id) for payment in payments)
    assert max(keys.values()) == 1
    assert min(payment.amount_minor for payment in payments) > 0
    assert {payment.currency for payment in payments} == {"EUR"}


def test_each_debtor_gets_nine_tenths_rounded_down(payments: list[RealPayment]) -> None:
    sent: Counter[str] = Counter()
    for payment in payments:
        sent[payment.debtor] += payment.amount_minor
    funded = funding_minor(payments)
    assert set(funded) <= set(sent)
    for bic, total_minor in sent.items():
        assert funded.get(bic, 0) == total_minor * 9 // 10


def test_a_debtor_whose_share_is_nothing_gets_no_deposit() -> None:
    assert funding_minor([RealPayment("1", "A", "B", 1, "EUR")]) == {}
    assert funding_minor([RealPayment("1", "A", "B", 2, "EUR")]) == {"A": 1}


def test_batches_hold_every_payment_once_in_order(payments: list[RealPayment]) -> None:
    cut = list(batches(payments, 500))
    assert [payment for batch in cut for payment in batch] == payments
    assert {len(batch) for batch in cut[:-1]} == {500}
    assert 0 < len(cut[-1]) <= 500


def test_banks_are_payers_and_payees(payments: list[RealPayment]) -> None:
    named = banks(payments)
    assert named == sorted(named)
    assert set(named) == {bic for payment in payments for bic in (payment.debtor, payment.creditor)}


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("payment_id,debtor_bic\n1,A\n")
    with pytest.raises(KeyError, match="creditor_bic"):
        read_payments(short)
