"""`millrace screening load|status|rescreen`: lists into Postgres, how screening stands, and who meets what is new."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row
from rich.table import Table
from rich.text import Text

from millrace.commands.output import Shown, faults_shown, print_json, screen
from millrace.environment import EnvironmentFault, connected
from millrace.environment.progress import Progress, Silent
from millrace.screening.command import read_lists, refusals_shown
from payments.screening.entries import Source
from runtime import migrate
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.personal_data.store import PersonalData
from runtime.postgres import connect
from runtime.settings import Settings
from screening.hits import brought_by, rescreened, rescreens_due, screen_subject
from screening.lists.published import PublishedList
from screening.parties import parties_due
from screening.stored_lists import KEPT_AT_LEAST_PERCENT, Loaded, LoadRefused, load_list

MIGRATIONS: Final = "screening"
_REFUSED: Final = {
    LoadRefused.EMPTY: "the list has no entries: download it again from its publisher",
    LoadRefused.SHRANK: f"it has less than {KEPT_AT_LEAST_PERCENT} % of the entries in force, as a file that was cut"
    " short has: download it again, or say --may-shrink",
}
_LISTS: Final = """
SELECT DISTINCT ON (source) source, version, label, entries, loaded_at FROM screening_lists
ORDER BY source, version DESC"""
_STANDING: Final = """
SELECT (SELECT count(*) FROM screening_parties) AS parties,
    (SELECT count(*) FROM screening_parties WHERE screened_version IS NULL) AS unscreened,
    (SELECT count(*) FROM screening_parties
     WHERE screened_version < (SELECT max(version) FROM screening_lists)) AS due,
    (SELECT count(*) FROM screening_hits WHERE status = 1) AS open_hits,
    (SELECT count(*) FROM screening_hits WHERE status = 2) AS false_positives,
    (SELECT count(*) FROM screening_hits WHERE status = 3) AS true_matches,
    (SELECT count(*) FROM screening_blocks WHERE released_at IS NULL) AS blocked_accounts"""


class LoadFigures(msgspec.Struct):
    """What loading a list changed; `is_new` False: it was in force already."""

    source: str
    version: int
    is_new: bool
    entries: int
    added: int
    changed: int
    removed: int
    skipped: dict[str, int]


class RescreenFigures(msgspec.Struct):
    """Over all versions that were due. A party counts once for each version that it had not met."""

    versions: list[int]
    comparisons: int = 0
    new_hits: int = 0


class ListInForce(msgspec.Struct):
    """The newest version of a list."""

    source: str
    version: int
    label: str
    entries: int
    loaded_at: str


class Status(msgspec.Struct):
    """Lists in force, and how many parties and hits stand how. `due` have not met the newest version."""

    lists: list[ListInForce]
    parties: int
    unscreened: int
    due: int
    open_hits: int
    false_positives: int
    true_matches: int
    blocked_accounts: int


def run_load(files: Sequence[Path], source: Source, *, label: str, may_shrink: bool, as_json: bool) -> None:
    """Make a published list the one in force."""
    progress: Progress = Silent() if as_json else Shown()
    with faults_shown(as_json=as_json), refusals_shown(), _postgres() as (_, connection):
        published = _only(list(read_lists(files, progress)), source)
        progress.step(f"storing {len(published.entries):,} entries")
        loaded = load_list(connection, published, label=label, may_shrink=may_shrink)
        if isinstance(loaded, LoadRefused):
            raise EnvironmentFault(f"{source}: {_REFUSED[loaded]}")
    figures = _figures(published, loaded)
    if as_json:
        print_json(figures)
        return
    said = f"{source} version {figures.version}: {figures.entries:,} entries, {figures.added:,} added"
    screen.print(
        f"{said}, {figures.changed:,} changed, {figures.removed:,} removed; now `millrace screening rescreen`"
        if figures.is_new
        else f"{source} version {figures.version} is in force already"
    )


def _only(found: list[PublishedList], source: Source) -> PublishedList:
    others = [one.source for one in found if one.source is not source]
    if others:
        raise EnvironmentFault(f"the files hold the list of {others[0]}, not of {source}: say --list {others[0]}")
    if len(found) != 1:
        raise EnvironmentFault(f"the files hold {len(found)} lists of {source}: load one at a time")
    return found[0]


def _figures(published: PublishedList, loaded: Loaded) -> LoadFigures:
    added, changed, removed = map(len, loaded.delta)
    return LoadFigures(
        source=published.source,
        version=loaded.version,
        is_new=bool(added or changed or removed),
        entries=len(published.entries),
        added=added,
        changed=changed,
        removed=removed,
        skipped={reason.value: count for reason, count in published.skipped.items()},
    )


def run_rescreen(*, as_json: bool) -> None:
    """Everybody against what the lists have brought since the last time."""
    progress: Progress = Silent() if as_json else Shown()
    with faults_shown(as_json=as_json), _postgres() as (settings, connection):
        figures = asyncio.run(_rescreen(settings, connection, progress))
    if as_json:
        print_json(figures)
    else:
        screen.print(
            f"{len(figures.versions)} list versions, {figures.comparisons:,} times a party met one,"
            f" {figures.new_hits:,} new hits"
        )


async def _rescreen(settings: Settings, connection: Connection, progress: Progress) -> RescreenFigures:
    """Names are opened a batch at a time, so memory does not grow with the parties."""
    keyring = Keyring.of(settings)
    personal = PersonalData(keyring)
    figures = RescreenFigures(rescreens_due(connection))
    async with await AsyncConnection.connect(settings.database_url, autocommit=True) as reading:
        await personal.require_same_keys(reading)
        for version in figures.versions:
            progress.step(f"version {version}")
            lists = brought_by(connection, version)
            async for batch in parties_due(reading, personal, version):
                figures.comparisons += len(batch)
                for subject in batch:
                    figures.new_hits += len(screen_subject(connection, lists, subject, keyring.index_key))
                progress.step(f"version {version}: {figures.comparisons:,} compared, {figures.new_hits:,} new hits")
            rescreened(connection, version)
    return figures


def run_status(*, as_json: bool) -> None:
    """Lists, parties and hits."""
    with faults_shown(as_json=as_json), _postgres() as (_, connection):
        status = _status(connection)
    if as_json:
        print_json(status)
        return
    table = Table("list", "version", "called", "entries", "loaded", box=None)
    for one in status.lists:
        table.add_row(one.source, str(one.version), Text(one.label), f"{one.entries:,}", one.loaded_at)
    screen.print(table if status.lists else "No list is loaded: `millrace screening load FILE --list ofac`.")
    counts = {name: value for name, value in msgspec.to_builtins(status).items() if name != "lists"}
    screen.print(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()))


def _status(connection: Connection) -> Status:
    with connection.cursor(row_factory=dict_row) as cursor:
        lists = [
            ListInForce(**row | {"loaded_at": row["loaded_at"].isoformat()})
            for row in cursor.execute(_LISTS).fetchall()
        ]
        [counts] = cursor.execute(_STANDING).fetchall()
    return Status(lists, **counts)


@contextmanager
def _postgres() -> Iterator[tuple[Settings, Connection[Any]]]:
    """A connection to the tables of screening, which are made here. Raises EnvironmentFault."""
    settings = connected(Settings())
    try:
        migrate.up(settings.database_url, MIGRATIONS)
        with connect(settings.database_url, "millrace screening") as connection:
            connection.autocommit = True
            yield settings, connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("nothing has run on this database yet: `millrace up` makes its tables") from error
    except (migrate.MigrationRefused, KeyringFault, Tampered, TimeoutError, psycopg.Error) as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error
