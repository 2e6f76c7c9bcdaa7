"""`millrace quarantine list|inspect|redrive|discard`: what could not be decided, for people and for machines."""

import base64
import getpass
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from ingest_api.quarantine.cases import STATUSES
from millrace.cli import EXIT_FAILED
from millrace.client.models.operations import QuarantineCaseDetail
from millrace.commands.output import faults_shown, print_found, print_json, screen
from millrace.quarantine.desk import Desk, Line
from millrace.quarantine.local import local_desk
from millrace.quarantine.remote import RemoteDesk
from millrace.remote.options import Where
from millrace.remote.session import session
from millrace.remote.shown import told

HEX_LINES_MAX = 64
"""1 kB of a record: a command is shorter; --json has all of it."""


@contextmanager
def _desk(where: Where, who: str = "", *, as_json: bool) -> Iterator[Desk]:
    """Far where an API is named, else here; what fails ends the process with a sentence."""
    if where.is_remote:
        if who:
            raise typer.BadParameter("an API knows who calls", param_hint="--as")
        with session(*where, as_json=as_json) as client:
            yield RemoteDesk(client)
        return
    with faults_shown(as_json=as_json), local_desk(who or getpass.getuser()) as desk:
        yield desk


def run_list(where: Where, *, status: str, reason: str | None, limit: int, as_json: bool) -> None:
    """Cases in a table, or a page of the API's."""
    if status not in {*STATUSES, "all"}:
        raise typer.BadParameter(f"one of {', '.join(STATUSES)}, all", param_hint="--status")
    with _desk(where, as_json=as_json) as desk:
        page = desk.page(None if status == "all" else status, reason, limit)
    if as_json:
        print_json(told(page))
        return
    table = Table("case", "status", "reason", "received", "bytes", "by", box=None)
    for one in page.items:
        who = _plain(one.resolved_by or "")
        table.add_row(one.id, one.status, one.reason, one.received_at, str(one.value_bytes), who)
    print_found(table)
    if page.has_more:
        screen.print("There are more: --limit, or --json with the API's cursor.")


def run_inspect(where: Where, case_id: str, *, as_json: bool) -> None:
    """One case in full."""
    with _desk(where, as_json=as_json) as desk:
        detail = desk.case(case_id)
    if as_json:
        print_json(told(detail))
    else:
        _print_case(detail)


def _print_case(detail: QuarantineCaseDetail) -> None:
    table = Table(box=None, show_header=False)
    for name in ("id", "status", "reason", "detail", "received_at", "wrong", "advice", "resolved_by", "because"):
        if value := getattr(detail, name):
            table.add_row(name.replace("_", " "), _plain(value))
    for command in detail.commands or []:
        for name, value in msgspec.structs.asdict(command).items():
            table.add_row(f"  {name.replace('_', ' ')}", _plain("" if value is None else value))
    screen.print(table)
    screen.print("\n".join(hex_lines(base64.b64decode(detail.value_base64))), markup=False, highlight=False)


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


def run_redrive(
    where: Where, case_ids: Sequence[str], *, reason: str | None, force: bool, who: str, as_json: bool
) -> None:
    """The named cases, or without names every unresolved one (of a reason)."""
    with _desk(where, who, as_json=as_json) as desk:
        desk.get_ready()
        _each(case_ids or desk.unresolved(reason), lambda id_: desk.redrive(id_, force=force), as_json=as_json)


def run_discard(where: Where, case_ids: Sequence[str], *, because: str, who: str, as_json: bool) -> None:
    """The named cases."""
    with _desk(where, who, as_json=as_json) as desk:
        _each(case_ids, lambda id_: desk.discard(id_, because), as_json=as_json)


def _each(case_ids: Iterable[str], resolve: Callable[[str], Line], *, as_json: bool) -> None:
    """One after the other; a refusal does not stop the others. Exits 1 where there was one."""
    lines = []
    for case_id in case_ids:
        line = resolve(case_id)
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
