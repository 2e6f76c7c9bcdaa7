"""The verifier's fold of the inputs notices what a ledger that agrees with itself can still hide."""

from collections import Counter
from typing import Any

import pytest

from payments.commands import NO_REPLY, Command, CommandKind
from payments.identifiers import NIL
from payments.postings import clearing_account
from schemas.codec.commands import encode_batch, encode_body, encode_command
from tests.faults.inputs.decisions import Decisions
from tests.faults.inputs.ranges import DecidedRanges

ANNA, BERT = b"\1" * 16, b"\2" * 16
SHARD = 0


def command(kind: CommandKind, payer: bytes, payee: bytes, amount_minor: int, key: str) -> Command:
    return Command(kind, payer, payee, amount_minor, "EUR", NO_REPLY, key)


def pays(amount_minor: int, key: str) -> Command:
    return command(CommandKind.TRANSFER, ANNA, BERT, amount_minor, key)


OPENED = command(CommandKind.OPEN_ACCOUNT, ANNA, NIL, 0, "open")
FUNDED = command(CommandKind.DEPOSIT, clearing_account("EUR"), ANNA, 100, "funds")


def entry(offset: int, kind: str, asked: Command, item: int = 0) -> dict[str, Any]:
    return {
        "kind": kind,
        "source_offset": offset.to_bytes(8),
        "source_item": item.to_bytes(4),
        "debit_account": asked.payer,
        "credit_account": asked.payee,
        "amount_minor": asked.amount_minor,
    }


def found(commands: list[Command], entries: list[dict[str, Any]], available_minor: int = 100) -> list[str]:
    """What is found of commands that open and fund an account, and of these behind them."""
    findings: list[str] = []
    available: Counter[str] = Counter()
    decisions = Decisions(available, findings.append)
    values = [encode_command(asked) for asked in (OPENED, FUNDED, *commands)]
    decisions.read(SHARD, list(enumerate(values)))
    decisions.judge(SHARD, entry(0, "account_opened", OPENED))
    available[ANNA.hex()] = available_minor
    for one in (entry(1, "posted", FUNDED), *entries):
        decisions.judge(SHARD, one)
    decisions.end(SHARD, len(values))
    return findings


def test_right_decisions_in_order_are_no_finding() -> None:
    asked = [pays(60, "a"), pays(60, "a"), pays(101, "b")]
    decided = [entry(2, "reserved", asked[0]), entry(3, "replayed", asked[1]), entry(4, "rejected", asked[2])]
    assert found(asked, decided) == []


def test_what_follows_from_a_decision_is_not_a_second_one() -> None:
    asked = pays(60, "a")
    assert found([asked], [entry(2, "reserved", asked), entry(2, "posted", asked)]) == []


@pytest.mark.parametrize(
    ("amount_minor", "decided", "had_to"),
    [(100, "rejected", "reserved"), (101, "reserved", "rejected")],
)
def test_a_payment_that_could_be_paid_and_was_refused_or_the_reverse(
    amount_minor: int, decided: str, had_to: str
) -> None:
    asked = pays(amount_minor, "a")
    [finding] = found([asked], [entry(2, decided, asked)])
    assert f"{decided}, where transfer had to become {had_to}" in finding


def test_a_key_that_moves_money_twice() -> None:
    asked = [pays(10, "a"), pays(10, "a")]
    [finding] = found(asked, [entry(2, "reserved", asked[0]), entry(3, "reserved", asked[1])])
    assert "offset 3 item 0: reserved, where transfer had to become replayed" in finding


def test_an_input_that_was_passed_over() -> None:
    asked = [pays(10, "a"), pays(20, "b")]
    assert found(asked, [entry(3, "reserved", asked[1])]) == [
        "commands shard 0 offset 2 item 0: transfer was passed over"
    ]
    assert found(asked, [entry(2, "reserved", asked[0])]) == [
        "commands shard 0 offset 3 item 0: transfer was passed over"
    ]


def test_inputs_that_were_decided_out_of_their_order() -> None:
    asked = [pays(10, "a"), pays(20, "b")]
    findings = found(asked, [entry(3, "reserved", asked[1]), entry(2, "reserved", asked[0])])
    assert findings[1] == "commands shard 0 offset 2 item 0: reserved, and no such input waits to be decided"


def test_a_decision_about_another_amount() -> None:
    [finding] = found([pays(10, "a")], [entry(2, "reserved", pays(11, "a"))])
    assert "was asked for" in finding


def test_every_item_of_a_packed_record_is_an_input_also_the_spoilt_one() -> None:
    findings: list[str] = []
    decisions = Decisions({ANNA.hex(): 100}, findings.append)
    first, last = pays(1, "a"), pays(2, "c")
    decisions.read(SHARD, [(7, encode_batch([encode_body(first), b"spoilt", encode_body(last)]))])
    for item, (kind, asked) in enumerate([("reserved", first), ("quarantined", first), ("reserved", last)]):
        decisions.judge(SHARD, entry(7, kind, asked, item))
    decisions.end(SHARD, 8)
    assert findings == []


def test_a_record_that_is_no_command_has_to_lie_in_quarantine() -> None:
    findings: list[str] = []
    decisions = Decisions({}, findings.append)
    decisions.read(SHARD, [(0, b"nonsense"), (1, b"")])
    decisions.judge(SHARD, entry(0, "quarantined", OPENED))
    decisions.end(SHARD, 2)
    assert findings == ["commands shard 0 offset 1 item 0: spoilt was passed over"]


def test_a_gap_between_decided_runs_holds_only_what_cannot_be_read() -> None:
    ranges, lane = DecidedRanges(), (SHARD, "credits")
    assert ranges.add(lane, 0, 3)
    assert ranges.add(lane, 5, 7)
    assert not ranges.add(lane, 6, 9), "decided twice"
    assert ranges.missing(lane, [0, 2, 5, 8]) == []
    assert ranges.missing(lane, [2, 3, 4, 6, 9]) == [3, 4], "9 is not decided yet, which the offsets show"
