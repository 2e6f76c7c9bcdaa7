"""One command's client, and how what goes wrong is told: a sentence that says what to do, and an exit code.

Exit codes: 1 refused or failed, 3 nobody answers, 5 it is not known whether a payment was taken.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_UNKNOWN
from millrace.client.clients import Client
from millrace.client.faults import ClientError, ConnectionFailed, OutcomeUnknown, Problem, SecondFactorRequired
from millrace.client.retries import RetryPolicy
from millrace.commands.output import faults_shown, print_failure, print_json
from millrace.remote import profiles


@contextmanager
def session(
    url: str | None, profile: str | None, *, as_json: bool, retries: RetryPolicy | None = None
) -> Iterator[Client]:
    """A client for one command; ends the process where a call fails."""
    with faults_shown(as_json=as_json):
        chosen = _chosen(url, profile, as_json=as_json)
        try:
            with Client(chosen.url, chosen.credentials, retries=retries) as client:
                yield client
        except ClientError as error:
            _end(_document(error), _advice(error), _exit_code(error), as_json=as_json)
        except ValueError as wrong:  # an argument that can't be sent
            _end({"error": str(wrong)}, str(wrong), EXIT_FAILED, as_json=as_json)


def _chosen(url: str | None, profile: str | None, *, as_json: bool) -> profiles.Profile:
    try:
        return profiles.chosen(url, profile)
    except profiles.ProfileRefused as refused:
        _end({"error": str(refused)}, str(refused), EXIT_FAILED, as_json=as_json)


def _exit_code(error: ClientError) -> int:
    if isinstance(error, OutcomeUnknown):
        return EXIT_UNKNOWN
    return EXIT_NOT_RUNNING if isinstance(error, ConnectionFailed) else EXIT_FAILED


def _document(error: ClientError) -> dict[str, Any]:
    if isinstance(error, Problem):
        return {"error": str(error), "idempotency_key": error.idempotency_key, **error.members}
    return {"error": str(error), "idempotency_key": error.idempotency_key}


def _advice(error: ClientError) -> str:
    if isinstance(error, OutcomeUnknown) and error.idempotency_key:
        return f"it is not known whether this was taken. Run it again with --key {error.idempotency_key}"
    if isinstance(error, ConnectionFailed):
        return f"nobody answers, and nothing was taken ({error}). Is the address right, and the API up?"
    if isinstance(error, SecondFactorRequired):
        return f"{error} Use a profile with a username: the code is asked for."
    if isinstance(error, Problem) and error.request_id:
        return f"{error} (request {error.request_id})"
    return str(error)


def _end(document: dict[str, Any], text: str, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json(document)
    else:
        print_failure(text)
    raise typer.Exit(code)
