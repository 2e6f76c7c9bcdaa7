"""The sub-commands `millrace rules …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Risk rules: check a rule set, put it in force.")

Document = Annotated[Path, typer.Argument(help="YAML, as docs/risk.md tells.", exists=True, dir_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def check(document: Document, as_json: AsJson = False) -> None:
    """Say what is wrong with a rule set, line by line. Exits 1 where anything is."""
    from millrace.rules.command import run_check

    run_check(document, as_json=as_json)


@app.command()
def publish(document: Document, as_json: AsJson = False) -> None:
    """Put a rule set in force at every shard. Its version has to be newer than the one in force."""
    from millrace.rules.command import run_publish

    run_publish(document, as_json=as_json)
