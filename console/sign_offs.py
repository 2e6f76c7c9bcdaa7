"""Signatures, what has changed since, and taking one back."""

from typing import Any, Final

from fastapi import APIRouter, Response
from psycopg import Connection

from console.http.faults import Refused
from console.http.forms import OwnFields
from console.http.places import id_of
from console.http.visits import ROOT, Visit, Visitor
from console.pages import go_to, page
from reconciliation.runs import signing
from reconciliation.runs.signing import SIGN_OFF

router = APIRouter()

SIGN_OFFS_SHOWN: Final = 500


@router.get("/sign-offs")
async def get_sign_offs(visit: Visitor) -> Response:
    """The newest first."""
    return await _page(visit)


@router.post("/sign-offs/{sign_off_id}/reopen")
async def post_reopen(visit: Visitor, fields: OwnFields, sign_off_id: str) -> Response:
    """It stays, with who took it back and why."""
    id_of(SIGN_OFF, sign_off_id, "signature")
    try:
        if visit.caller.approves_with_code:
            await visit.give_code(fields.get("code", "").strip())
        because = {"because": fields.get("because", "")}
        await visit.api("POST", f"/reconciliation/sign-offs/{sign_off_id}/reopen", because)
    except Refused as refused:
        return await _page(visit, refused)
    return go_to(f"{ROOT}/sign-offs")


async def _page(visit: Visit, refused: Refused | None = None) -> Response:
    def read(connection: Connection) -> dict[str, Any]:
        return {"signatures": signing.sign_offs(connection, SIGN_OFFS_SHOWN), "refused": refused}

    return await page(visit, "sign_offs.html", read, refused.status if refused is not None else 200)
