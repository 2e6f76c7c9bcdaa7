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
