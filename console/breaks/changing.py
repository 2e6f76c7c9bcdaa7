"""What people do about a break, by the API's own operations: steps, adjustments and documents.

Whatever is refused is shown on the page of the break, with the reason and what was typed.
"""

import base64
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter, Response

from console.breaks.detail import LEGS_SHOWN, break_page
from console.http.faults import Refused
from console.http.forms import Fields, OwnFields, OwnUpload
from console.http.places import id_of
from console.http.visits import ROOT, Visit, Visitor
from console.pages import go_to
from reconciliation.breaks.machine import Kind
from reconciliation.runs.sides import BREAK

router = APIRouter()

_APPROVING: Final = frozenset({"approve", "reject", "post"})


@router.post("/breaks/{break_id}/steps")
async def post_step(visit: Visitor, fields: OwnFields, break_id: str) -> Response:
    """Assign, comment, approve, reject, withdraw, reopen, or post again what was approved."""
    action = fields.get("action", "")
    body = {"action": action, "because": fields.get("because", ""), "owner": fields.get("owner", "")}
    code = fields.get("code", "").strip() if action in _APPROVING and visit.caller.approves_with_code else None
    return await _sent(visit, break_id, "steps", body, fields, code)


@router.post("/breaks/{break_id}/adjustments")
async def post_adjustment(visit: Visitor, fields: OwnFields, break_id: str) -> Response:
    """Propose; a second person decides."""
    body = {
        "kind": fields.get("kind", ""),
        "reason_code": fields.get("reason_code", "").strip().upper().replace(" ", "_"),
        "because": fields.get("because", ""),
        "legs": [] if fields.get("kind") == Kind.EXPLAIN else list(_legs(fields)),
    }
    return await _sent(visit, break_id, "adjustments", body, fields)


@router.post("/breaks/{break_id}/attachments")
async def post_attachment(visit: Visitor, sent: OwnUpload, break_id: str) -> Response:
    """Put a document to it."""
    fields, upload = sent
    body = {
        "name": upload.name,
        "media_type": upload.media_type,
        "content_base64": base64.b64encode(upload.content).decode(),
        "because": fields.get("because", ""),
    }
    return await _sent(visit, break_id, "attachments", body, fields)


async def _sent(
    visit: Visit, break_id: str, path: str, body: dict[str, Any], fields: Fields, code: str | None = None
) -> Response:
    id_of(BREAK, break_id, "break")
    try:
        if code is not None:
            await visit.give_code(code)
        await visit.api("POST", f"/reconciliation/breaks/{break_id}/{path}", body)
    except Refused as refused:
        return await break_page(visit, break_id, refused, fields)
    return go_to(f"{ROOT}/breaks/{break_id}")


def _legs(fields: Fields) -> Iterator[dict[str, str]]:
    """Rows of the form that name an account or an amount."""
    for number in range(LEGS_SHOWN):
        leg = {name: fields.get(f"{name}_{number}", "").strip() for name in ("account", "side", "amount", "currency")}
        if leg["account"] or leg["amount"]:
            yield leg | {"currency": leg["currency"].upper()}
