"""Where the hash chain of every ledger partition stands, as the sink has applied it. Goes into erasure certificates."""

from typing import Final

from runtime.personal_data.erasure import LedgerHead
from runtime.personal_data.rows import Connection, all_rows

_HEADS: Final = "SELECT shard, ledger_next_offset, ledger_sequence, last_hash FROM sink_progress ORDER BY shard"


async def ledger_heads(connection: Connection) -> list[LedgerHead]:
    """One head per partition that the sink has come to know."""
    rows = await all_rows(connection, _HEADS)
    return [
        LedgerHead(shard, next_offset, sequence, last_hash.hex()) for shard, next_offset, sequence, last_hash in rows
    ]
