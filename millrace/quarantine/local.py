"""Cases of this installation, resolved with its own Postgres and Kafka."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec
import psycopg
from psycopg import Connection

from ingest_api.problems import Fault
from ingest_api.quarantine import cases, redrive, shown
from ingest_api.quarantine.cases import UNRESOLVED
from ingest_api.quarantine.redrive import Outcome, Redriver
from millrace.client.endpoints import Page
from millrace.client.models.money import Position
from millrace.client.models.operations import QuarantineCase, QuarantineCaseDetail
from millrace.environment import EnvironmentFault, connected
from millrace.quarantine.desk import Desk, Line
from payments.errors import Unavailable
from runtime.settings import Settings
from schemas.origin import Origin
from schemas.topics import COMMANDS


class LocalDesk(Desk):
    """`who` resolves cases here. Raises EnvironmentFault and what `local_desk` makes one."""

    def __init__(self, settings: Settings, connection: Connection, who: str) -> None:
        self._settings = settings
        self._connection = connection
        self._who = who
        self._redriver: Redriver | None = None

    def page(self, status: str | None, reason: str | None, limit: int) -> Page[QuarantineCase]:
        statuses = [one for one in cases.STATUSES if one == status]
        found = shown.shown_page(cases.list_cases(self._connection, statuses, reason, None, limit + 1), limit)
        return msgspec.convert(msgspec.to_builtins(found), Page[QuarantineCase])

    def case(self, case_id: str) -> QuarantineCaseDetail:
        origin = Origin.parse(case_id)
        found = cases.find_case(self._connection, origin) if origin is not None else None
        if found is None:
            raise EnvironmentFault(f"{case_id}: {redrive.UNKNOWN}")
        detail = shown.shown_in_full(found, self._settings.shards)
        return msgspec.convert(msgspec.to_builtins(detail), QuarantineCaseDetail)

    def unresolved(self, reason: str | None) -> Iterator[str]:
        after: Origin | None = None
        while page := cases.list_cases(self._connection, UNRESOLVED, reason, after):
            yield from (str(case.origin) for case in page)
            after = page[-1].origin

    def get_ready(self) -> None:
        self._redriver = Redriver.ready(self._settings, self._connection)

    def redrive(self, case_id: str, *, force: bool) -> Line:
        origin = Origin.parse(case_id)
        if origin is None:
            return _unknown(case_id)
        assert self._redriver is not None, "get_ready comes first"
        return _line(self._redriver.redrive(origin, self._who, force=force))

    def discard(self, case_id: str, because: str) -> Line:
        origin = Origin.parse(case_id)
        if origin is None:
            return _unknown(case_id)
        return _line(redrive.discard(self._connection, origin, self._who, because))


def _unknown(case_id: str) -> Line:
    return Line(case_id, False, code=Fault.CASE_UNKNOWN, detail=redrive.UNKNOWN)


def _line(outcome: Outcome) -> Line:
    to = outcome.position
    position = Position(topic=COMMANDS.name, partition=to[0], offset=to[1]) if to is not None else None
    return Line(str(outcome.origin), outcome.refusal is None, position, outcome.refusal, outcome.detail or None)


@contextmanager
def local_desk(who: str) -> Iterator[Desk]:
    """The desk of who has this installation's settings. What fails outside is an EnvironmentFault."""
    settings = connected(Settings())
    try:
        with closing(cases.open_desk(settings)) as connection:
            yield LocalDesk(settings, connection, who)
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("the tables are not there yet: the sinks make them when they start") from error
    except (Unavailable, psycopg.OperationalError) as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error
