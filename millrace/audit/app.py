"""The sub-commands `millrace audit …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

from millrace.remote.options import AsJson, FarProfile, FarUrl, Where

app = typer.Typer(no_args_is_help=True, help="Prove the books.")

ReadArchive = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        exists=True,
        file_okay=False,
        help="Read what the brokers deleted from this folder; default MILLRACE_ARCHIVE_DIR.",
    ),
]


@app.command()
def verify(folder: ReadArchive = None, as_json: AsJson = False) -> None:
    """Recompute every decision, balance and hash from the log and compare with Postgres. Exits 1 on a difference."""
    from millrace.audit.command import run

    run(archive=folder, as_json=as_json)


@app.command()
def log(
    verified: Annotated[bool, typer.Option("--verify", help="Compute every hash; exits 1 on a difference.")] = False,
    head: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="With --verify: a head that was kept elsewhere must be in it. Not with --url.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--lines", min=1, max=1_000, help="How many of the latest.")] = 50,
    url: FarUrl = None,
    profile: FarProfile = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what, or prove that nobody has changed the record of it."""
    from millrace.audit.log import run_log, run_verify

    if verified:
        run_verify(Where(url, profile), head=head, as_json=as_json)
    else:
        run_log(Where(url, profile), limit=limit, as_json=as_json)
