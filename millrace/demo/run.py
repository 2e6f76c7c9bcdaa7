"""The demo from start to end: environment, accounts, funding, load (with crashes), proof, summary.

Exit code 0 only where every payment is final and the audit proves the books.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import AuditReport
from millrace.audit.verify import verify
from millrace.cli import EXIT_FAILED
from millrace.commands.output import Shown, errors, faults_shown, screen
from millrace.demo.client import PatientClient
from millrace.demo.crashes import Crash, CrashSchedule
from millrace.demo.load import Load, percentile_ms
from millrace.demo.load import Progress as OnDone
from millrace.demo.outcomes import Outcomes, await_final, busiest_accounts, duplicates, replayed
from millrace.demo.payments_file import RealPayment, read_payments
from millrace.demo.summary import print_summary
from millrace.environment import LocalEnvironment, connected
from millrace.environment.connection import running_supervisor
from millrace.environment.faults import EnvironmentFault
from millrace.environment.layout import Addresses, home_of, read_addresses
from payments.errors import InvariantViolation, Unavailable
from runtime.settings import Settings

PAYMENTS_FILE = Path(__file__).parent.parent.parent / "examples" / "sepa_instant.csv"
_TOKEN_LIFE_S = 3_600
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class LatencyMs(msgspec.Struct, frozen=True):
    """From sending a batch until all of it is final and visible in Postgres; weighted by payments."""

    p50: int
    p99: int


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What machines read (`--json`)."""

    payments: int
    posted: int
    rejected: int
    returned: int
    quarantined: int
    duplicates: int
    replayed: int
    """Commands that repeated an earlier key, in this run."""

    postings_sum_minor: int
    drift_minor: int
    negative_accounts: int
    wall_s: float
    """From the first batch sent until the last payment is final and visible."""

    payments_per_s: int
    latency_ms: LatencyMs
    crashes: list[str]
    repeated_requests: int
    proven: bool


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the load itself yields."""

    outcomes: Outcomes
    duplicates: int
    wall_s: float
    latency_ms: LatencyMs
    replayed: int
    repeated_requests: int


class Venue(NamedTuple):
    """Where the demo takes place."""

    env: LocalEnvironment
    api_url: str
    ours: bool
    """False for an environment that ran already, and goes on when the demo is over."""


def run(*, stay: bool, crash: bool, json_file: Path | None) -> None:
    """Bring everything up, run the demo, and stay up until interrupted."""
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {json_file.absolute().parent}", param_hint="--json")
    with faults_shown(as_json=False), _failures_named(), _venue() as venue:
        payments = read_payments(PAYMENTS_FILE)
        load, measured, crashes = asyncio.run(_load(venue, payments, crash=crash))
        errors.print("[dim]verifying the books …[/]")
        report = verify(venue.env.settings)
        result = _result(load, measured, report, crashes)
        busiest = busiest_accounts(venue.env.database_url, load.payment_ids(), 5)
        print_summary(result, report, load, busiest, crashes)
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        if not result.proven or result.duplicates or measured.outcomes.final != len(payments):
            raise typer.Exit(EXIT_FAILED)
        if stay:
            _stay(venue)


@contextmanager
def _failures_named() -> Iterator[None]:
    """What can go wrong on the way is a sentence that names where to look."""
    try:
        yield
    except (Unavailable, InvariantViolation, AuditImpossible, TimeoutError, psycopg.Error) as error:
        raise EnvironmentFault(f"the demo could not be finished: {error} (`millrace logs NAME` says more)") from error
    except KeyboardInterrupt:
        errors.print("interrupted; nothing is lost: the next demo sends the same keys, and only what is missing moves")
        raise typer.Exit(EXIT_INTERRUPTED) from None


@contextmanager
def _venue() -> Iterator[Venue]:
    """The environment that runs in this home, or one of our own."""
    settings = Settings()
    home = home_of(settings)
    if running_supervisor(home) is None:
        with LocalEnvironment(settings, progress=Shown()) as env:
            yield Venue(env, _api_url(env.addresses), ours=True)
        return
    errors.print(f"using the environment that runs in {settings.home}", style="dim", markup=False)
    yield Venue(LocalEnvironment(connected(settings)), _api_url(read_addresses(home)), ours=False)


def _api_url(addresses: Addresses | None) -> str:
    if addresses is None or addresses.api_url is None:
        raise EnvironmentFault("what runs here has no pipeline: `millrace down`, then the demo again")
    return addresses.api_url


async def _load(venue: Venue, payments: list[RealPayment], *, crash: bool) -> tuple[Load, Measured, list[Crash]]:
    env = venue.env
    token = issue_token(env.settings, "demo", ALL_SCOPES, _TOKEN_LIFE_S)
    async with PatientClient(venue.api_url, token) as client:
        load = Load(client, payments, env.settings.shards)
        with _bars() as bars:
            await _step(bars, "opening accounts", len(load.banks), load.open_accounts)
            await _step(bars, "funding debtors", len(load.funding_minor), load.fund)
            replayed_before = replayed(env.database_url)
            schedule = CrashSchedule(env) if crash else None
            started_s = time.monotonic()
            settled = await _push(bars, load, schedule)
            found = await_final(env.database_url, load.payment_ids(), lambda done: bars.update(settled, completed=done))
            wall_s = time.monotonic() - started_s
        measured = Measured(
            outcomes=found,
            duplicates=duplicates(env.database_url, load.payment_ids()),
            wall_s=wall_s,
            latency_ms=LatencyMs(percentile_ms(load.timings, 50), percentile_ms(load.timings, 99)),
            replayed=replayed(env.database_url) - replayed_before,
            repeated_requests=client.repeated,
        )
    return load, measured, schedule.done if schedule else []


async def _step(bars: Progress, title: str, total: int, step: Callable[[OnDone], Awaitable[None]]) -> None:
    task = bars.add_task(title, total=total)
    await step(lambda count: bars.advance(task, count))


async def _push(bars: Progress, load: Load, schedule: CrashSchedule | None) -> TaskID:
    """Push all payments; answers the bar of those that are final."""
    total, accepted = len(load.payments), 0
    pushing = bars.add_task("pushing payments", total=total)
    settled = bars.add_task("final in Postgres", total=total)

    def on_accepted(count: int) -> None:
        nonlocal accepted
        accepted += count
        bars.advance(pushing, count)
        crashed = schedule.progress(accepted, total) if schedule else None
        if crashed is not None:
            bars.console.print(f"[red]kill -9 {crashed.service}[/] at {crashed.at_percent} % of the load")

    await load.push(on_accepted, lambda count: bars.advance(settled, count))
    return settled


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description:18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=errors)


def _result(load: Load, measured: Measured, report: AuditReport, crashes: list[Crash]) -> DemoResult:
    total = len(load.payments)
    return DemoResult(
        payments=total,
        posted=measured.outcomes.posted,
        rejected=measured.outcomes.rejected,
        returned=measured.outcomes.returned,
        quarantined=report.quarantined,
        duplicates=measured.duplicates,
        replayed=measured.replayed,
        postings_sum_minor=report.postings_sum_minor,
        drift_minor=report.drift_minor,
        negative_accounts=report.negative_accounts,
        wall_s=round(measured.wall_s, 3),
        payments_per_s=round(total / measured.wall_s),
        latency_ms=measured.latency_ms,
        crashes=[crash.service for crash in crashes],
        repeated_requests=measured.repeated_requests,
        proven=report.ok,
    )


def _stay(venue: Venue) -> None:
    screen.print(f"\nStill up: [bold]{venue.api_url}/docs[/] shows and calls the API.")
    screen.print("The bearer token that it asks for: [bold].venv/bin/millrace token[/]", highlight=False)
    if not venue.ours:
        screen.print("`millrace down` stops it.")
        return
    screen.print("Ctrl-C stops everything; nothing is lost: `make up` continues where it was.")
    try:
        while True:
            time.sleep(3_600)
    except KeyboardInterrupt:
        screen.print("stopping …")
