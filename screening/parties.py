"""Who is screened, and under which names: the names lie sealed among a user's personal data, and go when it is erased.

Reads and writes screening_parties and, through runtime.personal_data, personal_values. Guarantees: a name and the note
that it is not screened yet commit together, so whoever dies in between leaves a party that waits, and that is found.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from payments.screening.decisions import Subject
from payments.screening.names import Schema
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, all_rows
from runtime.personal_data.store import PersonalData, Refusal

PARTIES_A_BATCH: Final = 500
"""Read, compared and recorded before the next ones: 500 × (0.3 ms to open the names + 3 ms at most) = 1.7 s."""

_NAME: Final = """
INSERT INTO screening_parties (party_id, user_id, schema, fingerprint, named_by) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (party_id) DO UPDATE SET schema = excluded.schema, fingerprint = excluded.fingerprint,
    screened_version = NULL, named_by = excluded.named_by, named_at = excluded.named_at
WHERE screening_parties.fingerprint <> excluded.fingerprint"""
_PARTY: Final = "SELECT party_id, user_id, schema FROM screening_parties"
_UNSCREENED: Final = f"""{_PARTY}
WHERE screened_version IS NULL AND named_at < now() - %s * interval '1 second' ORDER BY named_at LIMIT %s"""
_DUE: Final = f"""{_PARTY}
WHERE party_id > %s AND screened_version < %s
AND screened_version >= coalesce((SELECT max(version) FROM screening_lists WHERE version < %s), 0)
ORDER BY party_id LIMIT %s"""
_NOTHING_TO_COMPARE: Final = "UPDATE screening_parties SET screened_version = %s WHERE party_id = ANY(%s)"


class Party(NamedTuple):
    """A user, or the holder of a bank account that a user has linked."""

    id: str
    user: bytes
    schema: Schema


async def name_party(
    connection: Connection, personal: PersonalData, party: Party, names: Iterable[str], key: bytes, by: str
) -> Refusal | None:
    """Store the names of a party, once the caller's transaction commits; where they are others than before, it is not
    screened until somebody does it.
    """
    kept = tuple(names)
    refusal = await personal.put(connection, party.user, _field(party.id), Personal(msgspec.json.encode(kept).decode()))
    if refusal is None:
        fingerprint = Subject(party.id, kept, party.schema).fingerprint(key)
        await connection.execute(_NAME, (party.id, UUID(bytes=party.user), party.schema, fingerprint, by))
    return refusal


async def subject_of(connection: Connection, personal: PersonalData, party: Party) -> Subject:
    """The party with its names; none where the user was erased. Raises Tampered, KeyringFault."""
    field = _field(party.id)
    sealed = (await personal.values(connection, party.user, field)).get(field)
    names = msgspec.json.decode(sealed.reveal(), type=tuple[str, ...]) if sealed is not None else ()
    return Subject(party.id, names, party.schema)


async def unscreened(connection: Connection, older_than_s: int) -> list[Party]:
    """Some of those whose names are compared with nothing yet, the oldest first."""
    return await _read(connection, _UNSCREENED, older_than_s, PARTIES_A_BATCH)


async def parties_due(connection: Connection, personal: PersonalData, version: int) -> AsyncIterator[list[Subject]]:
    """Everybody who has been screened against all versions before this one and not against it, in batches. Who was
    erased has no name to be compared, and is done.
    """
    after = ""
    while parties := await _read(connection, _DUE, after, version, version, PARTIES_A_BATCH):
        subjects = [await subject_of(connection, personal, party) for party in parties]
        await nothing_to_compare(connection, version, [one.id for one in subjects if not one.names])
        yield [one for one in subjects if one.names]
        after = parties[-1].id


async def nothing_to_compare(connection: Connection, version: int, parties: list[str]) -> None:
    """These have no name any more, so they count as screened up to this version."""
    await connection.execute(_NOTHING_TO_COMPARE, (version, parties))


async def _read(connection: Connection, query: str, *parameters: object) -> list[Party]:
    rows = await all_rows(connection, query, *parameters)
    return [Party(party, user.bytes, Schema(schema)) for party, user, schema in rows]


def _field(party_id: str) -> str:
    return f"party {party_id}"
