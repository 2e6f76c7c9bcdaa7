"""Goal: whoever changes the audit log, even with every right in Postgres, is found out, and nothing else is.

Method: a real chain, then each change that a superuser could make behind the triggers.
"""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest_api.audit_log.entry import GENESIS
from ingest_api.audit_log.heads import HeadForged, Heads
from ingest_api.audit_log.log import AuditLog
from ingest_api.audit_log.store import Head
from ingest_api.audit_log.verifying import Verification, verify
from ingest_api.reads.database import Database
from runtime.personal_data.personal import Personal
from runtime.settings import Settings

TABLES = ("audit_entries", "audit_seals")
RIGHTS = "GRANT UPDATE, DELETE, TRUNCATE ON {} TO CURRENT_USER"
NO_TRIGGERS = "ALTER TABLE {} DISABLE TRIGGER USER"


def verification(settings: Settings, *kept: Head, **bounds: int) -> Verification:
    with psycopg.connect(settings.database_url) as connection:
        return verify(connection, Heads(settings.home), kept, **bounds)


def rows(settings: Settings, query: str) -> list[Any]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def tamper(settings: Settings, *changes: str) -> None:
    """As whoever owns the tables could."""
    for table in TABLES:
        rows(settings, RIGHTS.format(table))
        rows(settings, NO_TRIGGERS.format(table))
    for change in changes:
        rows(settings, change)
    for table in TABLES:
        rows(settings, NO_TRIGGERS.format(table).replace("DISABLE", "ENABLE"))


async def filled(log: AuditLog, count: int = 6) -> None:
    for number in range(count):
        await log.record("usr_a", "key.revoked", f"key_{number}", request_id=f"r-{number}", after={"number": number})
    await log.seal()


async def test_what_was_recorded_is_chained_and_verified(log: AuditLog, settings: Settings) -> None:
    await filled(log)
    found = verification(settings)
    assert (found.ok, found.verified, found.head_position, found.unsealed) == (True, 6, 6, 0), found
    assert Heads(settings.home).published() == Head(6, bytes.fromhex(found.head_hash))
    links = rows(settings, "SELECT previous_hash, hash FROM audit_seals ORDER BY position")
    assert [before for before, _ in links] == [GENESIS, *(after for _, after in links[:-1])]


TAMPERED: dict[str, tuple[str, str, int]] = {
    "a changed row": (
        "UPDATE audit_entries SET after = '{\"number\": 9}' WHERE request_id = 'r-2'",
        "the entry was changed",
        3,
    ),
    "somebody else in its place": ("UPDATE audit_entries SET actor = 'usr_b' WHERE request_id = 'r-5'", "changed", 6),
    "another time": ("UPDATE audit_entries SET at = at - interval '1 us' WHERE request_id = 'r-0'", "changed", 1),
    "a deleted row": ("DELETE FROM audit_entries WHERE request_id = 'r-2'", "the entry was deleted", 3),
    "a deleted row with its seal": (
        "WITH gone AS (DELETE FROM audit_entries WHERE request_id = 'r-2' RETURNING entry_id)"
        " DELETE FROM audit_seals USING gone WHERE audit_seals.entry_id = gone.entry_id",
        "missing in the chain: 3",
        3,
    ),
    "two in another order": (
        "WITH swapped AS (SELECT position, hash, previous_hash, (SELECT entry_id FROM audit_seals AS other"
        " WHERE other.position = 5 - seal.position) AS entry_id FROM audit_seals AS seal WHERE position IN (2, 3)),"
        " gone AS (DELETE FROM audit_seals WHERE position IN (2, 3))"
        " INSERT INTO swapped_seals SELECT position, entry_id, previous_hash, hash FROM swapped",
        "in another place",
        2,
    ),
    "a seal that was made anew": (
        "UPDATE audit_seals SET hash = sha256('x') WHERE position = 4",
        "the entry was changed, or is in another place",
        4,
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_tampering_is_found_where_it_is(log: AuditLog, settings: Settings, name: str) -> None:
    await filled(log)
    change, what, position = TAMPERED[name]
    aside = "CREATE TABLE swapped_seals (LIKE audit_seals)", "INSERT INTO audit_seals SELECT * FROM swapped_seals"
    tamper(settings, aside[0], change, aside[1])
    found = verification(settings)
    assert not found.ok
    assert what in found.differences[0].what
    assert found.differences[0].position == position


async def test_a_tail_that_was_cut_off_is_found_by_the_published_head(log: AuditLog, settings: Settings) -> None:
    await filled(log)
    tamper(
        settings,
        "DELETE FROM audit_entries WHERE request_id IN ('r-4', 'r-5')",
        "DELETE FROM audit_seals WHERE position > 4",
    )
    found = verification(settings)
    assert [difference.what for difference in found.differences] == [
        "the chain ends at 4, and a published head is at 6"
    ]
    await filled(log, 3)
    assert [each.what for each in verification(settings).differences] == [
        "the chain is another one than that of a published head"
    ], "and no later head has taken its place"
    (published,) = [Heads(settings.home).published()]
    assert published is not None
    assert published.position == 6


async def test_a_chain_that_was_made_anew_is_found_by_a_kept_head(log: AuditLog, settings: Settings) -> None:
    await filled(log)
    kept = Heads(settings.home).published()
    assert kept is not None
    tamper(
        settings,
        "DELETE FROM audit_seals",
        "UPDATE audit_entries SET actor = 'usr_b'",
        "INSERT INTO audit_unsealed SELECT entry_id FROM audit_entries",
    )
    (settings.home / "audit" / "head.jws").unlink()
    await log.seal()
    assert verification(settings).ok, "without a head nothing is amiss"
    assert not verification(settings, kept).ok


async def test_a_row_slipped_in_behind_the_chain_is_found(log: AuditLog, settings: Settings) -> None:
    await filled(log)
    tamper(
        settings,
        "INSERT INTO audit_entries (entry_id, at, action, request_id) VALUES (gen_random_uuid(), now(), 'x', 'r')",
    )
    assert "1 entries are not in the chain" in verification(settings).differences[0].what


def test_a_head_that_somebody_else_has_signed_is_refused(tmp_path: Path) -> None:
    own, other = Heads(tmp_path / "own"), Heads(tmp_path / "other")
    with pytest.raises(HeadForged):
        own.verified(other.signed(Head(3, GENESIS)))
    text = own.signed(Head(3, GENESIS))
    assert own.verified(text) == Head(3, GENESIS)
    for forged in ("", "a.b.c", text[:-2], text.replace(".", "..")):
        with pytest.raises(HeadForged):
            own.verified(forged)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET entry_id = gen_random_uuid()"])
async def test_rows_are_only_added(log: AuditLog, settings: Settings, table: str, change: str) -> None:
    await filled(log, 1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(settings, change.format(table))
    rows(settings, RIGHTS.format(table))
    with pytest.raises(psycopg.errors.IntegrityError, match="only added to"):
        rows(settings, change.format(table))


async def test_a_change_and_its_entry_are_there_together_or_not_at_all(log: AuditLog, settings: Settings) -> None:
    await log.seal()
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (thing int)")

    async def makes(fault: str | None = None) -> None:
        async with log._database.transaction() as connection:
            await connection.execute("INSERT INTO things VALUES (1)")
            await log.record("usr_a", "thing.made", None, request_id="r-1", connection=connection)
            if fault is not None:
                raise RuntimeError(fault)

    with pytest.raises(RuntimeError, match="the caller's own"):
        await makes("the caller's own")
    assert rows(settings, "SELECT count(*) FROM things, audit_entries") == [(0,)]
    await makes()
    assert rows(settings, "SELECT count(*) FROM things, audit_entries") == [(1,)]


async def test_what_a_process_left_unsealed_the_next_one_seals(log: AuditLog, settings: Settings) -> None:
    await log.record("usr_a", "key.made", "key_1", request_id="r-1")
    before = verification(settings)
    assert (before.ok, before.verified, before.unsealed) == (True, 0, 1)
    successor = AuditLog.of(settings, Database.writing(settings))
    await successor.open()
    await successor.seal()
    await successor.close()
    assert (verification(settings).verified, verification(settings).unsealed) == (1, 0)


async def test_processes_that_seal_together_make_one_chain(log: AuditLog, settings: Settings) -> None:
    others = [AuditLog.of(settings, Database.writing(settings)) for _ in range(3)]
    for other in others:
        await other.open()

    async def writes(which: AuditLog, number: int) -> None:
        for turn in range(15):
            await which.record(f"usr_{number}", "thing.made", None, request_id=f"r-{number}-{turn}")
            await which.seal()

    await asyncio.gather(*(writes(which, number) for number, which in enumerate([log, *others])))
    await log.seal()
    for other in others:
        await other.close()
    found = verification(settings)
    assert (found.ok, found.verified, found.unsealed) == (True, 60, 0), found


async def test_a_personal_value_is_left_out_and_an_erasure_leaves_the_chain(log: AuditLog, settings: Settings) -> None:
    await log.record("usr_a", "user.changed", "usr_a", request_id="r-1", after={"email": Personal("anna@example.com")})
    await log.seal()
    [(after,)] = rows(settings, "SELECT after FROM audit_entries")
    assert after == {"email": "(personal)"}
    assert verification(settings).ok


async def test_a_long_chain_is_verified_in_parts(log: AuditLog, settings: Settings) -> None:
    await filled(log)
    first = verification(settings, limit=4)
    rest = verification(settings, after=first.head_position, limit=4)
    assert (first.verified, rest.verified, rest.head_position, rest.ok) == (4, 2, 6, True)
    assert not verification(settings, after=99).ok
