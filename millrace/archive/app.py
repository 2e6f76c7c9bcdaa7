"""The sub-commands `millrace archive …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Closed segments of the log as files, kept for ever.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ArchiveFolder = Annotated[Path | None, typer.Option("--archive", help="The folder; default MILLRACE_ARCHIVE_DIR.")]


@app.command(name="run")
def run_archiver(
    folder: ArchiveFolder = None,
    once: Annotated[bool, typer.Option("--once", help="Archive what is there now, then return.")] = False,
    skip_deleted: Annotated[
        bool, typer.Option("--skip-deleted", help="Go on behind records deleted before they were archived.")
    ] = False,
) -> None:
    """Run the archiver in the foreground (`millrace up` runs one where MILLRACE_ARCHIVE_DIR is set)."""
    from millrace.archive.command import run

    run(archive=folder, once=once, skip_deleted=skip_deleted)


@app.command(name="list")
def list_archive(folder: ArchiveFolder = None, as_json: AsJson = False) -> None:
    """Show what is archived of each partition."""
    from millrace.archive.command import run_list

    run_list(archive=folder, as_json=as_json)


@app.command(name="verify")
def verify_archive(
    folder: ArchiveFolder = None,
    offline: Annotated[bool, typer.Option("--offline", help="The files alone, without the brokers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every hash, link and gap, and each record beside the brokers' own. Exits 1 on a difference."""
    from millrace.archive.command import run_verify

    run_verify(archive=folder, offline=offline, as_json=as_json)
