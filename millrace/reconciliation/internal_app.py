"""The sub-commands `millrace recon internal …`."""

from typing import Annotated

import typer

internal = typer.Typer(
    no_args_is_help=True, help="Payment service, ledger, wallets, connector attempts and providers against each other."
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", help="Who does it; by default the user of this shell.")]
Type = Annotated[str, typer.Option("--type", help="Only of this type.")]
Severity = Annotated[str, typer.Option(help="Only of this one: low, medium or high.")]


@internal.command()
def run(
    days: Annotated[int, typer.Option(min=0, help="What is open, and what has changed so lately; 0 is all.")] = 30,
    ask: Annotated[bool, typer.Option(help="Ask providers about what is suspicious; it moves nothing.")] = True,
    ask_day: Annotated[str, typer.Option(help="Ask about everything of this day, too: 2026-11-22.")] = "",
    ask_max: Annotated[int, typer.Option(min=1, max=100_000, help="At most about so many, five a second.")] = 500,
    by: By = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is found; open and close no break.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what is stuck, posted and not captured, captured and not posted, or different; write it down as breaks."""
    from millrace.reconciliation.internal import run_run

    run_run(days=days, day=ask_day, asks=ask, ask_max=ask_max, by=by, is_dry=dry_run, as_json=as_json)


@internal.command()
def findings(
    id_: Annotated[str, typer.Argument(metavar="[FINDING]", help="One, with what each side says.")] = "",
    kind: Type = "",
    severity: Severity = "",
    repair: Annotated[str, typer.Option(help="Only of this one: inquire, replay_result, adjust or none.")] = "",
    limit: Annotated[int, typer.Option("-n", "--lines", min=1, max=1_000, help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what nobody has dealt with, the largest first, or look into one finding."""
    from millrace.reconciliation.internal import run_findings
    from reconciliation.internal.reads import Wanted

    run_findings(id_, Wanted(kind, severity, repair), limit, as_json=as_json)


@internal.command()
def repair(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[FINDING]…", help="Default: all of --type.")] = None,
    kind: Type = "",
    severity: Severity = "",
    by: By = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for inquiries, which the connectors send, and propose journals, which a second person approves."""
    from millrace.reconciliation.internal import run_repair
    from reconciliation.internal.reads import Wanted

    run_repair(ids or [], Wanted(kind, severity), by=by, is_dry=dry_run, as_json=as_json)
