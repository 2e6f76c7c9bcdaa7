"""The registry of services: instances, their leases and what operators have set over them.

Reads and writes service_instances; tells whoever listens on the channel millrace_services that a status has changed.
Guarantees: an instance whose lease has run out is shown to nobody; an entry is changed by who made it alone, as long as
it is there; there are never more than INSTANCES_MAX.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from psycopg.types.json import Jsonb

from ingest_api.discovery.instance import Instance, InstanceStatus
from ingest_api.problems import Fault, Problem
from ingest_api.reads.database import Database
from ingest_api.reads.migrated import MigratedDatabase
from runtime.settings import Settings

MIGRATIONS: Final = "ingest_api.discovery"
CHANNEL: Final = "millrace_services"
OWN: Final = ""
"""Who registers the processes of this API. No token has an empty subject."""

INSTANCES_MAX: Final = 1_000
"""A client that fetches everything gets about 1 kB of each."""

_CONNECTIONS: Final = 2
_REMEMBERED: Final = "interval '3 minutes'"
"""How long the end of an instance is told to clients that ask for changes; they ask every 30 s."""

IS_THERE: Final = "ended_at IS NULL AND renewed_at + make_interval(secs => lease_s) > now()"
"""SQL: the lease runs."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('service_instances'))"
_SWEEP: Final = f"""
DELETE FROM service_instances
WHERE coalesce(ended_at, renewed_at + make_interval(secs => lease_s)) < now() - {_REMEMBERED}"""
_OTHERS: Final = f"""
SELECT count(*) AS others,
    coalesce(bool_or(app = %(app)s AND instance_id = %(instance_id)s AND registered_by <> %(by)s), false) AS is_taken
FROM service_instances
WHERE {IS_THERE} AND ((app, instance_id) <> (%(app)s, %(instance_id)s) OR registered_by <> %(by)s)"""
_REGISTER: Final = f"""
INSERT INTO service_instances
    (app, instance_id, host, ip, port, secure_port, vip, secure_vip, status, lease_s, details, registered_by)
VALUES (%(app)s, %(instance_id)s, %(host)s, %(ip)s, %(port)s, %(secure_port)s, %(vip)s, %(secure_vip)s, %(status)s,
    %(lease_s)s, %(details)s, %(by)s)
ON CONFLICT (app, instance_id) DO UPDATE SET (host, ip, port, secure_port, vip, secure_vip, status, lease_s, details,
    registered_by, registered_at, renewed_at, changed_at, ended_at) = (excluded.host, excluded.ip, excluded.port,
    excluded.secure_port, excluded.vip, excluded.secure_vip, excluded.status, excluded.lease_s, excluded.details,
    excluded.registered_by, now(), now(), now(), NULL)
RETURNING pg_notify('{CHANNEL}', app)"""
_OF_CALLER: Final = f"WHERE app = %(app)s AND instance_id = %(instance_id)s AND registered_by = %(by)s AND {IS_THERE}"
_RENEW: Final = f"UPDATE service_instances SET renewed_at = now() {_OF_CALLER} RETURNING status"
_SAY: Final = f"""
UPDATE service_instances SET renewed_at = now(), changed_at = now(), status = %(status)s
{_OF_CALLER} RETURNING pg_notify('{CHANNEL}', app)"""
_DESCRIBE: Final = f"""
UPDATE service_instances SET changed_at = now(),
    details = jsonb_set(details, '{{metadata}}', (details->'metadata') || %(metadata)s)
{_OF_CALLER} RETURNING 1 AS done"""
_OVERRIDE: Final = f"""
UPDATE service_instances SET changed_at = now(), override = %(status)s
WHERE app = %(app)s AND instance_id = %(instance_id)s AND {IS_THERE}
    AND (%(by)s::text IS NULL OR registered_by = %(by)s) RETURNING pg_notify('{CHANNEL}', app)"""
_END: Final = f"UPDATE service_instances SET ended_at = now() {_OF_CALLER} RETURNING pg_notify('{CHANNEL}', app)"
_FIND: Final = f"""
SELECT * FROM service_instances WHERE {IS_THERE}
    AND (%(app)s::text IS NULL OR app = %(app)s) AND (%(instance_id)s::text IS NULL OR instance_id = %(instance_id)s)
    AND (%(vip)s::text IS NULL OR vip = %(vip)s) AND (%(secure_vip)s::text IS NULL OR secure_vip = %(secure_vip)s)
ORDER BY app, instance_id LIMIT {INSTANCES_MAX}"""
_CHANGED: Final = f"""
SELECT *, NOT ({IS_THERE}) AS is_gone FROM service_instances
WHERE changed_at > now() - {_REMEMBERED}
    OR coalesce(ended_at, renewed_at + make_interval(secs => lease_s)) BETWEEN now() - {_REMEMBERED} AND now()
ORDER BY app, instance_id"""

Name = tuple[str, str]
"""App and instance id."""


class Registry:
    """Every method raises DatabaseUnavailable, MigrationRefused."""

    def __init__(self, database: MigratedDatabase) -> None:
        self._database = database

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> "Registry":
        return cls(MigratedDatabase(writing, settings.database_url, MIGRATIONS, _CONNECTIONS))

    async def open(self) -> None:
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def register(self, instance: Instance, by: str) -> None:
        """Enter or replace. Raises Problem: the name is somebody else's, or there are too many."""
        columns = msgspec.structs.asdict(instance)
        row = columns | {"details": Jsonb(msgspec.to_builtins(instance.details)), "by": by}
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK.encode())
            await connection.execute(_SWEEP.encode())
            found = await (await connection.execute(_OTHERS.encode(), row)).fetchone()
            assert found is not None
            if found["is_taken"]:
                raise Problem(Fault.INSTANCE_TAKEN, "Another client has registered this instance and keeps it alive.")
            if found["others"] >= INSTANCES_MAX:
                raise Problem(Fault.INSTANCES_TOO_MANY, f"{INSTANCES_MAX} instances are there. Deregister some.")
            await connection.execute(_REGISTER.encode(), row)

    async def renew(self, name: Name, by: str) -> bool:
        """A heartbeat; False where the instance has to register (again)."""
        return await self._changed(_RENEW, name, by=by)

    async def say(self, name: Name, status: InstanceStatus, by: str) -> bool:
        """A heartbeat with what the instance says of itself now."""
        return await self._changed(_SAY, name, by=by, status=status)

    async def describe(self, name: Name, metadata: Mapping[str, str], by: str) -> bool:
        """Metadata over what is there."""
        return await self._changed(_DESCRIBE, name, by=by, metadata=Jsonb(metadata))

    async def override(self, name: Name, status: InstanceStatus, by: str | None) -> bool:
        """Set a status over what the instance says, until it is set to UNKNOWN; new registrations leave it.

        `by` None: whoever has registered it.
        """
        return await self._changed(_OVERRIDE, name, status=status, by=by)

    async def end(self, name: Name, by: str) -> bool:
        """Deregister."""
        return await self._changed(_END, name, by=by)

    async def find(
        self,
        app: str | None = None,
        instance_id: str | None = None,
        vip: str | None = None,
        secure_vip: str | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of what is there."""
        names = {"app": app, "instance_id": instance_id, "vip": vip, "secure_vip": secure_vip}
        return await self._database.rows(_FIND, names)

    async def changed(self) -> list[dict[str, Any]]:
        """Rows of what came, changed or went in the last three minutes."""
        return await self._database.rows(_CHANGED)

    async def _changed(self, query: str, name: Name, **values: Any) -> bool:
        app, instance_id = name
        return bool(await self._database.rows(query, {"app": app, "instance_id": instance_id, **values}))
