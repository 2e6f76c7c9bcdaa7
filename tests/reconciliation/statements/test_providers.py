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


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    rows = [list(reversed(row)) for row in csv.reader(STRIPE.splitlines())]
    with (tmp_path / "turned").open("w", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    turned, straight = only(parsed(tmp_path / "turned")), only(parse_text(tmp_path, STRIPE))
    assert turned == straight


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
    assert len(dollars.control_totals) == 1 + 2 * 4 + 4 + 3  # balance, SF and RF, RF of the yen, SC RC FF


@pytest.mark.parametrize(
    ("old", "new"),
    [('"DR","59"', '"DR","58"'), ('"SC","3"', '"SC","4"'), ('"FF","3"', '"FF","2"'), ('"CR","850"', '"CR","851"')],
)
def test_paypal_that_was_changed_does_not_tie(old: str, new: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, PAYPAL.replace(old, new, 1))
    assert result.status == "ok"
    assert not all(statement.control_totals_ok for statement, _ in result.statements)


def test_paypal_without_its_footer_was_cut_off(tmp_path: Path) -> None:
    assert str(parse_text(tmp_path, PAYPAL.partition('"FF"')[0]).reason).startswith("cut_off")


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
