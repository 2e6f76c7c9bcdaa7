"""Goal: each rule of a charter means what OpenRec says it means, and what is wrong is said in a sentence."""

from pathlib import Path

import pytest

from reconciliation.charters.charter import CharterFault, DataType, parse_charter
from reconciliation.charters.columns import column_type, day_text
from reconciliation.charters.run import run_charter

ONE_FILE = """
name: one file
version: 1
{head}
matching:
  use_field_prefixes: false
  source_files: [{{pattern: '.*.csv'}}]
  instructions:
    {instructions}
    - group:
        by: [Date]
        match_when:
        - {constraint}
"""
T1, T2 = 'record["Type"] == "T1"', 'record["Type"] == "T2"'
NETS = f"{{column: Amount, lhs: '{T1}', rhs: '{T2}'}}"


def day(date: str, *rows: tuple[str, str]) -> list[str]:
    return [f"{number},{date}T00:00:00.000Z,{amount},{kind}" for number, (amount, kind) in enumerate(rows, 1)]


def matched(tmp_path: Path, rows: list[str], constraint: str, instructions: str = "", head: str = "") -> list[int]:
    """Numbers of lines in matches."""
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(["TransId,Date,Amount,Type", *rows]) + "\n")
    charter = parse_charter(ONE_FILE.format(constraint=constraint, instructions=instructions, head=head))
    outcome = run_charter(charter, [file], [])
    found = [line.line for match in outcome.matches for line in match.internal]
    open_lines = [line.line for one in outcome.breaks for line in (*one.internal, *one.external)]
    assert sorted(found + open_lines) == list(range(2, len(rows) + 2))
    return found


SPLIT = (("100.00", "T1"), ("75.00", "T2"), ("25.00", "T2"))


@pytest.mark.parametrize(
    ("rows", "constraint", "expected"),
    [
        (SPLIT, f"nets_to_zero: {NETS}", True),
        ((("90.00", "T1"), *SPLIT[1:]), f"nets_to_zero: {NETS}", False),
        ((("-100.00", "T1"), *SPLIT[1:]), f"nets_to_zero: {NETS}", True),
        ((("100", "T1"), ("75", "T2"), ("25", "T2")), f"nets_to_zero: {NETS}", True),
        ((("0.00", "T2"), ("0.00", "T2")), f"nets_to_zero: {NETS}", False),
        ((("99.00", "T1"), *SPLIT[1:]), "Amount 1.0", True),
        ((("98.99", "T1"), *SPLIT[1:]), "Amount 1.0", False),
        ((("99.01", "T1"), *SPLIT[1:]), "Percent 1.0", True),
        ((("99.00", "T1"), *SPLIT[1:]), "Percent 1.0", False),
        ((("99.00", "T1"), *SPLIT[1:]), "Percent 1.1", True),
        ((("99", "T1"), ("75", "T2"), ("25", "T2")), "Percent 1.1", True),
        ((("-99.01", "T1"), *SPLIT[1:]), "Percent 1.0", True),
    ],
)
def test_netting(tmp_path: Path, rows: tuple[tuple[str, str], ...], constraint: str, expected: bool) -> None:
    if not constraint.startswith("nets"):
        kind, tolerance = constraint.split()
        constraint = f"nets_with_tolerance: {NETS[:-1]}, tol_type: {kind}, tolerance: {tolerance}}}"
    found = matched(tmp_path, day("2021-12-19", *rows), constraint)
    assert found == (list(range(2, len(rows) + 2)) if expected else [])


def script(text: str) -> str:
    return "custom:\n            script: |\n" + "\n".join(f"              {line}" for line in text.splitlines())


FILTERS = f"local t1 = function (record) return {T1} end\nlocal t2 = function (record) return {T2} end\n"


@pytest.mark.parametrize(
    "condition",
    [
        "count(t1, records) == 1 and count(t2, records) == 2",
        "count(t1) == 1 and count(t2) == 2",
        'sum("Amount", t1, records) == decimal(100.00) and sum("Amount", t2) == decimal("100")',
        'max("Amount", t2) == decimal(75) and min("Amount", t2) == decimal(25)',
        'sum_int("TransId", t2) == 5 and max_int("TransId", t2) == 3 and min_int("TransId", t2) == 2',
        'abs(decimal(0) - sum("Amount", t1)) == sum("Amount", t2)',
        'sum("Amount", t1) / decimal(3) * decimal(3) < sum("Amount", t1) and decimal(2) <= decimal(2)',
        '("" .. sum("Amount", t1)) == "100.00" and tostring(records[1]["Amount"]):sub(1, 3) == "100"',
        'records[1]["Date"] == 1639872000000 and midnight(records[1]["Date"] + 1) == records[1]["Date"]',
        'records[1]["Type"]:gsub("T", "U") == "U1" and string.find("abc", "b") == 2',
        '0 and ""',
        'records[1]["META.filename"] == "rows.csv" and records[1]["META.prefix"] == nil',
    ],
)
def test_what_scripts_know(tmp_path: Path, condition: str) -> None:
    assert matched(tmp_path, day("2021-12-19", *SPLIT), script(f"{FILTERS}return {condition}")) == [2, 3, 4]
    assert matched(tmp_path, day("2021-12-19", *SPLIT), script(f"{FILTERS}return not ({condition})")) == []


def test_global_functions_are_known_in_projections_and_constraints(tmp_path: Path) -> None:
    rows = day("2021-12-19", ("100.00", "T1"), ("75.00", "CHANGE_ME"), ("25.00", "CHANGE_ME"))
    head = "global_lua: |\n  function begins(str, start) return str:sub(1, #start) == start end\n"
    projected = '- project: {column: Kind, as_a: String, from: \'begins(record["Type"], "CH") and "T2" or "T1"\'}'
    nets = NETS.replace('"Type"', '"Kind"')
    assert matched(tmp_path, rows, f"nets_to_zero: {nets}", projected, head) == [2, 3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "return os.time()",
        'return io.open("rows.csv")',
        'return load("return 1")()',
        'return require("os")',
        "return python.eval('1')",
        "return decimal.__class__",
        "while true do end",
        'local s = "x" for i = 1, 40 do s = s .. s end return #s > 0',
        "return getmetatable(records[1].Amount)",
        'return lookup("a", "../secret.csv", "b", "c")',
        "return decimal('abc') == 1",
    ],
)
def test_a_script_stays_in_its_box(tmp_path: Path, text: str) -> None:
    with pytest.raises(CharterFault, match="script"):
        matched(tmp_path, day("2021-12-19", *SPLIT), script(text))


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "0", "y"], DataType.BOOLEAN),
        (["0", "10"], DataType.INTEGER),
        (["1234567", "123.4567"], DataType.DECIMAL),
        (["2014-11-28T21:00:09+09:00", ""], DataType.DATETIME),
        (["2021/12/29T03:39:00Z"], DataType.STRING),
        (["2021-12-29T03:39:00Z", "wibble"], DataType.STRING),
        (["2cc22618-6859-11ec-9ee6-00155dd152c4"], DataType.UUID),
        (["", ""], DataType.STRING),
    ],
)
def test_types_of_columns(texts: list[str], kind: DataType) -> None:
    assert column_type(texts) is kind
    assert column_type(reversed(texts)) is kind


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("27/11/2021", "dmy", "2021-11-27T00:00:00.000Z"),
        ("11-27-2021", "mdy", "2021-11-27T00:00:00.000Z"),
        ("2021\\11\\27", "ymd", "2021-11-27T00:00:00.000Z"),
        ("27 11 2021", "dmy", "2021-11-27T00:00:00.000Z"),
        ("31/02/2021", "dmy", "31/02/2021"),
        ("soon", "ymd", "soon"),
    ],
)
def test_dates_in_any_order(text: str, order: str, expected: str) -> None:
    assert day_text(text, order) == expected


def test_cleaning_of_columns(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("' INV1 '|1\n'INV2'|\n")
    charter = parse_charter("""
name: cleaned
jetwash:
  source_files:
    - pattern: ^rows\\.csv$
      quote: "'"
      delimiter: '|'
      headers: [Ref, Amount]
      column_mappings:
        - trim: Ref
        - map: {column: Ref, as_a: String, from: "value:upper()"}
        - as_decimal: Amount
      new_columns:
        - {column: Double, as_a: DECIMAL, from: 'record.Amount == "" and "" or decimal(record.Amount) * decimal(2)'}
matching:
  source_files: [{pattern: '.*rows.*', field_prefix: R}]
  instructions:
    - group:
        by: [R.Ref]
        match_when: [{custom: {script: 'return records[1]["R.Double"] == decimal(2)'}}]
""")
    outcome = run_charter(charter, [file], [])
    assert [match.keys for match in outcome.matches] == [{"R.Ref": "INV1"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "not YAML"),
        ("name: a\nmatching: {source_files: []}", "matching.source_files"),
        ("name: a\nmatching: {source_files: [{pattern: '('}]}", "pattern '\\('"),
        ("name: a\nmatching: {source_files: [{pattern: a, field_prefix: A}, {pattern: b}]}", "field_prefix"),
        ("name: a\nmatching: {source_files: [{pattern: a}], instructions: [{filter: 1}]}", "filter"),
        ("name: a\nmatching: {source_files: [{pattern: a}], instructions: [{}]}", "exactly one of project"),
        (ONE_FILE.format(head="", instructions="", constraint="nets_to_zero: {column: A, lhs: a}"), "rhs"),
    ],
)
def test_a_charter_that_is_wrong_says_where(text: str, reason: str) -> None:
    with pytest.raises(CharterFault, match=reason):
        parse_charter(text)


@pytest.mark.parametrize(
    ("instructions", "constraint", "reason"),
    [
        ("- merge: {columns: [Amount, Type], into: X}", f"nets_to_zero: {NETS}", "different types"),
        ("- merge: {columns: [Nothing], into: X}", f"nets_to_zero: {NETS}", "none of the columns"),
        ("- merge: {columns: [Amount], into: Type}", f"nets_to_zero: {NETS}", "exists already"),
        ("- project: {column: X, as_a: Decimal, from: '\"abc\"'}", f"nets_to_zero: {NETS}", "is no Decimal"),
        ("- project: {column: X, as_a: Decimal, from: 'a b'}", f"nets_to_zero: {NETS}", "script 'a b'"),
        ("- project: {column: X, as_a: Decimal, from: '1e300'}", f"nets_to_zero: {NETS}", "is no Decimal"),
        ("", f"nets_to_zero: {NETS.replace('Amount', 'Type')}", "can't be netted: it is a String"),
    ],
)
def test_a_charter_that_does_not_fit_the_file_says_why(
    tmp_path: Path, instructions: str, constraint: str, reason: str
) -> None:
    with pytest.raises(CharterFault, match=reason):
        matched(tmp_path, day("2021-12-19", *SPLIT), constraint, instructions)


def test_the_first_of_several_answers_is_the_value(tmp_path: Path) -> None:
    projected = '- project: {column: Kind, as_a: String, from: \'record["Type"]:gsub("X", "")\'}'
    rows = day("2021-12-19", ("100.00", "XT1"), ("100.00", "T2"))
    assert matched(tmp_path, rows, f"nets_to_zero: {NETS.replace('Type', 'Kind')}", projected) == [2, 3]


@pytest.mark.parametrize("amount", ["1e999999999", "1e-999999999"])
def test_a_number_of_a_billion_digits_is_refused(tmp_path: Path, amount: str) -> None:
    with pytest.raises(CharterFault, match="is no Decimal"):
        matched(tmp_path, day("2021-12-19", (amount, "T1"), ("1.5", "T2")), f"nets_to_zero: {NETS}")


def test_a_group_without_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CharterFault, match="1,001 records"):
        matched(tmp_path, day("2021-12-19", *[("1.50", "T1")] * 1_001), f"nets_to_zero: {NETS}")
