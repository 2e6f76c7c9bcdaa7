"""What `millrace statement` and `millrace balance` do: the same queries as the API's, on a connection of their own."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import typer
from rich.table import Table

from ingest_api.http.resources import Balance
from ingest_api.problems import Problem
from ingest_api.reads.accounts import find_balance, known_account
from ingest_api.reads.database import Database, DatabaseUnavailable
from ingest_api.statements.download import READING
from ingest_api.statements.formats.files import FORMATS, StatementFormat
from ingest_api.statements.moments import named_period, past_utc
from ingest_api.statements.month import rendered
from millrace.cli import EXIT_FAILED
from millrace.commands.output import print_failure, print_json, screen
from millrace.environment import connected
from runtime.settings import Settings

_FIGURES: Final = ("posted", "available", "held", "incoming")
T = TypeVar("T")


def run_statement(
    account: str, asked: tuple[str | None, str | None], format_: StatementFormat, out: Path | None
) -> None:
    """To a file (which is there when it is complete), or to stdout. `asked`: month or year."""

    async def write(database: Database, to: BinaryIO) -> None:
        parts = rendered(database, known_account(account), named_period(*asked), FORMATS[format_].begin())
        async with aclosing(parts):
            async for part in parts:
                to.write(part)

    with _faults_shown(), nullcontext(sys.stdout.buffer) if out is None else _complete_file(out) as to:
        _with_database(lambda database: write(database, to))


def run_balance(account: str, at: datetime | None, *, as_json: bool) -> None:
    """A table of the four figures, or the answer of the API."""
    with _faults_shown():
        found: Balance = _with_database(lambda database: find_balance(database, known_account(account), past_utc(at)))
    if as_json:
        print_json(found)
        return
    table = Table(f"{found.account} {found.currency}", found.as_of, box=None)
    for name in _FIGURES:
        table.add_row(name, getattr(found, name))
    screen.print(table)


def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        database = Database(connected(Settings()).database_url, 1, 1, READING)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


@contextmanager
def _complete_file(path: Path) -> Iterator[BinaryIO]:
    """Written beside it, and put in its place at the end."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _faults_shown() -> Iterator[None]:
    """A refusal, or a database that does not answer, as one line on stderr and exit code 1."""
    try:
        yield
    except (Problem, DatabaseUnavailable, OSError) as fault:
        print_failure(fault)
        raise typer.Exit(EXIT_FAILED) from fault
