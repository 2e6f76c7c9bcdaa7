"""The sub-commands `millrace screening …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Names against sanctions lists.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def evaluate(
    pairs: Annotated[Path, typer.Argument(help="CSV: name1, name2, is_match (true, false), schema.", dir_okay=False)],
    cross_validate: Annotated[
        bool, typer.Option("--cross-validate", help="Also with weights chosen on other pairs; about a minute.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the name comparison on labelled pairs."""
    from millrace.screening.command import run_evaluate

    run_evaluate(pairs, cross_validate=cross_validate, as_json=as_json)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="As it is written, in any script.")],
    lists: Annotated[list[Path], typer.Option("--list", help="A list file of OFAC, the UN or the EU; several times.")],
    schema: Annotated[str, typer.Option(help="person, organization, vessel or aircraft; default any.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show who on the lists a name may be, and what differs."""
    from millrace.screening.command import run_check
    from payments.screening.names import Schema

    if schema not in {"", *Schema}:
        raise typer.BadParameter(f"one of {', '.join(Schema)}", param_hint="--schema")
    run_check(name, lists, schema=Schema(schema) if schema else None, as_json=as_json)


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="As published; OFAC's CSV files together.", dir_okay=False)],
    source: Annotated[str, typer.Option("--list", help="ofac, un or eu.")],
    label: Annotated[str, typer.Option("--version", help="What the publisher calls this version.")] = "",
    may_shrink: Annotated[
        bool, typer.Option("--may-shrink", help="Also where more than a fifth of the entries is gone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a published list the one in force. The same list again changes nothing."""
    from millrace.screening.lists import run_load
    from payments.screening.entries import Source

    if source not in {*Source}:
        raise typer.BadParameter(f"one of {', '.join(Source)}", param_hint="--list")
    run_load(files, Source(source), label=label, may_shrink=may_shrink, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the lists in force, how many parties have met them, and the hits."""
    from millrace.screening.lists import run_status

    run_status(as_json=as_json)


@app.command()
def rescreen(as_json: AsJson = False) -> None:
    """Compare everybody with what the lists have brought since they were screened, and with nothing else."""
    from millrace.screening.lists import run_rescreen

    run_rescreen(as_json=as_json)
