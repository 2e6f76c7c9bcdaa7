"""Screening in one API process: parties are screened in the call that names them; a look every few seconds does what
calls and commands left undone.

Reads the lists; writes parties, hits and blocks. Guarantees: whoever was named is screened, and until then the accounts
may not pay, whichever process dies when.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

import psycopg
from psycopg import Connection

from ingest_api.aliases.parties import USER
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import Database, DatabaseUnavailable, Share, end_asking
from ingest_api.screening.blocks import Blocks
from ingest_api.submission import Submission
from payments.errors import Unavailable
from payments.identifiers import format_id
from payments.movements.instructions import SetStanding
from payments.screening.decisions import Subject
from runtime import migrate
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.personal_data.store import PersonalData
from runtime.postgres import SCREENINGS, connect
from runtime.settings import Settings
from screening.hits import DecisionRefused, HitStatus, decide_hit, screen_subject
from screening.kept_lists import KeptLists
from screening.parties import Party, name_party, nothing_to_compare, subject_of, unscreened

LOGGER: Final = logging.getLogger("millrace.screening")
MIGRATIONS: Final = "screening"

LOOK_S: Final = 5
"""How often each process looks: so long an account may still pay after `millrace screening rescreen` has found its
owner. An idle look is three queries by index, 1 ms."""

_CALL_S: Final = 10
"""A call screens what it has named within this time, or is taken for dead."""

_NAMED: Final = "SELECT FROM screening_parties WHERE party_id = ANY(%s)"
_CONNECTIONS: Final = 2
_CONNECT_S: Final = 2
Found = TypeVar("Found")
_FAULTS: Final = (Unavailable, psycopg.Error, TimeoutError, migrate.MigrationRefused, KeyringFault, Tampered)


class Screening:
    """Every method raises DatabaseUnavailable, KeyringFault where the keys are not those of the database."""

    def __init__(self, settings: Settings, database: Database, keyring: Keyring, blocks: Blocks) -> None:
        self._database = database
        self._dsn = settings.database_url
        self._names_needed = settings.screening_names_needed
        self._key = keyring.index_key
        self._personal = PersonalData(keyring)
        self._lists = KeptLists()
        self._blocks = blocks
        self._beside_at_once = asyncio.Semaphore(SCREENINGS)
        self._is_ready = False
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: Settings, submission: Submission, writing: Database) -> "Screening":
        """Raises KeyringFault."""
        database = Share(writing, _CONNECTIONS)
        return cls(settings, database, Keyring.of(settings), Blocks(database, submission))

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()
        self._looking = asyncio.create_task(self._look_again_and_again())

    async def close(self) -> None:
        await end_asking(self._looking)
        await self._database.close()

    async def name(self, party: Party, names: Sequence[str], by: str) -> None:
        """Store the names of a party, screen it, and freeze or release its user's accounts. Raises Problem."""
        await self._get_ready()
        async with self._database.transaction() as connection:
            refusal = await name_party(connection, self._personal, party, names, self._key, by)
        if refusal is not None:
            raise Problem(Fault.USER_ERASED, "Nothing is stored about a user who was erased.")
        await self._screen(party)
        await self._blocks.enforce(party.user)

    async def names(self, party: Party) -> tuple[str, ...]:
        """The names of a party; none where its user was erased."""
        async with self._database.transaction() as connection:
            return (await subject_of(connection, self._personal, party)).names

    async def decide(self, hit: int, decision: HitStatus, by: str, because: str) -> DecisionRefused | None:
        """An analyst's decision about a hit; None where it is recorded."""
        await self._get_ready()
        return await self._beside(lambda connection: decide_hit(connection, hit, decision, by, because))

    async def enforce(self, user: bytes) -> None:
        """Freeze or release the accounts of a user whose part in one, or whose hits, have changed."""
        await self._get_ready()
        await self._blocks.enforce(user)

    async def require_names(self, users: Collection[bytes]) -> None:
        """Raises Problem where one of these users has no names and the installation wants them first."""
        if not self._names_needed:
            return
        await self._get_ready()
        asked = [format_id(USER, user) for user in users]
        if len(await self._database.rows(_NAMED, (asked,))) < len(asked):
            detail = "Tell the user's names with PUT /v1/parties/{id} first. Nothing was opened or changed."
            raise Problem(Fault.NAMES_NEEDED, detail)

    async def of_new_account(self, account: bytes, users: Collection[bytes]) -> SetStanding | None:
        """What has to follow the opening of an account at once."""
        await self._get_ready()
        return await self._blocks.of_new_account(account, users)

    async def look(self) -> None:
        """Freeze and release, then screen whom a process that died has left. Raises also QueueFull, DeliveryUnknown."""
        await self._get_ready()
        await self._blocks.enforce()
        async with self._database.transaction() as connection:
            left = await unscreened(connection, _CALL_S)
        for party in left:
            await self._screen(party)

    async def _look_again_and_again(self) -> None:
        while True:
            try:
                await self.look()
            except DatabaseUnavailable:
                LOGGER.debug("Postgres does not answer: the next look does it")
            except _FAULTS as fault:
                LOGGER.warning("a look failed, the next one begins in %d s: %s", LOOK_S, " ".join(str(fault).split()))
            await asyncio.sleep(LOOK_S)

    async def _get_ready(self) -> None:
        """The tables are there, and the keys are those that their hashes were made with."""
        if self._is_ready:
            return
        if not await self._database.reachable():
            raise DatabaseUnavailable("not reachable")
        async with self._database.migrating:
            await asyncio.to_thread(migrate.up, self._dsn, MIGRATIONS)
        async with self._database.transaction() as connection:
            await self._personal.require_same_keys(connection)
        self._is_ready = True

    async def _screen(self, party: Party) -> None:
        async with self._database.transaction() as connection:
            subject = await subject_of(connection, self._personal, party)
            if not subject.names:
                await nothing_to_compare(connection, 0, [party.id])
        if subject.names:
            await self._beside(lambda connection: self._compare(connection, subject))

    def _compare(self, connection: Connection, subject: Subject) -> None:
        screen_subject(connection, self._lists.current(connection), subject, self._key)

    async def _beside(self, work: Callable[[Connection], Found]) -> Found:
        """In a thread, with a connection of its own: comparing and building the index would hold up the loop."""
        try:
            async with self._beside_at_once:
                return await asyncio.to_thread(self._connected, work)
        except (psycopg.OperationalError, TimeoutError) as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    def _connected(self, work: Callable[[Connection], Found]) -> Found:
        with contextlib.closing(connect(self._dsn, "millrace screening", _CONNECT_S)) as connection:
            connection.autocommit = True
            return work(connection)
