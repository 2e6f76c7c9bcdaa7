"""Files in the shapes of Stripe (payout reconciliation), Adyen (settlement details) and PayPal (STL).

Columns and units as the providers publish them: Stripe and Adyen write major units, PayPal hundredths in every
currency. Stripe's and Adyen's payout row, and PayPal's footers, are the files' own control totals.
"""

import csv
from io import StringIO
from typing import Final

from payments.money import EXPONENTS, format_minor
from reconciliation.generated.entries import Batch, Entry

_STRIPE: Final = [
    "automatic_payout_id", "automatic_payout_effective_at_utc", "balance_transaction_id", "created_utc", "currency",
    "gross", "fee", "net", "reporting_category", "source_id", "description", "order_id", "trace_id",
]  # fmt: skip
_ADYEN: Final = [
    "Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date",
    "TimeZone", "Type", "Modification Reference", "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)",
    "Exchange Rate", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)",
    "Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference",
    "Batch Number",
]  # fmt: skip
_PAYPAL: Final = [
    "Transaction ID", "Invoice ID", "PayPal Reference ID", "PayPal Reference ID Type", "Transaction Event Code",
    "Transaction Initiation Date", "Transaction Completion Date", "Transaction Debit or Credit",
    "Gross Transaction Amount", "Gross Transaction Currency", "Fee Debit or Credit", "Fee Amount", "Fee Currency",
    "Custom Field", "Consumer ID", "Payment Tracking ID", "Store ID", "Bank Reference ID", "Credit Transactional Fee",
    "Credit Promotional Fee", "Credit Term",
]  # fmt: skip


def stripe(batch: Batch) -> str:
    """`payout_reconciliation.itemized`: the charges of a payout, and the payout itself."""
    payout, effective = f"po_{batch.number:06}", f"{batch.day} 00:00:00"

    def row(entry: Entry, kind: str, source: str) -> list[str]:
        amounts = (entry.gross_minor, entry.fee_minor, entry.net_minor)
        texts = [format_minor(minor, batch.currency) for minor in amounts]
        order = entry.reference if kind == "charge" else ""
        created = f"{entry.booked_on} 12:00:00"
        return [
            payout,
            effective,
            f"txn_{source}",
            created,
            batch.currency.lower(),
            *texts,
            kind,
            source,
            "",
            order,
            "",
        ]

    rows = [row(entry, "charge", f"ch_{number}_{batch.number}") for number, entry in enumerate(batch.told)]
    total = Entry("", -(batch.stated_gross_minor - batch.stated_fee_minor), 0, batch.currency, batch.day)
    return _csv([_STRIPE, *rows, row(total, "payout", payout)])


def adyen(batch: Batch) -> str:
    """Settlement details: one booking a payment, and the payout of the batch."""
    rows = []
    for number, entry in enumerate(batch.told):
        gross, fee, net = (
            format_minor(minor, batch.currency) for minor in (entry.gross_minor, entry.fee_minor, entry.net_minor)
        )
        reference = [f"PSP{batch.number:06}{number:07}", entry.reference, "visa", f"{entry.booked_on} 12:00:00", "CET"]
        amounts = [batch.currency, "", gross, "1", batch.currency, "", net, fee, "", "", ""]
        rows.append(["Shop", "Shop_EU", *reference, "Settled", "", *amounts, "visacredit", "", str(batch.number)])
    paid_out = format_minor(batch.stated_gross_minor - batch.stated_fee_minor, batch.currency)
    payout = ["Shop", "Shop_EU", "", "", "", f"{batch.day} 20:00:00", "CET", "MerchantPayout", ""]
    payout += ["", "", "", "", batch.currency, paid_out, "", "", "", "", "", "", "", str(batch.number)]
    return _csv([_ADYEN, *rows, payout])


def paypal(batch: Batch) -> str:
    """STL: header rows, one SB a payment, footers with sums, balances and counts."""
    day = f"{batch.day:%Y/%m/%d}"
    rows = [
        ["RH", f"{day} 23:59:59 +0000", "A", "MERCHANT1", "009"],
        ["FH", "01"],
        ["SH", f"{day} 00:00:00 +0000", f"{day} 23:59:59 +0000", "MERCHANT1", ""],
        ["CH", *_PAYPAL],
    ]
    for number, entry in enumerate(batch.told):
        gross, fee = (_hundredths(minor, batch.currency) for minor in (entry.gross_minor, entry.fee_minor))
        moment = f"{entry.booked_on:%Y/%m/%d} 12:00:00 +0000"
        ids = [f"T{batch.number:06}{number:07}", entry.reference, "", "", "T0006", moment, moment]
        rows.append(["SB", *ids, "CR", gross, batch.currency, "DR", fee, batch.currency, *[""] * 8])
    gross, fee = (_hundredths(m, batch.currency) for m in (batch.stated_gross_minor, batch.stated_fee_minor))
    net = _hundredths(batch.stated_gross_minor - batch.stated_fee_minor, batch.currency)
    sums = [batch.currency, gross, "0", "0", fee]
    count = str(len(batch.stated))
    rows += [["SF", *sums, "CR", "0", "CR", net], ["SC", count], ["RF", *sums, "CR", "0", "CR", net], ["RC", count]]
    return _csv([*rows, ["FF", count]])


def _hundredths(minor: int, currency: str) -> str:
    return str(minor * 100 // 10 ** EXPONENTS[currency])


def _csv(rows: list[list[str]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
