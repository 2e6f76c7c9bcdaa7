"""`verify`: the whole audit, as one function.

Reads Kafka and Postgres and changes neither. The database's snapshot is taken before the extents of the topics, so that
the tables are never ahead of the ledger that they are compared with.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from millrace.audit.ledger.partition_log import AuditedTopics, archive_of, extents
from millrace.audit.ledger.proof import LogReader, prove_log
from millrace.audit.postgres.proof import prove_tables
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import AuditReport, Differs
from runtime.kafka_client import Brokers
from runtime.settings import Settings

Progress = Callable[[int, int], None]
"""Called with the records read so far and their number in all (offsets, so markers count; the ledger counts twice)."""


def verify(
    settings: Settings, topics: AuditedTopics | None = None, progress: Progress = lambda _done, _total: None
) -> AuditReport:
    """Prove what can be proved. Raises AuditImpossible, TimeoutError or psycopg.Error where nothing could be read."""
    began = time.monotonic()
    topics, brokers = topics or AuditedTopics(), Brokers.of(settings)
    report = AuditReport()
    with ExitStack() as stack:
        snapshot = DatabaseSnapshot(settings.database_url, stack)
        snapshot.progress()  # refuses a database without tables before hours of reading
        archive = archive_of(settings)
        found = extents(brokers, topics, settings.shards, archive)
        total = sum((extent.end - extent.start) * (1 + (name == topics.ledger)) for (name, _), extent in found.items())
        done = 0

        def advance(records: int) -> None:
            nonlocal done
            done = min(done + records, total)
            progress(done, total)

        reader = LogReader(brokers, topics, settings.shards, found, advance, archive)
        for prove in (partial(prove_log, reader, report), partial(prove_tables, reader, snapshot, report)):
            try:
                prove()
            except Differs as differs:
                report.differs(differs.difference)
        progress(total, total)
    report.wall_s = round(time.monotonic() - began, 3)
    return report
