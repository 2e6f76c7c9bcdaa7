"""What an entry, a batch and a balance of camt mean: signs, lines of a batch, totals, streams."""

import tracemalloc
from pathlib import Path

import pytest

from reconciliation.statements.iso20022.camt import DETAILS_KEPT_MAX
from reconciliation.statements.lines import Line
from reconciliation.statements.parse import opened
from tests.reconciliation.statements.files import only, parse_text

MESSAGES = {"Stmt": "BkToCstmrStmt", "Ntfctn": "BkToCstmrDbtCdtNtfctn", "Rpt": "BkToCstmrAcctRpt"}
BALANCE = '<Bal><Tp><CdOrPrtry><Cd>{}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'


def camt(content: str, container: str = "Stmt", namespace: str = "urn:any") -> str:
    """A message around the content of its one statement."""
    message = MESSAGES[container]
    return (
        f'<b:Document xmlns:b="{namespace}" xmlns="{namespace}"><b:{message}><{container}>'
        f"<Acct><Id><IBAN>DE1</IBAN></Id><Ccy>EUR</Ccy></Acct>{content}</{container}></b:{message}></b:Document>"
    )


def entry(
    amount: str, indicator: str = "CRDT", details: tuple[str, ...] = (), status: str = "BOOK", more: str = ""
) -> str:
    """An entry with transactions of these amounts ("" has none)."""
    amounts = [f'<Amt Ccy="EUR">{one}</Amt>' if one else "" for one in details]
    inside = "".join(f"<TxDtls><Refs><TxId>t{number}</TxId></Refs>{one}</TxDtls>" for number, one in enumerate(amounts))
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{indicator}</CdtDbtInd><Sts>{status}</Sts>{more}'
        f"<NtryDtls>{inside}</NtryDtls></Ntry>"
    )


def test_a_reversal_keeps_the_sign_of_its_indicator(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, camt(entry("5.00", "CRDT", more="<RvslInd>true</RvslInd>"))))
    assert (line.amount_minor, line.reversal) == (500, True)


@pytest.mark.parametrize("container", ["Stmt", "Ntfctn"])
@pytest.mark.parametrize(("total", "lines"), [("5.00", [200, 300]), ("4.90", [490])])
def test_a_batch_of_orders_is_opened_only_where_they_add_up(
    container: str, total: str, lines: list[int], tmp_path: Path
) -> None:
    """Some banks write InstdAmt and nothing else into the transactions of a batch."""
    one = '<TxDtls><AmtDtls><InstdAmt><Amt Ccy="EUR">{}</Amt></InstdAmt></AmtDtls></TxDtls>'
    batch = entry(total).replace("<NtryDtls></NtryDtls>", f"<NtryDtls>{one.format(2)}{one.format(3)}</NtryDtls>")
    statement, found = only(parse_text(tmp_path, camt(batch, container)))
    assert ([line.amount_minor for line in found], statement.control_totals_ok) == (lines, True)


def test_an_entry_without_transactions_tells_what_it_was_in_another_currency(tmp_path: Path) -> None:
    exchanged = '<AmtDtls><TxAmt><Amt Ccy="CZK">32.17</Amt></TxAmt></AmtDtls>'
    _, (line,) = only(parse_text(tmp_path, camt(entry("1.29", "DBIT", more=exchanged))))
    assert (line.amount_minor, line.currency, line.original_amount) == (-129, "EUR", "32.17 CZK")


@pytest.mark.parametrize(
    "content", [entry("-5.00", "DBIT"), entry("5.00", "DBIT", ("-2", "7")), BALANCE.format("OPBD", "-5.00")]
)
def test_an_amount_with_a_minus_has_two_sides_and_is_refused(content: str, tmp_path: Path) -> None:
    """ISO 20022 has no negative amount: a debit of −5.00 would come out as a credit."""
    assert "is negative; CdtDbtInd alone says the side" in str(parse_text(tmp_path, camt(content)).reason)


def test_a_batch_that_adds_up_is_its_transactions(tmp_path: Path) -> None:
    statement, lines = only(parse_text(tmp_path, camt(entry("5.00", "DBIT", ("2", "3.00")))))
    assert [(line.amount_minor, line.references["transaction_id"]) for line in lines] == [(-200, "t0"), (-300, "t1")]
    assert statement.control_totals_ok


@pytest.mark.parametrize("details", [("2", "2"), ("2", ""), ("", "")])
def test_a_batch_that_does_not_is_its_entry(details: tuple[str, ...], tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, camt(entry("5.00", "CRDT", details))))
    assert (line.amount_minor, line.references) == (500, {})


def test_a_notification_that_was_cut_is_its_transactions_and_does_not_tie(tmp_path: Path) -> None:
    statement, lines = only(parse_text(tmp_path, camt(entry("5.00", "CRDT", ("2", "2")), "Ntfctn")))
    assert [line.amount_minor for line in lines] == [200, 200]
    ((total),) = statement.control_totals
    assert (total.stated, total.actual, statement.control_totals_ok) == (500, 400, False)


def test_pending_entries_do_not_count_in_the_balance(tmp_path: Path) -> None:
    content = BALANCE.format("OPBD", "1") + BALANCE.format("CLBD", "3.5") + entry("2.5") + entry("9", status="PDNG")
    statement, lines = only(parse_text(tmp_path, camt(content)))
    assert (statement.opening_minor, statement.closing_minor, len(lines)) == (100, 350, 2)
    assert statement.control_totals_ok


def test_a_balance_that_is_not_reached_is_told(tmp_path: Path) -> None:
    content = BALANCE.format("OPBD", "1") + BALANCE.format("CLBD", "3.6") + entry("2.5")
    statement, _ = only(parse_text(tmp_path, camt(content)))
    assert not statement.control_totals_ok


def test_a_bank_may_state_the_net_of_its_entries_as_their_sum(tmp_path: Path) -> None:
    """Wise does; a bank whose sum is one is still held to it."""
    net = "<TtlNetNtry><Amt>{}</Amt><CdtDbtInd>CRDT</CdtDbtInd></TtlNetNtry>"
    summary = "<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries><Sum>{}</Sum>{}</TtlNtries></TxsSummry>"
    entries = entry("10.00") + entry("9.00", "DBIT")
    for stated, more, agrees in (
        ("1.00", net.format("1.00"), True),
        ("1.01", net.format("1.01"), False),
        ("19.00", net.format("1.00"), True),
        ("1.00", "", False),
    ):
        statement, _ = only(parse_text(tmp_path, camt(summary.format(stated, more) + entries)))
        assert statement.control_totals_ok is agrees


def test_interim_balances_frame_a_page(tmp_path: Path) -> None:
    content = BALANCE.format("ITBD", "1") + BALANCE.format("ITBD", "3.5") + entry("2.5")
    statement, _ = only(parse_text(tmp_path, camt(content)))
    assert (statement.opening_minor, statement.closing_minor, statement.control_totals_ok) == (100, 350, True)


def test_sums_per_participant_are_the_lines_of_a_report_without_entries(tmp_path: Path) -> None:
    participant = (
        "<Bal><Tp><CdOrPrtry><Prtry>BANKDEFF</Prtry></CdOrPrtry><SubTp><Prtry>LT1</Prtry></SubTp></Tp>"
        '<Amt Ccy="EUR">.2</Amt><CdtDbtInd>DBIT</CdtDbtInd><Dt><Dt>2026-11-20</Dt></Dt></Bal>'
    )
    content = BALANCE.format("OPAV", "1") + participant + BALANCE.format("INFO", "0.80")
    statement, (line,) = only(parse_text(tmp_path, camt(content, "Rpt")))
    assert (line.amount_minor, line.references["participant"], line.booking_date) == (-20, "BANKDEFF", "2026-11-20")
    assert (statement.opening_minor, statement.closing_minor, statement.control_totals_ok) == (100, 80, True)


def test_charges_of_all_records_are_the_fee(tmp_path: Path) -> None:
    charges = '<Chrgs><Rcrd><Amt Ccy="EUR">1</Amt></Rcrd><Rcrd><Amt Ccy="EUR">0.5</Amt></Rcrd></Chrgs>'
    _, (line,) = only(parse_text(tmp_path, camt(entry("5", more=charges))))
    assert line.fee_minor == 150


def test_an_amount_in_another_currency_is_told_beside(tmp_path: Path) -> None:
    detail = '<AmtDtls><InstdAmt><Amt Ccy="USD">6.00</Amt></InstdAmt><TxAmt><Amt Ccy="EUR">5</Amt></TxAmt></AmtDtls>'
    content = entry("5").replace("<NtryDtls>", f"<NtryDtls><TxDtls>{detail}</TxDtls>")
    _, (line,) = only(parse_text(tmp_path, camt(content)))
    assert (line.amount_minor, line.original_amount) == (500, "6.00 USD")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    content = camt(entry("5").replace("</Ntry>", "<AddtlNtryInf>Grüße</AddtlNtryInf></Ntry>"))
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{content}'
    _, (line,) = only(parse_text(tmp_path, text.encode(encoding)))
    assert line.description == "Grüße"


def test_a_long_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Twice as many transactions as are kept, 8 MB of XML: the peak is that of the ones that are kept."""
    details = tuple("1.00" for _ in range(8 * DETAILS_KEPT_MAX))
    path = tmp_path / "long"
    path.write_text(camt(entry("80000.00", "CRDT", details), "Ntfctn"), encoding="utf-8")
    tracemalloc.start()
    try:
        lines = sum(isinstance(event, Line) for event in opened(path).events)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == len(details)
    assert peak < DETAILS_KEPT_MAX * 1_500 + (4 << 20)
