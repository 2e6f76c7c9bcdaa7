"""The sub-commands `millrace quarantine …`, as millrace.cli has the others."""

from typing import Annotated

import typer

from millrace.remote.options import AsJson, FarProfile, FarUrl, Where

app = typer.Typer(no_args_is_help=True, help="What could not be decided: look at it, redrive it, discard it.")
OfReason = Annotated[str | None, typer.Option(help="Only cases set aside for this reason.")]
Actor = Annotated[str, typer.Option("--as", help="Who is doing this; your account's name by default. Not with --url.")]


@app.command(name="list")
def list_cases(
    status: Annotated[str, typer.Option(help="open, redriving, redriven, discarded or all.")] = "open",
    reason: OfReason = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Show the cases, newest first."""
    from millrace.quarantine.command import run_list

    run_list(Where(url, profile), status=status, reason=reason, limit=limit, as_json=as_json)


@app.command()
def inspect(
    case: Annotated[str, typer.Argument(help="As the list names it.")],
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Show one case: its bytes, what is wrong with them, and what to do about it."""
    from millrace.quarantine.command import run_inspect

    run_inspect(Where(url, profile), case, as_json=as_json)


@app.command()
def redrive(
    cases: Annotated[list[str] | None, typer.Argument(help="As the list names them.", show_default=False)] = None,
    reason: OfReason = None,
    everything: Annotated[bool, typer.Option("--all", help="Every case that is not resolved.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what can't be decided as it is.")] = False,
    who: Actor = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Send cases again, once, with the idempotency key that they have. Exits 1 when one is refused."""
    from millrace.quarantine.command import run_redrive

    if sum((bool(cases), reason is not None, everything)) != 1:
        raise typer.BadParameter("name cases, or give --reason, or --all")
    run_redrive(Where(url, profile), cases or [], reason=reason, force=force, who=who, as_json=as_json)


@app.command()
def discard(
    cases: Annotated[list[str], typer.Argument(help="As the list names them.")],
    because: Annotated[str, typer.Option(help="Why; it is kept.")],
    who: Actor = "",
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Give cases up. Nothing is deleted. Exits 1 when one is refused."""
    from millrace.quarantine.command import run_discard

    if not because.strip():
        raise typer.BadParameter("may not be blank", param_hint="--because")
    run_discard(Where(url, profile), cases, because=because, who=who, as_json=as_json)
