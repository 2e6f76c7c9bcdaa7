"""The demo's last page: counts, rate, latency, the busiest accounts, and one line of proof."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from millrace.audit.report import AuditReport
from millrace.commands.output import screen
from millrace.demo.crashes import Crash
from millrace.demo.load import Load
from millrace.demo.outcomes import BusyAccount
from payments.identifiers import ACCOUNT, format_id
from payments.money import format_minor

if TYPE_CHECKING:
    from millrace.demo.run import DemoResult


def print_summary(
    result: "DemoResult", report: AuditReport, load: Load, busiest: list[BusyAccount], crashes: list[Crash]
) -> None:
    """For people."""
    screen.print()
    screen.print(_counts(result))
    screen.print(_busiest(busiest, load))
    if result.replayed == result.payments:
        screen.print("Every key had come before: this run moved nothing, the outcomes are those of the first one.")
    if crashes:
        killed = ", ".join(crash.service for crash in crashes)
        screen.print(f"Killed with -9 during the load: {killed}. Requests repeated: {result.repeated_requests:,}.")
    screen.print(_proof(result, report))


def _counts(result: "DemoResult") -> Table:
    table = Table(title=f"{result.payments:,} real payments", box=None, show_header=False, title_justify="left")
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in (
        ("posted", f"{result.posted:,}"),
        ("rejected (debtor ran dry)", f"{result.rejected:,}"),
        ("returned", f"{result.returned:,}"),
        ("repeated keys, nothing moved", f"{result.replayed:,}"),
        ("quarantined", f"{result.quarantined:,}"),
        ("rate, HTTP to visible in Postgres", f"{result.payments_per_s:,}/s over {result.wall_s:.2f} s"),
        ("batch latency to visible, p50 / p99", f"{result.latency_ms.p50:,} / {result.latency_ms.p99:,} ms"),
    ):
        table.add_row(name, value)
    return table


def _busiest(busiest: list[BusyAccount], load: Load) -> Table:
    bic_of = {account: bic for bic, account in load.accounts.items()}
    currency = load.payments[0].currency
    table = Table("busiest accounts", "bank", "postings", "turnover", box=None, title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for account in busiest:
        text = format_id(ACCOUNT, account.account_id)
        turnover = f"{_grouped(format_minor(account.turnover_minor, currency))} {currency}"
        table.add_row(text, bic_of.get(text, "clearing"), f"{account.postings:,}", turnover)
    return table


def _grouped(amount: str) -> str:
    """Thousands separated, for people: 1762006.17 → 1,762,006.17."""
    whole, point, fraction = amount.partition(".")
    return f"{int(whole):,}{point}{fraction}"


def _proof(result: "DemoResult", report: AuditReport) -> Text:
    if not result.proven:
        return Text.assemble(("NOT PROVEN:", "bold red"), f" {'; '.join(map(str, report.differences))}")
    return Text.assemble(
        ("PROVEN:", "bold green"),
        f" every payment final once, duplicates {result.duplicates},"
        f" sum of postings {result.postings_sum_minor}, drift {result.drift_minor},"
        f" accounts below their limit {result.negative_accounts}; hash chain and every decision recomputed.",
    )
