"""The sub-commands `millrace recon …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="What banks and providers say against what the books say.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
