"""Who does something, by which request: handed to the registers, so that a change and its entry commit together."""

from typing import NamedTuple

from ingest_api.audit_log.entry import Values
from ingest_api.audit_log.log import AuditLog
from runtime.personal_data.rows import Connection
from schemas.tables.security_actions import SecurityAction


class Witness(NamedTuple):
    """One call and its caller."""

    log: AuditLog
    actor: str | None
    request_id: str

    async def saw(
        self,
        action: SecurityAction,
        object_: str | None,
        connection: Connection | None = None,
        *,
        before: Values | None = None,
        after: Values | None = None,
    ) -> None:
        """An entry, part of the connection's transaction where there is one. Raises DatabaseUnavailable."""
        await self.log.record(
            self.actor,
            action,
            object_,
            request_id=self.request_id,
            before=before,
            after=after,
            connection=connection,
        )
