"""`millrace quarantine list|inspect|redrive|discard`: what could not be decided, for people and for machines."""

import getpass
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

import msgspec
import psycopg
import typer
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from ingest_api.http.resources import Position
from ingest_api.quarantine import cases, redrive, shown
from ingest_api.quarantine.cases import STATUSES, UNRESOLVED, Case
from ingest_api.quarantine.redrive import Outcome, Redriver
from ingest_api.quarantine.shown import QuarantineCaseDetail
from millrace.cli import EXIT_FAILED
from millrace.commands.output import faults_shown, print_json, screen
from millrace.environment import EnvironmentFault, connected
from payments.errors import Unavailable
from runtime.settings import Settings
from schemas.origin import Origin
from schemas.topics import COMMANDS

HEX_LINES_MAX = 64
"""1 kB of a record: a command is shorter; --json has all of it."""


class Line(msgspec.Struct, omit_defaults=True):
    """What became of one case."""

    id: str
    done: bool
    redriven_to: Position | None = None
    code: str | None = None
    detail: str | None = None


def run_list(*, status: str, reason: str | None, limit: int, as_json: bool) -> None:
    """Cases in a table, or a page of the API's."""
    if status not in {*STATUSES, "all"}:
        raise typer.BadParameter(f"one of {', '.join(STATUSES)}, all", param_hint="--status")
    statuses = [one for one in STATUSES if one == status]
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        page = shown.shown_page(cases.list_cases(connection, statuses, reason, None, limit + 1), limit)
    if as_json:
        print_json(page)
        return
    table = Table("case", "status", "reason", "received", "bytes", "by", box=None)
    for one in page.items:
        who = _plain(one.resolved_by or "")
        table.add_row(one.id, one.status, one.reason, one.received_at, str(one.value_bytes), who)
    screen.print(table if page.items else "Nothing.")
    if page.has_more:
        screen.print("There are more: --limit, or --json with the API's cursor.")


def run_inspect(case_id: str, *, as_json: bool) -> None:
    """One case in full."""
    settings = connected(Settings())
    with faults_shown(as_json=as_json), _desk(settings) as connection:
        case = cases.find_case(connection, _origin(case_id))
        if case is None:
            raise EnvironmentFault(f"{case_id}: {redrive.UNKNOWN}")
        detail = shown.shown_in_full(case, settings.shards)
    if as_json:
        print_json(detail)
    else:
        _print_case(case, detail)


def _print_case(case: Case, detail: QuarantineCaseDetail) -> None:
    table = Table(box=None, show_header=False)
    for name in ("id", "status", "reason", "detail", "received_at", "wrong", "advice", "resolved_by", "because"):
        if value := getattr(detail, name):
            table.add_row(name.replace("_", " "), _plain(value))
    for command in detail.commands:
        for name, value in msgspec.structs.asdict(command).items():
            table.add_row(f"  {name.replace('_', ' ')}", _plain("" if value is None else value))
    screen.print(table)
    screen.print("\n".join(hex_lines(case.value)), markup=False, highlight=False)


def _plain(value: object) -> Text:
    """A foreign text as it is: neither its control characters nor its brackets may steer the terminal."""
    return Text("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value)))


def hex_lines(value: bytes) -> Iterator[str]:
    """Offset, sixteen bytes and their ASCII per line."""
    for at in range(0, min(len(value), HEX_LINES_MAX * 16), 16):
        row = value[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{at:08x}  {row.hex(' '):<47}  {text}"
    if len(value) > HEX_LINES_MAX * 16:
        yield f"… {len(value) - HEX_LINES_MAX * 16} more bytes"


def run_redrive(case_ids: Sequence[str], *, reason: str | None, force: bool, who: str, as_json: bool) -> None:
    """The named cases, or without names every unresolved one (of a reason)."""
    settings, actor = connected(Settings()), who or getpass.getuser()
    with faults_shown(as_json=as_json), _desk(settings) as connection:
        origins: Iterable[Origin] = [_origin(text) for text in case_ids]
        redriver = Redriver.ready(settings, connection)
        _each(
            origins if case_ids else _unresolved(connection, reason),
            lambda origin: redriver.redrive(origin, actor, force=force),
            as_json=as_json,
        )


def run_discard(case_ids: Sequence[str], *, because: str, who: str, as_json: bool) -> None:
    """The named cases."""
    actor = who or getpass.getuser()
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        origins = [_origin(text) for text in case_ids]
        _each(origins, lambda origin: redrive.discard(connection, origin, actor, because), as_json=as_json)


def _unresolved(connection: Connection, reason: str | None) -> Iterator[Origin]:
    """Page by page, so that a million cases take no more memory than a page of them."""
    after: Origin | None = None
    while page := cases.list_cases(connection, UNRESOLVED, reason, after):
        yield from (case.origin for case in page)
        after = page[-1].origin


def _each(origins: Iterable[Origin], resolve: Callable[[Origin], Outcome], *, as_json: bool) -> None:
    """One after the other; a refusal does not stop the others. Exits 1 where there was one."""
    lines = []
    for origin in origins:
        line = _line(resolve(origin))
        lines.append(line)
        if not as_json:
            screen.print(_said(line), markup=False)
    if as_json:
        print_json(lines)
    elif not lines:
        screen.print("Nothing to do.")
    if not all(line.done for line in lines):
        raise typer.Exit(EXIT_FAILED)


def _said(line: Line) -> str:
    if not line.done:
        return f"{line.id}: refused ({line.code}). {line.detail}"
    if line.redriven_to is None:
        return f"{line.id}: discarded"
    topic, partition, offset = msgspec.structs.astuple(line.redriven_to)
    return f"{line.id}: redriven to {topic}[{partition}] offset {offset}"


def _line(outcome: Outcome) -> Line:
    position = Position(COMMANDS.name, *outcome.position) if outcome.position is not None else None
    return Line(str(outcome.origin), outcome.refusal is None, position, outcome.refusal, outcome.detail or None)


def _origin(text: str) -> Origin:
    origin = Origin.parse(text)
    if origin is None:
        raise EnvironmentFault(f"{text}: {redrive.UNKNOWN}")
    return origin


@contextmanager
def _desk(settings: Settings) -> Iterator[Connection]:
    """A connection; what fails outside is said in one line."""
    try:
        with closing(cases.open_desk(settings)) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("the tables are not there yet: the sinks make them when they start") from error
    except (Unavailable, psycopg.OperationalError) as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error
