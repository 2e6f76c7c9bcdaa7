"""Reports of providers: columns by name in any order, totals of the report itself, the user's own profile."""

import csv
import json
from pathlib import Path

import openpyxl
import pytest

from reconciliation.statements.parse import parsed
from reconciliation.statements.providers.profile import Profile, built_in_profiles, load_profile
from reconciliation.statements.refusals import Refused
from tests.reconciliation.statements.files import only, parse_text

REPORTS = Path(__file__).parent / "reports"
STRIPE = (REPORTS / "stripe_payout.csv").read_text(encoding="utf-8")
ADYEN = (REPORTS / "adyen_settlement.csv").read_text(encoding="utf-8")
PAYPAL = (REPORTS / "paypal_settlement.csv").read_text(encoding="utf-8")


def test_a_stripe_payout_is_the_sum_of_its_rows(tmp_path: Path) -> None:
    result = parse_text(tmp_path, STRIPE)
    statement, (charge, refund, payout) = only(result)
    assert (result.format, statement.currency, statement.control_totals_ok) == (
        "stripe.payout_reconciliation",
        "USD",
        True,
    )
    assert (charge.amount_minor, charge.gross_minor, charge.fee_minor) == (97070, 100000, 2930)
    assert (charge.booking_date, charge.value_date, refund.amount_minor) == ("2026-10-01", "2026-10-03", -2000)
    assert (payout.type, payout.references["payout_id"]) == ("payout", "po_1")
    assert not only(parse_text(tmp_path, STRIPE.replace("-950.70", "-950.07")))[0].control_totals_ok


def test_each_stripe_payout_is_the_sum_of_its_own_rows(tmp_path: Path) -> None:
    """A row of no payout waits for the next one, and a payout leaves the balance however its row is written."""
    waiting = "txn_4,2026-10-01 11:00:00,2026-10-03 00:00:00,USD,3.35,0,3.35,dispute_reversal,\n"
    second = "txn_5,2026-10-04,2026-10-05,usd,7,0,7,charge,po_2\ntxn_6,2026-10-05,2026-10-05,usd,7,0,7,payout,po_2\n"
    statement, lines = only(parse_text(tmp_path, STRIPE.rstrip() + "\n" + waiting + second))
    assert [(one.name, one.stated, one.actual) for one in statement.control_totals] == [
        ("payout po_1", 95070, 95070),
        ("payout po_2", 700, 700),
    ]
    assert (lines[-1].type, lines[-1].amount_minor, lines[-1].gross_minor) == ("payout", -700, -700)
    assert statement.warnings == []


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    rows = [list(reversed(row)) for row in csv.reader(STRIPE.splitlines())]
    with (tmp_path / "turned").open("w", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    turned, straight = only(parsed(tmp_path / "turned")), only(parse_text(tmp_path, STRIPE))
    assert turned == straight


def test_a_payout_that_names_no_number_has_no_rows_of_its_own(tmp_path: Path) -> None:
    """A manual payout pays what was in the balance, not the rows that wait for the next automatic one."""
    waiting = "txn_4,2026-10-01,2026-10-03,USD,3.35,0,3.35,charge,\ntxn_5,2026-10-02,2026-10-02,USD,-1,0,-1,payout,\n"
    statement, lines = only(parse_text(tmp_path, STRIPE.rstrip() + "\n" + waiting))
    assert [(one.name, one.agrees) for one in statement.control_totals] == [("payout po_1", True)]
    assert lines[-1].amount_minor == -100


def test_rows_about_a_connected_account_move_the_platforms_balance(tmp_path: Path) -> None:
    header, charge, *others = STRIPE.splitlines()
    rows = [f"{header},connected_account_id", f"{charge},acct_1", *(f"{row}," for row in others)]
    statement, lines = only(parse_text(tmp_path, "\n".join(rows)))
    assert (statement.account, statement.control_totals_ok, len(lines)) == ("", True, 3)
    assert lines[0].references["connected_account_id"] == "acct_1"


def test_each_part_of_a_stripe_activity_is_a_row(tmp_path: Path) -> None:
    header = "balance_transaction_id,balance_transaction_component,activity_at,currency,amount,charge_id\n"
    rows = "txn_1,gross,2026-10-01,usd,20,ch_1\ntxn_1,payments_fee,2026-10-01,usd,-0.88,ch_1\n"
    billed = "txn_2,visa_ficf,2026-10-01,usd,-0.0185,ch_1\n"
    result = parse_text(tmp_path, header + rows + billed * 2)
    _, lines = only(result)
    assert (result.format, [line.amount_minor for line in lines]) == ("stripe.activity", [2000, -88, -2, -2])
    assert (lines[1].type, lines[1].references["balance_transaction_id"]) == ("payments_fee", "txn_1")


def test_stripe_tells_its_reports_apart(tmp_path: Path) -> None:
    change = "\n".join(line.rpartition(",")[0] for line in STRIPE.splitlines()[:3])
    assert parse_text(tmp_path, change).format == "stripe.balance_change"
    payouts = "payout_id,effective_at_utc,currency,gross,fee,net\npo_1,2026-10-03,jpy,-95,0,-95\n"
    result = parse_text(tmp_path, payouts)
    assert (result.format, only(result)[1][0].amount_minor) == ("stripe.payouts", -95)
    rows = "starting_balance,a,5.00,eur\nactivity,b,2.00,eur\nending_balance,c,7.00,eur\n"
    result = parse_text(tmp_path, "category,description,net_amount,currency\n" + rows)
    statement, (line,) = only(result)
    assert (result.format, line.amount_minor, line.type) == ("stripe.balance_summary", 200, "activity")
    assert (statement.opening_minor, statement.closing_minor, statement.control_totals_ok) == (500, 700, True)


@pytest.mark.parametrize("blank_lines", [0, 2])
def test_an_adyen_batch_comes_to_zero_with_its_payout(blank_lines: int, tmp_path: Path) -> None:
    result = parse_text(tmp_path, "\n" * blank_lines + ADYEN)
    statement, (settled, refunded, payout) = only(result)
    assert (result.format, statement.account, statement.currency) == ("adyen.settlement_detail", "Mer", "EUR")
    assert (settled.amount_minor, settled.fee_minor, settled.original_amount) == (900, 50, "10.00 USD")
    assert settled.references["psp_reference"] == "8516"
    assert settled.references["batch_number"] == "3"
    assert (refunded.amount_minor, payout.amount_minor, sum((900, -200, -700))) == (-200, -700, 0)
    assert (payout.position.line, statement.control_totals_ok) == (4 + blank_lines, True)


def test_a_workbook_is_read_like_the_csv(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Settlement details"])
    for row in csv.reader(ADYEN.splitlines()):
        sheet.append([json.loads(cell) if cell.replace(".", "", 1).isdecimal() else cell or None for cell in row])
    book.save(tmp_path / "book")
    written = only(parse_text(tmp_path, "\n" + ADYEN))
    sheeted = only(parsed(tmp_path / "book"))
    assert [line.amount_minor for line in sheeted[1]] == [line.amount_minor for line in written[1]]
    assert sheeted[0].control_totals == written[0].control_totals


def test_each_sheet_of_a_workbook_has_a_header_of_its_own(tmp_path: Path) -> None:
    """Behind a title, and with its columns in another order; a sheet with notes moves nothing."""
    book = openpyxl.Workbook()
    rows = [row for row in csv.reader(ADYEN.splitlines()) if any(row)]
    rows = [row + [""] * (len(rows[0]) - len(row)) for row in rows]
    for sheet_rows in ([["Read me"]], rows[:2], [["Batch 3"], *(list(reversed(row)) for row in (rows[0], *rows[2:]))]):
        sheet = book.create_sheet()
        for row in sheet_rows:
            sheet.append(row)
    book.save(tmp_path / "book")
    statement, lines = only(parsed(tmp_path / "book"))
    assert [line.amount_minor for line in lines] == [line.amount_minor for line in only(parse_text(tmp_path, ADYEN))[1]]
    assert (statement.control_totals_ok, lines[1].references["batch_number"]) == (True, "3")


def test_a_bad_cell_refuses_the_report_and_names_its_row(tmp_path: Path) -> None:
    result = parse_text(tmp_path, STRIPE.replace("-20.00,0.00,-20.00", "-20.00,0.00,-20.001"))
    assert (result.status, [line.position.line for line in result.bad_lines]) == ("refused", [3])
    assert str(result.reason).startswith("amount: line 3")


def test_paypal_counts_in_hundredths_and_is_proven_by_its_footers(tmp_path: Path) -> None:
    result = parse_text(tmp_path, b"\xef\xbb\xbf" + PAYPAL.encode())
    (yen, (first,)), (dollars, (second, third)) = result.statements
    assert (result.format, yen.account, yen.currency) == ("paypal", "ABCDEF", "JPY")
    assert (first.amount_minor, first.gross_minor, first.fee_minor, yen.closing_minor) == (95, 100, 5, 95)
    assert (second.amount_minor, third.amount_minor, third.fee_minor) == (941, -191, -9)
    assert (dollars.opening_minor, dollars.closing_minor, dollars.control_totals_ok) == (100, 850, True)
    assert (dollars.from_date, dollars.to_date) == ("2026-10-01", "2026-10-01")
    assert len(dollars.control_totals) == 1 + 2 * 4 + 4 + 3  # balance, SF and RF, RF of the yen, SC RC FF


@pytest.mark.parametrize(
    ("old", "new"),
    [('"DR","59"', '"DR","58"'), ('"SC","3"', '"SC","4"'), ('"FF","3"', '"FF","2"'), ('"CR","850"', '"CR","851"')],
)
def test_paypal_that_was_changed_does_not_tie(old: str, new: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, PAYPAL.replace(old, new, 1))
    assert result.status == "ok"
    assert not all(statement.control_totals_ok for statement, _ in result.statements)


def test_paypal_transactions_that_were_denied_or_wait_move_nothing(tmp_path: Path) -> None:
    columns = "Transaction Debit or Credit,Gross Transaction Amount,Gross Transaction Currency,Transactional Status"
    rows = "".join(f"SB,t{status},CR,1000,EUR,{status}\n" for status in "SVPD")
    statement, lines = only(parse_text(tmp_path, f"CH,Transaction ID,{columns}\n{rows}SF,EUR,4000,0,0,0\nSC,4\n"))
    assert [line.status for line in lines] == ["", "", "PDNG", "INFO"]
    assert (statement.currency, statement.control_totals_ok) == ("EUR", True)


def test_paypal_without_its_footer_was_cut_off(tmp_path: Path) -> None:
    assert str(parse_text(tmp_path, PAYPAL.partition('"FF"')[0]).reason).startswith("cut_off")


def test_a_paypal_section_without_the_file_around_it_is_read(tmp_path: Path) -> None:
    """Excerpts begin with the section (SH) and end with its footers."""
    section = "".join(line for line in PAYPAL.splitlines(True) if line[1:3] not in {"RH", "FH", "RF", "RC", "FF"})
    whole, cut = parse_text(tmp_path, PAYPAL), parse_text(tmp_path, section)
    assert [[line.amount_minor for line in lines] for _, lines in cut.statements] == [[95], [941, -191]]
    assert [frame.closing_minor for frame, _ in cut.statements] == [
        frame.closing_minor for frame, _ in whole.statements
    ]
    assert all(statement.control_totals_ok for statement, _ in cut.statements)
    bare = "".join(line for line in section.splitlines(True) if line[1:3] not in {"SF", "SC"})
    statement, _ = parse_text(tmp_path, bare).statements[-1]
    assert [total.name for total in statement.control_totals] == ["section_footer_present"]
    assert (statement.control_totals_ok, statement.warnings) == (
        False,
        ["the footers of the section (SF, SC) are missing"],
    )


ACTIVITY = """Date,Time,TimeZone,Name,Type,Status,Currency,Gross,Fee,Net,Transaction ID,Balance Impact
{},07:45:51,PST,P1,General Payment,Completed,USD,84,-4.25,79.75,T1,Credit
{},13:30:31,PST,P2,Order,Pending,USD,-50,0,-50,T2,Memo
{},13:30:31,PST,P3,Refund,Completed,USD,"-1,050.00",0,"-1,050.00",T3,Debit
"""


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (("02/03/2026", "03/03/2026", "29/03/2026"), ["2026-03-02", "2026-03-29"]),
        (("03/02/2026", "03/29/2026", "03/04/2026"), ["2026-03-02", "2026-03-04"]),
        (("02/02/2026", "02/02/2026", "03/03/2026"), ["2026-02-02", "2026-03-03"]),
    ],
)
def test_one_date_of_a_file_says_what_all_others_mean(
    dates: tuple[str, str, str], days: list[str], tmp_path: Path
) -> None:
    result = parse_text(tmp_path, ACTIVITY.format(*dates))
    _, lines = only(result)
    assert (result.format, [line.booking_date for line in lines]) == ("paypal.activity", days)
    assert [(line.amount_minor, line.gross_minor, line.fee_minor) for line in lines] == [
        (7975, 8400, 425),
        (-105000, -105000, 0),
    ]


def test_a_date_that_may_be_two_days_is_refused(tmp_path: Path) -> None:
    result = parse_text(tmp_path, ACTIVITY.format("02/03/2026", "03/03/2026", "04/03/2026"))
    assert str(result.reason).startswith("date: line 2: '02/03/2026' may be 2026-02-03 or 2026-03-02")


def test_activities_of_paypal_in_other_languages(tmp_path: Path) -> None:
    german = "Datum;Uhrzeit;Zeitzone;Währung;Brutto;Entgelt;Netto;Transaktionscode\n"
    result = parse_text(
        tmp_path, (german + "01.02.2026;10:00:00;MEZ;EUR;1.234,50;-4,50;1.230,00;T1\n").encode("cp1252")
    )
    _, (line,) = only(result)
    assert (result.format, line.amount_minor, line.fee_minor, line.booking_date) == (
        "paypal.activity",
        123000,
        450,
        "2026-02-01",
    )
    spanish = "Fecha,Hora,Divisa,Bruto,Comisión,Neto,Id. de transacción\n"
    _, (line,) = only(parse_text(tmp_path, spanish + '2/1/2026,11:05:56,EUR,"49,37","-1,78","47,59",T1\n'))
    assert (line.amount_minor, line.fee_minor, line.booking_date) == (4759, 178, "2026-01-02")


CHECKOUT = """Client Entity ID,Type,Payment ID,Reference,Processed On,Holding Currency,Payout ID,\
Gross In Holding Currency,Deduction In Holding Currency,Net In Holding Currency
ent_1,Charge,pay_1,o1,2026-07-01T10:00:00.000,USD,P1,50,-1.49625,48.50375
ent_1,Charge,pay_2,o2,2026-07-01T11:00:00.000,USD,P1,25,-0.75125,24.24875
ent_1,Network Token Update,tok_1,,2026-07-01T12:00:00.000,USD,P1,0,-0.0025,-0.0025
ent_1,Merchant Payout,,,2026-07-02T00:00:00.000,USD,P1,0,-2,-2
"""


def test_parts_of_a_cent_are_carried_so_that_the_sum_stays_true(tmp_path: Path) -> None:
    """48.50375 + 24.24875 − 0.0025 − 2 = 70.75: Checkout.com rounds the payout, not its rows."""
    result = parse_text(tmp_path, CHECKOUT)
    statement, lines = only(result)
    assert (result.format, statement.account) == ("checkout.settlement_breakdown", "ent_1")
    assert [(line.amount_minor, line.gross_minor, line.fee_minor) for line in lines] == [
        (4850, 5000, 150),
        (2425, 2500, 75),
        (0, 0, 0),
        (-200, 0, 200),
    ]
    assert statement.warnings == ["3 rows have parts of a minor unit: what is left of one goes to the next"]
    many = CHECKOUT + "ent_1,Charge,p,,2026-07-01,USD,P1,0,-0.004,-0.004\n" * 1_000
    assert sum(line.amount_minor for line in only(parse_text(tmp_path, many))[1]) == 7075 - 400


@pytest.mark.parametrize("text", ["1.2.3", "0." + "0" * 20 + "1", "12x"])
def test_what_is_no_amount_is_refused_there_too(text: str, tmp_path: Path) -> None:
    assert str(parse_text(tmp_path, CHECKOUT.replace("-0.0025\n", f"{text}\n")).reason).startswith("amount: line 4")


def test_checkout_payouts_leave_the_balance(tmp_path: Path) -> None:
    header = "Client Entity ID,Holding Currency,Payout ID,Payout Date,Payout Amount,Merchant Payout Fees\n"
    result = parse_text(tmp_path, header + "ent_1,USD,P1,2026-07-02T02:00:00.000,79.5,-2\n")
    _, (line,) = only(result)
    assert (result.format, line.amount_minor, line.references["payout_id"]) == ("checkout.payouts", -7950, "P1")


def test_each_part_of_a_checkout_action_is_a_row(tmp_path: Path) -> None:
    header = "Payment ID,Action ID,Action Type,Breakdown Type,Processed On,Holding Currency,Holding Currency Amount\n"
    parts = (("Capture", "100"), ("Premium Variable Fee", "-1.50"), ("Scheme Fixed Fee", "-0.604"))
    rows = "".join(f"pay_1,act_1,Capture,{part},2026-07-09T18:07:06.844,GBP,{amount}\n" for part, amount in parts)
    result = parse_text(tmp_path, header + rows)
    _, lines = only(result)
    assert (result.format, [line.amount_minor for line in lines]) == ("checkout.financial_actions", [10000, -150, -60])
    assert (lines[2].type, lines[2].booking_date) == ("Scheme Fixed Fee", "2026-07-09")


def test_braintree_names_the_fees_of_a_transaction(tmp_path: Path) -> None:
    header = (
        "Transaction ID,Transaction Type,Settlement Currency,Settlement Amount,Disbursement Date,Total Fee Amount\n"
    )
    rows = "t1,sale,EUR,993.53,2026-04-08,29.10\nt2,credit,EUR,10.00,2026-04-08,0.00\n"
    _, (sale, refund) = only(parse_text(tmp_path, header + rows))
    assert (sale.amount_minor, sale.fee_minor, refund.amount_minor) == (99353, 2910, -1000)


SQUARE_ENTRY = {
    "id": "poe_1",
    "payout_id": "po_1",
    "effective_at": "2026-10-01T00:00:00Z",
    "type": "CHARGE",
    "gross_amount_money": {"amount": 1000, "currency": "USD"},
    "fee_amount_money": {"amount": 59, "currency": "USD"},
    "net_amount_money": {"amount": 941, "currency": "USD"},
    "type_charge_details": {"payment_id": "pay_1"},
}


def test_square_payout_entries(tmp_path: Path) -> None:
    statement, (line,) = only(parse_text(tmp_path, json.dumps({"payout_entries": [SQUARE_ENTRY]})))
    assert (statement.account, line.amount_minor, line.fee_minor) == ("po_1", 941, 59)
    assert line.references == {"entry_id": "poe_1", "payout_id": "po_1", "payment_id": "pay_1"}
    wrong = SQUARE_ENTRY | {"fee_amount_money": {"amount": 58, "currency": "USD"}}
    assert str(parse_text(tmp_path, json.dumps({"payout_entries": [wrong]})).reason).startswith("control_total")


@pytest.mark.parametrize("money", [{"currency": "USD"}, {"currency_code": "USD"}])
def test_a_square_payout_alone(money: dict[str, str], tmp_path: Path) -> None:
    payout = {"id": "po_1", "location_id": "L1", "status": "PAID", "amount_money": {"amount": 103, **money}}
    statement, (line,) = only(parse_text(tmp_path, json.dumps({"payout": payout})))
    assert (statement.account, statement.currency, line.amount_minor, line.status) == ("L1", "USD", -103, "")
    failed = json.dumps({"payouts": [payout | {"status": "FAILED"}]})
    assert only(parse_text(tmp_path, failed))[1][0].status == "INFO"
    nameless = json.dumps({"payout": payout | {"amount_money": {"amount": 103}}})
    assert str(parse_text(tmp_path, nameless).reason).startswith("currency: payouts[po_1]")


OWN = """name: bank.de
columns: [Datum, Betrag]
amount: {column: Betrag}
currency: {column: Whg}
decimal: ","
booking_date: {columns: [Datum], formats: ["%d.%m.%Y"]}
description: [Zweck]
negative: {column: Art, values: [Soll]}
skip: [{column: Art, values: [Info]}]
total: {column: Art, values: [Summe]}
"""


def test_a_profile_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    header = "Datum;Betrag;Whg;Zweck;Art\n"
    rows = (
        "01.10.2026;1.234,50;EUR;Miete;Soll\n02.10.2026;2.000,00;EUR;Umsätze;Haben\n;;EUR;;Info\n;765,50;EUR;;Summe\n"
    )
    result = parse_text(tmp_path, (header + rows).encode("cp1252"), load_profile(tmp_path / "own.yaml"))
    statement, (rent, sales) = only(result)
    assert (result.format, rent.amount_minor, rent.booking_date, sales.description) == (
        "bank.de",
        -123450,
        "2026-10-01",
        "Umsätze",
    )
    assert (statement.control_totals_ok, len(statement.control_totals)) == (True, 1)


@pytest.mark.parametrize("text", ["", "[", "name: x", OWN + "unknown: 1\n", OWN.replace("Betrag}", "[1]}")])
def test_a_profile_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(Refused, match=r"own\.yaml is no profile"):
        load_profile(tmp_path / "own.yaml")


@pytest.mark.parametrize("profile", built_in_profiles(), ids=lambda profile: profile.name)
def test_each_built_in_profile_finds_its_own_header(profile: Profile, tmp_path: Path) -> None:
    cells = dict.fromkeys(profile.columns, "")
    for name in profile.currency.names()[:1]:
        cells[name] = "EUR"
    result = parse_text(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\n")
    assert (result.format, result.status) == (profile.name, "ok")
