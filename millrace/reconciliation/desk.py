"""What `millrace recon breaks|resolve|sign|report` do."""

import mimetypes
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec
import typer
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from ingest_api.journals.shown import LegBody, asked_legs
from ingest_api.problems import FieldError
from ingest_api.publisher import DeliveryUnknown
from ingest_api.reconciliation.reports.formats import FORMATS
from ingest_api.reconciliation.reports.report import report_of
from ingest_api.reconciliation.sending import send_approved
from ingest_api.reconciliation.shown import ReconciliationSignOff, shown_sign_off
from ingest_api.reconciliation.shown_breaks import (
    ReconciliationBreak,
    ReconciliationBreakDetail,
    shown_break,
    shown_in_full,
)
from millrace.commands.output import faults_shown, print_found, print_json, screen
from millrace.environment import EnvironmentFault, connected
from millrace.reconciliation.files import books, person
from payments.errors import Unavailable
from payments.identifiers import parse_id
from payments.items.details import Posting
from reconciliation.breaks import desk, posting
from reconciliation.breaks.desk import Deed, Proposal
from reconciliation.breaks.listing import list_breaks, one_break
from reconciliation.breaks.machine import Action, Kind, Refusal, Status
from reconciliation.breaks.reads import Wanted
from reconciliation.runs import signing
from reconciliation.runs.reads import Run, find_run, page_of_runs
from reconciliation.runs.run import RUN
from reconciliation.runs.sides import BREAK
from reconciliation.runs.signing import SIGN_OFF, SignOff, SignRefusal
from runtime.settings import Settings

T = TypeVar("T")

SAID = {
    Refusal.UNKNOWN: "there is no such break; `millrace recon breaks` lists them",
    Refusal.STATUS: "this is not possible in its status; `millrace recon breaks BREAK` shows what has happened",
    Refusal.FOUR_EYES: "who proposes does not approve: a second person has to",
    Refusal.PERIOD_SIGNED: "its period is signed; take the signature back first (`millrace recon sign --reopen`)",
    Refusal.LEGS: "an adjustment has two legs or more that balance in every currency, an explanation has none",
    Refusal.TOO_LARGE: f"a document has at most {desk.ATTACHMENT_BYTES_MAX:,} bytes",
    Refusal.TOO_MANY: f"a break has at most {desk.ATTACHMENTS_MAX} documents",
    SignRefusal.UNKNOWN: "there is no such run",
    SignRefusal.STALE: "there is a newer run of the same days with another result; sign that one",
    SignRefusal.OVERLAPS: "some of its days are signed already; take that signature back first",
    SignRefusal.WAITING: "adjustments of these days wait for approval, or for the ledger",
    SignRefusal.SIGN_OFF_UNKNOWN: "there is no such signature, or it is taken back",
}


class Asked(NamedTuple):
    """What `resolve` is asked for."""

    action: str
    by: str
    because: str
    owner: str = ""
    kind: str = ""
    reason_code: str = ""
    legs: tuple[str, ...] = ()
    attachment: Path | None = None


def run_breaks(id_: str, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    """A list, or one break with everything about it."""
    with faults_shown(as_json=as_json), books() as connection:
        posting.settle(connection)
        if id_:
            print_one(_in_full(connection, _uuid(BREAK, id_)), as_json=as_json)
            return
        shown = [shown_break(one) for one in list_breaks(connection, wanted, limit, datetime.now(UTC))]
    print_breaks(shown, as_json=as_json)


def print_breaks(shown: Sequence[ReconciliationBreak], *, as_json: bool) -> None:
    """A list."""
    if as_json:
        print_json(shown)
        return
    names = ("break", "type", "status", "difference", "age", "due", "owner", "")
    table = Table(*names, box=None)
    for one in shown:
        late = "[red]overdue[/]" if one.is_overdue else "after sign-off" if one.after_sign_off else ""
        money = f"{one.difference} {one.currency}"
        table.add_row(one.id, one.type, one.status, money, str(one.age_days), one.due_on, Text(one.owner), late)
    print_found(table)


def _in_full(connection: Connection, id_: UUID) -> ReconciliationBreakDetail:
    found = one_break(connection, id_, datetime.now(UTC))
    if found is None:
        raise EnvironmentFault(SAID[Refusal.UNKNOWN])
    return shown_in_full(connection, found)


def print_one(shown: ReconciliationBreakDetail, *, as_json: bool) -> None:
    """One break with its lines and its trail."""
    if as_json:
        print_json(shown)
        return
    screen.print(Text(f"{shown.type} {shown.status}: {shown.difference} {shown.currency}, {shown.reason}"))
    for line in shown.lines:
        screen.print(Text(f"  {line.file}, line {line.line}: {line.raw or line.element}"))
    for event in shown.trail:
        screen.print(Text(f"  {event.at} {event.by}: {event.action} {event.after} {event.because}"))


def run_resolve(id_: str, asked: Asked, *, as_json: bool) -> None:
    """One deed; an approved adjustment is sent at once, and again by whoever looks next where that failed."""
    settings = connected(Settings())
    with faults_shown(as_json=as_json), books() as connection:
        status = _taken(_do(connection, _uuid(BREAK, id_), asked, settings.shards))
        sent = 0
        if status is Status.APPROVED:
            try:
                sent = send_approved(settings, connection)
            except (DeliveryUnknown, Unavailable) as fault:
                raise EnvironmentFault(f"approved, not posted yet: {fault}; `millrace recon post` sends it") from fault
    print_json({"id": id_, "status": status, "sent": sent}) if as_json else screen.print(f"{id_}: {status}")


def _do(connection: Connection, id_: UUID, asked: Asked, shards: int) -> Status | Refusal:
    deed = Deed(person(asked.by), asked.because)
    match asked.action:
        case Action.ASSIGN:
            return desk.assign(connection, id_, asked.owner, deed)
        case Action.COMMENT:
            return desk.comment(connection, id_, deed)
        case Action.ATTACH if asked.attachment is not None:
            media = mimetypes.guess_type(asked.attachment.name)[0] or "application/octet-stream"
            return desk.attach(
                connection, id_, desk.File(asked.attachment.name, media, asked.attachment.read_bytes()), deed
            )
        case Action.PROPOSE:
            return desk.propose(connection, id_, Proposal(Kind(asked.kind), asked.reason_code, _legs(asked.legs)), deed)
        case Action.APPROVE:
            return desk.approve(connection, id_, deed, shards)
        case Action.REJECT:
            return desk.reject(connection, id_, deed)
        case Action.WITHDRAW:
            return desk.withdraw(connection, id_, deed)
    return desk.reopen(connection, id_, deed)


def _legs(texts: tuple[str, ...]) -> tuple[Posting, ...]:
    """`debit:fees:1.00:EUR` each. Raises EnvironmentFault."""
    bodies = [msgspec.json.decode(msgspec.json.encode(leg_of(text)), type=LegBody) for text in texts]
    legs = asked_legs(bodies)
    if isinstance(legs, FieldError):
        raise EnvironmentFault(f"--leg: {legs.detail}")
    return legs


def leg_of(text: str) -> dict[str, str]:
    """`debit:fees:1.00:EUR` as the API takes it. Raises EnvironmentFault."""
    side, _, rest = text.partition(":")
    account, _, money = rest.partition(":")
    amount, _, currency = money.partition(":")
    if side not in {"debit", "credit"} or not currency:
        raise EnvironmentFault(f"--leg {text}: write it as debit:fees:1.00:EUR or credit:acc_…:1.00:EUR")
    return {"account": account, "side": side, "amount": amount, "currency": currency}


def run_post(*, as_json: bool) -> None:
    """Send what was approved and is not in the ledger, and take over what the ledger has said."""
    settings = connected(Settings())
    with faults_shown(as_json=as_json), books() as connection:
        decided = posting.settle(connection)
        try:
            sent = send_approved(settings, connection)
        except (DeliveryUnknown, Unavailable) as fault:
            raise EnvironmentFault(str(fault)) from fault
    print_json({"decided": decided, "sent": sent}) if as_json else screen.print(f"{decided} decided, {sent} sent")


def run_sign(run: str, *, note: str, reopen: str, because: str, by: str, as_json: bool) -> None:
    """A signature, or one taken back."""
    with faults_shown(as_json=as_json), books() as connection:
        posting.settle(connection)
        if reopen:
            found = signing.reopen(connection, _uuid(SIGN_OFF, reopen), because, person(by))
        else:
            found = signing.sign(connection, _run(connection, run).run_id, note, person(by))
        signed: SignOff = _taken(found)
    print_signed(shown_sign_off(signed), as_json=as_json)


def print_signed(shown: ReconciliationSignOff, *, as_json: bool) -> None:
    """A signature."""
    if as_json:
        print_json(shown)
    else:
        back = f", taken back by {shown.reopened_by}" if shown.reopened_by else ""
        told = f"{shown.id}: {shown.rules} until {shown.last_day}, {shown.result_hash}, by {shown.signed_by}{back}"
        screen.print(Text(told))


def run_report(run: str, out: Path, *, as_json: bool) -> None:
    """The format is that of the file's name."""
    format_ = format_of(out)
    with faults_shown(as_json=as_json), books() as connection:
        found = _run(connection, run)
        sections = report_of(connection, found.run_id)
    assert sections is not None  # the run is there
    write_report(out, FORMATS[format_][1](sections), found.result_hash, as_json=as_json)


def format_of(out: Path) -> str:
    """Raises BadParameter for a name that ends in none."""
    format_ = out.suffix.removeprefix(".").lower()
    if format_ not in FORMATS:
        raise typer.BadParameter(f"name a file that ends in {', '.join(FORMATS)}", param_hint="--out")
    return format_


def write_report(out: Path, content: bytes, result_hash: str, *, as_json: bool) -> None:
    """A report into its file, and what it is of."""
    with faults_shown(as_json=as_json):
        try:
            out.write_bytes(content)
        except OSError as fault:
            raise EnvironmentFault(f"{out}: {fault.strerror}") from fault
    if as_json:
        print_json({"file": str(out), "bytes": len(content), "result_hash": result_hash})
    else:
        screen.print(f"{out}: {len(content):,} bytes, result {result_hash}")


def _run(connection: Connection, text: str) -> Run:
    """By its id, or the newest of a rule set (or of all)."""
    if (id_ := parse_id(RUN, text)) is not None:
        found = find_run(connection, UUID(bytes=id_))
    else:
        found = next(iter(page_of_runs(connection, 1, text)), None)
    if found is None:
        raise EnvironmentFault(f"there is no run {text}; `millrace recon run` makes one")
    return found


def _uuid(kind: str, text: str) -> UUID:
    id_ = parse_id(kind, text)
    if id_ is None:
        raise EnvironmentFault(f"{text!r} is no id of the kind {kind}_…")
    return UUID(bytes=id_)


def _taken(found: T | Refusal | SignRefusal) -> T:
    if isinstance(found, Refusal | SignRefusal):
        raise EnvironmentFault(SAID[found])
    return found
