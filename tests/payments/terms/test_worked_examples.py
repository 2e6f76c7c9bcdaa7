"""The examples of docs/fees.md, docs/fx.md and docs/schedules.md, computed: each row of each table."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice

import pytest

from payments.book import HOUR_US
from payments.identifiers import system_account
from payments.money import Money, format_minor, to_minor
from payments.postings import Posting, SystemAccount
from payments.terms.fees import Charge, ChargeBearer, FeeSchedule, Tier, Tiering, charge, fee_schedule_problem
from payments.terms.fx import Conversion, FixedSide, Quote, Rate, conversion_postings, convert, quote_problem, rate_of
from payments.terms.occurrences import Progress, due, refused
from payments.terms.positions import Position, revaluation_postings
from payments.terms.rounding import Rounding
from payments.terms.schedules import MissedRuns, MonthEnd, Schedule, schedule_problem, walls_after
from payments.terms.splits import Share, Split, SplitRefusal, split, split_problem
from payments.terms.wall_clock import instant_us, zone_of
from tests.payments.terms.calendar_model import EPOCH
from tests.tidy.sources import ROOT

Row = dict[str, str]
MICROSECOND = timedelta(microseconds=1)


def _tables(document: str) -> list[list[Row]]:
    lines = (ROOT / "docs" / document).read_text().splitlines()
    blocks = [list(block) for is_table, block in groupby(lines, lambda line: line.startswith("|")) if is_table]
    return [[dict(zip(_cells(block[0]), _cells(line), strict=True)) for line in block[2:]] for block in blocks]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[1:-1].split("|")]


FEE_TERMS, FEES, SPLIT_TERMS, SPLITS = _tables("fees.md")
CONVERSIONS, LEGS, REVALUATIONS = _tables("fx.md")
_ROUTES, CALENDARS, INSTANTS, RUNS, RETRIES, *_STEPS = _tables("schedules.md")


def every(rows: list[Row]) -> Callable[[Callable[[Row], None]], Callable[[Row], None]]:
    """Runs a test for each row of a table."""
    return pytest.mark.parametrize("row", rows, ids=lambda row: " ".join(filter(None, row.values())))


def _minor(text: str, currency: str) -> int:
    if not text:
        return 0
    minor = to_minor(Decimal(text), currency)
    assert isinstance(minor, int), text
    return minor


def _rate(text: str) -> Rate:
    rate = rate_of(Decimal(text))
    assert isinstance(rate, Rate), text
    return rate


@every(FEES)
def test_fees(row: Row) -> None:
    terms = [tier for tier in FEE_TERMS if tier["schedule"] == row["schedule"]]
    first, currency = terms[0], terms[0]["currency"]
    schedule = FeeSchedule(
        version=1,
        currency=currency,
        tiers=tuple(
            Tier(_minor(t["up to"], currency) or None, int(t["basis points"]), _minor(t["flat"], currency))
            for t in terms
        ),
        bearer=ChargeBearer(first["bearer"]),
        tiering=Tiering(first["tiering"]),
        minimum_minor=_minor(first["minimum"], currency),
        maximum_minor=_minor(first["maximum"], currency) or None,
        rounding=Rounding(first["rounding"]),
    )
    assert fee_schedule_problem(schedule) is None
    charged = charge(schedule, Money(_minor(row["amount"], currency), currency))
    shown = [row["fee"], row["payer pays"], row["payee gets"]]
    if isinstance(charged, Charge):
        amounts = (charged.fee_minor, charged.debited_minor, charged.credited_minor)
        assert shown == [format_minor(minor, currency) for minor in amounts]
    else:
        assert shown == [charged.value, "", ""]


@every(SPLITS)
def test_splits(row: Row) -> None:
    terms = [share for share in SPLIT_TERMS if share["split"] == row["split"]]
    currency = terms[0]["currency"]
    shares = tuple(
        Share(t["account"].encode(), int(t["basis points"] or 0), _minor(t["fixed"], currency)) for t in terms
    )
    division = Split(1, currency, shares, terms[0]["remainder"].encode() or None)
    assert split_problem(division) is None
    parts = split(division, Money(_minor(row["amount"], currency), currency))
    if isinstance(parts, SplitRefusal):
        assert row["parts"] == parts.value
    else:
        shown = [f"{part.account.decode()} {format_minor(part.amount_minor, currency)}" for part in parts]
        assert row["parts"] == ", ".join(shown)


@every(CONVERSIONS)
def test_conversions(row: Row) -> None:
    side = FixedSide(row["fixed"])
    quote = Quote(
        quote_id=bytes(16),
        sell_currency=row["sell"],
        buy_currency=row["buy"],
        rate=_rate(row["rate"]),
        spread_basis_points=int(row["spread"]),
        expires_at_us=1,
        fixed_side=side,
        rounding=Rounding(row["rounding"]),
    )
    assert quote_problem(quote) is None
    fixed, other = (row["sell"], row["buy"])[:: 1 if side is FixedSide.SELL else -1]
    converted = convert(quote, Money(_minor(row["amount"], fixed), fixed), other, 0)
    if isinstance(converted, Conversion):
        assert [row["sold"], row["bought"]] == [format_minor(*converted.sell), format_minor(*converted.buy)]
    else:
        assert [row["sold"], row["bought"]] == [converted.value, ""]


@every(REVALUATIONS)
def test_revaluations(row: Row) -> None:
    amount, currency = row["balance"].split()
    sign = -1 if amount.startswith("-") else 1
    balance = Money(sign * _minor(amount.removeprefix("-"), currency), currency)
    position = Position(balance, row["home"], _rate(row["book rate"]))
    legs = revaluation_postings(position, _rate(row["new rate"]))
    assert isinstance(legs, tuple)
    shown = {leg.account: _side(leg) for leg in legs}
    assert row["FX position (home)"] == shown.get(system_account(SystemAccount.FX_POSITION, row["home"]), "")
    assert row["gain/loss"] == shown.get(system_account(SystemAccount.FX_GAIN_LOSS, row["home"]), "")


def _side(leg: Posting) -> str:
    return ("Dr " if leg.amount_minor < 0 else "Cr ") + format_minor(abs(leg.amount_minor), leg.currency)


def _times(text: str) -> list[datetime]:
    return [datetime.fromisoformat(each) for each in text.split(", ") if each]


def _us(utc: str) -> int:
    return (datetime.fromisoformat(utc).replace(tzinfo=UTC) - EPOCH) // MICROSECOND


@every(CALENDARS)
def test_calendars(row: Row) -> None:
    starts = datetime.fromisoformat(row["starts"])
    schedule = Schedule(bytes(16), "UTC", starts, row["expression"], month_end=MonthEnd(row["month end"]))
    assert schedule_problem(schedule) is None
    assert list(islice(walls_after(schedule, None), 4)) == _times(row["occurrences"])


@every(INSTANTS)
def test_instants(row: Row) -> None:
    assert instant_us(zone_of(row["zone"]), datetime.fromisoformat(row["wall clock"])) == _us(row["instant (UTC)"])


@every(RUNS)
def test_runs(row: Row) -> None:
    times = int(row["times"]) if row["times"] else None
    schedule = Schedule(
        bytes(16), "UTC", datetime(2026, 1, 1), "0 9 * * *", times=times, missed=MissedRuns(row["missed"])
    )
    _, progress = due(schedule, Progress(), _us("2026-01-01 12:00"))
    found, _ = due(schedule, progress, _us(row["asked"]))
    assert [each.wall for each in found] == _times(row["occurrences"])


@every(RETRIES)
def test_retries(row: Row) -> None:
    hours = int(row["every"].removesuffix(" h"))
    once = Schedule(bytes(16), "UTC", datetime(2026, 1, 1, 9), retries=int(row["retries"]), retry_hours=hours)
    (occurrence,), progress = due(once, Progress(), _us(row["refused at"]))
    tries = []
    while (progress := refused(once, progress, occurrence, occurrence.due_at_us)).retries:
        (occurrence,), progress = due(once, progress, occurrence.due_at_us + hours * HOUR_US)
        tries.append((EPOCH + occurrence.due_at_us * MICROSECOND).replace(tzinfo=None))
    assert tries == _times(row["tries"])


def test_the_legs_of_a_conversion() -> None:
    conversion = Conversion(bytes(16), Money(100, "EUR"), Money(108, "USD"))
    side_of = {"EUR": "sell", "USD": "buy"}
    names = {system_account(SystemAccount.FX_POSITION, currency): b"FX position" for currency in side_of}
    legs = conversion_postings(conversion, b"payer", b"payee")
    shown = [(_side(leg)[:2], names.get(leg.account, leg.account).decode(), side_of[leg.currency]) for leg in legs]
    assert shown == [(row["leg"], row["account"], row["currency"]) for row in LEGS]
