"""Goal: every camt.053 message is valid by the schema of ISO 20022 and says what the entries say, whatever their text.

The schema comes from pyiso20022: classes made from camt.053.001.08.xsd. A message that they read without anything
unknown, and write again element for element, has the schema's elements in the schema's order.
"""

import dataclasses
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiso20022.camt.camt_053_001_08 import Document
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.serializers import XmlSerializer

from ingest_api.statements.formats.camt053 import NAMESPACE, Camt053Statement
from ingest_api.statements.kinds import LineKind
from payments.identifiers import JOURNAL, format_id
from tests.ingest_api.statements.formats.made_up import DESCRIPTIONS, OPENING_MINOR, made_head, made_lines, written

STRICT = ParserConfig(fail_on_unknown_properties=True, fail_on_unknown_attributes=True, fail_on_converter_warnings=True)


def parsed(message: bytes) -> Any:
    """The message as the schema's classes. Fails where it is not of the schema."""
    document = XmlParser(config=STRICT).from_bytes(message, Document)
    again = XmlSerializer().render(document, ns_map={None: NAMESPACE})
    assert elements(message) == elements(again.encode())
    for value, limits in restricted(document):
        assert_within(value, limits)
    return document.bk_to_cstmr_stmt


def elements(message: bytes) -> list[str]:
    return [element.tag for element in ElementTree.fromstring(message).iter()]


def restricted(value: object) -> Iterator[tuple[object, dict[str, Any]]]:
    """Every value of the message that the schema restricts."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            held = getattr(value, field.name)
            for one in held if isinstance(held, list) else [held]:
                if one is not None:
                    yield one, dict(field.metadata)
                    yield from restricted(one)


def assert_within(value: object, limits: dict[str, Any]) -> None:
    if isinstance(value, str):
        assert limits.get("min_length", 0) <= len(value) <= limits.get("max_length", len(value)), value
        assert re.fullmatch(limits.get("pattern", "(?s).*"), value), value
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        assert len(digits) <= limits["total_digits"]
        assert -int(exponent) <= limits["fraction_digits"]
        assert value >= limits.get("min_inclusive", value)


def test_balances_and_sums() -> None:
    lines = made_lines(DESCRIPTIONS)
    head = made_head(lines)
    [statement] = parsed(written(Camt053Statement(), lines)).stmt
    shown = {balance.tp.cd_or_prtry.cd: signed(balance) for balance in statement.bal}
    assert shown == {"OPBD": OPENING_MINOR, "CLBD": head.closing_minor, "CLAV": head.available_minor}
    assert [str(balance.dt.dt) for balance in statement.bal] == ["2026-10-01", "2026-10-31", "2026-10-31"]
    summary = statement.txs_summry
    assert minor(summary.ttl_cdt_ntries.sum) == head.credits.amount_minor
    assert minor(summary.ttl_dbt_ntries.sum) == head.debits.amount_minor
    assert int(summary.ttl_ntries.nb_of_ntries) == len(statement.ntry) == len(lines)
    assert OPENING_MINOR + sum(signed(entry) for entry in statement.ntry) == head.closing_minor


def signed(shown: Any) -> int:
    """Minor units of an amount with its side."""
    return minor(shown.amt.value) * (1 if shown.cdt_dbt_ind.value == "CRDT" else -1)


def minor(amount: Decimal) -> int:
    return int(amount.scaleb(2))


def test_entries() -> None:
    lines = made_lines(DESCRIPTIONS)
    [statement] = parsed(written(Camt053Statement(), lines, batch=3)).stmt
    for line, entry in zip(lines, statement.ntry, strict=True):
        assert signed(entry) == line.amount_minor
        assert entry.sts.cd == "BOOK"
        assert entry.acct_svcr_ref == format_id(JOURNAL, line.journal_id)
        assert entry.bk_tx_cd.prtry.cd == line.kind
        [details] = entry.ntry_dtls[0].tx_dtls
        assert bool(details.chrgs) == bool(line.fee_minor)
        assert (details.rltd_pties is None) == (line.counterparty is None)
    assert [entry.ntry_ref for entry in statement.ntry] == [str(number + 1) for number in range(len(lines))]


@pytest.mark.parametrize("kind", LineKind)
def test_every_kind_has_a_code_on_either_side(kind: LineKind) -> None:
    lines = [line._replace(kind=kind, counterparty=None) for line in made_lines(["a credit", "a debit"])]
    [statement] = parsed(written(Camt053Statement(), lines)).stmt
    credit, debit = [(entry.bk_tx_cd.domn.fmly.cd, entry.bk_tx_cd.domn.fmly.sub_fmly_cd) for entry in statement.ntry]
    assert credit[0] != debit[0], "what comes in and what goes out are of two families"


def test_cash_over_the_counter() -> None:
    paid_in, paid_out = made_lines(["one", "two", "three", "four", "five"])[1::3]
    [statement] = parsed(written(Camt053Statement(), [paid_in, paid_out])).stmt
    codes = {(signed(entry) > 0, entry.bk_tx_cd.domn.fmly.sub_fmly_cd) for entry in statement.ntry}
    assert codes == {(False, "CWDL"), (True, "CDPT")}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=300), max_size=3))
def test_any_text(descriptions: list[str]) -> None:
    lines = made_lines(descriptions)
    [statement] = parsed(written(Camt053Statement(), lines)).stmt
    for line, entry in zip(lines, statement.ntry, strict=True):
        remittance = entry.ntry_dtls[0].tx_dtls[0].rmt_inf
        shown = "".join(remittance.ustrd) if remittance is not None else ""
        assert len(shown) == len(line.description)
        assert all(a in (b, "\ufffd") for a, b in zip(shown, line.description, strict=True))


@pytest.mark.parametrize("currency", ["JPY", "KWD", "CLF"])
def test_currencies_of_other_decimals(currency: str) -> None:
    lines = made_lines(["one", "two", "three"])
    [statement] = parsed(written(Camt053Statement(), lines, currency=currency)).stmt
    assert statement.acct.ccy == currency
    assert {entry.amt.ccy for entry in statement.ntry} == {currency}
