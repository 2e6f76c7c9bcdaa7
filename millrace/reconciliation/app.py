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
