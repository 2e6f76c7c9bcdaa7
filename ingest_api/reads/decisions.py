"""How instructions were decided, as Postgres shows it."""

from typing import Final
from uuid import UUID

from ingest_api.reads.database import Database
from payments.rejections import Reason
from schemas.codec.fields import REASONS

_DECISION: Final = """
SELECT reason FROM account_events WHERE operation_id = %(id)s
UNION ALL SELECT reason FROM decisions WHERE payment_id = %(id)s"""


async def find_refusal(database: Database, operation_id: bytes) -> Reason | None:
    """How an instruction was decided (NONE = taken), None where Postgres does not have it. Raises
    DatabaseUnavailable.
    """
    row = await database.row(_DECISION, {"id": UUID(bytes=operation_id)})
    return REASONS[row["reason"]] if row is not None else None
