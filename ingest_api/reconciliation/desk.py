"""Blocking work of reconciliation beside the loop: two threads with a connection per call, a third one for what takes
seconds (files, runs, reports), so that neither hinders paying callers nor each other.
"""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final, TypeVar
from uuid import UUID

import psycopg
from psycopg import Connection

from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import DatabaseUnavailable
from payments.identifiers import parse_id
from reconciliation.breaks.desk import ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX
from reconciliation.breaks.machine import Refusal
from reconciliation.runs.signing import SignRefusal
from runtime import migrate
from runtime.postgres import RECONCILIATION, open_session
from runtime.settings import Settings

T = TypeVar("T")

MIGRATIONS: Final = "reconciliation", "reconciliation.internal"
_DESKS: Final = ThreadPoolExecutor(RECONCILIATION - 1, "reconciliation")
_LONG: Final = ThreadPoolExecutor(1, "reconciliation-long")
_migrated: Final[set[str]] = set()
"""Databases whose tables are there."""

_OF_BREAKS: Final = {
    Refusal.UNKNOWN: (Fault.BREAK_UNKNOWN, "GET /v1/reconciliation/breaks lists them."),
    Refusal.STATUS: (Fault.BREAK_STATUS, "Look at the break: its trail shows what has happened."),
    Refusal.FOUR_EYES: (Fault.SECOND_PERSON, "Who proposes does not approve."),
    Refusal.PERIOD_SIGNED: (Fault.PERIOD_SIGNED, "Take the signature back first."),
    Refusal.LEGS: (
        Fault.ADJUSTMENT_INVALID,
        "Two legs or more that balance in every currency; an explanation has none.",
    ),
    Refusal.TOO_LARGE: (Fault.ATTACHMENT_TOO_LARGE, f"At most {ATTACHMENT_BYTES_MAX} bytes."),
    Refusal.TOO_MANY: (Fault.ATTACHMENTS_TOO_MANY, f"A break has at most {ATTACHMENTS_MAX} documents."),
}
_OF_SIGNATURES: Final = {
    SignRefusal.UNKNOWN: (Fault.RECONCILIATION_UNKNOWN, "GET /v1/reconciliation/runs lists them."),
    SignRefusal.STALE: (Fault.RUN_OUTDATED, "Sign the newest run of these days."),
    SignRefusal.OVERLAPS: (Fault.PERIOD_SIGNED, "Some of the days are signed: take that signature back first."),
    SignRefusal.WAITING: (Fault.PROPOSALS_WAITING, "Decide about the adjustments of these days first."),
    SignRefusal.SIGN_OFF_UNKNOWN: (Fault.RECONCILIATION_UNKNOWN, "There is no such signature, or it is taken back."),
}


async def at_the_desk(settings: Settings, work: Callable[[Connection], T], *, takes_long: bool = False) -> T:
    """Run blocking work on a connection of its own. Raises DatabaseUnavailable and what the work raises."""

    def run() -> T:
        try:
            _migrate(settings.database_url)
            with closing(open_session(settings.database_url, "millrace recon")) as connection:
                connection.autocommit = True
                return work(connection)
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, TimeoutError) as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    return await get_running_loop().run_in_executor(_LONG if takes_long else _DESKS, run)


def _migrate(dsn: str) -> None:
    if dsn not in _migrated:
        open_session(dsn, "millrace recon").close()  # a Postgres that is away is noticed at once, not after 30 s
        for package in MIGRATIONS:
            migrate.up(dsn, package)
        _migrated.add(dsn)


def taken(found: T | Refusal | SignRefusal) -> T:
    """What was done. Raises Problem where it was refused."""
    if isinstance(found, Refusal | SignRefusal):
        raise Problem(*(_OF_BREAKS[found] if isinstance(found, Refusal) else _OF_SIGNATURES[found]))
    return found


def known(found: T | None) -> T:
    """What was looked for. Raises Problem 404."""
    if found is None:
        raise Problem(Fault.RECONCILIATION_UNKNOWN, "Check the id: the lists show what there is.")
    return found


def id_of(kind: str, text: str, fault: Fault = Fault.RECONCILIATION_UNKNOWN) -> UUID:
    """An id in a path. Raises Problem 404 for a text that names nothing."""
    id_ = parse_id(kind, text)
    if id_ is None:
        raise Problem(fault, "Check the id: the lists show what there is.")
    return UUID(bytes=id_)
