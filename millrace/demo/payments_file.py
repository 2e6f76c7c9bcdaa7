"""The real payments of examples/sepa_instant.csv, and what each bank needs to make most, not all, of them."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FUNDED_PERCENT = 90
"""Each debtor gets this share of what it will send, so that real rejections occur."""


class RealPayment(NamedTuple):
    """One line of the file. Banks (BICs) stand for accounts."""

    payment_id: str
    debtor: str
    creditor: str
    amount_minor: int
    currency: str


def read_payments(path: Path) -> list[RealPayment]:
    """All payments in the order of the file. Raises OSError, KeyError (a column is missing), ValueError."""
    with path.open(newline="") as file:
        return [
            RealPayment(
                row["payment_id"], row["debtor_bic"], row["creditor_bic"], int(row["amount_minor"]), row["currency"]
            )
            for row in csv.DictReader(file)
        ]


def banks(payments: list[RealPayment]) -> list[str]:
    """Every BIC that pays or receives, sorted."""
    return sorted({bic for payment in payments for bic in (payment.debtor, payment.creditor)})


def funding_minor(payments: list[RealPayment]) -> dict[str, int]:
    """What each debtor is given before the load, in minor units."""
    sent: Counter[str] = Counter()
    for payment in payments:
        sent[payment.debtor] += payment.amount_minor
    return {bic: total * FUNDED_PERCENT // 100 for bic, total in sorted(sent.items()) if total * FUNDED_PERCENT >= 100}


def batches(payments: list[RealPayment], size: int) -> Iterator[list[RealPayment]]:
    """The payments in runs of at most `size`."""
    for at in range(0, len(payments), size):
        yield payments[at : at + size]
