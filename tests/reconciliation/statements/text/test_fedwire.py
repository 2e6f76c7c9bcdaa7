"""Fedwire's own messages: elements told apart by columns or asterisks, with and without line ends."""

from pathlib import Path

import pytest

from tests.reconciliation.statements.files import only, parse_text


def message(amount: str = "000001234567", kind: str = "1000", end: str = "\n") -> str:
    tags = {
        "1500": "30REQ00001T ",
        "1510": kind,
        "1520": "20261001BANK0001000001",
        "2000": amount,
        "3100": "121042882FIRST BANK*",
        "3320": "ORDER-17*",
        "3400": "231380104SECOND BANK*",
        "3600": "CTR",
        "4200": "D55512*ACME INC*1 MAIN STREET*",
        "6000": "INVOICE 17*SECOND LINE*",
    }
    return "".join(f"{{{tag}}}{text}{end}" for tag, text in tags.items())


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_message_is_a_line(end: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, message(end=end) * 2)
    statement, (line, _) = only(result)
    assert (result.format, statement.account, line.amount_minor, line.currency) == (
        "fedwire",
        "121042882",
        1234567,
        "USD",
    )
    assert (line.value_date, line.type, line.status, line.reversal) == ("2026-10-01", "1000 CTR", "INFO", False)
    assert line.references == {
        "imad": "20261001BANK0001000001",
        "sender_reference": "ORDER-17",
        "creditor_agent": "231380104",
        "creditor_account": "55512",
    }
    assert (line.counterparty, line.description) == ("ACME INC", "INVOICE 17 SECOND LINE")


def test_elements_may_be_as_wide_as_the_format_says(tmp_path: Path) -> None:
    wide = message().replace("D55512*ACME INC*1 MAIN STREET*", f"D{'55512':34}{'ACME INC':35}{'1 MAIN STREET':35}")
    wide = wide.replace("INVOICE 17*SECOND LINE*", f"{'INVOICE 17':35}{'SECOND LINE':35}")
    assert only(parse_text(tmp_path, wide))[1] == only(parse_text(tmp_path, message()))[1]


def test_an_empty_tag_is_as_one_that_is_not_there(tmp_path: Path) -> None:
    """Without a line's end behind it, it has no element at all: the whole command ended with an IndexError."""
    empty = message(end="").replace("ORDER-17*", "") + "{4320}"
    statement, (line,) = only(parse_text(tmp_path, empty))
    assert (statement.account, line.references.keys() & {"sender_reference", "beneficiary_reference"}) == (
        "121042882",
        set(),
    )


def test_what_the_reserve_banks_append_is_no_message(tmp_path: Path) -> None:
    received = "{1100}30P 2\n{1110}10011230A123\n{1120}20261001BANK000100000110011230B123\n"
    plain = only(parse_text(tmp_path, message()))[1]
    for text in (received + message(), message() + received):
        assert [line.references for line in only(parse_text(tmp_path, text))[1]] == [line.references for line in plain]
    assert str(parse_text(tmp_path, received).reason).startswith("no_statement")


def test_a_reversal_is_one_and_a_message_without_an_amount_is_refused(tmp_path: Path) -> None:
    assert only(parse_text(tmp_path, message(kind="1002")))[1][0].reversal
    wrong = message() + message().replace("{2000}000001234567\n", "")
    assert parse_text(tmp_path, wrong).reason == "structure: message[2]: the message has no amount ({2000})"
    assert str(parse_text(tmp_path, message(amount="12,34")).reason).startswith("amount: message[1]")
