"""One break: both sides down to the line as it was sent, its trail, and what may be done about it."""

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response
from psycopg import Connection

from console.http.faults import Refused, not_found
from console.http.forms import Fields
from console.http.places import id_of
from console.http.visits import Visit, Visitor
from console.pages import page
from payments.postings import SystemAccount
from reconciliation.breaks import posting, reads
from reconciliation.breaks.listing import Aged, one_break
from reconciliation.breaks.machine import LIVE, Kind, Status
from reconciliation.runs.journals import JOURNALS_MAX, journals_of
from reconciliation.runs.sides import BREAK
from reconciliation.store.files import find_line

router = APIRouter()

LINES_MAX: Final = JOURNALS_MAX
LEGS_SHOWN: Final = 4
"""Of the form; `millrace recon propose` and the API take 64."""

_ACCOUNTS: Final = [code.name.lower() for code in SystemAccount]


@router.get("/breaks/{break_id}")
async def get_break(visit: Visitor, break_id: str) -> Response:
    """All of it."""
    return await break_page(visit, break_id)


async def break_page(
    visit: Visit, break_id: str, refused: Refused | None = None, typed: Fields | None = None
) -> Response:
    """With what was said against a step, where something was, and what was typed for it."""
    id_ = id_of(BREAK, break_id, "break")

    def read(connection: Connection) -> dict[str, Any]:
        posting.settle(connection)
        one = one_break(connection, id_, datetime.now(UTC))
        if one is None:
            raise not_found("break")
        return _shown(connection, one) | {
            "refused": refused,
            "typed": typed or {},
            "accounts": _ACCOUNTS,
            "legs_shown": LEGS_SHOWN,
            "kinds": [*Kind],
        }

    return await page(visit, "break.html", read, refused.status if refused is not None else 200)


def _shown(connection: Connection, aged: Aged) -> dict[str, Any]:
    one = aged.row
    found = (find_line(connection, line_id) for line_id in one.external[:LINES_MAX])
    proposals = reads.proposals_of(connection, one.break_id)
    return {
        "broken": one,
        "age": aged.age_days,
        "is_overdue": aged.is_overdue,
        "is_live": one.status in LIVE,
        "may_propose": one.status in {Status.OPEN, Status.ASSIGNED},
        "journals": journals_of(connection, one.internal),
        "lines": [line for line in found if line is not None],
        "proposals": proposals,
        "waiting": next((proposal for proposal in proposals if not proposal.decision), None),
        "events": reads.events_of(connection, one.break_id),
        "attachments": reads.attachments_of(connection, one.break_id),
    }


@router.get("/breaks/{break_id}/attachments/{attachment_id}")
async def get_attachment(visit: Visitor, break_id: str, attachment_id: UUID) -> Response:
    """Its bytes, to be saved: a document is never shown as a page of ours."""
    id_ = id_of(BREAK, break_id, "break")
    found = await visit.installation.look(lambda connection: reads.content_of(connection, id_, attachment_id))
    if found is None:
        raise not_found("document")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(found[0], safe='')}"}
    return Response(found[2], media_type="application/octet-stream", headers=headers)
