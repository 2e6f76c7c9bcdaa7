"""One pass of the scheduler, which is the whole guarantee: each occurrence is paid once, or refused for a reason.

Reads schedules, their occurrences and what the ledger shows of their payments; writes both tables and
payments.commands. Several processes may run passes at once: each takes rows that no other holds.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from psycopg import Connection

from ingest_api.schedules.issuing import issue
from ingest_api.schedules.sending import CommandLog, Taken, mark_sent, settle_doubts, take
from ingest_api.schedules.settling import settle
from payments.lifecycle import PaymentStatus
from runtime.exactly_once.failpoints import Failpoints

_SETTLED_PER_SENT: Final = 4
"""Outcomes of one pass for each occurrence that it may send: a backlog of them shrinks, whatever is sent."""


@dataclass
class Figures:
    """What passes did."""

    issued: int = 0
    sent: int = 0
    unsent: int = 0
    """Of the last pass: Kafka did not take them in time."""
    doubtful: int = 0
    """Of the last pass: nobody knows yet whether they were sent."""
    late_s: int = 0
    """The most that an occurrence was due before Kafka had it."""
    settled: Counter[PaymentStatus] = field(default_factory=Counter)


def run_pass(
    connection: Connection, log: CommandLog, now: datetime, limit: int, failpoints: Failpoints, figures: Figures
) -> None:
    """Everything that is due now, up to the limit. Raises psycopg.Error, KafkaException: run it again then."""
    # 1. Issue. The schedule's progress and the rows of its occurrences commit together, with what each will pay. `now`
    #    only says what is due: progress never goes back, so a clock that jumps makes nothing come again.
    with connection.transaction():
        figures.issued += issue(connection, now, log.shards, limit)
        failpoints.reach("schedule_before_issue")
        # Crash up to here: rolled back, and the same occurrences are due again.
    # Crash here: the rows stand, and whoever runs step 3 next takes them.
    failpoints.reach("schedule_after_issue")
    # 2. Doubts. A row that counts as not sent for half the window of its key is sent again only after Postgres has
    #    shown that it was not; see sending.
    with connection.transaction():
        figures.doubtful = settle_doubts(connection, log, limit)
    # 3. Take and send. The rows stay locked until step 4: another process passes them by. Their key follows from
    #    schedule, time and try alone, and what they pay was fixed in step 1.
    with connection.transaction():
        taken_at_s = time.monotonic()
        taken = take(connection, limit)
        failpoints.reach("schedule_after_take")
        sent = log.send(taken, taken_at_s)
        # Crash up to here: some may be in the log, and all rows are free again. They are sent once more, with the same
        # key and body, and the partition answers the second as a replay of the first.
        failpoints.reach("schedule_after_send")
        # 4. Mark what Kafka has.
        mark_sent(connection, sent)
        # Crash up to the commit, or cut off in it: as before it.
    # Crash here: the rows are marked; whoever runs step 5 next finds their payments.
    failpoints.reach("schedule_after_mark")
    _count(figures, now, taken, sent)
    # 5. Settle. An outcome and what follows from it (a try again, the schedule's end) commit together. A try again is
    #    issued by step 1 as an occurrence with a key of its own: it exists only where this one was refused.
    with connection.transaction():
        figures.settled += settle(connection, now, _SETTLED_PER_SENT * limit)
        failpoints.reach("schedule_before_settle")
        # Crash up to here: rolled back, and the same payments are found again.
    failpoints.reach("schedule_after_settle")


def _count(figures: Figures, now: datetime, taken: list[Taken], sent: list[Taken]) -> None:
    figures.sent += len(sent)
    figures.unsent = len(taken) - len(sent)
    late = [now - one.due_at for one in sent]
    figures.late_s = max(figures.late_s, *(int(each.total_seconds()) for each in late), 0)
