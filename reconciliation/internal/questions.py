"""Questions to providers from a process that has none of their keys: put down here, carried out by the connectors.

Writes recon_questions; reads there, and in recon_provider_states, what came of it. Guarantees: it waits for so long and
no longer; what is not answered by then is left out, and its answer counts in the next run.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.commerce.connector import ConnectorOperation, Outcome
from reconciliation.internal.views import AttemptView, Movement, ProviderView

LIFE: Final = timedelta(minutes=15)
"""What nobody has carried out by then is asked for no more: whoever waited has gone."""

UNATTENDED_S: Final = 15.0
"""By then the connectors have taken one, if they are there: they look once a second, and five seconds after trouble."""

_LOOK_S: Final = 0.5

_PUT: Final = """
INSERT INTO recon_questions (request_id, ledger_shard, ledger_offset, entry_index, provider_reference, asked_by)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (request_id) DO UPDATE SET asked_at = now(), asked_by = EXCLUDED.asked_by, taken_at = NULL,
    answered_at = NULL, refusal = '', provider_reference = EXCLUDED.provider_reference
WHERE recon_questions.answered_at IS NOT NULL OR recon_questions.asked_at < now() - %s"""
_STANDING: Final = """
SELECT count(*) FILTER (WHERE answered_at IS NULL), count(taken_at) FROM recon_questions WHERE request_id = ANY(%s)"""
_ANSWERS: Final = """
SELECT request_id, outcome, has_trace, said.provider_reference, provider_code, moved_minor, moved_currency,
    said.asked_at
FROM recon_questions JOIN recon_provider_states AS said USING (request_id)
WHERE request_id = ANY(%s) AND answered_at IS NOT NULL AND refusal = ''"""

_NAMED: Final = frozenset({Outcome.SUCCEEDED, Outcome.PENDING, Outcome.REQUIRES_ACTION})
"""Outcomes whose reference names the operation itself: of others it may be the payment that was to be refunded."""


class Wait(NamedTuple):
    """Who asks, for how long, and what ends it before."""

    by: str
    longest_s: float
    stop: threading.Event


class Stopped(Exception):
    """The process is to end while it waits."""


def ask(connection: Connection, wait: Wait, asked: Sequence[Movement]) -> Mapping[UUID, ProviderView]:
    """What the providers say of each, as far as it is known in time. Raises Stopped, psycopg.Error."""
    rows = [
        (one.id, *one.attempt.asked_in, name_of(one.attempt), wait.by, LIFE)
        for one in asked
        if one.attempt is not None and one.attempt.asked_in is not None
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_PUT, rows)
    ids = [row[0] for row in rows]
    _await(connection, wait, ids)
    found = connection.execute(_ANSWERS, (ids,)).fetchall()
    return {id_: ProviderView(Outcome(outcome), *said) for id_, outcome, *said in found}


def name_of(attempt: AttemptView) -> str:
    """By which the provider is asked: a payout's own name where that is known; of all else the request, so empty."""
    is_named = attempt.operation is ConnectorOperation.PAYOUT and attempt.outcome in _NAMED
    return attempt.reference if is_named else ""


def _await(connection: Connection, wait: Wait, ids: list[UUID]) -> None:
    began_s = time.monotonic()
    while True:
        row = connection.execute(_STANDING, (ids,)).fetchone()
        assert row is not None  # an aggregate
        is_open, taken = row
        waited_s = time.monotonic() - began_s
        if not is_open or waited_s >= wait.longest_s or (not taken and waited_s >= UNATTENDED_S):
            return
        if wait.stop.wait(_LOOK_S):
            raise Stopped
