"""The sub-commands `millrace users …`, `millrace clients …` and `millrace keys …`, as millrace.cli has the others."""

from pathlib import Path
from typing import Annotated

import typer

users = typer.Typer(no_args_is_help=True, help="Users of this installation.")
clients = typer.Typer(no_args_is_help=True, help="Machines that log in with a secret (OAuth 2 client credentials).")
keys = typer.Typer(no_args_is_help=True, help="The keys that sign tokens.")

PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="The password's file; `-` reads one line of stdin. Without: no password."),
]


@users.command()
def create(
    name: Annotated[str, typer.Argument(help="User name.")],
    role: Annotated[list[str], typer.Option("--role", help="customer, merchant, operator, finance, …; repeatable.")],
    email: Annotated[str, typer.Option(help="E-mail address.")] = "",
    password_file: PasswordFile = None,
) -> None:
    """Make a user, for example the first admin; prints the id."""
    from millrace.identity.command import run_create

    run_create(name, role, email, password_file)


@users.command()
def password(
    name: Annotated[str, typer.Argument(help="User name.")],
    password_file: PasswordFile = Path("-"),
) -> None:
    """Set a user's password and end all of the user's sessions."""
    from millrace.identity.command import run_password

    run_password(name, password_file)


@users.command()
def roles(
    name: Annotated[str, typer.Argument(help="User name.")],
    role: Annotated[list[str], typer.Option("--role", help="All that the user has from now on; repeatable.")],
) -> None:
    """Give a user other roles, in force with the next access token: five minutes at most."""
    from millrace.identity.command import run_roles

    run_roles(name, role)


@users.command()
def suspend(name: Annotated[str, typer.Argument(help="User name.")]) -> None:
    """Let a user in no more: no login, every session ended, API keys refused."""
    from ingest_api.identity.users.user import UserStatus
    from millrace.identity.command import run_status

    run_status(name, UserStatus.SUSPENDED)


@users.command()
def restore(name: Annotated[str, typer.Argument(help="User name.")]) -> None:
    """Let a suspended user in again."""
    from ingest_api.identity.users.user import UserStatus
    from millrace.identity.command import run_status

    run_status(name, UserStatus.ACTIVE)


@clients.command(name="create")
def create_client(
    client_id: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    scope: Annotated[list[str], typer.Option("--scope", help="What it may do; repeatable.")],
) -> None:
    """Make a client; prints its secret, this once."""
    from millrace.identity.command import run_create_client

    run_create_client(client_id, scope)


@clients.command(name="revoke")
def revoke_client(client_id: str) -> None:
    """No further token for this client."""
    from millrace.identity.command import run_revoke_client

    run_revoke_client(client_id)


@keys.command()
def rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="A key leaked: the new one signs now, all tokens of before are refused.")
    ] = False,
) -> None:
    """Put a new key in front. It signs ten minutes later; the one before verifies until its last token has expired."""
    from millrace.identity.command import run_rotate

    run_rotate(at_once=at_once)
