"""What `millrace recon internal …` does: our services against each other and the providers, and repairs."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Final
from uuid import UUID

import typer
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from ingest_api.reconciliation.internal.shown import shown_finding, shown_in_full, shown_repair
from millrace.commands.output import faults_shown, print_found, print_json, print_table, screen
from millrace.environment import EnvironmentFault, connected
from millrace.reconciliation.asking import ask
from millrace.reconciliation.files import books, person
from payments.identifiers import format_id, parse_id
from payments.money import format_minor
from reconciliation.internal.findings import Finding
from reconciliation.internal.reads import LIST_MAX, Wanted, find_finding, page_of_findings
from reconciliation.internal.repairing import By, Done, repair
from reconciliation.internal.run import Asked, Result, TooManyFindings, compute, since
from reconciliation.internal.writing import id_of, write
from reconciliation.runs.run import RUN
from reconciliation.runs.sides import BREAK
from runtime.settings import Settings

_NOTHING_DONE: Final = frozenset({Done.FOR_PEOPLE, Done.UNKNOWN})


def run_run(*, days: int, day: str, asks: bool, ask_max: int, by: str, is_dry: bool, as_json: bool) -> None:
    """Findings are an answer; exits 1 where a side can't be read."""
    settings, now = connected(Settings()), datetime.now(UTC)
    try:
        of_day = date.fromisoformat(day) if day else None
    except ValueError as fault:
        raise typer.BadParameter("write it as 2026-11-22", param_hint="--ask-day") from fault
    begins = since(now, days)
    if of_day is not None:
        begins = min(begins, datetime.combine(of_day, time.min, UTC))
    asked = Asked(now, begins, person(by), of_day, ask_max)
    with faults_shown(as_json=as_json), books() as connection:
        try:
            result = compute(connection, asked, partial(ask, settings) if asks else None)
        except TooManyFindings as fault:
            raise EnvironmentFault(str(fault)) from fault
        changes = {} if is_dry else write(connection, result)._asdict()
    if as_json:
        print_json(as_object(result, is_dry=is_dry) | {"changes": changes})
        return
    looked = f"{result.movements:,} movements and {result.wallets:,} wallets, {result.providers_asked:,} asked about"
    silent = f" ({result.providers_silent:,} more without an answer)" if result.providers_silent else ""
    screen.print(f"{looked}{silent}: {len(result.findings):,} findings")
    _show(result.findings)


def as_object(result: Result, *, is_dry: bool) -> dict[str, object]:
    """A run as JSON."""
    return {
        "id": None if is_dry else format_id(RUN, result.run_id.bytes),
        "movements": result.movements,
        "wallets": result.wallets,
        "providers_asked": result.providers_asked,
        "providers_silent": result.providers_silent,
        "result_hash": result.result_hash.hex(),
        "findings": [_object(one) for one in result.findings],
    }


def _object(one: Finding) -> dict[str, object]:
    return {
        "break": format_id(BREAK, id_of(one).bytes),
        "type": one.type,
        "severity": one.severity,
        "repair": one.repair,
        "reason": one.reason,
        "difference_minor": one.difference_minor,
        "currency": one.currency,
        "evidence": one.evidence,
    }


def _show(found: list[Finding]) -> None:
    table = Table("break", "type", "severity", "difference", "repair", "why", box=None)
    for one in found:
        money = f"{format_minor(one.difference_minor, one.currency)} {one.currency}"
        id_ = format_id(BREAK, id_of(one).bytes)
        table.add_row(id_, one.type, one.severity, money, one.repair, Text(one.reason))
    if found:
        print_table(table)


def run_findings(id_: str, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    """What somebody has to deal with, or one finding with what each side says."""
    with faults_shown(as_json=as_json), books() as connection:
        if id_:
            found = find_finding(connection, _uuid(id_))
            if found is None:
                raise EnvironmentFault(f"there is no finding {id_}; `millrace recon internal findings` lists them")
            detail = shown_in_full(connection, found)
            if as_json:
                print_json(detail)
                return
            screen.print(Text(f"{detail.type} {detail.status}: {detail.difference} {detail.currency}, {detail.reason}"))
            for side, said in detail.evidence.items():
                screen.print(Text(f"  {side}: {said}"))
            for event in detail.trail:
                screen.print(Text(f"  {event.at} {event.by}: {event.action} {event.after} {event.because}"))
            return
        shown = [shown_finding(one) for one in page_of_findings(connection, wanted, limit)]
    if as_json:
        print_json(shown)
        return
    table = Table("break", "type", "status", "severity", "difference", "repair", "why", box=None)
    for one in shown:
        money = f"{one.difference} {one.currency}"
        table.add_row(one.id, one.type, one.status, one.severity, money, one.repair, Text(one.reason))
    print_found(table)


def run_repair(ids: list[str], wanted: Wanted, *, by: str, is_dry: bool, as_json: bool) -> None:
    """Those named, or all that a rule can put right. Exits 1 where one that was named can't be."""
    with faults_shown(as_json=as_json), books() as connection:
        chosen = [_uuid(id_) for id_ in ids] or list(_repairable(connection, wanted))
        done = repair(connection, chosen, By(person(by), datetime.now(UTC), is_dry))
    if as_json:
        print_json([shown_repair(one) for one in done])
    else:
        for one in done:
            attempt = f", attempt {one.attempt}" if one.attempt else ""
            screen.print(f"{format_id(BREAK, one.break_id.bytes)}: {one.done}{attempt}")
        if not done:
            screen.print("Nothing.")
    if ids and any(one.done in _NOTHING_DONE for one in done):
        raise typer.Exit(1)


def _repairable(connection: Connection, wanted: Wanted) -> Iterator[UUID]:
    after: tuple[int, UUID] | None = None
    while page := page_of_findings(connection, wanted, LIST_MAX, after):
        yield from (one.break_id for one in page if one.repair != "none")
        after = abs(page[-1].difference_minor), page[-1].break_id


def _uuid(text: str) -> UUID:
    id_ = parse_id(BREAK, text)
    if id_ is None:
        raise EnvironmentFault(f"{text!r} is no id of a finding: they begin with {BREAK}_")
    return UUID(bytes=id_)
