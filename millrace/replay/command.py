"""`millrace replay` and `millrace drift` for people and for machines. Exit code 1 where something differs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from millrace.audit.command import audited_settings
from millrace.audit.report import Differs
from millrace.cli import EXIT_FAILED
from millrace.commands.output import errors, faults_shown, print_difference, print_failure, print_json, screen
from millrace.replay.backtest import Backtest, Change
from millrace.replay.comparison import BalanceDiffers, Comparison
from millrace.replay.decide import DecidedAgain, decide_again
from millrace.replay.drift import Drift, DriftWatch
from millrace.replay.drift_alarm import CANNOT_LOOK, PAUSES_PER_LOOK, line_of
from millrace.replay.past_attempts import tried_on_the_past, unrecorded
from millrace.replay.point import parse_point
from millrace.replay.rebuild import Point, ReplayReport, replay
from payments.identifiers import ACCOUNT, parse_id
from payments.money import Money, format_minor
from payments.risk.limits import Tier
from payments.risk.rules import RuleSet, parse


def run(*, to: str | None, account: str | None, decide: bool, archive: Path | None = None, as_json: bool) -> None:
    """Rebuild balances, or decide everything again. Exit code 2 for a point or an account that is none."""
    if decide and (to is not None or account is not None):
        raise typer.BadParameter("decides the whole ledger: it goes with neither --to nor --account")
    if decide:
        _run_decide(archive, as_json=as_json)
    else:
        _run_replay(_point(to, account), archive, as_json=as_json)


def _point(to: str | None, account: str | None) -> Point:
    account_id = None if account is None else parse_id(ACCOUNT, account)
    if account is not None and account_id is None:
        raise typer.BadParameter(f"{account!r} is no account id (acc_…, 30 characters)", param_hint="--account")
    try:
        return Point(None if to is None else parse_point(to), account_id)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from error


def _run_replay(point: Point, archive: Path | None, *, as_json: bool) -> None:
    with faults_shown(as_json=as_json):
        settings = audited_settings(archive)
    with _failures_shown(as_json=as_json), _bar("adding up the ledger") as progress:
        report = replay(settings, point, progress=progress)
    if as_json:
        print_json(report.to_json())
    else:
        _show_replay(report)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


def _run_decide(archive: Path | None, *, as_json: bool) -> None:
    with faults_shown(as_json=as_json):
        settings = audited_settings(archive)
    with _failures_shown(as_json=as_json), _bar("deciding again") as progress:
        done = decide_again(settings, progress=progress)
    if as_json:
        print_json(done.to_json())
    else:
        _show_decided(done)
    if not done.ok:
        raise typer.Exit(EXIT_FAILED)


def run_rules(rules: Path, tier: str, *, whole: bool, archive: Path | None = None, as_json: bool) -> None:
    """Try a rule set on all past payments. Exit code 2 for a rule set or a tier that is none."""
    if not whole:
        raise typer.BadParameter(
            "tries the rules on the whole ledger: it goes with neither --to, --account nor --decide"
        )
    if tier.upper() not in Tier.__members__:
        names = ", ".join(one.name.lower() for one in Tier)
        raise typer.BadParameter(f"{tier!r} is none of {names}", param_hint="--tier")
    rule_set = parse(rules.read_text())
    if not isinstance(rule_set, RuleSet):
        raise typer.BadParameter("\n".join(map(str, rule_set)), param_hint="--rules")
    with faults_shown(as_json=as_json):
        settings = audited_settings(archive)
    with _failures_shown(as_json=as_json), _bar("trying the rules on the past") as progress:
        found = tried_on_the_past(settings, rule_set, Tier[tier.upper()], progress=progress)
    if as_json:
        print_json({**found.to_json(), "unrecorded": unrecorded(rule_set)})
    else:
        _show_tried(found, unrecorded(rule_set))


def run_drift(*, once: bool, every_s: float, as_json: bool) -> None:
    """One look, or one line after the other until interrupted."""
    with faults_shown(as_json=as_json):
        watch = DriftWatch(audited_settings())
    if once:
        with _failures_shown(as_json=as_json):
            drift = watch.look()
        assert drift is not None, "only a stopped look has no result"
        print_json(drift.to_json()) if as_json else _show_drift(drift)
        raise typer.Exit(0 if drift.ok else EXIT_FAILED)
    while True:
        began = time.monotonic()
        _look_and_tell(watch, as_json=as_json)
        time.sleep(max(every_s, PAUSES_PER_LOOK * (time.monotonic() - began)))


def _look_and_tell(watch: DriftWatch, *, as_json: bool) -> None:
    """Prints one line, also for a look that was not possible: the next one may be."""
    try:
        drift = watch.look()
    except (Differs, *CANNOT_LOOK) as error:
        _print_line({"ok": False, "error": str(error)} if as_json else f"millrace: {error}", as_json=as_json)
        return
    assert drift is not None, "only a stopped look has no result"
    _print_line(drift.to_json() if as_json else line_of(drift), as_json=as_json)


def _print_line(value: object, *, as_json: bool) -> None:
    sys.stdout.write(f"{msgspec.json.encode(value).decode() if as_json else value}\n")
    sys.stdout.flush()


@contextmanager
def _failures_shown(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except (Differs, *CANNOT_LOOK) as error:
        if as_json:
            print_json({"ok": False, "error": str(error)})
        else:
            print_failure(error)
        raise typer.Exit(EXIT_FAILED) from error


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    columns = TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show_replay(report: ReplayReport) -> None:
    offsets = ",".join(f"{shard}:{offset}" for shard, offset in report.next_offsets.items())
    screen.print(f"{report.last_record_at or 'nothing was decided'} at {offsets}", highlight=False)
    screen.print(
        f"{report.accounts:,} accounts from {report.entries:,} entries in {report.records:,} ledger records,"
        f" {report.wall_s:.1f} s, {report.entries_per_s:,} entries/s"
    )
    table = Table("", "accounts", "posted", "available", "in flight", "system", "postings sum", box=None)
    for currency, (accounts, *amounts) in report.currencies.items():
        table.add_row(currency, f"{accounts:,}", *(format_minor(minor, currency) for minor in amounts))
    screen.print(table)
    if report.balance is not None:
        screen.print(f"{report.account}: {_held(report.balance)}", highlight=False)
    if report.unapplied_records:
        screen.print(f"[yellow]not compared:[/] {report.unapplied_records:,} ledger records that the sink has to apply")
    _show_comparison(report.comparison, report.compared_with)


def _show_comparison(comparison: Comparison, what: str) -> None:
    if not comparison.differing_accounts:
        screen.print(f"[green]equal[/] to Postgres ({what}): {comparison.accounts:,} accounts, drift 0")
        return
    screen.print(
        f"[bold red]Postgres differs[/] ({what}): {comparison.differing_accounts:,} accounts,"
        f" {comparison.drift_minor} minor units"
    )
    for one in comparison.first:
        screen.print(f"  {_side_by_side(one)}", highlight=False)


def _side_by_side(one: BalanceDiffers) -> str:
    return f"{one.account}: ledger {_held(one.ledger)}; Postgres {_held(one.postgres)}"


def _held(balance: tuple[str, int, int] | None) -> str:
    if balance is None:
        return "has no such account"
    currency, posted, available = balance
    return f"posted {Money(posted, currency)}, available {Money(available, currency)}"


def _show_tried(found: Backtest, unrecorded_features: list[str]) -> None:
    screen.print(f"rule set {found.rule_set} on {found.attempts:,} past payments", highlight=False)
    table = Table("", "approved", *(f"would be {change}" for change in Change), box=None)
    for currency, approved_minor in sorted(found.approved_minor.items()):
        changes = (
            f"{found.payments[currency, change]:,}: {format_minor(found.amounts_minor[currency, change], currency)}"
            for change in Change
        )
        table.add_row(currency, format_minor(approved_minor, currency), *changes)
    screen.print(table)
    for rule, hits in found.hits.most_common():
        screen.print(f"{rule}: {hits:,} hits", highlight=False)
    if unrecorded_features:
        screen.print(f"[yellow]only where a rule read it then, else empty:[/] {', '.join(unrecorded_features)}")
    if found.without_verdict:
        screen.print(
            f"[yellow]{found.without_verdict:,} payments[/] were recorded before there were rules or limits: without"
            " card, device, address and country"
        )


def _show_decided(done: DecidedAgain) -> None:
    screen.print(
        f"{done.identical_records:,} of {done.records:,} ledger records decided again, equal byte for byte;"
        f" {done.entries:,} entries, {done.records_between_shards:,} records between shards,"
        f" {done.undecided_inputs:,} inputs undecided; {done.wall_s:.1f} s, {done.entries_per_s:,} entries/s"
    )
    for line in done.not_proved:
        screen.print(Text.assemble(("not proved:", "yellow"), f" {line}"))
    if done.first_difference is not None:
        print_difference(*done.first_difference)


def _show_drift(drift: Drift) -> None:
    screen.print(f"{drift.offsets_behind:,} ledger offsets (markers included) to apply, {drift.wall_s:.1f} s")
    if drift.trusted_offsets:
        screen.print("[yellow]since now:[/] retention has deleted the ledger's beginning; balances were taken over")
    _show_comparison(drift.comparison, "balances")
