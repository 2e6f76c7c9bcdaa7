"""An internal run: read all sides in one snapshot, ask providers about what looks wrong, and compare again.

1 read      a snapshot in batches: what was asked of providers earlier is a side as long as nothing has changed since
2 ask       providers, without a transaction, about what is suspicious (then all of a day), at most so many: those first
            that were never asked about, then those asked about longest ago
3 look again  at what was asked about, in a snapshot of its own; the answers are kept
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection

from payments.identifiers import uuid7
from reconciliation.internal.comparing import compare, compare_wallet, stuck_payment
from reconciliation.internal.findings import Finding
from reconciliation.internal.reading import Scope, in_flight, movements, movements_named, wallets
from reconciliation.internal.views import Movement, ProviderView
from reconciliation.internal.windows import Moment
from reconciliation.matching.breaks import BreakType
from schemas.tables.provider_states import KEEP

FINDINGS_MAX: Final = 10_000
"""As many breaks as a page has. More of them are no list to work off: the tables are not those of the ledger."""

ASK_MAX: Final = 500
"""Movements that a run asks providers about by default: at five a second, less than two minutes."""

_UNASKED_TYPES: Final = frozenset({BreakType.WALLET_MISMATCH, BreakType.REFUND_MISMATCH})
"""What no provider could tell."""

Ask = Callable[[Sequence[Movement]], Mapping[UUID, ProviderView]]
"""Asks providers and moves nothing; who could not be asked is left out."""


class Asked(NamedTuple):
    """When it is, from when on what has changed is looked at, and who runs. `day`: everything of it is asked about."""

    now: datetime
    since: datetime
    by: str
    day: date | None = None
    ask_max: int = ASK_MAX


class TooManyFindings(Exception):
    """More than a run writes down. `str()` says what to do."""


class Result(NamedTuple):
    """A run that is not written yet."""

    run_id: UUID
    asked: Asked
    movements: int
    wallets: int
    providers_asked: int
    providers_silent: int
    """What was to be asked about and has no answer."""
    findings: list[Finding]
    result_hash: bytes


def since(now: datetime, days: int) -> datetime:
    """From when on what has changed is looked at: so many days, 0 is everything."""
    return now - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)


def compute(connection: Connection, asked: Asked, ask: Ask | None = None) -> Result:
    """Steps 1 to 3. Raises TooManyFindings, psycopg.Error."""
    moment, scope = Moment(asked.now), Scope(asked.since)
    sides = _Sides(asked.day)
    with connection.transaction():
        _snapshot(connection)
        for movement in movements(connection, scope):
            sides.take(movement, compare(movement, moment))
        sides.add(map(stuck_payment, in_flight(connection, scope, moment.posted_by, FINDINGS_MAX + 1)))
        for wallet in wallets(connection, scope):
            sides.wallets += 1
            sides.add(compare_wallet(wallet))
    chosen = sides.to_ask(asked.ask_max) if ask is not None else []
    answers = dict(ask(chosen)) if ask is not None and chosen else {}
    if answers:
        _keep(connection, answers)
        with connection.transaction():
            _snapshot(connection)
            for movement in movements_named(connection, list(answers)):
                sides.replace(movement.id, compare(movement, moment))
    findings = sorted(sides.findings, key=lambda one: (one.subject.bytes, one.aspect))
    id_ = UUID(bytes=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))
    digest = _digest(findings, sides.movements, sides.wallets)
    silent = len(chosen) - len(answers)
    return Result(id_, asked, sides.movements, sides.wallets, len(answers), silent, findings, digest)


class _Sides:
    """What a run has seen so far: findings, and what providers are to be asked about."""

    def __init__(self, day: date | None) -> None:
        self.movements = self.wallets = 0
        self.findings: list[Finding] = []
        self._suspicious: list[Movement] = []
        self._of_day: list[Movement] = []
        self._day = day

    def take(self, movement: Movement, found: Iterable[Finding]) -> None:
        found = list(found)
        self.movements += 1
        self.add(found)
        if not _was_asked(movement):
            return
        if any(one.type not in _UNASKED_TYPES for one in found):
            self._suspicious.append(movement)
        elif movement.opened_at.astimezone(UTC).date() == self._day:
            self._of_day.append(movement)

    def to_ask(self, most: int) -> list[Movement]:
        """Whoever asks about a few at a time comes to all of them in the end."""
        by_age = [movement for some in (self._suspicious, self._of_day) for movement in sorted(some, key=_asked_at)]
        return by_age[:most]

    def add(self, found: Iterable[Finding]) -> None:
        self.findings += found
        if len(self.findings) > FINDINGS_MAX:
            raise TooManyFindings(
                f"more than {FINDINGS_MAX:,} findings: nothing was written. The tables are not those of the ledger:"
                " `millrace replay` finds the first row that differs"
            )

    def replace(self, subject: UUID, found: Iterable[Finding]) -> None:
        self.findings = [one for one in self.findings if one.subject != subject]
        self.add(found)


def _asked_at(movement: Movement) -> datetime:
    return movement.provider.asked_at if movement.provider is not None else datetime.min.replace(tzinfo=UTC)


def _was_asked(movement: Movement) -> bool:
    return movement.attempt is not None and movement.attempt.asked_in is not None


def _snapshot(connection: Connection) -> None:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.execute("SET LOCAL statement_timeout = 0")


def _keep(connection: Connection, answers: Mapping[UUID, ProviderView]) -> None:
    rows = [
        (
            *(id_, said.asked_at, said.outcome.value, said.has_trace, said.reference, said.code, said.moved_minor),
            said.moved_currency,
        )
        for id_, said in answers.items()
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(KEEP, rows)


def _digest(findings: Iterable[Finding], *counts: int) -> bytes:
    """Of what was found and looked at; when it ran and who ran it changes nothing."""
    told = [(one.type, one.subject, one.difference_minor, one.currency, one.repair, one.evidence) for one in findings]
    return hashlib.sha256(msgspec.json.encode([counts, told], order="sorted")).digest()
