"""What `millrace recon run` does: the ledger against the files that were imported, by one rule set."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from psycopg import Connection
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from millrace.commands.output import errors, faults_shown, print_json, print_table, screen
from millrace.environment import EnvironmentFault, connected
from millrace.reconciliation.files import books, person
from payments.identifiers import format_id
from payments.money import format_minor
from reconciliation.breaks.living import Changes
from reconciliation.matching.rules import RulesFault
from reconciliation.runs.rules import ReadRules, read_rules
from reconciliation.runs.run import RUN, Asked, Result, compute, cut_off_of, day_of
from reconciliation.runs.writing import write
from reconciliation.store.files import sources
from runtime.settings import Settings


def run_run(rules: Path, *, cut_off: str, first: str, last: str, by: str, as_json: bool) -> None:
    """Breaks are an answer; exits 1 where the rules can't be read."""
    try:
        with faults_shown(as_json=as_json):
            read = _read(rules)
        at = cut_off_of(cut_off, read.rules, datetime.now(UTC))
        days = [day_of(day) if day else None for day in (first, last)]
    except ValueError as fault:
        raise typer.BadParameter(f"{fault}; a time as 2026-11-22T06:00:00+01:00, a day as 2026-11-22") from fault
    if days[0] and days[1] and days[0] > days[1]:
        raise typer.BadParameter(f"it lies after {days[1]}, the last day", param_hint="--from")
    asked = Asked(at, days[0], days[1], person(by))
    with faults_shown(as_json=as_json), books() as connection:
        result, changes = _computed(connection, read, asked)
        known = {one.source for one in sources(connection) if one.files}
    silent = [source for source in read.rules.statements.sources if source not in known]
    if as_json:
        print_json(as_object(read, result, changes) | {"sources_without_files": silent})
        return
    _show(result, changes)
    for source in silent:
        screen.print(Text(f"no file of {source} has ever come: `millrace recon files` lists what was brought"))


def _read(rules: Path) -> ReadRules:
    try:
        return read_rules(rules.read_text(encoding="utf-8"))
    except (RulesFault, OSError, UnicodeDecodeError) as fault:
        raise EnvironmentFault(str(fault)) from fault


def _computed(connection: Connection, read: ReadRules, asked: Asked) -> tuple[Result, Changes]:
    gc.disable()  # a million lines make no cycles, and looking for some takes a quarter of the time
    try:
        with _told() as tell:
            result = compute(connection, read, asked, tell)
            changes = write(connection, read, result, connected(Settings()).shards)
            tell("matches and breaks written", len(result.outcome.matches) + len(result.breaks))
            return result, changes
    finally:
        gc.enable()


@contextmanager
def _told() -> Iterator[Callable[[str, int], None]]:
    """A bar for each thing that is being done."""
    with Progress(console=errors) as bar:
        tasks = {}

        def tell(what: str, count: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.advance(tasks[what], count)

        yield tell


def as_object(read: ReadRules, result: Result, changes: Changes) -> dict[str, object]:
    """A run as JSON."""
    return {
        "id": format_id(RUN, result.run_id.bytes),
        "rules": read.rules.name,
        "revision": read.rules.revision,
        "rules_sha256": read.sha256.hex(),
        "zone": read.rules.zone,
        "from": result.asked.first,
        "to": result.span.last,
        "as_of": result.as_of,
        "cut_off": result.asked.cut_off,
        "files": [{"file": name, "sha256": sha256.hex()} for _, sha256, name in result.files],
        "internal_lines": len(result.sides.internal),
        "external_lines": len(result.sides.external),
        "matches": len(result.outcome.matches),
        "breaks": len(result.breaks),
        "changes": changes._asdict(),
        "totals": result.totals,
        "ties": result.ties,
        "result_hash": result.result_hash.hex(),
    }


def _compared(difference_minor: int, currency: str) -> str:
    if not difference_minor:
        return "books and files come to the same"
    word = "more" if difference_minor > 0 else "less"
    return f"the books have {format_minor(abs(difference_minor), currency)} {word} than the files"


def _show(result: Result, changes: Changes) -> None:
    screen.print(f"{len(result.outcome.matches):,} matches, {len(result.breaks):,} breaks")
    table = Table("side", "party", "currency", "opening", "movements", "other", "closing", "unexplained", box=None)
    for one in result.ties:
        money = [one.opening_minor, one.movements_minor, one.adjusted_minor, one.closing_minor, one.unexplained_minor]
        shown = ["" if minor is None else format_minor(minor, one.currency) for minor in money]
        table.add_row(one.side, one.party, one.currency, *shown)
    print_table(table)
    for currency, total in result.totals.items():
        screen.print(f"{currency}: {_compared(total.difference_minor, currency)}")
    told = ", ".join(f"{count:,} {word}" for word, count in changes._asdict().items())
    screen.print(f"breaks: {told}; result {result.result_hash.hex()[:16]}, run {format_id(RUN, result.run_id.bytes)}")
