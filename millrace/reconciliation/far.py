"""What `millrace recon breaks|propose|resolve|sign|report` do elsewhere: asked of an API, and shown as here."""

import base64
import mimetypes
from itertools import islice
from pathlib import Path
from typing import Final, cast

import msgspec
import typer

from ingest_api.reconciliation.shown import ReconciliationSignOff
from ingest_api.reconciliation.shown_breaks import ReconciliationBreak, ReconciliationBreakDetail
from millrace.client.clients import Client
from millrace.client.resources.reconciliation import Json, ReportFormat
from millrace.commands.output import print_json, screen
from millrace.environment import EnvironmentFault
from millrace.reconciliation.desk import (
    Asked,
    format_of,
    leg_of,
    print_breaks,
    print_one,
    print_signed,
    write_report,
)
from millrace.remote.options import Where
from millrace.remote.session import session
from payments.identifiers import parse_id
from reconciliation.breaks.machine import Action
from reconciliation.breaks.reads import Wanted
from reconciliation.runs.run import RUN

_PAGE: Final = 100


def run_breaks(where: Where, id_: str, wanted: Wanted, limit: int, *, as_json: bool) -> None:
    """A list, or one break with everything about it."""
    with session(*where, as_json=as_json) as client:
        if id_:
            print_one(msgspec.convert(client.breaks.get(id_), ReconciliationBreakDetail), as_json=as_json)
            return
        found = client.breaks.list(
            order="age" if wanted.order == "age" else "value",
            rules=wanted.rule_set or None,
            type=wanted.type or None,
            status=wanted.status or None,
            owner=wanted.owner or None,
            limit=min(limit, _PAGE),
        )
        shown = [msgspec.convert(one, ReconciliationBreak) for one in islice(found, limit)]
    print_breaks(shown, as_json=as_json)


def run_resolve(where: Where, id_: str, asked: Asked, *, as_json: bool) -> None:
    """One deed; the API posts an approved adjustment at once."""
    _require_nobody(asked.by)
    with session(*where, as_json=as_json) as client:
        status = msgspec.convert(_done(client, id_, asked), ReconciliationBreakDetail).status
    print_json({"id": id_, "status": status}) if as_json else screen.print(f"{id_}: {status}")


def _done(client: Client, id_: str, asked: Asked) -> Json:
    match asked.action:
        case Action.PROPOSE:
            legs = [leg_of(text) for text in asked.legs]
            return client.breaks.propose(id_, asked.kind, asked.reason_code, asked.because, legs=legs)
        case Action.ATTACH if asked.attachment is not None:
            media = mimetypes.guess_type(asked.attachment.name)[0] or "application/octet-stream"
            content = base64.b64encode(asked.attachment.read_bytes()).decode()
            return client.breaks.attach(id_, asked.attachment.name, media, content, asked.because)
    return client.breaks.step(id_, asked.action, asked.because, owner=asked.owner or None)


def run_sign(where: Where, run: str, *, note: str, reopen: str, because: str, by: str, as_json: bool) -> None:
    """A signature, or one taken back."""
    _require_nobody(by)
    with session(*where, as_json=as_json) as client:
        if reopen:
            told = client.reconciliation.reopen(reopen, because)
        else:
            told = client.reconciliation.sign(_run(client, run)["id"], note=note or None)
        signed = msgspec.convert(told, ReconciliationSignOff)
    print_signed(signed, as_json=as_json)


def run_report(where: Where, run: str, out: Path, *, as_json: bool) -> None:
    """The format is that of the file's name."""
    format_ = cast("ReportFormat", format_of(out))
    with session(*where, as_json=as_json) as client:
        found = _run(client, run)
        content = client.reconciliation.report(found["id"], format_)
    write_report(out, content, found["result_hash"], as_json=as_json)


def _run(client: Client, text: str) -> Json:
    """By its id, or the newest of a rule set (or of all). Raises EnvironmentFault."""
    if parse_id(RUN, text) is not None:
        return client.reconciliation.run(text)
    found = next(iter(client.reconciliation.runs(rules=text or None, limit=1)), None)
    if found is None:
        raise EnvironmentFault(f"there is no run {text}; `millrace recon run` makes one")
    return found


def _require_nobody(by: str) -> None:
    """Raises BadParameter."""
    if by:
        raise typer.BadParameter("an API knows who calls", param_hint="--by")
