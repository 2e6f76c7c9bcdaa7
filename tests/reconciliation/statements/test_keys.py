"""The same line in two files has one key; two equal lines of one file have two."""

from msgspec.structs import replace

from reconciliation.statements.keys import keyed, natural_key
from reconciliation.statements.lines import Line, Position

LINE = Line(
    amount_minor=100,
    currency="EUR",
    booking_date="2026-11-20",
    value_date="2026-11-20",
    references={"account_servicer_reference": "A1", "end_to_end_id": "E1"},
    description="intraday",
    position=Position(7),
)
ANONYMOUS = replace(LINE, references={})


def test_a_line_of_the_day_is_that_of_the_statement() -> None:
    later = replace(
        LINE,
        description="booked",
        position=Position(900),
        statement=3,
        references=LINE.references | {"end_to_end_id": "x"},
    )
    assert natural_key("BANKDEFF", "DE1", LINE) == natural_key("BANKDEFF", "DE1", later)


def test_what_differs_in_money_source_or_own_reference_is_another_line() -> None:
    key = natural_key("BANKDEFF", "DE1", LINE)
    others = [
        natural_key("BANKDEFF", "DE2", LINE),
        natural_key("OTHER", "DE1", LINE),
        natural_key("BANKDEFF", "DE1", replace(LINE, amount_minor=101)),
        natural_key("BANKDEFF", "DE1", replace(LINE, references={"account_servicer_reference": "A2"})),
        natural_key("BANKDEFF", "DE1", LINE, occurrence=1),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_without_a_reference_everything_that_the_line_says_counts() -> None:
    key = natural_key("BANKDEFF", "DE1", ANONYMOUS)
    assert key != natural_key("BANKDEFF", "DE1", replace(ANONYMOUS, description="other"))
    assert key == natural_key("BANKDEFF", "DE1", replace(ANONYMOUS, position=Position(8)))


def test_equal_lines_of_a_file_are_counted_and_meet_those_of_another() -> None:
    first = [key for key, _ in keyed("BANKDEFF", "DE1", [ANONYMOUS, ANONYMOUS, LINE])]
    second = [key for key, _ in keyed("BANKDEFF", "DE1", [LINE, ANONYMOUS, ANONYMOUS])]
    assert len(set(first)) == 3
    assert set(first) == set(second)
