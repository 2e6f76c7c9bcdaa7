"""Statements in the shapes of camt.053, BAI2 and MT940: one account a currency, from zero to the sum of the day."""

from itertools import chain

from payments.money import EXPONENTS, format_minor
from reconciliation.generated.entries import Batch, Entry

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>M{number}</MsgId><CreDtTm>{day}T23:00:00Z</CreDtTm></GrpHdr>
<Stmt><Id>S{number}</Id><Acct><Id><Othr><Id>CLEARING-{currency}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{zero}</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
<Dt><Dt>{day}</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{total}</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
<Dt><Dt>{day}</Dt></Dt></Bal>
"""
_ENTRY = """<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt><NtryDtls><TxDtls><Refs><EndToEndId>{reference}\
</EndToEndId></Refs><Amt Ccy="{currency}">{amount}</Amt></TxDtls></NtryDtls></Ntry>
"""


def camt053(batch: Batch) -> str:
    """camt.053.001.08: an entry a payment, opening and closing balance."""
    head = _HEAD.format(
        number=batch.number,
        day=batch.day,
        currency=batch.currency,
        zero=format_minor(0, batch.currency),
        total=format_minor(batch.stated_gross_minor, batch.currency),
    )
    entries = (
        _ENTRY.format(
            currency=batch.currency,
            amount=format_minor(entry.gross_minor, batch.currency),
            day=entry.booked_on,
            reference=entry.reference,
        )
        for entry in batch.told
    )
    return "".join(chain([head], entries, ["</Stmt></BkToCstmrStmt></Document>\n"]))


def bai2(batch: Batch) -> str:
    """Version 2: detail records 195 (incoming transfer) between header and trailers, amounts with implied decimals."""
    day, total = f"{batch.day:%y%m%d}", batch.stated_gross_minor
    rows = [
        f"01,BANK,SHOP,{day},2300,{batch.number},,,2/",
        f"02,SHOP,BANK,1,{day},,{batch.currency},2/",
        f"03,CLEARING{batch.currency},{batch.currency},010,0,,,015,{total},,/",
    ]
    rows += [f"16,195,{entry.gross_minor},,B{n},{entry.reference},payment/" for n, entry in enumerate(batch.told)]
    account = len(batch.stated) + 2
    control = 2 * total
    rows += [f"49,{control},{account}/", f"98,{control},1,{account + 2}/", f"99,{control},1,{account + 4}/"]
    return "\n".join(rows) + "\n"


def mt940(batch: Batch) -> str:
    """One statement of any length; the reference in :61:, a text in :86:."""
    currency, day = batch.currency, f"{batch.day:%y%m%d}"

    def balance(minor: int) -> str:
        return f"C{day}{currency}{_comma(minor, currency)}"

    def movement(entry: Entry) -> str:
        booked, amount = entry.booked_on, _comma(entry.gross_minor, currency)
        return f":61:{booked:%y%m%d}{booked:%m%d}C{amount}NTRF{entry.reference}\n:86:payment\n"

    head = f":20:S{batch.number}\n:25:CLEARING{currency}\n:28C:{batch.number}/1\n:60F:{balance(0)}\n"
    return "".join([head, *map(movement, batch.told), f":62F:{balance(batch.stated_gross_minor)}\n-\n"])


def _comma(minor: int, currency: str) -> str:
    text = format_minor(minor, currency)
    return text.replace(".", ",") if EXPONENTS[currency] else f"{text},"
