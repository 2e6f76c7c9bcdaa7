"""The sub-commands `millrace recon …`, as millrace.cli has the others."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from millrace.reconciliation.internal_app import internal
from millrace.remote.options import AsJson, FarProfile, FarUrl, Where

if TYPE_CHECKING:
    from millrace.reconciliation.desk import Asked

app = typer.Typer(no_args_is_help=True, help="What banks and providers say against what the books say.")
app.add_typer(internal, name="internal")


@app.command()
def tie(
    reports: Annotated[
        Path, typer.Option(help="camt.052, a file a day: 2024-03-11.xml.", exists=True, file_okay=False)
    ],
    details: Annotated[Path, typer.Option(help="camt.054, under the same names.", exists=True, file_okay=False)],
    since: Annotated[str, typer.Option(help="Dates before this one stay single-sided: 2024-03-07.")] = "",
    as_json: AsJson = False,
) -> None:
    """Does every day's notification name every payment that its report counts?"""
    from millrace.reconciliation.ties import run_tie

    run_tie(reports, details, since=since, as_json=as_json)


@app.command()
def match(
    internal: Annotated[list[Path], typer.Option(help="CSV of the own books; several times.", dir_okay=False)],
    rules: Annotated[Path, typer.Option(help="YAML: Millrace's rules, or an OpenRec charter.", dir_okay=False)],
    external: Annotated[list[Path] | None, typer.Option(help="CSV of the other side; several times.")] = None,
    as_of: Annotated[str, typer.Option(help="What is open is aged until this date; default the newest line's.")] = "",
    changes: Annotated[list[Path] | None, typer.Option(help="Changeset of a charter, JSON; several times.")] = None,
    lookups: Annotated[list[Path] | None, typer.Option(help="Folder of a charter's lookup files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which lines belong together and why, and what is broken between the rest."""
    from millrace.reconciliation.matching import run_match

    run_match(
        rules, internal, external or [], as_of=as_of, changes=changes or [], lookups=lookups or [], as_json=as_json
    )


FeeLines = Annotated[
    bool, typer.Option("--fee-lines", help="The books have each fee as a line of its own, as the ledger posts it.")
]


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Folder for the files; made where it is missing.", file_okay=False)],
    payments: Annotated[
        Path | None,
        typer.Option(
            help="CSV: reference, amount_minor, fee_minor, currency, date; default the ledger.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many payments of the ledger, the newest.")] = 100_000,
    faults: Annotated[int, typer.Option(min=0, help="So many of each kind; 0 makes clean files.")] = 0,
    seed: Annotated[int, typer.Option(help="The same one gives the same files.")] = 1,
    fee_lines: FeeLines = False,
    as_json: AsJson = False,
) -> None:
    """Write settlement files of payments in the shapes of Stripe, Adyen, PayPal, camt.053, BAI2 and MT940."""
    from millrace.reconciliation.generated import run_generate

    run_generate(out, payments, limit=limit, faults=faults, seed=seed, fee_lines=fee_lines, as_json=as_json)


@app.command()
def prove(
    lines: Annotated[int, typer.Option(min=100, help="Payments that are made up.")] = 101_000,
    faults: Annotated[int, typer.Option(min=1, help="So many of each kind; files are cut once a shape.")] = 40,
    seed: Annotated[int, typer.Option(help="The same one gives the same files and faults.")] = 1,
    fee_lines: FeeLines = False,
    as_json: AsJson = False,
) -> None:
    """Precision and recall of break detection on files with seeded faults. Exits 1 where one of them is below 1."""
    from millrace.reconciliation.generated import run_prove

    run_prove(lines, faults, seed, fee_lines=fee_lines, as_json=as_json)


@app.command()
def chain(
    folder: Annotated[Path, typer.Argument(help="Statements in any format.", exists=True, file_okay=False)],
    calendar: Annotated[
        str, typer.Option(help="TARGET, US_FED, WEEKDAYS or EVERY_DAY: which days are neighbours.")
    ] = "TARGET",
    as_json: AsJson = False,
) -> None:
    """Does every statement add up, and does it open where the one of the business day before closed?"""
    from millrace.reconciliation.ties import run_chain
    from reconciliation.matching.calendars import Calendar

    if calendar not in set(Calendar):
        raise typer.BadParameter(f"one of {', '.join(Calendar)}", param_hint="--calendar")
    run_chain(folder, Calendar(calendar), as_json=as_json)


By = Annotated[str, typer.Option("--by", help="Who does it; by default the user of this shell. Not with --url.")]


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of them.", exists=True)],
    source: Annotated[str, typer.Option(help="Who sent them: a bank's BIC, `stripe`.")],
    profile: Annotated[
        Path | None, typer.Option(help="YAML: how a table is read.", exists=True, dir_okay=False)
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Take files in, each whole or not at all; the same file twice is refused. Exits 1 where one can't be read."""
    from millrace.reconciliation.files import run_import

    if not source.strip():
        raise typer.BadParameter("name who sent the files", param_hint="--source")
    run_import(paths, source=source, profile=profile, by=by, as_json=as_json)


@app.command()
def files(
    source: Annotated[str, typer.Option(help="Only of this one.")] = "",
    limit: Annotated[int, typer.Option("-n", "--lines", min=1, max=1_000, help="How many of the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the files that were brought, and what became of them."""
    from millrace.reconciliation.files import run_files

    run_files(limit=limit, source=source, as_json=as_json)


@app.command()
def run(
    rules: Annotated[Path, typer.Option(help="YAML: docs/reconciliation.md.", exists=True, dir_okay=False)],
    cut_off: Annotated[
        str, typer.Option(help="What came later is not in it: a time, or a day for its end. Default now.")
    ] = "",
    first: Annotated[str, typer.Option("--from", help="Days before are not looked at: 2026-11-01.")] = "",
    last: Annotated[str, typer.Option("--to", help="Nor days after; by default the day of the cut-off.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Compare the ledger with the files that were imported: matches, breaks, tie-out, and one hash of it all."""
    from millrace.reconciliation.running import run_run

    run_run(rules, cut_off=cut_off, first=first, last=last, by=by, as_json=as_json)


@app.command()
def breaks(
    id_: Annotated[str, typer.Argument(metavar="[BREAK]", help="One break, with its lines and its trail.")] = "",
    order: Annotated[str, typer.Option(help="`value`, the largest first, or `age`, the oldest first.")] = "value",
    rules: Annotated[str, typer.Option(help="Only of this rule set.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    status: Annotated[str, typer.Option(help="Of this status; by default all that are not dealt with.")] = "",
    owner: Annotated[str, typer.Option(help="Only of this person.")] = "",
    limit: Annotated[int, typer.Option("-n", "--lines", min=1, max=10_000, help="How many.")] = 50,
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """List what does not tie, or look into one break."""
    from millrace.reconciliation.desk import run_breaks
    from reconciliation.breaks.machine import Status
    from reconciliation.breaks.reads import Wanted
    from reconciliation.matching.breaks import BreakType

    if order not in {"value", "age"}:
        raise typer.BadParameter("value or age", param_hint="--order")
    types, statuses = [str(one) for one in BreakType], [str(one) for one in Status]
    for text, known, option in ((kind, types, "--type"), (status, statuses, "--status")):
        if text and text not in known:
            raise typer.BadParameter(f"one of {', '.join(known)}", param_hint=option)
    wanted, where = Wanted(order, rules, kind, status, owner), Where(url, profile)
    if where.is_remote:
        from millrace.reconciliation import far

        far.run_breaks(where, id_, wanted, limit, as_json=as_json)
        return
    run_breaks(id_, wanted, limit, as_json=as_json)


@app.command()
def propose(
    id_: Annotated[str, typer.Argument(metavar="BREAK")],
    because: Annotated[str, typer.Option(help="Why; it is kept.")],
    kind: Annotated[str, typer.Option(help="adjust, write_off or explain.")],
    reason_code: Annotated[str, typer.Option(help="PROVIDER_FEE, ROUNDING …")],
    leg: Annotated[list[str] | None, typer.Option(help="debit:fees:1.00:EUR; of a journal, several times.")] = None,
    by: By = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Propose what to do about a break: a journal that balances, or an explanation. A second person approves it."""
    from millrace.reconciliation.desk import Asked

    if kind not in {"adjust", "write_off", "explain"}:
        raise typer.BadParameter("adjust, write_off or explain", param_hint="--kind")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,39}", reason_code):
        raise typer.BadParameter("capitals, digits and _, such as PROVIDER_FEE", param_hint="--reason-code")
    asked = Asked("propose", by, because, kind=kind, reason_code=reason_code, legs=tuple(leg or ()))
    _resolve(Where(url, profile), id_, asked, as_json=as_json)


@app.command()
def resolve(
    id_: Annotated[str, typer.Argument(metavar="BREAK")],
    action: Annotated[str, typer.Argument(help="approve, reject, withdraw, reopen, assign, comment or attach.")],
    because: Annotated[str, typer.Option(help="Why; it is kept.")],
    owner: Annotated[str, typer.Option(help="With assign: who deals with it.")] = "",
    file: Annotated[Path | None, typer.Option(help="With attach.", exists=True, dir_okay=False)] = None,
    by: By = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Do something about a break. Who approves is never who proposed; an approved adjustment is posted at once."""
    from millrace.reconciliation.desk import Asked

    needs = {"assign": (owner, "--owner"), "attach": (file, "--file")}
    if action not in {"assign", "comment", "attach", "approve", "reject", "withdraw", "reopen"}:
        actions = "approve, reject, withdraw, reopen, assign, comment or attach"
        raise typer.BadParameter(f"one of {actions}", param_hint="ACTION")
    if action in needs and not needs[action][0]:
        raise typer.BadParameter(f"{action} needs it", param_hint=needs[action][1])
    _resolve(Where(url, profile), id_, Asked(action, by, because, owner, attachment=file), as_json=as_json)


def _resolve(where: Where, id_: str, asked: "Asked", *, as_json: bool) -> None:
    from millrace.reconciliation import desk, far

    if not asked.because.strip():
        raise typer.BadParameter("say why: it is kept with the break", param_hint="--because")

    if where.is_remote:
        far.run_resolve(where, id_, asked, as_json=as_json)
    else:
        desk.run_resolve(id_, asked, as_json=as_json)


@app.command()
def post(as_json: AsJson = False) -> None:
    """Send approved adjustments that are not in the ledger yet, and take over what it has said of the others."""
    from millrace.reconciliation.desk import run_post

    run_post(as_json=as_json)


@app.command()
def sign(
    run: Annotated[str, typer.Argument(help="A run, or a rule set: its newest run.")] = "",
    note: Annotated[str, typer.Option(help="What is signed with it.")] = "",
    reopen: Annotated[str, typer.Option(help="Instead take this signature back.")] = "",
    because: Annotated[str, typer.Option(help="With --reopen: why.")] = "",
    by: By = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Put a name under the result of a run: its days are locked."""
    from millrace.reconciliation.desk import run_sign

    if bool(reopen) != bool(because):
        raise typer.BadParameter("--reopen and --because need each other", param_hint="--reopen")
    where = Where(url, profile)
    if where.is_remote:
        from millrace.reconciliation import far

        far.run_sign(where, run, note=note, reopen=reopen, because=because, by=by, as_json=as_json)
        return
    run_sign(run, note=note, reopen=reopen, because=because, by=by, as_json=as_json)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="report.csv, report.xlsx or report.pdf.", dir_okay=False)],
    run: Annotated[str, typer.Argument(help="A run, or a rule set: its newest run.")] = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run: tie-out, match rate, breaks by value and age, and the lines behind them."""
    from millrace.reconciliation.desk import run_report

    where = Where(url, profile)
    if where.is_remote:
        from millrace.reconciliation import far

        far.run_report(where, run, out, as_json=as_json)
        return
    run_report(run, out, as_json=as_json)


Plan = Annotated[
    Path | None,
    typer.Option(help="YAML: docs/reconciliation.md; default MILLRACE_RECON_PLAN_FILE.", exists=True, dir_okay=False),
]


@app.command()
def follow(plan: Plan = None) -> None:
    """Open and close breaks as payments and files come, in the foreground (`millrace up` does, given a plan)."""
    from millrace.reconciliation.nightly.scheduled import run_follow
    from runtime.log_lines import log_to_stderr

    log_to_stderr()
    raise SystemExit(run_follow(plan))


@app.command()
def nights(plan: Plan = None) -> None:
    """Take in files and run at their times, in the foreground (`millrace up` does, given a plan)."""
    from millrace.reconciliation.nightly.scheduled import run_nights
    from runtime.log_lines import log_to_stderr

    log_to_stderr()
    raise SystemExit(run_nights(plan))


@app.command()
def schedule(plan: Plan = None, as_json: AsJson = False) -> None:
    """Show when each rule set runs next and ran last, what is missing, and how far it is followed."""
    from millrace.reconciliation.nightly.scheduled import run_schedule

    run_schedule(plan, as_json=as_json)
