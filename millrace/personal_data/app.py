"""The sub-commands of `millrace personal-data`; what they do is imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Personal data: wrapping keys, erasure and its certificates.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add_key(key_id: Annotated[str, typer.Argument(help="Lower-case letters, digits, dots, hyphens.")]) -> None:
    """Add a wrapping key to the keyring and make it the current one."""
    from millrace.personal_data.command import run_add_key

    run_add_key(key_id)


@app.command()
def rewrap(as_json: AsJson = False) -> None:
    """Move every key under the current wrapping key and show which are in use."""
    from millrace.personal_data.command import run_rewrap

    run_rewrap(as_json=as_json)


@app.command()
def erase(user: Annotated[str, typer.Argument(help="usr_…")], as_json: AsJson = False) -> None:
    """Erase a user for ever and print the certificate; for one erased before, the same certificate."""
    from millrace.personal_data.command import run_erase

    run_erase(user, as_json=as_json)


@app.command()
def verify(
    certificate: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file with the certificate.")],
    public_key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Of the installation that signed it; default ours.")
    ] = None,
    ledger: Annotated[bool, typer.Option(help="Also check the ledger's hash chain before and after.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check a certificate, and that the ledger's chain gives the hashes it names and holds to its end."""
    from millrace.personal_data.command import run_verify

    run_verify(certificate, public_key, ledger=ledger, as_json=as_json)


@app.command()
def public_key() -> None:
    """Print the public key that certificates are checked with (a JWK)."""
    from millrace.personal_data.command import run_public_key

    run_public_key()
