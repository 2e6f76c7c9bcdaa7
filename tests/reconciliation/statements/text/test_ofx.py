"""OFX of both kinds: what a statement says, and what is refused instead of lost."""

import re
from pathlib import Path

import pytest

from tests.reconciliation.statements.files import only, parse_text

OFX = """OFXHEADER:100
DATA:OFXSGML

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>4711</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20261001<DTEND>20261031
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20261002120000[-5:EST]<TRNAMT>-12,50<FITID>f1<NAME>Shop &amp; Co<MEMO>thing</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>87.50<DTASOF>20261031</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""


def as_xml(text: str) -> str:
    """The same statement in OFX 2: every leaf has its end."""
    body = text.partition("<OFX>")
    closed = re.sub(r"<(\w+)>([^<\n]+)", r"<\1>\2</\1>", "".join(body[1:]))
    return f'<?xml version="1.0"?><?OFX OFXHEADER="200" VERSION="211"?>{closed}'


@pytest.mark.parametrize("text", [OFX, as_xml(OFX)], ids=["sgml", "xml"])
def test_ofx_of_both_kinds(text: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, text)
    statement, (line,) = only(result)
    assert (result.format, statement.account, statement.closing_minor) == ("ofx", "4711", 8750)
    assert (line.amount_minor, line.booking_date, line.counterparty) == (-1250, "2026-10-02", "Shop & Co")
    assert line.references == {"fitid": "f1"}


def test_cdata_is_text_and_a_comment_is_nothing(tmp_path: Path) -> None:
    """Banks that write OFX 2 quote names that way; it is no DOCTYPE."""
    text = (
        as_xml(OFX)
        .replace("Shop &amp; Co", "<![CDATA[A<B> & Co]]>")
        .replace("<STMTTRN>", "<!-- <STMTTRN>\n --><STMTTRN>")
    )
    _, (line,) = only(parse_text(tmp_path, text))
    assert (line.counterparty, line.description) == ("A<B> & Co", "thing")


def test_cdata_across_the_border_of_what_is_read_at_once(tmp_path: Path) -> None:
    long = "x<y>" * 20_000
    _, (line,) = only(parse_text(tmp_path, as_xml(OFX).replace("<MEMO>thing", f"<MEMO><![CDATA[{long}]]>")))
    assert line.description == long


@pytest.mark.parametrize(("begins", "reason"), [("<!DOCTYPE OFX []>", "doctype"), ("<![CDATA[x", "structure")])
def test_other_markup_is_refused_by_its_name(begins: str, reason: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, OFX.replace("<BANKTRANLIST>", begins + "<BANKTRANLIST>"))
    assert str(result.reason).startswith(reason)


def test_a_transaction_in_a_currency_of_its_own(tmp_path: Path) -> None:
    """CURRENCY says what the amount is in; ORIGCURRENCY only what it was converted from."""
    own = OFX.replace("<NAME>", "<CURRENCY><CURRATE>0.9<CURSYM>USD</CURRENCY><NAME>")
    statement, (line,) = only(parse_text(tmp_path, own))
    assert (statement.currency, line.currency, line.amount_minor) == ("EUR", "USD", -1250)
    converted = own.replace("CURRENCY>", "ORIGCURRENCY>")
    assert only(parse_text(tmp_path, converted))[1][0].currency == "EUR"


def test_a_statement_without_a_currency_takes_that_of_its_transactions(tmp_path: Path) -> None:
    bare = OFX.replace("<CURDEF>EUR", "<CURDEF>")
    statement, _ = only(parse_text(tmp_path, bare.replace("<NAME>", "<CURRENCY><CURSYM>AUD</CURRENCY><NAME>")))
    assert statement.currency == "AUD"
    assert "names no currency (CURDEF)" in str(parse_text(tmp_path, bare).reason)


def test_a_transaction_without_its_end_is_not_lost(tmp_path: Path) -> None:
    first = OFX[OFX.index("<STMTTRN>") : OFX.index("</STMTTRN>")]
    for text in (OFX.replace("<STMTTRN>", first + "<STMTTRN>"), OFX.replace("</STMTTRN>", "")):
        result = parse_text(tmp_path, text)
        assert str(result.reason).startswith("structure: line 6: the <STMTTRN> that begins here has no end")


def test_movements_of_securities_are_told(tmp_path: Path) -> None:
    trade = "<BUYSTOCK><INVBUY><INVTRAN><FITID>b1</INVTRAN><TOTAL>-10.00</INVBUY></BUYSTOCK>"
    statement, lines = only(parse_text(tmp_path, OFX.replace("<STMTTRN>", trade + "<STMTTRN>")))
    assert len(lines) == 1
    assert statement.warnings == ["1 transactions in securities are no lines: only movements of cash are read"]


def test_what_is_pending_is_no_booked_line(tmp_path: Path) -> None:
    pending = "<BANKTRANLISTP><STMTTRNP><TRNTYPE>POS<DTTRAN>20261101<TRNAMT>-1.00<NAME>Inn</STMTTRNP></BANKTRANLISTP>"
    _, (_, line) = only(parse_text(tmp_path, OFX.replace("<LEDGERBAL>", pending + "<LEDGERBAL>")))
    assert (line.status, line.amount_minor, line.booking_date) == ("PDNG", -100, "2026-11-01")


@pytest.mark.parametrize(
    ("text", "minor"), [("-1.234,56", -123456), ("1,234.56", 123456), ("-0,5", -50), ("+00000000012.5000", 1250)]
)
def test_amounts_as_banks_write_them(text: str, minor: int, tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, OFX.replace("-12,50", text)))
    assert line.amount_minor == minor


def test_the_value_date_is_when_money_is_there(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, OFX.replace("<TRNAMT>", "<DTUSER>20261001<DTAVAIL>20261004<TRNAMT>")))
    assert (line.booking_date, line.value_date) == ("2026-10-02", "2026-10-04")


def test_an_answer_without_a_statement_says_what_the_bank_said(tmp_path: Path) -> None:
    error = "<OFX><BANKMSGSRSV1><STMTTRNRS><STATUS><CODE>2000<MESSAGE>General error</STATUS></STMTTRNRS></OFX>"
    result = parse_text(tmp_path, "OFXHEADER:100\n" + error)
    assert str(result.reason).endswith("in it; the bank answers: General error")
