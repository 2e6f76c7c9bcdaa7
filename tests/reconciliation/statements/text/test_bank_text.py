"""MT940/942 and BAI2: what each dialect says, and the totals that a change of one figure breaks."""

from pathlib import Path

import pytest

from tests.reconciliation.statements.files import SAMPLES, only, parse_text

MT940 = """:20:REF
:25:DE12
:28C:1/1
:60F:C260101EUR100,00
:61:2601020102D12,50NTRFKREF+//BANK1
:86:Rent
:62F:C260131EUR87,50
-
"""

BAI2 = """01,A,B,260101,0000,1,80,,2/
02,B,A,1,260101,0000,{currency},2/
03,ACC,,010,1000,,,015,1500,,/
16,115,600,S,100,200,300,BREF,CREF,LOCKBOX 1, NO. 2/3
88,AND MORE
16,475,100,,,CUST/
49,3200,5/
98,3200,1,7/
99,3200,1,9/
"""


def test_an_mt940_statement_is_proven(tmp_path: Path) -> None:
    statement, (line,) = only(parse_text(tmp_path, MT940))
    assert (statement.account, statement.opening_minor, statement.closing_minor) == ("DE12", 10000, 8750)
    assert (line.amount_minor, line.booking_date, line.references) == (
        -1250,
        "2026-01-02",
        {"customer_reference": "KREF+", "bank_reference": "BANK1"},
    )
    assert (line.description, line.position.line, statement.control_totals_ok) == ("Rent", 5, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [("D12,50", "D12,51"), ("D12,50", "C12,50"), ("EUR87,50", "EUR87,05"), (":62F:C260131EUR87,50\n", "")],
)
def test_an_mt940_statement_that_was_changed_does_not_tie(old: str, new: str, tmp_path: Path) -> None:
    statement, _ = only(parse_text(tmp_path, MT940.replace(old, new)))
    assert not statement.control_totals_ok


@pytest.mark.parametrize("reference", ["KREF+//BANK1", "K" * 30 + "//B", "K" * 30 + "//" + "B" * 30])
def test_february_30_is_the_last_day_of_the_month(reference: str, tmp_path: Path) -> None:
    """In each dialect: the references are those of the standard, of GLS, and of none."""
    text = MT940.replace("2601020102D", "2602300228D").replace("KREF+//BANK1", reference)
    _, (line,) = only(parse_text(tmp_path, text))
    assert (line.value_date, line.booking_date) == ("2026-02-28", "2026-02-28")


def test_central_european_text_is_read_as_its_bank_wrote_it(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, MT940.replace("Rent", "Deviza átutalás őű").encode("cp852")))
    assert line.description == "Deviza átutalás őű"
    _, (line,) = only(parse_text(tmp_path, MT940.replace("Rent", "Grüße für Åse").encode("cp1252")))
    assert line.description == "Grüße für Åse"


def test_mt942_states_its_sums(tmp_path: Path) -> None:
    text = MT940.replace(":60F:C260101EUR100,00", ":34F:EUR0,00\n:13D:2601021200+0100")
    text = text.replace(":62F:C260131EUR87,50", ":90D:1EUR12,50\n:90C:0EUR0,00")
    result = parse_text(tmp_path, text)
    assert result.format == "mt942"
    assert only(result)[0].control_totals_ok
    assert not only(parse_text(tmp_path, text.replace("1EUR12,50", "2EUR12,50")))[0].control_totals_ok
    bare, _ = only(parse_text(tmp_path, text.replace(":90D:1EUR12,50\n:90C:0EUR0,00\n", "")))
    assert (bare.control_totals, bare.warnings) == ([], [])  # they are optional, and there is no closing balance


def test_a_movement_that_no_dialect_reads_refuses_the_file(tmp_path: Path) -> None:
    result = parse_text(tmp_path, MT940.replace("D12,50NTRF", "X12,50NTRF"))
    assert result.status == "refused"
    assert "can't be read" in str(result.reason)


def test_movements_without_a_type_are_a_line_each(tmp_path: Path) -> None:
    """The library takes a :61: behind one without a type code for the same movement."""
    text = MT940.replace("D12,50NTRFKREF+//BANK1", "DR5,00//1").replace(
        ":86:Rent\n", ":86:Rent\n:61:2601030103DR7,50//2\n:86:Wages\n"
    )
    statement, lines = only(parse_text(tmp_path, text))
    assert [(line.amount_minor, line.references, line.description, line.type) for line in lines] == [
        (-500, {"bank_reference": "1"}, "Rent", ""),
        (-750, {"bank_reference": "2"}, "Wages", ""),
    ]
    assert statement.control_totals_ok


def test_references_that_are_longer_than_the_standard_are_kept_whole(tmp_path: Path) -> None:
    """GLS writes 29 characters before the //, BIL 25 behind it; without a // the standard's 16 are the reference."""
    text = MT940.replace("KREF+//BANK1", "BIPI-dvT1FzfMqvzF5HaU4oetlH7//CIOB220117990193/IACC/D3/\nMORE")
    _, (line,) = only(parse_text(tmp_path, text))
    assert line.references == {
        "customer_reference": "BIPI-dvT1FzfMqvzF5HaU4oetlH7",
        "bank_reference": "CIOB220117990193/IACC/D3/",
    }
    assert line.description == "Rent MORE"
    _, (line,) = only(parse_text(tmp_path, MT940.replace("KREF+//BANK1", "1234567890123456NAME OF PAYER")))
    assert (line.references, line.description) == ({"customer_reference": "1234567890123456"}, "Rent NAME OF PAYER")


def test_a_blank_behind_the_amount_is_no_part_of_the_reference(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, MT940.replace("D12,50NTRF", "D12,50 NTRF")))
    assert (line.type, line.references["customer_reference"]) == ("NTRF", "KREF+")


@pytest.mark.parametrize("tag", [":62F:C260131EUR87,50\n", ":60F:C260101EUR100,00\n", ":64:C260131EUR87,50\n"])
def test_words_behind_a_balance_are_about_the_statement(tag: str, tmp_path: Path) -> None:
    text = MT940 if tag in MT940 else MT940.replace("-\n", tag + "-\n")
    told = text.replace(tag, tag + ":86:Deposits are insured\nas the law says\n:86:IBAN DE12\n")
    assert only(parse_text(tmp_path, told))[1][0].description == "Rent"
    twice = parse_text(tmp_path, told + MT940)
    assert [line.description for _, (line,) in twice.statements] == ["Rent", "Rent"]


def test_a_field_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    result = parse_text(tmp_path, MT940.replace("-\n", ":65:Dnullnull7414,3\n"))
    assert str(result.reason).endswith("can't be read: :65: has 'Dnullnull7414,3'")


@pytest.mark.parametrize(("currency", "minor"), [("USD", 600), ("JPY", 600), ("", 600)])
def test_bai2_implies_the_decimals_of_the_currency(currency: str, minor: int, tmp_path: Path) -> None:
    statement, (credit, debit) = only(parse_text(tmp_path, BAI2.format(currency=currency)))
    assert (statement.currency, statement.opening_minor, statement.closing_minor) == (currency or "USD", 1000, 1500)
    assert (credit.amount_minor, debit.amount_minor) == (minor, -100)
    assert credit.references == {"bank_reference": "BREF", "customer_reference": "CREF"}
    assert (credit.description, debit.references) == ("LOCKBOX 1, NO. 2/3 AND MORE", {"customer_reference": "CUST"})
    assert (statement.control_totals_ok, statement.warnings) == (True, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [("16,475,100", "16,475,101"), ("49,3200,5", "49,3200,6"), ("98,3200,1", "98,3200,2"), ("99,3200,1,9", "99,1,1,9")],
)
def test_bai2_that_was_changed_does_not_tie(old: str, new: str, tmp_path: Path) -> None:
    statement, _ = only(parse_text(tmp_path, BAI2.format(currency="EUR").replace(old, new)))
    assert not statement.control_totals_ok


@pytest.mark.parametrize(
    ("old", "reason"), [("99,3200,1,9/\n", "cut_off"), ("98,3200,1,7/\n", "structure"), ("02,", "structure")]
)
def test_bai2_without_a_record_is_refused(old: str, reason: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, BAI2.format(currency="EUR").replace(old, "" if old.endswith("\n") else "77,"))
    assert str(result.reason).startswith(reason)


def test_bai2_records_that_stand_side_by_side_are_taken_apart(tmp_path: Path) -> None:
    text = BAI2.format(currency="EUR").replace("/\n02", "/      02").replace("/\n98", "/   98")
    assert only(parse_text(tmp_path, text)) == only(parse_text(tmp_path, text.rstrip() + "\n"))
    assert only(parse_text(tmp_path, text))[0].control_totals_ok


def test_bai2_records_behind_a_single_blank_are_taken_apart(tmp_path: Path) -> None:
    """Only where the record shows itself: "2/ 3" and "2/ 16 MAY" are text."""
    text = BAI2.format(currency="EUR").replace("NO. 2/3", "NO. 2/ 16 MAY, 3")
    one_line = text.replace("/\n49", "/ 49").replace("/\n98", "/ 98").replace("/\n16,475", "/ 16,475")
    assert only(parse_text(tmp_path, one_line))[0].control_totals_ok
    assert [line.description for line in only(parse_text(tmp_path, one_line))[1]] == [
        "LOCKBOX 1, NO. 2/ 16 MAY, 3 AND MORE",
        "",
    ]


def test_bai2_text_that_was_broken_without_a_continuation_stays_with_its_transaction(tmp_path: Path) -> None:
    text = BAI2.format(currency="EUR").replace("88,AND MORE", "88:AND MORE\n4711    /\n88,AND MORE")
    statement, (credit, _) = only(parse_text(tmp_path, text))
    assert (statement.control_totals_ok, credit.description) == (True, "LOCKBOX 1, NO. 2/3 88:AND MORE 4711 AND MORE")


def test_bai2_with_a_stray_line_behind_a_closed_record_is_refused(tmp_path: Path) -> None:
    result = parse_text(tmp_path, BAI2.format(currency="EUR").replace("CUST/", "CUST/\nstray"))
    assert str(result.reason).startswith("structure: line 7: 'stray' is no record of BAI2")


def test_codes_of_nine_digits_and_summaries_over_several_lines(tmp_path: Path) -> None:
    text = BAI2.format(currency="EUR").replace("16,475,", "16,475000123,").replace("1500,,/", "1500,,\n88,100,600,1,/")
    text = (
        text.replace("49,3200,5", "49,3800,6")
        .replace("98,3200,1,7", "98,3800,1,8")
        .replace("99,3200,1,9", "99,3800,1,10")
    )
    statement, (_, debit) = only(parse_text(tmp_path, text))
    assert (debit.amount_minor, debit.type, statement.control_totals_ok) == (-100, "475000123", True)


def test_the_sums_of_pain001_are_compared(tmp_path: Path) -> None:
    text = (SAMPLES / "pain001" / "bankstatementparser__pain.001.001.03.xml").read_text(encoding="utf-8")
    result = parse_text(tmp_path, text)
    assert [statement.control_totals_ok for statement, _ in result.statements] == [False] * 6
    tied = text.replace("<CtrlSum>2</CtrlSum>", "<CtrlSum>150</CtrlSum>").replace("<NbOfTxs>2<", "<NbOfTxs>1<")
    first, _ = parse_text(tmp_path, tied).statements[0]
    assert (first.control_totals_ok, first.account) == (True, "DE75512108001245126162")


def test_the_sum_of_payments_in_several_currencies_is_of_their_numbers(tmp_path: Path) -> None:
    """ISO 20022 says of CtrlSum: irrespective of currencies. Yen have no decimals, euros two."""
    amounts = "".join(
        f"<CdtTrfTxInf><Amt><InstdAmt Ccy='{currency}'>{amount}</InstdAmt></Amt></CdtTrfTxInf>"
        for currency, amount in (("JPY", "10000"), ("EUR", "500.25"))
    )
    header = "<GrpHdr><NbOfTxs>2</NbOfTxs><CtrlSum>10500.25</CtrlSum></GrpHdr>"
    message = f"<Document><CstmrCdtTrfInitn>{header}<PmtInf>{amounts}</PmtInf></CstmrCdtTrfInitn></Document>"
    statement, lines = only(parse_text(tmp_path, message))
    assert ([line.amount_minor for line in lines], statement.control_totals_ok) == ([-10000, -50025], True)
    assert not only(parse_text(tmp_path, message.replace("10500.25", "10500.26")))[0].control_totals_ok


def test_a_transfer_between_banks_goes_to_a_bank(tmp_path: Path) -> None:
    """Of pacs.009 debtor and creditor are banks themselves, behind the header that SWIFT puts before a message."""
    bank = "<{0}><FinInstnId><BICFI>{1}</BICFI></FinInstnId></{0}>"
    parties = bank.format("Dbtr", "AAAABEBBXXX") + bank.format("Cdtr", "CCCCUS33XXX")
    row = f"<CdtTrfTxInf><PmtId><UETR>u1</UETR></PmtId><IntrBkSttlmAmt Ccy='USD'>10500.00</IntrBkSttlmAmt>{parties}"
    message = f"<Document><FICdtTrf><GrpHdr><NbOfTxs>1</NbOfTxs></GrpHdr>{row}</CdtTrfTxInf></FICdtTrf></Document>"
    _, (line,) = only(parse_text(tmp_path, message))
    assert (line.amount_minor, line.references["uetr"], line.counterparty) == (1050000, "u1", "CCCCUS33XXX")


def test_blocks_and_names_around_messages_are_no_content(tmp_path: Path) -> None:
    """Basic header in one line with the first field, and a bank's name between two messages."""
    first = "{1:F01ABNANL2AXXXX0000000000}{2:O940ABNANL2AXXXXN}{4:" + MT940
    result = parse_text(tmp_path, first + "ABNANL2A\n940\nABNANL2A\n" + MT940)
    assert result.statements[0] == only(parse_text(tmp_path, first))
    assert [statement.control_totals_ok for statement, _ in result.statements] == [True, True]
    assert [line.description for _, (line,) in result.statements] == ["Rent", "Rent"]
